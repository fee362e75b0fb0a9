"""Checks hunts through and through: structure, meaning, style and cases, as one result.

Promises: everything that is wrong in every hunt is in the result, as file:line. Will not: touch a search engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from connector.documents import in_order
from connector.errors import ContentError, Problem
from connector.hunts.cases import case_problems, judge
from connector.hunts.catalogue import Catalogue, load_file
from connector.hunts.lint import lint
from connector.hunts.source import Source


@dataclass(frozen=True)
class Checked:
    """What was checked: hunts, cases and those of them that only a search could judge, and everything wrong."""

    hunts: int
    cases: int
    not_judged: int
    problems: tuple[Problem, ...]


def check(catalogue: Catalogue, names: Iterable[str] = ()) -> Checked:
    """Return the check of the named hunts or files, or of all hunts; Refused if a name is neither."""
    names = list(names)
    problems: list[Problem] = [] if names else list(catalogue.problems)
    sources = _named(catalogue, names, problems) if names else list(catalogue.sources.values())
    judged = 0
    for source in sources:
        problems += lint(source)
        verdicts = judge(source.hunt)
        problems += case_problems(source.hunt, verdicts)
        judged += len(verdicts)
    cases = sum(len(source.hunt.cases) for source in sources)
    return Checked(len(sources), cases, cases - judged, tuple(in_order(problems)))


def _named(catalogue: Catalogue, names: Iterable[str], problems: list[Problem]) -> list[Source]:
    """Return the hunts of these names and files; what is wrong in a file is added to `problems`."""
    found = []
    for name in names:
        if name.endswith(".yml") and Path(name).is_file():
            try:
                found.append(load_file(Path(name), catalogue))
            except ContentError as error:
                problems += error.problems
        else:
            found.append(catalogue.sources[catalogue.named(name).name])
    return found
