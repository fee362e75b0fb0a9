"""Sends what is due in the outbox, each receiver by itself.

Promises: every attempt is recorded; a receiver that fails is left alone until its pause is over, and one that is slow
or down delays no other, as each has a thread of its own; no receiver gets more messages a minute than it may have, and
what is due beyond them goes together in one; what is wrong with a receiver's secret or template is the outcome of an
attempt, not the end of the run. Clock, chance and the network are passed in.
"""

from __future__ import annotations

import json
import random
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any, Protocol

from connector.errors import DeliveryError
from connector.respond.deliveries.body import built_in, read_template, render, speaks_of
from connector.respond.deliveries.claiming import claim, claim_group, members, record
from connector.respond.deliveries.decision import Again, Answer, NoAnswer, Outcome, Step, next_step
from connector.respond.deliveries.grouping import Parcel, digest, parcels
from connector.respond.deliveries.mail import Mail, mail_of
from connector.respond.deliveries.new_findings import queue_findings
from connector.respond.deliveries.outbox import Delivery, due, next_due
from connector.respond.deliveries.post import Web
from connector.respond.deliveries.redaction import redacted
from connector.respond.deliveries.signature import webhook_headers
from connector.respond.deliveries.standing import give_back, note, spend, standing
from connector.respond.deliveries.wording import subject_of, words
from connector.settings.model import MailAccount, Receiver, Settings
from connector.siem.client import Siem

Json = dict[str, Any]
SIGNED = ("generic", "shuffle")
KEY_BYTES = 16


