"""The service beside a steady stream of events: does it keep up, count each event once, and what does it cost?

    python tests/bench/steady.py [--minutes 30] [--off-minutes 3] [--rate 2000] [--lag 10] [--json] [--logs FOLDER]

An OpenSearch 3.8 of its own with the enrichment, a process that stores real events at a steady rate through it
(`steady_load.py`), and `hunts serve` with all hunts: a pass every 10 s, an audit every minute. After that the same
load without the service.

    passes     from the ledger: how many, how late turns began, and any stretch of time that no pass has looked at
    counting   every finding of every hunt for which one event is enough: its count against the number of stored events
               that match, where the Python predicate judges each line of the files as it is stored, and the engine says
               how often each line was stored. The hunts' own queries are counted over everything as well
    latency    from `hunt.ingested` of a matching event to the end of the live pass that had it in its window; and, seen
               from outside, from storing a marked event every 5 s to when its finding can be read
    service    its memory and processor time
    engine     processor time of the Java process and `_nodes/stats` of searches, with and without the service

Needs two processors at least: loader, service and engine share one machine. Ends with 1 if a stretch of time was left
out or a count is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from ground import installed, say, settings_in
from rich.console import Console
from rich.table import Table

from connector.embedded.folder import Node
from connector.embedded.node import running_node
from connector.hunts.asking.asking import Window, text_key
from connector.hunts.asking.groups import group_keys
from connector.hunts.asking.mapped import INGESTED, mapped
from connector.hunts.asking.questions import asked
from connector.hunts.asking.tally import Tally
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import every_event
from connector.hunts.conditions.condition import query_only
from connector.hunts.conditions.predicate import Predicate, predicate
from connector.hunts.passes.findings import Addition
from connector.hunts.passes.passes import Order, run_pass
from connector.hunts.passes.todo import LIVE
from connector.hunts.passes.watermark import CENSUS, State, read_state
from connector.settings.model import Settings, SiemSettings
from connector.siem.client import Siem
from connector.siem.eve import Layout
from connector.siem.event_template import put_if_needed

EVERY = 10
AUDIT_EVERY = 60
WARM_UP = 60_000  # events
PATIENCE = 600  # seconds for the service to catch up at the end
TICK = os.sysconf("SC_CLK_TCK")
LOADER = Path(__file__).with_name("steady_load.py")
CANARY = "public-dns-queries"
CANARY_SECONDS, CANARY_POLL = 5, 0.25
RESOLVER = "8.8.8.8"
BUCKET_MS = 100  # of the histogram of matching events
Json = dict[str, Any]


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process."""
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(times[11]) + int(times[12])) / TICK


def rss_mb(pid: int) -> float:
    """Return the memory of a process in MB (1,000,000 bytes)."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith("VmRSS"))


def children(pid: int) -> list[int]:
    """Return the child processes of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def spread(values: Sequence[float], digits: int = 2) -> Json:
    """Return median, 95th percentile and maximum."""
    ordered = sorted(values)
    if not ordered:
        return {"p50": None, "p95": None, "max": None}
    return {
        "p50": round(statistics.median(ordered), digits),
        "p95": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], digits),
        "max": round(ordered[-1], digits),
    }


@dataclass
class Engine:
    """The engine's processes, and what it has done so far."""

    siem: Siem
    node: Node

    def load(self) -> Json:
        """Return its processor time and its searches since it started."""
        pid = children(self.node.pid)[0]
        (node,) = self.siem.call("GET", "/_nodes/stats/indices/search")["nodes"].values()
        search = node["indices"]["search"]
        return {
            "seconds": time.monotonic(),
            "cpu_s": cpu_seconds(pid),
            "queries": search["query_total"],
            "query_s": search["query_time_in_millis"] / 1000,
            "fetches": search["fetch_total"],
            "fetch_s": search["fetch_time_in_millis"] / 1000,
        }


def difference(before: Json, after: Json) -> Json:
    """Return what the engine did between two times, a second of it."""
    passed = after["seconds"] - before["seconds"]
    each = {name: round((after[name] - before[name]) / passed, 3) for name in after if name != "seconds"}
    return {"seconds": round(passed, 1), **{f"{name}_per_second": value for name, value in each.items()}}


