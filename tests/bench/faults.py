"""Five faults, and what is found of the events that were planted meanwhile: `hunts serve` beside elastalert2 2.31.

    python tests/bench/faults.py [--only late kills] [--sides hunts elastalert2] [--results FILE] [--json]

Each trial (a fault, a side) has an OpenSearch 3.8 of its own with the enrichment, a proxy before it, and hunts that
each planted event matches one of; in elastalert a rule of type `any` with the very query that we send. Both run as
processes, a pass or a run of each rule every 10 s, events of the last 10 s left to the next. Events are stored by a
shipper that keeps what the engine does not take and sends it again, once each.

    overload  60 hunts, 20 events/s for 12 of them; for 90 s a search of events takes 1.5 s, four at once (a quarter of
              what the hunts ask for in the time)
    late      events whose time is 5, 20 and 60 minutes ago; events that were first written that long ago and are
              visible only now; events visible 60 s after they are written; the same across a restart of the process
    kills     20 events/s, SIGKILL at 10 moments, at once started again
    engine    20 events/s, the engine killed during a search of events, 0.3 s and 1 s after one, 10 s down each time;
              then stopped for 60 s
    two       20 events/s, two processes; the first is stopped (SIGSTOP) for 30 s and goes on, then is killed for good

An engine that has just started stores what reaches it first without the enrichment (OpenSearch 3.8; for Elasticsearch
elastic/elasticsearch#49499, mended in 8.12): no time of being written, none of our fields. These events are a row.

Counted for every event by index and id: found, missing, found too often, and by how much. Found is, for elastalert,
an alert that its alerter gave out, and for us an event that a finding counts. A trial ends when all is found, or
nothing more is for 75 s, and then 25 s later, so that what comes twice has time to. Figures of time are not taken.

The sides of elastalert2 are configurations; the first is its best over all five:
    elastalert2             by the time when the engine wrote the event, 90 minutes looked at again in every run
    elastalert2-event-time  by the event's own time
    elastalert2-look-back   after a start it looks at the 90 minutes again, where the others go on where they were
    elastalert2-defaults    as its example configuration has it, by the event's own time, 15 minutes
With `--results` rows are added to those of a file, and the table shows all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

from contestants import EVERY, SERVICE, SIDES, Contestant, Scene
from ground import installed, say, settings_in
from planted import PATTERN, Place, Planted, Stream, write_hunts
from rich.console import Console
from rich.table import Table
from slow_proxy import Proxy

from connector.embedded.node import running_node
from connector.hunts.asking.mapped import INGESTED
from connector.settings.model import SiemSettings
from connector.siem.client import Siem
from connector.siem.eve import Layout
from connector.siem.event_template import put_if_needed

PATIENCE, SETTLE, POLL = 75, 25, 3
STEADY = "steady stream"
BARE = "steady stream, stored without the enrichment"
RATE = 20
SLOW = 90  # seconds
LATE = 40  # events of each kind
AGES = (5, 20, 60)
Json = dict[str, Any]


class Engine:
    """An OpenSearch whose data outlives it; use it in a with statement."""

    def __init__(self, folder: Path) -> None:
        """Keep its data in that folder."""
        self._folder = folder
        self._running = ExitStack()
        self.port = 0

    def __enter__(self) -> Engine:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def start(self) -> None:
        """Start it, on the port it had before."""
        node = self._running.enter_context(running_node(data=self._folder, port=self.port))
        self.port, self.url, self._pid = node.port, node.url, node.pid

    def stop(self) -> None:
        """Stop it in an orderly way."""
        self._running.close()

    def kill(self) -> None:
        """End it at once."""
        for child in Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        self._running.close()


@dataclass
class Trial:
    """A fault and a side: all that the fault is made with."""

    engine: Engine
    proxy: Proxy
    siem: Siem
    planted: Planted
    contestant: Contestant
    chosen: random.Random
    notes: Counter[str] = field(default_factory=Counter)

    def stream(self, per_second: float = RATE) -> Stream:
        """Return a steady stream of events that has begun, once the contestant has found some of it."""
        stream = Stream(self.planted, STEADY, per_second)
        stream.start()
        self.contestant.first.start()
        left = PATIENCE
        while not self.contestant.found():
            if (left := left - POLL) < 0:
                raise SystemExit(f"nothing is found at all: {self.contestant.first.log.read_text()[-2000:]}")
            self.rest(POLL)
        return stream

    def rest(self, seconds: float) -> None:
        """Let time go by; a process that ends by itself is started again.

        Time in which this process and all others were stopped does not count.
        """
        while seconds > 0:
            time.sleep(min(1.0, seconds))
            seconds -= 1.0
            for each in (self.contestant.first, self.contestant.second):
                self.notes["ended by itself"] += each.revived()

    def bare(self) -> set[Place]:
        """Return the events that the engine has stored without the enrichment."""
        query = {"query": {"bool": {"must_not": {"exists": {"field": INGESTED}}}}, "_source": False}
        self.siem.call("POST", f"/{PATTERN}/_refresh")
        return {(hit["_index"], hit["_id"]) for hit in self.siem.scan(PATTERN, query)}

    def drained(self, settle: float = SETTLE) -> None:
        """Return when what is planted by now is found, or nothing more of it is for long, and a while after that."""
        wanted, before, left = set(self.planted.now()), -1, PATIENCE
        while (found := len(wanted & self.contestant.found().keys())) < len(wanted) and left > 0:
            before, left = found, PATIENCE if found > before else left - POLL
            self.rest(POLL)
        say(f"  {found} of {len(wanted)} found")
        self.rest(settle)


def overload(trial: Trial) -> None:
    """Slow the engine down."""
    stream = trial.stream()
    trial.rest(15)
    before = trial.contestant.notes()
    trial.proxy.slow(1.5, 4)
    trial.rest(SLOW)
    during = trial.contestant.notes()
    trial.proxy.slow(0, 1)
    trial.notes.update({f"{what}, while slow": during[what] - before.get(what, 0) for what in during})
    what, number = trial.contestant.due
    trial.notes[f"{what}, while slow: due"] = number * SLOW // EVERY
    stream.end()
    trial.drained()


def late(trial: Trial) -> None:
    """Write events late, and make them visible late, while the process runs and across a restart of it."""
    stream = trial.stream(5)
    _plant_late(trial.planted, "")
    held = _plant_held(trial.planted, "")
    trial.rest(60)
    trial.planted.refresh(held)
    trial.drained(0)
    held = _plant_held(trial.planted, ", restart")
    trial.rest(60)
    trial.contestant.first.stop()
    _plant_late(trial.planted, ", restart")
    trial.planted.refresh(held)
    trial.rest(5)
    trial.contestant.first.start()
    trial.rest(15)
    stream.end()
    trial.drained()


def _plant_late(planted: Planted, when: str) -> None:
    """Write events whose time, or whose time of being written too, is long ago."""
    for age in AGES:
        planted.plant(f"{age} min old{when}", LATE, old=timedelta(minutes=age))
    for age in AGES:
        back = timedelta(minutes=age)
        planted.plant(f"written {age} min ago, visible now{when}", LATE, old=back, stored=back)


def _plant_held(planted: Planted, when: str) -> str:
    """Write events that are not visible, and return their index."""
    index = f"logstash-held{len(when)}"
    planted.hold(index)
    planted.plant(f"visible after 60 s{when}", LATE, index=index)
    return index


def kills(trial: Trial) -> None:
    """Kill the process at random moments."""
    stream = trial.stream()
    for _ in range(10):
        time.sleep(trial.chosen.uniform(3, 20))
        trial.contestant.first.kill()
        trial.contestant.first.start()
    trial.rest(20)
    stream.end()
    trial.drained()


def engine(trial: Trial) -> None:
    """Kill the engine during passes, and stop it for a minute."""
    stream = trial.stream()
    for after in (0.0, 0.3, 1.0):
        with trial.proxy.holding() as search:
            while not search.arrived.is_set():
                trial.rest(0.1)
            if after:
                search.released.set()
                time.sleep(after)
            trial.engine.kill()
        trial.rest(10)
        trial.engine.start()
        trial.rest(40)
    trial.engine.stop()
    trial.rest(60)
    trial.engine.start()
    trial.rest(15)
    stream.end()
    trial.drained()


def two(trial: Trial) -> None:
    """Run two processes, let the first sleep and wake, and kill it."""
    stream = trial.stream()
    first, second = trial.contestant.first, trial.contestant.second
    second.start()
    trial.rest(40)
    first.signal(signal.SIGSTOP)
    trial.rest(30)
    first.signal(signal.SIGCONT)
    trial.rest(30)
    first.kill()
    trial.rest(20)
    stream.end()
    trial.drained()


@dataclass(frozen=True)
class Fault:
    """A fault, and how many rules there are and how many of them have events."""

    make: Callable[[Trial], None]
    rules: int = 8
    busy: int = 8


FAULTS = {
    "overload": Fault(overload, 60, 12),
    "late": Fault(late),
    "kills": Fault(kills),
    "engine": Fault(engine),
    "two": Fault(two),
}


@contextmanager
def prepared(fault: Fault, side: str, seed: int) -> Iterator[Trial]:
    """Hold all that a trial needs; its processes are ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="hunts-faults-") as name, ExitStack() as held:
        folder = Path(name)
        folder.chmod(0o755)
        node = held.enter_context(Engine(folder / "node"))
        proxy = held.enter_context(Proxy(node.port, PATTERN))
        write_hunts(folder / "queries", fault.rules)
        settings = settings_in(folder, proxy.url, queries="queries", service=SERVICE)
        siem = held.enter_context(Siem.connect(SiemSettings(urls=(node.url,))))
        put_if_needed(siem, settings.prefix, Layout())
        installed(siem, settings)
        planted = Planted(node.url, fault.busy)
        planted.begin()
        contestant = SIDES[side].make(Scene(siem, proxy.url, settings, folder))
        try:
            yield Trial(node, proxy, siem, planted, contestant, random.Random(seed))
        finally:
            contestant.first.kill()
            contestant.second.kill()


