"""Findings: one document for each hunt and group of values, and what each window adds to it (`parts.py`).

Promises: a window counts once however often it is done; the status and whatever else others write on a finding stays;
of its events the oldest and the newest are kept, and `events_not_kept` counts the others. Will not: forget that a
finding was there, even if its events are deleted.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.hunts.asking.asking import CONTEXT, Key
from connector.hunts.asking.tally import Tally, instant, kept_references, kept_values
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.passes.parts import Turn, every_part, with_part
from connector.siem.client import Siem
from connector.siem.many import change_many

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


def finding(old: Json | None, addition: Addition, turn: Turn, now: datetime) -> Json | None:
    """Return the finding with what a window has; None if it has that already or the window comes too late."""
    old, tally = old or {}, addition.tally
    own = {"count": tally.count, "first": instant(tally.first), "last": instant(tally.last)}
    kept = with_part(old, turn, own, _sum)
    if kept is None:
        return None
    whole = _sum(every_part(kept))
    events = kept_references([*old.get("events", []), *tally.references])
    new = {
        **old,
        "hunt": _hunt(addition.hunt),
        "group_by": list(addition.hunt.group_by),
        "group": tally.group,
        **whole,
        "status": old.get("status", OPEN),
        "made": old.get("made", instant(now)),
        **_values(old, tally),
        "events": events,
        "events_not_kept": max(0, whole["count"] - len(events)),
        **kept,
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


def write(siem: Siem, index: str, additions: Sequence[tuple[Addition, Turn]], now: datetime) -> Counter[str]:
    """Add what windows have to their findings; return how many are new, by the hunt's id.

    SiemError if a finding cannot be written; what is written then stays, and doing the window again completes it.
    """
    by_id = {addition.id: (addition, turn) for addition, turn in additions}
    new: dict[str, str] = {}

    def change(id: str, old: Json | None) -> Json | None:
        """Return the finding as it is to be written; one that somebody else made meanwhile is not new."""
        addition, turn = by_id[id]
        if old is None:
            new[id] = addition.hunt.id
        else:
            new.pop(id, None)
        return finding(old, addition, turn, now)

    change_many(siem, index, list(by_id), change)
    return Counter(new.values())


def clear(siem: Siem, index: str, turns: Mapping[str, Turn], *, kept: Iterable[str], now: datetime) -> None:
    """Take a window's part out of those findings that have one and are not among the `kept` ids; turns are by hunt id.

    A hunt that needs more than an event may find otherwise when the window is done again and more events are there.
    """
    siem.call("POST", f"/{index}/_refresh")
    body = {"query": {"terms": {"hunt.id": list(turns)}}, "_source": ["hunt.id", "windows"]}
    ids, keeping = dict[str, Turn](), set(kept)
    for hit in siem.scan(index, body):
        turn = turns[hit["_source"]["hunt"]["id"]]
        if any(turn.start <= int(at) < turn.end for at in hit["_source"].get("windows", ())):
            ids[hit["_id"]] = turn
    change_many(siem, index, list(ids.keys() - keeping), lambda id, old: _without(old, ids[id], now))


def _without(old: Json | None, turn: Turn, now: datetime) -> Json | None:
    """Return a finding without the part of a window; None if it has none or the window comes too late."""
    kept = with_part(old, turn, None, _sum) if old else None
    if old is None or kept is None or kept["windows"] == old.get("windows"):
        return None
    return {**old, **kept, **_sum(every_part(kept)), "updated": instant(now)}
