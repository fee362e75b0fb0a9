"""What is known of one host: values with first and last time, and numbers. Merged so that nothing counts twice. Pure.

Promises: values merge by the earliest and the latest time, so a window done again, in any order, changes nothing; a
list that is full keeps those seen last and those that appeared last, half of each, and what it let go is counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connector.hosts.attributes import BY_PATH
from connector.hosts.reading import Value
from connector.hunts.passes.intervals import Stretch, joined
from connector.hunts.passes.parts import TIMES, Turn, with_part

Json = dict[str, Any]
Times = tuple[int, int]  # first and last, epoch milliseconds
Values = dict[Value, Times]
MOST_CUT = 1000  # values let go of a list that are told apart


@dataclass
class Facts:
    """What a window, or all windows until now, say of one host."""

    lists: dict[str, Values] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    seen: Times | None = None

    def note(self, path: str, value: Value, times: Times) -> None:
        """Add a value with its times."""
        values = self.lists.setdefault(path, {})
        values[value] = _both(values.get(value), times)

    def saw(self, times: Times) -> None:
        """Add when the host was seen."""
        self.seen = _both(self.seen, times)

    def add(self, other: Facts) -> None:
        """Add the values and times of other facts of the same host."""
        for path, values in other.lists.items():
            for value, times in values.items():
                self.note(path, value, times)
        if other.seen:
            self.saw(other.seen)


def _both(one: Times | None, other: Times) -> Times:
    """Return the earliest and the latest of both."""
    return other if one is None else (min(one[0], other[0]), max(one[1], other[1]))


def merged(kept: Mapping[str, Any] | None, facts: Facts) -> Json:
    """Return what is kept of a host (`lists`, `cut`, `seen`) with more added; lists without anything new are shared."""
    before = kept or {"lists": {}, "cut": {}, "seen": None}
    lists, cut = dict(before["lists"]), dict(before["cut"])
    for path, values in facts.lists.items():
        own: Values = {tuple(row[:-2]): (row[-2], row[-1]) for row in lists.get(path, ())}
        for value, times in values.items():
            own[value] = _both(own.get(value), times)
        gone = limited(own, BY_PATH[path].most)
        if gone or path in cut:
            marks = ({*cut.get(path, ()), *map(_mark, gone)}).difference(map(_mark, own))
            cut[path] = sorted(marks)[:MOST_CUT]
        lists[path] = [[*value, *times] for value, times in sorted(own.items())]
    seen = facts.seen if before["seen"] is None else before["seen"]
    if facts.seen and before["seen"]:
        seen = _both(tuple(before["seen"]), facts.seen)
    return {"lists": lists, "cut": cut, "seen": list(seen) if seen else None}


def limited(values: Values, most: int) -> list[Value]:
    """Return the values that were let go so that there are at most so many."""
    if len(values) <= most:
        return []
    newest = sorted(values, key=lambda value: (-values[value][1], value))[: most - most // 2]
    latest = sorted(values.keys() - set(newest), key=lambda value: (-values[value][0], value))[: most // 2]
    keep = {*newest, *latest}
    gone = [value for value in values if value not in keep]
    for value in gone:
        del values[value]
    return gone


def summed(parts: Iterable[Mapping[str, Any]]) -> Json:
    """Return the numbers of several parts added up."""
    total: dict[str, int] = {}
    for part in parts:
        for name, number in part["numbers"].items():
            total[name] = total.get(name, 0) + number
    return {"numbers": total}


@dataclass(frozen=True)
class Count:
    """The window that numbers are for, and the stretches of time that are counted already."""

    turn: Turn
    counted: tuple[Stretch, ...]

    def parts(self, before: Json, own: Json | None) -> Json:
        """Return the parts of a host with those of the window; they stay as they are if it comes too late.

        What is settled is said to be of all that is counted by then: few stretches, however often a host is away.
        """
        parts = with_part(before, self.turn, own, summed)
        if parts is None or not parts["settled"]:
            return parts or before
        old = [(start, min(end, self.turn.old)) for start, end in self.counted if start < self.turn.old]
        times = joined([*((start, end) for start, end in parts["settled"][TIMES]), *old])
        return {**parts, "settled": {**parts["settled"], TIMES: [list(time) for time in times]}}


def _mark(value: Value) -> int:
    """Return a short mark that tells a value from others."""
    return int.from_bytes(hashlib.blake2s("\0".join(value).encode(errors="replace"), digest_size=6).digest())