def rows_of(name: str, side: str, seed: int, logs: Path | None) -> list[Json]:
    """Return what a side has found of the events planted during a fault, a row for each kind of event."""
    say(f"{name}: {side}")
    with prepared(FAULTS[name], side, seed) as trial:
        try:
            FAULTS[name].make(trial)
        finally:
            _keep(trial.contestant, logs, f"{name}-{side}")
        notes = +Counter(trial.contestant.notes()) + trial.notes
        planted, found = trial.planted.now(), trial.contestant.found()
        planted |= dict.fromkeys(planted.keys() & trial.bare(), BARE)
    if strange := len(found.keys() - planted.keys()):
        notes["found, not planted"] = strange
    by_label: dict[str, list[int]] = defaultdict(list)
    for place, label in planted.items():
        by_label[label].append(found[place])
    rows = [{"fault": name, "side": side, "events": label, **_counted(times)} for label, times in by_label.items()]
    return [{**row, "notes": dict(notes) if row["events"] == STEADY else {}} for row in rows]


def _keep(contestant: Contestant, logs: Path | None, name: str) -> None:
    """Keep what the processes have said."""
    for which in ("first", "second") if logs else ():
        shutil.copy(getattr(contestant, which).log, logs / f"{name}-{which}.log")


def _counted(times: Sequence[int]) -> dict[str, int]:
    """Return how many events are planted, found, missing, found too often, and how much too often in sum."""
    return {
        "planted": len(times),
        "found": sum(number > 0 for number in times),
        "missing": times.count(0),
        "found too often": sum(number > 1 for number in times),
        "times too often": sum(number - 1 for number in times if number > 1),
    }


