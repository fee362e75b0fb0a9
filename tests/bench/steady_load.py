"""Stores events at a steady rate: a process of its own, so that nothing that is measured slows it down.

    python tests/bench/steady_load.py URL --seconds 60 [--rate 2000] [--first 0] [--warm-up 0]

The events of Suricata 8 in ../shared/eve and ../shared/story, shuffled once and looped, as the sensors of a site send
them: their times are now, the engine gives ids, and `bench.line` is the number of the event's line. Four bulk bodies a
second, the next one at once if one took too long. Lines that the engine refuses are left out from then on. Stores a
number of events at once first, so that indices and mappings are there; says `ready`, waits for a line of standard
input, loads, and prints as JSON what was stored since.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

import requests
from ground import SHARED

from connector.siem.eve import Layout, Placed, once, read_line

PULSES = 4  # a second
STRETCH = 10  # seconds of which the slowest is told
BUSY = (429, 503)
PORTION = 1000
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """An event whose time is yet to be set: its index but for the day, and its fields but for the times."""

    number: int
    index: bytes
    rest: bytes


def lines() -> list[Line]:
    """Return all events, in the order of their numbers."""
    files = [*sorted(SHARED.glob("eve/*s8*.gz")), *sorted(SHARED.glob("eve/suricata8*.gz"))]
    files = [*dict.fromkeys(files), SHARED / "story" / "eve-suricata8.json.gz"]
    raw = [line.strip() for file in files for line in gzip.decompress(file.read_bytes()).splitlines()]
    random.Random(1).shuffle(raw)
    read = [placed for line in raw if isinstance(placed := read_line(line, 1, Layout("", "year")), Placed)]
    return [_line(number, placed) for number, placed in enumerate(read)]


def _line(number: int, placed: Placed) -> Line:
    """Return an event as a line without times."""
    event = json.loads(once(placed).source)
    fields = {name: value for name, value in event.items() if name not in ("timestamp", "@timestamp", "bench")}
    text = json.dumps({"bench": {"line": number}, **fields}, separators=(",", ":"))
    return Line(number, f"logstash-{event['event_type']}-".encode(), text[1:].encode())


def body(events: Sequence[Line], first: datetime, step: timedelta) -> bytes:
    """Return a bulk body of events whose times begin at `first`."""
    parts = []
    for number, event in enumerate(events):
        time = (first + number * step).isoformat(timespec="microseconds")[:26].encode()
        day = time[:10].replace(b"-", b".")
        parts.append(b'{"create":{"_index":"%b%b"}}\n' % (event.index, day))
        parts.append(b'{"@timestamp":"%bZ","timestamp":"%b+0000",%b\n' % (time, time, event.rest))
    return b"".join(parts)


class Loader:
    """Stores lines in turn, and knows how many."""

    def __init__(self, url: str, pool: Sequence[Line], first: int) -> None:
        """Begin with the line of that number."""
        self._url, self._pool, self._next = f"{url}/_bulk?filter_path=errors,items.*.status", pool, first % len(pool)
        self._session = requests.Session()
        self._refused: set[int] = set()
        self.stored = self.bodies = 0

    def store(self, count: int, now: datetime, pulse: timedelta) -> None:
        """Store so many events, their times spread over the pulse that ends now."""
        events = []
        while len(events) < count:
            some = list(islice(self._pool, self._next, self._next + count - len(events)))
            self._next = (self._next + len(some)) % len(self._pool)
            events += [line for line in some if line.number not in self._refused]
        while events:
            answer = self._send(body(events, now - pulse, pulse / count))
            busy = []
            for event, item in zip(events, answer["items"], strict=True):
                status = item["create"]["status"]
                self.stored += status == 201
                if status in BUSY:
                    busy.append(event)
                elif status != 201:
                    self._refused.add(event.number)
            events = busy

    def _send(self, sent: bytes) -> Json:
        """Return the engine's answer to a bulk body; while it is too busy to take any of it, the body is sent again."""
        while True:
            answer = self._session.post(self._url, sent, headers={"Content-Type": "application/x-ndjson"}, timeout=120)
            if answer.status_code not in BUSY:
                answer.raise_for_status()
                self.bodies += 1
                found: Json = answer.json()
                return found
            time.sleep(0.1)

    @property
    def refused(self) -> int:
        """Return how many lines the engine refuses."""
        return len(self._refused)

    @property
    def next(self) -> int:
        """Return the number of the line that comes next."""
        return self._next


def load(loader: Loader, rate: int, seconds: float) -> Json:
    """Return what was stored in that time at that rate, and how steadily."""
    pulse, count = timedelta(seconds=1 / PULSES), round(rate / PULSES)
    began, latest, marks, before = time.monotonic(), 0.0, [(0.0, loader.stored)], loader.stored
    for turn in range(round(seconds * PULSES)):
        due = began + turn / PULSES
        time.sleep(max(0.0, due - time.monotonic()))
        latest = max(latest, time.monotonic() - due)
        loader.store(count, datetime.now(UTC), pulse)
        if (passed := time.monotonic() - began) - marks[-1][0] >= STRETCH:
            marks.append((passed, loader.stored))
    passed = time.monotonic() - began
    slowest = min(((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(marks)), default=None)
    return {
        "stored": loader.stored - before,
        "refused_lines": loader.refused,
        "seconds": round(passed, 1),
        "events_per_second": round((loader.stored - before) / passed, 1),
        f"slowest_{STRETCH}_s": slowest and round(slowest, 1),
        "latest_s": round(latest, 2),
        "next": loader.next,
    }


def main() -> None:
    """Parse the command line, load, and print what was stored."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="of the engine")
    parser.add_argument("--rate", type=int, default=2000, help="events a second")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--first", type=int, default=0, help="the number of the first line")
    parser.add_argument("--warm-up", type=int, default=0, help="events to store at once before that")
    args = parser.parse_args()
    loader = Loader(args.url, lines(), args.first)
    for _ in range(0, args.warm_up, PORTION):
        loader.store(PORTION, datetime.now(UTC), timedelta(seconds=1))
    print("ready", flush=True)
    sys.stdin.readline()  # whoever started this says when
    print(json.dumps(load(loader, args.rate, args.seconds)), flush=True)


if __name__ == "__main__":
    main()
