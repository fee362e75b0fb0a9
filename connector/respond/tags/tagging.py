"""Gives events that match a hunt, or a condition, a tag, and takes tags off again: past events and future ones.

    1. the rule is stored, and the rules it replaces are ended
    2. the ingest pipeline gets the rules as they are now: from here on events are written with their tags
    3. past events are changed by update-by-query through the task runner
    4. the next pass looks once more for events that were written before 2 and could be read after 3 only (`keeping.py`)

One rule of a hunt is active at a time. Giving the hunt another tag, or the same one after it was edited, replaces the
rule: matching events get the new rule and lose the old in one write, then events that only the old one matched lose it.

Promises: each step asks only for events it still has to change, so that a run that was stopped is finished by the same
command or the next pass, and a second run changes nothing; the rule's document is written before the first event. Will
not: tag future events that only a search can find; passes do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.errors import Refused
from connector.hunts.asking.tally import instant
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import every_event
from connector.respond.matches import asked_now, check_state
from connector.respond.tags.at_write import refusal_of
from connector.respond.tags.changes import AT_ONCE, Changes, Pace, Sums
from connector.respond.tags.extent import Extent
from connector.respond.tags.publishing import publish
from connector.respond.tags.rules import TagRule, end, note, rules_called, store, stored_rules
from connector.respond.tags.selecting import Selection, carrying, counted, selections_of
from connector.settings.model import Settings
from connector.siem.client import Siem
from connector.siem.tasks import Progress
from connector.siem.update_task import Failure

__all__ = ["Pace", "Tagging", "Untagging", "failure_of", "preview_tag", "tag", "untag"]
MOST_FAILURES = 3
Json = dict[str, Any]


@dataclass(frozen=True)
class Tagging:
    """What tagging did, or would do (`preview`). All numbers are of events that are there now.

    `matching` match the hunt, `already` of them carry the rule, `tagged` got it now (in a preview: would). `replaced`
    are the rules it replaces, which `untagged` events lost without getting the new one. `left` could not be written,
    and `failures` say why. Future events of the `extent` are tagged while they are written, or, if `by_pass` says why
    they cannot be, by the next pass.
    """

    hunt: str
    tag: str
    rule: str
    extent: Extent
    preview: bool
    matching: int
    already: int
    tagged: int
    by_pass: str = ""
    replaced: tuple[str, ...] = ()
    untagged: int = 0
    left: int = 0
    failures: tuple[Failure, ...] = ()
    limits: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Untagging:
    """What untagging did: the rules that were active until now, and how many events carried a rule of the hunt."""

    hunt: str
    rules: tuple[str, ...]
    untagged: int
    left: int = 0
    failures: tuple[Failure, ...] = ()
    seconds: float = 0.0


def preview_tag(siem: Siem, settings: Settings, hunt: Hunt, rule: TagRule) -> Tagging:
    """Return what tagging would do; nothing is written. Refused as in `tag`."""
    check_state(siem, settings, "tag-rules", "state")
    _check(hunt, rule)
    asking = asked_now(siem, settings, hunt)
    selections = list(selections_of(siem, settings, asking, rule.extent))
    matching, already = counted(siem, selections, [rule.id])
    replaced = [other.id for other in _others(siem, settings, rule) if other.active]
    lost = 0
    if replaced:
        holding = [carrying(siem, source.pattern, replaced) for source in settings.sources]
        lost = sum(siem.count(each.index, each.query) for each in holding)
        lost -= counted(siem, selections, replaced)[1] if rule.tags else 0
    return Tagging(
        hunt=hunt.name,
        tag=rule.tag,
        rule=rule.id,
        extent=rule.extent,
        preview=True,
        matching=matching,
        already=already,
        tagged=matching - already if rule.tags else 0,
        by_pass=refusal_of(rule) if rule.tags and rule.extent.future else "",
        replaced=tuple(replaced),
        untagged=lost,
        limits=asking.limits,
    )


def tag(
    siem: Siem,
    settings: Settings,
    hunt: Hunt,
    rule: TagRule,
    *,
    pace: Pace = AT_ONCE,
    progress: Progress = lambda count: None,
) -> Tagging:
    """Return what was tagged with the rule of a hunt: every matching event that it is for.

    Refused if no source can answer the hunt, if its date is past, or if a hunt that counts is to suppress.
    """
    check_state(siem, settings, "tag-rules", "state")
    _check(hunt, rule)
    asking = asked_now(siem, settings, hunt)
    changes = Changes(siem, settings, hunt.id, pace, progress)
    others = _others(siem, settings, rule)
    replaced = [other for other in others if other.active]
    if replaced:
        changes.stop()
    selections = list(selections_of(siem, settings, asking, rule.extent))
    matching, already = counted(siem, selections, [rule.id])
    if store(siem, settings, rule) is None:
        raise Refused(f"{rule.hunt.name} was untagged a moment ago: the outcome leaves it so")
    for other in replaced:
        end(siem, settings, other, _entry(rule.made, rule.by, "replaced", {"with": rule.id}), rule.made)
    published = publish(siem, settings, rule.made)
    tagged, rest = _change(changes, rule, others, selections)
    numbers = {"matching": matching, "tagged": tagged.updated, "untagged": rest.updated}
    if tagged.updated or rest.updated or replaced or not rule.tags:
        note(siem, settings, rule, _entry(rule.made, rule.by, "tagged", {**rule.extent.document, **numbers}))
    return Tagging(
        hunt=hunt.name,
        tag=rule.tag,
        rule=rule.id,
        extent=rule.extent,
        preview=False,
        matching=matching,
        already=already,
        tagged=tagged.updated,
        by_pass=published.by_pass.get(rule.id, "") if rule.extent.future else "",
        replaced=tuple(other.id for other in replaced),
        untagged=rest.updated,
        left=tagged.left + rest.left,
        failures=(*tagged.failures, *rest.failures),
        limits=asking.limits,
        seconds=round(tagged.seconds + rest.seconds, 3),
    )


def _change(
    changes: Changes, rule: TagRule, others: Sequence[TagRule], selections: Sequence[Selection]
) -> tuple[Sums, Sums]:
    """Return what came of putting a rule on events, and of taking the hunt's other rules off the rest."""
    old = [other.id for other in others if other.tags]
    tagged = changes.put_on(rule.id, old, selections, rule.made) if rule.tags else Sums()
    return tagged, changes.take_off(old, rule.made)


