"""The lease: of any number of services one is active, and one document of the state index says which.

    take      nobody has it, or whoever has it has not renewed it for as long as it lasts
    renew     whoever has it, every third of that time
    release   on a clean stop, so that the next one need not wait

The document is changed by compare-and-set only. No clock of another machine is believed: who stands by measures with
its own clock for how long the document has been the same, and waits a tenth longer than the lease lasts; who holds it
counts from before it asked for its last renewal, and so stops first.

Promises: no two hold it at a time, as long as no clock runs a tenth faster than another; a holder that was stopped
knows when it wakes up that its time is past; each taking has a term, and terms only grow. Will not: take back a call
that has passed its check: for that one, what a service writes is compare-and-set or the same whoever writes it.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

from connector import __version__
from connector.errors import Conflict, LeaseLost, NotThere, SiemError
from connector.hunts.asking.questions import Json
from connector.hunts.asking.tally import instant
from connector.siem.client import Siem, Stored

DOCUMENT = "lease"  # its id, and its kind
PATIENCE = 1.1  # of the lease's time, before it counts as abandoned: clocks differ, and calls are under way
RENEWALS = 3  # in the time of a lease
RETRIES = 10  # in the time of a lease, while the engine does not answer
ENDING_SECONDS = 3.0  # how long a stop waits for a renewal that is under way


def boot_time() -> float:
    """Return the seconds since the machine was started, with those it slept where the system counts them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def wall_time() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Holder:
    """A service that has the lease, or would have it; `id` is new with each process, `since` is when it took it."""

    id: str
    host: str
    pid: int
    version: str
    since: datetime

    @classmethod
    def here(cls, now: datetime) -> Holder:
        """Return this process."""
        return cls(secrets.token_hex(8), socket.gethostname(), os.getpid(), __version__, now)

    def __str__(self) -> str:
        """Return where it runs, as people say it."""
        return f"process {self.pid} on {self.host}"


@dataclass(frozen=True)
class LeaseSeen:
    """What the document says: the holder (None: released), how long it lasts, how often it was taken, when written."""

    holder: Holder | None
    ttl: timedelta
    term: int
    updated: datetime

    @classmethod
    def of(cls, source: Json) -> LeaseSeen:
        """Return what a document says."""
        value, updated = source["value"], datetime.fromisoformat(source["updated"])
        found = value["holder"]
        holder = Holder(**{**found, "since": datetime.fromisoformat(found["since"])}) if found else None
        return cls(holder, timedelta(seconds=value["ttl_seconds"]), value["term"], updated)

    @property
    def source(self) -> Json:
        """Return the document that says so."""
        holder = {**asdict(self.holder), "since": instant(self.holder.since)} if self.holder else None
        value = {"holder": holder, "ttl_seconds": self.ttl.total_seconds(), "term": self.term}
        return {"kind": DOCUMENT, "updated": instant(self.updated), "value": value}


def read_lease(siem: Siem, index: str) -> LeaseSeen | None:
    """Return what the lease in a state index says; None if no service ever took it. Raises SiemError."""
    stored = siem.get(index, DOCUMENT)
    return LeaseSeen.of(stored.source) if stored else None


@dataclass(frozen=True)
class _Held:
    """The document as its holder wrote it, and until when it may write: by the boot clock, and by the wall clock."""

    said: LeaseSeen
    stored: Stored
    boot: float
    wall: datetime


@dataclass(frozen=True)
class _Watched:
    """A state of the document, and when it was first seen by the own boot clock."""

    version: tuple[int, int]
    since: float


