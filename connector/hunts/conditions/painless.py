"""Compiles a condition to the params of one Painless script, for write time: the third compiler, and the same answers.

The script (`ingest-pipelines/match.painless`) is a constant, so an engine compiles it once however many conditions
there are; a condition is plain JSON data that its `matches(Map node, Map event)` interprets. Cheap parts of a group
stand first, an event type before all, so that a condition on other events costs one look-up.

Promises: the answers of `predicate.py` on every event; the same condition has the same params. Will not: send anything,
write to an event, or answer leaves that only a search can.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import singledispatch
from typing import Any

from connector.content import content_folder
from connector.enrich.dialects import stored_name
from connector.errors import Refused
from connector.hunts.conditions import condition as c
from connector.hunts.conditions.address import address_number, bounds, is_address_field
from connector.hunts.conditions.host_fields import AT_WRITE, host_leaves
from connector.hunts.conditions.pattern import ANY_CHARACTER, ANY_TEXT, Pattern
from connector.hunts.conditions.stored import with_stored_values
from connector.settings.model import Dialect

Node = dict[str, Any]
EVERY_ADDRESS = (0, 2**128 - 1)
GROUPS: dict[type[c.Condition], str] = {c.All: "all", c.Any: "any", c.None_: "none"}
COSTS = {"text": 1, "number": 2, "address": 3, "under": 4, "pattern": 5, "exists": 6}
TO_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def matcher_source() -> str:
    """Return the Painless functions that interpret the params; a script is these and then what it does with them."""
    return (content_folder("ingest-pipelines") / "match.painless").read_text(encoding="utf-8")


def compile_painless(condition: c.Condition, dialect: Dialect) -> Node:
    """Return the node that `matches` of the script takes for a condition on events of that dialect.

    Refused if the condition has a leaf that only a search can answer, a `$field` that has no value yet, or something
    that is looked up in profiles of hosts.
    """
    if asked := dict.fromkeys(leaf.field for leaf in host_leaves(condition)):
        raise Refused(f"{' and '.join(asked)} {AT_WRITE}")
    if words := c.query_only(condition):
        raise Refused(f"{' and '.join(words)} can only be answered by a search, not while an event is written")
    if wanted := c.references(condition):
        raise Refused(f"${wanted[0]} has no value yet: a guide step runs from a finding")
    return _node(condition, dialect)


def event_types(condition: c.Condition) -> tuple[str, ...] | None:
    """Return the event types outside of which the condition matches nothing; None if it does not name them.

    Who asks many conditions of each event can leave out those of other event types without looking at them.
    """
    for leaf in _parts(c.All((condition,))):
        if isinstance(leaf, c.Equals) and leaf.field == "event_type":
            return tuple(text for value in leaf.values if (text := c.scalar_text(value)) is not None)
    return None


def _node(condition: c.Condition, dialect: Dialect) -> Node:
    """Return the node of a group, its cheapest part first, or of a leaf."""
    if not isinstance(condition, c.All | c.Any | c.None_):
        return _leaf_node(condition, dialect)
    parts = sorted((_node(part, dialect) for part in _parts(condition)), key=_cost)
    return parts[0] if len(parts) == 1 and not isinstance(condition, c.None_) else _group(condition, parts)


def _group(condition: c.Group, parts: list[Node]) -> Node:
    """Return the node of a group of parts."""
    return {"is": GROUPS[type(condition)], "parts": parts}


def _parts(group: c.Group) -> Iterator[c.Condition]:
    """Yield the parts of a group, in place of `all` in `all`, `any` in `any` and `any` in `none` what is in it."""
    same = c.All if isinstance(group, c.All) else c.Any
    for part in group.parts:
        if isinstance(part, same):
            yield from _parts(part)
        else:
            yield part


def _cost(node: Node) -> int:
    """Return a measure of the time a node takes, to sort by: 0 for an event type, which most events differ in."""
    if "parts" in node:
        return 10 + sum(map(_cost, node["parts"]))
    return 0 if node["path"][-1] == ["event_type"] else COSTS[node["is"]] + len(node["path"])


def _leaf_node(leaf: c.Leaf, dialect: Dialect) -> Node:
    """Return the node of a leaf: where its field is, and the test."""
    if isinstance(leaf, c.Lucene):
        raise TypeError("lucene is refused before")
    names = stored_name(leaf.field, dialect).split(".")
    path = [_keys(names[start:]) for start in range(len(names))]
    if isinstance(leaf, c.Exists) and not is_address_field(leaf.field):
        return {"is": "exists", "path": path, "below": [f"{keys[-1]}." for keys in path]}
    return {"path": path, **_test(with_stored_values(leaf, dialect))}


def _keys(names: list[str]) -> list[str]:
    """Return the keys that can stand for the first names of a path: `a`, `a.b` and `a.b.c` of a, b, c."""
    return [".".join(names[:count]) for count in range(1, len(names) + 1)]


@singledispatch
def _test(leaf: c.Leaf) -> Node:
    """Return what the script asks of one value."""
    raise TypeError(f"no Painless for {type(leaf).__name__}")


@_test.register
def _(leaf: c.Equals) -> Node:
    if is_address_field(leaf.field):
        numbers = (address_number(value) for value in leaf.values)
        return _ranges((number, number) for number in numbers if number is not None)
    texts = (c.scalar_text(value) for value in leaf.values)
    return {"is": "text", "values": _sorted(text for text in texts if text is not None)}


@_test.register
def _(leaf: c.InNetwork) -> Node:
    return _ranges(map(bounds, leaf.networks))


@_test.register
def _(leaf: c.Exists) -> Node:
    return _ranges([EVERY_ADDRESS])


@_test.register
def _(leaf: c.UnderDomain) -> Node:
    domains = _sorted(domain.translate(TO_LOWER) for domain in leaf.domains)
    return {"is": "under", "domains": domains, "longest": max((len(_utf16(name)) // 2 for name in domains), default=0)}


@_test.register
def _(leaf: c.Matches) -> Node:
    return {"is": "pattern", "patterns": [_pieces(pattern) for pattern in leaf.patterns]}


@_test.register
def _(leaf: c.Compares) -> Node:
    return {"is": "number", "bounds": {name: float(bound) for name, bound in leaf.bounds().items()}}


def _ranges(ranges: Iterable[tuple[int, int]]) -> Node:
    """Return the test for addresses in ranges: the ends of disjoint ones, in order, as hexadecimal digits."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return {"is": "address", "first": [f"{r[0]:032x}" for r in joined], "last": [f"{r[1]:032x}" for r in joined]}


def _sorted(texts: Iterable[str]) -> list[str]:
    """Return each text once, in the order of Java's `compareTo`."""
    return sorted(set(texts), key=_utf16)


def _utf16(text: str) -> bytes:
    """Return a text as the 16-bit units that Java counts and compares."""
    return text.encode("utf-16-be", "surrogatepass")


def _pieces(pattern: Pattern) -> list[str | list[str]]:
    """Return what stands between the `*` of a pattern, in lower case: a text, or those around its `?` as a list."""
    pieces: list[list[str]] = [[""]]
    for piece in pattern.pieces():
        if isinstance(piece, str):
            pieces[-1][-1] += piece.translate(TO_LOWER)
        elif piece is ANY_CHARACTER:
            pieces[-1].append("")
        elif piece is ANY_TEXT:
            pieces.append([""])
    return [piece[0] if len(piece) == 1 else piece for piece in pieces]
