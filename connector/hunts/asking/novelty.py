"""When a value was new: the times at which it appeared, with its absences, as streaks.

A streak is a time in which a value was never absent for longer than it is remembered; the value is new when a streak
begins. Ends of streaks are kept as ends of days (UTC), so that the memory of a value in daily use is written once a
day. Promises: pure; the same streaks whatever the order and the portions in which times are added, and adding times
again changes nothing. Times are epoch milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from connector.hunts.catalogue.needs import DAY, FirstSeen

Streak = tuple[int, int]  # first time, and the end of the last day
Streaks = tuple[Streak, ...]
MILLISECOND = timedelta(milliseconds=1)
MOST = 16  # streaks kept of a value; there is one a quarter at most


@dataclass(frozen=True)
class Novelty:
    """When values of a hunt count as new, given `began`, the very first time the hunt saw any value."""

    needs: FirstSeen
    began: int

    @property
    def learned(self) -> int:
        """Return the time from which on values count as new; before, everything is."""
        return self.began + self.needs.learning // MILLISECOND

    def new(self, streaks: Streaks) -> list[Streak]:
        """Return the times in which a value with these streaks counts as new, as [start, end)."""
        length = self.needs.window // MILLISECOND
        return [(first, first + length) for first, _ in streaks if first >= self.learned]


def with_times(needs: FirstSeen, streaks: Iterable[Streak], times: Iterable[Streak]) -> Streaks:
    """Return the streaks of a value with further times in which it appeared, each from a first to a last one."""
    absent = needs.memory // MILLISECOND
    joined: list[Streak] = []
    for first, last in sorted([*streaks, *((first, end_of_day(last)) for first, last in times)]):
        if joined and first - joined[-1][1] <= absent:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined[-MOST:])


def end_of_day(time: int) -> int:
    """Return the last millisecond of the day (UTC) of a time."""
    day = DAY // MILLISECOND
    return time - time % day + day - 1


def within(time: int, spans: Sequence[Streak]) -> bool:
    """Return whether a time lies in one of the spans [start, end)."""
    return any(start <= time < end for start, end in spans)
