"""Runs hunts once over the events of a time: what matches, in which groups, and which events.

Promises: all hunts are counted in one round trip and only those that match are paged; what is left out of a result is
counted in it; a hunt that fails carries its error and the others go on; a hunt whose fields no index has says so. Will
not: write anything, or look at events outside the time, except what passes had the hunt remember.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from connector.errors import Refused, SiemError
from connector.hunts.asking.asking import FATAL, Answer, Hit, Progress, counted, total
from connector.hunts.asking.census import census, narrowed
from connector.hunts.asking.looking import Event
from connector.hunts.asking.members import Place, of_time, opening
from connector.hunts.asking.questions import Asked, Known, during
from connector.hunts.asking.tally import Member, Tally, tallied, told
from connector.hunts.catalogue.hunt import Hunt
from connector.settings.model import Settings
from connector.siem.client import Siem

LIMIT = 10_000
FOUND, NOTHING, FAILED = "findings", "no findings", "failed"


@dataclass(frozen=True)
class Span:
    """A time of events, [start, end); None is open."""

    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class FoundGroup:
    """One finding candidate: the values it is grouped by, its events' number, first and last, and what they show.

    `cut` names fields of which `values` has only the first.
    """

    group: Mapping[str, Any]
    count: int
    first: datetime | None
    last: datetime | None
    values: Mapping[str, list[str]]
    cut: list[str]


@dataclass(frozen=True)
class HuntRun:
    """The result of one hunt.

    `status` is findings, no findings, failed, or why there can be none: fields that are not there, lists that are
    empty, a hunt that only learns yet. `matching` counts events that match, `hits` those that make the groups: fewer
    only for a hunt that needs more than an event. The groups are the largest, the events the newest; `groups_left_out`
    and `events_left_out` count the others.
    """

    id: str
    name: str
    title: str
    family: str
    severity: str
    status: str
    matching: int = 0
    hits: int = 0
    groups: tuple[FoundGroup, ...] = ()
    groups_left_out: int = 0
    events: tuple[Event, ...] = ()
    events_left_out: int = 0
    limits: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class Run:
    """The results of all hunts over one time; `events` are all events of it, whatever hunts say of them."""

    span: Span
    events: int
    hunts: tuple[HuntRun, ...]

    @property
    def failed(self) -> bool:
        """Tell whether a hunt has failed."""
        return any(hunt.error for hunt in self.hunts)


def run_hunts(
    siem: Siem, settings: Settings, hunts: Sequence[Hunt], span: Span, *, progress: Progress, limit: int = LIMIT
) -> Run:
    """Return what the hunts find in the events of the span; at most `limit` groups and events of each.

    Refused if there is no index with events, SiemError if the engine answers none of them.
    """
    known = Known()
    known.learn(siem, settings, hunts)
    if not any(each.questions for each in known.asked) and _is_empty(siem, settings):
        raise Refused(f"no index matches {settings.events}: `hunts load` puts events there, `sources` names others")
    there = census(siem, known.mapped, hunts, lambda source: during(source, span.start, span.end))
    narrow = [narrowed(each, there, known) for each in known.asked]
    asking = [(q, q.during(span.start, span.end)) for each in narrow for q in each.questions]
    answers = iter(counted(siem, asking, opening))
    found = [(each, [next(answers) for _ in each.questions]) for each in narrow]
    desk = _Desk(Place(siem, settings.state("seen")), span, progress, limit)
    events = sum(each.events for each in there.values())
    return Run(span, events, tuple(desk.hunt_run(each, answers) for each, answers in found))


def _is_empty(siem: Siem, settings: Settings) -> bool:
    """Tell whether no index has events."""
    shards: int = siem.search(settings.events, {"size": 0})["_shards"]["total"]
    return shards == 0


@dataclass(frozen=True)
class _Desk:
    """Where the hunts of one run do their work."""

    place: Place
    span: Span
    progress: Progress
    limit: int

    def hunt_run(self, asked: Asked, answers: Sequence[Answer]) -> HuntRun:
        """Return the result of one hunt, given what counting has brought for each of its questions."""
        hunt, matching = asked.hunt, total(answer.number for answer in answers)
        result = HuntRun(hunt.id, hunt.name, hunt.title, hunt.family, hunt.severity, NOTHING, limits=asked.limits)
        if isinstance(matching, SiemError):
            return replace(result, status=FAILED, error=str(matching))
        result = replace(result, matching=matching)
        if not matching:
            return replace(result, status=asked.trouble or NOTHING)
        try:
            return self._found(result, asked, answers)
        except FATAL:
            raise
        except SiemError as error:
            return replace(result, status=FAILED, error=str(error))

    def _found(self, result: HuntRun, asked: Asked, answers: Sequence[Answer]) -> HuntRun:
        """Return the result with its groups and events."""
        counting = of_time(self.place, asked, (self.span.start, self.span.end), answers)
        newest = _Newest(self.limit)
        members = newest.through(told(counting.events, asked.hunt.name, result.matching, self.progress))
        found = tallied(asked.hunt, members)
        largest = sorted(found.groups.values(), key=lambda group: (-group.count, str(group.group)))
        return replace(
            result,
            status=FOUND if largest else counting.note or NOTHING,
            hits=found.hits,
            groups=tuple(map(_group, largest[: self.limit])),
            groups_left_out=max(0, len(largest) - self.limit),
            events=tuple(_event(asked.hunt, hit) for hit in newest.in_order()),
            events_left_out=max(0, found.hits - self.limit),
        )


class _Newest:
    """Keeps the newest of the events that go through it."""

    def __init__(self, limit: int) -> None:
        """Keep up to `limit` events."""
        self._limit = limit
        self._kept: list[tuple[float, str, str, int, Hit]] = []

    def through(self, members: Iterable[Member]) -> Iterator[Member]:
        """Yield the events as they are."""
        for number, (hit, keys) in enumerate(members):
            entry = (hit.time.timestamp() if hit.time else 0.0, hit.index, hit.id, number, hit)
            (heapq.heappush if len(self._kept) < self._limit else heapq.heappushpop)(self._kept, entry)
            yield hit, keys

    def in_order(self) -> list[Hit]:
        """Return the events in the order of time."""
        return [hit for *_, hit in sorted(self._kept, key=lambda entry: entry[:4])]


def _group(found: Tally) -> FoundGroup:
    """Return a group as a result."""
    return FoundGroup(found.group, found.count, found.first, found.last, found.values, found.cut)


def _event(hunt: Hunt, hit: Hit) -> Event:
    """Return an event as a result, with the fields the hunt groups by and shows."""
    return Event(hit.index, hit.id, hit.time, hit.shown(hunt.fields))
