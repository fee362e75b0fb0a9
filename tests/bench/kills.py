"""`hunts serve` killed at random moments, its engine killed and stopped: is any finding lost, doubled or off by one?

    python tests/bench/kills.py [--only kills engine] [--kills 50] [--engine-kills 5] [--down 300] [--seed 1] [--json]

Each trial has an OpenSearch 3.8 of its own with the enrichment, a tenth of the day of ../shared/story as events of
three weeks ago, from which hunts for what is new learn, and then every `--nth` event of the day streamed, `--rate` a
second, as a shipper does: what the engine does not take is kept and sent again. All shipped hunts are in force; those
that count, which the service asks every five minutes, are asked every five seconds here, so that kills meet them too.
The lag of a second is shorter than it takes until events are visible, so the audit is always at work as well.

    kills   SIGKILL at `--kills` moments, each even over the first turn of a process (the time from having the lease to
            the end of the second pass, measured anew for every tenth kill: that one comes in the turn after it); at
            once started again, which waits for the lease of the dead one
    engine  SIGKILL of the engine's process during a pass (its document says that one is at work; after the restart it
            is asked whether that one was cut off), `--engine-kills` times; then stopped in order for `--down` seconds.
            The service runs on

An engine that has just started stores what reaches it first without the enrichment (elastic/elasticsearch#49499,
mended in 8.12; OpenSearch 3.8 does it still). No pass sees such events before `hunts backfill`, which is run at the
end of the stream; how many there were is printed.

When all is covered (each hunt has looked at every event, the ledger's slots have every event), the service is stopped
and what it found compared (`truth.py`) with

    reference     Python alone, over the events that are stored: every finding, its count, first, last and the events it
                  keeps. A share and a beacon may be lost again by later events, and what was found stays: there must be
                  what the reference has at least, and no more than there are events
    undisturbed   passes over the same events that nobody disturbs, under another prefix: whole findings

Printed: the differences, how long it took until everything was covered, what the service said of trouble, and its
memory (RSS). Ends with 1 if anything differs that must not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from elastalert2 import ENVIRONMENT
from faults import Engine
from ground import DAY, dated, installed, lines_of, say, settings_in
from rich.console import Console
from rich.table import Table
from truth import SHARE, Compared, against_reference, against_undisturbed, found, stored_events, undisturbed

from connector.errors import SiemError
from connector.hunts.asking.mapped import INGESTED
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import every_event
from connector.hunts.passes.ledger import Ledger
from connector.hunts.passes.watermark import CENSUS, State, read_state
from connector.settings.model import Settings, SiemSettings
from connector.siem.client import Siem
from connector.siem.eve import Layout, read_line
from connector.siem.load import load_files
from connector.siem.sending import Item, send

SERVICE = {"every": "1s", "lag": "1s", "lease": "5s", "audit_every": "10s", "listen": "off"}
CHECKOUT = Path(__file__).parents[2]  # whose code the service runs
SCHEDULE = "5s"  # of hunts that count
HISTORY = timedelta(days=21)
PULSE_SECONDS = 0.5
BULK = 125  # events, as Logstash sends them
PAST = 10  # of the day, one event in so many
COVERED_SECONDS = 900  # after which what is not covered will not be
MEASURED = 10  # kills after which a turn is measured again
ACTIVE, PASS = "this service is the active one now", "pass"
Json = dict[str, Any]
T = TypeVar("T")


class Stream(threading.Thread):
    """Stores the lines of a day all the time, day after day; what the engine does not take is kept and sent again."""

    def __init__(self, settings: SiemSettings, lines: Sequence[bytes], first: int, per_second: float) -> None:
        """Prepare; `start` begins. `first` is the number of the first line, from which ids are made."""
        super().__init__(daemon=True)
        self._settings, self._lines, self._layout = settings, lines, Layout()
        self._numbers, self._first = count(first), first
        self._portion = max(1, round(per_second * PULSE_SECONDS))
        self._kept: deque[Item] = deque()
        self._ending = threading.Event()
        self.stored = 0

    @property
    def waiting(self) -> int:
        """Return how many events the engine has not taken yet."""
        return len(self._kept)

    def run(self) -> None:
        """Make a portion at each pulse, and store what is kept."""
        while not self._ending.wait(PULSE_SECONDS):
            self._kept += (self._made() for _ in range(self._portion))
            self._store()
        while self._kept:
            self._store()
            time.sleep(PULSE_SECONDS)

    def end(self) -> None:
        """Make no more events, and return when all are stored."""
        self._ending.set()
        self.join()

    def _made(self) -> Item:
        """Return the next line, of the next day when all are through."""
        number = next(self._numbers)
        days, position = divmod(number - self._first, len(self._lines))
        line = dated(self._lines[position], DAY + timedelta(days=days)) or b""
        return Item(number, line, read_line(line, number, self._layout))

    def _store(self) -> None:
        """Send what is kept, as far as the engine takes it."""
        try:
            with Siem.connect(self._settings) as siem:
                while self._kept:
                    items = [self._kept[n] for n in range(min(BULK, len(self._kept)))]
                    sent = send(siem, "stream", self._layout, items)
                    if sent.rejected:
                        raise SystemExit(f"an event was rejected: {sent.rejected[0]}")
                    self.stored += sent.stored + sent.already
                    for _ in items:
                        self._kept.popleft()
        except SiemError:
            return


class Service:
    """`hunts serve` as a process, one life after the other; what it says is in a file for each."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        """Prepare."""
        self._command = [*hunts_command(settings), "serve"]
        self.logs = folder / "logs"
        self.logs.mkdir()
        self._lives = count(1)
        self._log = Path()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Return its process, None if it does not run."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it."""
        self._log = self.logs / f"{next(self._lives):03}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=ENVIRONMENT, cwd=CHECKOUT
            )

    def kill(self) -> None:
        """End it at once."""
        if self._process:
            self._process.kill()
            self._process.wait()
        self._process = None

    def stop(self) -> float:
        """Ask it to end; return how many seconds it took."""
        began = time.monotonic()
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            if code := self._process.wait(60):
                raise SystemExit(f"the service ended with {code}: {self._log.read_text()[-2000:]}")
        self._process = None
        return time.monotonic() - began

    def said(self) -> list[Json]:
        """Return what it has said in this life."""
        return list(_lines(self._log))

    def until(self, said: Callable[[Json], bool], times: int = 1, patience: float = 180) -> None:
        """Return when it has said so, as often as wanted."""
        for _ in looks(patience, 0.02):
            if sum(map(said, self.said())) >= times:
                return
            if self._process and self._process.poll() is not None:
                raise SystemExit(f"the service ended by itself: {self._log.read_text()[-2000:]}")
        raise SystemExit(f"the service does not get on: {self._log.read_text()[-2000:]}")

    def trouble(self) -> Counter[str]:
        """Return its warnings and errors of all lives, shortened to the first words, and how often each was said."""
        lines = (line for file in sorted(self.logs.iterdir()) for line in _lines(file))
        return Counter(_short(line) for line in lines if line.get("log.level", "") != "info")


