"""Index patterns compared with each other: plain names with `*`, as the engines have them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache


def covers(wide: str, narrow: str) -> bool:
    """Tell whether every name that `narrow` matches is matched by `wide` as well."""
    return fnmatchcase(narrow.replace("[", "\0"), wide.replace("[", "\0"))


@cache
def overlap(one: str, other: str) -> bool:
    """Tell whether some name is matched by both patterns."""
    if not one or not other:
        return not (one + other).strip("*")
    if one[0] == "*":
        return overlap(one[1:], other) or overlap(one, other[1:])
    if other[0] == "*":
        return overlap(other, one)
    return one[0] == other[0] and overlap(one[1:], other[1:])


def any_overlap(ones: Iterable[str], others: Iterable[str]) -> bool:
    """Tell whether some name is matched by a pattern of each side."""
    others = tuple(others)
    return any(overlap(one, other) for one in ones for other in others)