def untag(
    siem: Siem,
    settings: Settings,
    name: str,
    *,
    by: str,
    now: datetime,
    pace: Pace = AT_ONCE,
    progress: Progress = lambda count: None,
) -> Untagging:
    """Return what was untagged: all events that carry a rule of the hunt of that name, title or id; none gets it again.

    Refused if the hunt never had a rule.
    """
    check_state(siem, settings, "tag-rules", "state")
    rules = rules_called(siem, settings, name)
    if not rules:
        raise Refused(f"no rule has tagged events for {name!r}: `hunts tags` lists the rules")
    changes = Changes(siem, settings, rules[0].hunt.id, pace, progress)
    active = [rule for rule in rules if rule.active]
    for rule in active:
        end(siem, settings, rule, _entry(now, by, "removed", {}), now)
    publish(siem, settings, now)
    changes.stop()
    sums = changes.take_off([rule.id for rule in rules if rule.tags], now)
    if sums.updated:
        for rule in active or rules[-1:]:
            note(siem, settings, rule, _entry(now, by, "untagged", {"untagged": sums.updated}))
    ids = tuple(rule.id for rule in active)
    return Untagging(rules[0].hunt.name, ids, sums.updated, sums.left, tuple(sums.failures), round(sums.seconds, 3))


def failure_of(left: int, failures: Sequence[Failure]) -> str | None:
    """Return what could not be changed, in words; None if all could."""
    if not left and not failures:
        return None
    some = [f"{one.index} {one.id}: {one.reason}" for one in failures[:MOST_FAILURES]]
    return "; ".join((f"{left + len(failures):,} events or indices could not be changed", *some))


def _check(hunt: Hunt, rule: TagRule) -> None:
    """Raise Refused if a rule could do nothing, or far more than was meant."""
    if rule.extent.ended(rule.made):
        raise Refused(f"the rule would have ended on {instant(rule.extent.expires)} already: choose a later date")
    if not rule.tags and not every_event(hunt.needs):
        what = (
            f"{hunt.name} needs more than one event, and each event that it looks at would be left out of all findings"
        )
        raise Refused(f"{what}: name those to leave out with --where")


def _others(siem: Siem, settings: Settings, rule: TagRule) -> list[TagRule]:
    """Return the other rules that the hunt has or had."""
    return [other for other in stored_rules(siem, settings, rule.hunt.id) if other.id != rule.id]


def _entry(at: datetime, by: str, what: str, numbers: Json) -> Json:
    """Return an entry of a rule's history."""
    return {"at": instant(at), "by": by, "what": what, **numbers}
