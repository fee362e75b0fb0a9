"""How much a window of host profiles costs: `python tests/bench/hosts.py URL [--events N] [--hosts N] [--before N …]`.

Each round has one window of `--events` events over `--hosts` hosts, with as many events before it in the index as
`--before` says; what the window costs must not depend on that. Prints a JSON line for each round. Everything it makes
is removed.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.hosts.build import Order, build
from connector.hunts.cases import example_settings
from connector.settings.model import Settings, SiemSettings, Source
from connector.siem.client import Siem
from connector.siem.install import STATE_SETTINGS
from connector.siem.state import STATE_MAPPINGS

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
    """Index events."""
    lines: list[dict[str, Any]] = []
    for one in made:
        lines += [{"index": {"_index": index}}, one]
        if len(lines) >= 10_000:
            siem.bulk(lines)
            lines = []
    if lines:
        siem.bulk(lines)
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
            rounds(siem, settings, asked)
        finally:
            for index in siem.call("GET", f"/{PREFIX}*", expand_wildcards="all", allow_no_indices=True):
                siem.call("DELETE", f"/{index}")


def rounds(siem: Siem, settings: Settings, asked: argparse.Namespace) -> None:
    """Print a line for each number of events before the window."""
    index, there = f"{PREFIX}events", 0
    siem.call("PUT", f"/{index}", {"settings": {"number_of_replicas": 0}, "mappings": MAPPING})
    for name in ("hosts", "state"):
        body = {"settings": STATE_SETTINGS, "mappings": {"dynamic": False, "properties": STATE_MAPPINGS[name]}}
        siem.call("PUT", f"/{settings.state(name)}", body)
    for number, before in enumerate(asked.before, 1):
        slot = 2 * number
        if before > there:
            put(siem, index, events(before - there, asked.hosts, slot - 1))
        put(siem, index, events(asked.events, asked.hosts, slot))
        there = max(before, there) + asked.events
        start = datetime.fromtimestamp((BASE + slot * SLOT) / 1000, UTC)
        state = {"kind": "hosts", "watermark": BASE + slot * SLOT, "value": {"open": None}}
        siem.call("PUT", f"/{settings.state('state')}/_doc/hosts", state, refresh=True)
        began = time.monotonic()
        built = build(siem, settings, Order(timedelta()), start + timedelta(milliseconds=SLOT))
        took = time.monotonic() - began
        rate = round(asked.events / took)
        line = {"in_index": there, "events": asked.events, "hosts": built.hosts, "new": built.new}
        print(json.dumps({**line, "seconds": round(took, 1), "events_per_second": rate}), flush=True)


if __name__ == "__main__":
    main()
