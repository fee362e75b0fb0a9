"""Tells receivers of findings that are new: each becomes a delivery, once.

What was told is known by what is in the outbox; a note keeps up to when findings were looked at, and how many there
were, so that looking costs one small search while nothing is new. Promises: a finding that becomes visible late, or
whose pass ran on a clock that is up to an hour behind, is found too; killed at any moment nothing is told twice or
left out. Will not: tell of a finding that has grown, or of those that were there a day before the receiver was.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from connector.hunts.asking.tally import instant
from connector.hunts.passes.listing import about
from connector.respond.deliveries.outbox import delivery_id, queue_many, waiting
from connector.respond.deliveries.wording import SEVERITIES, line
from connector.settings.model import Receiver, Settings
from connector.siem.client import Siem

Json = dict[str, Any]
KIND = "told-findings"
MARGIN = timedelta(hours=1)
FIRST = timedelta(days=1)  # how far back a receiver that is new is told
PORTION = 1000
PAGE = 10_000
LONGEST, VALUES = 300, 5
SOURCE = ["hunt", "group", "group_by", "count", "first", "last", "made", "values", "status"]
OPEN = "open"


def queue_findings(siem: Siem, settings: Settings, now: datetime) -> int:
    """Return how many deliveries were queued of findings that receivers are to be told of and were not."""
    receivers = [receiver for receiver in settings.receivers if "finding" in receiver.events]
    if not receivers:
        return 0
    siem.call("POST", f"/{settings.state('findings')}/_refresh", ignore_unavailable=True, allow_no_indices=True)
    return sum(_queue(siem, settings, receiver, now) for receiver in receivers)


def _queue(siem: Siem, settings: Settings, receiver: Receiver, now: datetime) -> int:
    """Return how many deliveries were queued for one receiver."""
    findings, id = settings.state("findings"), f"{KIND}-{receiver.name}"
    stored = siem.get(settings.state("state"), id)
    noted: Json = stored.source["value"] if stored else {"from": instant(now - FIRST), "seen": 0}
    query = _told(receiver, noted["from"])
    if siem.count(findings, query) == noted["seen"]:
        return 0
    hits = list(siem.scan(findings, {"query": query, "_source": ["made"]}, PAGE))
    made = {hit["_id"]: str(hit["_source"]["made"]) for hit in hits}
    ids = list(made)
    some = (ids[first : first + PORTION] for first in range(0, len(ids), PORTION))
    queued = sum(_queue_some(siem, settings, receiver, each, now) for each in some)
    newest = datetime.fromisoformat(max(made.values(), default=noted["from"]))
    start = max(noted["from"], str(instant(newest - MARGIN)))
    value = {"from": start, "seen": sum(at >= start for at in made.values())}
    siem.change(settings.state("state"), id, lambda _: {"kind": KIND, "updated": instant(now), "value": value})
    return queued


def _told(receiver: Receiver, start: str) -> Json:
    """Return the query for the findings since a moment that are grave enough for a receiver."""
    grave = SEVERITIES[SEVERITIES.index(receiver.severity) :]
    return {"bool": {"filter": [{"range": {"made": {"gte": start}}}, {"terms": {"hunt.severity": list(grave)}}]}}


def _queue_some(siem: Siem, settings: Settings, receiver: Receiver, ids: list[str], now: datetime) -> int:
    """Return how many of some findings were not told to a receiver yet and are queued now."""
    own = {delivery_id(id, 1, receiver.name): id for id in ids}
    there = siem.call("POST", f"/{settings.state('outbox')}/_mget", {"ids": list(own)}, _source=False)["docs"]
    known = {found["_id"] for found in there if found.get("found")}
    wanted = [id for key, id in own.items() if key not in known]
    if not wanted:
        return 0
    found = siem.call("POST", f"/{settings.state('findings')}/_mget", {"ids": wanted}, _source=",".join(SOURCE))["docs"]
    messages = [message(one["_id"], one["_source"]) for one in found if one.get("found") and _is_open(one["_source"])]
    new = [waiting(delivery_id(one["finding"]["id"], 1, receiver.name), one, receiver, now) for one in messages]
    return queue_many(siem, settings, new)


def _is_open(source: Json) -> bool:
    """Tell whether nobody has decided on a finding yet."""
    return bool(source.get("status", OPEN) == OPEN)


def message(id: str, source: Json) -> Json:
    """Return what receivers are told of a finding: names for a template."""
    group = {name: _short(source["group"].get(name)) for name in source["group_by"]}
    values = {name: [_short(value) for value in found[:VALUES]] for name, found in source["values"].items()}
    told = {
        "id": id,
        "hunt": source["hunt"],
        "group": group,
        "department": list(about(source["group"], source["values"], "department")),
        "network": list(about(source["group"], source["values"], "network")),
        **{name: source[name] for name in ("count", "first", "last", "made")},
        "values": values,
    }
    return {"type": "finding.new", "timestamp": source["made"], "finding": told}


def _short(value: object) -> str | None:
    """Return a value as one short line, None for none."""
    return None if value is None else line(value, LONGEST)
