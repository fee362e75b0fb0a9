"""Findings: one document for each hunt and group of values, and how a pass's window adds to it.

    settled   what windows before the last one added up to; nothing changes it any more, `upto` is where they end
    windows   what each later window adds, by its start; doing a window again replaces its own part

Promises: a window counts once however often it is done; the status and whatever else others write on a finding stays;
of its events the oldest and the newest are kept, and `events_not_kept` counts the others. Will not: forget that a
finding was there, even if its events are deleted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.hunts.asking import CONTEXT, Key
from connector.hunts.hunt import Hunt
from connector.hunts.tally import Tally, instant, kept_references, kept_values
from connector.siem.client import Siem
from connector.siem.many import Written, change_many

Json = dict[str, Any]
OPEN = "open"


@dataclass(frozen=True)
class Addition:
    """What a window adds to one finding: the hunt, the group's values, and what its events add up to."""

    hunt: Hunt
    key: Key
    tally: Tally

    @property
    def id(self) -> str:
        """Return the id of the finding: the same for the same hunt and group, everywhere."""
        named = [self.hunt.id, list(zip(self.hunt.group_by, self.key, strict=True))]
        return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]


def finding(old: Json | None, addition: Addition, start: int, now: datetime) -> Json | None:
    """Return the finding with what the window that begins at `start` adds; None if it has that already.

    Every earlier window is settled by now. A window that is settled adds nothing: whoever does it again comes late.
    """
    old = old or {}
    settled: Json = old.get("settled", {"count": 0, "first": None, "last": None, "upto": start})
    if settled["upto"] > start:
        return None
    parts: Json = old.get("windows", {})
    past = [part for begun, part in parts.items() if int(begun) < start]
    own = {"count": addition.tally.count, "first": instant(addition.tally.first), "last": instant(addition.tally.last)}
    settled = {**_sum([settled, *past]), "upto": start}
    whole = _sum([settled, own])
    events = kept_references([*old.get("events", []), *addition.tally.references])
    new = {
        **old,
        "hunt": _hunt(addition.hunt),
        "group_by": list(addition.hunt.group_by),
        "group": addition.tally.group,
        **whole,
        "status": old.get("status", OPEN),
        "made": old.get("made", instant(now)),
        **_values(old, addition.tally),
        "events": events,
        "events_not_kept": whole["count"] - len(events),
        "settled": settled,
        "windows": {str(start): own},
    }
    return None if new == old else {**new, "updated": instant(now)}


def _sum(parts: Iterable[Json]) -> Json:
    """Return counts, first and last of all parts together."""
    parts = list(parts)
    firsts = [part["first"] for part in parts if part["first"]]
    lasts = [part["last"] for part in parts if part["last"]]
    return {
        "count": sum(part["count"] for part in parts),
        "first": min(firsts, default=None),
        "last": max(lasts, default=None),
    }


def _hunt(hunt: Hunt) -> Json:
    """Return what a finding says of its hunt."""
    return {name: getattr(hunt, name) for name in ("id", "name", "title", "family", "severity", "kind")}


def _values(old: Json, tally: Tally) -> Json:
    """Return the values of the finding's events by field, the fields of which there are more, and copies to search."""
    before: Mapping[str, Sequence[str]] = old.get("values", {})
    joined = {name: sorted({*before.get(name, ()), *tally.values.get(name, ())}) for name in {*before, *tally.values}}
    values = {name: kept_values(found) for name, found in sorted(joined.items())}
    cut = {*old.get("cut", []), *tally.cut, *(name for name, found in joined.items() if len(found) > len(values[name]))}
    sides: dict[str, Json] = {"client": {}, "server": {}}
    for field in CONTEXT:
        _, side, name = field.split(".")
        if field in values:
            sides[side][name] = values[field]
    terms = [f"{name}={value}" for name, found in values.items() for value in found]
    return {"values": values, "cut": sorted(cut), **sides, "terms": terms}


def write(siem: Siem, index: str, additions: Sequence[Addition], start: int, now: datetime) -> Written:
    """Add what the window that begins at `start` has to its findings; return how many are new and changed.

    SiemError if a finding cannot be written; what is written then stays, and doing the window again completes it.
    """
    by_id = {addition.id: addition for addition in additions}
    return change_many(siem, index, list(by_id), lambda id, old: finding(old, by_id[id], start, now))
