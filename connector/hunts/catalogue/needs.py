"""What the events of a group need so that they are a finding: how many, of what, how regular, or how new.

Every one of them looks at the events of a group within some span of `window`, by the events' own time; `spans.py` says
which events then take part, `novelty.py` does so for FirstSeen. Will not: look at an event.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from connector.hunts.conditions.condition import All, Condition, field_names

DAY = timedelta(days=1)
SHORTEST_GAP, LONGEST_GAP = timedelta(seconds=10), timedelta(hours=6)


@dataclass(frozen=True)
class Count:
    """`n` events; without a window all that are looked at count together."""

    n: int = 1
    window: timedelta | None = None


@dataclass(frozen=True)
class Distinct:
    """`n` different values of a field."""

    field: str
    n: int
    window: timedelta | None = None


@dataclass(frozen=True)
class Sum:
    """Numbers of a field, none below 0, that add up to `n`."""

    field: str
    n: float
    window: timedelta | None = None


@dataclass(frozen=True)
class Ratio:
    """A share of `n` (above 0, at most 1) of at least `events` events that match `of` too; those take part."""

    of: Condition
    n: float
    events: int
    window: timedelta | None = None


@dataclass(frozen=True)
class Beacon:
    """`n` events at regular gaps: half of the gaps differ from their median by `jitter` times the median or less.

    Gaps between one event and the next count from 10 seconds to 6 hours.
    """

    n: int
    jitter: float
    window: timedelta | None = None


@dataclass(frozen=True)
class FirstSeen:
    """A value, or combination of values, that no event had in the time of `memory` before.

    An event takes part while its value is new: for `window` from the first event on. The first time of `learning` after
    the very first event is for learning only.
    """

    value: tuple[str, ...]
    window: timedelta = DAY
    memory: timedelta = 90 * DAY
    learning: timedelta = 14 * DAY


Needs = Count | Distinct | Sum | Ratio | Beacon | FirstSeen


def every_event(needs: Needs) -> bool:
    """Return whether one event is enough, whichever it is."""
    return isinstance(needs, Count) and needs.n == 1


def measured_fields(needs: Needs) -> tuple[str, ...]:
    """Return the fields that are counted, summed up or remembered, which a search engine must have values of."""
    if isinstance(needs, FirstSeen):
        return needs.value
    return (needs.field,) if isinstance(needs, Distinct | Sum) else ()


def own_condition(needs: Needs) -> Condition:
    """Return the condition that is asked besides the hunt's match; an empty one if there is none."""
    return needs.of if isinstance(needs, Ratio) else All(())


def needed_fields(needs: Needs) -> tuple[str, ...]:
    """Return every field whose values decide whether an event takes part."""
    return (*measured_fields(needs), *field_names(own_condition(needs)))
