"""Our pass against elastalert2 2.31: the same queries over the same window of events, once each, on one machine.

    python tests/bench/against_elastalert.py [--rounds 5] [--events 200000] [--window 3000] [--spread] [--json]

The ground: an OpenSearch 3.8 of its own (or `--url`, an empty one) with the enrichment installed; the day of
../shared/story, the captures of ../shared/eve (their types of event and fields), and copies of the day a week apart
until there are `--events` of them, in an index a type and day. Then two windows of `--window` events each (3,000 is a
minute of 4 million a day): `quiet`, in which no hunt has a hit, and `hits`, in which 1,000 are, as the story has them
or (`--spread`) evenly over the hunts. A window is a range of `hunt.ingested`, when the events were written,
of whole seconds.

The hunts: those for which one event is a finding, in elastalert a rule of type `any` whose filter is the very query
that we send. Left out, for both: hunts with a threshold (their groups are no rule of elastalert), and hunts that have
no field to ask here (we send nothing for them). First both must find the same (index, id) pairs for every hunt, then
they are timed, alternately, in every second round in reverse.

Ours is `run_pass`, whole: census, counting, paging, findings, ledger, watermark. Theirs is
`ElastAlerter.handle_rule_execution`, which is what its scheduler runs, for all rules in a pool of 10 or 20 threads.
What was chosen, and whom it favours:

- neither: time is taken inside two processes that run already, connected, after a run that is not counted; start-up,
  imports and reading rules or hunts are left out. Both forget the window between runs, out of the time taken. Both are
  given the same index pattern and fetch the same fields.
- theirs: Python 3.12 or newer, which it needs, and ours whatever runs this; all rules are due at once, without the
  random delay of up to 15 s of its scheduler; its searches for pending alerts and changed rule files are left out; the
  alerter does nothing; the window is one query (`buffer_time` longer), `max_query_size` is 1,000 rather than 10,000,
  `realert` 0.
- ours: one search first tells in which indices the window has which types of event, and whether any text in it is too
  long for its keyword, and hunts are asked accordingly; a rule of elastalert has one query and one pattern. Mappings
  and compiled hunts are kept from pass to pass until the cluster changes, as a service keeps them. We count first and
  page what has hits, so a quiet window costs us counts; elastalert asks for the events, sorted. That is the design that
  is compared. Its debug mode would write nothing and is not a pass.

Reported, medians with least and most: wall time; CPU time of the client's process; CPU time of the engine's (its own
count); requests of the client and searches of shards by a run more, which is not timed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from elastalert2 import ENVIRONMENT, WRITEBACK, create_indices, elastalert_python, rule_of, write_rules
from ground import HITS, Ground, Pairs, hits, prepared, say, settings_in

from connector.embedded.node import running_node
from connector.hunts.asking.asking import Window
from connector.hunts.asking.questions import Known
from connector.hunts.passes.passes import Order, run_pass
from connector.siem.client import Siem
from connector.siem.wire import PlainWire

THREADS = (10, 20)
SETTLE_SECONDS = 1.2  # the engine counts its CPU time once a second
CONFIG = {"run_every": {"minutes": 1}, "buffer_time": {"hours": 1}, "max_query_size": 1000}

# runs in elastalert's own environment: one JSON line of orders in, one of measures out
THEIR_SIDE = """
import json, logging, sys, time
from concurrent.futures import ThreadPoolExecutor
from elastalert.alerts import Alerter
from elastalert.elastalert import ElastAlerter
from elastalert.util import unixms_to_dt

class Quiet(Alerter):
    def alert(self, matches):
        pass
    def get_info(self):
        return {"type": "quiet"}

class Requests(logging.Handler):
    seen = 0
    def emit(self, record):
        self.seen += 1

