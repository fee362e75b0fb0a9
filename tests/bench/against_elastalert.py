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
import gzip
import json
import math
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from connector.embedded.node import running_node
from connector.embedded.places import cache_folder
from connector.enrich.assets import build_assets
from connector.enrich.tables import build_tables
from connector.hunts.asking import CONTEXT, Window, counts
from connector.hunts.catalogue import load_catalogue
from connector.hunts.hunt import Hunt
from connector.hunts.mapped import INGESTED, mapped
from connector.hunts.members import Place, of_window
from connector.hunts.needs import every_event
from connector.hunts.passes import Order, run_pass
from connector.hunts.questions import Asked, Known, asked
from connector.settings.load import load_settings
from connector.settings.model import Settings
from connector.siem.client import Siem
from connector.siem.eve import line_id
from connector.siem.install import install, plan
from connector.siem.load import load_files
from connector.siem.wire import PlainWire

SHARED = Path(__file__).parents[3] / "shared"
VERSION = "2.31.0"
PYTHONS = ("python3.14", "python3.13", "python3.12", "python3")
DAY = date(2026, 11, 2)
HITS = 1000
THREADS = (10, 20)
WRITEBACK = "elastalert"
SETTLE_SECONDS = 1.2  # the engine counts its CPU time once a second
STAMP = re.compile(rb'("timestamp" *: *")\d{4}-\d\d-\d\d')
Pairs = dict[str, set[tuple[str, str]]]  # by hunt, where its hits are

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


def say(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr, flush=True)


# elastalert's environment


def elastalert_python(wanted: str | None = None) -> Path:
    """Return the Python of an environment with elastalert2, made in the cache folder if it is not there.

    `wanted` is the Python to make it with; without it the newest is taken that is found. SystemExit if there is none.
    """
    for candidate in [wanted] if wanted else _pythons():
        version = _version(candidate)
        if version < (3, 12):
            continue
        folder = cache_folder() / f"elastalert2-{VERSION}-python{version[0]}.{version[1]}"
        python, done = folder / "bin" / "python", folder / "complete"
        if not done.exists():
            say(f"installing elastalert2 {VERSION} into {folder}")
            subprocess.run([candidate, "-m", "venv", "--clear", str(folder)], check=True)
            subprocess.run([str(python), "-m", "pip", "install", "-q", f"elastalert2=={VERSION}"], check=True)
            done.touch()
        return python
    raise SystemExit(f"elastalert2 {VERSION} needs Python 3.12 or newer, and none was found: name one with --python")


def _pythons() -> Iterator[str]:
    """Yield the Pythons of the path and of pyenv, the newest of each first."""
    yield from filter(None, map(shutil.which, PYTHONS))
    found = (Path.home() / ".pyenv" / "versions").glob("3.*/bin/python")
    yield from map(str, sorted(found, key=lambda p: [int(n) for n in re.findall(r"\d+", p.parts[-3])], reverse=True))


def _version(python: str) -> tuple[int, int]:
    """Return the version of a Python, (0, 0) if it does not run."""
    asking = [python, "-c", "import sys; print(*sys.version_info[:2])"]
    told = subprocess.run(asking, capture_output=True, text=True, check=False).stdout.split()
    return (int(told[0]), int(told[1])) if len(told) == 2 else (0, 0)


# the ground


@dataclass(frozen=True)
class Ground:
    """A search engine with events, the hunts that have something to ask there, and the windows to ask."""

    siem: Siem
    settings: Settings
    hunts: tuple[Hunt, ...]
    windows: Mapping[str, Window]
    left_out: Mapping[str, tuple[str, ...]]

    def asked(self) -> tuple[Asked, ...]:
        """Return the hunts with their questions."""
        return asked(mapped(self.siem, self.settings, self.hunts), self.hunts)


