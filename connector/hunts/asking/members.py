"""The events that count in a hunt's findings, whatever it needs: those of a time, or those new since a window began.

Promises: one answer for runs, passes, tags and declarations. Will not: write, except what a pass has the hunt remember.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from connector.errors import SiemError
from connector.hunts.asking import bursts, memory
from connector.hunts.asking.asking import Answer, Window, counted, first_hits, hits
from connector.hunts.asking.memory import Filtered, Memory, novel
from connector.hunts.asking.questions import Asked, Json, Question
from connector.hunts.asking.tally import Member
from connector.hunts.catalogue.needs import FirstSeen, every_event
from connector.siem.client import Siem

Time = tuple[datetime | None, datetime | None]  # of events, [start, end); None is open


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


def opening(question: Question) -> Json:
    """Return what a search that counts events of any time brings as well."""
    if isinstance(question.hunt.needs, FirstSeen):
        return memory.opening(question, question.hunt.needs)
    return first_hits(question) if every_event(question.hunt.needs) else {}


def window_opening(question: Question) -> Json:
    """Return what a search that counts a window's events brings as well."""
    return opening(question) or bursts.opening(question)


def of_time(place: Place, asked: Asked, time: Time, answers: Sequence[Answer] = ()) -> Counting:
    """Return what counts among the events of a time; `answers` are to its questions, with what `opening` asks for."""
    if not isinstance(asked.hunt.needs, FirstSeen) and not every_event(asked.hunt.needs):
        return Counting(bursts.burst(place.siem, asked, *time))
    filtered = [(question, question.during(*time)) for question in asked.questions]
    answers = answers or counted(place.siem, filtered, opening)
    if isinstance(asked.hunt.needs, FirstSeen):
        return _novel(Memory(place.siem, place.seen), asked, asked.hunt.needs, filtered, answers)
    return Counting(_every(place.siem, filtered, answers))


def of_window(place: Place, asked: Asked, narrow: Asked, window: Window, answers: Sequence[Answer]) -> Counting:
    """Return what counts since the window's events came; older events are among them that were too few until then.

    `asked` is the hunt as it is asked where events of any time are, `narrow` where the window's events are; `answers`
    are to the questions of `narrow`, with what `window_opening` asks for.
    """
    filtered = [(question, [window.filter]) for question in narrow.questions]
    if isinstance(asked.hunt.needs, FirstSeen):
        return _novel(Memory(place.siem, place.seen, keep=window.end), asked, asked.hunt.needs, filtered, answers)
    if every_event(asked.hunt.needs):
        return Counting(_every(place.siem, filtered, answers))
    return Counting(bursts.new_in_burst(place.siem, asked, narrow, window, answers))


def _every(siem: Siem, filtered: Filtered, answers: Sequence[Answer]) -> Iterator[Member]:
    """Yield every event that matches; Rejected if they are fewer than were counted, the error of what was not."""
    for (question, filters), answer in zip(filtered, answers, strict=True):
        if isinstance(answer.number, SiemError):
            raise answer.number
        for hit in hits(siem, question, *filters, answer=answer) if answer.number else ():
            yield hit, hit.keys


def _novel(place: Memory, asked: Asked, needs: FirstSeen, filtered: Filtered, answers: Sequence[Answer]) -> Counting:
    """Return the events with a new value."""
    found = novel(place, asked, needs, filtered, answers)
    if found.learning_until is None:
        return Counting(found.members)
    day = datetime.fromtimestamp(found.learning_until / 1000, UTC).date()
    return Counting(found.members, f"still learning: what is new counts from {day} on")
