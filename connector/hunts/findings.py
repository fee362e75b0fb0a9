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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.errors import Conflict
from connector.hunts.asking import CONTEXT, Key
from connector.hunts.hunt import Hunt
from connector.hunts.tally import Tally, instant, kept_references, kept_values
from connector.siem.client import Refusal, Siem, Stored
from connector.siem.wire import siem_error

Json = dict[str, Any]
OPEN = "open"
PORTION = 200  # documents read and written in one round trip
CHANGED = 409  # somebody else wrote first
TRIES = 8  # of a document that somebody else writes at the same time


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


@dataclass(frozen=True)
class Written:
    """How many findings were new, and how many have changed."""

    new: int = 0
    changed: int = 0

    def __add__(self, other: Written) -> Written:
        """Return the sum."""
        return Written(self.new + other.new, self.changed + other.changed)


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
    written = Written()
    for first in range(0, len(additions), PORTION):
        left = {addition.id: addition for addition in additions[first : first + PORTION]}
        for _ in range(TRIES):
            done, left = _write(siem, index, left, start, now)
            written += done
            if not left:
                break
        else:
            which = f"{len(left)} findings, {next(iter(left))} among them"
            raise Conflict(f"{index}: somebody else changed {which}, each time they were to be written")
    return written


def _write(
    siem: Siem, index: str, additions: Mapping[str, Addition], start: int, now: datetime
) -> tuple[Written, dict[str, Addition]]:
    """Return what was written in one round trip, and what somebody else wrote first."""
    present = _present(siem, index, list(additions))
    changed: dict[str, Json] = {}
    for id, addition in additions.items():
        stored = present.get(id)
        source = finding(stored.source if stored else None, addition, start, now)
        if source:
            changed[id] = source
    if not changed:
        return Written(), {}
    refused = siem.bulk([line for id in changed for line in _lines(index, id, changed[id], present.get(id))])
    late = {refusal.id for refusal in refused if refusal.status == CHANGED}
    _check(index, refused)
    new = sum(id not in present for id in changed.keys() - late)
    return Written(new, len(changed) - len(late) - new), {id: additions[id] for id in late}


def _lines(index: str, id: str, source: Json, replacing: Stored | None) -> Iterator[Json]:
    """Yield the lines of a bulk body that write a finding if it still is what it was."""
    if replacing is None:
        yield {"create": {"_index": index, "_id": id}}
    else:
        place = {"_index": index, "_id": id}
        yield {"index": {**place, "if_seq_no": replacing.seq_no, "if_primary_term": replacing.primary_term}}
    yield source


def _present(siem: Siem, index: str, ids: Sequence[str]) -> dict[str, Stored]:
    """Return those of the documents that are there."""
    answer = siem.call("POST", f"/{index}/_mget", {"ids": ids})
    return {
        found["_id"]: Stored(found["_id"], found["_source"], found["_seq_no"], found["_primary_term"])
        for found in answer["docs"]
        if found.get("found")
    }


def _check(index: str, refused: Iterable[Refusal]) -> None:
    """Raise the error of a finding that the engine refuses for another reason than that it has changed."""
    for refusal in refused:
        if refusal.status != CHANGED:
            body = {"error": {"reason": refusal.reason}}
            raise siem_error(refusal.status, f"writing the finding {refusal.id} to {index}", body)
