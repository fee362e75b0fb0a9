"""Reads a hunt from its YAML file: structure by `hunt.schema.json`, meaning here.

Promises: every problem of the file is reported at once as file:line; a hunt comes back only if there is none. Will not:
judge style (`lint.py`) or proof (`cases.py`), or accept a key that nothing runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from connector.documents import Document, in_order, schema_problems
from connector.errors import Problem
from connector.hunts.catalogue.hunt import Case, Hunt, Json, Look, Outcome, Step
from connector.hunts.catalogue.needs import Beacon, Count, Distinct, FirstSeen, Needs, Ratio, Sum, every_event
from connector.hunts.catalogue.schedule import schedule_problem
from connector.hunts.conditions.address import address_number
from connector.hunts.conditions.condition import Scalar, query_only
from connector.hunts.conditions.lists import Lists
from connector.hunts.conditions.reading import Reader
from connector.settings.durations import duration
from connector.settings.load import schema
from connector.settings.part import Part
from connector.settings.resolvers import approved_of, exceptions_of

COUNT = "count"


@cache
def hunt_schema() -> Json:
    """Return the JSON Schema of a hunt."""
    loaded: Json = json.loads(files("connector.hunts").joinpath("hunt.schema.json").read_text(encoding="utf-8"))
    return loaded


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
    match, needs = reader.group(root.at("match")), _needs(root, reader)
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
        needs=needs,
        show=show,
        guide=tuple(_step(part, event_types, reader) for part in root.items("guide")),
        false_positives=_strings(root, "false_positives"),
        blind_spots=_strings(root, "blind_spots"),
        cases=tuple(_case(part) for part in root.items("cases")),
        schedule=root.text("schedule"),
        outcome=_outcome(root.at("outcome")),
        written=root.value,
        file=root.document.file,
    )


def _needs(root: Part, reader: Reader) -> Needs:
    """Return what a group needs to be a finding; one event, if nothing is said."""
    beacon, first_seen = root.at("beacon"), root.at("first_seen")
    if beacon.value is not None:
        return Beacon(_whole(beacon, "count"), _number(beacon, "jitter"), duration(beacon.text("window") or ""))
    if first_seen.value is not None:
        return _first_seen(first_seen)
    return _at_least(root.at("at_least"), reader)


def _at_least(part: Part, reader: Reader) -> Needs:
    """Return how much a group needs."""
    window = duration(part.text("window") or "")
    distinct, summed, ratio = part.at("distinct"), part.at("sum"), part.at("ratio")
    if distinct.value is not None:
        return Distinct(distinct.text("field") or "", _whole(distinct, "n"), window)
    if summed.value is not None:
        return Sum(summed.text("field") or "", _number(summed, "n"), window)
    if ratio.value is not None:
        return Ratio(reader.group(ratio.at("of")), _number(ratio, "n"), _whole(ratio, "events"), window)
    return Count(_whole(part, "count"), window)


def _first_seen(part: Part) -> FirstSeen:
    """Return what must be new, and for how long it is new and remembered."""
    times = {key: time for key in ("window", "memory", "learning") if (time := duration(part.text(key) or ""))}
    return FirstSeen(_strings(part, "value"), **times)


def _outcome(part: Part) -> Outcome:
    """Return what the hunt does by itself with what it finds."""
    tag, declare = part.text("tag"), part.at("declare")
    given = {key: declare.text(key) or "" for key in ("threat", "phase", "asset")} if declare.value else {}
    return Outcome(tag, **given)


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
    lists = part.at("lists")
    named = lists.value if isinstance(lists.value, dict) else {}
    values = {str(name): _strings(lists, str(name)) for name in named}
    hosts = part.at("hosts").value
    profiles = {str(ip): own for ip, own in hosts.items() if isinstance(own, dict)} if isinstance(hosts, dict) else {}
    return Case(part.text("name") or "", tuple(hits), tuple(events), part.line, whole, values, profiles)


def _part_document(part: Part) -> Document:
    """Return a place of a file as a document of its own, with the lines it has in the file."""
    depth, lines = len(part.place), part.document.lines
    inner = {place[depth:]: line for place, line in lines.items() if place[:depth] == part.place}
    return Document(part.value, part.document.file, inner)


def _meaning(root: Part, hunt: Hunt) -> Iterator[Problem]:
    """Yield what the schema cannot see: the name against the file, windows, schedules, and what cases expect."""
    stem = Path(root.document.file).stem
    if hunt.name != stem:
        yield root.at("name").problem(f"is {hunt.name!r}, but the file is {stem}.yml: they must be the same")
    yield from _needs_problems(root, hunt)
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
        for ip in hunt.cases[index].hosts:
            if address_number(ip) is None:
                yield case.at("hosts").problem(f"names {ip!r}, which is no address of a host")
        for hit in case.items("hits"):
            names = hit.value if isinstance(hit.value, dict) else {}
            for name in (name for name in names if name != COUNT and name not in hunt.group_by):
                yield hit.at(name).problem(f"is no field that this hunt groups by: {', '.join(hunt.group_by)}")


def _needs_problems(root: Part, hunt: Hunt) -> Iterator[Problem]:
    """Yield what is wrong with what a finding needs, and with how often the hunt is asked."""
    several = [key for key in ("at_least", "beacon", "first_seen") if root.at(key).value is not None]
    if len(several) > 1:
        yield root.at(several[1]).problem(f"stands beside {several[0]}: a hunt needs one of them")
    if not every_event(hunt.needs) and hunt.needs.window is None:
        yield root.at("at_least").problem("needs a window, such as 1h: how fast must it happen?")
    if isinstance(hunt.needs, Ratio) and (words := query_only(hunt.needs.of)):
        yield root.at("at_least").problem(f"has {' and '.join(words)} in `of`: only a search can answer that")
    if hunt.schedule and (said := schedule_problem(hunt.schedule)):
        yield root.at("schedule").problem(said)
    if hunt.schedule and every_event(hunt.needs):
        yield root.at("schedule").problem("is of no use: every pass asks a hunt for which one event is enough")


def _strings(part: Part, key: str) -> tuple[str, ...]:
    """Return the texts of the list under a key, long ones as one line each."""
    return tuple(" ".join(item.value.split()) for item in part.texts(key))


def _prose(part: Part, key: str) -> str:
    """Return the text under a key as one line."""
    return " ".join((part.text(key) or "").split())


def _number(part: Part, key: str) -> float:
    """Return the number under a key, 1 if there is none."""
    value = part.at(key).value
    return value if isinstance(value, int | float) else 1


def _whole(part: Part, key: str) -> int:
    """Return the whole number under a key, 1 if there is none."""
    value = part.at(key).value
    return value if isinstance(value, int) else 1
