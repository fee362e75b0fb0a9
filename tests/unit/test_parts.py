"""Parts of a finding by window: each window counts once, in whatever order and however often it is done."""

import random
from collections.abc import Iterable
from typing import Any

import pytest

from connector.hunts.passes.intervals import SLOT, Stretches, joined, without
from connector.hunts.passes.parts import MOST_TIMES, Turn, every_part, with_part

NOW = 1000  # slots
OLD = 900


def add(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the sum of parts."""
    return {"count": sum(part["count"] for part in parts)}


class Finding:
    """A finding, and what is still to be looked at for it."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.kept: dict[str, Any] = {"settled": None, "windows": {}}
        self.missing: Stretches = ()

    def do(self, slot: int, count: int) -> None:
        """Do a slot, as a pass does, in which so many events count."""
        window = (slot * SLOT, (slot + 1) * SLOT)
        done = self.missing[0][0] if self.missing else NOW * SLOT
        turn = Turn(*window, done, OLD * SLOT)
        self.kept = with_part(self.kept, turn, {"count": count} if count else None, add) or self.kept
        self.missing = without(self.missing, [window])

    def replay(self, first: int, last: int, counts: dict[int, int]) -> None:
        """Do slots in order that are to be looked at."""
        self.missing = joined([*self.missing, (first * SLOT, (last + 1) * SLOT)])
        for slot in range(first, last + 1):
            self.do(slot, counts.get(slot, 0))

    @property
    def count(self) -> int:
        """Return what all parts add up to."""
        return sum(part["count"] for part in every_part(self.kept))


def test_a_replay_of_a_time_before_what_is_settled_counts_all_of_it() -> None:
    finding = Finding()
    finding.replay(500, 510, dict.fromkeys(range(500, 511), 2))
    assert finding.kept["windows"].keys() <= {str(510 * SLOT)}
    finding.replay(100, 120, dict.fromkeys(range(100, 121), 1))
    assert finding.count == 22 + 21
    finding.do(NOW - 1, 5)
    assert finding.count == 22 + 21 + 5 and [*finding.kept["windows"]] == [str((NOW - 1) * SLOT)]


@pytest.mark.parametrize("seed", range(20))
def test_windows_of_late_count_as_they_were_last_done(seed: int) -> None:
    chance, finding = random.Random(seed), Finding()
    counts = {slot: chance.randint(0, 3) for slot in range(OLD, NOW)}
    order = [slot for slot in counts for _ in range(chance.randint(1, 3))]
    chance.shuffle(order)
    finding.missing = ((OLD * SLOT, NOW * SLOT),)
    for slot in order:
        finding.do(slot, chance.randint(0, 9))
    for slot, count in counts.items():
        finding.do(slot, count)
    assert finding.count == sum(counts.values())


@pytest.mark.parametrize("seed", range(20))
def test_what_is_old_counts_once_when_it_is_done_in_order(seed: int) -> None:
    chance, finding = random.Random(seed), Finding()
    counts = {slot: chance.randint(0, 3) for slot in range(NOW)}
    pieces = [(first, first + 99) for first in range(0, NOW, 100)]
    chance.shuffle(pieces)
    for first, last in pieces:
        finding.replay(first, last, counts)
    assert finding.count == sum(counts.values())


def test_times_of_what_is_settled_are_not_more_and_more() -> None:
    finding = Finding()
    finding.replay(-1200, 799, dict.fromkeys(range(-1200, 800, 2), 1))
    settled = finding.kept["settled"]
    assert len(settled["times"]) <= MOST_TIMES and finding.count == 1000
    assert settled["times"][0][0] == -1200 * SLOT and settled["times"][-1][1] <= OLD * SLOT
