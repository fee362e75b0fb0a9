"""The outbox: one document for each thing to tell and each receiver, from queued to delivered or failed.

What is told is each revision of a declaration, and each finding that is new. A delivery is claimed by compare-and-set
before it is sent, and the claim counts as an attempt. So two programs do not send the same one at once, and one that
was killed between sending and recording is sent again under the same id when the claim has run out: at least once,
never none. Deliveries that go together in one message carry its id as their `group`, claimed before it is sent, and
stay in that group: what is sent again is the same message. Promises: no secret and no address of a receiver is stored.
Will not: send.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal

from connector.errors import Conflict, Refused
from connector.hunts.tally import instant
from connector.respond.decision import Again, Delivered, GivenUp, Step
from connector.respond.declaration import message
from connector.respond.grouping import Member, Waiting
from connector.respond.wording import severity_of, subject_of, title_of
from connector.settings.model import Receiver, Settings
from connector.siem.client import Siem
from connector.siem.many import CHANGED, PORTION, change_many
from connector.siem.wire import siem_error

Json = dict[str, Any]
Status = Literal["waiting", "sending", "delivered", "failed"]
CLAIM = timedelta(minutes=5)  # longer than any attempt takes, redirects among them
UNFINISHED: tuple[Status, ...] = ("waiting", "sending")
DIGITS = 24
MOST_SHOWN = 10_000
OLDER: Json = {"finding": None, "title": "", "severity": "", "group": None}  # what documents of 0.1 do not have
MEMBER = ("event", "made", "title", "severity")  # what a message of many tells of each
UNKNOWN = "sent, and nothing recorded: the program was stopped"


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


def queue(siem: Siem, settings: Settings, id: str, document: Json, now: datetime) -> tuple[str, ...]:
    """Return the ids of the deliveries of a declaration's current revision, one for each receiver that is told such.

    Those that are there stay as they are.
    """
    told = message(id, document)
    ids = []
    for receiver in settings.receivers:
        if "declaration" in receiver.events:
            own = delivery_id(id, document["revision"], receiver.name)
            with suppress(Conflict):  # it is queued already
                siem.put(settings.state("outbox"), own, _document(waiting(own, told, receiver, now)))
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
        lines = [line for one in some for line in ({"create": {"_index": index, "_id": one.id}}, _document(one))]
        refused = siem.bulk(lines)
        for refusal in refused:
            if refusal.status != CHANGED:
                raise siem_error(refusal.status, f"queueing {refusal.id}", {"error": {"reason": refusal.reason}})
        queued += len(some) - len(refused)
    return queued


def due(siem: Siem, settings: Settings, receiver: Receiver, now: datetime) -> list[Waiting]:
    """Return what is to be sent to a receiver now, what has waited longest first."""
    query = {"bool": {"filter": [_of(receiver.name), _any(UNFINISHED), {"range": {"next": {"lte": instant(now)}}}]}}
    body = {"query": query, "sort": [{"next": "asc"}], "_source": ["tries.at", "group"]}
    hits = _search(siem, settings, body)
    return [Waiting(hit["_id"], bool(hit["_source"].get("tries")), hit["_source"].get("group")) for hit in hits]


def next_due(siem: Siem, settings: Settings, receiver: Receiver) -> datetime | None:
    """Return when the next delivery to a receiver is due, None if none is left."""
    query = {"bool": {"filter": [_of(receiver.name), _any(UNFINISHED)]}}
    hits = _search(siem, settings, {"query": query, "sort": [{"next": "asc"}], "_source": ["next"]}, 1)
    return datetime.fromisoformat(hits[0]["_source"]["next"]) if hits else None


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
    return _read(id, source)


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
    claimed = [_read(id, {**source, "message": {}}) for id, source in ours.items() if source]
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
        after[id] = _ended(current or _document(before[id]), before[id], step, now)
        return after[id]

    change_many(siem, settings.state("outbox"), list(before), edit)
    return [replace(_read(id, source), message=before[id].message) for id, source in after.items()]


def send_again(siem: Siem, settings: Settings, id: str, now: datetime) -> Delivery:
    """Return a delivery that is due now and has all its attempts before it; Refused if it cannot be sent again.

    Of one that went with others all are due that have not arrived, as they go again together.
    """
    stored = siem.get(settings.state("outbox"), id)
    if stored is None:
        raise Refused(f"there is no delivery {id}: `hunts outbox` lists them")
    if stored.source["status"] not in ("waiting", "failed"):
        words = f"delivery {id} is {stored.source['status']}"
        raise Refused(f"{words}: only one that waits or has failed can be sent again")
    group = stored.source.get("group")
    ids = [one.id for one in members(siem, settings, group)] if group else [id]
    return _again(siem, settings, ids, now)[id]


def send_all_again(siem: Siem, settings: Settings, receiver: str | None, now: datetime) -> int:
    """Return how many deliveries to a receiver, or to any, had failed and are due now."""
    ids = [one.id for one in _scan(siem, settings, _any(("failed",)), *([_of(receiver)] if receiver else []))]
    return len(_again(siem, settings, ids, now))


def _again(siem: Siem, settings: Settings, ids: Sequence[str], now: datetime) -> dict[str, Delivery]:
    """Return those of the deliveries that are due now, with all attempts before them."""
    done: dict[str, Delivery] = {}

    def edit(id: str, current: Json | None) -> Json | None:
        """Return the stored delivery as one that is due now; None if it has arrived, or is on its way."""
        done.pop(id, None)
        if current is None or current["status"] not in ("waiting", "failed"):
            return None
        source = current | {"status": "waiting", "next": instant(now), "attempts": 0}
        done[id] = _read(id, source)
        return source

    change_many(siem, settings.state("outbox"), ids, edit)
    return done


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
    found = tuple(_read(hit["_id"], hit["_source"]) for hit in _search(siem, settings, body, limit))
    return Listed(found, siem.count(settings.state("outbox"), query) - len(found))


def delivery(siem: Siem, settings: Settings, id: str) -> Delivery:
    """Return one delivery; Refused if there is none of that id."""
    stored = siem.get(settings.state("outbox"), id)
    if stored is None:
        raise Refused(
            f"there is no delivery {id}: `hunts outbox` lists them, `hunts outbox --message ID` those of a message"
        )
    return _read(id, stored.source)


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


def _of(receiver: str) -> Json:
    """Return the filter for the deliveries of a receiver."""
    return {"term": {"receiver": receiver}}


def _any(statuses: Sequence[Status]) -> Json:
    """Return the filter for deliveries in one of the states."""
    return {"terms": {"status": list(statuses)}}


def _search(siem: Siem, settings: Settings, body: Json, size: int = MOST_SHOWN) -> list[Any]:
    """Return the hits of a search in the outbox, with all that was written before."""
    index = settings.state("outbox")
    siem.call("POST", f"/{index}/_refresh")
    return list(siem.search(index, {**body, "size": size})["hits"]["hits"])


def _scan(siem: Siem, settings: Settings, *filters: Json) -> Iterator[Waiting]:
    """Yield all deliveries that pass the filters."""
    siem.call("POST", f"/{settings.state('outbox')}/_refresh")
    body = {"query": {"bool": {"filter": list(filters)}}, "_source": ["group"]}
    for hit in siem.scan(settings.state("outbox"), body):
        yield Waiting(hit["_id"], group=hit["_source"].get("group"))


def _document(one: Delivery) -> Json:
    """Return a delivery as it is stored."""
    document = asdict(one)
    del document["id"]
    return document | {"tries": list(one.tries)}


def _read(id: str, source: Json) -> Delivery:
    """Return the delivery of a stored document, which may be of a version that told of declarations only."""
    source = {**OLDER, **source}
    fields = {name: source[name] for name in Delivery.__dataclass_fields__ if name not in ("id", "tries")}
    return Delivery(id=id, tries=tuple(source["tries"]), **fields)