server = ElastAlerter(["--config", sys.argv[1], "--pin_rules"])
pools = {}
requests = Requests()
wire = logging.getLogger("elasticsearch")
logging.getLogger("urllib3").setLevel(logging.ERROR)  # a writeback pool of 10 connections is full at 20 threads
wire.propagate = False
print(json.dumps({"rules": len(server.rules)}), flush=True)
for line in sys.stdin:
    order = json.loads(line)
    pool = pools.setdefault(order["threads"], ThreadPoolExecutor(order["threads"]))
    server.args.end = unixms_to_dt(order["end"])
    for rule in server.rules:
        rule["initial_starttime"] = unixms_to_dt(order["start"])
        rule["processed_hits"].clear()
    requests.seen = 0
    (wire.addHandler if order["count"] else wire.removeHandler)(requests)
    wire.setLevel(logging.INFO if order["count"] else logging.WARNING)
    wall, cpu = time.perf_counter(), time.process_time()
    list(pool.map(server.handle_rule_execution, server.rules))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    off = [rule["name"] for rule in server.disabled_rules]
    print(json.dumps({"wall": wall, "cpu": cpu, "requests": requests.seen, "off": off}), flush=True)
"""


# the two sides


@dataclass(frozen=True)
class Sample:
    """One run: seconds on the wall, of CPU in the client and in the engine, and the requests if they were counted."""

    wall: float
    cpu: float
    engine_cpu: float = 0.0
    requests: int = 0
    searches: int = 0


class CountingWire(PlainWire):
    """A wire that counts its calls."""

    calls = 0

    def call(self, *args: Any, **more: Any) -> Any:
        """Return the decoded answer."""
        self.calls += 1
        return super().call(*args, **more)


class Ours:
    """Passes over a window, each as if it were the first."""

    name = "our pass"

    def __init__(self, ground: Ground) -> None:
        """Connect."""
        self._ground = ground
        self._wire = CountingWire(ground.settings.siem)
        self._siem = Siem(self._wire, ground.siem.product)
        self._known = Known()

    def forget(self) -> None:
        """Remove what a pass has written."""
        for name in ("findings", "state", "runs", "seen"):
            _empty(self._ground.siem, self._ground.settings.state(name))

    def run(self, window: Window, count: bool = False) -> Sample:
        """Run a pass."""
        before = self._wire.calls
        wall, cpu = time.perf_counter(), time.process_time()
        self.passed(window)
        return Sample(time.perf_counter() - wall, time.process_time() - cpu, requests=self._wire.calls - before)

    def passed(self, window: Window) -> dict[str, int]:
        """Return the number of hits by hunt that a pass over this window has."""
        start, end = (datetime.fromtimestamp(at / 1000, UTC) for at in (window.start, window.end))
        order = Order(self._ground.hunts, timedelta(), end - start)
        done = run_pass(self._siem, self._ground.settings, order, lambda: end, lambda *_: None, known=self._known)
        if done.failed or (done.start, done.end) != (start, end):
            raise SystemExit(f"the pass failed: {done}")
        return {hunt.name: hunt.hits for hunt in done.hunts}

    def pairs(self, window: Window) -> Pairs:
        """Return where the hits of each hunt are; SystemExit if a pass does not have them all."""
        self.forget()
        found = hits(self._siem, self._ground.asked(), window)
        if (told := self.passed(window)) != {name: len(places) for name, places in found.items()}:
            raise SystemExit(f"a pass has other hits than there are: {told}")
        return found


class Theirs:
    """Runs of all rules of elastalert, in a process of its own, in a pool of threads."""

    def __init__(self, ground: Ground, process: subprocess.Popen[str], threads: int) -> None:
        """Take a process that is ready."""
        self.name = f"elastalert2, {threads} threads"
        self._ground, self._process, self._threads = ground, process, threads

    def forget(self) -> None:
        """Remove what a run has written; what it holds in memory it forgets itself before the next one."""
        _empty(self._ground.siem, f"{WRITEBACK}*")

    def run(self, window: Window, count: bool = False) -> Sample:
        """Run all rules."""
        order = {"start": window.start, "end": window.end, "threads": self._threads, "count": count}
        told = _asked_of(self._process, order)
        if told["off"]:
            raise SystemExit(f"elastalert has given up rules: {told['off']}")
        return Sample(told["wall"], told["cpu"], requests=told["requests"])

    def pairs(self, window: Window) -> Pairs:
        """Return where the hits of each rule are, as elastalert has written them down."""
        self.forget()
        self.run(window)
        siem = self._ground.siem
        siem.call("POST", f"/{WRITEBACK}*/_refresh")
        ran = {hit["_source"]["rule_name"] for hit in siem.scan(f"{WRITEBACK}_status", {})}
        errors = [hit["_source"]["message"] for hit in siem.scan(f"{WRITEBACK}_error", {})]
        if errors or ran != {hunt.name for hunt in self._ground.hunts}:
            raise SystemExit(f"elastalert has run {len(ran)} rules of {len(self._ground.hunts)}: {errors[:3]}")
        found: Pairs = {name: set() for name in ran}
        for hit in siem.scan(WRITEBACK, {}):
            match = hit["_source"]["match_body"]
            found[hit["_source"]["rule_name"]].add((match["_index"], match["_id"]))
        return found


def _empty(siem: Siem, index: str) -> None:
    """Remove all documents of an index of either side."""
    siem.call("POST", f"/{index}/_refresh")
    siem.call("POST", f"/{index}/_delete_by_query", {"query": {"match_all": {}}}, refresh=True)


def _asked_of(process: subprocess.Popen[str], order: Mapping[str, Any] | None = None) -> Any:
    """Return what elastalert's process answers to an order, or says when it is ready."""
    assert process.stdin and process.stdout
    if order:
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
    if not (line := process.stdout.readline()):
        raise SystemExit("elastalert has ended: what it said stands above")
    return json.loads(line)


