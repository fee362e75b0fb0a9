"""The condition of a hunt: an immutable tree of groups and leaves, with one meaning for every compiler.

A leaf matches an event if any value of its field matches; a missing field matches nothing. Values, lists and domains
of `equals`, `any_of` and `in_list` compare as written, addresses as addresses; prefix, suffix, contains, wildcard and
under_domain ignore the case of a to z. Numbers compare by value, and text that is a number counts as that number.

Will not: read YAML (`reading.py`), look at an event (`predicate.py`) or know a search engine (`query.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

from connector.hunts.conditions.address import AnyNetwork
from connector.hunts.conditions.pattern import Pattern

Scalar = str | int | float | bool


@dataclass(frozen=True)
class Reference:
    """`$field` in a guide step: the value that the finding has for that field."""

    field: str


@dataclass(frozen=True)
class All:
    """Matches if every part does."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Any:
    """Matches if at least one part does."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class None_:
    """Matches if no part does."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Equals:
    """A value is one of these: a single value, `any_of`, or `in_list` (then `list_name` says which list)."""

    field: str
    values: tuple[Scalar | Reference, ...]
    list_name: str | None = None


@dataclass(frozen=True)
class InNetwork:
    """An address lies in one of the networks."""

    field: str
    networks: tuple[AnyNetwork, ...]
    list_name: str | None = None


@dataclass(frozen=True)
class UnderDomain:
    """A name is one of the domains (lower case, no final dot) or lies below one."""

    field: str
    domains: tuple[str, ...]


@dataclass(frozen=True)
class Matches:
    """Text fits one of the patterns, of which each is a prefix, suffix, contains or wildcard."""

    field: str
    patterns: tuple[Pattern, ...]


@dataclass(frozen=True)
class Compares:
    """One number lies within all bounds that are given."""

    field: str
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None

    def bounds(self) -> dict[str, float]:
        """Return the bounds that are given, by their operator."""
        given = {bound.name: getattr(self, bound.name) for bound in fields(self) if bound.name != "field"}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Exists:
    """The field, or any field below it, has a value."""

    field: str


@dataclass(frozen=True)
class Regex:
    """A whole value fits a Lucene regular expression; only a search can tell."""

    field: str
    text: str


@dataclass(frozen=True)
class Lucene:
    """A query in Lucene's own language, with the names as they are stored; only a search can tell."""

    text: str


@dataclass(frozen=True)
class Unknown:
    """What cannot be told of any event now, and why: it matches nothing, and whoever asks it says so."""

    field: str
    why: str


Group = All | Any | None_
Leaf = Equals | InNetwork | UnderDomain | Matches | Compares | Exists | Regex | Lucene | Unknown
Condition = Group | Leaf


def leaves(condition: Condition) -> Iterator[Leaf]:
    """Yield every leaf of the tree, in the order it is written."""
    if isinstance(condition, All | Any | None_):
        for part in condition.parts:
            yield from leaves(part)
    else:
        yield condition


def mapped(condition: Condition, change: Callable[[Leaf], Condition]) -> Condition:
    """Return the tree with every leaf replaced by what `change` makes of it."""
    if isinstance(condition, All | Any | None_):
        return type(condition)(tuple(mapped(part, change) for part in condition.parts))
    return change(condition)


def field_names(condition: Condition) -> tuple[str, ...]:
    """Return the fields the condition asks for, each once, in the order it is written."""
    return tuple(dict.fromkeys(leaf.field for leaf in leaves(condition) if not isinstance(leaf, Lucene)))


def query_only(condition: Condition) -> tuple[str, ...]:
    """Return the words of the leaves that only a search can answer: `regex`, `lucene`; empty if there is none."""
    return tuple(
        dict.fromkeys(type(leaf).__name__.lower() for leaf in leaves(condition) if isinstance(leaf, Regex | Lucene))
    )


def references(condition: Condition) -> tuple[str, ...]:
    """Return the fields named by `$field`, each once."""
    values = [value for leaf in leaves(condition) if isinstance(leaf, Equals) for value in leaf.values]
    return tuple(dict.fromkeys(value.field for value in values if isinstance(value, Reference)))


def empty_lists(condition: Condition) -> tuple[str, ...]:
    """Return the names of the lists the condition asks for that have no values, each once."""
    found = (leaf for leaf in leaves(condition) if isinstance(leaf, Equals | InNetwork) and leaf.list_name)
    empty = (leaf for leaf in found if not (leaf.values if isinstance(leaf, Equals) else leaf.networks))
    return tuple(dict.fromkeys(str(leaf.list_name) for leaf in empty))


def scalar_text(value: object) -> str | None:
    """Return a JSON scalar as the text both compilers compare: whole numbers without a fraction; None for no scalar."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value) if isinstance(value, str | int) else None
