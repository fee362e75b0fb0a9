"""A dashboard as typed, immutable values: what a file of `dashboards/` means once it is read.

Promises: complete and checked, so that nobody asks twice whether a field can be counted by. Will not: know a saved
object, a search engine or a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PanelKind = Literal["number", "timeline", "bars", "table", "heat", "age", "search"]
MeasureKind = Literal["count", "unique", "sum", "average", "newest", "oldest"]
ANY = "*"
# name of our own index → the field that the time picker goes by; None for what holds until it is changed
TIME_FIELDS: dict[str, str | None] = {
    "findings": "last",
    "declarations": "last",
    "runs": "started",
    "outbox": "made",
    "hosts": "host_id.last_seen",
    "state": None,
    "tag-rules": None,
}
EVENTS = "events"


@dataclass(frozen=True)
class Clause:
    """A field and the values of which it has one, or has none; `*` is any value."""

    field: str
    values: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True)
class Measure:
    """What is measured: how many there are, or something of a field."""

    kind: MeasureKind = "count"
    field: str = ""


@dataclass(frozen=True)
class Panel:
    """One panel. `labels` are as many as `by`; `search` is the id of the search that a panel of that kind shows.

    `always`: it shows all there is, whatever time is picked. `late_after`: the minutes that an age has to be late.
    """

    id: str
    title: str
    kind: PanelKind
    of: str
    where: tuple[Clause, ...]
    by: tuple[str, ...]
    labels: tuple[str, ...]
    measures: tuple[Measure, ...]
    unit: str
    size: int
    width: int
    height: int
    empty: str
    search: str = ""
    fewest_first: bool = False
    always: bool = False
    late_after: int = 0


@dataclass(frozen=True)
class Search:
    """A saved search: rows of what it is of, with these columns.

    The newest come first by the time picker's field, or by `newest`, if that is set.
    """

    id: str
    title: str
    about: str
    family: str
    of: str
    where: tuple[Clause, ...]
    columns: tuple[str, ...]
    empty: str
    newest: str = ""


@dataclass(frozen=True)
class Dashboard:
    """One dashboard: its guide, the hunts it leads to, and its panels in reading order."""

    id: str
    title: str
    about: str
    days: int
    guide: str
    hunts: tuple[str, ...]
    panels: tuple[Panel, ...]
    file: str = ""


@dataclass(frozen=True)
class Source:
    """All dashboards in the order of their files, and the searches they share, by id."""

    dashboards: tuple[Dashboard, ...]
    searches: dict[str, Search]
