"""Reads a hunt from its YAML file: structure by `hunt.schema.json`, meaning here.

Promises: every problem of the file is reported at once as file:line; a hunt comes back only if there is none. Will not:
judge style (`lint.py`) or proof (`cases.py`), or accept a key that nothing runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from connector.documents import Document, in_order, schema_problems
from connector.errors import Problem
from connector.hunts.condition import Scalar
from connector.hunts.hunt import Case, Hunt, Json, Look, Step, Threshold
from connector.hunts.lists import Lists
from connector.hunts.reading import Reader
from connector.settings.load import schema
from connector.settings.part import Part
from connector.settings.resolvers import approved_of, exceptions_of

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
COUNT = "count"


@cache
def hunt_schema() -> Json:
    """Return the JSON Schema of a hunt."""
    loaded: Json = json.loads(files("connector.hunts").joinpath("hunt.schema.json").read_text(encoding="utf-8"))
    return loaded


def duration(text: str) -> timedelta | None:
    """Return the time that `90s`, `10m`, `1h` or `7d` means; None for anything else."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", text)
    return timedelta(**{UNITS[found[2]]: int(found[1])}) if found else None


def read_hunt(document: Document, family: str, lists: Lists) -> tuple[Hunt | None, list[Problem]]:
    """Return the hunt of a document, None if there is any problem, and the problems in line order."""
    root = Part(document, (), document.value)
    problems = schema_problems(document, hunt_schema())
    wrong_lines = {problem.line for problem in problems}
    reader = Reader(lists)
    hunt = _hunt(root, family, reader) if isinstance(document.value, dict) else None
    said = [*reader.problems, *(_meaning(root, hunt) if hunt else ())]
    problems += [problem for problem in said if problem.line not in wrong_lines]
    return (None if problems else hunt), in_order(problems)


def _hunt(root: Part, family: str, reader: Reader) -> Hunt:
    """Return the hunt of the file's root; what is of the wrong type reads as empty."""
    event_types = _strings(root.at("data"), "event_types")
    group_by, show = _strings(root, "group_by"), _strings(root, "show")
    match = reader.group(root.at("match"))
    reader.finding_fields = dict.fromkeys((*group_by, *show))
    return Hunt(
        id=root.text("id") or "",
        name=root.text("name") or "",
        family=family,
        title=root.text("title") or "",
        status=root.text("status") or "",
        severity=root.at("severity").value,
        kind=root.at("kind").value,
        tags=_strings(root, "tags"),
        references=_strings(root, "references"),
        hypothesis=_prose(root, "hypothesis"),
        rationale=_prose(root, "rationale"),
        event_types=event_types,
        match=match,
        group_by=group_by,
        threshold=_threshold(root.at("at_least")),
        show=show,
        guide=tuple(_step(part, event_types, reader) for part in root.items("guide")),
        false_positives=_strings(root, "false_positives"),
        blind_spots=_strings(root, "blind_spots"),
        cases=tuple(_case(part) for part in root.items("cases")),
        written=root.value,
        file=root.document.file,
    )


def _threshold(part: Part) -> Threshold:
    """Return what a group needs to be a finding; one event, if nothing is said."""
    window = duration(part.text("window") or "")
    distinct = part.at("distinct")
    if distinct.value is not None:
        return Threshold(_whole(distinct, "n"), distinct.text("field"), window)
    return Threshold(_whole(part, "count"), None, window)


def _step(part: Part, event_types: tuple[str, ...], reader: Reader) -> Step:
    """Return one step of the guide; it looks at the hunt's event types unless it names its own."""
    look = part.at("look")
    return Step(
        ask=_prose(part, "ask"),
        look=Look(
            window=duration(look.text("window") or "") or timedelta(),
            event_types=_strings(look, "event_types") or event_types,
            match=reader.group(look.at("match")),
            count_by=_strings(look, "count_by"),
            show=_strings(look, "show"),
        ),
        lean_relevant=_prose(part, "lean_relevant"),
        lean_informational=_prose(part, "lean_informational"),
    )


def _case(part: Part) -> Case:
    """Return one case, its repeated events not yet written out."""
    hits: list[dict[str, Scalar | None]] = [item.value for item in part.items("hits") if isinstance(item.value, dict)]
    events: list[dict[str, Any]] = [item.value for item in part.items("events") if isinstance(item.value, dict)]
    policy = part.at("resolvers")
    whole = Part(_part_document(policy), (), policy.value) if policy.value is not None else None
    return Case(part.text("name") or "", tuple(hits), tuple(events), part.line, whole)


def _part_document(part: Part) -> Document:
    """Return a place of a file as a document of its own, with the lines it has in the file."""
    depth, lines = len(part.place), part.document.lines
    inner = {place[depth:]: line for place, line in lines.items() if place[:depth] == part.place}
    return Document(part.value, part.document.file, inner)


def _meaning(root: Part, hunt: Hunt) -> Iterator[Problem]:
    """Yield what the schema cannot see: the name against the file, thresholds, and what cases expect."""
    stem = Path(root.document.file).stem
    if hunt.name != stem:
        yield root.at("name").problem(f"is {hunt.name!r}, but the file is {stem}.yml: they must be the same")
    if not hunt.threshold.every_event and hunt.threshold.window is None:
        yield root.at("at_least").problem("needs a window, such as 1h: how fast must it happen?")
    for judged in hunt.cases:
        if judged.resolvers:
            yield from schema_problems(judged.resolvers.document, schema("resolvers"))
            wrong: list[Problem] = []
            approved_of(judged.resolvers, wrong), exceptions_of(judged.resolvers, wrong)
            yield from wrong
    called = [case.name for case in hunt.cases]
    for index, case in enumerate(root.items("cases")):
        if called[index] in called[:index]:
            yield case.at("name").problem("is the name of a case above: give each its own")
        for hit in case.items("hits"):
            names = hit.value if isinstance(hit.value, dict) else {}
            for name in (name for name in names if name != COUNT and name not in hunt.group_by):
                yield hit.at(name).problem(f"is no field that this hunt groups by: {', '.join(hunt.group_by)}")


def _strings(part: Part, key: str) -> tuple[str, ...]:
    """Return the texts of the list under a key, long ones as one line each."""
    return tuple(" ".join(item.value.split()) for item in part.texts(key))


def _prose(part: Part, key: str) -> str:
    """Return the text under a key as one line."""
    return " ".join((part.text(key) or "").split())


def _whole(part: Part, key: str) -> int:
    """Return the whole number under a key, 1 if there is none."""
    value = part.at(key).value
    return value if isinstance(value, int) else 1