class Loader:
    """The process that stores events."""

    def __init__(self, url: str, rate: int, seconds: float, *, first: int = 0, warm_up: int = 0) -> None:
        """Start it, and return when it has warmed the engine up; it waits for `begin`."""
        given = {"--rate": rate, "--seconds": seconds, "--first": first, "--warm-up": warm_up}
        command = [sys.executable, str(LOADER), url, *(str(part) for pair in given.items() for part in pair)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit("the loader did not start")

    def begin(self) -> None:
        """Have it load."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> Json:
        """Return what it stored, when it has."""
        assert self.process.stdout
        said: Json = json.loads(self.process.stdout.readline())
        self.process.wait()
        return said


class Sampling(threading.Thread):
    """Looks at the service every second: its memory; and every pass at how long hunts took."""

    def __init__(self, siem: Siem, settings: Settings, pid: int) -> None:
        """Prepare; `start` begins."""
        super().__init__(daemon=True)
        self._siem, self._settings, self._pid = siem, settings, pid
        self._ending = threading.Event()
        self.began = time.monotonic()
        self.memory: list[tuple[float, float]] = []
        self.took: dict[str, list[int]] = defaultdict(list)
        self._seen: dict[str, str] = {}

    def run(self) -> None:
        """Sample until the end."""
        while not self._ending.wait(1):
            self.memory.append((time.monotonic() - self.began, rss_mb(self._pid)))
            if len(self.memory) % 3 == 0 and (found := read_state(self._siem, self._settings.state("state"))):
                self._note(found[0])

    def _note(self, state: State) -> None:
        """Note how long hunts took that were asked since the last time."""
        for id, last in state.last.items():
            if self._seen.get(id) != last["at"]:
                self._seen[id] = last["at"]
                self.took[id].append(last.get("took_ms", 0))

    def end(self) -> None:
        """Stop sampling."""
        self._ending.set()
        self.join()

    def result(self) -> Json:
        """Return the memory at its most, at first and at last, and minute by minute."""
        minutes: dict[int, float] = {}
        for at, value in self.memory:
            minutes[int(at // 60)] = max(minutes.get(int(at // 60), 0.0), value)
        most = [round(value, 1) for _, value in sorted(minutes.items())]
        return {"rss_mb_max": max(most), "rss_mb_by_minute": most}


class Canaries(threading.Thread):
    """Stores a marked event every few seconds, and sees from outside when its finding is there."""

    def __init__(self, siem: Siem, settings: Settings, hunt: Hunt) -> None:
        """Prepare; `start` begins."""
        super().__init__(daemon=True)
        self._siem, self._hunt, self._index = siem, hunt, settings.state("findings")
        self._ending, self._closed = threading.Event(), False
        self._open: dict[str, float] = {}
        self.stored = 0
        self.seconds: list[float] = []

    def run(self) -> None:
        """Store until it is closed, and look until the end."""
        due = time.monotonic()
        while not self._ending.wait(CANARY_POLL):
            if time.monotonic() >= due and not self._closed:
                due += CANARY_SECONDS
                self._store()
            self._look()

    def _store(self) -> None:
        """Store an event of a client of its own, so that its finding is a new one."""
        self.stored += 1
        now, client = datetime.now(UTC), f"10.99.{self.stored >> 8}.{self.stored & 255}"
        event = {
            "@timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.%f+0000"),
            "event_type": "dns",
            "src_ip": client,
            "src_port": 40000,
            "dest_ip": RESOLVER,
            "dest_port": 53,
            "proto": "UDP",
            "dns": {"type": "query", "id": 1, "rrname": f"canary-{self.stored}.example.com", "rrtype": "A", "tx_id": 0},
            "bench": {"line": -self.stored},
        }
        self._siem.call("POST", f"/logstash-dns-{now:%Y.%m.%d}/_doc", event)
        self._open[Addition(self._hunt, (client, RESOLVER), Tally({})).id] = time.monotonic()

    def _look(self) -> None:
        """See which findings are there now; it does not wait for a refresh."""
        if not self._open:
            return
        answer = self._siem.call("POST", f"/{self._index}/_mget", {"ids": list(self._open)}, _source=False)
        now = time.monotonic()
        for found in answer["docs"]:
            if found.get("found"):
                self.seconds.append(now - self._open.pop(found["_id"]))

    def close(self) -> None:
        """Store no more."""
        self._closed = True

    def end(self) -> None:
        """Look no more."""
        self._ending.set()
        self.join()

    def result(self) -> Json:
        """Return how many were stored and found, and how long it took."""
        return {"stored": self.stored, "found": len(self.seconds), **spread(self.seconds)}


@dataclass
class Service:
    """`hunts serve` as a process."""

    settings: Settings
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start it."""
        main = "from connector.cli import main; main()"
        command = [sys.executable, "-c", main, "--settings", str(self.settings.file), "serve"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def stop(self) -> float:
        """Ask it to end, and return how many seconds that took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        return time.monotonic() - began

    def troubles(self) -> Counter[str]:
        """Return what it has said that was not well."""
        said: Counter[str] = Counter()
        for line in self.log.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line) if line.startswith("{") else {"message": line, "log.level": "error"}
            if entry.get("log.level") != "info":
                said[entry["message"]] += 1
        return said


@dataclass(frozen=True)
class Place:
    """Where it all happens: the engine, the settings and the hunts."""

    engine: Engine
    settings: Settings
    hunts: tuple[Hunt, ...]

    @property
    def siem(self) -> Siem:
        """Return the connection."""
        return self.engine.siem

    @property
    def single(self) -> list[Hunt]:
        """Return the hunts for which one event is enough, and that have something to ask."""
        return [hunt for hunt in self.hunts if every_event(hunt.needs) and not hunt.not_set_up]


@contextmanager
def prepared(lag: int, logs: Path) -> Iterator[Place]:
    """Hold an engine with the enrichment, and settings for the service."""
    with tempfile.TemporaryDirectory(prefix="hunts-steady-") as name, ExitStack() as held:
        node = held.enter_context(running_node(heap="2g"))
        service = {
            "every": f"{EVERY}s",
            "lag": f"{lag}s",
            "lease": "10s",
            "audit_every": f"{AUDIT_EVERY}s",
            "listen": "off",
        }
        settings = settings_in(Path(name), node.url, service=service)
        siem = held.enter_context(Siem.connect(SiemSettings(urls=(node.url,))))
        put_if_needed(siem, settings.prefix, Layout())
        installed(siem, settings)
        logs.mkdir(parents=True, exist_ok=True)
        yield Place(Engine(siem, node), settings, load_catalogue(settings).active)


def with_service(place: Place, rate: int, minutes: float, log: Path) -> Json:
    """Return what came of the service at work while events are stored."""
    hunt = next(hunt for hunt in place.hunts if hunt.name == CANARY)
    loader = Loader(place.engine.node.url, rate, minutes * 60, warm_up=WARM_UP)
    service = Service(place.settings, log)
    _begin(place)
    loader.begin()
    service.start()
    sampling = Sampling(place.siem, place.settings, service.process.pid)
    canaries = Canaries(place.siem, place.settings, hunt)
    sampling.start()
    canaries.start()
    try:
        before = place.engine.load()
        stored = loader.end()
        after, cpu = place.engine.load(), cpu_seconds(service.process.pid)
        say(f"stored: {stored}")
        canaries.close()
        caught_up = _caught_up(place, service)
        canaries.end()
        sampling.end()
        seconds = after["seconds"] - before["seconds"]
        result = {"stop_s": service.stop()}
    finally:
        service.process.kill()
        loader.process.kill()
    named = {each.id: each.name for each in place.hunts}
    slow = sorted(sampling.took.items(), key=lambda item: -max(item[1]))[:12]
    return {
        "loader": stored,
        "canaries": canaries.result(),
        "caught_up_s": round(caught_up, 1),
        "service": {
            **sampling.result(),
            "cpu_share": round(cpu / seconds, 3),
            **result,
            "said": dict(service.troubles()),
            "slowest_hunts_ms": {named.get(id, id): {"asked": len(took), **spread(took, 0)} for id, took in slow},
        },
        "engine": difference(before, after),
    }


def _begin(place: Place) -> None:
    """Make the first pass, as `hunts pass --since` does: what is stored before it is not looked at."""
    place.siem.call("POST", f"/{place.settings.events}/_refresh")
    order = Order(place.hunts, timedelta(), since=timedelta(milliseconds=1))
    run_pass(place.siem, place.settings, order, lambda: datetime.now(UTC), lambda *_: None)


def _caught_up(place: Place, service: Service) -> float:
    """Return after how many seconds all events were looked at, once an audit was made after that and is done with."""
    began = time.monotonic()
    time.sleep(EVERY)  # what is on its way is stored then
    place.siem.call("POST", f"/{place.settings.events}/_refresh")
    body = {"size": 0, "aggs": {"last": {"max": {"field": INGESTED}}}}
    last = place.siem.search(place.settings.events, body)["aggregations"]["last"]["value"]
    _nothing_missing(place, service, last)
    passed = time.monotonic() - began
    time.sleep(AUDIT_EVERY + 2 * EVERY)
    _nothing_missing(place, service, last)
    return passed


def _nothing_missing(place: Place, service: Service, until: int) -> None:
    """Return when passes have come so far and hunts that need one event have nothing left before that."""
    single = {CENSUS, *(hunt.id for hunt in place.single)}
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = read_state(place.siem, place.settings.state("state"))
        if found and found[0].watermark >= until and all(found[0].done_until(id) >= until for id in single):
            return
        if service.process.poll() is not None:
            raise SystemExit(f"the service has ended: {service.log.read_text()[-3000:]}")
        time.sleep(1)
    raise SystemExit(f"the service did not catch up within {PATIENCE} s")


def passes(place: Place) -> tuple[Json, list[Json]]:
    """Return what the ledger says of passes, and its entries."""
    index = place.settings.state("runs")
    place.siem.call("POST", f"/{index}/_refresh")
    entries = [hit["_source"] for hit in place.siem.scan(index, {"query": {"term": {"kind": "pass"}}})]
    entries.sort(key=lambda entry: entry["started"])
    covered = sorted((entry["from"], entry["to"]) for entry in entries)
    end, gaps = covered[0][0], []
    for start, upto in covered:
        if start > end:
            gaps.append((end, start))
        end = max(end, upto)
    live = [entry for entry in entries if entry["pass"] == LIVE]
    starts = [datetime.fromisoformat(entry["started"]).timestamp() for entry in live]
    apart = [b - a for a, b in pairwise(starts)]
    found = {
        "expected": round((starts[-1] - starts[0]) / EVERY) + 1,
        "live": len(live),
        "kinds": dict(Counter(entry["pass"] for entry in entries)),
        "ms_not_covered": sum(upto - start for start, upto in gaps),
        "seconds_between_starts": spread(apart),
        "starts_later_than_1_s": sum(1 for each in apart if each > EVERY + 1),
        "took_s": spread([entry["took_ms"] / 1000 for entry in live]),
        "events": sum(entry["events"] for entry in entries if entry["pass"] == LIVE),
        "errors": sum(len(entry["errors"]) for entry in entries),
        "took_s_by_minute": _by_minute(live),
    }
    return found, entries


def _by_minute(live: Sequence[Json]) -> list[float]:
    """Return the longest pass of each minute in seconds."""
    first = datetime.fromisoformat(live[0]["started"]).timestamp()
    most: dict[int, float] = {}
    for entry in live:
        minute = int((datetime.fromisoformat(entry["started"]).timestamp() - first) // 60)
        most[minute] = max(most.get(minute, 0.0), entry["took_ms"] / 1000)
    return [round(value, 1) for _, value in sorted(most.items())]


def counting(place: Place, window: Window) -> Json:
    """Return whether findings count every matching event of a window once."""
    copies = _copies(place, window)
    judged = [hunt for hunt in place.single if not query_only(hunt.condition)]
    expected, pairs = _expected(place, judged, copies)
    ids = {hunt.id for hunt in judged}
    index = place.settings.state("findings")
    place.siem.call("POST", f"/{index}/_refresh")
    body = {"query": {"match_all": {}}, "_source": ["count", "hunt.id", "hunt.name", "group"]}
    hits = {hit["_id"]: hit["_source"] for hit in place.siem.scan(index, body)}
    found = {id: source["count"] for id, source in hits.items() if source["hunt"]["id"] in ids}
    wrong = [id for id in expected.keys() | found.keys() if expected[id] != found.get(id, 0)]
    return {
        "events": copies.total(),
        "lines": len(copies),
        "hunts": len(ids),
        "hunts_with_findings": len({hits[id]["hunt"]["id"] for id in found}),
        "findings": len(found),
        "findings_of_other_hunts": len(hits) - len(found),
        "event_hunt_pairs": pairs,
        "counted_by_findings": sum(found.values()),
        "expected": expected.total(),
        "findings_wrong": len(wrong),
        "wrong": [f"{_named(hits.get(id))}: {found.get(id, 0)} in place of {expected[id]}" for id in wrong[:10]],
    }


def _expected(place: Place, hunts: Sequence[Hunt], copies: Counter[int]) -> tuple[Counter[str], int]:
    """Return what each finding should count, by its id, given how often each line is stored; and the pairs behind."""
    by_type: dict[str, list[tuple[Hunt, Predicate]]] = defaultdict(list)
    for hunt in hunts:
        matches = predicate(hunt.condition)
        for kind in hunt.event_types:
            by_type[kind].append((hunt, matches))
    expected: Counter[str] = Counter()
    pairs = 0
    for line, event in _events(place, set(copies)):
        for hunt in [hunt for hunt, matches in by_type[event["event_type"]] if matches(event)]:
            pairs += copies[line]
            for key in {text_key(key) for key in group_keys(hunt, event, "eve")}:
                expected[Addition(hunt, key, Tally({})).id] += copies[line]
    return expected, pairs


def _named(finding: Json | None) -> str:
    """Return which finding it is."""
    return f"{finding['hunt']['name']} {finding['group']}" if finding else "no such finding"


def _copies(place: Place, window: Window) -> Counter[int]:
    """Return how often each line is stored in a window."""
    copies: Counter[int] = Counter()
    composite: Json = {"size": 10_000, "sources": [{"line": {"terms": {"field": "bench.line"}}}]}
    while True:
        body = {"size": 0, "query": window.filter, "aggs": {"lines": {"composite": composite}}}
        page = place.siem.search(place.settings.events, body)["aggregations"]["lines"]
        copies.update({bucket["key"]["line"]: bucket["doc_count"] for bucket in page["buckets"]})
        if len(page["buckets"]) < composite["size"]:
            return copies
        composite["after"] = page["after_key"]


def _events(place: Place, lines: set[int]) -> Iterator[tuple[int, Json]]:
    """Yield each of the lines with an event of it as it is stored."""
    left = set(lines)
    for bounds in ({"gte": 0}, {"lt": 0}):  # those of the files come all in the first turn, marked ones all the time
        body = {"query": {"range": {"bench.line": bounds}}, "sort": [{INGESTED: "asc"}]}
        wanted = {line for line in left if (line >= 0) == ("gte" in bounds)}
        for hit in place.siem.scan(place.settings.events, body, 2000):
            if (line := hit["_source"]["bench"]["line"]) in wanted:
                wanted.discard(line)
                yield line, hit["_source"]
            if not wanted:
                break


def latency(entries: Sequence[Json], written: Mapping[float, int]) -> Json:
    """Return how long after it was written a matching event was in a finding, over all pairs of event and hunt."""
    ended = sorted(
        (entry["to"], datetime.fromisoformat(entry["started"]).timestamp() * 1000 + entry["took_ms"])
        for entry in entries
        if entry["pass"] == LIVE
    )
    uptos = [upto for upto, _ in ended]
    weights: Counter[float] = Counter()
    for at, number in written.items():
        turn = bisect_left(uptos, at)
        if turn < len(ended):
            weights[(ended[turn][1] - at) / 1000] += number
    return _weighted(weights)


def matching(place: Place, window: Window) -> Counter[float]:
    """Return how many pairs of event and hunt there are by the time the event was written, to a tenth of a second."""
    every = asked(mapped(place.siem, place.settings, place.single), place.single)
    questions = [question for each in every for question in each.questions]
    histogram = {"field": INGESTED, "fixed_interval": f"{BUCKET_MS}ms", "min_doc_count": 1}
    found: Counter[float] = Counter()
    for q in questions:
        body = {"size": 0, "query": q.query(window.filter), "aggs": {"at": {"date_histogram": histogram}}}
        for bucket in place.siem.search(q.where, body)["aggregations"]["at"]["buckets"]:
            found[bucket["key"] + BUCKET_MS / 2] += bucket["doc_count"]
    return found


def _weighted(weights: Mapping[float, int]) -> Json:
    """Return median, 95th percentile and maximum of values with weights."""
    total = sum(weights.values())
    result: Json = {"pairs": total}
    passed, wanted = 0, {"p50": 0.5 * total, "p95": 0.95 * total, "max": total}
    for value, weight in sorted(weights.items()):
        passed += weight
        for name in [name for name, least in wanted.items() if passed >= least]:
            result[name] = round(value, 2)
            del wanted[name]
    return result


def without_service(place: Place, rate: int, minutes: float, first: int) -> Json:
    """Return what the engine does while events are stored and nobody asks for them."""
    loader = Loader(place.engine.node.url, rate, minutes * 60 + 5, first=first)
    loader.begin()
    time.sleep(5)
    before = place.engine.load()
    stored = loader.end()
    return {"loader": stored, "engine": difference(before, place.engine.load())}


def measured(args: argparse.Namespace, logs: Path) -> Json:
    """Return all figures."""
    with prepared(args.lag, logs) as place:
        say(f"{place.engine.node.url}: {len(place.hunts)} hunts, of which {len(place.single)} need one event")
        result: Json = {"options": vars(args) | {"logs": str(logs)}}
        result["on"] = with_service(place, args.rate, args.minutes, logs / "service.log")
        say("counting")
        result["passes"], entries = passes(place)
        window = Window(min(entry["from"] for entry in entries), max(entry["to"] for entry in entries))
        written = matching(place, window)
        result["latency"] = latency(entries, written)
        result["counting"] = {**counting(place, window), "pairs_by_query": written.total()}
        if args.off_minutes:
            say("the load without the service")
            result["off"] = without_service(place, args.rate, args.off_minutes, result["on"]["loader"]["next"])
    return result


def table(result: Json) -> Table:
    """Return the figures for people."""
    shown = Table("figure", "value", title="The service beside a steady stream of events")
    for part, figures in result.items():
        shown.add_section()
        for name, value in _flat(figures):
            shown.add_row(f"{part} {name}", str(value))
    return shown


def _flat(figures: Json, before: str = "") -> Iterator[tuple[str, object]]:
    """Yield every figure with its full name."""
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name} ")
        else:
            yield before + name, value


def main() -> None:
    """Parse the command line, measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30, help="with the service")
    parser.add_argument("--off-minutes", type=float, default=3, help="without it, for the engine's load; 0 for none")
    parser.add_argument("--rate", type=int, default=2000, help="events a second")
    parser.add_argument("--lag", type=int, default=10, help="seconds that the newest events are left to the next pass")
    parser.add_argument("--logs", type=Path, help="a folder in which to keep what the service says")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    args = parser.parse_args()
    logs = args.logs or Path(tempfile.mkdtemp(prefix="hunts-steady-log-"))
    result = measured(args, logs)
    if args.json:
        print(json.dumps(result, indent=1, default=str))
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(table(result))
    right = not (result["passes"]["ms_not_covered"] or result["counting"]["findings_wrong"])
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
