"""What a hunt finds among given events, in plain Python: the meaning of `group_by`, `at_least`, `beacon`, `first_seen`.

Promises: the findings that running the hunt on a search engine has, for events that are all at hand. Will not: enrich
the events, or be fast.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product

from connector.hunts.asking.novelty import Novelty, with_times, within
from connector.hunts.asking.spans import measure, taking_part
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import FirstSeen, Needs
from connector.hunts.conditions.address import address_number, is_address_field
from connector.hunts.conditions.condition import Scalar, scalar_text
from connector.hunts.conditions.predicate import Event, predicate, scalars
from connector.settings.model import Dialect

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Key = tuple[Scalar | None, ...]


@dataclass(frozen=True)
class Group:
    """A finding among events: its values by `group_by` field, None where an event has none, and its events.

    Its events are those that take part in what the hunt needs for a finding.
    """

    values: Mapping[str, Scalar | None]
    events: tuple[Event, ...]


def groups(hunt: Hunt, events: Iterable[Event], dialect: Dialect = "eve") -> tuple[Group, ...]:
    """Return the findings of a hunt among enriched events; Refused if only a search can answer its condition.

    A value is new if it is so among these events: nothing else is remembered.
    """
    matches = predicate(hunt.condition, dialect)
    matching = sorted((event for event in events if matches(event)), key=event_time)
    chosen = _new(hunt.needs, matching, dialect) if isinstance(hunt.needs, FirstSeen) else matching
    members: dict[Key, list[Event]] = {}
    for event in chosen:
        for key in group_keys(hunt, event, dialect):
            members.setdefault(key, []).append(event)
    found = (
        Group(dict(zip(hunt.group_by, key, strict=True)), _members(hunt.needs, own, dialect))
        for key, own in members.items()
    )
    return tuple(group for group in found if group.events)


def _members(needs: Needs, events: list[Event], dialect: Dialect) -> tuple[Event, ...]:
    """Return the events of a group, given in the order of time, that take part."""
    if isinstance(needs, FirstSeen):
        return tuple(events)
    measured = measure(needs, dialect)
    timed = [(event_time(event), measured(event)) for event in events]
    return tuple(events[position] for position in taking_part(needs, timed))


def _new(needs: FirstSeen, events: list[Event], dialect: Dialect) -> list[Event]:
    """Return those of the events whose value is new."""
    times: dict[Key, list[tuple[int, int]]] = {}
    for event in events:
        moment = epoch_milliseconds(event_time(event))
        for value in combinations(needs.value, event, dialect):
            times.setdefault(value, []).append((moment, moment))
    if not times:
        return []
    novelty = Novelty(needs, min(first for own in times.values() for first, _ in own))
    new = {value: novelty.new(with_times(needs, (), own)) for value, own in times.items()}
    return [
        event
        for event in events
        if any(
            within(epoch_milliseconds(event_time(event)), new[value])
            for value in combinations(needs.value, event, dialect)
        )
    ]


def combinations(fields: Iterable[str], event: Event, dialect: Dialect) -> Iterator[Key]:
    """Yield the combinations of the values of the fields; none if the event lacks one of the fields."""
    yield from product(*(scalars(event, field, dialect) for field in fields))


def event_time(event: Event) -> datetime:
    """Return the time of an event; the year 1 if it has none that can be read."""
    stamp = event.get("timestamp", event.get("@timestamp"))
    try:
        time = datetime.fromisoformat(str(stamp))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def epoch_milliseconds(moment: datetime) -> int:
    """Return a moment as epoch milliseconds, rounded down."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


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
