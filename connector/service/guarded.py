"""The wire of the service: what writes is sent by the active service only, and nothing is sent faster than agreed.

Promises: the lease is asked right before each call that writes, also when it is asked again after a refusal; what is
not known to read counts as writing; calls of all threads share one pace. Will not: take back a call that is sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from connector.siem.wire import Body, Wire

READ_METHODS = ("GET", "HEAD")
# what reads although its method does not say so, after the index if there is one: the whole rest of the path
READING_POSTS = (
    "_search",
    "_msearch",
    "_mget",
    "_count",
    "_refresh",
    "_search/scroll",
    "_pit",
    "_search/point_in_time",
)
ENDING_READS = ("_search/scroll", "_pit", "_search/point_in_time")
BURST_SECONDS = 1.0


def writes(method: str, path: str) -> bool:
    """Return whether a call may change what is stored; True for all that is not known."""
    if method in READ_METHODS:
        return False
    first, _, rest = path.partition("?")[0].strip("/").partition("/")
    action = f"{first}/{rest}".rstrip("/") if first.startswith("_") else rest  # no index has a name like that
    reading = {"POST": READING_POSTS, "DELETE": ENDING_READS}
    return action not in reading.get(method, ())


class Pace:
    """At most so many calls a second on the average, after a burst of one second's worth."""

    def __init__(
        self,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Begin with the whole burst; the clock gives seconds."""
        self._per_second, self._clock, self._sleep = per_second, clock, sleep
        self._burst = max(1.0, per_second * BURST_SECONDS)
        self._left, self._counted = self._burst, clock()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when it is the caller's turn."""
        with self._lock:
            now = self._clock()
            earned = max(0.0, now - self._counted) * self._per_second
            self._left = min(self._burst, self._left + earned) - 1  # below nothing: the turns of those who wait
            self._counted = now
            pause = -self._left / self._per_second
        if pause > 0:
            self._sleep(pause)


class GuardedWire:
    """A wire around another one."""

    def __init__(self, wire: Wire, check: Callable[[], None], pace: Pace) -> None:
        """Keep the wire, what raises an error where nothing may be written, and the pace."""
        self._wire, self._check, self._pace = wire, check, pace

    def call(self, method: str, path: str, params: Mapping[str, str], body: Body | bytes | None, mark: str = "") -> Any:
        """Return the decoded answer (see `Wire.call`); LeaseLost if it would write and must not."""
        self._pace.wait()
        if writes(method, path):
            self._check()  # after the pause, so that as little time as can be is left for the lease to end
        return self._wire.call(method, path, params, body, mark)

    def close(self) -> None:
        """Close the connections of the wire within."""
        self._wire.close()
