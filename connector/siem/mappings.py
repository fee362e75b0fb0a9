"""Mapping properties compared: what must be added to hold ours, and which fields are already somebody else's. Pure.

Promises: a field that is there is never replaced; at most sub-fields are added to it. Will not: talk to an engine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Properties = Mapping[str, Any]
OBJECTS = ("object", "nested")


@dataclass(frozen=True)
class Kept:
    """A field that has another type already and keeps it."""

    field: str
    theirs: str
    ours: str


def missing(wanted: Properties, present: Properties, above: str = "") -> tuple[dict[str, Any], list[Kept]]:
    """Return the properties to put so that `present` holds `wanted`, and the fields that keep their type."""
    put: dict[str, Any] = {}
    kept: list[Kept] = []
    for name, ours in wanted.items():
        theirs = present.get(name)
        if theirs is None:
            put[name] = ours
        elif _kind(ours) != _kind(theirs) or theirs.get("enabled", True) != ours.get("enabled", True):
            kept.append(Kept(above + name, _kind(theirs), _kind(ours)))
        elif "properties" in ours:
            inside, conflicts = missing(ours["properties"], theirs.get("properties", {}), f"{above}{name}.")
            kept += conflicts
            put |= {name: {"properties": inside}} if inside else {}
        elif lacking := {k: v for k, v in ours.get("fields", {}).items() if k not in theirs.get("fields", {})}:
            put[name] = {**theirs, "fields": {**theirs.get("fields", {}), **lacking}}
    return put, kept


def without(properties: Properties, fields: Collection[str], above: str = "") -> dict[str, Any]:
    """Return the properties without the named fields, and without objects that hold nothing then."""
    left: dict[str, Any] = {}
    for name, mapping in properties.items():
        if above + name in fields:
            continue
        if "properties" in mapping:
            inside = without(mapping["properties"], fields, f"{above}{name}.")
            if inside:
                left[name] = {**mapping, "properties": inside}
        else:
            left[name] = mapping
    return left


def with_subfields(properties: Properties, names: Collection[str]) -> dict[str, Any]:
    """Return the properties with the sub-field `keyword` under the names the SIEM uses."""
    named: dict[str, Any] = {}
    for field, mapping in properties.items():
        if "properties" in mapping:
            named[field] = {**mapping, "properties": with_subfields(mapping["properties"], names)}
        elif "keyword" in mapping.get("fields", {}):
            others = {name: sub for name, sub in mapping["fields"].items() if name != "keyword"}
            named[field] = {**mapping, "fields": {**others, **dict.fromkeys(names, mapping["fields"]["keyword"])}}
        else:
            named[field] = mapping
    return named


def subfield_names(dynamic_templates: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the names of the keyword sub-fields that dynamic templates give to strings, such as keyword or raw."""
    names: set[str] = set()
    for template in dynamic_templates:
        for rule in template.values():
            fields = rule.get("mapping", {}).get("fields", {})
            if rule.get("match_mapping_type", "string") in ("string", "*"):
                names |= {name for name, sub in fields.items() if sub.get("type") == "keyword"}
    return names


def merged(one: Properties, other: Properties) -> dict[str, Any]:
    """Return the properties of both; where both have a field, objects are joined and `other` wins else."""
    result = dict(one)
    for name, mapping in other.items():
        known = result.get(name)
        if known and "properties" in known and "properties" in mapping:
            mapping = {**known, **mapping, "properties": merged(known["properties"], mapping["properties"])}  # noqa: PLW2901
        result[name] = mapping
    return result


def field_count(properties: Properties) -> int:
    """Return how many fields the engine counts: objects and sub-fields are among them."""
    return sum(
        1 + len(mapping.get("fields", {})) + field_count(mapping.get("properties", {}))
        for mapping in properties.values()
    )


def branches(properties: Properties) -> list[str]:
    """Return the paths of the answer to a mapping request that `missing` needs to see, two levels deep."""
    paths: list[str] = []
    for name, mapping in properties.items():
        paths += [f"{name}.type", f"{name}.enabled"]
        inner = mapping.get("properties", {})
        paths += [f"{name}.properties.{sub}" for sub in inner] if inner else [name]
    return [f"*.mappings.properties.{path}" for path in paths]


def _kind(mapping: Mapping[str, Any]) -> str:
    """Return the type of a field; a nested object counts as an object, for fields can be added to it."""
    kind = str(mapping.get("type", "object"))
    return "object" if kind in OBJECTS else kind
