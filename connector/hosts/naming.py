"""The events that name a user, whichever protocol and dialect they are of.

Promises: what is left out is counted. Will not: write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.enrich.dialects import stored_name
from connector.hosts.attributes import USERS
from connector.hosts.gather import host_fields
from connector.hosts.shape import at
from connector.hunts.asking.mapped import EVENT_TYPE
from connector.hunts.asking.questions import during
from connector.hunts.conditions.fields import Fields
from connector.settings.model import Settings, Source
from connector.siem.client import Siem

Json = dict[str, Any]
EVENTS = 50  # the newest


@dataclass(frozen=True)
class Named:
    """The newest events that name a user, each with index, id, time, event_type, client and server; and how many more.

    `left_out` counts the older ones.
    """

    events: tuple[Json, ...]
    left_out: int


def events_naming(siem: Siem, settings: Settings, name: str, since: datetime | None = None) -> Named:
    """Return the events that name a user, from a time on if there is one. Raises SiemError."""
    found: list[Json] = []
    number = 0
    for source, fields in host_fields(siem, settings):
        options = _options(source, fields, name)
        if not options:
            continue
        query = {"bool": {"should": options, "minimum_should_match": 1, "filter": during(source, since, None)}}
        time, kind = source.time_field, stored_name(EVENT_TYPE, source.dialect)
        body = {"size": EVENTS, "track_total_hits": True, "query": query, "sort": [{time: "desc"}]}
        shown = [time, kind, "hunt.client.ip", "hunt.server.ip"]
        hits = siem.search(source.pattern, {**body, "_source": shown})["hits"]
        number += hits["total"]["value"]
        found += [_event(hit, time, kind) for hit in hits["hits"]]
    newest = sorted(found, key=lambda one: str(one["time"]), reverse=True)[:EVENTS]
    return Named(tuple(newest), number - len(newest))


def spellings(name: str) -> tuple[str, ...]:
    """Return a user's name in the spellings that are usual in events."""
    return tuple(dict.fromkeys((name, name.lower(), name.upper(), name.capitalize())))


def _options(source: Source, fields: Fields, name: str) -> Sequence[Json]:
    """Return the queries for events of a source that name a user, one a field."""
    stored = (fields.exact(stored_name(origin.fields[0], source.dialect)) for origin in USERS.origins)
    return [{"terms": {field: list(spellings(name))}} for field in dict.fromkeys(stored) if field]


def _event(hit: Json, time: str, kind: str) -> Json:
    """Return a hit as an event that names a user."""
    source = hit["_source"]
    return {
        "index": hit["_index"],
        "id": hit["_id"],
        "time": at(source, time),
        "event_type": at(source, kind),
        "client": at(source, "hunt.client.ip"),
        "server": at(source, "hunt.server.ip"),
    }
