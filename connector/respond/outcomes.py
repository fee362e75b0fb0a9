"""What hunts do by themselves with what passes find: tag the events, and declare them.

One document of the state index notes, for each hunt with an outcome, what its findings added up to and what it asked
when its outcome was last done. While that differs from now, the outcome is due. So one that failed, or was cut off at
any moment, is done by the next pass, whatever that finds; one that a hunt is given later is done for the findings it
has already.

Promises: done again it changes nothing; one that fails carries its error and the others go on; a person's word stands:
a hunt that a person untagged, or gave another tag, is left as it is. Will not: send what it declares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from connector.errors import Refused, SiemError
from connector.hunts.asking import FATAL, Progress
from connector.hunts.hunt import Hunt, Outcome
from connector.hunts.passes import Order, Pass, run_pass
from connector.hunts.questions import Known
from connector.hunts.tally import instant
from connector.respond.declaration import Verdict
from connector.respond.declare import declare
from connector.respond.matches import asked_now, matching_events
from connector.respond.rules import Tag, TagRule, rule_of, stored_rules
from connector.respond.tagging import Tagging, tag
from connector.settings.model import Settings
from connector.siem.client import Siem

Json = dict[str, Any]
DOCUMENT = "outcomes"  # its id, and its kind
BY = "outcome"  # who tags and declares, in the records of both
MOST_FAILURES = 3


@dataclass(frozen=True)
class HuntOutcome:
    """What the outcome of one hunt did: events it tagged, declarations that are new and that have new evidence.

    `left` says which word of a person it left the tag to. `error` says what failed: the next pass tries again.
    """

    id: str
    name: str
    tag: str | None
    threat: str | None
    tagged: int = 0
    declared: int = 0
    updated: int = 0
    left: str = ""
    error: str | None = None


@dataclass(frozen=True)
class Passes:
    """The passes that were made one after the other, and what outcomes did after each."""

    passes: tuple[Pass, ...]
    outcomes: tuple[HuntOutcome, ...]

    @property
    def failed(self) -> bool:
        """Return whether a hunt or the outcome of one has failed."""
        return any(each.failed for each in self.passes) or any(each.error for each in self.outcomes)


def pass_and_outcomes(
    siem: Siem, settings: Settings, order: Order, clock: Callable[[], datetime], progress: Progress
) -> Passes:
    """Return passes until nothing is left to look at, with what outcomes did after each; a hunt that fails is left.

    Raises what `run_pass` does.
    """
    known, passes, outcomes = Known(), list[Pass](), list[HuntOutcome]()
    while not passes or passes[-1].left_ms:
        passes.append(run_pass(siem, settings, order, clock, progress, known=known))
        outcomes += due_outcomes(siem, settings, order.hunts, clock())
        order = replace(order, since=None, leave=order.leave | {hunt.id for hunt in passes[-1].failed})
    return Passes(tuple(passes), tuple(outcomes))


def due_outcomes(siem: Siem, settings: Settings, hunts: Sequence[Hunt], now: datetime) -> tuple[HuntOutcome, ...]:
    """Return what the outcomes did that are due among those of the hunts; Unreachable if the engine does not answer."""
    having = [hunt for hunt in hunts if hunt.outcome != Outcome()]
    if not having:
        return ()
    marks = _marks(siem, settings, having)
    stored = siem.get(settings.state("state"), DOCUMENT)
    noted: Mapping[str, Any] = stored.source["value"] if stored else {}
    done = []
    for hunt in having:
        mark = marks.get(hunt.id)
        if mark is not None and mark != noted.get(hunt.id):
            done.append(_outcome(siem, settings, hunt, now))
            if done[-1].error is None:
                _note(siem, settings, hunt, mark, now)
    return tuple(done)


def _marks(siem: Siem, settings: Settings, hunts: Sequence[Hunt]) -> dict[str, Json]:
    """Return by hunt what its findings add up to and what it asks; nothing for a hunt without a finding."""
    index = settings.state("findings")
    siem.call("POST", f"/{index}/_refresh")
    sums = {"events": {"sum": {"field": "count"}}, "changed": {"max": {"field": "updated"}}}
    body = {
        "size": 0,
        "query": {"terms": {"hunt.id": [hunt.id for hunt in hunts]}},
        "aggs": {"hunts": {"terms": {"field": "hunt.id", "size": len(hunts)}, "aggs": sums}},
    }
    buckets = siem.search(index, body)["aggregations"]["hunts"]["buckets"]
    found = {
        bucket["key"]: {"findings": bucket["doc_count"], **{name: bucket[name]["value"] for name in sums}}
        for bucket in buckets
    }
    return {hunt.id: {**found[hunt.id], "asks": _asks(hunt)} for hunt in hunts if hunt.id in found}


def _asks(hunt: Hunt) -> list[str]:
    """Return what an outcome depends on: what the hunt asks, its tag, and what it declares."""
    outcome = hunt.outcome
    rule = rule_of(hunt, cast(Tag, outcome.tag), BY, datetime.min, "")
    return [rule.id, outcome.threat or "", outcome.phase, outcome.asset]


def _note(siem: Siem, settings: Settings, hunt: Hunt, mark: Json, now: datetime) -> None:
    """Note that the outcome of a hunt is done for what its findings were."""

    def edit(current: Json | None) -> Json:
        """Return the document with the hunt's mark."""
        value = current["value"] if current else {}
        return {"kind": DOCUMENT, "updated": instant(now), "value": {**value, hunt.id: mark}}

    siem.change(settings.state("state"), DOCUMENT, edit)


