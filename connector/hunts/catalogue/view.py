"""Hunts as they are shown: one line in a list, one page, and a condition in plain words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

from connector.errors import Problem
from connector.hunts.catalogue.catalogue import Catalogue
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import Beacon, Count, Distinct, FirstSeen, Needs, Ratio, Sum
from connector.hunts.conditions import condition as c
from connector.settings.durations import span

GROUP_WORDS = {c.All: "all of", c.Any: "any of", c.None_: "none of"}
BOUND_WORDS = {"gt": "is over", "gte": "is at least", "lt": "is under", "lte": "is at most"}
MOST_SHOWN = 8


@dataclass(frozen=True)
class Line:
    """One hunt in a list."""

    name: str
    family: str
    title: str
    kind: str
    severity: str
    status: str
    event_types: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """The hunts that were asked for, how many there are in all, and what is wrong in files that are left out."""

    hunts: tuple[Line, ...]
    of: int
    problems: tuple[Problem, ...]


def listing(catalogue: Catalogue, words: Iterable[str]) -> Listing:
    """Return the hunts that have every word, as a list."""
    lines = tuple(
        Line(h.name, h.family, h.title, h.kind, h.severity, h.status, h.event_types, h.tags)
        for h in catalogue.found(words)
    )
    return Listing(lines, len(catalogue.hunts), catalogue.problems)


def page(hunt: Hunt) -> dict[str, Any]:
    """Return all there is to say of a hunt: the keys of its file, its family and where it is from."""
    return {"family": hunt.family, "file": hunt.file, **hunt.written}


def condition_lines(condition: c.Condition, indent: int = 0) -> list[str]:
    """Return a condition in words, a line for each group and leaf, members indented below their group."""
    pad = "  " * indent
    if not isinstance(condition, c.Group):
        return [f"{pad}{_leaf(condition)}"]
    inner = [line for part in condition.parts for line in condition_lines(part, indent + 1)]
    return [f"{pad}{GROUP_WORDS[type(condition)]}", *inner]


def needs_words(needs: Needs) -> str:
    """Return in words what makes a group a finding."""
    window = f" within {span(needs.window)}" if needs.window else ""
    match needs:
        case FirstSeen():
            value = " with ".join(needs.value)
            known = f"not seen for {span(needs.memory)}, which counts as new for {span(needs.window)}"
            return f"a value of {value} {known}; the first {span(needs.learning)} only learn"
        case Ratio():
            share = f"{needs.n:.0%} of at least {needs.events} events{window} to match too"
            return "\n".join([share, *condition_lines(needs.of, 1)])
    return f"{_amount(needs)}{window}"


def _amount(needs: Count | Distinct | Sum | Beacon) -> str:
    """Return in words how much a group needs."""
    match needs:
        case Count():
            return f"{needs.n} event{'' if needs.n == 1 else 's'}"
        case Distinct():
            return f"{needs.n} different {needs.field}"
        case Sum():
            return f"{c.scalar_text(needs.n)} in all of {needs.field}"
        case Beacon():
            return f"{needs.n} events with half of their gaps within {needs.jitter:.0%} of the median gap"


@singledispatch
def _leaf(leaf: c.Leaf) -> str:
    """Return a leaf in words."""
    raise TypeError(f"no words for {type(leaf).__name__}")


@_leaf.register
def _(leaf: c.Equals) -> str:
    if leaf.list_name:
        return f"{leaf.field} is in the list {leaf.list_name} ({len(leaf.values)} values)"
    values = [f"${v.field}" if isinstance(v, c.Reference) else str(c.scalar_text(v)) for v in leaf.values]
    return f"{leaf.field} is {_some(values)}"


@_leaf.register
def _(leaf: c.InNetwork) -> str:
    if leaf.list_name:
        return f"{leaf.field} is in the networks of the list {leaf.list_name} ({len(leaf.networks)} values)"
    return f"{leaf.field} is in {_some(map(str, leaf.networks))}"


@_leaf.register
def _(leaf: c.UnderDomain) -> str:
    return f"{leaf.field} is or lies under {_some(leaf.domains)}"


@_leaf.register
def _(leaf: c.Matches) -> str:
    words = {"prefix": "begins with", "suffix": "ends with", "contains": "contains", "wildcard": "fits"}
    return f"{leaf.field} {words[leaf.patterns[0].how]} {_some(pattern.text for pattern in leaf.patterns)}"


@_leaf.register
def _(leaf: c.Compares) -> str:
    return f"{leaf.field} " + " and ".join(f"{BOUND_WORDS[k]} {c.scalar_text(v)}" for k, v in leaf.bounds().items())


@_leaf.register
def _(leaf: c.Exists) -> str:
    return f"{leaf.field} is there"


@_leaf.register
def _(leaf: c.Regex) -> str:
    return f"{leaf.field} fits the regular expression {leaf.text} (search only)"


@_leaf.register
def _(leaf: c.Lucene) -> str:
    return f"lucene {leaf.text} (search only)"


@_leaf.register
def _(leaf: c.Unknown) -> str:
    return leaf.why


def _some(values: Iterable[str]) -> str:
    """Return values joined by or, the first few of them if there are many."""
    shown = list(values)
    more = [f"{len(shown) - MOST_SHOWN} more"] if len(shown) > MOST_SHOWN else []
    return " or ".join([*shown[:MOST_SHOWN], *more])
