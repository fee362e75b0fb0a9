"""Findings and declarations in any number, and a clock that nobody waits for: what tests of deliveries share."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from conftest import Place
from engine.respond_story import install_state, settings_of

from connector.hunts.asking.tally import instant
from connector.respond.deliveries.delivering import World
from connector.respond.deliveries.outbox import queue_many, waiting
from connector.respond.deliveries.post import Web
from connector.settings.model import Receiver, Settings

START = datetime(2026, 11, 3, 10, tzinfo=UTC)
QUICK = Web(connect=2, read=20, deadline=20)
BOTH: Any = ("declaration", "finding")


class Clock:
    """A clock that moves when somebody sleeps, or when it is told to."""

    def __init__(self, moment: datetime = START) -> None:
        self.moment, self.lock = moment, threading.Lock()

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        with self.lock:
            self.moment += timedelta(seconds=seconds)

    def world(self, web: Any = QUICK) -> World:
        return World(web, self.now, lambda: 0.5, self.sleep)


def settings_in(place: Place, *receivers: Receiver) -> Settings:
    settings = settings_of(place, receivers=receivers)
    if not place.siem.exists(f"/{settings.state('outbox')}"):
        install_state(place, settings, "declarations", "outbox", "state", "findings", "evidence")
    return settings


def put_findings(
    place: Place, settings: Settings, ids: Sequence[str], made: datetime = START, severity: str = "high"
) -> None:
    """Write findings as a pass does."""
    hunt = {"id": "h", "name": "dns-long-labels", "title": "Hunt: long labels", "family": "dns", "severity": severity}
    for first in range(0, len(ids), 2000):
        lines: list[dict[str, Any]] = []
        for id in ids[first : first + 2000]:
            lines += [
                {"index": {"_index": settings.state("findings"), "_id": id}},
                {
                    "hunt": hunt | {"kind": "policy"},
                    "group_by": ["hunt.client.ip"],
                    "group": {"hunt.client.ip": "10.0.0.7"},
                    "values": {"hunt.client.department": ["Sales"]},
                    "status": "open",
                    "count": 3,
                    "first": instant(made),
                    "last": instant(made),
                    "made": instant(made),
                    "updated": instant(made),
                },
            ]
        assert place.siem.bulk(lines) == []


def queued(place: Place, settings: Settings, *ids: str, now: datetime = START) -> None:
    """Queue a declaration of each id for each receiver."""
    told = [
        {
            "type": "declaration.new",
            "timestamp": instant(now),
            "declaration": {"id": id, "threat": f"threat {id}", "asset": {"field": "f", "value": "10.0.0.7"}},
        }
        for id in ids
    ]
    found = [
        waiting(f"msg_{one['declaration']['id']}_{each.name}", one, each, now)
        for each in settings.receivers
        for one in told
    ]
    assert queue_many(place.siem, settings, found) == len(found)


def by_status(place: Place, settings: Settings, receiver: str | None = None) -> dict[str, int]:
    """Return how many deliveries have each status."""
    body = {"size": 0, "aggs": {"s": {"terms": {"field": "status"}}}}
    body |= {"query": {"term": {"receiver": receiver}}} if receiver else {}
    place.siem.call("POST", f"/{settings.state('outbox')}/_refresh")
    buckets = place.siem.search(settings.state("outbox"), body)["aggregations"]["s"]["buckets"]
    return {bucket["key"]: bucket["doc_count"] for bucket in buckets}
