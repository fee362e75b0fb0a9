"""A condition written out as plain values, in the form of a hunt's `match`, with its lists spelled out.

Promises: reading it back with `hunts/reading.py` gives a condition with the same answers, so that a stored rule keeps
its meaning when the hunt or a list is changed later.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from connector.documents import Document
from connector.errors import ContentError
from connector.hunts.conditions import condition as c
from connector.hunts.conditions.reading import Reader
from connector.settings.part import Part

Json = dict[str, Any]


@singledispatch
def written(condition: c.Condition) -> Json:
    """Return the condition as mappings, lists and scalars."""
    raise TypeError(f"{type(condition).__name__} has no written form")


def read_back(value: Json, name: str) -> c.Condition:
    """Return the condition that was written out; ContentError, with `name` for the file, if it is none."""
    reader = Reader({})
    condition = reader.group(Part(Document(value, name, {}), (), value))
    if reader.problems:
        raise ContentError(reader.problems)
    return condition


@written.register
def _(condition: c.All) -> Json:
    return {"all": [written(part) for part in condition.parts]}


@written.register
def _(condition: c.Any) -> Json:
    return {"any": [written(part) for part in condition.parts]}


@written.register
def _(condition: c.None_) -> Json:
    return {"none": [written(part) for part in condition.parts]}


@written.register
def _(leaf: c.Equals) -> Json:
    if wanted := c.references(leaf):
        raise TypeError(f"${wanted[0]} has no value yet")
    return {leaf.field: {"any_of": list(leaf.values)}}


@written.register
def _(leaf: c.InNetwork) -> Json:
    return {leaf.field: {"in_network": [str(network) for network in leaf.networks]}}


@written.register
def _(leaf: c.UnderDomain) -> Json:
    return {leaf.field: {"under_domain": list(leaf.domains)}}


@written.register
def _(leaf: c.Matches) -> Json:
    hows = dict.fromkeys(pattern.how for pattern in leaf.patterns)
    forms = [{leaf.field: {how: [one.text for one in leaf.patterns if one.how == how]}} for how in hows]
    return forms[0] if len(forms) == 1 else {"any": forms}


@written.register
def _(leaf: c.Compares) -> Json:
    return {leaf.field: leaf.bounds()}


@written.register
def _(leaf: c.Exists) -> Json:
    return {leaf.field: {"exists": True}}


@written.register
def _(leaf: c.Regex) -> Json:
    return {leaf.field: {"regex": leaf.text}}


@written.register
def _(leaf: c.Lucene) -> Json:
    return {"lucene": leaf.text}
