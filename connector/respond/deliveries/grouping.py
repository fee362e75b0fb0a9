"""Which messages deliveries become: each its own, and in a storm many of them one, a digest.

Promises: pure; what was tried goes again as it went before, under the same id; no more messages than there is room for;
nothing is left out while there is room. Will not: send, or store.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from connector.respond.deliveries.wording import SEVERITIES, gravest

Json = dict[str, Any]
NAMED = 15  # of a digest's members, the gravest; ids are there of all
BYTES = 12


@dataclass(frozen=True)
class Waiting:
    """A delivery that is due: whether it was tried before, and the message it went in with others, if it did."""

    id: str
    tried: bool = False
    group: str | None = None


@dataclass(frozen=True)
class Parcel:
    """Deliveries that go as one message; `group` is its id, None for a delivery that goes by itself."""

    members: tuple[str, ...]
    group: str | None = None


@dataclass(frozen=True)
class Member:
    """What a digest tells of one delivery."""

    id: str
    about: str
    event: str
    made: str
    title: str
    severity: str


def parcels(waiting: Sequence[Waiting], room: int) -> list[Parcel]:
    """Return the messages to send now of deliveries in the order of their time, at most as many as there is room."""
    if room <= 0:
        return []
    groups: dict[str, list[str]] = {}
    for one in waiting:
        if one.tried or one.group:
            groups.setdefault(one.group or one.id, []).append(one.id)
    known = {one.group for one in waiting}
    begun = [Parcel(tuple(sorted(members)), key if key in known else None) for key, members in groups.items()]
    fresh = [one.id for one in waiting if not one.tried and not one.group]
    share = room - 1 if fresh and (room > 1 or waiting[0].id == fresh[0]) else room
    begun = begun[:share]  # what is new is not kept waiting by what fails
    left = room - len(begun)
    if len(fresh) <= left or not left:
        return [*begun, *(Parcel((id,)) for id in fresh[:left])]
    alone, rest = fresh[: left - 1], fresh[left - 1 :]
    return [*begun, *(Parcel((id,)) for id in alone), Parcel(tuple(sorted(rest)), new_group())]


def new_group() -> str:
    """Return an id for a message of many, which nobody else has."""
    return f"msg_{secrets.token_hex(BYTES)}"


def digest(id: str, members: Iterable[Member]) -> Json:
    """Return the message of many: how many of what, the gravest and oldest by name, the ids of all."""
    told = sorted(members, key=lambda one: (one.made, one.id))
    counts = Counter(one.severity for one in told)
    named = sorted(told, key=lambda one: -_rank(one.severity))[:NAMED]
    about = {kind: [one.about for one in told if one.event.startswith(kind)] for kind in ("declaration", "finding")}
    return {
        "type": "digest",
        "timestamp": told[-1].made,
        "digest": {
            "id": id,
            "count": len(told),
            "declarations": len(about["declaration"]),
            "findings": len(about["finding"]),
            "severity": gravest(counts),
            "by_severity": [{"severity": word, "count": counts[word]} for word in reversed(SEVERITIES) if counts[word]],
            "first": told[0].made,
            "last": told[-1].made,
            "items": [
                {"type": one.event, "id": one.about, "title": one.title, "severity": one.severity} for one in named
            ],
            "items_left_out": len(told) - len(named),
            "declaration_ids": about["declaration"],
            "finding_ids": about["finding"],
        },
    }


def _rank(severity: str) -> int:
    """Return the place of a severity, the gravest last."""
    return next((n for n, word in enumerate(SEVERITIES) if word == severity), 0)
