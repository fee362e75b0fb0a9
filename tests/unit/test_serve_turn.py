"""A turn of the service: which passes it makes in which order, given what each of them leaves."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from types import SimpleNamespace

import pytest

from connector.errors import Rejected
from connector.hosts.build import Built
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.passes.audit import Audit, Grown
from connector.hunts.passes.passes import HuntPass, Order, Pass
from connector.service import serve
from connector.service.health import Health
from connector.service.logs import log_to
from connector.service.metrics import Metrics
from connector.service.reload import Loaded
from connector.settings.model import Settings

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
BASE = load_catalogue(Settings()).named("public-dns-queries")
HUNTS = tuple(replace(BASE, id=name, name=name) for name in ("a", "b", "slow"))
NAMES = frozenset(hunt.id for hunt in HUNTS)


class Passes:
    """In place of passes: says which hunts each was for, in which order of time, and gives the answers in turn."""

    def __init__(self, *answers: Pass) -> None:
        """Answer so, and then that nothing is left."""
        self._answers = list(answers)
        self.asked: list[tuple[str, bool]] = []

    def __call__(self, _siem: object, _settings: object, order: Order, *_: object, **__: object) -> Pass:
        """Return the next answer."""
        self.asked.append((" ".join(sorted(NAMES - order.leave)), order.newest))
        return self._answers.pop(0) if self._answers else Pass(NOW, NOW, NOW)


def passed(left: int = 0, failed: Sequence[str] = (), took_ms: int = 1, hunts: Sequence[Hunt] = HUNTS) -> Pass:
    """Return a pass that leaves so much, in which some hunts fail."""
    done = (HuntPass(h.id, h.name, "low", NOW, NOW, took_ms=took_ms, error="no" * (h.id in failed)) for h in hunts)
    return Pass(NOW, NOW, NOW, left_ms=left, left_hunts=bool(left), hunts=tuple(done))


def kept(*_: object) -> int:
    """In place of keeping evidence: there is none to keep."""
    return 0


def turn(
    monkeypatch: pytest.MonkeyPatch, passes: Passes, *, slow: str = "", late: int = 0, seconds: float = 60, keep=kept
) -> set:
    """Make a turn of so many seconds, with passes that are made up; return which hunts are slow afterwards."""
    grown = (Grown(0, 600_000, 0, late),) if late else ()
    monkeypatch.setattr(serve, "run_pass", passes)
    monkeypatch.setattr(serve, "due_outcomes", lambda *_: ())
    monkeypatch.setattr(serve, "keep_due", keep)
    monkeypatch.setattr(serve, "build_hosts", lambda *_: Built())
    monkeypatch.setattr(serve, "due_tags", lambda *_, **__: ())
    monkeypatch.setattr(serve.Suppressing, "applied", lambda _, *given: given[2])
    monkeypatch.setattr(serve, "audit", lambda *_: Audit(1, grown))
    monkeypatch.setattr(serve, "Ledger", lambda *_: SimpleNamespace(forget=lambda _: 0))
    health = Health(timedelta(minutes=5), timedelta(minutes=5))
    watched, never = SimpleNamespace(loaded=Loaded(Settings(), HUNTS)), lambda _: None
    stop, clock = threading.Event(), lambda: NOW
    service = serve.Service(watched, never, log_to(StringIO()), Metrics(), health, stop, clock)
    shift = serve._Shift(service, None, None, slow=set(slow.split()))
    shift._turn(time.monotonic() + seconds)
    return shift.slow


def test_if_nothing_is_left_there_is_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = Passes(passed())
    turn(monkeypatch, passes)
    assert passes.asked == [("a b slow", True)]


def test_what_is_left_is_done_in_order_until_nothing_is(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = Passes(passed(9), passed(8), passed(7))
    turn(monkeypatch, passes)
    assert passes.asked == [("a b slow", True)] + [("a b slow", False)] * 3


def test_the_next_turn_begins_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = Passes(passed(9), passed(8), passed(7))
    turn(monkeypatch, passes, seconds=-1)
    assert passes.asked == [("a b slow", True), ("a b slow", False)]


def test_late_events_are_looked_at_in_the_same_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = Passes(passed())
    turn(monkeypatch, passes, late=3)
    assert passes.asked == [("a b slow", True), ("a b slow", False)]


def test_a_hunt_that_fails_is_left_to_the_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = Passes(passed(9, ["b"]), passed(8, ["a"], hunts=HUNTS[::2]), passed(0))
    turn(monkeypatch, passes)
    assert passes.asked == [("a b slow", True), ("a slow", False), ("slow", False)]


def test_a_slow_hunt_is_asked_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = Passes(passed(hunts=HUNTS[:2]), passed(took_ms=9000, hunts=HUNTS[2:]))
    assert turn(monkeypatch, passes, slow="slow") == {"slow"}
    assert passes.asked == [("a b", True), ("slow", True)]


def test_a_slow_hunt_that_has_nothing_left_keeps_nobody_from_catching_up(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = Passes(passed(9, hunts=HUNTS[:2]), passed(0, hunts=HUNTS[2:]), passed(0))
    assert turn(monkeypatch, passes, slow="slow") == set()
    assert passes.asked == [("a b", True), ("slow", True), ("a b slow", False)]


def test_a_hunt_that_has_become_slow_is_asked_once_in_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = Passes(passed(took_ms=9000))
    assert turn(monkeypatch, passes) == {"a", "b", "slow"}
    assert passes.asked == [("a b slow", True)]


def test_evidence_that_cannot_be_kept_keeps_nobody_from_catching_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise Rejected("no such field")

    passes = Passes(passed(9), passed(0))
    turn(monkeypatch, passes, keep=refused)
    assert passes.asked == [("a b slow", True), ("a b slow", False)]
