"""The events that count in a hunt's findings, whatever it needs: those of a time, or those new since a window began.

Promises: one answer for runs, passes, tags and declarations. Will not: write, except what a pass has the hunt remember.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from connector.errors import SiemError
from connector.hunts.asking import Window, hits
from connector.hunts.bursts import burst, new_in_burst
from connector.hunts.memory import Filtered, Memory, novel
from connector.hunts.needs import FirstSeen, every_event
from connector.hunts.questions import Asked
from connector.hunts.tally import Member
from connector.siem.client import Siem

Time = tuple[datetime | None, datetime | None]  # of events, [start, end); None is open
Numbers = Sequence[int | SiemError]  # of the events that match, for each question; without numbers none is checked


@dataclass(frozen=True)
class Counting:
    """The events that count, each with its groups, and in `note` why there may be none though events match."""

    events: Iterable[Member]
    note: str = ""


@dataclass(frozen=True)
class Place:
    """Where events are asked for: the engine, and the index of what hunts remember."""

    siem: Siem
    seen: str


def of_time(place: Place, asked: Asked, time: Time, numbers: Numbers = ()) -> Counting:
    """Return what counts among the events of a time."""
    filtered = [(question, question.during(*time)) for question in asked.questions]
    if isinstance(asked.hunt.needs, FirstSeen):
        return _novel(Memory(place.siem, place.seen), asked, asked.hunt.needs, filtered)
    if every_event(asked.hunt.needs):
        return Counting(_every(place.siem, filtered, numbers))
    return Counting(burst(place.siem, asked, *time))


def of_window(place: Place, asked: Asked, narrow: Asked, window: Window, numbers: Numbers = ()) -> Counting:
    """Return what counts since the window's events came; older events are among them that were too few until then.

    `asked` is the hunt as it is asked where events of any time are, `narrow` where the window's events are; `numbers`
    are those of the questions of `narrow`.
    """
    filtered = [(question, [window.filter]) for question in narrow.questions]
    if isinstance(asked.hunt.needs, FirstSeen):
        return _novel(Memory(place.siem, place.seen, keep=window.end), asked, asked.hunt.needs, filtered)
    if every_event(asked.hunt.needs):
        return Counting(_every(place.siem, filtered, numbers))
    return Counting(new_in_burst(place.siem, asked, narrow, window))


def _every(siem: Siem, filtered: Filtered, numbers: Numbers) -> Iterator[Member]:
    """Yield every event that matches; Rejected if they are fewer than were counted."""
    for position, (question, filters) in enumerate(filtered):
        number = numbers[position] if numbers else 0
        for hit in hits(siem, question, *filters, least=number if isinstance(number, int) else 0):
            yield hit, hit.keys


def _novel(memory: Memory, asked: Asked, needs: FirstSeen, filtered: Filtered) -> Counting:
    """Return the events with a new value."""
    found = novel(memory, asked, needs, filtered)
    if found.learning_until is None:
        return Counting(found.members)
    day = datetime.fromtimestamp(found.learning_until / 1000, UTC).date()
    return Counting(found.members, f"still learning: what is new counts from {day} on")
