"""A proxy before the engine: makes searches of events slow, or holds one while something is done to the engine.

Promises: everything is passed on as it is; without the engine a connection is closed, as if nobody listened. That, and
an answer that the engine is not ready, comes half a second late, so that a client that asks again at once leaves an
engine the time to start. Will not: touch searches of other indices, which a slow engine would slow as well.
"""

from __future__ import annotations

import heapq
import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

PATIENCE_SECONDS = 300
NOT_READY_SECONDS = 0.5
NOT_PASSED_ON = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class _Server(ThreadingHTTPServer):
    """A server that says nothing of clients that are killed."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


class Held:
    """A search that the proxy holds: `arrived` is set when it has come, and it goes on once `released` is."""

    def __init__(self) -> None:
        """Wait for one."""
        self.arrived, self.released = threading.Event(), threading.Event()


class Proxy:
    """A proxy on a free port of loopback; use it in a with statement."""

    def __init__(self, port: int, pattern: str) -> None:
        """Stand before that port; searches of the pattern's indices are searches of events."""
        self._port, self._stem = port, pattern.rstrip("*")
        self._lock = threading.Lock()
        self._seconds = 0.0
        self._free: list[float] = []  # when each place of the engine is free again
        self._held: Held | None = None
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Proxy:
        """Begin."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()

    def slow(self, seconds: float, at_once: int) -> None:
        """Make each search of events take so long, that many at once; others wait for their turn."""
        with self._lock:
            self._seconds, self._free = seconds, [0.0] * at_once

    @contextmanager
    def holding(self) -> Iterator[Held]:
        """Hold the next search of events until it is released, or the with statement ends."""
        self._held = held = Held()
        try:
            yield held
        finally:
            self._held = None
            held.released.set()

    def before(self, path: str, body: bytes) -> None:
        """Return when a request may be passed on."""
        if not (number := self._searches(path, body)):
            return
        if held := self._held:
            held.arrived.set()
            held.released.wait(PATIENCE_SECONDS)
        time.sleep(max(0.0, self._done(number) - time.monotonic()))

    def _done(self, number: int) -> float:
        """Return when that many searches are done."""
        with self._lock:
            done = time.monotonic()
            for _ in range(number if self._seconds else 0):
                done = max(time.monotonic(), heapq.heappop(self._free)) + self._seconds
                heapq.heappush(self._free, done)
            return done

    def _searches(self, path: str, body: bytes) -> int:
        """Return how many searches of events a request has."""
        where, _, action = unquote(urlsplit(path).path).strip("/").rpartition("/")
        if action == "_msearch":
            heads = (json.loads(line) for line in body.splitlines()[::2] if line)
            return sum(self._of_events(head.get("index") or where) for head in heads)
        if action not in ("_search", "_count"):
            return 0
        return int(self._of_events(where) if where else b'"pit"' in body)

    def _of_events(self, index: Any) -> bool:
        """Return whether an index of a request, or one of a list, is one of events."""
        names = index if isinstance(index, list) else str(index).split(",")
        return any(name.startswith(self._stem) for name in names)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        """Return the class that handles a connection."""
        proxy, port = self, self._port

        class Handler(BaseHTTPRequestHandler):
            """One connection of a client, and one to the engine."""

            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                """Prepare a connection."""
                super().setup()
                self.engine = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)

            def finish(self) -> None:
                """Close both."""
                self.engine.close()
                with suppress(OSError):
                    super().finish()

            def passed_on(self) -> None:
                """Pass a request on, and the answer back."""
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    proxy.before(self.path, body)
                    headers = {k: v for k, v in self.headers.items() if k.lower() not in NOT_PASSED_ON}
                    self.engine.request(self.command, self.path, body or None, headers)
                    answer = self.engine.getresponse()
                    if answer.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
                        time.sleep(NOT_READY_SECONDS)
                    self.wfile.write(_raw(answer))
                except (OSError, http.client.HTTPException):
                    time.sleep(NOT_READY_SECONDS)
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = passed_on

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


def _raw(answer: http.client.HTTPResponse) -> bytes:
    """Return an answer as it goes over the wire; one to HEAD keeps the length of what it does not have."""
    body = answer.read()
    length = len(body) if body else answer.getheader("Content-Length", "0")
    kept = [f"{name}: {value}" for name, value in answer.getheaders() if name.lower() not in NOT_PASSED_ON]
    head = [f"HTTP/1.1 {answer.status} {answer.reason}", *kept, f"Content-Length: {length}", "", ""]
    return "\r\n".join(head).encode("latin-1") + body
