"""How much a window of host profiles costs: `python tests/bench/hosts.py URL [--events N] [--hosts N] [--before N …]`.

A window has `--events` events over `--hosts` hosts. It is built with as many events before it in the index as
`--before` says, each time into no profiles; then once more with profiles of the same hosts there, and once with the
events before it in the index of another day. What a window costs must depend on its events and hosts alone. Nothing is
measured while the engine merges what was stored before. Prints a JSON line for each: seconds in all, those the engine
took to answer searches and to read and write profiles, and the rest, which is ours. Everything it makes is removed.
"""

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.hosts.build import Order, build
from connector.hunts.checking.cases import example_settings
from connector.settings.model import Settings, SiemSettings, Source
from connector.siem.client import Siem
from connector.siem.install import STATE_SETTINGS
from connector.siem.state import STATE_MAPPINGS
from connector.siem.wire import Body, Wire

PREFIX = "bench-hosts-"
KEYWORD, LONG, IP, DATE = ({"type": kind} for kind in ("keyword", "long", "ip", "date"))
SIDE = {"properties": {"ip": IP, "scope": KEYWORD, "network": KEYWORD, "department": KEYWORD}}
MAPPING: dict[str, Any] = {
    "dynamic": False,
    "properties": {
        **{"@timestamp": DATE, "event_type": KEYWORD, "proto": KEYWORD, "dest_port": LONG, "app_proto": KEYWORD},
        "hunt": {"properties": {"ingested": DATE, "client": SIDE, "server": SIDE}},
        "flow": {"properties": dict.fromkeys(("bytes_toserver", "bytes_toclient", "pkts_toclient"), LONG)
                 | {"state": KEYWORD}},
        "hostname_info": {"properties": {"domain": KEYWORD, "host": KEYWORD}},
        "http": {"properties": {"http_user_agent": KEYWORD}},
        "tls": {"properties": {"ja4": KEYWORD}},
    },
}  # fmt: skip
KINDS = ("flow", "flow", "dns", "dns", "tls", "http")
SLOT = 600_000
BASE = 1_790_000_400_000 // SLOT * SLOT


class Timed:
    """A wire that adds up how long the engine takes to answer, by what it is asked for."""

    def __init__(self, wire: Wire) -> None:
        """Keep the wire."""
        self.wire, self.took, self.calls = wire, Counter[str](), Counter[str]()

    def call(self, method: str, path: str, params: Mapping[str, str], body: Body | bytes | None, mark: str = "") -> Any:
        """Return the answer."""
        what = "searching" if path.endswith("search") else "profiles" if path.endswith(("_mget", "_bulk")) else "other"
        began = time.monotonic()
        try:
            return self.wire.call(method, path, params, body, mark)
        finally:
            self.took[what] += time.monotonic() - began
            self.calls[what] += 1

    def close(self) -> None:
        """Close the connections."""
        self.wire.close()


def event(chance: random.Random, host: int, ingested: int) -> dict[str, Any]:
    """Return an enriched event of a host."""
    kind = chance.choice(KINDS)
    client = f"10.{host // 65_536}.{host // 256 % 256}.{host % 256}"
    server = f"10.200.0.{chance.randrange(200)}"
    sides = {"client": {"ip": client, "scope": "internal"}, "server": {"ip": server, "scope": "internal"}}
    made = {"@timestamp": ingested, "event_type": kind, "proto": "TCP", "hunt": {"ingested": ingested, **sides}}
    name = f"site{chance.randrange(2000)}.example"
    match kind:
        case "flow":
            numbers = {"bytes_toserver": 500, "bytes_toclient": 9000, "pkts_toclient": 9, "state": "closed"}
            return {**made, "dest_port": 443, "app_proto": "tls", "flow": numbers}
        case "dns":
            return {**made, "hostname_info": {"host": f"www.{name}", "domain": name}}
        case "tls":
            return {**made, "dest_port": 443, "tls": {"ja4": f"t13d{host % 7}"}, "hostname_info": {"domain": name}}
    return {**made, "http": {"http_user_agent": f"agent {host % 11}"}, "hostname_info": {"domain": name}}


