"""What our templates must be beside those of the SIEM. Pure.

Promises: a composable template made for our patterns gets our component; one made for more than them (`*`, `log*`) is
left alone and copied with one more priority for our patterns only, so nothing else is enriched; legacy templates get
one of ours beside them. Whatever is theirs wins over ours: fields, parameters, settings. Will not: talk to an engine.

A composable template that matches makes the engine ignore every legacy one, so ours are put where theirs are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connector.errors import Refused
from connector.siem.assets import Assets
from connector.siem.mappings import Kept, field_count, merged, missing, subfield_names, with_subfields, without
from connector.siem.patterns import any_overlap, covers
from connector.siem.plan import KeptField
from connector.siem.present import Present
from connector.siem.their_templates import Made, Theirs, free_patterns, made_by, our_name, priority

Json = dict[str, Any]
# what a template is put with; newer engines add keys to what they return and refuse them
COMPOSABLE = (
    "index_patterns",
    "template",
    "composed_of",
    "priority",
    "version",
    "_meta",
    "data_stream",
    "allow_auto_create",
    "ignore_missing_component_templates",
)
ORDER = -1_000_000
DEFAULT_FIELDS = 1000


@dataclass(frozen=True)
class Wanted:
    """The bodies of our templates (None: not wanted), the composable templates to change, and our properties."""

    component: Json | None
    composable: Mapping[str, Json]
    legacy: Json | None
    properties: Json
    kept: tuple[KeptField, ...]


def wanted_templates(present: Present, assets: Assets, theirs: Theirs) -> Wanted:
    """Return our templates and the changed ones of the SIEM, for what is there now."""
    made = made_by(present, theirs, assets)
    names = subfield_names(rule for one in made for rule in one.dynamic_templates) or {"keyword"}
    properties = with_subfields(assets.event_properties, sorted(names))
    kept = kept_fields(((one.where, one.properties) for one in made), properties)
    possible = without(properties, {one.field.field for one in kept})
    composable = {name: _with_ours(present.composable[name], assets) for name in theirs.made_for_us}
    if theirs.wide:
        composable[our_name(assets)] = _copy(present, theirs, assets)
    patterns = [p for template in composable.values() for p in template["index_patterns"]]
    ungoverned = [ours for ours in assets.patterns if not any(covers(p, ours) for p in patterns)]
    beside = [name for name in theirs.legacy if present.legacy[name]["index_patterns"] != ["*"]]
    return Wanted(
        component=_component(assets, possible) if composable else None,
        composable=composable,
        legacy=_legacy(assets, possible, made) if ungoverned or beside else None,
        properties=properties,
        kept=kept,
    )


def _with_ours(template: Json, assets: Assets) -> Json:
    """Return the template with our component, first, so that whatever is theirs wins over it."""
    body = {key: template[key] for key in COMPOSABLE if key in template}
    others = [name for name in template.get("composed_of", []) if name != our_name(assets)]
    return {**body, "composed_of": [our_name(assets), *others]}


def without_ours(template: Json, assets: Assets) -> Json:
    """Return the template without our component."""
    body = _with_ours(template, assets)
    others = body.pop("composed_of")[1:]
    return {**body, "composed_of": others} if others else body


def _copy(present: Present, theirs: Theirs, assets: Assets) -> Json:
    """Return a copy of the wide template for our patterns only, one priority above it."""
    wide = present.composable[str(theirs.wide)]
    made = {name: present.composable[name] for name in theirs.made_for_us}
    body = {key: value for key, value in _with_ours(wide, assets).items() if key != "version"}
    meta = {"made_by": "guided-hunts", "copy_of": theirs.wide}
    return {**body, "index_patterns": free_patterns(wide, made, assets), "priority": priority(wide) + 1, "_meta": meta}


def obstacle(present: Present, theirs: Theirs, assets: Assets) -> Refused | None:
    """Return the error for a template that leaves no room for ours: new indices would be wrong, or not made."""
    return _no_priority(present, theirs, assets) or _no_fields(present, theirs, assets)


def _no_priority(present: Present, theirs: Theirs, assets: Assets) -> Refused | None:
    """Return the error for a copy of the wide template that has no room below a template it must not cover."""
    if not theirs.wide:
        return None
    body = _copy(present, theirs, assets)
    for name, template in present.composable.items():
        same = priority(template) == body["priority"] and name != our_name(assets)
        if same and any_overlap(template["index_patterns"], body["index_patterns"]):
            return Refused(
                f"nothing was changed: event indices are made by the index template {theirs.wide}, which is for more "
                f"than events, so a copy of it with the priority {body['priority']} is needed, and {name} has that "
                f"priority: give {name} a higher one, then run the command again"
            )
    return None


def _no_fields(present: Present, theirs: Theirs, assets: Assets) -> Refused | None:
    """Return the error for a template whose limit of fields is reached by its own fields and ours."""
    for made in made_by(present, theirs, assets):
        count = field_count(merged(assets.event_properties, made.properties))
        if made.field_limit and count > made.field_limit:
            return Refused(
                f"nothing was changed: the {made.where} allows {made.field_limit:,} fields, and its own with ours are "
                f"{count:,}: raise its index.mapping.total_fields.limit, then run the command again"
            )
    return None


def _settings(assets: Assets) -> Json:
    """Return the index settings of ours: room for our fields beside the thousand that an index has by default."""
    limit = DEFAULT_FIELDS + field_count(assets.event_properties)
    return {"index": {"final_pipeline": assets.final_pipeline, "mapping": {"total_fields": {"limit": limit}}}}


def _component(assets: Assets, properties: Json) -> Json:
    """Return our component template."""
    return {"template": {"settings": _settings(assets), "mappings": {"properties": properties}}}


def _legacy(assets: Assets, properties: Json, made: list[Made]) -> Json:
    """Return our legacy template: what theirs do not say, in the lowest order, for engines join their mappings."""
    known: Json = {}
    for one in made:
        known = merged(known, one.properties)
    return {
        "order": ORDER,
        "index_patterns": list(assets.patterns),
        "settings": _settings(assets),
        "mappings": {"properties": missing(properties, known)[0]},
    }


def kept_fields(places: Iterable[tuple[str, Json]], wanted: Json) -> tuple[KeptField, ...]:
    """Return the fields that have another type in some place, with the places."""
    found: dict[Kept, list[str]] = defaultdict(list)
    for where, properties in places:
        for kept in missing(wanted, properties)[1]:
            found[kept].append(where)
    return tuple(KeptField(kept, tuple(where)) for kept, where in found.items())
