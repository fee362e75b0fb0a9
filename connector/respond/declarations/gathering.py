"""Gathers the events of a hunt by the asset they concern, as evidence.

Promises: every event is counted at each asset it names; memory is bounded by the number of assets, not of events. Will
not: write anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from connector.hunts.asking.asking import Hit, Key
from connector.hunts.asking.tally import Member, Tally
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.conditions.condition import scalar_text
from connector.respond.declarations.asset import asset_key, asset_of
from connector.respond.declarations.hunt_evidence import Evidence
from connector.respond.tags.rules import HuntName

Progress = Callable[[int], None]
EVERY = 500
MOST_OFFENDERS = 1000  # values of the other side that are counted at an asset


@dataclass
class _AtAsset:
    """The events at one asset as they are counted."""

    asset: str
    tally: Tally
    days: Counter[str] = field(default_factory=Counter)
    groups: Counter[Key] = field(default_factory=Counter)
    departments: set[str] = field(default_factory=set)
    offenders: Counter[str] = field(default_factory=Counter)

    def add(
        self, hunt: Hunt, hit: Hit, keys: Iterable[Key], departments: Iterable[str], offenders: Iterable[str]
    ) -> None:
        """Count an event."""
        self.tally.add(hit, hunt.fields)
        self.days[hit.time.astimezone(UTC).date().isoformat() if hit.time else ""] += 1
        self.groups.update(keys)
        self.departments.update(departments)
        full = len(self.offenders) >= MOST_OFFENDERS
        self.offenders.update(one for one in offenders if not full or one in self.offenders)


@dataclass(frozen=True)
class Gathered:
    """The evidence by asset; how many events there are, and how many of them have no value of the asset's field."""

    evidence: tuple[Evidence, ...]
    events: int
    without_asset: int


def gathered(
    hunt: Hunt, members: Iterable[Member], asset_field: str, offender_field: str, progress: Progress
) -> Gathered:
    """Return the evidence in the events of a hunt, each with the groups it counts in; no offender field is empty."""
    found: dict[str, _AtAsset] = {}
    events = without = 0
    side = "server" if asset_field.startswith("hunt.server.") else "client"
    for events, (hit, keys) in enumerate(members, 1):
        departments = [*_texts(hit.values, f"hunt.{side}.department")]
        assets = {asset_key(text): asset_of(text) for text in _texts(hit.values, asset_field)}
        offenders = {asset_of(text) for text in _texts(hit.values, offender_field)}
        without += not assets
        for key, text in assets.items():
            at = found.setdefault(key, _AtAsset(text, Tally({asset_field: text})))
            at.add(hunt, hit, keys, departments, offenders)
        if events % EVERY == 0:
            progress(events)
    return Gathered(tuple(_evidence(hunt, one) for one in found.values()), events, without)


def _texts(values: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield the values of a field as texts."""
    value = values.get(name)
    for each in value if isinstance(value, list) else [value]:
        text = scalar_text(each)
        if text:
            yield text


def _evidence(hunt: Hunt, at: _AtAsset) -> Evidence:
    """Return what was counted at one asset as evidence."""
    groups = [
        {"values": dict(zip(hunt.group_by, key, strict=True)), "count": count} for key, count in at.groups.items()
    ]
    return Evidence(
        hunt=HuntName.of(hunt),
        kind=hunt.kind,
        asset=at.asset,
        departments=tuple(sorted(at.departments)),
        days=at.days,
        groups=groups,
        references=[dict(one) for one in at.tally.references],
        first=at.tally.first,
        last=at.tally.last,
        family=hunt.family,
        offenders=at.offenders,
    )
