"""A declaration as a document: one threat at one asset, with its evidence by hunt; pure.

Promises: the id follows from threat and asset; merging the same evidence again changes nothing, merging more never
makes it less: each day keeps the highest count it was seen with, so evidence outlives the events. Will not: touch a
search engine or know a receiver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from connector.hunts.address import plain_address
from connector.hunts.condition import scalar_text
from connector.hunts.hunt import Kind
from connector.hunts.tally import instant, kept_references
from connector.respond.rules import HuntName

Json = dict[str, Any]
PHASES = (
    "reconnaissance",
    "weaponization",
    "delivery",
    "exploitation",
    "installation",
    "command_and_control",
    "actions_on_objectives",
    "pre_condition",
)
STATUSES = ("new", "assigned", "fixed", "false-positive")
GROUPS = 100  # groups kept of a hunt's evidence
SENT_EVENTS = SENT_GROUPS = 10  # of what a receiver is told
LONGEST_VALUE, MOST_VALUES = 1000, 50
DIGITS = 20


@dataclass(frozen=True)
class Verdict:
    """What a person says about the events of a hunt: which threat, how far it is, whom it concerns, and why."""

    threat: str
    phase: str
    asset_field: str
    by: str
    explanation: str = ""


@dataclass(frozen=True)
class Evidence:
    """The events of one hunt at one asset.

    `days` counts events by day (UTC; empty for events without a time), `groups` by the values of the hunt's `group_by`
    fields. `references` are the oldest and newest events; the rest is only counted.
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


def declaration_id(threat: str, asset: str) -> str:
    """Return the id of the declaration of a threat at an asset, whatever their case and spacing."""
    folded = (" ".join(threat.casefold().split()), asset_key(asset))
    return sha256("\0".join(folded).encode(errors="surrogatepass")).hexdigest()[:DIGITS]


def asset_key(asset: str) -> str:
    """Return what makes two spellings of an asset the same: an address as engines print it, other text in one case."""
    return plain_address(asset).casefold()


def declared(now: Json | None, verdict: Verdict, evidence: Evidence, at: datetime) -> Json:
    """Return the document of a declaration, new or brought up to date; the same document if nothing is new in it."""
    before = now or _new(verdict, evidence, at)
    known = before["evidence"].get(evidence.hunt.id)
    every = before["evidence"] | {evidence.hunt.id: _merged(known, evidence)}
    kinds = {item["kind"] for item in every.values()}
    asset = before["asset"] | {"department": sorted({*before["asset"]["department"], *evidence.departments})}
    after = before | {
        "hunts": [item["hunt"] for item in every.values()],
        "kind": "compromise" if "compromise" in kinds else "policy",
        "phase": verdict.phase,
        "asset": asset,
        "explanation": verdict.explanation or before["explanation"],
        "evidence": every,
        "count": sum(item["count"] for item in every.values()),
        "first": min(filter(None, (item["first"] for item in every.values())), default=None),
        "last": max(filter(None, (item["last"] for item in every.values())), default=None),
    }
    return before if after == now else _revised(after, now, verdict, evidence.hunt, at)


def _new(verdict: Verdict, evidence: Evidence, at: datetime) -> Json:
    """Return a declaration without evidence."""
    return {
        "threat": " ".join(verdict.threat.split()),
        "asset": {"field": verdict.asset_field, "value": evidence.asset, "department": []},
        "explanation": "",
        "status": "new",
        "by": verdict.by,
        "made": instant(at),
        "evidence": {},
        "revision": 0,
        "history": [],
    }


def _revised(after: Json, now: Json | None, verdict: Verdict, hunt: HuntName, at: datetime) -> Json:
    """Return the declaration as its next revision, which receivers are still to be told of."""
    what = "updated" if now else "declared"
    entry = {"at": instant(at), "by": verdict.by, "what": what, "hunt": hunt.name}
    entry |= {key: after[key] for key in ("phase", "count")}
    revision = after["revision"] + 1
    history = [*after["history"], {**entry, "revision": revision}]
    return after | {"updated": instant(at), "revision": revision, "history": history, "pending": True}


def _merged(known: Json | None, new: Evidence) -> Json:
    """Return the evidence of a hunt with the new one merged in."""
    known = known or {"days": {}, "groups": [], "references": [], "first": None, "last": None, "groups_left_out": 0}
    days = dict(known["days"])
    for day, count in new.days.items():
        days[day] = max(count, days.get(day, 0))
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
        "references": references,
        "events_left_out": max(count - len(references), 0),
    }


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


def message(id: str, document: Json) -> Json:
    """Return what receivers are told of the current revision of a declaration: names for a template."""
    names = ("threat", "kind", "phase", "status", "asset", "explanation", "by", "made", "updated", "revision")
    told = {"id": id} | {name: document[name] for name in (*names, "count", "first", "last")}
    told["evidence"] = [_told(item) for item in document["evidence"].values()]
    kind = "declaration.new" if document["revision"] == 1 else "declaration.updated"
    return {"type": kind, "timestamp": document["updated"], "declaration": told}


def _told(item: Json) -> Json:
    """Return what receivers are told of the evidence of one hunt."""
    events, groups = item["references"][:SENT_EVENTS], item["groups"][:SENT_GROUPS]
    return {
        **{name: item[name] for name in ("hunt", "count", "first", "last")},
        "groups": groups,
        "groups_left_out": len(item["groups"]) - len(groups) + item["groups_left_out"],
        "events": events,
        "events_left_out": item["count"] - len(events),
    }
