"""Checks hunts through and through: structure, meaning, style and cases, as one result.

Promises: everything that is wrong in every hunt is in the result, as file:line. Will not: touch a search engine; what
judges the cases on one (`proof.py`) is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from connector.documents import in_order
from connector.errors import ContentError, Problem
from connector.hunts.catalogue.catalogue import Catalogue, load_file
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.source import Source
from connector.hunts.checking.cases import Verdict, case_problems, judge
from connector.hunts.checking.lint import lint

# given the hunts with Python's verdicts on their cases, returns what is wrong with the cases on a search engine
Proof = Callable[[Sequence[tuple[Hunt, Sequence[Verdict]]]], Iterable[Problem]]


@dataclass(frozen=True)
class Checked:
    """What was checked: hunts, cases and those of them that only a search could judge, and everything wrong."""

    hunts: int
    cases: int
    not_judged: int
    problems: tuple[Problem, ...]


def check(catalogue: Catalogue, names: Iterable[str] = (), proof: Proof | None = None) -> Checked:
    """Return the check of the named hunts or files, or of all hunts; Refused if a name is neither.

    With `proof` every case is judged on a search engine too; SiemError if that fails.
    """
    names = list(names)
    problems: list[Problem] = [] if names else list(catalogue.problems)
    sources = _named(catalogue, names, problems) if names else list(catalogue.sources.values())
    judged = [(source.hunt, judge(source.hunt)) for source in sources]
    for source, (hunt, verdicts) in zip(sources, judged, strict=True):
        problems += [*lint(source), *case_problems(hunt, verdicts)]
    problems += proof(judged) if proof else ()
    cases = sum(len(hunt.cases) for hunt, _ in judged)
    by_python = sum(len(verdicts) for _, verdicts in judged)
    return Checked(len(sources), cases, 0 if proof else cases - by_python, tuple(in_order(problems)))


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
