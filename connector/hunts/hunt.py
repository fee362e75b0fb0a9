"""A hunt as typed, immutable values: what a file of `queries/` means once it is read.

Promises: complete and checked, so that nobody asks twice whether a field or a list is there. Will not: read files
(`format.py`), or run (`run.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from connector.hunts.condition import All, Condition, Equals, Scalar
from connector.settings.part import Part

Severity = Literal["informational", "low", "medium", "high", "critical"]
Kind = Literal["policy", "compromise"]
Json = Mapping[str, Any]


@dataclass(frozen=True)
class Threshold:
    """How much a group needs to be a finding: `n` events or, with `field`, `n` distinct values of it.

    Counted within any span of `window`; None counts all of the events that are looked at.
    """

    n: int = 1
    field: str | None = None
    window: timedelta | None = None

    @property
    def every_event(self) -> bool:
        """Tell whether one event is enough."""
        return self.n == 1 and self.field is None


@dataclass(frozen=True)
class Look:
    """The search of a guide step: how far back, what, and the fields to count by or to show.

    The condition may have `Reference`s to the fields of the finding it starts from.
    """

    window: timedelta
    event_types: tuple[str, ...]
    match: Condition
    count_by: tuple[str, ...] = ()
    show: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One step of a guide: the question, the search that answers it, and which answer leans which way."""

    ask: str
    look: Look
    lean_relevant: str
    lean_informational: str


@dataclass(frozen=True)
class Case:
    """A proof: raw events, and the findings expected of them; no finding makes it a near miss.

    An expected finding names values of `group_by` fields and, as `count`, the number of its events. `resolvers` is a
    resolver policy in the form of resolvers.yml, in place of the example organisation's.
    """

    name: str
    hits: tuple[Mapping[str, Scalar | None], ...]
    events: tuple[Json, ...]
    line: int
    resolvers: Part | None = None


@dataclass(frozen=True)
class Hunt:
    """One hunt. `written` is the file as it is, for showing; `file` is where it is from."""

    id: str
    name: str
    family: str
    title: str
    status: str
    severity: Severity
    kind: Kind
    tags: tuple[str, ...]
    references: tuple[str, ...]
    hypothesis: str
    rationale: str
    event_types: tuple[str, ...]
    match: Condition
    group_by: tuple[str, ...]
    threshold: Threshold
    show: tuple[str, ...]
    guide: tuple[Step, ...]
    false_positives: tuple[str, ...]
    blind_spots: tuple[str, ...]
    cases: tuple[Case, ...] = field(repr=False)
    written: Json = field(repr=False, compare=False)
    file: str = ""

    @property
    def condition(self) -> Condition:
        """Return the whole condition: the event types and the match."""
        return All((Equals("event_type", self.event_types), self.match))

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the fields a finding has: those it is grouped by and those it shows."""
        return tuple(dict.fromkeys((*self.group_by, *self.show)))