def table(rows: Sequence[Json]) -> Table:
    """Return the rows for people."""
    numbers = ("planted", "found", "missing", "found too often", "times too often")
    shown = Table("fault", "events", "side", title="What each found of the events planted", show_lines=False)
    for name in numbers:
        shown.add_column(name, justify="right")
    shown.add_column("notes")
    order = {key: number for number, key in enumerate((*FAULTS, *SIDES))}
    labels = {label: number for number, label in reversed(list(enumerate(row["events"] for row in rows)))}
    before = None
    for row in sorted(rows, key=lambda r: (order[r["fault"]], labels[r["events"]], order[r["side"]])):
        if before not in (None, row["fault"]):
            shown.add_section()
        before = row["fault"]
        notes = ", ".join(f"{what}: {number}" for what, number in row["notes"].items())
        shown.add_row(row["fault"], row["events"], row["side"], *(str(row[name]) for name in numbers), notes)
    return shown


def main() -> None:
    """Parse the command line, run the trials and show what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS), help="these faults")
    parser.add_argument("--sides", nargs="*", choices=SIDES, default=["hunts", "elastalert2"], help="these sides")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments")
    parser.add_argument("--results", type=Path, help="a JSON file to which rows are added; the table has all of them")
    parser.add_argument("--logs", type=Path, help="a folder in which to keep what the processes say")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    args = parser.parse_args()
    rows: list[Json] = json.loads(args.results.read_text()) if args.results and args.results.exists() else []
    for name, side in product(args.only, args.sides):
        new = rows_of(name, side, args.seed, args.logs)
        rows = [row for row in rows if (row["fault"], row["side"]) != (name, side)] + new
        if args.results:
            args.results.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    if args.json:
        print(json.dumps({"sides": {name: SIDES[name].config for name in SIDES}, "rows": rows}, indent=1))
        return
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table(rows))
    for name in dict.fromkeys(row["side"] for row in rows):
        console.print(f"{name}: {SIDES[name].config}", highlight=False)


if __name__ == "__main__":
    main()
