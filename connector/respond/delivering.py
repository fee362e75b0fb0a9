"""Sends what is due in the outbox, each receiver by itself.

Promises: every attempt is recorded; a receiver that fails is left alone until its pause is over and delays no other;
what is wrong with a receiver's secret or template is the outcome of an attempt, not the end of the run. Clock, chance
and the POST are passed in.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from connector.errors import DeliveryError
from connector.respond.body import read_template, render
from connector.respond.decision import Again, NoAnswer, Outcome, next_step
from connector.respond.outbox import Delivery, claim, due, next_due, record
from connector.respond.post import Web
from connector.respond.signature import webhook_headers
from connector.settings.model import Receiver, Settings
from connector.siem.client import Siem

THREADS = 8


class Post(Protocol):
    """Sends a body to a receiver."""

    def post(self, receiver: Receiver, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Return what came of it."""
        ...


@dataclass(frozen=True)
class World:
    """What delivering needs of the world: the network, the clock, chance, and waiting."""

    web: Post = field(default_factory=Web)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    chance: Callable[[], float] = random.random
    sleep: Callable[[float], None] = time.sleep


def deliver(
    siem: Siem, settings: Settings, world: World, resting: Mapping[str, datetime] | None = None
) -> tuple[Delivery, ...]:
    """Return the deliveries that were sent now, each with what came of it, in the order of receivers.

    `resting` names receivers that are left alone until a moment.
    """
    now, resting = world.now(), resting or {}
    receivers = [receiver for receiver in settings.receivers if resting.get(receiver.name, now) <= now]
    if not receivers:
        return ()
    with ThreadPoolExecutor(min(THREADS, len(receivers))) as threads:
        parts = threads.map(lambda receiver: _deliver_to(siem, settings, receiver, world), receivers)
        return tuple(delivery for part in parts for delivery in part)


def deliver_for(siem: Siem, settings: Settings, world: World, patience: timedelta) -> tuple[Delivery, ...]:
    """Return the deliveries that were sent until none is left, or none is due before the patience ends."""
    end = world.now() + patience
    last: dict[str, Delivery] = {}
    resting: dict[str, datetime] = {}
    while True:
        sent = deliver(siem, settings, world, resting)
        last |= {delivery.id: delivery for delivery in sent}
        resting |= {one.receiver: datetime.fromisoformat(one.next) for one in sent if one.next}
        waiting = {receiver.name: next_due(siem, settings, receiver) for receiver in settings.receivers}
        moments = [max(moment, resting.get(name, moment)) for name, moment in waiting.items() if moment]
        if not moments or min(moments) > end:
            return tuple(last.values())
        world.sleep(max((min(moments) - world.now()).total_seconds(), 1.0))


def _deliver_to(siem: Siem, settings: Settings, receiver: Receiver, world: World) -> list[Delivery]:
    """Return what was sent to one receiver, up to the first failure that a pause may cure."""
    sent: list[Delivery] = []
    for id in due(siem, settings, receiver, world.now()):
        delivery = claim(siem, settings, id, world.now())
        if delivery is None:
            continue
        step = next_step(attempt(delivery, receiver, world), delivery.attempts, world.chance())
        sent.append(record(siem, settings, delivery, step, world.now()))
        if isinstance(step, Again):
            break
    return sent


def attempt(delivery: Delivery, receiver: Receiver, world: World) -> Outcome:
    """Return what came of sending a delivery once."""
    name = str(receiver.template) if receiver.template else "the built-in template"
    try:
        body = render(read_template(receiver.template), delivery.message, name)
        headers = webhook_headers(receiver.secret, delivery.id, int(world.now().timestamp()), body)
    except DeliveryError as error:
        return NoAnswer(str(error), hopeless=True)
    return world.web.post(receiver, headers, body)
