"""Which templates of the SIEM make event indices, and what ours must be beside them. Pure.

Promises: a composable template made for our patterns gets our component; one made for more than them (`*`, `log*`) is
left alone and copied with one more priority for our patterns only, so nothing else is enriched; legacy templates get
one of ours beside them. A field of theirs is never replaced. Will not: talk to an engine.

A composable template that matches makes the engine ignore every legacy one, so ours are put where theirs are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connector.errors import Refused
from connector.siem.assets import Assets
from connector.siem.mappings import Kept, merged, missing, subfield_names, with_subfields, without
from connector.siem.patterns import any_overlap, covers
from connector.siem.plan import KeptField
from connector.siem.present import Present

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


def our_name(assets: Assets) -> str:
    """Return the name that our component, legacy and copied templates have."""
    return f"{assets.prefix}events"


@dataclass(frozen=True)
class Theirs:
    """The SIEM's templates that matter: those made for our patterns, the wide one, the legacy ones."""

    made_for_us: tuple[str, ...]
    wide: str | None
    legacy: tuple[str, ...]


@dataclass(frozen=True)
class Made:
    """What one template would give an index: final pipeline, properties, rules for new fields."""

    where: str
    final_pipeline: str | None
    properties: Json
    dynamic_templates: list[Mapping[str, Any]]


@dataclass(frozen=True)
class Wanted:
    """The bodies of our templates (None: not wanted), the composable templates to change, and our properties."""

    component: Json | None
    composable: Mapping[str, Json]
    legacy: Json | None
    properties: Json
    kept: tuple[KeptField, ...]


def their_templates(present: Present, assets: Assets) -> Theirs:
    """Return the templates of the SIEM that make indices of our patterns."""
    near = {
        name: template
        for name, template in present.composable.items()
        if name != our_name(assets) and any_overlap(template["index_patterns"], assets.patterns)
    }
    made = {name: t for name, t in near.items() if _only_ours(t, assets)}
    wide = {name: t for name, t in near.items() if name not in made and _free(t, made, assets)}
    legacy = [
        name
        for name, template in present.legacy.items()
        if name != our_name(assets) and any_overlap(template["index_patterns"], assets.patterns)
    ]
    widest = max(wide, key=lambda name: (_priority(wide[name]), name), default=None)
    return Theirs(tuple(sorted(made)), widest, tuple(sorted(legacy)))


def _only_ours(template: Json, assets: Assets) -> bool:
    """Tell whether the template makes only indices of our patterns."""
    return all(any(covers(ours, theirs) for ours in assets.patterns) for theirs in template["index_patterns"])


def _free(wide: Json, made: Mapping[str, Json], assets: Assets) -> list[str]:
    """Return those of our patterns that the wide template decides, no template made for us standing above it."""
    above = [p for t in made.values() if _priority(t) > _priority(wide) for p in t["index_patterns"]]
    return [
        ours
        for ours in assets.patterns
        if any(covers(theirs, ours) for theirs in wide["index_patterns"]) and not any(covers(p, ours) for p in above)
    ]


def _priority(template: Mapping[str, Any]) -> int:
    """Return the priority of a composable template."""
    return int(template.get("priority") or 0)


def made_by(present: Present, theirs: Theirs, assets: Assets) -> list[Made]:
    """Return what each of their templates would give an index."""
    composable = [*theirs.made_for_us, *([theirs.wide] if theirs.wide else [])]
    made = [_composed(name, present, our_name(assets)) for name in composable]
    made += [_made(f"legacy template {name}", [present.legacy[name]]) for name in theirs.legacy]
    return made


def _composed(name: str, present: Present, ours: str) -> Made:
    """Return what a composable template gives: its components in order, then its own part."""
    template = present.composable[name]
    components = [
        present.components[c] for c in template.get("composed_of", []) if c != ours and c in present.components
    ]
    return _made(f"index template {name}", [part.get("template", {}) for part in (*components, template)])


def _made(where: str, parts: list[Json]) -> Made:
    """Return what the parts give together, later ones winning."""
    pipeline: str | None = None
    properties: Json = {}
    rules: list[Mapping[str, Any]] = []
    for part in parts:
        settings = part.get("settings", {})
        pipeline = settings.get("index", {}).get("final_pipeline") or pipeline
        properties = merged(properties, part.get("mappings", {}).get("properties", {}))
        rules += part.get("mappings", {}).get("dynamic_templates", [])
    return Made(where, pipeline, properties, rules)


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
    return {**body, "index_patterns": _free(wide, made, assets), "priority": _priority(wide) + 1, "_meta": meta}


def priority_taken(present: Present, theirs: Theirs, assets: Assets) -> Refused | None:
    """Return the error for a copy of the wide template that has no room below a template it must not cover."""
    if not theirs.wide:
        return None
    body = _copy(present, theirs, assets)
    for name, template in present.composable.items():
        same = _priority(template) == body["priority"] and name != our_name(assets)
        if same and any_overlap(template["index_patterns"], body["index_patterns"]):
            return Refused(
                f"nothing was changed: event indices are made by the index template {theirs.wide}, which is for more "
                f"than events, so a copy of it with the priority {body['priority']} is needed, and {name} has that "
                f"priority: give {name} a higher one, then run the command again"
            )
    return None


def _component(assets: Assets, properties: Json) -> Json:
    """Return our component template."""
    settings = {"index": {"final_pipeline": assets.final_pipeline}}
    return {"template": {"settings": settings, "mappings": {"properties": properties}}}


def _legacy(assets: Assets, properties: Json, made: list[Made]) -> Json:
    """Return our legacy template: what theirs do not say, in the lowest order, for engines join their mappings."""
    known: Json = {}
    for one in made:
        known = merged(known, one.properties)
    return {
        "order": ORDER,
        "index_patterns": list(assets.patterns),
        "settings": {"index": {"final_pipeline": assets.final_pipeline}},
        "mappings": {"properties": missing(properties, known)[0]},
    }


def kept_fields(places: Iterable[tuple[str, Json]], wanted: Json) -> tuple[KeptField, ...]:
    """Return the fields that have another type in some place, with the places."""
    found: dict[Kept, list[str]] = defaultdict(list)
    for where, properties in places:
        for kept in missing(wanted, properties)[1]:
            found[kept].append(where)
    return tuple(KeptField(kept, tuple(where)) for kept, where in found.items())
