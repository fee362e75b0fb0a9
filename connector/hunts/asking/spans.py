"""Which events of a group take part: those in some span of the window that has what the hunt needs.

Each event comes with what `measure` takes from it. Promises: pure; cost grows with the number of events, not with the
length of spans. Will not: know `FirstSeen`, whose events depend on what is remembered (`novelty.py`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from connector.hunts.catalogue.needs import LONGEST_GAP, SHORTEST_GAP, Beacon, Count, Distinct, Needs, Ratio, Sum
from connector.hunts.conditions.condition import Scalar
from connector.hunts.conditions.predicate import Event, number_of, predicate, scalars
from connector.settings.model import Dialect

Measured = tuple[Scalar, ...]
Timed = tuple[datetime, Measured]


def measure(needs: Needs, dialect: Dialect) -> Callable[[Event], Measured]:
    """Return the function that takes from an event what counts.

    That is: the values of a Distinct, the numbers of a Sum, whether it matches the condition of a Ratio; else nothing.
    """
    if isinstance(needs, Distinct):
        return lambda event: tuple(scalars(event, needs.field, dialect))
    if isinstance(needs, Sum):
        return lambda event: tuple(n for v in scalars(event, needs.field, dialect) if (n := number_of(v)) is not None)
    if isinstance(needs, Ratio):
        of = predicate(needs.of, dialect)
        return lambda event: (of(event),)
    return lambda event: ()


def taking_part(needs: Needs, timed: Sequence[Timed]) -> list[int]:
    """Return the positions of the events that take part; they are given in the order of time."""
    span = _span(needs)
    part: list[int] = []
    oldest = next_one = 0
    for position, (time, own) in enumerate(timed):
        span.add(time, own)
        while needs.window and time - timed[oldest][0] > needs.window:
            span.drop(*timed[oldest])
            oldest += 1
        if span.enough():
            part += range(max(oldest, next_one), position + 1)
            next_one = position + 1
    return [n for n in part if timed[n][1][0]] if isinstance(needs, Ratio) else part


class _Span(Protocol):
    """What the events of a span add up to, as events come at its end and go at its beginning."""

    def add(self, time: datetime, own: Measured) -> None:
        """Take the next event in."""

    def drop(self, time: datetime, own: Measured) -> None:
        """Let the oldest event go."""

    def enough(self) -> bool:
        """Return whether the span has what is needed."""


class _Counted:
    """So many events."""

    def __init__(self, needs: Count) -> None:
        """Begin without events."""
        self._needs, self._events = needs, 0

    def add(self, time: datetime, own: Measured) -> None:
        """Take the next event in."""
        self._events += 1

    def drop(self, time: datetime, own: Measured) -> None:
        """Let the oldest event go."""
        self._events -= 1

    def enough(self) -> bool:
        """Return whether there are as many events."""
        return self._events >= self._needs.n


class _Different:
    """So many different values."""

    def __init__(self, needs: Distinct) -> None:
        """Begin without values."""
        self._needs, self._values = needs, Counter[Scalar]()

    def add(self, time: datetime, own: Measured) -> None:
        """Take the next event's values in."""
        self._values.update(own)

    def drop(self, time: datetime, own: Measured) -> None:
        """Let the oldest event's values go."""
        self._values.subtract(own)
        for value in own:
            if not self._values[value]:
                del self._values[value]

    def enough(self) -> bool:
        """Return whether there are as many values."""
        return len(self._values) >= self._needs.n


class _Summed:
    """Numbers that add up to so much."""

    def __init__(self, needs: Sum) -> None:
        """Begin with nothing."""
        self._needs, self._total = needs, 0.0

    def add(self, time: datetime, own: Measured) -> None:
        """Add the next event's numbers."""
        self._total += sum(map(float, own))

    def drop(self, time: datetime, own: Measured) -> None:
        """Take the oldest event's numbers off."""
        self._total -= sum(map(float, own))

    def enough(self) -> bool:
        """Return whether the sum is reached."""
        return self._total >= self._needs.n


class _Shared:
    """A share of the events that match a condition."""

    def __init__(self, needs: Ratio) -> None:
        """Begin without events."""
        self._needs, self._events, self._matching = needs, 0, 0

    def add(self, time: datetime, own: Measured) -> None:
        """Take the next event in."""
        self._events += 1
        self._matching += bool(own[0])

    def drop(self, time: datetime, own: Measured) -> None:
        """Let the oldest event go."""
        self._events -= 1
        self._matching -= bool(own[0])

    def enough(self) -> bool:
        """Return whether there are enough events and the share of them is reached."""
        return self._events >= self._needs.events and self._matching >= self._needs.n * self._events


class _Regular:
    """Events at regular gaps; the gaps are kept in order so that medians cost little."""

    def __init__(self, needs: Beacon) -> None:
        """Begin without events."""
        self._needs = needs
        self._times = deque[datetime]()
        self._gaps: list[timedelta] = []

    def add(self, time: datetime, own: Measured) -> None:
        """Take the next event in."""
        if self._times and _counts(gap := time - self._times[-1]):
            insort(self._gaps, gap)
        self._times.append(time)

    def drop(self, time: datetime, own: Measured) -> None:
        """Let the oldest event go."""
        self._times.popleft()
        if self._times and _counts(gap := self._times[0] - time):
            del self._gaps[bisect_left(self._gaps, gap)]

    def enough(self) -> bool:
        """Return whether there are as many gaps, and half of them near the median."""
        gaps = self._gaps
        if len(gaps) < self._needs.n - 1:
            return False
        middle = (gaps[(len(gaps) - 1) // 2] + gaps[len(gaps) // 2]) / 2
        near = bisect_right(gaps, middle * (1 + self._needs.jitter)) - bisect_left(
            gaps, middle * (1 - self._needs.jitter)
        )
        return 2 * near >= len(gaps)


def _counts(gap: timedelta) -> bool:
    """Return whether a gap is one that counts."""
    return SHORTEST_GAP <= gap <= LONGEST_GAP


def _span(needs: Needs) -> _Span:
    """Return an empty span."""
    match needs:
        case Distinct():
            return _Different(needs)
        case Sum():
            return _Summed(needs)
        case Ratio():
            return _Shared(needs)
        case Beacon():
            return _Regular(needs)
        case Count():
            return _Counted(needs)
    raise TypeError(f"no spans for {type(needs).__name__}")
