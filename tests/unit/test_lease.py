"""The lease: never two at a time, whatever the clocks say and whenever the engine answers.

The engine is a shelf with one document here; that real ones compare and set is proved in tests/engine.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings as effort
from hypothesis import strategies as some
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from connector import __version__
from connector.errors import Conflict, LeaseLost, NotThere, SiemError, Unreachable
from connector.service.lease import Holder, Lease, LeaseSeen, read_lease, renewing
from connector.siem.client import Stored

START = datetime(2026, 11, 2, 8, 0, 0, 123456, tzinfo=UTC)  # finer than documents are
TTL = timedelta(seconds=30)


def cut(moment: datetime) -> datetime:
    """Return a moment as documents have it: to the millisecond."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@dataclass
class Shelf:
    """One document under compare-and-set. A call takes as long as `takes` says, before and after it is done.

    `answers` says whether it is answered; a write that is `late` is done only when `arrive` is called.
    """

    stored: Stored | None = None
    has_index: bool = True
    answers: bool = True
    is_late: bool = False
    takes: tuple[Callable[[], None], Callable[[], None]] = (lambda: None, lambda: None)
    numbers: int = 0
    under_way: list[tuple[dict[str, Any], Stored | None]] = field(default_factory=list)

    def get(self, index: str, id: str) -> Stored | None:
        """Return the document."""
        assert (index, id) == ("hunts-state", "lease")
        return self.stored

    def exists(self, path: str) -> bool:
        """Return whether the index is there."""
        return self.has_index

    def put(self, index: str, id: str, source: dict[str, Any], replacing: Stored | None = None) -> Stored:
        """Write the document, or raise what the engine's client does."""
        before, after = self.takes
        before()
        if self.is_late:
            self.under_way.append((source, replacing))
            raise Unreachable("no answer")
        stored = self._write(source, replacing)
        after()
        if not self.answers:
            raise Unreachable("no answer")
        return stored

    def arrive(self) -> None:
        """Do the first of the writes that are under way."""
        with suppress(Conflict):
            self._write(*self.under_way.pop(0))

    def _write(self, source: dict[str, Any], replacing: Stored | None) -> Stored:
        """Write the document if it is what `replacing` says."""
        if replacing != self.stored:
            raise Conflict("another was first")
        self.numbers += 1
        self.stored = Stored("lease", source, self.numbers, 1)
        return self.stored


@dataclass
class Machine:
    """A machine's clocks: how fast the one since its start runs, and how far the one on its wall is off."""

    time: Callable[[], float]
    rate: float = 1.0
    started: float = 0.0
    off: float = 0.0

    def boot(self) -> float:
        """Return the seconds since its start."""
        return self.started + self.time() * self.rate

    def wall(self) -> datetime:
        """Return what it takes for the time."""
        return START + timedelta(seconds=self.time() * self.rate + self.off)


@dataclass
class World:
    """Two services that share a shelf, and the time in seconds."""

    now: float = 0.0
    shelf: Shelf = field(default_factory=Shelf)
    machines: list[Machine] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)

    def add(self, rate: float = 1.0, off: float = 0.0, ttl: timedelta = TTL) -> Lease:
        """Return the lease of one more service."""
        n = len(self.machines)
        machine = Machine(lambda: self.now, rate, 1000.0 * n, off)
        me = Holder(f"id-{n}", f"machine-{n}", 100 + n, "0.1.0", START)
        lease = Lease(self.shelf, "hunts-state", ttl, me, wall=machine.wall, boot=machine.boot)
        self.machines.append(machine)
        self.leases.append(lease)
        return lease

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @property
    def writers(self) -> list[int]:
        """Return which services may write now."""
        return [n for n, lease in enumerate(self.leases) if lease.held]


@pytest.fixture
def world() -> World:
    """Return a world in which nobody has the lease."""
    return World()


# ---- taking, standing by, releasing


def test_the_first_takes_it_and_the_second_stands_by_and_both_know_who_has_it(world):
    first, second = world.add(), world.add()
    assert not first.held and first.seen is None
    assert (first.take(), second.take()) == (True, False)
    assert (first.held, second.held) == (True, False)
    assert first.seen == second.seen
    assert (second.seen.holder.host, second.seen.holder.pid, second.seen.term) == ("machine-0", 100, 1)
    first.check()
    with pytest.raises(LeaseLost, match=r"another service is the active one \(process 100 on machine-0\)"):
        second.check()


def test_who_never_took_it_may_write_nothing(world):
    with pytest.raises(LeaseLost, match="never taken"):
        world.add().check()


def test_released_it_is_taken_at_once_in_another_term(world):
    first, second = world.add(), world.add()
    assert first.take() and not second.take()
    first.release()
    assert not first.held and world.shelf.stored.source["value"]["holder"] is None
    assert second.take() and second.seen.term == 2
    assert second.seen.holder.since == cut(world.machines[1].wall())
    first.release()  # it is not its own any more
    assert second.renew()