def events(number: int, hosts: int, slot: int) -> Iterator[dict[str, Any]]:
    """Yield so many events of a slot, every host in turn."""
    chance = random.Random(slot)
    for n in range(number):
        yield event(chance, n % hosts, BASE + slot * SLOT + 1 + n * (SLOT - 2) // number)


def put(siem: Siem, index: str, made: Iterator[dict[str, Any]]) -> None:
    """Index events, and wait until the engine has merged them."""
    lines: list[dict[str, Any]] = []
    for one in made:
        lines += [{"index": {"_index": index}}, one]
        if len(lines) >= 10_000:
            siem.bulk(lines)
            lines = []
    if lines:
        siem.bulk(lines)
    siem.call("POST", f"/{index}/_flush")
    while siem.call("GET", f"/{PREFIX}*/_stats/merge")["_all"]["total"]["merges"]["current"]:
        time.sleep(1)
    siem.call("POST", f"/{index}/_refresh")


def main() -> None:
    """Measure the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--hosts", type=int, default=28_000)
    parser.add_argument("--before", type=int, nargs="*", default=[100_000, 1_000_000, 5_000_000])
    asked = parser.parse_args()
    source = Source(f"{PREFIX}events*", "eve", "@timestamp")
    settings = replace(example_settings(), sources=(source,), prefix=PREFIX)
    with Siem.connect(SiemSettings(urls=(asked.url,))) as siem:
        try:
            rounds(Bench(siem, settings, asked.events, asked.hosts), asked.before)
        finally:
            for index in siem.call("GET", f"/{PREFIX}*", expand_wildcards="all", allow_no_indices=True):
                siem.call("DELETE", f"/{index}")


@dataclass
class Bench:
    """An engine, and what has been stored in it; slots are those of time."""

    siem: Siem
    settings: Settings
    events: int
    hosts: int
    slot: int = 0
    there: int = 0

    def store(self, index: str, number: int) -> None:
        """Store so many events in a slot of their own."""
        self.slot += 1
        put(self.siem, index, events(number, self.hosts, self.slot))
        self.there += number

    def forget(self) -> None:
        """Delete all profiles."""
        for name in ("hosts", "state"):
            index = self.settings.state(name)
            if self.siem.exists(f"/{index}/_settings"):
                self.siem.call("DELETE", f"/{index}")
            body = {"settings": STATE_SETTINGS, "mappings": {"dynamic": False, "properties": STATE_MAPPINGS[name]}}
            self.siem.call("PUT", f"/{index}", body)

    def window(self, index: str, what: str) -> None:
        """Store a window, build it alone, and print what that cost."""
        before = self.there
        self.store(index, self.events)
        start = BASE + self.slot * SLOT
        state = {"kind": "hosts", "watermark": start, "value": {"open": None}}
        self.siem.call("PUT", f"/{self.settings.state('state')}/_doc/hosts", state, refresh=True)
        wires: list[Timed] = []
        timed = self.siem.through(lambda wire: wires.append(Timed(wire)) or wires[0])
        began = time.monotonic()
        until = datetime.fromtimestamp((start + SLOT) / 1000, UTC)
        built = build(timed, self.settings, Order(timedelta()), until)
        seconds = time.monotonic() - began
        took, calls = wires[0].took, wires[0].calls
        line = {"what": what, "before": before, "events": self.events, "hosts": built.hosts, "new": built.new}
        line |= {"seconds": round(seconds, 1), "events_per_second": round(self.events / seconds)}
        line |= {name: round(took[name], 1) for name in ("searching", "profiles")}
        line |= {"ours": round(seconds - sum(took.values()), 1), "calls": sum(calls.values())}
        print(json.dumps(line), flush=True)


def rounds(bench: Bench, befores: list[int]) -> None:
    """Print a line for each number of events before the window, for known hosts, and for a new day's index."""
    first, second = f"{PREFIX}events-1", f"{PREFIX}events-2"
    for index in (first, second):
        bench.siem.call("PUT", f"/{index}", {"settings": {"number_of_replicas": 0}, "mappings": MAPPING})
    for before in befores:
        if before > bench.there:
            bench.store(first, before - bench.there)
        bench.forget()
        bench.window(first, "new hosts")
    bench.window(first, "known hosts")
    bench.forget()
    bench.window(second, "new hosts, first window of a day")


if __name__ == "__main__":
    main()
