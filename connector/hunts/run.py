"""Runs hunts once over the events of a time: what matches, in which groups, and which events.

Promises: all hunts are counted in one round trip and only those that match are paged; what is left out of a result is
counted in it; a hunt that fails carries its error and the others go on; a hunt whose fields no index has says so. Will
not: write anything, or look at events outside the time, not even for a threshold.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from connector.errors import Refused, SiemError
from connector.hunts.asking import FATAL, Asked, Hit, Progress, asked, counts, hits, total
from connector.hunts.bursts import Member, burst
from connector.hunts.hunt import Hunt
from connector.hunts.tally import Tally, tallied
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
class FoundEvent:
    """One event: where it is, its time, and the fields the hunt groups by and shows."""

    index: str
    id: str
    time: datetime | None
    shown: Mapping[str, Any]


@dataclass(frozen=True)
class HuntRun:
    """The result of one hunt.

    `status` is findings, no findings, failed, or which fields are not there. `matching` counts the events that match,
    `hits` those that make the groups: fewer only for a hunt with a threshold. The groups are the largest, the events
    the newest; `groups_left_out` and `events_left_out` count the others.
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
    events: tuple[FoundEvent, ...] = ()
    events_left_out: int = 0
    limits: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class Run:
    """The results of all hunts over one time."""

    span: Span
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
    asking = asked(siem, settings, hunts)
    if not any(each.questions for each in asking) and _is_empty(siem, settings):
        raise Refused(f"no index matches {settings.events}: `hunts load` puts events there, `sources` names others")
    questions = [(q, q.during(span.start, span.end)) for each in asking for q in each.questions]
    counted = iter(counts(siem, questions))
    found = [(each, [next(counted) for _ in each.questions]) for each in asking]
    return Run(span, tuple(_run(siem, each, numbers, span, _Newest(limit, progress)) for each, numbers in found))


def _is_empty(siem: Siem, settings: Settings) -> bool:
    """Tell whether no index has events."""
    shards: int = siem.search(settings.events, {"size": 0})["_shards"]["total"]
    return shards == 0


def _run(siem: Siem, asked: Asked, numbers: Sequence[int | SiemError], span: Span, newest: _Newest) -> HuntRun:
    """Return the result of one hunt, given how many events match each of its questions."""
    result, matching = _of(asked), total(numbers)
    if isinstance(matching, SiemError):
        return replace(result, status=FAILED, error=str(matching))
    if not matching:
        return replace(result, status=asked.trouble or NOTHING)
    try:
        groups = tallied(asked.hunt, newest.through(_members(siem, asked, numbers, span), asked.hunt.name, matching))
    except FATAL:
        raise
    except SiemError as error:
        return replace(result, status=FAILED, matching=matching, error=str(error))
    largest = sorted(groups.values(), key=lambda found: (-found.count, tuple(map(str, found.group.values()))))
    return replace(
        result,
        status=FOUND if groups else NOTHING,
        matching=matching,
        hits=newest.hits,
        groups=tuple(map(_group, largest[: newest.limit])),
        groups_left_out=max(0, len(largest) - newest.limit),
        events=tuple(_event(asked.hunt, hit) for hit in newest.in_order()),
        events_left_out=max(0, newest.hits - newest.limit),
    )


def _of(asked: Asked) -> HuntRun:
    """Return the result of a hunt before anything is known."""
    hunt = asked.hunt
    return HuntRun(hunt.id, hunt.name, hunt.title, hunt.family, hunt.severity, NOTHING, limits=asked.limits)


def _members(siem: Siem, asked: Asked, numbers: Sequence[int | SiemError], span: Span) -> Iterator[Member]:
    """Yield the events of the groups, each with the groups it counts in."""
    if not asked.hunt.threshold.every_event:
        yield from burst(siem, asked, span.start, span.end)
        return
    for question, number in zip(asked.questions, numbers, strict=True):
        least = number if isinstance(number, int) else 0
        for hit in hits(siem, question, *question.during(span.start, span.end), least=least):
            yield hit, list(hit.keys)


class _Newest:
    """Keeps the newest of the events that go through it."""

    def __init__(self, limit: int, progress: Progress) -> None:
        """Keep up to `limit` events."""
        self.limit, self.hits = limit, 0
        self._progress = progress
        self._kept: list[tuple[float, str, str, int, Hit]] = []

    def through(self, members: Iterable[Member], name: str, matching: int) -> Iterator[Member]:
        """Yield the members as they are, telling how far the hunt of that name is."""
        for self.hits, (hit, keys) in enumerate(members, 1):
            entry = (hit.time.timestamp() if hit.time else 0.0, hit.index, hit.id, self.hits, hit)
            (heapq.heappush if len(self._kept) < self.limit else heapq.heappushpop)(self._kept, entry)
            if self.hits % 500 == 0 or self.hits == matching:
                self._progress(name, self.hits, matching)
            yield hit, keys

    def in_order(self) -> list[Hit]:
        """Return the events in the order of time."""
        return [hit for *_, hit in sorted(self._kept, key=lambda entry: entry[:4])]


def _group(found: Tally) -> FoundGroup:
    """Return a group as a result."""
    return FoundGroup(found.group, found.count, found.first, found.last, found.values, found.cut)


def _event(hunt: Hunt, hit: Hit) -> FoundEvent:
    """Return an event as a result."""
    shown = {name: hit.values[name] for name in hunt.fields if name in hit.values}
    return FoundEvent(hit.index, hit.id, hit.time, shown)
