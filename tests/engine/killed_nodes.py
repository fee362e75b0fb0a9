"""Passes that go on over a cluster while its nodes are killed: the ground, the passes, and what must come out."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from made_events import CutWire, event
from organisation import office_settings
from test_pass import CLIENTS, EPOCH, HUNTS, expected, ledger, numbers
from three_nodes import Cluster

from connector.enrich.assets import build_assets
from connector.enrich.fields import event_properties
from connector.enrich.tables import build_tables
from connector.errors import Conflict, Overloaded, Unreachable
from connector.hunts.passes.passes import Order, run_pass
from connector.settings.model import Settings, SiemSettings, Source
from connector.siem.client import Siem
from connector.siem.install import install, plan
from connector.siem.wire import PlainWire, Wire
from tests.conftest import Place

CAME_MS = 25 * 60_000  # over how long the events came: three slots of a pass
STEP_MS = 5_000  # how far each pass goes
EVENTS = 800


@dataclass(frozen=True)
class Ground:
    """An installed cluster with events in it, each shard on two of the nodes; `siem` is given the urls of all three."""

    cluster: Cluster
    siem: Siem
    settings: Settings
    events: list[dict[str, Any]]


@contextmanager
def ground(cluster: Cluster, folder: Path, seed: int) -> Iterator[Ground]:
    """Install everything in a cluster that is new, and put events in it; nothing is removed at the end."""
    with Siem.connect(SiemSettings(cluster.urls)) as siem:
        place = Place(siem, "c-", cluster.urls[0])
        settings = office_settings(place, folder)
        install(siem, plan(siem, build_assets(settings, build_tables(settings))))
        settings = replace(settings, siem=SiemSettings(cluster.urls), sources=(Source(f"{place.prefix}made-*"),))
        index, events = f"{place.prefix}made-1", random_events(seed)
        mapping = {**event_properties(), "@timestamp": {"type": "date"}, "event_type": {"type": "keyword"}}
        shards = {"number_of_replicas": 1, "number_of_shards": 2}
        siem.call("PUT", f"/{index}", {"settings": shards, "mappings": {"properties": mapping}})
        lines = [line for each in events for line in ({"index": {"_index": index}}, each)]
        assert siem.bulk(lines, refresh="true") == []
        # a copy that is lost is made again on the third node at once, in place of after a minute
        siem.call("PUT", f"/{place.prefix}*/_settings", {"index.unassigned.node_left.delayed_timeout": "0"})
        cluster.settle()
        yield Ground(cluster, siem, settings, events)


def random_events(seed: int) -> list[dict[str, Any]]:
    """Return events of an hour in any order; enough of a client's fall together for the hunts that count."""
    chance = random.Random(seed)
    return [
        event(
            chance.choice((chance.uniform(0, 3600), chance.gauss(1800, 60))),
            chance.randint(1, CAME_MS),
            chance.choice((*CLIENTS, [CLIENTS[0], CLIENTS[2]])),
            f"{chance.choice('abcde')}.example",
        )
        for _ in range(EVENTS)
    ]


def passing(ground: Ground, end: int) -> Counter[str]:
    """Look at all events that came until `end` milliseconds, as often as it takes, as the service does.

    Return what went wrong on the way, and how often.
    """
    wrong: Counter[str] = Counter()
    while True:
        try:
            done = run_pass(
                ground.siem,
                ground.settings,
                Order(HUNTS, timedelta()),
                lambda: EPOCH + timedelta(milliseconds=end),
                lambda *_: None,
            )
        except (Unreachable, Overloaded, Conflict) as error:
            wrong[type(error).__name__] += 1
            continue
        wrong.update(["a hunt failed"] * len(done.failed))
        if not done.left_ms and not done.failed:
            return wrong


@dataclass(frozen=True)
class Killed:
    """What came of a kill: up to where passes came, what went wrong in them, and the longest that one step took."""

    end: int
    wrong: Counter[str]
    seconds: float


class DoomedWire(CutWire):
    """A wire to a cluster, one call of which goes to the node that is killed meanwhile: its answer is often lost."""

    def __init__(self, wire: Wire, doomed: Wire, call: int, strike: Callable[[], object]) -> None:
        super().__init__(wire, 1_000_000, answered=True)
        self._doomed, self._turn, self._strike = doomed, call, strike

    def call(self, *call: Any) -> Any:
        """Carry the call."""
        self._turn -= 1
        if self._turn == 0:
            self._strike()
            return self._doomed.call(*call)
        return super().call(*call)


def killing(ground: Ground, n: int, begin: int, call: int, after: float) -> Killed:
    """Kill a node so many seconds into a call of passes that go on from `begin`, each a step further.

    Ends when some passes began after the kill. Past the last event the steps go on, with nothing in them.
    """

    def strike() -> None:
        """Kill the node in a moment."""
        time.sleep(after)
        ground.cluster.kill(n)

    killer, doomed = threading.Thread(target=strike), PlainWire(SiemSettings((ground.cluster.urls[n],)))
    wire = DoomedWire(ground.siem._wire, doomed, call, killer.start)
    disturbed = replace(ground, siem=Siem(wire, ground.siem.product))
    end, wrong, longest, since = begin, Counter[str](), 0.0, 0
    while since < 2:
        since += n not in ground.cluster.alive
        end, began = end + STEP_MS, time.monotonic()
        wrong += passing(disturbed, end)
        longest = max(longest, time.monotonic() - began)
    killer.join()
    doomed.close()
    return Killed(end, wrong, longest)


def calls_of_a_pass(ground: Ground) -> int:
    """Return how many calls a pass makes while nothing happens; it looks at the first step."""
    plenty = 1_000_000
    wire = CutWire(ground.siem._wire, plenty, answered=True)
    passing(replace(ground, siem=Siem(wire, ground.siem.product)), STEP_MS)
    return plenty - wire.left


def assert_nothing_is_lost_or_doubled(ground: Ground, end: int) -> None:
    """Compare what was found until `end` with the reference: each finding, each count, and each event once."""
    events = [each for each in ground.events if each["hunt"]["ingested"] <= end]
    ground.siem.call("POST", f"/{ground.settings.state('findings')}/_refresh")
    assert numbers(ground.siem, ground.settings) == expected(events)
    assert sum(entry["events"] for entry in ledger(ground.siem, ground.settings)) == len(events)
