"""The outbox: one document for each thing to tell and each receiver, from queued to delivered or failed.

What is told is each revision of a declaration, and each finding that is new. `claiming.py` has how a delivery is sent
once, `replaying.py` how one is sent again. Promises: what is queued twice is there once; no secret and no address of a
receiver is stored. Will not: send.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal

from connector.errors import Conflict, Refused
from connector.hunts.asking.tally import instant
from connector.respond.deliveries.grouping import Waiting
from connector.respond.deliveries.wording import severity_of, subject_of, title_of
from connector.settings.model import Receiver, Settings
from connector.siem.client import Siem
from connector.siem.many import CHANGED, PORTION
from connector.siem.wire import siem_error

Json = dict[str, Any]
Status = Literal["waiting", "sending", "delivered", "failed"]
UNFINISHED: tuple[Status, ...] = ("waiting", "sending")
DIGITS = 24
MOST_SHOWN = 10_000
OLDER: Json = {"finding": None, "title": "", "severity": "", "group": None}  # what documents of 0.1 do not have


@dataclass(frozen=True)
class Delivery:
    """A delivery as it is stored; it is about a declaration or a finding.

    `tries` has one entry an attempt: when, how long it took, and what came of it. `group` is the id of the message that
    it went in with others.
    """

    id: str
    declaration: str | None
    finding: str | None
    event: str
    receiver: str
    status: Status
    made: str
    next: str | None
    attempts: int
    tries: tuple[Json, ...]
    title: str
    severity: str
    message: Json
    group: str | None = None

    @property
    def sent_as(self) -> str:
        """Return the id of the message it goes in: that of its group, else its own."""
        return self.group or self.id

    @property
    def last_word(self) -> str:
        """Return what came of the last attempt, and what to do where it was the last; empty before the first."""
        last = self.tries[-1] if self.tries else {}
        return ": ".join(filter(None, (last.get("why"), last.get("advice"))))


def delivery_id(declaration: str, revision: int, receiver: str) -> str:
    """Return the id of a delivery, which is its webhook-id."""
    return "msg_" + sha256(f"{declaration}\0{revision}\0{receiver}".encode()).hexdigest()[:DIGITS]


def queue(siem: Siem, settings: Settings, told: Json, now: datetime) -> tuple[str, ...]:
    """Return the ids of the deliveries of a message about a declaration's revision, one for each receiver told such.

    Those that are there stay as they are.
    """
    declaration, ids = told["declaration"], []
    for receiver in settings.receivers:
        if "declaration" in receiver.events:
            own = delivery_id(declaration["id"], declaration["revision"], receiver.name)
            with suppress(Conflict):  # it is queued already
                siem.put(settings.state("outbox"), own, document_of(waiting(own, told, receiver, now)))
            ids.append(own)
    return tuple(ids)


def waiting(own: str, told: Json, receiver: Receiver, now: datetime) -> Delivery:
    """Return a delivery of a message to a receiver that is to be sent now."""
    moment, subject = instant(now), subject_of(told)
    return Delivery(
        id=own,
        declaration=told[subject]["id"] if subject == "declaration" else None,
        finding=told[subject]["id"] if subject == "finding" else None,
        event=told["type"],
        receiver=receiver.name,
        status="waiting",
        made=str(moment),
        next=moment,
        attempts=0,
        tries=(),
        title=title_of(told),
        severity=severity_of(told),
        message=told,
    )


def queue_many(siem: Siem, settings: Settings, found: Sequence[Delivery]) -> int:
    """Return how many of the deliveries were queued now; those that are there stay as they are."""
    index, queued = settings.state("outbox"), 0
    for first in range(0, len(found), PORTION):
        some = found[first : first + PORTION]
        lines = [line for one in some for line in ({"create": {"_index": index, "_id": one.id}}, document_of(one))]
        refused = siem.bulk(lines)
        for refusal in refused:
            if refusal.status != CHANGED:
                raise siem_error(refusal.status, f"queueing {refusal.id}", {"error": {"reason": refusal.reason}})
        queued += len(some) - len(refused)
    return queued


def due(siem: Siem, settings: Settings, receiver: Receiver, now: datetime) -> list[Waiting]:
    """Return what is to be sent to a receiver now, what has waited longest first."""
    query = {
        "bool": {"filter": [sent_to(receiver.name), in_status(UNFINISHED), {"range": {"next": {"lte": instant(now)}}}]}
    }
    body = {"query": query, "sort": [{"next": "asc"}], "_source": ["tries.at", "group"]}
    hits = _search(siem, settings, body)
    return [Waiting(hit["_id"], bool(hit["_source"].get("tries")), hit["_source"].get("group")) for hit in hits]


def next_due(siem: Siem, settings: Settings, receiver: Receiver) -> datetime | None:
    """Return when the next delivery to a receiver is due, None if none is left."""
    query = {"bool": {"filter": [sent_to(receiver.name), in_status(UNFINISHED)]}}
    hits = _search(siem, settings, {"query": query, "sort": [{"next": "asc"}], "_source": ["next"]}, 1)
    return datetime.fromisoformat(hits[0]["_source"]["next"]) if hits else None


@dataclass(frozen=True)
class Listed:
    """The newest deliveries that were asked for, and how many more there are."""

    deliveries: tuple[Delivery, ...]
    left_out: int


def deliveries(siem: Siem, settings: Settings, declaration: str | None = None) -> tuple[Delivery, ...]:
    """Return the deliveries of a declaration, or all, the newest first."""
    return list_deliveries(siem, settings, declaration=declaration, limit=MOST_SHOWN).deliveries


def list_deliveries(
    siem: Siem,
    settings: Settings,
    *,
    status: Status | None = None,
    receiver: str | None = None,
    declaration: str | None = None,
    group: str | None = None,
    limit: int,
) -> Listed:
    """Return the newest deliveries with this status, receiver, declaration and message, or with any."""
    wanted = {"status": status, "receiver": receiver, "declaration": declaration, "group": group}
    query = {"bool": {"filter": [{"term": {name: value}} for name, value in wanted.items() if value]}}
    body = {"query": query, "sort": [{"made": "desc"}, {"receiver": "asc"}]}
    found = tuple(read_delivery(hit["_id"], hit["_source"]) for hit in _search(siem, settings, body, limit))
    return Listed(found, siem.count(settings.state("outbox"), query) - len(found))


def delivery(siem: Siem, settings: Settings, id: str) -> Delivery:
    """Return one delivery; Refused if there is none of that id."""
    stored = siem.get(settings.state("outbox"), id)
    if stored is None:
        raise Refused(
            f"there is no delivery {id}: `hunts outbox` lists them, `hunts outbox --message ID` those of a message"
        )
    return read_delivery(id, stored.source)


def sent_to(receiver: str) -> Json:
    """Return the filter for the deliveries of a receiver."""
    return {"term": {"receiver": receiver}}


def in_status(statuses: Sequence[Status]) -> Json:
    """Return the filter for deliveries in one of the states."""
    return {"terms": {"status": list(statuses)}}


def _search(siem: Siem, settings: Settings, body: Json, size: int = MOST_SHOWN) -> list[Any]:
    """Return the hits of a search in the outbox, with all that was written before."""
    index = settings.state("outbox")
    siem.call("POST", f"/{index}/_refresh")
    return list(siem.search(index, {**body, "size": size})["hits"]["hits"])


def document_of(one: Delivery) -> Json:
    """Return a delivery as it is stored."""
    document = asdict(one)
    del document["id"]
    return document | {"tries": list(one.tries)}


def read_delivery(id: str, source: Json) -> Delivery:
    """Return the delivery of a stored document, which may be of a version that told of declarations only."""
    source = {**OLDER, **source}
    fields = {name: source[name] for name in Delivery.__dataclass_fields__ if name not in ("id", "tries")}
    return Delivery(id=id, tries=tuple(source["tries"]), **fields)
