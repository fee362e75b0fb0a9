"""The SIEM's templates that make event indices, and what each of them would give an index. Pure.

A composable template that matches makes the engine ignore every legacy one; of several, that of the highest priority
makes an index alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connector.siem.assets import Assets
from connector.siem.mappings import merged
from connector.siem.patterns import any_overlap, covers
from connector.siem.present import Present

Json = dict[str, Any]


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
    """What one template would give an index: final pipeline, limit of fields, properties, rules for new fields."""

    where: str
    final_pipeline: str | None
    field_limit: int | None
    properties: Json
    dynamic_templates: list[Mapping[str, Any]]


def their_templates(present: Present, assets: Assets) -> Theirs:
    """Return the templates of the SIEM that make indices of our patterns."""
    near = {
        name: template
        for name, template in present.composable.items()
        if name != our_name(assets) and any_overlap(template["index_patterns"], assets.patterns)
    }
    made = {name: t for name, t in near.items() if _only_ours(t, assets)}
    wide = {name: t for name, t in near.items() if name not in made and free_patterns(t, made, assets)}
    legacy = [
        name
        for name, template in present.legacy.items()
        if name != our_name(assets) and any_overlap(template["index_patterns"], assets.patterns)
    ]
    widest = max(wide, key=lambda name: (priority(wide[name]), name), default=None)
    return Theirs(tuple(sorted(made)), widest, tuple(sorted(legacy)))


def _only_ours(template: Json, assets: Assets) -> bool:
    """Tell whether the template makes only indices of our patterns."""
    return all(any(covers(ours, theirs) for ours in assets.patterns) for theirs in template["index_patterns"])


def free_patterns(wide: Json, made: Mapping[str, Json], assets: Assets) -> list[str]:
    """Return those of our patterns that the wide template decides, no template made for us standing above it."""
    above = [p for t in made.values() if priority(t) > priority(wide) for p in t["index_patterns"]]
    return [
        ours
        for ours in assets.patterns
        if any(covers(theirs, ours) for theirs in wide["index_patterns"]) and not any(covers(p, ours) for p in above)
    ]


def priority(template: Mapping[str, Any]) -> int:
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
    limit: int | None = None
    properties: Json = {}
    rules: list[Mapping[str, Any]] = []
    for part in parts:
        settings = part.get("settings", {}).get("index", {})
        pipeline = settings.get("final_pipeline") or pipeline
        limit = settings.get("mapping", {}).get("total_fields", {}).get("limit") or limit
        properties = merged(properties, part.get("mappings", {}).get("properties", {}))
        rules += part.get("mappings", {}).get("dynamic_templates", [])
    return Made(where, pipeline, int(limit) if limit else None, properties, rules)