def hunts_command(settings: Settings) -> list[str]:
    """Return the command line of `hunts` with these settings."""
    return [sys.executable, "-c", "from connector.cli import main; main()", "--settings", str(settings.file)]


def _lines(file: Path) -> Iterator[Json]:
    """Yield the lines of a log that are whole; what is no JSON is told as an error."""
    for line in file.read_bytes().split(b"\n")[:-1]:
        try:
            yield json.loads(line)
        except ValueError:
            yield {"log.level": "error", "message": f"no JSON: {line[:200]!r}"}


def _short(line: Json) -> str:
    """Return what a line says, without what is different each time."""
    error = line.get("error", {})
    words = "".join(c for c in f"{line['message']} {error.get('type', '')} {error.get('message', '')}" if c.isascii())
    fault = " WITH A STACK TRACE" if "stack_trace" in error else ""
    return (
        f"{line.get('event', {}).get('action', '')}: {''.join('#' if c.isdigit() else c for c in words)[:160]}{fault}"
    )


def is_active(line: Json) -> bool:
    """Tell whether a line says that the lease is taken."""
    return line.get("message") == ACTIVE


def is_pass(line: Json) -> bool:
    """Tell whether a line says that a pass is done."""
    return line.get("event", {}).get("action") == PASS and "duration" in line["event"]