def test_it_is_taken_only_when_it_has_been_the_same_for_its_time_and_a_tenth(world):
    first, second = world.add(), world.add()
    assert first.take()
    world.passes(1000)  # nobody has looked meanwhile, so nobody knows that it was the same
    assert not second.take()
    world.passes(32.9)
    assert not second.take()
    world.passes(0.2)
    assert second.take() and world.writers == [1]


def test_each_renewal_makes_the_others_wait_anew(world):
    first, second = world.add(), world.add()
    assert first.take()
    for _ in range(20):
        assert not second.take()
        world.passes(10)
        assert first.renew()
    assert first.seen.term == 1 and second.seen.term == 1
    assert first.seen.holder.since == cut(START)


def test_the_time_that_counts_is_what_the_holder_wrote(world):
    first, second = world.add(ttl=timedelta(minutes=5)), world.add(ttl=timedelta(seconds=1))
    assert first.take() and not second.take()
    world.passes(299)
    assert not second.take() and world.writers == [0]


def test_who_lost_its_own_memory_of_it_has_to_wait_like_the_others(world):
    first = world.add()
    assert first.take()
    again = Lease(
        world.shelf, "hunts-state", TTL, Holder.here(START), wall=first._wall, boot=first._boot
    )  # started anew on the same machine
    assert not again.take()


def test_there_must_be_an_index_and_none_is_made(world):
    world.shelf.has_index = False
    with pytest.raises(NotThere, match="hunts install"):
        world.add().take()
    assert world.shelf.stored is None


# ---- the deadline


@pytest.mark.parametrize("clock", ["boot", "wall"])
def test_it_is_over_when_either_clock_says_so(world, clock):
    lease = world.add()
    assert lease.take()
    machine = world.machines[0]
    if clock == "boot":
        machine.off -= 3600  # the wall clock is put back, so that it alone would never end
        world.passes(30)
    else:
        machine.off += 30  # the whole machine was halted, and its own clock with it
    assert not lease.held
    with pytest.raises(LeaseLost):
        lease.check()
    written = world.shelf.numbers
    assert not lease.renew() and world.shelf.numbers == written
    assert lease.take() and lease.seen.term == 2  # nobody has taken it meanwhile


def test_time_counts_from_before_the_call(world):
    lease = world.add()
    world.shelf.takes = (lambda: world.passes(10), lambda: world.passes(10))
    assert lease.take()
    world.passes(9.9)
    assert lease.held
    world.passes(0.2)
    assert not lease.held


def test_a_renewal_answered_too_late_does_not_bring_the_time_back(world):
    lease = world.add()
    assert lease.take()
    world.passes(29)
    world.shelf.takes = (lambda: world.passes(2), lambda: None)
    assert not lease.renew() and not lease.held
    world.shelf.takes = (lambda: None, lambda: None)
    assert lease.take() and lease.seen.term == 2


def test_an_engine_that_does_not_answer_ends_it_only_by_the_deadline(world):
    first, second = world.add(), world.add()
    assert first.take() and not second.take()
    world.shelf.is_late = True
    world.passes(20)
    with pytest.raises(Unreachable):
        first.renew()
    assert first.held
    world.passes(10)
    assert not first.held


def test_a_renewal_whose_answer_was_lost_gives_time_only_with_another_one(world):
    first, second = world.add(), world.add()
    assert first.take()
    world.passes(1)
    world.shelf.answers = False
    with pytest.raises(Unreachable):
        first.renew()
    assert not second.take()  # sees the renewal
    world.shelf.answers = True
    world.passes(28)
    assert first.renew() and first.seen.term == 1
    world.passes(29)
    assert not second.take() and world.writers == [0]


def test_somebody_else_s_document_ends_it_at_once(world):
    first, second = world.add(), world.add()
    assert first.take()
    world.shelf.stored = None  # somebody removes our indices, and installs them again
    assert second.take()
    assert not first.renew() and world.writers == [1]
    assert first.seen.holder.id == "id-1"


def test_release_survives_an_engine_that_is_gone_and_finds_a_renewal_it_never_heard_of(world):
    lease = world.add()
    assert lease.take()
    world.shelf.answers = False
    with pytest.raises(Unreachable):
        lease.renew()
    world.shelf.answers = True
    lease.release()
    assert world.shelf.stored.source["value"]["holder"] is None
    assert lease.take()
    world.shelf.is_late = True
    lease.release()
    assert not lease.held and world.shelf.stored.source["value"]["holder"]["id"] == "id-0"


# ---- never two, whatever happens