def _outcome(siem: Siem, settings: Settings, hunt: Hunt, now: datetime) -> HuntOutcome:
    """Return what the outcome of a hunt did: what it tagged and, whether that failed or not, what it declared."""
    outcome = hunt.outcome
    result = HuntOutcome(hunt.id, hunt.name, outcome.tag, outcome.threat)
    for step in (*([_tag] if outcome.tag else []), *([_declare] if outcome.threat else [])):
        try:
            result = step(siem, settings, hunt, now, result)
        except FATAL:
            raise
        except (SiemError, Refused) as error:
            result = replace(result, error="; ".join(filter(None, (result.error, str(error)))))
    return result


def _tag(siem: Siem, settings: Settings, hunt: Hunt, now: datetime, result: HuntOutcome) -> HuntOutcome:
    """Return the result with the events tagged, or with the person's word that they are left to."""
    rule = rule_of(hunt, cast(Tag, hunt.outcome.tag), BY, now, "")
    if left := _persons_word(stored_rules(siem, settings, hunt.id), rule):
        return replace(result, left=left)
    done = tag(siem, settings, hunt, rule)
    return replace(result, tagged=done.tagged, error=_failure(done))


def _persons_word(rules: Sequence[TagRule], rule: TagRule) -> str:
    """Return what a person decided against the outcome's rule; empty if nobody did."""
    back = f"`hunts tag {rule.hunt.name} {rule.tag}` gives it back to the outcome"
    active = next((other for other in rules if other.status == "active"), None)
    if active:
        other = active.id != rule.id and active.by != BY
        return f"{active.by} tagged it {active.tag} by the rule {active.id}: {back}" if other else ""
    removed = [entry for other in rules for entry in other.history if entry["what"] == "removed"]
    last = max(removed, key=lambda entry: str(entry["at"]), default=None)
    return f"{last['by']} untagged it at {last['at']}: {back}" if last else ""


def _failure(done: Tagging) -> str | None:
    """Return what could not be tagged, in words; None if all could."""
    if not done.left and not done.failures:
        return None
    some = [f"{one.index} {one.id}: {one.reason}" for one in done.failures[:MOST_FAILURES]]
    return "; ".join((f"{done.left + len(done.failures):,} events or indices could not be changed", *some))


def _declare(siem: Siem, settings: Settings, hunt: Hunt, now: datetime, result: HuntOutcome) -> HuntOutcome:
    """Return the result with the declarations made; nothing is declared where the events of all findings are gone."""
    outcome = hunt.outcome
    verdict = Verdict(outcome.threat or "", outcome.phase, outcome.asset, BY)
    try:
        done = declare(siem, settings, hunt, verdict, now=now)
    except Refused:
        if next(iter(matching_events(siem, settings, asked_now(siem, settings, hunt), None)), None) is None:
            return result
        raise
    whats = [one.what for one in done.declarations]
    return replace(result, declared=whats.count("new"), updated=whats.count("updated"))
