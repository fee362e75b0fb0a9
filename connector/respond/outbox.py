"""The outbox: one document for each revision of a declaration and each receiver, from queued to delivered or failed.

A delivery is claimed by compare-and-set before it is sent, and the claim counts as an attempt. So two programs do not
send the same one at once, and one that was killed between sending and recording is sent again under the same id when
the claim has run out: at least once, never none. Promises: no secret and no address of a receiver is stored. Will not:
send.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal

from connector.errors import Conflict, Refused
from connector.hunts.tally import instant
from connector.respond.decision import Again, Delivered, GivenUp, Step
from connector.respond.declaration import message
from connector.settings.model import Receiver, Settings
from connector.siem.client import Siem, Stored

Json = dict[str, Any]
Status = Literal["waiting", "sending", "delivered", "failed"]
CLAIM = timedelta(minutes=5)  # longer than any attempt takes, redirects among them
UNFINISHED: tuple[Status, ...] = ("waiting", "sending")
DIGITS = 24
MOST_SHOWN = 10_000
UNKNOWN = "sent, and nothing recorded: the program was stopped"


@dataclass(frozen=True)
class Delivery:
    """A delivery as it is stored. `tries` has one entry an attempt: when, how long it took, and what came of it."""

    id: str
    declaration: str
    event: str
    receiver: str
    status: Status
    made: str
    next: str | None
    attempts: int
    tries: tuple[Json, ...]
    message: Json

    @property
    def last_word(self) -> str:
        """Return what came of the last attempt, and what to do where it was the last; empty before the first."""
        last = self.tries[-1] if self.tries else {}
        return ": ".join(filter(None, (last.get("why"), last.get("advice"))))


def delivery_id(declaration: str, revision: int, receiver: str) -> str:
    """Return the id of a delivery, which is its webhook-id."""
    return "msg_" + sha256(f"{declaration}\0{revision}\0{receiver}".encode()).hexdigest()[:DIGITS]


def queue(siem: Siem, settings: Settings, id: str, document: Json, now: datetime) -> tuple[str, ...]:
    """Return the ids of the deliveries of a declaration's current revision, one a receiver; those there stay as are."""
    told = message(id, document)
    ids = []
    for receiver in settings.receivers:
        own = delivery_id(id, document["revision"], receiver.name)
        moment = instant(now)
        waiting = Delivery(own, id, told["type"], receiver.name, "waiting", str(moment), moment, 0, (), told)
        with suppress(Conflict):  # it is queued already
            siem.put(settings.state("outbox"), own, _document(waiting))
        ids.append(own)
    return tuple(ids)


def due(siem: Siem, settings: Settings, receiver: Receiver, now: datetime) -> list[str]:
    """Return the ids of what is to be sent to a receiver now, what has waited longest first."""
    query = {"bool": {"filter": [_of(receiver), _any(UNFINISHED), {"range": {"next": {"lte": instant(now)}}}]}}
    return [
        hit["_id"] for hit in _search(siem, settings, {"query": query, "sort": [{"next": "asc"}], "_source": False})
    ]


def next_due(siem: Siem, settings: Settings, receiver: Receiver) -> datetime | None:
    """Return when the next delivery to a receiver is due, None if none is left."""
    query = {"bool": {"filter": [_of(receiver), _any(UNFINISHED)]}}
    hits = _search(siem, settings, {"query": query, "sort": [{"next": "asc"}], "_source": ["next"]}, 1)
    return datetime.fromisoformat(hits[0]["_source"]["next"]) if hits else None


def claim(siem: Siem, settings: Settings, id: str, now: datetime) -> Delivery | None:
    """Return a delivery that is ours to send, its attempt counted; None if it is not due any more."""
    index = settings.state("outbox")
    stored = siem.get(index, id)
    if stored is None or not _is_due(stored, now):
        return None
    attempt = {"at": instant(now), "why": UNKNOWN}
    source = stored.source | {
        "status": "sending",
        "next": instant(now + CLAIM),
        "attempts": stored.source["attempts"] + 1,
        "tries": [*stored.source["tries"], attempt],
    }
    try:
        siem.put(index, id, source, stored)
    except Conflict:
        return None
    return _read(id, source)


def record(siem: Siem, settings: Settings, sent: Delivery, step: Step, now: datetime) -> Delivery:
    """Return the delivery with what came of its attempt, stored.

    Where somebody else has claimed it since, as ours took too long, theirs decides, unless ours arrived.
    """

    def edit(current: Json | None) -> Json:
        """Return the stored delivery with this attempt ended."""
        before = current or _document(sent)
        begun = sent.tries[-1]
        tries = [_attempt(begun, step, now) if one["at"] == begun["at"] else one for one in before["tries"]]
        overtaken = before["attempts"] != sent.attempts or before["status"] != "sending"
        ours = {} if overtaken and not isinstance(step, Delivered) else _outcome(step, now)
        return before | {"tries": tries} | ours

    return _read(sent.id, siem.change(settings.state("outbox"), sent.id, edit))


def send_again(siem: Siem, settings: Settings, id: str, now: datetime) -> Delivery:
    """Return a delivery that is due now and has all its attempts before it; Refused if it cannot be sent again."""

    def edit(current: Json | None) -> Json:
        """Return the stored delivery as one that is due now."""
        if current is None:
            raise Refused(f"there is no delivery {id}: `hunts outbox` lists them")
        if current["status"] not in ("waiting", "failed"):
            raise Refused(f"delivery {id} is {current['status']}: only one that waits or has failed can be sent again")
        return current | {"status": "waiting", "next": instant(now), "attempts": 0}

    return _read(id, siem.change(settings.state("outbox"), id, edit))


def deliveries(siem: Siem, settings: Settings, declaration: str | None = None) -> tuple[Delivery, ...]:
    """Return the deliveries of a declaration, or all, the newest first."""
    query: Json = {"term": {"declaration": declaration}} if declaration else {"match_all": {}}
    body = {"query": query, "sort": [{"made": "desc"}, {"receiver": "asc"}]}
    return tuple(_read(hit["_id"], hit["_source"]) for hit in _search(siem, settings, body))


def _is_due(stored: Stored, now: datetime) -> bool:
    """Tell whether a stored delivery is still to be sent now."""
    return stored.source["status"] in UNFINISHED and str(stored.source["next"]) <= str(instant(now))


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


def _of(receiver: Receiver) -> Json:
    """Return the filter for the deliveries of a receiver."""
    return {"term": {"receiver": receiver.name}}


def _any(statuses: Sequence[Status]) -> Json:
    """Return the filter for deliveries in one of the states."""
    return {"terms": {"status": list(statuses)}}


def _search(siem: Siem, settings: Settings, body: Json, size: int = MOST_SHOWN) -> list[Any]:
    """Return the hits of a search in the outbox, with all that was written before."""
    index = settings.state("outbox")
    siem.call("POST", f"/{index}/_refresh")
    return list(siem.search(index, {**body, "size": size})["hits"]["hits"])


def _document(delivery: Delivery) -> Json:
    """Return a delivery as it is stored."""
    document = asdict(delivery)
    del document["id"]
    return document | {"tries": list(delivery.tries)}


def _read(id: str, source: Json) -> Delivery:
    """Return the delivery of a stored document."""
    fields = {name: source[name] for name in Delivery.__dataclass_fields__ if name not in ("id", "tries")}
    return Delivery(id=id, tries=tuple(source["tries"]), **fields)
