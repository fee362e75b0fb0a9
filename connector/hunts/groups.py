"""What a hunt finds among given events, in plain Python: the meaning of `group_by` and `at_least`.

Promises: the findings that running the hunt on a search engine has, for events that are all at hand. Will not: enrich
the events, or be fast.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product

from connector.enrich.dialects import stored_name
from connector.hunts.address import address_number, is_address_field, plain_address
from connector.hunts.condition import Scalar, scalar_text
from connector.hunts.hunt import Hunt, Threshold
from connector.hunts.predicate import Event, predicate, values
from connector.settings.model import Dialect

Key = tuple[Scalar | None, ...]


@dataclass(frozen=True)
class Group:
    """A finding among events: its values by `group_by` field, None where an event has none, and its events.

    Of a hunt with a threshold its events are those that take part in reaching it.
    """

    values: Mapping[str, Scalar | None]
    events: tuple[Event, ...]


def groups(hunt: Hunt, events: Iterable[Event], dialect: Dialect = "eve") -> tuple[Group, ...]:
    """Return the findings of a hunt among enriched events; Refused if only a search can answer its condition."""
    matches = predicate(hunt.condition, dialect)
    members: dict[Key, list[Event]] = {}
    for event in events:
        if matches(event):
            for key in group_keys(hunt, event, dialect):
                members.setdefault(key, []).append(event)
    found = (
        Group(dict(zip(hunt.group_by, key, strict=True)), _members(hunt.threshold, own, dialect))
        for key, own in members.items()
    )
    return tuple(group for group in found if group.events)


def _members(threshold: Threshold, events: Iterable[Event], dialect: Dialect) -> tuple[Event, ...]:
    """Return the events of a group that take part in reaching the threshold, in the order of time."""
    ordered = sorted(events, key=event_time)
    field = threshold.field
    timed = [(event_time(event), scalars(event, field, dialect) if field else ()) for event in ordered]
    return tuple(ordered[position] for position in taking_part(threshold, timed))


def taking_part(threshold: Threshold, timed: Sequence[tuple[datetime, Sequence[Scalar]]]) -> list[int]:
    """Return the positions of the events that lie in a span of the threshold's window that reaches the threshold.

    The events come in the order of time, each with its values of the threshold's field. More events never make fewer
    take part.
    """
    seen: Counter[Scalar] = Counter()
    part: list[int] = []
    oldest = next_one = 0
    for position, (time, own) in enumerate(timed):
        seen.update(_counted(threshold, position, own))
        while threshold.window and time - timed[oldest][0] > threshold.window:
            seen.subtract(gone := _counted(threshold, oldest, timed[oldest][1]))
            for value in gone:
                if not seen[value]:
                    del seen[value]
            oldest += 1
        if len(seen) >= threshold.n:
            part += range(max(oldest, next_one), position + 1)
            next_one = position + 1
    return part


def _counted(threshold: Threshold, position: int, own: Sequence[Scalar]) -> Sequence[Scalar]:
    """Return what an event adds to the count: its values of the field, or itself."""
    return own if threshold.field else (position,)


def event_time(event: Event) -> datetime:
    """Return the time of an event; the year 1 if it has none that can be read."""
    stamp = event.get("timestamp", event.get("@timestamp"))
    try:
        time = datetime.fromisoformat(str(stamp))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def same_value(field: str, one: object, other: object) -> bool:
    """Return whether two values of a field are the same: addresses in any spelling, all else as text."""
    if one is None or other is None:
        return one is other
    if is_address_field(field):
        return address_number(one) == address_number(other)
    return scalar_text(one) == scalar_text(other)


def group_keys(hunt: Hunt, event: Event, dialect: Dialect) -> Iterator[Key]:
    """Yield the groups an event belongs to: one for each combination of the values of the fields."""
    columns: list[list[Scalar | None]] = []
    for field in hunt.group_by:
        columns.append([*scalars(event, field, dialect)] or [None])
    yield from product(*columns)


def scalars(event: Event, field: str, dialect: Dialect) -> list[Scalar]:
    """Return the values of a field that can be grouped by, each once; addresses as the search engines print them."""
    found = (v for v in values(event, stored_name(field, dialect)) if isinstance(v, str | int | float))
    if is_address_field(field):
        found = (plain_address(str(value)) for value in found)
    return list(dict.fromkeys(found))
