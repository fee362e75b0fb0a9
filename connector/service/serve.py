"""The service: passes, audits and deliveries by themselves, for as long as it is let.

    stand by   until the lease is ours
    turn       a live pass; hunts that are slow, by themselves; an audit, if its time has come; then what was missed
               before, a slot at a time, until the next turn begins

Promises: a turn that takes longer makes the next one begin later, and none is left out: what came meanwhile is in the
next window; whatever goes wrong is said, and tried again; stopped or killed at any moment, nothing is lost or counted
twice. Will not: run without the lease, or install anything.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from connector.errors import Conflict, HuntsError, LeaseLost, Unreachable
from connector.hosts.build import Order as HostOrder
from connector.hosts.build import build as build_hosts
from connector.hunts.asking.asking import FATAL
from connector.hunts.asking.questions import Known
from connector.hunts.passes.audit import audit
from connector.hunts.passes.ledger import Ledger
from connector.hunts.passes.passes import EPOCH, KEEP, Order, Pass, run_pass
from connector.respond.deliveries.outbox import Delivery
from connector.respond.evidence.frozen import keep_due
from connector.respond.outcomes import due_outcomes
from connector.respond.tags.keeping import due_tags
from connector.respond.tags.suppressing import Suppressing
from connector.service.deliveries import Deliveries
from connector.service.guarded import GuardedWire, Pace
from connector.service.health import Health
from connector.service.lease import Holder, Lease, renewing
from connector.service.logs import Fact, Level, say
from connector.service.looking_up import LookingUp
from connector.service.metrics import Metrics
from connector.service.reload import Watched
from connector.settings.model import Settings
from connector.siem.client import Siem

SLOW_MS = 5_000  # a hunt that took longer is asked by itself, after the others
RETRY_SECONDS = 5.0  # after the engine failed
HOUSEKEEPING = timedelta(hours=1)
EVIDENCE_EVERY, EVIDENCE_TIME = timedelta(minutes=1), timedelta(seconds=2)
HOSTS_BACK = timedelta(days=1)  # of events when profiles begin; `hunts hosts build --since` takes more
HOST_WINDOWS = 12  # of profiles in one turn
SLOT_MARGIN = timedelta(minutes=20)  # windows are kept apart a little longer than audits look back


class Stopped(BaseException):
    """The service is to stop, now: whatever it does is cut off, as a kill might."""


@dataclass
class Service:
    """One service. `connect` gives a connection for settings, `stop` is set by whoever wants it to end."""

    watched: Watched
    connect: Callable[[Settings], Siem]
    logger: logging.Logger
    metrics: Metrics
    health: Health
    stop: threading.Event
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    me: Holder = field(init=False)

    def __post_init__(self) -> None:
        """Become somebody who can hold the lease."""
        self.me = Holder.here(self.clock())

    def run(self) -> None:
        """Serve until `stop` is set, or Stopped is raised in this thread."""
        say(self.logger, "info", "start", f"the service starts as {self.me}")
        self._tell_content()
        with suppress(Stopped):
            while not self.stop.is_set():
                self._try()
        say(self.logger, "info", "stop", "the service has stopped")

    def _try(self) -> None:
        """Stand by and work until something goes wrong, and say what."""
        self.health.beat()
        try:
            self._session()
        except LeaseLost as error:
            say(self.logger, "warning", "lease", "the lease is lost", error=error)
        except Exception as error:  # a fault of ours, too: it is said where it is
            self._trouble(error)
            self.stop.wait(RETRY_SECONDS)
        finally:
            self.health.active = False
            self.metrics.lease(False)

    def _session(self) -> None:
        """Stand by, then work, on connections that are made anew, until something fails or the service is to stop."""
        settings = self.watched.loaded.settings
        with ExitStack() as open_ones:
            plain, own = (open_ones.enter_context(self.connect(settings)) for _ in range(2))
            self.metrics.engine_reachable(True)
            lease = Lease(own, settings.state("state"), settings.service.lease, self.me)
            if not self._stand_by(lease):
                return
            pace = Pace(settings.service.requests_per_second)
            siem = plain.through(lambda wire: GuardedWire(wire, lease.check, pace), settings.service.searches_at_once)
            open_ones.callback(lease.release)
            open_ones.enter_context(renewing(lease, self._renewal_failed))
            open_ones.enter_context(self._delivering(siem))
            open_ones.enter_context(LookingUp(siem, lambda: self.watched.loaded.settings, self.clock, self.logger))
            _Shift(self, siem, lease).work()

    def _stand_by(self, lease: Lease) -> bool:
        """Return whether the lease is held; False if the service is to stop before that."""
        other = None
        while not self.stop.is_set():
            if lease.take():
                self.health.active, self.health.trouble = True, ""
                self.metrics.lease(True)
                say(self.logger, "info", "lease", "this service is the active one now")
                return True
            self.health.beat()
            self.health.trouble = ""
            seen = lease.seen.holder if lease.seen else None
            if seen != other:
                say(self.logger, "info", "lease", f"standing by: the active service is {seen}")
                other = seen
            self.reload()
            self.stop.wait(lease.ttl.total_seconds() / 3)
        return False

    def _trouble(self, error: Exception) -> None:
        """Say what keeps the service from working."""
        self.health.trouble = str(error) if isinstance(error, HuntsError) else repr(error)
        self.metrics.engine_reachable(not isinstance(error, Unreachable))
        say(self.logger, "error", "trouble", "cannot work now: it is tried again", error=error)

    def _renewal_failed(self, error: Exception) -> None:
        """Say that the lease could not be renewed this time."""
        say(self.logger, "warning", "lease", "the lease could not be renewed: it is tried again", error=error)

    def _delivering(self, siem: Siem) -> Deliveries:
        """Return what sends the deliveries, in threads, while the with statement lasts."""
        return Deliveries(siem, lambda: self.watched.loaded.settings, self._tell_delivery, self._delivery_failed)

    def _tell_delivery(self, sent: Sequence[Delivery]) -> None:
        """Say what came of a message, which one delivery or many went in."""
        first = sent[0]
        self.metrics.delivery(first.receiver, first.status)
        level: Level = "info" if first.status == "delivered" else "warning"
        said = f"{first.receiver}: {first.status}" + (f", {len(sent)} in one message" if len(sent) > 1 else "")
        say(self.logger, level, "delivery", said, delivery=first.sent_as)

    def _delivery_failed(self, error: Exception) -> None:
        """Say that the outbox could not be worked on."""
        say(self.logger, "error", "delivery", "the outbox failed: it is tried again", error=error)

    def reload(self) -> bool:
        """Return whether files of settings or hunts changed; what is broken is said, and stays as it was."""
        before = {hunt.name for hunt in self.watched.loaded.hunts}
        if not self.watched.look():
            return False
        for name in before - {hunt.name for hunt in self.watched.loaded.hunts}:
            self.metrics.forget(name)
            say(self.logger, "info", "reload", f"{name} is not there any more: it is not asked again", hunt=name)
        self._tell_content()
        return True

    def _tell_content(self) -> None:
        """Say which hunts and settings are in force and what is wrong in their files."""
        loaded = self.watched.loaded
        self.metrics.problems(len(loaded.problems))
        self.metrics.reload(not loaded.problems)
        self.health.problems = len(loaded.problems)
        say(self.logger, "info", "reload", f"{len(loaded.hunts)} hunts are in force", hunts=len(loaded.hunts))
        for problem in loaded.problems:
            say(self.logger, "error", "reload", str(problem))
        for name in loaded.restart:
            say(self.logger, "warning", "reload", f"{name} has changed: that needs a restart of the service")
        for note in loaded.notes:
            say(self.logger, "warning", "reload", note)


@dataclass
class _Shift:
    """The time from taking the lease to losing it: turn after turn."""

    service: Service
    siem: Siem
    lease: Lease
    known: Known = field(default_factory=Known)
    quiet: Suppressing = field(default_factory=Suppressing)
    slow: set[str] = field(default_factory=set)
    audited: datetime = EPOCH
    tidied: datetime = EPOCH
    kept: datetime = EPOCH
    noted: set[str] = field(default_factory=set)
    troubles: dict[str, str] = field(default_factory=dict)  # of work beside the passes, as last said

    @property
    def settings(self) -> Settings:
        """Return the settings in force."""
        return self.service.watched.loaded.settings

    def work(self) -> None:
        """Do turns until the service is to stop; LeaseLost if the lease is lost, HuntsError if the engine fails."""
        while not self.service.stop.is_set():
            self.lease.check()
            if self.service.reload():
                self.known = Known()
            end = time.monotonic() + self.settings.service.every.total_seconds()
            try:
                self._turn(end)
            except Conflict as error:  # as after `hunts replay`
                words = "somebody else has changed what there is to do: this turn is done again"
                say(self.service.logger, "warning", "pass", words, error=error)
            self.service.stop.wait(max(0.0, end - time.monotonic()))

    def _turn(self, end: float) -> None:
        """Do what is to be done until the time `end` of the monotonic clock, the live pass in any case."""
        live, slow = self._order(newest=True), frozenset(self.slow)
        done = [self._pass(replace(live, leave=slow))]
        if slow:
            others = frozenset(hunt.id for hunt in live.hunts if hunt.id not in slow)
            done.append(self._pass(replace(live, leave=others, further=False)))
        self._keep_tags()
        self._beside("evidence", self._keep_evidence)
        self._beside("hosts", self._build_hosts)
        left = max(each.left_ms for each in done)
        self.service.metrics.missing(left / 1000, sum(each.left_hunts for each in done))
        more = self._audit() or left > 0
        self._tidy()
        missed = replace(self._order(newest=self.settings.service.newest_first), further=False)
        while more and not self.service.stop.is_set():
            failed = frozenset(hunt.id for each in done for hunt in each.failed)
            done.append(self._pass(replace(missed, leave=failed)))
            more = done[-1].left_ms > 0 and time.monotonic() < end

    def _order(self, *, newest: bool) -> Order:
        """Return the order for a pass."""
        loaded, service = self.service.watched.loaded, self.settings.service
        keep = max(KEEP, service.audit_back) + SLOT_MARGIN
        return Order(loaded.hunts, service.lag, broken=loaded.broken, newest=newest, scheduled=True, keep=keep)

    def _pass(self, order: Order) -> Pass:
        """Return a pass that was made, with what outcomes are due done."""
        service = self.service
        service.health.beat()
        asked = replace(order, hunts=self.quiet.applied(self.siem, self.settings, order.hunts, service.clock()))
        done = run_pass(
            self.siem, self.settings, asked, service.clock, lambda *_: service.health.beat(), known=self.known
        )
        self.slow = (self.slow - {h.id for h in done.hunts}) | {h.id for h in done.hunts if h.took_ms >= SLOW_MS}
        self._tell(done)
        for outcome in due_outcomes(self.siem, self.settings, order.hunts, service.clock()):
            level: Level = "error" if outcome.error else "info"
            did = f"{outcome.tagged} events tagged, {outcome.declared} declared, {outcome.updated} updated"
            say(service.logger, level, "outcome", f"{outcome.name}: {did}", error=outcome.error, hunt=outcome.name)
        return done

    def _keep_tags(self) -> None:
        """Do what tag rules need: events on their way when a rule changed, rules that only a search can answer."""
        service, loaded = self.service, self.service.watched.loaded
        now, beat, lag = service.clock(), service.health.beat, self.settings.service.lag
        for one in due_tags(self.siem, self.settings, loaded.hunts, now, lag=lag, progress=lambda _: beat()):
            level: Level = "error" if one.error else "info"
            did = f"{one.rule} ({one.why}): {one.tagged} events tagged, {one.untagged} untagged"
            say(service.logger, level, "tags", did, error=one.error, hunt=one.hunt)

    def _beside(self, name: str, work: Callable[[], str]) -> None:
        """Do work that no pass waits for and say what it did; what goes wrong is said once, and tried again."""
        try:
            did = work()
        except FATAL:
            raise
        except HuntsError as error:
            if self.troubles.get(name) != str(error):
                say(self.service.logger, "error", name, f"{name}: it is tried again", error=error)
            self.troubles[name] = str(error)
            return
        self.troubles.pop(name, None)
        if did:
            say(self.service.logger, "info", name, did)

    def _keep_evidence(self) -> str:
        """Keep evidence that was not kept when a declaration was made, some each minute; return what is left."""
        now = self.service.clock()
        if now - self.kept < EVIDENCE_EVERY:
            return ""
        self.kept = now
        left = keep_due(self.siem, self.settings, now, EVIDENCE_TIME)
        return (
            f"the evidence of {left} declarations is still to be kept: it is gone on with in a minute" if left else ""
        )

    def _build_hosts(self) -> str:
        """Bring host profiles up to date, some windows at most; return what was done."""
        now, beat = self.service.clock(), self.service.health.beat
        order = HostOrder(self.settings.service.lag, begin=now - HOSTS_BACK, most=HOST_WINDOWS)
        built = build_hosts(self.siem, self.settings, order, now, lambda _: beat())
        return f"{built.hosts} host profiles updated, {built.new} of them new" if built.windows else ""

    def _tell(self, done: Pass) -> None:
        """Say what a pass did."""
        service, seconds = self.service, done.took_ms / 1000
        service.health.watermark, service.health.trouble = done.watermark, ""
        service.metrics.engine_reachable(True)
        service.metrics.watermark(done.watermark)
        ran = ((hunt.name, hunt.hits, hunt.new, hunt.error) for hunt in done.hunts)
        service.metrics.pass_done(seconds, done.events, done.kind, ran)
        facts: dict[str, Fact] = {
            "kind": done.kind,
            "from": done.start,
            "to": done.end,
            "events": done.events,
            "hunts": len(done.hunts),
            "hits": sum(hunt.hits for hunt in done.hunts),
            "findings_new": sum(hunt.new for hunt in done.hunts),
            "left_s": done.left_ms // 1000,
        }
        say(service.logger, "info", "pass", f"{done.kind} pass", took_s=seconds, error=None, **facts)
        for hunt in done.failed:
            say(
                service.logger,
                "error",
                "hunt",
                f"{hunt.name} failed: it is asked again",
                error=hunt.error,
                hunt=hunt.name,
            )
        for note in sorted(set(done.notes) - self.noted):
            say(service.logger, "warning", "pass", note)
        self.noted = set(done.notes)

    def _audit(self) -> bool:
        """Look for events that came late, if it is time; return whether there are any."""
        service, now = self.settings.service, self.service.clock()
        if not service.audit_back or now - self.audited < service.audit_every:
            return False
        self.audited = now
        found = audit(self.siem, self.settings, self.service.watched.loaded.hunts, service.audit_back, now)
        self.service.metrics.audit_done()
        self.service.metrics.late_events(found.late)
        if found.grown:
            slots = f"{len(found.grown)} slots of 10 minutes are done again"
            say(self.service.logger, "warning", "audit", f"{found.late} events came late: {slots}", late=found.late)
        return bool(found.grown)

    def _tidy(self) -> None:
        """Delete ledger entries that are too old, from time to time."""
        now = self.service.clock()
        if now - self.tidied < HOUSEKEEPING:
            return
        self.tidied = now
        before = now - self.settings.service.keep_runs
        Ledger(self.siem, self.settings.state("runs")).forget((before - EPOCH) // timedelta(milliseconds=1))
