"""A hunt as typed, immutable values: what a file of `queries/` means once it is read.

Promises: complete and checked, so that nobody asks twice whether a field or a list is there. Will not: read files
(`format.py`), or run (`run.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

from connector.hunts.catalogue.needs import Needs, Ratio, own_condition
from connector.hunts.conditions.address import network
from connector.hunts.conditions.condition import All, Condition, Equals, InNetwork, Leaf, Scalar, empty_lists, mapped
from connector.settings.part import Part

Severity = Literal["informational", "low", "medium", "high", "critical"]
Kind = Literal["policy", "compromise"]
Json = Mapping[str, Any]


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
    resolver policy in the form of resolvers.yml, in place of the example organisation's; `lists` are values of lists
    that the operator fills; `hosts` are profiles of hosts by address, as far as hunts can ask for them.
    """

    name: str
    hits: tuple[Mapping[str, Scalar | None], ...]
    events: tuple[Json, ...]
    line: int
    resolvers: Part | None = None
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hosts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a hunt does by itself with what it finds: tag the events, declare them under a threat and phase; or nothing.

    `asset` is the field whose values are declared.
    """

    tag: str | None = None
    threat: str | None = None
    phase: str = ""
    asset: str = ""


@dataclass(frozen=True)
class Hunt:
    """One hunt. `written` is the file as it is, for showing; `file` is where it is from.

    `schedule` is how often a hunt that counts is asked, as a time or a cron line; None is each pass, or for hunts that
    count every five minutes. `outcome` is what the hunt does by itself with what it finds.
    """

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
    needs: Needs
    show: tuple[str, ...]
    guide: tuple[Step, ...]
    false_positives: tuple[str, ...]
    blind_spots: tuple[str, ...]
    cases: tuple[Case, ...] = field(repr=False)
    schedule: str | None
    outcome: Outcome
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

    @property
    def not_set_up(self) -> tuple[str, ...]:
        """Return the lists the hunt needs that have no values: the operator has yet to fill them."""
        return empty_lists(All((self.match, own_condition(self.needs))))

    def with_lists(self, lists: Mapping[str, tuple[str, ...]]) -> Hunt:
        """Return the hunt with these values in place of those of the lists of that name."""
        match = mapped(self.match, lambda leaf: _filled(leaf, lists))
        if not isinstance(self.needs, Ratio):
            return replace(self, match=match)
        of = mapped(self.needs.of, lambda leaf: _filled(leaf, lists))
        return replace(self, match=match, needs=replace(self.needs, of=of))


def _filled(leaf: Leaf, lists: Mapping[str, tuple[str, ...]]) -> Leaf:
    """Return the leaf with the values that its list has among these."""
    if not isinstance(leaf, Equals | InNetwork) or leaf.list_name is None or leaf.list_name not in lists:
        return leaf
    values = lists[leaf.list_name]
    if isinstance(leaf, Equals):
        return replace(leaf, values=values)
    return replace(leaf, networks=tuple(net for value in values if (net := network(value))))
