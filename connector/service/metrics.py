"""What the service counts, for Prometheus (names as in https://prometheus.io/docs/practices/naming/).

Promises: a registry of its own; ages are computed when they are asked for, so that a loop that stands still shows; a
label is a hunt or a receiver of the settings, never something that an event says. Will not: serve them, or read a
clock other than the one given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from connector import __version__
from connector.respond.deliveries.outbox import Status

Kind = Literal["live", "catch-up", "again"]
Ran = tuple[str, int, int, str | None]  # a hunt's name, its hits, its findings that are new, why it failed

SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
RESULTS: tuple[Status, ...] = ("delivered", "waiting", "failed")  # what an attempt leaves behind
UNKNOWN = float("nan")  # no alert compares true with it


class Metrics:
    """The metrics of one service; each method is told what happened, from any thread."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Begin to count from zero, in a registry of its own."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, that says nothing
        self.registry = CollectorRegistry()
        self._clock = clock
        self._watermark: datetime | None = None
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        Info("guided_hunts_build", "The version that runs.", registry=self.registry).info({"version": __version__})
        self._passes_and_hunts()
        self._windows()
        self._surroundings()

    def _passes_and_hunts(self) -> None:
        """Make the metrics of passes, and those that each hunt has."""
        self._pass_seconds = Histogram(
            "guided_hunts_pass_duration_seconds", "How long passes took.", buckets=SECONDS, registry=self.registry
        )
        self._passes = self._counter("passes", "Passes done: live, catch-up, or again for late events.", "kind")
        for kind in get_args(Kind):
            self._passes.labels(kind)
        self._last_pass = self._gauge("last_pass_timestamp_seconds", "When the last pass was done.")
        self._events = self._counter("events", "Events that were in the windows of passes.")
        self._hits = self._counter("hits", "Events that count in findings.", "hunt")
        self._findings = self._counter("findings_new", "Findings that are new.", "hunt")
        self._errors = self._counter("hunt_errors", "Passes in which the hunt failed.", "hunt")
        self._failing = self._gauge("hunt_failing", "Whether the hunt failed when it was last asked.", "hunt")

    def _windows(self) -> None:
        """Make the metrics of what passes have covered."""
        age = self._gauge("watermark_age_seconds", "Age of the moment up to which passes came; NaN if not known.")
        age.set_function(self._watermark_age)
        self._missing = self._gauge("missing_window_seconds", "The longest that a hunt has still to look at.")
        self._missing_hunts = self._gauge("missing_window_hunts", "Hunts that have something to look at still.")
        self._late = self._counter("late_events", "Events that audits found after the pass of their window.")
        self._audits = self._counter("audits", "Audits done.")

    def _surroundings(self) -> None:
        """Make the metrics of what is around the loop: other services, the engine, files and receivers."""
        self._lease = self._gauge("lease_held", "Whether this service is the active one.")
        self._engine = self._gauge("engine_reachable", "Whether the search engine answered when it was last asked.")
        self._reload = self._gauge("last_reload_successful", "Whether hunts and settings were last read without fault.")
        self._problems = self._gauge("content_problems", "What is wrong in the files of hunts and settings.")
        self._deliveries = self._counter(
            "deliveries",
            "Attempts to deliver: delivered, failed for good, or waiting for another.",
            "receiver",
            "result",
        )

    def pass_done(self, took_s: float, events: int, kind: Kind, hunts: Iterable[Ran]) -> None:
        """Count a pass, how many events its window had, and what each of its hunts had."""
        self._pass_seconds.observe(took_s)
        self._passes.labels(kind).inc()
        self._events.inc(events)
        self._last_pass.set(self._clock().timestamp())
        for hunt, hits, new, error in hunts:
            self._hits.labels(hunt).inc(hits)
            self._findings.labels(hunt).inc(new)
            self._errors.labels(hunt).inc(bool(error))
            self._failing.labels(hunt).set(bool(error))

    def forget(self, hunt: str) -> None:
        """Take away the series of a hunt that is not there any more."""
        for series in (self._hits, self._findings, self._errors, self._failing):
            with suppress(KeyError):  # older versions of the client mind if there is none
                series.remove(hunt)

    def watermark(self, moment: datetime | None) -> None:
        """Note up to when passes have come; None if that is not known."""
        self._watermark = moment

    def missing(self, seconds: float, hunts: int) -> None:
        """Note the longest time that a hunt has still to look at, and how many hunts have such time."""
        self._missing.set(seconds)
        self._missing_hunts.set(hunts)

    def late_events(self, count: int) -> None:
        """Count events that an audit found."""
        self._late.inc(count)

    def audit_done(self) -> None:
        """Count an audit."""
        self._audits.inc()

    def lease(self, held: bool) -> None:
        """Note whether this service is the active one."""
        self._lease.set(held)

    def engine_reachable(self, answers: bool) -> None:
        """Note whether the search engine answers."""
        self._engine.set(answers)

    def reload(self, good: bool) -> None:
        """Note whether hunts and settings could be read; False means that those before stay in force."""
        self._reload.set(good)

    def problems(self, count: int) -> None:
        """Note how many things are wrong in the files of hunts and settings."""
        self._problems.set(count)

    def delivery(self, receiver: str, result: Status) -> None:
        """Count an attempt to deliver by the status it left the delivery in."""
        for each in RESULTS:  # those that have not been yet start at 0, so that their first increase can be seen
            self._deliveries.labels(receiver, each)
        self._deliveries.labels(receiver, result).inc()

    def _watermark_age(self) -> float:
        """Return how old the watermark is now, in seconds."""
        return (self._clock() - self._watermark).total_seconds() if self._watermark else UNKNOWN

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        """Return a new counter; its name ends in `_total`."""
        return Counter(f"guided_hunts_{name}_total", meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        """Return a new gauge."""
        return Gauge(f"guided_hunts_{name}", meaning, labels, registry=self.registry)
