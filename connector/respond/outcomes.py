"""What hunts do by themselves with what passes find: tag the events, and declare them, as rules of people do, too.

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
from functools import partial
from typing import Any, cast

from connector.errors import Refused, SiemError
from connector.hunts.asking.asking import FATAL, Progress
from connector.hunts.asking.questions import Known
from connector.hunts.catalogue.hunt import Hunt, Outcome
from connector.hunts.passes.passes import Order, Pass, run_pass
from connector.respond.declarations.declaration import Verdict
from connector.respond.declarations.declare import declare
from connector.respond.declarations.declare_rules import DeclareRule, active_rules
from connector.respond.marks import findings_of, note_done, noted
from connector.respond.matches import asked_now, matching_events
from connector.respond.tags.keeping import Kept, due_tags
from connector.respond.tags.rules import OUTCOME, Tag, TagRule, rule_of, stored_rules
from connector.respond.tags.suppressing import Suppressing, suppressing, without
from connector.respond.tags.tagging import failure_of, tag
from connector.settings.model import Settings
from connector.siem.client import Siem

Json = dict[str, Any]
DOCUMENT = "outcomes"  # its id, and its kind
BY = OUTCOME  # who tags and declares, in the records of both


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


Step = Callable[[Siem, Settings, Hunt, datetime, HuntOutcome], HuntOutcome]


@dataclass(frozen=True)
class Passes:
    """The passes that were made one after the other, what outcomes did after each, and in the end for tag rules."""

    passes: tuple[Pass, ...]
    outcomes: tuple[HuntOutcome, ...]
    tags: tuple[Kept, ...] = ()

    @property
    def failed(self) -> bool:
        """Return whether a hunt, the outcome of one or a tag rule has failed."""
        return (
            any(each.failed for each in self.passes)
            or any(each.error for each in self.outcomes)
            or any(each.error for each in self.tags)
        )


def pass_and_outcomes(
    siem: Siem, settings: Settings, order: Order, clock: Callable[[], datetime], progress: Progress
) -> Passes:
    """Return passes until nothing is left to look at, with what outcomes did after each, and what tag rules need then.

    A hunt that fails is left; what rules suppress is left out of findings and declarations. A pass that only found that
    no event is left is not among them. Raises what `run_pass` does.
    """
    known, quiet, passes, outcomes = Known(), Suppressing(), list[Pass](), list[HuntOutcome]()
    left = True
    while left:
        asked = replace(order, hunts=quiet.applied(siem, settings, order.hunts, clock()))
        done = run_pass(siem, settings, asked, clock, progress, known=known)
        passes += [done] if not passes or done.start != done.end else []
        outcomes += due_outcomes(siem, settings, order.hunts, clock())
        order = replace(order, since=None, leave=order.leave | {hunt.id for hunt in done.failed})
        left = done.left_ms > 0
    kept = due_tags(siem, settings, order.hunts, clock(), lag=order.lag)
    return Passes(tuple(passes), tuple(outcomes), kept)


def due_outcomes(siem: Siem, settings: Settings, hunts: Sequence[Hunt], now: datetime) -> tuple[HuntOutcome, ...]:
    """Return what the outcomes did that are due among those of the hunts; Unreachable if the engine does not answer."""
    rules = active_rules(siem, settings)
    having = [hunt for hunt in hunts if hunt.outcome != Outcome() or hunt.id in rules]
    if not having:
        return ()
    marks = _marks(siem, settings, having, rules)
    before, done = noted(siem, settings, DOCUMENT), []
    for hunt in having:
        mark = marks.get(hunt.id)
        if mark is not None and mark != before.get(hunt.id):
            done.append(_outcome(siem, settings, hunt, rules.get(hunt.id, []), now))
            if done[-1].error is None:
                note_done(siem, settings, DOCUMENT, {hunt.id: mark}, now)
    return tuple(done)


def _marks(
    siem: Siem, settings: Settings, hunts: Sequence[Hunt], rules: Mapping[str, Sequence[DeclareRule]]
) -> dict[str, Json]:
    """Return by hunt what its findings add up to and what it asks; nothing for a hunt without a finding."""
    found = findings_of(siem, settings, [hunt.id for hunt in hunts])
    return {
        hunt.id: {**found[hunt.id], "asks": _asks(hunt, rules.get(hunt.id, []))} for hunt in hunts if hunt.id in found
    }


def _asks(hunt: Hunt, rules: Sequence[DeclareRule]) -> list[str]:
    """Return what an outcome depends on: what the hunt asks, its tag, and what it and people's rules declare."""
    outcome = hunt.outcome
    rule = rule_of(hunt, cast(Tag, outcome.tag), BY, datetime.min, "")
    asked = [word for each in rules for word in each.asks]
    return [rule.id, outcome.threat or "", outcome.phase, outcome.asset, *asked]


def _outcome(siem: Siem, settings: Settings, hunt: Hunt, rules: Sequence[DeclareRule], now: datetime) -> HuntOutcome:
    """Return what the outcome of a hunt did: what it tagged and, whether that failed or not, what it declared.

    People's rules that declare its events count as its own.
    """
    outcome = hunt.outcome
    own = [Verdict(outcome.threat, outcome.phase, outcome.asset, BY, standing=True)] if outcome.threat else []
    said = [(verdict, None) for verdict in own] + [(rule.verdict, rule.since) for rule in rules]
    threats = ", ".join(verdict.threat for verdict, _ in said) or None
    result = HuntOutcome(hunt.id, hunt.name, outcome.tag, threats)
    steps: list[Step] = [_tag] if outcome.tag else []
    steps += [partial(_declare, verdict=verdict, since=since) for verdict, since in said]
    for step in steps:
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
    return replace(result, tagged=done.tagged, error=failure_of(done.left, done.failures))


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


def _declare(
    siem: Siem,
    settings: Settings,
    hunt: Hunt,
    now: datetime,
    result: HuntOutcome,
    *,
    verdict: Verdict,
    since: datetime | None,
) -> HuntOutcome:
    """Return the result with the declarations made; nothing is declared where the events of all findings are gone.

    What rules suppress is not declared.
    """
    (hunt,) = without([hunt], suppressing(siem, settings, now))
    try:
        done = declare(siem, settings, hunt, verdict, since=since, now=now)
    except Refused:
        if next(iter(matching_events(siem, settings, asked_now(siem, settings, hunt), since)), None) is None:
            return result
        raise
    whats = [one.what for one in done.declarations]
    updated = whats.count("updated") + whats.count("reopened")
    return replace(result, declared=result.declared + whats.count("new"), updated=result.updated + updated)
