"""Rules that declare from now on: what a person declared of a hunt holds for its later events, too; one document each.

The passes apply them as they do what a hunt declares by itself (`outcomes.py`). The id is made of the hunt, the threat
and the asset's field, so that saying it again changes the same rule. A rule that was stopped stays as a record.

Promises: written by compare-and-set; done again it changes nothing. Will not: declare anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal

from connector.errors import Refused
from connector.hunts.asking.tally import instant
from connector.hunts.catalogue.hunt import Hunt
from connector.respond.declarations.declaration import DIGITS, Verdict, folded
from connector.respond.tags.rules import HuntName
from connector.settings.model import Settings
from connector.siem.client import Siem

Json = dict[str, Any]
INDEX = "declare-rules"
MOST_RULES = 10_000
VERDICT = ("threat", "phase", "asset_field", "by", "explanation", "family", "kind", "offender_field")


@dataclass(frozen=True)
class DeclareRule:
    """A rule: what it says of which hunt's events, of those since when, and what was done with it."""

    id: str
    hunt: HuntName
    verdict: Verdict
    since: datetime | None
    status: Literal["active", "stopped"]
    made: datetime
    history: tuple[Json, ...]

    @property
    def asks(self) -> list[str]:
        """Return what its declarations depend on."""
        return [self.id, *self.verdict.words, self.verdict.offender_field, instant(self.since) or ""]


def rule_id(hunt: Hunt, verdict: Verdict) -> str:
    """Return the id of the rule for a hunt, a threat and an asset's field."""
    own = "\0".join((hunt.id, folded(verdict.threat), verdict.asset_field))
    return sha256(own.encode(errors="surrogatepass")).hexdigest()[:DIGITS]


def hold_from_now_on(
    siem: Siem, settings: Settings, hunt: Hunt, verdict: Verdict, *, since: datetime | None, now: datetime
) -> str:
    """Return the id of the rule that what is said holds for later events, too; it is active now.

    Said again in the same words it stays as it is; so does its `since`, as a window moves with the clock.
    """
    word = {name: getattr(verdict, name) for name in VERDICT}

    def edit(current: Json | None) -> Json:
        """Return the stored rule with these words, active."""
        active = current if current and current["status"] == "active" else None
        if active and active["verdict"] == word and (active["since"] is None) == (since is None):
            return active
        what = "changed" if active else "begun"
        made = {"made": instant(now), "since": instant(since), "hunt": HuntName.of(hunt).document}
        history = [*(current["history"] if current else []), _entry(what, verdict.by, now)]
        return made | {"verdict": word, "status": "active", "by": verdict.by, "history": history}

    id = rule_id(hunt, verdict)
    siem.change(settings.state(INDEX), id, edit, refresh=True)
    return id


def stop(
    siem: Siem, settings: Settings, name: str, threat: str | None, *, by: str, now: datetime
) -> tuple[DeclareRule, ...]:
    """Return the rules of a hunt, or those of one threat, that were active and are stopped now.

    Refused if the hunt, which need not be in the catalogue any more, never had one.
    """
    rules = [rule for rule in declare_rules(siem, settings) if name in vars(rule.hunt).values()]
    found = [rule for rule in rules if threat is None or folded(rule.verdict.threat) == folded(threat)]
    if not found:
        of = f"{name} and the threat {threat!r}" if threat and rules else name
        raise Refused(f"there is no rule that declares later events of {of}: `hunts declarations --rules` lists them")

    def edit(current: Json | None) -> Json:
        """Return the stored rule, stopped."""
        if current is None or current["status"] == "stopped":
            return current or {}
        return current | {"status": "stopped", "history": [*current["history"], _entry("stopped", by, now)]}

    active = [rule for rule in found if rule.status == "active"]
    return tuple(_read(rule.id, siem.change(settings.state(INDEX), rule.id, edit, refresh=True)) for rule in active)


def declare_rules(siem: Siem, settings: Settings) -> tuple[DeclareRule, ...]:
    """Return all rules, the oldest first; none where the index is of before there were any."""
    body = {
        "size": MOST_RULES,
        "query": {"match_all": {}},
        "sort": [{"made": {"order": "asc", "unmapped_type": "date"}}],
    }
    hits = siem.search(settings.state(INDEX), body)["hits"]["hits"]
    return tuple(_read(hit["_id"], hit["_source"]) for hit in hits)


def active_rules(siem: Siem, settings: Settings) -> dict[str, list[DeclareRule]]:
    """Return the active rules by the id of their hunt."""
    found: dict[str, list[DeclareRule]] = {}
    for rule in declare_rules(siem, settings):
        if rule.status == "active":
            found.setdefault(rule.hunt.id, []).append(rule)
    return found


def _entry(what: str, by: str, now: datetime) -> Json:
    """Return an entry of a rule's history."""
    return {"at": instant(now), "by": by, "what": what}


def _read(id: str, source: Json) -> DeclareRule:
    """Return the rule of a stored document."""
    return DeclareRule(
        id=id,
        hunt=HuntName(**source["hunt"]),
        verdict=Verdict(**source["verdict"], standing=True),
        since=datetime.fromisoformat(source["since"]) if source["since"] else None,
        status=source["status"],
        made=datetime.fromisoformat(source["made"]),
        history=tuple(source["history"]),
    )
