"""Judges the cases of a hunt: raw events through the enrichment and the predicate, against the findings expected.

Promises: every case is judged, and a difference says what was expected and what came. The organisation is the built-in
example, whatever the operator's own is. Will not: touch a search engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from connector.enrich.reference import enrich
from connector.enrich.tables import Tables, build_tables
from connector.errors import Problem
from connector.hunts.asking.groups import event_time, groups, same_value
from connector.hunts.asking.profiles import with_hosts
from connector.hunts.catalogue.format import COUNT
from connector.hunts.catalogue.hunt import Case, Hunt, Json
from connector.hunts.conditions.condition import Scalar, query_only
from connector.hunts.conditions.lists import policy_lists
from connector.settings.durations import duration
from connector.settings.load import EXAMPLE, load_settings
from connector.settings.model import Settings
from connector.settings.resolvers import approved_of, exceptions_of

NOW = datetime(2026, 11, 3, tzinfo=UTC)
NUMBER = re.compile(r"\{n(?::(0?[0-9]*[bdoxX]?))?\}")


@dataclass(frozen=True)
class Verdict:
    """What became of one case: its hunt, its name, what is found, and the differences; none means that it passed."""

    hunt: str
    case: str
    found: tuple[Found, ...]
    differences: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Tell whether everything was as expected."""
        return not self.differences


@dataclass(frozen=True)
class Found:
    """A finding as a case names it: its values by `group_by` field, and the number of its events."""

    values: Mapping[str, Scalar | None]
    count: int


@cache
def example_settings() -> Settings:
    """Return the settings of the example organisation that cases are judged with."""
    return load_settings(EXAMPLE / "hunts.yml", {})


@cache
def example_tables() -> Tables:
    """Return the enrichment's tables for the example organisation."""
    return build_tables(example_settings())


def settings_of(case: Case) -> Settings:
    """Return the settings a case is judged with: the example's, with the case's own resolver policy if it has one."""
    if case.resolvers is None:
        return example_settings()
    approved, exceptions = approved_of(case.resolvers, []), exceptions_of(case.resolvers, [])
    return replace(example_settings(), approved=approved, exceptions=exceptions)


def tables_of(case: Case) -> Tables:
    """Return the enrichment's tables for a case."""
    return build_tables(settings_of(case)) if case.resolvers else example_tables()


def judge(hunt: Hunt) -> tuple[Verdict, ...]:
    """Return the verdict on every case of a hunt; none if only a search can answer its condition."""
    if query_only(hunt.match):
        return ()
    return tuple(_verdict(hunt, case) for case in hunt.cases)


def _verdict(hunt: Hunt, case: Case) -> Verdict:
    """Return the verdict on one case."""
    asked = hunt_of_case(hunt, case)
    if asked.not_set_up:
        lacking = f"needs values of {', '.join(asked.not_set_up)}: give the case `lists` with them"
        return Verdict(hunt.name, case.name, (), (lacking,))
    found = tuple(found_in(asked, case))
    return Verdict(hunt.name, case.name, found, tuple(differences(case, found)))


def hunt_of_case(hunt: Hunt, case: Case) -> Hunt:
    """Return the hunt with lists and profiles of hosts as the case has them, and its resolver policy's list."""
    policy = {name: found.values for name, found in policy_lists(settings_of(case)).items()}
    return with_hosts(hunt.with_lists(policy | dict(case.lists)), case.hosts)


def case_problems(hunt: Hunt, verdicts: Iterable[Verdict]) -> list[Problem]:
    """Return a problem for each difference in the verdicts on a hunt's cases, at the line of the case."""
    lines = {case.name: case.line for case in hunt.cases}
    return [
        Problem(hunt.file, lines[verdict.case], f"case {verdict.case!r} {difference}")
        for verdict in verdicts
        for difference in verdict.differences
    ]


def raw_events(case: Case) -> list[Json]:
    """Return the events of a case with every `repeat` written out."""
    return [event for item in case.events for event in _written_out(item)]


def _written_out(item: Json) -> Iterator[Json]:
    """Yield one event, or those that a `repeat` stands for."""
    if "repeat" not in item:
        yield item
        return
    first, every = item["event"], duration(item.get("every", "1s")) or timedelta()
    start = event_time(first)
    for number in range(int(item["repeat"])):
        moment = (start + number * every).isoformat(timespec="microseconds")
        yield {**_numbered(first, number), "timestamp": moment}


def _numbered(value: Any, number: int) -> Any:
    """Return the value with `{n}` in its texts replaced by the number."""
    if isinstance(value, str):
        return NUMBER.sub(lambda found: format(number, found[1] or ""), value)
    if isinstance(value, Mapping):
        return {key: _numbered(item, number) for key, item in value.items()}
    return [_numbered(item, number) for item in value] if isinstance(value, list) else value


def found_in(hunt: Hunt, case: Case) -> list[Found]:
    """Return what the hunt finds in a case by the enrichment and the predicate in Python; Refused as in `groups`."""
    tables = tables_of(case)
    events = [enrich(event, tables, NOW) for event in raw_events(case)]
    return [Found(group.values, len(group.events)) for group in groups(hunt, events)]


def differences(case: Case, found: Iterable[Found]) -> Iterator[str]:
    """Yield how findings differ from those that the case expects, in words."""
    left = list(found)
    for hit in case.hits:
        fitting = [one for one in left if _fits(hit, one)]
        if fitting:
            left.remove(fitting[0])
        else:
            yield f"expects {_shown(hit)}, but finds {listed(left)}"
    if left:
        expected = "no finding" if not case.hits else "no more than that"
        yield f"expects {expected}, but finds {listed(left)}"


def listed(found: Iterable[Found]) -> str:
    """Return findings in words."""
    return " and ".join(_shown({**one.values, COUNT: one.count}) for one in found) or "nothing"


def _fits(hit: Mapping[str, Any], found: Found) -> bool:
    """Return whether a finding is the expected one."""
    named = all(same_value(field, value, found.values[field]) for field, value in hit.items() if field != COUNT)
    return named and hit.get(COUNT, found.count) == found.count


def _shown(values: Mapping[str, Any]) -> str:
    """Return the values of a finding in words."""
    return ", ".join(f"{field} {value}" for field, value in values.items())
