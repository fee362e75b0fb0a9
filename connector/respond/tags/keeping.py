"""What passes do for tag rules: keep them true while events come, hunts are edited and commands are killed.

    edited    a hunt asks something else than its rule: the rule is replaced, and its events are tagged anew
    lost      the ingest pipeline is not what the rules say: it is written, and the events since are looked for
    unsettled a rule was changed a while ago: events that were written by the old pipeline, and could not be read when
              the command looked, get what the rule says; so do those that a killed command did not come to
    by pass   rules that only a search can answer: what came since they were last done is tagged

Promises: done again it changes nothing; a rule that fails carries its error and the others go on; while somebody
changes events of a hunt, that hunt is left to the next pass. Will not: tag for outcomes (`outcomes.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from connector.errors import Refused, SiemError
from connector.hunts.asking.asking import FATAL
from connector.hunts.asking.tally import instant
from connector.hunts.catalogue.hunt import Hunt
from connector.respond.marks import findings_of, note_done, noted
from connector.respond.matches import asked_now
from connector.respond.tags.changes import Changes, Sums
from connector.respond.tags.conditions import asked_of
from connector.respond.tags.extent import Extent
from connector.respond.tags.publishing import publish
from connector.respond.tags.rules import OUTCOME, TagRule, open_rules, rule_of, settle, stored_rules
from connector.respond.tags.selecting import selections_of
from connector.respond.tags.tagging import failure_of, tag
from connector.settings.model import Settings
from connector.siem.client import Siem
from connector.siem.tasks import Progress

DOCUMENT = "tags"  # until where rules that passes do are done, in the state index
ON_THE_WAY = timedelta(seconds=30)  # from the change of a rule to that of the pipeline, on every node
LOOK_BACK = timedelta(minutes=10)  # events that a search shows later than the lag covers
GONE = "its hunt is not there any more, or asks something else: `hunts untag` takes its tag off"
Json = dict[str, Any]


@dataclass(frozen=True)
class Kept:
    """What a pass did for one rule: events that got it or lost it. `error` says what failed."""

    rule: str
    hunt: str
    tag: str
    why: str
    tagged: int = 0
    untagged: int = 0
    error: str | None = None


def due_tags(
    siem: Siem,
    settings: Settings,
    hunts: Sequence[Hunt],
    now: datetime,
    *,
    lag: timedelta,
    progress: Progress = lambda count: None,
) -> tuple[Kept, ...]:
    """Return what was due for the tag rules; Unreachable if the engine does not answer.

    `lag` is how long an event may take until a search shows it.
    """
    if not open_rules(siem, settings):
        return ()
    return tuple(_Keeping(siem, settings, hunts, now, lag, progress).done())


@dataclass
class _Keeping:
    """One look after the rules."""

    siem: Siem
    settings: Settings
    hunts: Sequence[Hunt]
    now: datetime
    lag: timedelta
    progress: Progress
    by_pass: Mapping[str, str] = field(default_factory=dict)

    def done(self) -> list[Kept]:
        """Return what was done."""
        kept = [one for rule in self._open() if (one := self._edited(rule))]
        published = publish(self.siem, self.settings, self.now)
        self.by_pass = published.by_pass
        for rule in self._open():
            if rule.id in published.added and rule.unsettled is None:
                settle(self.siem, self.settings, rule, self.now)
        return [*kept, *self._settled(), *self._passed()]

    def _open(self) -> tuple[TagRule, ...]:
        """Return the rules that are active or not settled."""
        return open_rules(self.siem, self.settings)

    def _edited(self, rule: TagRule) -> Kept | None:
        """Return what became of a rule whose hunt asks something else now; None if it does not."""
        hunt = next((each for each in self.hunts if each.id == rule.hunt.id), None)
        kept = rule.extent.future or not rule.tags
        if hunt is None or not rule.active or not kept or rule.by == OUTCOME or rule.extent.ended(self.now):
            return None
        new = rule_of(hunt, rule.tag, rule.by, self.now, rule.comment, rule.extent)
        if new.id == rule.id:
            return None
        return self._guarded(Kept(new.id, hunt.name, rule.tag, "edited"), partial(self._replaced, hunt, new))

    def _replaced(self, hunt: Hunt, new: TagRule) -> Json:
        """Return what giving a hunt its new rule did."""
        done = tag(self.siem, self.settings, hunt, new, progress=self.progress)
        return {"tagged": done.tagged, "untagged": done.untagged, "error": failure_of(done.left, done.failures)}

    def _settled(self) -> list[Kept]:
        """Return what was done for the hunts whose rules were changed a while ago."""
        by_hunt: dict[str, list[TagRule]] = {}
        for rule in self._open():
            by_hunt.setdefault(rule.hunt.id, []).append(rule)
        before = self.now - self.lag - ON_THE_WAY
        kept = []
        for hunt_id, rules in by_hunt.items():
            waiting = [rule for rule in rules if rule.unsettled and rule.unsettled <= before]
            if waiting and not self._changes(hunt_id).running():
                last = waiting[-1]
                empty = Kept(last.id, last.hunt.name, last.tag, "settled")
                kept.append(self._guarded(empty, partial(self._settle, hunt_id, waiting)))
        return [one for one in kept if one.tagged or one.untagged or one.error]

    def _settle(self, hunt_id: str, waiting: Sequence[TagRule]) -> Json:
        """Return what it took until the events of a hunt were as its rules say; only then the rules are settled."""
        rules, changes = stored_rules(self.siem, self.settings, hunt_id), self._changes(hunt_id)
        active = [rule for rule in rules if rule.active][-1:]
        old = [rule.id for rule in rules if rule.tags and rule not in active]
        on, error = Sums(), None
        for rule in active:
            if rule.tags and not rule.extent.ended(self.now):
                on, error = self._put_on(rule, old, rule.extent)
        off = changes.take_off(old, self.now)
        for rule in waiting:
            settle(self.siem, self.settings, rule, None)
        left = failure_of(on.left + off.left, (*on.failures, *off.failures))
        return {"tagged": on.updated, "untagged": off.updated, "error": error or left}

    def _put_on(self, rule: TagRule, old: Sequence[str], extent: Extent) -> tuple[Sums, str | None]:
        """Return what came of putting a rule on the events of an extent, and why nothing could."""
        hunt = asked_of(rule, self.hunts)
        if hunt is None:
            return Sums(), GONE
        selections = selections_of(self.siem, self.settings, asked_now(self.siem, self.settings, hunt), extent)
        return self._changes(rule.hunt.id).put_on(rule.id, old, selections, self.now), None

    def _passed(self) -> list[Kept]:
        """Return what was done for the rules that only a search can answer."""
        rules = [rule for rule in self._open() if rule.id in self.by_pass and rule.by != OUTCOME]
        if not rules:
            return []
        done, marks = noted(self.siem, self.settings, DOCUMENT), self._marks(rules)
        kept = []
        for rule in rules:
            mark = marks.get(rule.id)
            if mark is not None and mark != done.get(rule.id) and not self._changes(rule.hunt.id).running():
                empty = Kept(rule.id, rule.hunt.name, rule.tag, self.by_pass[rule.id])
                kept.append(self._guarded(empty, partial(self._pass, rule, done.get(rule.id))))
                if kept[-1].error is None:
                    note_done(self.siem, self.settings, DOCUMENT, {rule.id: mark}, self.now)
        return [one for one in kept if one.tagged or one.error]

    def _marks(self, rules: Sequence[TagRule]) -> dict[str, Any]:
        """Return by rule what it is done for: the findings of a hunt that counts, or until when events came."""
        several = {rule.hunt.id: rule.id for rule in rules if not rule.one_event}
        found = findings_of(self.siem, self.settings, list(several)) if several else {}
        until = {rule.id: instant(self.now) for rule in rules if rule.one_event}
        return {**until, **{several[hunt_id]: mark for hunt_id, mark in found.items()}}

    def _pass(self, rule: TagRule, done: Any) -> Json:
        """Return what tagging the events did that came since a rule was done; of a hunt that counts, all events."""
        extent = rule.extent
        if rule.one_event and isinstance(done, str):
            since = datetime.fromisoformat(done) - self.lag - LOOK_BACK
            start = max(since, extent.start) if extent.start else since
            extent = replace(extent, past=False, since=None, start=start)
        sums, error = self._put_on(rule, (), extent)
        return {"tagged": sums.updated, "error": error or failure_of(sums.left, sums.failures)}

    def _changes(self, hunt_id: str) -> Changes:
        """Return the updates of a hunt's events."""
        return Changes(self.siem, self.settings, hunt_id, progress=self.progress)

    def _guarded(self, empty: Kept, work: Callable[[], Json]) -> Kept:
        """Return what the work did, or why it failed."""
        try:
            return replace(empty, **work())
        except FATAL:
            raise
        except (SiemError, Refused) as error:
            return replace(empty, error=str(error))
