"""Reads dashboards from their YAML files: structure by `dashboard.schema.json`, meaning here.

Promises: every problem of every file is reported at once as file:line; a field that nobody has, that cannot be counted
by, or a hunt or search that is not there is one. Will not: accept a key that nothing uses.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from importlib.resources import files
from itertools import permutations
from pathlib import Path
from typing import Any

from connector.content import content_folder
from connector.dashboards.model import EVENTS, Clause, Dashboard, Measure, MeasureKind, Panel, Search, Source
from connector.dashboards.names import can_count, is_known
from connector.documents import Document, in_order, read_document, schema_problems
from connector.errors import ContentError, Problem
from connector.settings.part import Part

FOLDER = "dashboards"
BY_LIMITS = {
    **{"number": (0, 0), "timeline": (0, 1), "bars": (1, 2), "heat": (2, 2)},
    **{"table": (1, 4), "age": (1, 1), "search": (0, 0)},
}
WIDTHS = {"number": 8, "timeline": 24, "bars": 16, "heat": 24, "table": 24, "age": 24, "search": 48}
HEIGHTS = {"number": 7, "timeline": 12, "bars": 12, "heat": 14, "table": 12, "age": 8, "search": 16}
MEASURES: tuple[MeasureKind, ...] = ("unique", "sum", "average", "newest", "oldest")
UNITS = {EVENTS: "events", "state": "states", "tag-rules": "rules", "outbox": "deliveries"}
DAYS, SIZE, LATE_AFTER = 7, 10, 15
PROFILES, PROFILE = "hosts", "host_id"
NEEDED = ("id", "title", "about", "guide")


@cache
def dashboard_schema() -> dict[str, Any]:
    """Return the JSON Schema of a file of dashboards."""
    text = files("connector.dashboards").joinpath("dashboard.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def read_source(hunts: Collection[str], own: Path | None = None) -> Source:
    """Return the dashboards of the content folder, and of `own`, which adds to them or overrides by id.

    `hunts` are the names of all hunts. ContentError with every problem of every file.
    """
    problems: list[Problem] = []
    documents: list[Document] = []
    for folder in [content_folder(FOLDER), *([own] if own else [])]:
        for path in sorted(folder.glob("*.yml")):
            try:
                documents.append(read_document(path))
            except ContentError as error:
                problems += error.problems
    for document in documents:
        problems += schema_problems(document, dashboard_schema())
    if problems:
        raise ContentError(in_order(problems))
    roots = [Part(document, (), document.value) for document in documents]
    searches = {search.id: search for root in roots for search in _searches(root, problems)}
    found = [_dashboard(root, searches, hunts, problems) for root in roots if root.at("panels").value]
    if problems:
        raise ContentError(in_order(problems))
    return Source(tuple({one.id: one for one in found}.values()), searches)


def _searches(root: Part, problems: list[Problem]) -> Iterator[Search]:
    """Yield the searches of a file."""
    seen: set[str] = set()
    for part in root.items("searches"):
        of = part.text("of") or EVENTS
        columns = _known(part.items("columns"), of, problems)
        problems += _repeated(part, seen)
        empty = part.text("empty") or "nothing of this was seen in the time asked"
        where = _clauses(part, of, problems)
        newest = _known([part.at("newest")] if part.text("newest") else [], of, problems)
        yield Search(
            part.text("id") or "",
            part.text("title") or "",
            part.text("about") or "",
            part.text("family") or "",
            of,
            where,
            columns,
            empty,
            "".join(newest),
        )


def _dashboard(root: Part, searches: Collection[str], hunts: Collection[str], problems: list[Problem]) -> Dashboard:
    """Return the dashboard of a file; what is wrong is added to `problems`."""
    lacking = [key for key in NEEDED if root.text(key) is None]
    if lacking:
        problems.append(root.problem(f"lacks the key {', '.join(lacking)}"))
    for name in root.texts("hunts"):
        if name.value not in hunts:
            problems.append(name.problem(f"names no hunt: {name.value}{_meant(str(name.value), hunts)}"))
    seen: set[str] = set()
    panels = []
    for part in root.items("panels"):
        problems += _repeated(part, seen)
        panels.append(_panel(part, searches, problems))
    return Dashboard(
        id=root.text("id") or "",
        title=root.text("title") or "",
        about=root.text("about") or "",
        days=root.at("days").value or DAYS,
        guide=root.text("guide") or "",
        hunts=tuple(str(part.value) for part in root.texts("hunts")),
        panels=tuple(panels),
        file=root.document.file,
    )


def _repeated(part: Part, seen: set[str]) -> list[Problem]:
    """Return a problem if the id of the part was there before."""
    id = part.text("id") or ""
    if id in seen:
        return [part.at("id").problem(f"is {id}, as of another above: give one a new id")]
    seen.add(id)
    return []


def _panel(part: Part, searches: Collection[str], problems: list[Problem]) -> Panel:
    """Return the panel of a part; what is wrong is added to `problems`."""
    kind: Any = part.text("kind")
    of = part.text("of") or EVENTS
    by = _known(part.items("by"), of, problems, counted=True)
    least, most = BY_LIMITS[kind]
    if not least <= len(by) <= most:
        wanted = str(most) if least == most else f"{least} to {most}"
        problems.append(part.at("by").problem(f"has {len(by)} fields, a panel of kind {kind} takes {wanted}"))
    if of == PROFILES and _share_a_list(by):
        problems.append(part.at("by").problem("has two fields of one list, and each would be counted with every other"))
    labels = tuple(str(label.value) for label in part.texts("labels"))
    if labels and len(labels) != len(by):
        problems.append(part.at("labels").problem(f"has {len(labels)} names for {len(by)} fields of by"))
    search = part.text("search") or ""
    if search and search not in searches:
        problems.append(part.at("search").problem(f"names no search: {search}{_meant(search, searches)}"))
    measured = [part.at("measure"), *part.items("also")]
    if part.at("always").value is True and (of == EVENTS or kind == "timeline"):
        problems.append(part.at("always").problem("is not for events, nor for a timeline"))
    if kind == "age" and not (of != EVENTS and part.at("measure").at("newest").value):
        problems.append(part.at("measure").problem("of an age is the newest of a time in one of our own indices"))
    if part.at("late_after").value and kind != "age":
        problems.append(part.at("late_after").problem("is for an age alone"))
    if len(measured) > 1 and kind != "table":
        problems.append(part.at("also").problem("is for a table alone"))
    return Panel(
        id=part.text("id") or "",
        title=part.text("title") or "",
        kind=kind,
        of=of,
        where=_clauses(part, of, problems),
        by=by,
        labels=labels or tuple(_said(field) for field in by),
        measures=tuple(_measure(each, of, problems) for each in measured),
        unit=part.text("unit") or UNITS.get(of, of),
        size=part.at("size").value or SIZE,
        width=part.at("width").value or WIDTHS[kind],
        height=part.at("height").value or HEIGHTS[kind],
        empty=part.text("empty") or "",
        search=search,
        fewest_first=part.at("fewest_first").value is True,
        always=part.at("always").value is True,
        late_after=part.at("late_after").value or (LATE_AFTER if kind == "age" else 0),
    )


def _share_a_list(by: Sequence[str]) -> bool:
    """Tell whether two fields of a profile are of one list, which an engine keeps as values without their rows."""
    holders = [f"{holder}." for field in by if (holder := field.rpartition(".")[0]) not in ("", PROFILE)]
    return any(one.startswith(other) for one, other in permutations(holders, 2))


def _measure(part: Part, of: str, problems: list[Problem]) -> Measure:
    """Return what a part measures: a count if it says nothing."""
    for kind in MEASURES:
        field = part.at(kind)
        if isinstance(field.value, str):
            _known([field], of, problems, counted=True)
            return Measure(kind, field.value)
    return Measure()


def _clauses(part: Part, of: str, problems: list[Problem]) -> tuple[Clause, ...]:
    """Return what all that is counted has, and has not."""
    found: list[Clause] = []
    for key, negated in (("where", False), ("where_not", True)):
        for field, value in (part.at(key).value or {}).items():
            place = part.at(key).at(field)
            if not is_known(field, of):
                problems.append(place.problem(f"is no field of {of}"))
            values = value if isinstance(value, list) else [value]
            found.append(Clause(field, tuple(_text(each) for each in values), negated))
    return tuple(found)


def _text(value: object) -> str:
    """Return a value as a query has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _known(parts: Sequence[Part], of: str, problems: list[Problem], counted: bool = False) -> tuple[str, ...]:
    """Return the fields that parts name; one that is not there, or cannot be counted by, is a problem."""
    names = tuple(str(part.value) for part in parts)
    for part, name in zip(parts, names, strict=True):
        if not is_known(name, of):
            problems.append(part.problem(f"is {name}, which is no field of {of}"))
        elif counted and not can_count(name, of):
            problems.append(part.problem(f"is {name}, which can be searched but not counted by"))
    return names


def _said(field: str) -> str:
    """Return what people call a field that has no label."""
    return field.removeprefix("hunt.").replace("_", " ").replace(".", " ")


def _meant(name: str, known: Collection[str]) -> str:
    """Return the known name that is written most alike, as a question."""
    near = difflib.get_close_matches(name, sorted(known), 1)
    return f"; did you mean {near[0]}?" if near else ""