class Disorder(RuleBasedStateMachine):
    """Services, clocks and an engine in any disorder; a clock runs up to 4 % too fast or too slow."""

    @initialize(
        clocks=some.lists(some.tuples(some.floats(0.96, 1.04), some.floats(-1e5, 1e5)), min_size=2, max_size=3),
        ttls=some.lists(some.sampled_from((30, 30, 5)), min_size=3, max_size=3),
    )
    def begin(self, clocks: list[tuple[float, float]], ttls: list[int]) -> None:
        """Start the services."""
        self.world = World()
        for (rate, off), ttl in zip(clocks, ttls, strict=False):
            self.world.add(rate, off, timedelta(seconds=ttl))

    @rule(seconds=some.sampled_from((1, 10, 14, 20, 29)) | some.floats(0, 40))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.world.passes(seconds)

    @rule(which=some.integers(0, 2), seconds=some.floats(-1000, 5))
    def set_wall_clock(self, which: int, seconds: float) -> None:
        """Put one wall clock forward or back."""
        machines = self.world.machines
        machines[which % len(machines)].off += seconds

    @rule(
        which=some.integers(0, 2),
        what=some.sampled_from(("take", "take", "renew", "renew", "release")),
        takes=some.tuples(some.sampled_from((0.0, 0.1, 20.0)), some.sampled_from((0.0, 0.1, 20.0))),
        fate=some.sampled_from(("answered", "answered", "answered", "answer lost", "late")),
        meanwhile=some.tuples(some.booleans(), some.booleans()),
    )
    def act(self, which: int, what: str, takes: tuple[float, float], fate: str, meanwhile: tuple[bool, bool]) -> None:
        """Have one service do something, while others may try to take the lease."""
        shelf, leases = self.world.shelf, self.world.leases
        lease = leases[which % len(leases)]

        def passing(seconds: float, others: bool) -> Callable[[], None]:
            """Return what happens during a call."""

            def happens() -> None:
                shelf.answers, shelf.is_late, shelf.takes = True, False, (lambda: None, lambda: None)
                for part in (0, seconds):
                    self.world.passes(part)
                    for other in leases:
                        if others and other is not lease:
                            other.take()
                            self.never_two()
                shelf.answers, shelf.is_late = fate != "answer lost", fate == "late"

            return happens

        shelf.answers, shelf.is_late = fate != "answer lost", fate == "late"
        shelf.takes = (passing(takes[0], meanwhile[0]), passing(takes[1], meanwhile[1]))
        with suppress(SiemError):
            getattr(lease, what)()
        shelf.answers, shelf.is_late, shelf.takes = True, False, (lambda: None, lambda: None)

    @precondition(lambda self: self.world.shelf.under_way)
    @rule()
    def arrive(self) -> None:
        """Have a write arrive that its sender has given up."""
        self.world.shelf.arrive()

    @invariant()
    def never_two(self) -> None:
        """Find one writer at most."""
        assert len(self.world.writers) <= 1


def test_never_do_two_hold_it():
    run_state_machine_as_test(Disorder, settings=effort(max_examples=300, stateful_step_count=40, deadline=None))


# ---- the document


def test_the_document_says_what_was_seen_and_holds_nothing_the_mapping_does_not_know(world):
    here = Holder.here(START)
    assert here.version == __version__ and here.id != Holder.here(START).id
    here = replace(here, since=cut(START))
    seen = LeaseSeen(here, TTL, 7, cut(START))
    assert LeaseSeen.of(seen.source) == seen
    assert seen.source["value"]["ttl_seconds"] == 30
    free = LeaseSeen(None, TTL, 7, cut(START))
    assert LeaseSeen.of(free.source) == free
    assert set(seen.source) == {"kind", "updated", "value"}


def test_read_lease_says_who_has_it(world):
    assert read_lease(world.shelf, "hunts-state") is None
    lease = world.add()
    assert lease.take()
    assert read_lease(world.shelf, "hunts-state") == lease.seen


# ---- renewing by itself


class Renewed:
    """A lease whose renewals end as given, each told by a permit."""

    ttl = timedelta(milliseconds=30)

    def __init__(self, *ends: bool | SiemError) -> None:
        self.ends: Iterator[bool | SiemError] = iter(ends)
        self.done = threading.Semaphore(0)

    def renew(self) -> bool:
        """Return, or raise, what is next."""
        end = next(self.ends)
        self.done.release()
        if isinstance(end, SiemError):
            raise end
        return end


@contextmanager
def renewed(lease: Renewed) -> Iterator[list[SiemError]]:
    """Renew while the block runs; give the errors that were told."""
    told: list[SiemError] = []
    with renewing(lease, told.append):
        yield told


def test_renewing_outlives_failures_and_tells_them():
    failure = Unreachable("no answer")
    lease = Renewed(True, failure, failure, *[True] * 100_000)
    with renewed(lease) as told:
        for _ in range(5):
            assert lease.done.acquire(timeout=30)
    assert told == [failure, failure]
    threads = [thread for thread in threading.enumerate() if thread.name == "lease"]
    assert not threads


def test_renewing_ends_when_the_lease_is_lost():
    lease = Renewed(True, False)  # a third renewal would find nothing to return and end in an error
    with renewed(lease) as told:
        assert lease.done.acquire(timeout=30) and lease.done.acquire(timeout=30)
        for thread in threading.enumerate():
            if thread.name == "lease":
                thread.join(30)
                assert not thread.is_alive()
    assert told == []
