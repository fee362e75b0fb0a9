"""The updates of stored events that a rule of a hunt asks for: putting it on, and taking others off.

Promises: updates of one hunt share a name, so none runs beside another, whoever starts it; each asks only for events it
still has to change. Will not: decide which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connector.respond.tags.retag import retag_script
from connector.respond.tags.selecting import Selection, carrying
from connector.settings.model import Settings
from connector.siem.client import Siem
from connector.siem.tasks import Progress, run_update, stop_update
from connector.siem.update_task import Failure, Work, running_tasks

Json = dict[str, Any]


@dataclass(frozen=True)
class Pace:
    """How fast events are written: events a second (None: as fast as the engine can) and parallel slices."""

    requests_per_second: float | None = None
    slices: int = 2


AT_ONCE = Pace()


@dataclass
class Sums:
    """What updates did, added up."""

    updated: int = 0
    left: int = 0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True)
class Changes:
    """The updates of one hunt's events."""

    siem: Siem
    settings: Settings
    hunt_id: str
    pace: Pace = AT_ONCE
    progress: Progress = lambda count: None

    @property
    def name(self) -> str:
        """Return the name they share."""
        return f"tag {self.hunt_id}"

    def stop(self) -> None:
        """Stop an update of this hunt that an earlier command left running, as this one wants something else."""
        stop_update(self.siem, self.settings.state("state"), self.name)

    def running(self) -> bool:
        """Return whether an update of this hunt runs now."""
        return bool(running_tasks(self.siem, Work(self.siem, self.settings.state("state"), self.name).mark))

    def put_on(self, rule: str, others: Sequence[str], selections: Iterable[Selection], now: datetime) -> Sums:
        """Return what came of putting a rule, in place of others, on those of the events that do not carry it."""
        script, sums = retag_script(rule, others, now), Sums()
        for selection in selections:
            self._update(selection.without(carrying(self.siem, selection.index, [rule]).query), script, sums)
        return sums

    def take_off(self, rules: Sequence[str], now: datetime) -> Sums:
        """Return what came of taking rules off all events that carry one of them."""
        script, sums = retag_script(None, rules, now), Sums()
        for source in self.settings.sources if rules else ():
            self._update(carrying(self.siem, source.pattern, rules), script, sums)
        return sums

    def _update(self, selection: Selection, script: Json, sums: Sums) -> None:
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
