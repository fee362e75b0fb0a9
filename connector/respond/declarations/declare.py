"""Declares the events of a hunt: one declaration for each value of the asset's field, with evidence from history.

Promises: each declaration is written by compare-and-set; the deliveries of a revision are queued even if the program
was stopped in between, as the next `declare` or `deliver` does it. Will not: send anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from connector.errors import Conflict, NotThere, Refused
from connector.hunts.catalogue.hunt import Hunt
from connector.respond.declarations.asset import other_side
from connector.respond.declarations.declaration import Verdict, declaration_id, declared, message
from connector.respond.declarations.declare_rules import INDEX, hold_from_now_on
from connector.respond.declarations.gathering import Gathered, Progress, gathered
from connector.respond.declarations.hunt_evidence import Evidence
from connector.respond.declarations.wanted import ALL, Wanted
from connector.respond.deliveries.outbox import queue
from connector.respond.evidence.frozen import keep_due
from connector.respond.matches import asked_now, check_state, matching_events
from connector.settings.model import Settings
from connector.siem.client import Siem

Json = dict[str, Any]
What = Literal["new", "updated", "reopened", "noted", "unchanged"]
MOST_ASSETS = 1000
MOST_SHOWN = 10_000
LISTED: Json = {"excludes": ["evidence", "said"]}  # evidence can be large


@dataclass(frozen=True)
class DeclaredAsset:
    """One declaration that was made or looked at.

    `what`: new, updated, reopened as it had been fixed, noted where it is a false positive, or unchanged.
    """

    id: str
    asset: str
    department: tuple[str, ...]
    count: int
    first: str | None
    last: str | None
    status: str
    what: What


@dataclass(frozen=True)
class Declared:
    """What declaring did. `events` were looked at; `without_asset` of them have no value of the asset's field.

    `rule` is the id of the rule by which later events are declared, None without one.
    """

    hunt: str
    threat: str
    phase: str
    asset_field: str
    events: int
    without_asset: int
    declarations: tuple[DeclaredAsset, ...]
    limits: tuple[str, ...]
    rule: str | None = None


def declare(
    siem: Siem,
    settings: Settings,
    hunt: Hunt,
    verdict: Verdict,
    *,
    since: datetime | None = None,
    now: datetime,
    progress: Progress = lambda events: None,
) -> Declared:
    """Return the declarations of the hunt's events, written; Refused if nothing can be declared from them.

    `since` is the time of the oldest event to look at; `progress` is told how many events were looked at. A verdict for
    the `future` is kept as a rule, too; then there need not be events yet.
    """
    check_state(siem, settings, "declarations", "outbox", *([INDEX] if verdict.future else []))
    verdict = replace(verdict, offender_field=verdict.offender_field or other_side(verdict.asset_field))
    fields = filter(None, (verdict.asset_field, verdict.offender_field))
    asking = asked_now(siem, settings, hunt, *fields)
    members = matching_events(siem, settings, asking, since)
    found = gathered(hunt, members, verdict.asset_field, verdict.offender_field, progress)
    _check(hunt, verdict, found)
    rule = hold_from_now_on(siem, settings, hunt, verdict, since=since, now=now) if verdict.future else None
    done = [_declare_one(siem, settings, verdict, evidence, now) for evidence in found.evidence]
    queue_pending(siem, settings, now)
    due = keep_due(siem, settings, now)
    later = [f"the evidence of {due} declarations is still to be kept: the next `hunts declare` goes on"] if due else []
    return Declared(
        hunt=hunt.name,
        threat=verdict.threat,
        phase=verdict.phase,
        asset_field=verdict.asset_field,
        events=found.events,
        without_asset=found.without_asset,
        declarations=tuple(sorted(done, key=lambda one: (-one.count, one.asset))),
        limits=(*asking.limits, *later),
        rule=rule,
    )


def queue_pending(siem: Siem, settings: Settings, now: datetime) -> int:
    """Return of how many declarations a revision was still to be queued for the receivers; it is now."""
    pending = [hit["_id"] for hit in _search(siem, settings, {"query": {"term": {"pending": True}}, "_source": False})]
    for id in pending:
        queue_revision(siem, settings, id, now)
    return len(pending)


def queue_revision(siem: Siem, settings: Settings, id: str, now: datetime) -> None:
    """Queue the current revision of a declaration, unless that is done."""
    index = settings.state("declarations")
    while (stored := siem.get(index, id)) and stored.source["pending"]:
        queue(siem, settings, message(id, stored.source), now)
        try:
            siem.put(index, id, stored.source | {"pending": False}, stored)
        except Conflict:
            continue  # another revision came in between
        return


def stored_declarations(siem: Siem, settings: Settings, wanted: Wanted = ALL) -> list[tuple[str, Json]]:
    """Return the declarations that are asked for with their ids, the latest first; without their evidence."""
    body = {"query": {"match_all": {}}, "sort": [{"updated": "desc"}, {"made": "desc"}], "_source": LISTED}
    hits = _search(siem, settings, body)
    return [(hit["_id"], hit["_source"]) for hit in hits if wanted.fits(hit["_source"])]


def stored_declaration(siem: Siem, settings: Settings, id: str) -> Json:
    """Return one declaration; Refused if there is none of that id."""
    stored = siem.get(settings.state("declarations"), id)
    if stored is None:
        raise Refused(f"there is no declaration {id}: `hunts declarations` lists them")
    return stored.source


def _check(hunt: Hunt, verdict: Verdict, found: Gathered) -> None:
    """Raise Refused if there is nothing to declare, or more than anybody means."""
    asset_field = verdict.asset_field
    if not found.events and verdict.future:
        return
    if not found.events:
        raise Refused(f"{hunt.name} has no events in that time, so there is nothing to declare: look further back")
    if not found.evidence:
        known = ", ".join(hunt.group_by)
        raise Refused(f"none of the {found.events} events of {hunt.name} has {asset_field}; it groups by {known}")
    if len(found.evidence) > MOST_ASSETS:
        raise Refused(
            f"{asset_field} has {len(found.evidence)} values in these events, more than {MOST_ASSETS}, and each would "
            "be a declaration: name the field of whom it concerns, or a shorter --since"
        )


def _declare_one(siem: Siem, settings: Settings, verdict: Verdict, evidence: Evidence, now: datetime) -> DeclaredAsset:
    """Return one declaration, written with its evidence."""
    index, id = settings.state("declarations"), declaration_id(verdict.threat, evidence.asset)
    queue_revision(siem, settings, id, now)  # of one whose program was stopped: the next revision hides it
    before = siem.get(index, id)
    document = siem.change(index, id, lambda current: declared(current, verdict, evidence, now))
    asset = document["asset"]
    counted = (document["count"], document["first"], document["last"])
    what = _what(before.source if before else None, document)
    return DeclaredAsset(id, asset["value"], tuple(asset["department"]), *counted, document["status"], what)


def _what(before: Json | None, after: Json) -> What:
    """Return what declaring did to a declaration."""
    if before is None:
        return "new"
    if before["revision"] == after["revision"]:
        return "unchanged" if before["count"] == after["count"] else "noted"
    return "reopened" if before["status"] == "fixed" and after["status"] == "new" else "updated"


def _search(siem: Siem, settings: Settings, body: Json) -> list[Any]:
    """Return the hits of a search in the declarations, with all that was written before."""
    index = settings.state("declarations")
    try:
        siem.call("POST", f"/{index}/_refresh")
    except NotThere:
        raise NotThere(f"there is no index {index} yet: run `hunts install` first") from None
    return list(siem.search(index, {**body, "size": MOST_SHOWN})["hits"]["hits"])
