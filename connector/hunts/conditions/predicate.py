"""Compiles a condition to a Python predicate over an event, with the same answers as the search query has.

Promises: pure; works on nested mappings, lists and dotted keys alike. Will not: answer leaves that only a search can.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import singledispatch

from connector.enrich.dialects import stored_name
from connector.errors import Refused
from connector.hunts.conditions import condition as c
from connector.hunts.conditions.address import address_number, bounds, is_address_field, plain_address
from connector.hunts.conditions.host_fields import host_leaves
from connector.hunts.conditions.stored import with_stored_values
from connector.settings.model import Dialect

Event = Mapping[str, object]
Predicate = Callable[[Event], bool]
ValueTest = Callable[[object], bool]
LARGEST = 10**308  # whole numbers may be larger than any float
NUMERIC = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")


def predicate(condition: c.Condition, dialect: Dialect = "eve") -> Predicate:
    """Return the function that tells whether an event of that dialect matches.

    Refused if the condition has a leaf that only a search can answer, a `$field` that has no value yet, or something
    that is to be looked up in profiles of hosts first.
    """
    if any(host_leaves(condition)):
        raise Refused("what is asked of hosts is looked up in their profiles: run the hunt instead")
    if words := c.query_only(condition):
        raise Refused(f"{' and '.join(words)} can only be answered by a search: run the hunt instead")
    return _compiled(condition, dialect)


def values(event: object, path: str) -> Iterator[object]:
    """Yield every value of the field in an event: of lists each item, of a mapping that is there the mapping itself."""
    if isinstance(event, Sequence) and not isinstance(event, str):
        for item in event:
            yield from values(item, path)
    elif not path:
        if event is not None:
            yield event
    elif isinstance(event, Mapping):
        parts = path.split(".")
        for count in range(1, len(parts) + 1):
            key = ".".join(parts[:count])
            if key in event:
                yield from values(event[key], ".".join(parts[count:]))


def scalars(event: Event, field: str, dialect: Dialect) -> list[c.Scalar]:
    """Return the values of a field that can be grouped by, each once; addresses as the search engines print them."""
    found = (v for v in values(event, stored_name(field, dialect)) if isinstance(v, str | int | float))
    if is_address_field(field):
        found = (plain_address(str(value)) for value in found)
    return list(dict.fromkeys(found))


def _compiled(condition: c.Condition, dialect: Dialect) -> Predicate:
    """Return the predicate of a group or a leaf."""
    if isinstance(condition, c.All | c.Any | c.None_):
        parts = [_compiled(part, dialect) for part in condition.parts]
        if isinstance(condition, c.All):
            return lambda event: all(part(event) for part in parts)
        wanted = isinstance(condition, c.Any)
        return lambda event: any(part(event) for part in parts) is wanted
    if isinstance(condition, c.Lucene):
        raise Refused("lucene can only be answered by a search: run the hunt instead")
    name = stored_name(condition.field, dialect)
    if isinstance(condition, c.Exists) and not is_address_field(condition.field):
        return lambda event: _holds(event, name)
    test = _test(with_stored_values(condition, dialect))
    return lambda event: any(test(value) for value in values(event, name))


@singledispatch
def _test(leaf: c.Leaf) -> ValueTest:
    """Return the test of one value for a leaf."""
    raise Refused(f"{type(leaf).__name__.lower()} can only be answered by a search: run the hunt instead")


@_test.register
def _(leaf: c.Equals) -> ValueTest:
    if wanted := c.references(leaf):
        raise Refused(f"${wanted[0]} has no value yet: a guide step runs from a finding")
    if is_address_field(leaf.field):
        numbers = {address_number(value) for value in leaf.values} - {None}
        return lambda value: address_number(value) in numbers
    texts = {c.scalar_text(value) for value in leaf.values}
    return lambda value: c.scalar_text(value) in texts if not isinstance(value, Mapping) else False


@_test.register
def _(leaf: c.InNetwork) -> ValueTest:
    ranges = [bounds(cidr) for cidr in leaf.networks]

    def inside(value: object) -> bool:
        """Return whether a value is an address in one of the ranges."""
        number = address_number(value)
        return number is not None and any(first <= number <= last for first, last in ranges)

    return inside


@_test.register
def _(leaf: c.UnderDomain) -> ValueTest:
    either = "|".join(re.escape(domain) for domain in leaf.domains)
    under = re.compile(rf"(?:.*\.)?(?:{either})", re.ASCII | re.IGNORECASE | re.DOTALL)
    return lambda value: (text := c.scalar_text(value)) is not None and under.fullmatch(text) is not None


@_test.register
def _(leaf: c.Matches) -> ValueTest:
    tests = [pattern.regex().fullmatch for pattern in leaf.patterns]
    return lambda value: (text := c.scalar_text(value)) is not None and any(test(text) for test in tests)


@_test.register
def _(leaf: c.Compares) -> ValueTest:
    compare = {"gt": float.__gt__, "gte": float.__ge__, "lt": float.__lt__, "lte": float.__le__}
    checks = [(compare[name], float(bound)) for name, bound in leaf.bounds().items()]

    def within(value: object) -> bool:
        """Return whether a value is a number within all bounds."""
        number = number_of(value)
        return number is not None and all(check(number, bound) for check, bound in checks)

    return within


@_test.register
def _(leaf: c.Exists) -> ValueTest:
    return lambda value: address_number(value) is not None


def _holds(event: object, path: str) -> bool:
    """Return whether an event has a value in the field or in any field below it."""
    if not path:
        return _has_value(event)
    if isinstance(event, Mapping):
        for key, value in event.items():
            if key == path or key.startswith(f"{path}."):
                if _has_value(value):
                    return True
            elif path.startswith(f"{key}.") and _holds(value, path[len(key) + 1 :]):
                return True
        return False
    return isinstance(event, Sequence) and not isinstance(event, str) and any(_holds(item, path) for item in event)


def _has_value(value: object) -> bool:
    """Return whether a value, or anything below it, is there."""
    if isinstance(value, Mapping):
        return any(_has_value(item) for item in value.values())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return any(_has_value(item) for item in value)
    return value is not None


def number_of(value: object) -> float | None:
    """Return a number, or the number a text stands for; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return float(value) if NUMERIC.fullmatch(value) else None
    if isinstance(value, int | float):
        return float(value) if abs(value) < LARGEST else math.inf if value > 0 else -math.inf
    return None