class Memory(threading.Thread):
    """Looks at the resident memory of the service all the time."""

    def __init__(self, service: Service) -> None:
        """Prepare; `start` begins."""
        super().__init__(daemon=True)
        self._service, self._began = service, time.monotonic()
        self._ending = threading.Event()
        self.seen: list[tuple[float, float]] = []  # seconds and MB

    def run(self) -> None:
        """Look twice a second."""
        while not self._ending.wait(0.5):
            try:
                pages = int(Path(f"/proc/{self._service.pid}/statm").read_text().split()[1])
            except (OSError, IndexError):
                continue
            self.seen.append((time.monotonic() - self._began, pages * os.sysconf("SC_PAGE_SIZE") / 1e6))

    def end(self) -> Json:
        """Look no more; return the most, and the most of each minute."""
        self._ending.set()
        self.join()
        minutes: dict[int, float] = {}
        for seconds, megabytes in self.seen:
            minutes[int(seconds // 60)] = round(max(megabytes, minutes.get(int(seconds // 60), 0)))
        return {"max_mb": max(minutes.values(), default=0), "by_minute_mb": list(minutes.values())}


@dataclass
class Trial:
    """All that a trial needs, the events of the past looked at and the stream on."""

    engine: Engine
    settings: Settings
    hunts: tuple[Hunt, ...]
    service: Service
    stream: Stream
    past: int
    chosen: random.Random
    facts: Json = field(default_factory=dict)

    def state(self) -> State:
        """Return how far passes are; SiemError if the engine does not say."""
        with Siem.connect(self.settings.siem) as siem:
            found = read_state(siem, self.settings.state("state"))
        return found[0] if found else State(0, 0)

    def covered(self, moment: int, patience: float = COVERED_SECONDS) -> None:
        """Return when every hunt has looked at all events that came until a moment."""
        everybody = (CENSUS, *(hunt.id for hunt in self.hunts))
        for _ in looks(patience, 0.2):
            state = patiently(self.state)
            behind = [id for id in everybody if state.done_until(id) < moment]
            if state.hunts and not behind:
                return
        raise SystemExit(f"not covered: {len(behind)} hunts, {behind[:5]}")

    def counted(self, siem: Siem, patience: float = COVERED_SECONDS) -> None:
        """Return when the ledger's slots have as many events as are stored, or have not for long; keep both numbers."""
        stored, events = siem.count(self.settings.events, {"match_all": {}}), -1
        for _ in looks(patience, 1):
            if (events := self.slots(siem)) == stored:
                break
        self.facts |= {"events stored": stored, "events in the ledger's slots": events}

    def bare(self, siem: Siem) -> int:
        """Return how many events the engine has stored without the enrichment."""
        return siem.count(self.settings.events, {"bool": {"must_not": {"exists": {"field": INGESTED}}}})

    def command(self, *arguments: str) -> None:
        """Run a command of ours."""
        subprocess.run([*hunts_command(self.settings), *arguments], check=True, cwd=CHECKOUT, stdout=sys.stderr)

    def slots(self, siem: Siem) -> int:
        """Return how many events the ledger's slots have."""
        return sum(Ledger(siem, self.settings.state("runs")).counted(0, now_ms()).values())


def patiently(asked: Callable[[], T], patience: float = 60) -> T:
    """Return what is asked of the engine, once it answers."""
    for _ in looks(patience, 0.2):
        try:
            return asked()
        except SiemError:
            continue
    return asked()


def looks(patience: float, pause: float) -> Iterator[None]:
    """Yield when it is time to look, so often; time in which this process and all others stood still does not count."""
    while patience > 0:
        yield
        time.sleep(pause)
        patience -= pause


def now_ms() -> int:
    """Return the time in epoch milliseconds."""
    return round(time.time() * 1000)


def kills(trial: Trial, args: argparse.Namespace) -> None:
    """Kill the service at random moments."""
    service, cut, written, turns, moments = trial.service, 0, 0, [], []
    for number in range(1, args.kills + 1):
        before = _cut_off(trial)[0]
        service.kill()
        service.start()
        service.until(is_active)
        if number % MEASURED == 1:
            began = time.monotonic()
            service.until(is_pass, 2)
            turns.append(round(time.monotonic() - began, 2))
            say(f"  a turn of {turns[-1]} s")
        moments.append(round(trial.chosen.uniform(0, turns[-1]), 2))
        time.sleep(moments[-1])
        service.kill()
        token, wrote = _cut_off(trial)
        cut_off = token not in ("", before)
        cut, written = cut + cut_off, written + (cut_off and wrote > 0)
        words = f"cut a pass off, which had written {wrote} findings" if cut_off else "between passes"
        say(f"  kill {number} after {moments[-1]} s: {words}")
    service.start()
    trial.facts |= {"kills": args.kills, "turns_s": turns, "cut a pass off": cut}
    trial.facts |= {"of those with findings written": written, "moments_s": sorted(moments)}


def _cut_off(trial: Trial) -> tuple[str, int]:
    """Return the token of the pass at work or cut off, empty if there is none, and how many findings it has written."""
    index = trial.settings.state("state")
    with Siem.connect(trial.settings.siem) as siem:
        stored = siem.get(index, "pass")
        token = stored.source["value"]["token"] if stored else ""
        if not stored or not token:
            return "", 0
        siem.call("POST", f"/{trial.settings.state('findings')}/_refresh")
        since = {"range": {"updated": {"gte": stored.source["updated"]}}}
        return token, siem.count(trial.settings.state("findings"), since)


def engine(trial: Trial, args: argparse.Namespace) -> None:
    """Kill the engine during passes, and stop it for long."""
    cut, waits = 0, []
    for number in range(1, args.engine_kills + 1):
        before = trial.state().token
        while trial.state().token in ("", before):
            time.sleep(0.005)
        time.sleep(pause := trial.chosen.uniform(0, 1))
        trial.engine.kill()
        time.sleep(2)
        trial.engine.start()
        left, wrote = patiently(lambda: _cut_off(trial))
        cut_off = left not in ("", before)
        cut, moment, began = cut + cut_off, now_ms(), time.monotonic()
        trial.covered(moment)
        waits.append(round(time.monotonic() - began, 1))
        words = f"cut a pass off, which had written {wrote} findings" if cut_off else "between passes"
        say(f"  engine killed {pause:.2f} s into pass {number}, {words}; covered {waits[-1]} s after it was back")
        time.sleep(trial.chosen.uniform(3, 8))
    trial.facts |= {"engine kills": args.engine_kills, "cut a pass off": cut, "covered after_s": waits}
    trial.engine.stop()
    say(f"  engine stopped for {args.down} s")
    time.sleep(args.down)
    trial.engine.start()
    began = time.monotonic()
    kept = trial.stream.waiting
    while trial.stream.waiting > BULK:
        time.sleep(0.1)
    shipped = time.monotonic() - began
    trial.covered(now_ms())
    took = time.monotonic() - began
    trial.facts |= {
        "down_s": args.down,
        "events kept by the shipper": kept,
        "shipped after_s": round(shipped, 1),
        "all covered after_s": round(took, 1),
    }
    say(f"  back: {kept} events shipped in {shipped:.1f} s, everything covered after {took:.1f} s")
    time.sleep(10)


TRIALS: dict[str, Callable[[Trial, argparse.Namespace], None]] = {"kills": kills, "engine": engine}


@contextmanager
def prepared(args: argparse.Namespace, folder: Path) -> Iterator[Trial]:
    """Hold all that a trial needs, the past looked at and the stream on; processes are ended afterwards."""
    chosen = random.Random(args.seed)
    with Engine(folder / "node") as node:
        (folder / "queries").mkdir()
        write_schedules(folder / "queries")
        service_settings = {**SERVICE, "requests_per_second": args.requests}
        settings = settings_in(folder, node.url, queries="queries", service=service_settings)
        catalogue = load_catalogue(settings)
        if catalogue.problems:
            raise SystemExit(f"broken: {catalogue.problems[0]}")
        lines = lines_of("story/eve-suricata8.json.gz", DAY)
        with Siem.connect(settings.siem) as siem:
            installed(siem, settings)
            past = load_past(siem, settings, folder, lines, chosen)
        service = Service(settings, folder)
        stream = Stream(settings.siem, lines[:: args.nth], past + 1, args.rate)
        trial = Trial(node, settings, catalogue.active, service, stream, past, chosen)
        try:
            service.start()
            trial.covered(now_ms())
            say(f"  {past} events of the past are covered")
            stream.start()
            service.until(is_pass, 3)
            yield trial
        finally:
            service.kill()


def write_schedules(folder: Path) -> None:
    """Write the hunts that count into the operator's folder, with the same ids, to be asked more often."""
    shipped = load_catalogue(Settings()).active
    for hunt in (hunt for hunt in shipped if not every_event(hunt.needs)):
        text = Path(hunt.file).read_text(encoding="utf-8").splitlines()
        lines = [line for line in text if not line.startswith("schedule:")]
        file = folder / hunt.family / f"{hunt.name}.yml"
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join([*lines, f"schedule: {SCHEDULE}", ""]), encoding="utf-8")


def load_past(siem: Siem, settings: Settings, folder: Path, lines: Sequence[bytes], chosen: random.Random) -> int:
    """Load a tenth of the lines as events of some weeks ago; return how many."""
    sample = [lines[n] for n in sorted(chosen.sample(range(len(lines)), len(lines) // PAST))]
    file, day = folder / "past.json", DAY - HISTORY
    file.write_bytes(b"".join(b"%b\n" % line for old in sample if (line := dated(old, day))))
    (loaded,) = load_files(siem, [str(file)], settings.prefix, lambda *_: None).files
    return loaded.stored


@dataclass(frozen=True)
class Outcome:
    """What came of a trial: facts, and the findings beside the reference and those of undisturbed passes."""

    name: str
    facts: Json
    reference: dict[str, Compared]
    undisturbed: dict[str, Compared]

    @property
    def failed(self) -> bool:
        """Return whether anything differs that must not."""
        wrong = [what for each in self.reference.values() for what in each.wrong if not what.endswith("(may be)")]
        others = [kind for kind, each in self.undisturbed.items() if each.wrong and kind != SHARE]
        stored = self.facts["events stored"]
        same = stored == self.facts["events in the ledger's slots"] == self.facts["events sent"]
        return (
            bool(wrong or others)
            or not same
            or self.facts["missing at the end"] > 0
            or self.facts["after a backfill"] > 0
        )


def outcome_of(name: str, args: argparse.Namespace) -> Outcome:
    """Return what came of a trial."""
    say(f"{name}, seed {args.seed}")
    with tempfile.TemporaryDirectory(prefix="hunts-kills-") as path:
        folder = Path(path)
        folder.chmod(0o755)
        with prepared(args, folder) as trial:
            memory, began = Memory(trial.service), time.monotonic()
            memory.start()
            try:
                TRIALS[name](trial, args)
                finish(trial)
            finally:
                trial.facts["memory"] = memory.end()
                if args.logs:
                    shutil.copytree(trial.service.logs, args.logs / name, dirs_exist_ok=True)
            trial.facts["seconds"] = round(time.monotonic() - began)
            return compared(name, trial)


def finish(trial: Trial) -> None:
    """End the stream, wait until all is covered, and stop the service."""
    trial.stream.end()
    with Siem.connect(trial.settings.siem) as siem:
        siem.call("POST", f"/{trial.settings.events}/_refresh")
        if bare := trial.bare(siem):
            say(f"  the engine has stored {bare} events without the enrichment: `hunts backfill`")
            trial.command("backfill")
            siem.call("POST", f"/{trial.settings.events}/_refresh")
        trial.facts |= {"stored without the enrichment": bare, "after a backfill": trial.bare(siem)}
        began, last = time.monotonic(), newest(siem, trial.settings)
        trial.covered(last)
        trial.counted(siem)
        trial.covered(last)  # again: an audit may have had it done again meanwhile
        trial.facts["covered after the last event_s"] = round(time.monotonic() - began, 1)
    trial.facts["stopped within_s"] = round(trial.service.stop(), 1)
    state = trial.state()
    trial.facts["missing at the end"] = sum(found[0][0] < last for found in state.missing.values())
    trial.facts["events sent"] = trial.past + trial.stream.stored
    trial.facts["the service's warnings"] = dict(trial.service.trouble().most_common())


def newest(siem: Siem, settings: Settings) -> int:
    """Return when the newest event came."""
    body = {"size": 0, "aggs": {"newest": {"max": {"field": INGESTED}}}}
    return int(siem.search(settings.events, body)["aggregations"]["newest"]["value"])


def compared(name: str, trial: Trial) -> Outcome:
    """Return how the findings differ from those that must be."""
    with Siem.connect(trial.settings.siem) as siem:
        findings = found(siem, trial.settings)
        say(f"  {len(findings)} findings; the reference")
        reference = against_reference(trial.hunts, stored_events(siem, trial.settings), findings)
        say("  undisturbed passes")
        others = undisturbed(siem, trial.settings, trial.hunts, datetime.now(UTC))
    return Outcome(name, trial.facts, reference, against_undisturbed(trial.hunts, findings, others))


def table(outcome: Outcome) -> Table:
    """Return the findings of a trial beside what they must be."""
    shown = Table("compared with", "hunts that need", title=f"{outcome.name}: findings")
    for name in ("hunts", "findings", "events in them"):
        shown.add_column(name, justify="right")
    shown.add_column("differ")
    for other, kinds in (("reference", outcome.reference), ("undisturbed passes", outcome.undisturbed)):
        for kind, each in sorted(kinds.items()):
            wrong = ", ".join(f"{what}: {number}" for what, number in each.wrong.items()) or "none"
            shown.add_row(other, kind, str(each.hunts), str(each.findings), str(each.events), wrong)
        shown.add_section()
    return shown


def main() -> None:
    """Parse the command line, make the trials and show what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=TRIALS, default=list(TRIALS), help="these trials")
    parser.add_argument("--kills", type=int, default=50, help="of the service")
    parser.add_argument("--engine-kills", type=int, default=5, help="of the engine")
    parser.add_argument("--down", type=float, default=300, help="seconds that the engine is stopped for")
    parser.add_argument("--rate", type=float, default=30, help="events a second")
    parser.add_argument("--nth", type=int, default=3, help="one event of the day in so many")
    parser.add_argument("--requests", type=int, default=200, help="`service.requests_per_second`")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments")
    parser.add_argument("--logs", type=Path, help="a folder in which to keep what the service says")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    args = parser.parse_args()
    outcomes = [outcome_of(name, args) for name in args.only]
    if args.json:
        print(json.dumps([{**asdict(each), "failed": each.failed} for each in outcomes], indent=1))
    else:
        console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
        for each in outcomes:
            _show(console, each)
    sys.exit(any(each.failed for each in outcomes))


def _show(console: Console, outcome: Outcome) -> None:
    """Print what came of a trial."""
    console.print(table(outcome))
    for what, fact in outcome.facts.items():
        console.print(f"{what}: {json.dumps(fact)}", markup=False)
    for other, kinds in (("reference", outcome.reference), ("undisturbed passes", outcome.undisturbed)):
        for kind, each in kinds.items():
            for example in each.examples:
                console.print(f"{other}, {kind}: {example}", markup=False)


if __name__ == "__main__":
    main()