class Lease:
    """One service's part in the lease. `seen` is what it saw last, None where there was no document yet.

    Threads may share it; its engine should be a connection of its own, as a renewal must not wait for other calls.
    """

    def __init__(
        self,
        siem: Siem,
        index: str,
        ttl: timedelta,
        me: Holder,
        *,
        wall: Callable[[], datetime] = wall_time,
        boot: Callable[[], float] = boot_time,
    ) -> None:
        """Keep the state index, how long the lease lasts, and who asks; `boot` gives seconds, `wall` the UTC time."""
        self.ttl = ttl
        self.seen: LeaseSeen | None = None
        self._siem, self._index, self._me = siem, index, me
        self._wall, self._boot = wall, boot
        self._held: _Held | None = None
        self._watched: _Watched | None = None
        self._lock = threading.Lock()

    @property
    def held(self) -> bool:
        """Return whether this service may write now."""
        held = self._held
        return held is not None and self._is_on(held)

    def check(self) -> None:
        """Raise LeaseLost unless this service may write now."""
        if self.held:
            return
        other = self.seen.holder if self.seen else None
        if self._held is None and other and other.id != self._me.id:
            raise LeaseLost(f"another service is the active one ({other}): this one writes nothing and stands by")
        raise LeaseLost("the lease has ended or was never taken: this service writes nothing until it takes it (again)")

    def take(self) -> bool:
        """Return whether the lease is held, after one look at it and, if it is free, one try.

        NotThere if our own indices are not installed; other SiemErrors if the engine fails.
        """
        with self._lock:
            if self.held:
                return True
            self._held = None
            stored = self._look()
            if self._is_free():
                now = self._wall()
                term = self.seen.term + 1 if self.seen else 1
                self._held = self._write(LeaseSeen(replace(self._me, since=now), self.ttl, term, now), stored)
            return self.held

    def renew(self) -> bool:
        """Return whether the lease is held for its whole time again; False if its time was past or another has it.

        SiemError if the engine does not say: the lease is then held as long as it was before. A time that ended before
        the answer came does not go on, as somebody may have been told so: `take` then begins another one.
        """
        with self._lock:
            held = self._held
            if held and self._is_on(held):
                again = self._write(held.said, held.stored) or self._write_again(held)
                self._held = again if self._is_on(held) else None
            return self.held

    def release(self) -> None:
        """Give the lease back, if it is held: call it when nothing is written any more.

        If the engine does not answer, or not to a renewal that is under way, the lease ends by itself.
        """
        if not self._lock.acquire(timeout=ENDING_SECONDS):
            return
        try:
            held, self._held = self._held, None
            if held:
                with suppress(SiemError):
                    self._leave(held)
        finally:
            self._lock.release()

    def _is_on(self, held: _Held) -> bool:
        """Return whether the time of a holding is not past, by either clock."""
        return self._boot() < held.boot and self._wall() < held.wall

    def _look(self) -> Stored | None:
        """Return the document, and remember since when it has been the same."""
        stored = self._siem.get(self._index, DOCUMENT)
        if stored is None and not self._siem.exists(f"/{self._index}"):  # to write it would make the index
            raise NotThere(f"there is no index {self._index}: run `hunts install` first")
        self.seen = LeaseSeen.of(stored.source) if stored else None
        version = (stored.primary_term, stored.seq_no) if stored else (0, 0)
        if self._watched is None or self._watched.version != version:
            self._watched = _Watched(version, self._boot())
        return stored

    def _is_free(self) -> bool:
        """Return whether what was seen last can be taken: compare-and-set decides whether it still is like that."""
        if self.seen is None or self.seen.holder is None or self.seen.holder.id == self._me.id or not self._watched:
            return True
        return self._boot() - self._watched.since >= self.seen.ttl.total_seconds() * PATIENCE

    def _write(self, said: LeaseSeen, replacing: Stored | None) -> _Held | None:
        """Return the holding that begins with the document written, None if another has written first."""
        boot, wall = self._boot(), self._wall()  # before the call: nobody can see the document earlier
        source = replace(said, updated=wall).source
        try:
            stored = self._siem.put(self._index, DOCUMENT, source, replacing)
        except Conflict:
            return None
        self.seen = LeaseSeen.of(source)  # as everybody sees it: times are cut to the millisecond
        return _Held(self.seen, stored, boot + self.ttl.total_seconds(), wall + self.ttl)

    def _write_again(self, held: _Held) -> _Held | None:
        """Return the holding after a conflict with a write of our own whose answer was lost, None if it was another's.

        That write alone gives no more time: it was sent at some earlier moment.
        """
        stored = self._look()
        return self._write(held.said, stored) if self._is_ours(held) else None

    def _leave(self, held: _Held) -> None:
        """Write that nobody has the lease, unless another has it."""
        left = replace(held.said, holder=None, updated=self._wall())
        try:
            self._siem.put(self._index, DOCUMENT, left.source, held.stored)
        except Conflict:
            stored = self._look()
            if not self._is_ours(held):
                return
            self._siem.put(self._index, DOCUMENT, left.source, stored)
        self.seen = left

    def _is_ours(self, held: _Held) -> bool:
        """Return whether what was seen last is of the same taking."""
        seen = self.seen
        return bool(seen and seen.holder and seen.holder.id == self._me.id and seen.term == held.said.term)


@contextmanager
def renewing(lease: Lease, told: Callable[[SiemError], None]) -> Iterator[None]:
    """Renew a lease that is held, in a thread, until the block ends or it is lost; `told` hears of each failure."""
    stop = threading.Event()
    thread = threading.Thread(target=_renew, args=(lease, stop, told), name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(ENDING_SECONDS)


def _renew(lease: Lease, stop: threading.Event, told: Callable[[SiemError], None]) -> None:
    """Renew a lease until it is lost or the work is to stop."""
    pause = lease.ttl / RENEWALS
    while not stop.wait(pause.total_seconds()):
        try:
            if not lease.renew():
                return
            pause = lease.ttl / RENEWALS
        except SiemError as error:
            told(error)
            pause = lease.ttl / RETRIES
