"""Stretches of time as sets: what is still to be looked at, and the slots it is cut into.

A stretch is (start, end] in epoch milliseconds. Time is divided into slots of ten minutes: no window is longer than one
or reaches into two, so that a part of the past can be done again and replaces exactly what was found in it.

Promises: pure; stretches are in order, none empty, none touching another. Will not: read a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Stretch = tuple[int, int]
Stretches = tuple[Stretch, ...]
SLOT = 600_000  # milliseconds


def joined(stretches: Iterable[Stretch]) -> Stretches:
    """Return the stretches in order, those that touch or overlap as one."""
    found: list[Stretch] = []
    for start, end in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif start < end:
            found.append((start, end))
    return tuple(found)


def without(stretches: Iterable[Stretch], gone: Iterable[Stretch]) -> Stretches:
    """Return the stretches less what lies in those that are gone."""
    left = list(stretches)
    for start, end in gone:
        parts = ((piece, (piece[0], min(piece[1], start)), (max(piece[0], end), piece[1])) for piece in left)
        left = [part for _, before, after in parts for part in (before, after) if part[0] < part[1]]
    return joined(left)


def slot_of(stretch: Stretch) -> int:
    """Return where the slot begins that has the beginning of a stretch."""
    return stretch[0] - stretch[0] % SLOT


def pieces(stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """Yield the stretches cut where slots end, in order."""
    for first, end in stretches:
        start = first
        while start < end:
            cut = min(end, start - start % SLOT + SLOT)
            yield start, cut
            start = cut


def whole_slots(stretch: Stretch, until: int) -> Stretch:
    """Return a stretch widened to whole slots, but not beyond `until`."""
    start, end = stretch
    return start - start % SLOT, min(until, end + -end % SLOT)


def total(stretches: Iterable[Stretch]) -> int:
    """Return how long the stretches are together, in milliseconds."""
    return sum(end - start for start, end in stretches)