class Post(Protocol):
    """Sends a body to a receiver."""

    def post(self, receiver: Receiver, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Return what came of it."""
        ...


class PostOffice(Protocol):
    """Sends a mail to a receiver."""

    def send(self, receiver: Receiver, account: MailAccount, mail: EmailMessage) -> Outcome:
        """Return what came of it."""
        ...


@dataclass(frozen=True)
class World:
    """What delivering needs of the world: the network, the clock, chance, and waiting."""

    web: Post = field(default_factory=Web)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    chance: Callable[[], float] = random.random
    sleep: Callable[[float], None] = time.sleep
    mail: PostOffice = field(default_factory=Mail)


def deliver(siem: Siem, settings: Settings, world: World) -> tuple[Delivery, ...]:
    """Return the deliveries that were sent now, each with what came of it, in the order of receivers."""
    return _each(settings, lambda receiver: deliver_to(siem, settings, receiver, world))


def deliver_for(siem: Siem, settings: Settings, world: World, patience: timedelta) -> tuple[Delivery, ...]:
    """Return the deliveries that were sent until none is left, or none is due before the patience ends.

    Findings that are new are queued before.
    """
    queue_findings(siem, settings, world.now())
    end = world.now() + patience
    return _each(settings, lambda receiver: _deliver_until(siem, settings, receiver, world, end))


def _each(settings: Settings, work: Callable[[Receiver], list[Delivery]]) -> tuple[Delivery, ...]:
    """Return what the work gave for each receiver, each done in a thread of its own."""
    if not settings.receivers:
        return ()
    with ThreadPoolExecutor(len(settings.receivers)) as threads:
        return tuple(one for part in threads.map(work, settings.receivers) for one in part)


def _deliver_until(siem: Siem, settings: Settings, receiver: Receiver, world: World, end: datetime) -> list[Delivery]:
    """Return what was sent to one receiver until nothing is left, or nothing is due before the end."""
    last: dict[str, Delivery] = {}
    while True:
        last |= {one.id: one for one in deliver_to(siem, settings, receiver, world)}
        moment = next_due(siem, settings, receiver)
        if moment is not None:
            moment = max(moment, standing(siem, settings, receiver).free_at(receiver, world.now()))
        if moment is None or moment > end:
            return list(last.values())
        world.sleep(max((moment - world.now()).total_seconds(), 1.0))


def deliver_to(siem: Siem, settings: Settings, receiver: Receiver, world: World) -> list[Delivery]:
    """Return what was sent to one receiver now: up to a failure that a pause may cure, or the minute's last message."""
    sent: list[Delivery] = []
    waiting = due(siem, settings, receiver, world.now())
    if not waiting:
        return sent
    room = standing(siem, settings, receiver).room(receiver, world.now())
    for parcel in parcels(waiting, room):
        if not spend(siem, settings, receiver, world.now()):
            break
        done, step = _send(siem, settings, receiver, parcel, world)
        sent += done
        if isinstance(step, Again):
            break
    return sent


def _send(
    siem: Siem, settings: Settings, receiver: Receiver, parcel: Parcel, world: World
) -> tuple[list[Delivery], Step | None]:
    """Return the deliveries of one message that was sent, and what came of it; none if it is not ours to send."""
    ours, message = _claim(siem, settings, parcel, world.now())
    if not ours:
        give_back(siem, settings, receiver, world.now())
        return [], None
    outcome = attempt(ours[0].sent_as, message, receiver, world)
    step = next_step(outcome, max(one.attempts for one in ours), world.chance())
    done = record(siem, settings, ours, step, world.now())
    note(siem, settings, receiver, step, now=world.now(), chance=world.chance())
    return done, step


def _claim(siem: Siem, settings: Settings, parcel: Parcel, now: datetime) -> tuple[list[Delivery], Json]:
    """Return the deliveries of a message that are ours to send, and what it says."""
    if parcel.group is None:
        delivery = claim(siem, settings, parcel.members[0], now)
        return ([delivery], delivery.message) if delivery else ([], {})
    ours = claim_group(siem, settings, parcel.members, parcel.group, now)
    return ours, digest(parcel.group, members(siem, settings, parcel.group)) if ours else {}


def attempt(id: str, message: Json, receiver: Receiver, world: World) -> Outcome:
    """Return what came of sending a message once."""
    names = {**message, **words(message), "id": id, "project": receiver.project, "issue_type": receiver.issue_type}
    now = world.now()
    try:
        if receiver.mail:
            return world.mail.send(receiver, receiver.mail, mail_of(receiver.mail, id, names, now))
        body = _with_key(receiver, message, names)
        headers = _headers(receiver, id, int(now.timestamp()), body)
    except DeliveryError as error:
        return NoAnswer(redacted(str(error), receiver), hopeless=True)
    return _meant(receiver, world.web.post(receiver, headers, body))


def _with_key(receiver: Receiver, message: Json, names: Mapping[str, Any]) -> bytes:
    """Return the body of a message; PagerDuty's key takes its place last, so that no error can quote a part of it."""
    if receiver.kind != "pagerduty":
        return _body(receiver, message, names)
    stand_in, key = secrets.token_hex(KEY_BYTES), json.dumps(receiver.secret or "")[1:-1]
    return _body(receiver, message, {**names, "routing_key": stand_in}).replace(stand_in.encode(), key.encode())


def _body(receiver: Receiver, message: Json, names: Mapping[str, Any]) -> bytes:
    """Return the body of a message; a template of the operator's that is not made for such a one is left for ours."""
    if receiver.template:
        own = read_template(receiver.template)
        if speaks_of(own, subject_of(message)):
            return render(own, names, str(receiver.template))
    return render(read_template(built_in(receiver.kind)), names, f"the built-in template of {receiver.kind}")


def _headers(receiver: Receiver, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a message: its id, its signature where such are signed, and how we are known there."""
    secret = receiver.secret if receiver.kind in SIGNED else None
    known = {"authorization": receiver.authorization} if receiver.authorization else {}
    return webhook_headers(secret, id, timestamp, body) | known


def _meant(receiver: Receiver, outcome: Outcome) -> Outcome:
    """Return what an answer means: TheHive refuses, with 400, an alert that it has, so that one has arrived."""
    told = outcome.words.casefold() if isinstance(outcome, Answer) else ""
    if receiver.kind == "thehive" and isinstance(outcome, Answer) and outcome.status == 400:
        there = "already exist" in told and "observable" not in told
        return replace(outcome, status=200, words="it had it already") if there else outcome
    return outcome