def lines_of(pattern: str, day: date) -> list[bytes]:
    """Return the events of the shared files as lines, all of that day; a line without a time is left out."""
    found = [line for file in sorted(SHARED.glob(pattern)) for line in gzip.decompress(file.read_bytes()).splitlines()]
    return [line for old in found if (line := dated(old.strip(), day)) is not None]


def dated(line: bytes, day: date) -> bytes | None:
    """Return an event with its time on another day, None if it has no time."""
    made, number = STAMP.subn(rb"\g<1>" + day.isoformat().encode(), line, count=1)
    return made if number else None


def prepared(siem: Siem, settings: Settings, folder: Path, events: int, window: int, spread: bool) -> Ground:
    """Return the ground, all events loaded; the last two portions are the windows."""
    install(siem, plan(siem, build_assets(settings, build_tables(settings))))
    every = load_catalogue(settings).hunts
    single = [hunt for hunt in every if every_event(hunt.needs)]
    loading = Loading(siem, settings, folder)
    story = lines_of("story/eve-suricata8.json.gz", DAY)
    whole = loading.load(story)
    loading.load(lines_of("eve/suricata8-*.json.gz", DAY - timedelta(days=3)))
    weeks = 0
    while loading.stored < events:
        weeks += 1
        loading.load([line for old in story if (line := dated(old, DAY - timedelta(weeks=weeks)))])
    able = [each for each in asked(mapped(siem, settings, single), single) if each.questions]
    by_line = hits_by_line(story, hits(siem, able, whole))
    ordinary = [line for number, line in enumerate(story) if number not in by_line]
    chosen = random.Random(1)
    found = [story[number] for number in chosen_hits(by_line, spread, chosen)]
    windows = {"quiet": loading.load(chosen.sample(ordinary, window))}
    windows["hits"] = loading.load([*found, *chosen.sample(ordinary, max(0, window - len(found)))])
    names = {"threshold": [h.name for h in every if not every_event(h.needs)]}
    names["no field to ask"] = [h.name for h in single if h.id not in {each.hunt.id for each in able}]
    left_out = {why: tuple(which) for why, which in names.items()}
    say(f"{loading.stored} events, {len(able)} hunts")
    return Ground(siem, settings, tuple(each.hunt for each in able), windows, left_out)


class Loading:
    """Loads portions of events, each into a window of its own."""

    def __init__(self, siem: Siem, settings: Settings, folder: Path) -> None:
        """Write the files to the folder."""
        self._siem, self._settings, self._file = siem, settings, folder / "events.json"
        self._first = 0
        self.stored = 0

    def load(self, lines: Sequence[bytes]) -> Window:
        """Return the window that has exactly these events.

        Blank lines come first, because an event's id comes from its line and its number: the same event is new again.
        """
        start = _boundary()
        self._file.write_bytes(b"\n" * self._first + b"\n".join(lines) + b"\n")
        self._first += len(lines)
        (loaded,) = load_files(self._siem, [str(self._file)], self._settings.prefix, lambda *_: None).files
        self.stored += loaded.stored
        window = Window(start, _boundary())
        if self._siem.count(self._settings.events, window.filter) != loaded.stored:
            raise SystemExit(f"the window has not the {loaded.stored} events that were stored: {loaded}")
        return window


def _boundary() -> int:
    """Return the next whole second as epoch milliseconds, once it is over; elastalert cuts `unix_ms` to seconds."""
    second = math.floor(time.time()) + 1
    time.sleep(second - time.time() + 0.05)
    return second * 1000


def hits(siem: Siem, able: Sequence[Asked], window: Window) -> Pairs:
    """Return where the hits of each hunt are, counted and paged as a pass does it."""
    counted = iter(counts(siem, [(question, [window.filter]) for each in able for question in each.questions]))
    found: Pairs = {}
    for each in able:
        numbers = [next(counted) for _ in each.questions]
        paged = of_window(Place(siem, ""), each, each, window, numbers).events if any(numbers) else ()
        found[each.hunt.name] = {(hit.index, hit.id) for hit, _ in paged}
    return found


