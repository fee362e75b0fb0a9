"""A delivery is claimed before it is sent and recorded after: at least once, under one id, never by two at a time.

The claim is a compare-and-set, and counts as an attempt. One whose program was killed between sending and recording is
sent again under the same id when the claim has run out. Deliveries that go together in one message carry its id as
their `group`, claimed before it is sent, and stay in that group: what is sent again is the same message. Promises: what
comes of each attempt is kept. Will not: send.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from connector.errors import Conflict, Refused
from connector.hunts.asking.tally import instant
from connector.respond.deliveries.decision import Again, Delivered, GivenUp, Step
from connector.respond.deliveries.grouping import Member
from connector.respond.deliveries.outbox import UNFINISHED, Delivery, document_of, read_delivery
from connector.settings.model import Settings
from connector.siem.client import Siem
from connector.siem.many import change_many

Json = dict[str, Any]
CLAIM = timedelta(minutes=5)  # longer than any attempt takes, redirects among them
MEMBER = ("event", "made", "title", "severity")  # what a message of many tells of each
UNKNOWN = "sent, and nothing recorded: the program was stopped"


def claim(siem: Siem, settings: Settings, id: str, now: datetime, group: str | None = None) -> Delivery | None:
    """Return a delivery that is ours to send, its attempt counted; None if it is not due any more.

    With a group it is claimed as a part of that one, for good.
    """
    index = settings.state("outbox")
    stored = siem.get(index, id)
    source = _claimed(stored.source, now, group) if stored else None
    if source is None:
        return None
    try:
        siem.put(index, id, source, stored)
    except Conflict:
        return None
    return read_delivery(id, source)


def claim_group(siem: Siem, settings: Settings, ids: Sequence[str], group: str, now: datetime) -> list[Delivery]:
    """Return the deliveries that are ours to send in one message, without their own; none if the first is not.

    The first decides, so that two programs do not send the same group in parts.
    """
    lead = claim(siem, settings, ids[0], now, group)
    if lead is None:
        return []
    ours: dict[str, Json | None] = {}

    def edit(id: str, current: Json | None) -> Json | None:
        """Return the delivery claimed, None if it is not due any more."""
        source = ours[id] = _claimed(current, now, group) if current else None
        return source

    change_many(siem, settings.state("outbox"), ids[1:], edit)
    claimed = [read_delivery(id, {**source, "message": {}}) for id, source in ours.items() if source]
    return [replace(lead, message={}), *claimed]


def members(siem: Siem, settings: Settings, group: str) -> list[Member]:
    """Return all deliveries of a group, whatever came of them; Refused if the index does not know groups yet."""
    siem.call("POST", f"/{settings.state('outbox')}/_refresh")
    body = {"query": {"term": {"group": group}}, "_source": ["declaration", "finding", *MEMBER]}
    found = [(hit["_id"], hit["_source"]) for hit in siem.scan(settings.state("outbox"), body)]
    if not found:
        raise Refused(f"{settings.state('outbox')} is of an older version: run `hunts install`")
    return [
        Member(id, source.get("declaration") or source.get("finding") or "", **{name: source[name] for name in MEMBER})
        for id, source in found
    ]


def record(siem: Siem, settings: Settings, sent: Sequence[Delivery], step: Step, now: datetime) -> list[Delivery]:
    """Return the deliveries of one message with what came of its attempt, stored.

    Where somebody else has claimed one since, as ours took too long, theirs decides, unless ours arrived.
    """
    before = {one.id: one for one in sent}
    after: dict[str, Json] = {}

    def edit(id: str, current: Json | None) -> Json | None:
        """Return the stored delivery with this attempt ended."""
        after[id] = _ended(current or document_of(before[id]), before[id], step, now)
        return after[id]

    change_many(siem, settings.state("outbox"), list(before), edit)
    return [replace(read_delivery(id, source), message=before[id].message) for id, source in after.items()]


def _claimed(source: Json, now: datetime, group: str | None) -> Json | None:
    """Return a stored delivery as it is claimed now; None if it is not due, or goes in another message."""
    if source["status"] not in UNFINISHED or str(source["next"]) > str(instant(now)):
        return None
    if source["tries"] and source.get("group") != group:
        return None
    return source | {
        "status": "sending",
        "next": instant(now + CLAIM),
        "attempts": source["attempts"] + 1,
        "tries": [*source["tries"], {"at": instant(now), "why": UNKNOWN}],
        "group": group,
    }


def _ended(before: Json, sent: Delivery, step: Step, now: datetime) -> Json:
    """Return a stored delivery with the attempt ended that was sent."""
    begun = sent.tries[-1]
    tries = [_attempt(begun, step, now) if one["at"] == begun["at"] else one for one in before["tries"]]
    overtaken = before["attempts"] != sent.attempts or before["status"] != "sending"
    ours = {} if overtaken and not isinstance(step, Delivered) else _outcome(step, now)
    return before | {"tries": tries} | ours


def _attempt(begun: Json, step: Step, now: datetime) -> Json:
    """Return the entry of an attempt that has ended."""
    took = now - datetime.fromisoformat(begun["at"])
    advice = {"advice": step.advice} if isinstance(step, GivenUp) else {}
    return {"at": begun["at"], "took_ms": max(took // timedelta(milliseconds=1), 0), "why": step.why} | advice


def _outcome(step: Step, now: datetime) -> Json:
    """Return the fields that a step changes in a delivery."""
    if isinstance(step, Again):
        return {"status": "waiting", "next": instant(now + step.pause)}
    return {"status": "delivered" if isinstance(step, Delivered) else "failed", "next": None}
