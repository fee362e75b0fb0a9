"""Tags the events a hunt matched in the past, and takes the tags off again, by update-by-query through the task runner.

One rule of a hunt is active at a time. Giving the hunt the other tag, or the same one after it was edited, replaces the
rule: matching events get the new rule and lose the old in one write, then events that only the old one matched lose it.

Promises: each step asks only for events it still has to change, so that a run that was stopped is finished by the same
command, and a second run changes nothing; the rule's document is written before the first event. Will not: tag events
that come later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connector.errors import Refused
from connector.hunts.hunt import Hunt
from connector.hunts.tally import instant
from connector.respond.matches import asked_now, check_state
from connector.respond.retag import retag_script
from connector.respond.rules import TagRule, note, rules_called, store, stored_rules
from connector.respond.selecting import Selection, carrying, counted, selections_of
from connector.settings.model import Settings
from connector.siem.client import Siem
from connector.siem.tasks import Progress, run_update, stop_update
from connector.siem.update_task import Failure

Json = dict[str, Any]


@dataclass(frozen=True)
class Pace:
    """How fast events are written: events a second (None: as fast as the engine can) and parallel slices."""

    requests_per_second: float | None = None
    slices: int = 2


@dataclass(frozen=True)
class Tagging:
    """What tagging did, or would do (`preview`). All numbers are of events.

    `matching` match the hunt, `already` of them carry the rule, `tagged` got it now (in a preview: would). `replaced`
    are the rules it replaces, which `untagged` events lost without getting the new one. `left` could not be written,
    and `failures` say why.
    """

    hunt: str
    tag: str
    rule: str
    since: datetime | None
    preview: bool
    matching: int
    already: int
    tagged: int
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


@dataclass
class _Sums:
    """What the updates of one command did, added up."""

    updated: int = 0
    left: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)


def preview_tag(siem: Siem, settings: Settings, hunt: Hunt, rule: TagRule, since: datetime | None) -> Tagging:
    """Return what tagging would do; nothing is written."""
    check_state(siem, settings, "tag-rules", "state")
    asking = asked_now(siem, settings, hunt)
    selections = list(selections_of(siem, settings, asking, since))
    matching, already = counted(siem, selections, [rule.id])
    replaced = [other.id for other in _others(siem, settings, rule) if other.status == "active"]
    lost = 0
    if replaced:
        holding = [carrying(siem, source.pattern, replaced) for source in settings.sources]
        lost = sum(siem.count(each.index, each.query) for each in holding) - counted(siem, selections, replaced)[1]
    return Tagging(
        hunt=hunt.name,
        tag=rule.tag,
        rule=rule.id,
        since=since,
        preview=True,
        matching=matching,
        already=already,
        tagged=matching - already,
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
    since: datetime | None = None,
    pace: Pace = Pace(),
    progress: Progress = lambda count: None,
) -> Tagging:
    """Return what was tagged with the rule of a hunt: every matching event from a time on (None: all).

    Refused if no source can answer the hunt.
    """
    check_state(siem, settings, "tag-rules", "state")
    asking = asked_now(siem, settings, hunt)
    others = _others(siem, settings, rule)
    replaced = [other for other in others if other.status == "active"]
    work = _Work(siem, settings, f"tag {hunt.id}", pace, progress)
    if replaced:
        work.stop()
    selections = list(selections_of(siem, settings, asking, since))
    matching, already = counted(siem, selections, [rule.id])
    store(siem, settings, rule)
    for other in replaced:
        note(siem, settings, other, "replaced", _entry(rule.made, rule.by, "replaced", {"with": rule.id}))
    old, tagged, rest = [other.id for other in others], _Sums(), _Sums()
    script = retag_script(rule.id, old, rule.made)
    for selection in selections:
        work.update(selection.without(carrying(siem, selection.index, [rule.id]).query), script, tagged)
    work.take_off(old, rule.made, rest)
    done = {"since": instant(since), "matching": matching, "tagged": tagged.updated, "untagged": rest.updated}
    if tagged.updated or rest.updated or replaced:
        note(siem, settings, rule, "active", _entry(rule.made, rule.by, "tagged", done))
    return Tagging(
        hunt=hunt.name,
        tag=rule.tag,
        rule=rule.id,
        since=since,
        preview=False,
        matching=matching,
        already=already,
        tagged=tagged.updated,
        replaced=tuple(other.id for other in replaced),
        untagged=rest.updated,
        left=tagged.left + rest.left,
        failures=(*tagged.failures, *rest.failures),
        limits=asking.limits,
        seconds=round(tagged.seconds + rest.seconds, 3),
    )


def untag(
    siem: Siem,
    settings: Settings,
    name: str,
    *,
    by: str,
    now: datetime,
    pace: Pace = Pace(),
    progress: Progress = lambda count: None,
) -> Untagging:
    """Return what was untagged: all events that carry a rule of the hunt of that name, title or id.

    Refused if the hunt never had a rule.
    """
    check_state(siem, settings, "tag-rules", "state")
    rules = rules_called(siem, settings, name)
    if not rules:
        raise Refused(f"no rule has tagged events for {name!r}: `hunts tags` lists the rules")
    work, sums = _Work(siem, settings, f"tag {rules[0].hunt.id}", pace, progress), _Sums()
    work.stop()
    active = [rule for rule in rules if rule.status == "active"]
    for rule in active:
        note(siem, settings, rule, "removed", _entry(now, by, "removed", {}))
    work.take_off([rule.id for rule in rules], now, sums)
    if sums.updated:
        for rule in active or rules[-1:]:
            note(siem, settings, rule, "removed", _entry(now, by, "untagged", {"untagged": sums.updated}))
    ids = tuple(rule.id for rule in active)
    return Untagging(rules[0].hunt.name, ids, sums.updated, sums.left, tuple(sums.failures), round(sums.seconds, 3))


@dataclass(frozen=True)
class _Work:
    """The updates of one command on one hunt; they share a name, so that none runs beside another."""

    siem: Siem
    settings: Settings
    name: str
    pace: Pace
    progress: Progress

    def stop(self) -> None:
        """Stop an update of this hunt that an earlier command left running, as this one wants something else."""
        stop_update(self.siem, self.settings.state("state"), self.name)

    def update(self, selection: Selection, script: Json, sums: _Sums) -> None:
        """Run the script on the events of a selection, and add up what came of it."""
        done = run_update(
            self.siem,
            self.settings.state("state"),
            self.name,
            selection.index,
            {"query": selection.query, "script": script},
            requests_per_second=self.pace.requests_per_second,
            slices=self.pace.slices,
            progress=self.progress,
        )
        sums.updated += done.count.updated
        sums.seconds += done.seconds
        sums.failures += done.failures
        sums.left += done.left

    def take_off(self, rules: Sequence[str], now: datetime, sums: _Sums) -> None:
        """Take rules off all events that carry one of them."""
        script = retag_script(None, rules, now)
        for source in self.settings.sources if rules else ():
            self.update(carrying(self.siem, source.pattern, rules), script, sums)


def _others(siem: Siem, settings: Settings, rule: TagRule) -> list[TagRule]:
    """Return the other rules that the hunt has or had."""
    return [other for other in stored_rules(siem, settings, rule.hunt.id) if other.id != rule.id]


def _entry(at: datetime, by: str, what: str, numbers: Json) -> Json:
    """Return an entry of a rule's history."""
    return {"at": instant(at), "by": by, "what": what, **numbers}