def hits_by_line(lines: Sequence[bytes], found: Pairs) -> dict[int, list[str]]:
    """Return the numbers of the lines (the first loaded) that have hits, each with the hunts."""
    hunts: dict[str, list[str]] = defaultdict(list)
    for hunt, places in found.items():
        for _, id in places:
            hunts[id].append(hunt)
    numbers = {line_id(line, number): number - 1 for number, line in enumerate(lines, 1)}
    return {numbers[id]: names for id, names in hunts.items()}


def chosen_hits(by_line: Mapping[int, Sequence[str]], spread: bool, chosen: random.Random) -> list[int]:
    """Return numbers of lines that have 1,000 hits together; a line comes again where there are not enough."""
    turns = _lines_by_hunt(by_line) if spread else [list(by_line)]
    for turn in turns:
        chosen.shuffle(turn)
    picked: list[int] = []
    left = HITS
    for number in islice(chain.from_iterable(zip(*map(cycle, turns), strict=True)), 100 * HITS):
        if len(by_line[number]) <= left:
            picked.append(number)
            left -= len(by_line[number])
        if not left:
            return picked
    raise SystemExit(f"{left} of {HITS} hits cannot be made of the story")


def _lines_by_hunt(by_line: Mapping[int, Sequence[str]]) -> list[list[int]]:
    """Return the lines of each hunt that has any."""
    lines: dict[str, list[int]] = defaultdict(list)
    for number, hunts in by_line.items():
        for hunt in hunts:
            lines[hunt].append(number)
    return list(lines.values())


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
    config = write_rules(ground, folder)
    environment = {"PATH": os.defpath}  # of variables that it would put into rules, none
    create = [str(python), "-m", "elastalert.create_index", "--config", str(config), "--recreate", "True"]
    subprocess.run(create, check=True, env=environment, stdout=sys.stderr)
    start = [str(python), "-c", THEIR_SIDE, str(config)]
    with subprocess.Popen(start, stdin=-1, stdout=-1, text=True, env=environment) as process:
        if (told := _asked_of(process))["rules"] != len(ground.hunts):
            raise SystemExit(f"elastalert has loaded {told['rules']} rules of {len(ground.hunts)}")
        yield process


def write_rules(ground: Ground, folder: Path) -> Path:
    """Write a rule for each hunt and elastalert's configuration into the folder, and return that file."""
    rules = folder / "rules"
    rules.mkdir()
    for each in ground.asked():
        (rules / f"{each.hunt.name}.yaml").write_text(yaml.safe_dump(rule_of(each)), encoding="utf-8")
    host, port = urlsplit(ground.settings.siem.urls[0]).netloc.split(":")
    times = {"run_every": {"minutes": 1}, "buffer_time": {"hours": 1}}
    config = {"rules_folder": str(rules), "es_host": host, "es_port": int(port), "writeback_index": WRITEBACK, **times}
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, "max_query_size": 1000}), encoding="utf-8")
    return folder / "config.yaml"


def rule_of(each: Asked) -> dict[str, Any]:
    """Return a hunt as a rule of elastalert."""
    (question,) = each.questions
    names = dict.fromkeys((*each.hunt.fields, *CONTEXT, question.source.time_field))
    return {
        "name": each.hunt.name,
        "type": "any",
        "index": question.source.pattern,
        "filter": [question.compiled.query],
        "timestamp_field": INGESTED,
        "timestamp_type": "unix_ms",
        "include": [question.stored(name) for name in names],
        "realert": {"minutes": 0},
        "alert": ["__main__.Quiet"],
    }


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
        for file in ("networks.yml", "resolvers.yml"):
            shutil.copy(SHARED / "story" / file, folder)
        (folder / "hunts.yml").write_text(f"siem: {{url: '{url}'}}\n", encoding="utf-8")
        settings = load_settings(folder / "hunts.yml", {})
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