@contextmanager
def elastalert(ground: Ground, python: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Hold a process with all rules loaded, its own indices made, for the length of a with statement."""
    rules = [rule_of(each, alert=["__main__.Quiet"]) for each in ground.asked()]
    config = write_rules(folder, ground.settings.siem.urls[0], rules, CONFIG)
    create_indices(python, config)
    start = [str(python), "-c", THEIR_SIDE, str(config)]
    with subprocess.Popen(start, stdin=-1, stdout=-1, text=True, env=ENVIRONMENT) as process:
        if (told := _asked_of(process))["rules"] != len(ground.hunts):
            raise SystemExit(f"elastalert has loaded {told['rules']} rules of {len(ground.hunts)}")
        yield process


# measuring

Side = Ours | Theirs


def check(sides: Sequence[Side], ground: Ground) -> dict[str, int]:
    """Return the number of hits by window, the same places on both sides; SystemExit otherwise."""
    numbers = {}
    for name, window in ground.windows.items():
        ours, *theirs = (side.pairs(window) for side in sides)
        for side, found in zip(sides[1:], theirs, strict=True):
            wrong = {hunt: (len(ours[hunt] - found[hunt]), len(found[hunt] - ours[hunt])) for hunt in ours}
            if different := {hunt: numbers for hunt, numbers in wrong.items() if any(numbers)}:
                raise SystemExit(f"{name}, {side.name}: not the same hits (only ours, only theirs): {different}")
        numbers[name] = sum(map(len, ours.values()))
        say(f"{name}: all find the same {numbers[name]} hits, of {sum(map(bool, ours.values()))} hunts")
    if (numbers["quiet"], numbers["hits"]) != (0, HITS):
        raise SystemExit(f"the windows are not as they were made: {numbers}")
    return numbers


def measured(sides: Sequence[Side], ground: Ground, rounds: int) -> dict[tuple[str, str], list[Sample]]:
    """Return the samples by side and window; the first is the one whose requests were counted, and not timed."""
    samples: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for number in range(rounds + 1):
        for side in sides if number % 2 else sides[::-1]:
            for name, window in ground.windows.items():
                sample = observed(ground.siem, side, window, count=number == 0)
                samples[side.name, name].append(sample)
                say(f"round {number} {side.name:24} {name:6} {sample.wall * 1000:8.0f} ms")
    return samples


def observed(siem: Siem, side: Side, window: Window, count: bool) -> Sample:
    """Return a run with what the engine says of it."""
    side.forget()
    time.sleep(SETTLE_SECONDS)
    before = _engine(siem)
    sample = side.run(window, count)
    time.sleep(SETTLE_SECONDS)
    after = _engine(siem)
    return replace(sample, engine_cpu=after[0] - before[0], searches=after[1] - before[1])


def _engine(siem: Siem) -> tuple[float, int]:
    """Return the seconds of CPU that the engine has used, and the searches of its shards, since it began."""
    (node,) = siem.call("GET", "/_nodes/stats/process,indices/search")["nodes"].values()
    return node["process"]["cpu"]["total_in_millis"] / 1000, node["indices"]["search"]["query_total"]


def result(sides: Sequence[Side], ground: Ground, samples: Mapping[tuple[str, str], list[Sample]]) -> dict[str, Any]:
    """Return all figures, times in milliseconds as [median, least, most]."""
    rows: dict[str, Any] = {}
    for side in sides:
        quiet, busy = samples[side.name, "quiet"], samples[side.name, "hits"]
        counted = {"quiet": quiet[0], "hits": busy[0]}
        rows[side.name] = {
            name: {
                **{what: _spread([getattr(s, what) * 1000 for s in timed]) for what in ("wall", "cpu", "engine_cpu")},
                "requests": counted[name].requests,
                "searches": counted[name].searches,
            }
            for name, timed in (("quiet", quiet[1:]), ("hits", busy[1:]))
        }
        each = [(b.wall - q.wall) * 1000 / HITS for q, b in zip(quiet[1:], busy[1:], strict=True)]
        difference = rows[side.name]["hits"]["wall"][0] - rows[side.name]["quiet"]["wall"][0]
        rows[side.name]["ms a hit"] = [round(difference / HITS, 4), *_spread(each)[1:]]
    ours, *theirs = rows.values()
    return {
        "engine": str(ground.siem.product),
        "hunts": len(ground.hunts),
        "left out": {why: list(names) for why, names in ground.left_out.items()},
        "sides": rows,
        "quiet: theirs / ours": round(min(r["quiet"]["wall"][0] for r in theirs) / ours["quiet"]["wall"][0], 2),
        "a hit: theirs / ours": round(min(r["ms a hit"][0] for r in theirs) / ours["ms a hit"][0], 2),
    }


def _spread(values: Sequence[float]) -> list[float]:
    """Return median, least and most."""
    return [round(value, 4) for value in (statistics.median(values), min(values), max(values))]


def table(figures: Mapping[str, Any]) -> str:
    """Return the figures for people."""
    lines = [f"{figures['engine']}, {figures['hunts']} hunts; milliseconds: median (least to most)"]
    lines += [f"left out, {why}: {len(names)}: {', '.join(names)}" for why, names in figures["left out"].items()]
    head = ("wall", "client CPU", "engine CPU")
    lines.append(f"{'':32}" + "".join(f"{name:>24}" for name in head) + "   requests  shard searches")
    for side, row in figures["sides"].items():
        for name in ("quiet", "hits"):
            times = "".join(f"{_told(row[name][what]):>24}" for what in ("wall", "cpu", "engine_cpu"))
            lines.append(f"{side:24} {name:7}{times} {row[name]['requests']:10} {row[name]['searches']:15}")
        lines.append(f"{side:24} a hit  {_told(row['ms a hit'], 3):>24}")
    lines.append(f"quiet window: their best takes {figures['quiet: theirs / ours']} times as long (target 5)")
    lines.append(f"a hit: their best takes {figures['a hit: theirs / ours']} times as long (target 3)")
    return "\n".join(lines)


def _told(spread: Sequence[float], digits: int = 0) -> str:
    """Return median, least and most in one text."""
    middle, least, most = (f"{value:.{digits}f}" for value in spread)
    return f"{middle} ({least} to {most})"


def compare(url: str, args: argparse.Namespace) -> dict[str, Any]:
    """Return the figures, measured on the engine at that url."""
    python = elastalert_python(args.python)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = settings_in(folder, url)
        with Siem.connect(settings.siem) as siem:
            ground = prepared(siem, settings, folder, args.events, args.window, args.spread)
            with elastalert(ground, python, folder) as process:
                sides: list[Side] = [Ours(ground), *(Theirs(ground, process, threads) for threads in THREADS)]
                check(sides, ground)
                return result(sides, ground, measured(sides, ground, args.rounds))


def main() -> None:
    """Parse the command line and measure, on a given or an own engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a running engine without events; without it OpenSearch is started")
    parser.add_argument("--python", help="the Python, 3.12 or newer, for elastalert's environment")
    parser.add_argument("--rounds", type=int, default=5, help="that are timed")
    parser.add_argument("--events", type=int, default=200_000, help="before the windows")
    parser.add_argument("--window", type=int, default=3000, help="events in each window")
    parser.add_argument("--spread", action="store_true", help="the hits evenly over the hunts")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    args = parser.parse_args()
    if args.url:
        figures = compare(args.url, args)
    else:
        with running_node() as node:
            figures = compare(node.url, args)
    print(json.dumps(figures, indent=2) if args.json else table(figures))


if __name__ == "__main__":
    main()
