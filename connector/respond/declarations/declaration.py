"""A declaration as a document: one threat at one asset, with its evidence by hunt; pure.

Promises: the id follows from threat and asset; the same word and evidence again changes nothing; evidence only grows
(`hunt_evidence.py`). What a person decided stands: more of a false positive is noted and nobody is told, more of what
was fixed opens it again, and a word that is said by itself again and again is not said again over a person's. Will
not: touch a search engine or know a receiver.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from connector.hunts.asking.tally import instant
from connector.hunts.catalogue.hunt import Kind
from connector.respond.declarations.asset import asset_key, asset_kind
from connector.respond.declarations.hunt_evidence import Evidence, merged, most

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
KINDS: tuple[Kind, ...] = ("compromise", "policy")
OFFENDERS = 20  # values of the other side that a declaration names
SENT_EVENTS = SENT_GROUPS = 10  # of what a receiver is told
DIGITS = 20


@dataclass(frozen=True)
class Verdict:
    """What is said about the events of a hunt: which threat, how far it is, whom it concerns, and why.

    `family` and `kind` are the hunt's where they are not said; `offender_field` is what is on the other side, empty for
    nothing. `future`: it holds for later events, too. `standing`: it is such a word, now said by itself.
    """

    threat: str
    phase: str
    asset_field: str
    by: str
    explanation: str = ""
    family: str = ""
    kind: Kind | None = None
    offender_field: str = ""
    future: bool = False
    standing: bool = False

    @property
    def words(self) -> list[str]:
        """Return what it says of a declaration, its evidence aside."""
        return [self.phase, self.explanation, self.family, self.kind or ""]


def folded(text: str) -> str:
    """Return a text in one case and spacing."""
    return " ".join(text.casefold().split())


def declaration_id(threat: str, asset: str) -> str:
    """Return the id of the declaration of a threat at an asset, whatever their case and spacing."""
    own = "\0".join((folded(threat), asset_key(asset)))
    return sha256(own.encode(errors="surrogatepass")).hexdigest()[:DIGITS]


def declared(now: Json | None, verdict: Verdict, evidence: Evidence, at: datetime) -> Json:
    """Return the document of a declaration, new or brought up to date; the same document if nothing is new in it."""
    before = now or _new(verdict, evidence, at)
    known = before["evidence"].get(evidence.hunt.id)
    every = before["evidence"] | {evidence.hunt.id: merged(known, evidence)}
    after = _added(before, verdict, every, evidence) | _said(before, verdict, evidence, at)
    after["kind"] = after["kind_said"] or _kind(every)
    if now is not None and after | {"said": now["said"]} == now:
        return after
    return _brought_up(now, after, verdict, evidence, at)


def _new(verdict: Verdict, evidence: Evidence, at: datetime) -> Json:
    """Return a declaration without evidence."""
    asset = {"field": verdict.asset_field, "value": evidence.asset, "department": []}
    return {
        "threat": " ".join(verdict.threat.split()),
        "family": evidence.family,
        "kind_said": "",
        "phase": "",
        "phases": [],
        "asset": asset | {"kind": asset_kind(verdict.asset_field, evidence.asset)},
        "offender": {"field": [], "value": []},
        "explanation": "",
        "status": "new",
        "assigned": "",
        "by": verdict.by,
        "made": instant(at),
        "evidence": {},
        "said": {},
        "reputation": [],
        "revision": 0,
        "history": [],
    }


def _added(before: Json, verdict: Verdict, every: Mapping[str, Json], new: Evidence) -> Json:
    """Return the declaration with what its evidence adds up to."""
    department = sorted({*before["asset"]["department"], *new.departments})
    offenders = Counter[str]()
    for item in every.values():
        offenders.update(item["offenders"])
    fields = {*before["offender"]["field"], *([verdict.offender_field] if new.offenders else [])}
    return before | {
        "hunts": [item["hunt"] for item in every.values()],
        "asset": before["asset"] | {"department": department},
        "offender": {"field": sorted(fields), "value": list(most(offenders, OFFENDERS))},
        "evidence": every,
        "count": sum(item["count"] for item in every.values()),
        "first": min(filter(None, (item["first"] for item in every.values())), default=None),
        "last": max(filter(None, (item["last"] for item in every.values())), default=None),
    }


def _said(before: Json, verdict: Verdict, evidence: Evidence, at: datetime) -> Json:
    """Return what the verdict says of the declaration; nothing if it says by itself what it has said before."""
    key, said = f"{evidence.hunt.id} {verdict.by}", before["said"]
    if verdict.standing and said.get(key) == verdict.words:
        return {}
    return {
        **moved(before, verdict.phase, verdict.by, at),
        "explanation": verdict.explanation or before["explanation"],
        "family": verdict.family or before["family"],
        "kind_said": verdict.kind or before["kind_said"],
        "said": said | {key: verdict.words} if verdict.standing or verdict.future else said,
    }


def moved(before: Json, phase: str, by: str, at: datetime) -> Json:
    """Return the phase of a declaration and how it came to it; nothing if it is in that phase."""
    if phase == before["phase"]:
        return {}
    return {"phase": phase, "phases": [*before["phases"], {"at": instant(at), "phase": phase, "by": by}]}


def _kind(every: Mapping[str, Json]) -> Kind:
    """Return what the hunts that have evidence look for."""
    return "compromise" if any(item["kind"] == "compromise" for item in every.values()) else "policy"


def _brought_up(now: Json | None, after: Json, verdict: Verdict, evidence: Evidence, at: datetime) -> Json:
    """Return a declaration that has changed as its next revision; of a false positive without one."""
    if after["status"] == "false-positive":
        return after | {"updated": instant(at)}
    entry: Json = {"by": verdict.by, "what": "updated" if now else "declared", "hunt": evidence.hunt.name}
    if now and after["status"] == "fixed" and _has_more(now, after):
        entry |= {"what": "reopened", "status": "new", "from": "fixed"}
        after = after | {"status": "new", "assigned": ""}
    return revised(after | {"reputation_due": True, "evidence_due": True}, entry, at)


def _has_more(now: Json, after: Json) -> bool:
    """Tell whether there are events that were not known before."""
    return bool(after["count"] > now["count"] or (after["last"] or "") > (now["last"] or ""))


def revised(document: Json, entry: Json, at: datetime) -> Json:
    """Return a declaration as its next revision, which receivers are still to be told of; `entry` says what it is."""
    revision = document["revision"] + 1
    entry = {"at": instant(at), **entry, **{key: document[key] for key in ("phase", "count")}, "revision": revision}
    history = with_entry(document["history"], entry)
    return document | {"updated": instant(at), "revision": revision, "history": history, "pending": True}


def with_entry(history: Sequence[Json], entry: Json) -> list[Json]:
    """Return a history with one more entry.

    More evidence of one hunt, in one phase, is one entry until something else happens: it says since when and how often
    it came. So a history has no more entries than there are hunts and decisions.
    """
    for position in range(len(history) - 1, -1, -1):
        old = history[position]
        if entry["what"] != "updated" or old["what"] != "updated":
            break
        if all(old[key] == entry[key] for key in ("by", "hunt", "phase")):
            again = entry | {"since": old.get("since", old["at"]), "times": old.get("times", 1) + 1}
            return [*history[:position], *history[position + 1 :], again]
    return [*history, entry]


def message(id: str, document: Json) -> Json:
    """Return what receivers are told of the current revision of a declaration: names for a template."""
    names = ("threat", "family", "kind", "phase", "status", "assigned", "asset", "offender", "explanation", "by")
    told = {"id": id} | {name: document[name] for name in (*names, "made", "updated", "revision")}
    told |= {name: document[name] for name in ("count", "first", "last")}
    told["reputation"] = [{name: one[name] for name in ("value", "verdict", "words")} for one in document["reputation"]]
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
