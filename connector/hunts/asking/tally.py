"""What a group of matching events adds up to: count, first and last, some of the events, and the values in them.

Promises: the same whatever order the events come in and however they are portioned; memory is bounded whatever their
number. What is not kept is said: `not_kept` counts events, `cut` names fields with more values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from connector.hunts.asking.asking import Hit, Key, Progress
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.conditions.condition import scalar_text

OLDEST = NEWEST = 50  # events kept of a group
VALUES = 20  # values kept of a field of a group
STEP = 500  # events between two tellings of progress
SLACK = 1000  # how many more are held before they are cut back

Reference = Mapping[str, Any]


@dataclass
class Tally:
    """A group of events as it grows. `group` has the values of the hunt's `group_by` fields."""

    group: Mapping[str, str | None]
    count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    _references: list[Reference] = field(default_factory=list)
    _values: dict[str, set[str]] = field(default_factory=dict)
    _cut: set[str] = field(default_factory=set)

    def add(self, hit: Hit, shown: Iterable[str]) -> None:
        """Count an event; its reference carries the fields `shown`."""
        self.count += 1
        if hit.time:
            self.first = min(self.first or hit.time, hit.time)
            self.last = max(self.last or hit.time, hit.time)
        self._references.append(reference(hit, shown))
        if len(self._references) > SLACK:
            self._references = kept_references(self._references)
        for name, value in hit.values.items():
            self._add_values(name, value if isinstance(value, list) else [value])

    def _add_values(self, name: str, found: Iterable[object]) -> None:
        """Note the values of a field."""
        own = self._values.setdefault(name, set())
        own.update(text for value in found if (text := scalar_text(value)) is not None)
        if len(own) > SLACK:
            self._values[name] = set(kept_values(own))
            self._cut.add(name)

    @property
    def references(self) -> list[Reference]:
        """Return the oldest and the newest events, in the order of time."""
        return kept_references(self._references)

    @property
    def values(self) -> dict[str, list[str]]:
        """Return the first values of each field in the order of text."""
        return {name: kept_values(found) for name, found in sorted(self._values.items())}

    @property
    def cut(self) -> list[str]:
        """Return the fields of which there are more values."""
        return sorted(self._cut | {name for name, found in self._values.items() if len(found) > VALUES})


Member = tuple[Hit, Sequence[Key]]  # an event, and the groups it counts in


@dataclass(frozen=True)
class Tallied:
    """Groups of events, and how many events there are, each once."""

    groups: dict[Key, Tally]
    hits: int


def tallied(hunt: Hunt, members: Iterable[Member]) -> Tallied:
    """Return the groups of events."""
    tallies: dict[Key, Tally] = {}
    hits = 0
    for hits, (hit, keys) in enumerate(members, 1):  # noqa: B007 - its last value counts
        for key in keys:
            if key not in tallies:
                tallies[key] = Tally(dict(zip(hunt.group_by, key, strict=True)))
            tallies[key].add(hit, hunt.fields)
    return Tallied(tallies, hits)


def told(members: Iterable[Member], name: str, matching: int, progress: Progress) -> Iterator[Member]:
    """Yield the events as they are, telling how far the hunt of that name is."""
    for number, member in enumerate(members, 1):
        if number % STEP == 0 or number == matching:
            progress(name, number, matching)
        yield member


def reference(hit: Hit, shown: Iterable[str]) -> Reference:
    """Return an event as a finding keeps it: index, id, time, and the values of the fields `shown`."""
    return {"index": hit.index, "id": hit.id, "time": instant(hit.time), "shown": hit.shown(shown)}


def kept_references(references: Iterable[Reference]) -> list[Reference]:
    """Return the oldest and the newest of the events, each once, in the order of time, index and id."""
    each = {(event["time"] or "", event["index"], event["id"]): event for event in references}
    ordered = [each[place] for place in sorted(each)]
    return ordered if len(ordered) <= OLDEST + NEWEST else ordered[:OLDEST] + ordered[-NEWEST:]


def kept_values(found: Iterable[str]) -> list[str]:
    """Return the first of the values in the order of text."""
    return sorted(found)[:VALUES]


def instant(moment: datetime | None) -> str | None:
    """Return a moment as our documents write it: ISO 8601 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None
