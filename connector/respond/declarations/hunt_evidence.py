"""The evidence of one hunt at one asset as it is kept on a declaration, and how more of it is merged in; pure.

Promises: merging the same evidence again changes nothing, merging more never makes it less: each day keeps the highest
count it was seen with, so evidence outlives the events. Will not: know what else is on a declaration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connector.hunts.asking.tally import instant, kept_references
from connector.hunts.catalogue.hunt import Kind
from connector.hunts.conditions.condition import scalar_text
from connector.respond.tags.rules import HuntName

Json = dict[str, Any]
GROUPS = 100  # groups kept of a hunt's evidence
OFFENDERS = 50  # values kept of the other side
LONGEST_VALUE, MOST_VALUES = 1000, 50


@dataclass(frozen=True)
class Evidence:
    """The events of one hunt at one asset.

    `days` counts events by day (UTC; empty for events without a time), `groups` by the values of the hunt's `group_by`
    fields, `offenders` by the values of the other side's field. `references` are the oldest and newest events; the rest
    is only counted. `family` is the hunt's.
    """

    hunt: HuntName
    kind: Kind
    asset: str
    departments: tuple[str, ...]
    days: Mapping[str, int]
    groups: Sequence[Json]
    references: Sequence[Json]
    first: datetime | None
    last: datetime | None
    family: str = ""
    offenders: Mapping[str, int] = field(default_factory=dict)


def merged(known: Json | None, new: Evidence) -> Json:
    """Return the evidence of a hunt, as it is kept, with the new one merged in."""
    known = known or {
        **{"days": {}, "groups": [], "references": [], "first": None, "last": None},
        **{"groups_left_out": 0, "offenders": {}},
    }
    days = _highest(known["days"], new.days)
    count = sum(days.values())
    references = kept_references([*known["references"], *map(_bounded, new.references)])
    firsts = [moment for moment in (known["first"], instant(new.first)) if moment]
    lasts = [moment for moment in (known["last"], instant(new.last)) if moment]
    groups = _merged_groups(known["groups"], new.groups)
    return {
        "hunt": new.hunt.document,
        "kind": new.kind,
        "days": dict(sorted(days.items())),
        "count": count,
        "first": min(firsts, default=None),
        "last": max(lasts, default=None),
        "groups": groups[:GROUPS],
        "groups_left_out": max(known["groups_left_out"], len(groups) - GROUPS, 0),
        "offenders": most(_highest(known["offenders"], new.offenders), OFFENDERS),
        "references": references,
        "events_left_out": max(count - len(references), 0),
    }


def most(counts: Mapping[str, int], number: int) -> dict[str, int]:
    """Return the values that were counted most, the highest count first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:number])


def _highest(known: Mapping[str, int], new: Mapping[str, int]) -> dict[str, int]:
    """Return the counts of both, the higher one where both have one."""
    return {key: max(known.get(key, 0), new.get(key, 0)) for key in (*known, *new)}


def _merged_groups(known: Sequence[Json], new: Sequence[Json]) -> list[Json]:
    """Return the groups of both, each with its higher count, the largest first."""
    found: dict[str, Json] = {}
    for group in (*known, *new):
        key = str(sorted((name, scalar_text(value)) for name, value in group["values"].items()))
        if key not in found or found[key]["count"] < group["count"]:
            found[key] = dict(group)
    return sorted(found.values(), key=lambda group: (-group["count"], str(group["values"])))


def _bounded(reference: Mapping[str, Any]) -> Json:
    """Return a reference whose values are short enough to be kept and sent."""
    return {**reference, "shown": {name: _short(value) for name, value in reference["shown"].items()}}


def _short(value: Any) -> Any:
    """Return a value with long texts and lists cut."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_VALUE else value[: LONGEST_VALUE - 1] + "…"
    return [_short(item) for item in value[:MOST_VALUES]] if isinstance(value, list) else value
