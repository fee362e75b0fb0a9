"""Deliveries and `hunts declare` killed at random moments, and a storm: does each event arrive, and under one id?

    python tests/bench/deliveries.py [--only storm kills declares] [--kills 50] [--storm 10000] [--seed 1] [--url URL]

    kills   a program that delivers new declarations and findings to two receivers, which fail one time in ten, is
            killed (SIGKILL) at a moment that is even over the length of a whole run, `--kills` times while it works;
            then it is left to end. Compared: every event at each receiver, under one id, with one content; nothing left
    declares `hunts declare` is killed (SIGKILL) in the same way, with new events before each run, and done again at the
            end. Compared: one declaration an address with as many events as there are, told of in each revision
    storm   `--storm` findings at once for one receiver: how many messages, how long

The engine is an OpenSearch 3.8 of its own, or the one at `--url`. Ends with 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import Place, clean
from engine.declare_kills import kill_declares
from engine.delivery_kills import kill_deliveries
from engine.receivers import Keeping
from engine.storms import START, Clock, put_findings, settings_in

from connector.embedded.node import running_node
from connector.respond.deliveries.delivering import deliver_for
from connector.settings.model import SiemSettings
from connector.siem.client import Siem

PARTS = ("storm", "kills", "declares")


def storm(place: Place, count: int) -> dict[str, object]:
    """Return what came of so many findings at once."""
    keeping, ids = Keeping("storm"), [f"s{n:06}" for n in range(count)]
    with keeping.running(events=("finding",)) as receiver:
        settings = settings_in(place, receiver)
        put_findings(place, settings, ids)
        began = time.monotonic()
        deliver_for(place.siem, settings, Clock(START).world(), timedelta(hours=1))
        took = time.monotonic() - began
    told = keeping.told("finding")
    return {
        "findings": count,
        "messages": len(keeping.came),
        "told": len(told),
        "seconds": round(took, 1),
        "wrong": [id for id in ids if len(told.get(id, ())) != 1][:10],
    }


def part(name: str, place: Place, given: argparse.Namespace) -> dict[str, object]:
    """Return what came of a part."""
    if name == "storm":
        return storm(place, given.storm)
    if name == "kills":
        return asdict(kill_deliveries(place, given.kills, given.seed, say))
    with tempfile.TemporaryDirectory() as folder:
        return asdict(kill_declares(place, Path(folder), given.kills, given.seed, say))


def say(line: str) -> None:
    """Tell the person who waits."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Run the parts and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--storm", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--url", help="an engine that is up")
    given = parser.parse_args()
    with ExitStack() as around:
        url = given.url or around.enter_context(running_node()).url
        siem = around.enter_context(Siem.connect(SiemSettings(urls=(url,))))
        found: dict[str, dict[str, object]] = {}
        for name in given.only:
            prefix = f"bench-{name}-"
            clean(siem, prefix)
            around.callback(clean, siem, prefix)
            found[name] = part(name, Place(siem, prefix, url), given)
    print(json.dumps(found, indent=2))
    return int(any(part["wrong"] for part in found.values()))


if __name__ == "__main__":
    sys.exit(main())
