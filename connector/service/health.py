"""How the service is, over HTTP: `/healthz`, `/readyz` and `/metrics`, for probes, people and Prometheus.

Promises: a probe is answered from what the loop noted, at once, whatever the loop or the engine does; a client that is
slow or one of many cannot hold the server, and none can change anything. Will not: ask the engine, speak TLS, check who
asks (it listens on loopback unless the settings say otherwise), or write a line for a request.
"""

from __future__ import annotations

import errno
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from connector.errors import Refused
from connector.service.logs import SERVICE, say, tellable

LONGEST_CONNECTION = 5.0  # seconds, from the first byte asked to the last one answered
MOST_CONNECTIONS = 16
POLL_SECONDS = 0.2
JSON = "application/json"
OPENMETRICS = "application/openmetrics-text"

Json = dict[str, Any]


@dataclass
class Health:
    """What the loop knows of itself. It sets the fields, each by itself, and calls `beat`; any thread reads.

    `trouble` is why it cannot work now: the engine does not answer, our indices are not installed, the hunts are not
    loaded; empty if it can. `problems` counts what is wrong in files while an earlier version of them is in force. A
    loop that has not called `beat` for `beats_within` is taken for dead, so it calls it during long work, too.
    """

    beats_within: timedelta
    watermark_within: timedelta
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ticks: Callable[[], float] = time.monotonic
    trouble: str = "it is starting"
    active: bool = False
    watermark: datetime | None = None
    problems: int = 0
    _beat: float = field(init=False)

    def __post_init__(self) -> None:
        """Count the start as a sign of life."""
        self.beat()

    def beat(self) -> None:
        """Note that the loop is alive."""
        self._beat = self.ticks()

    def healthz(self) -> tuple[int, Json]:
        """Return 200 while the loop is alive, be it active or standing by, else 503, with the reason."""
        silent, reason = self._silence()
        return _judged("alive", "stuck", reason, {"last_beat_seconds": silent})

    def readyz(self) -> tuple[int, Json]:
        """Return 200 if the service does its work or could take it over at once, else 503, with the reason."""
        watermark, active = self.watermark, self.active
        age = round((self.clock() - watermark).total_seconds(), 1) if watermark else None
        late = active and age is not None and age > self.watermark_within.total_seconds()
        reason = self.trouble or self._silence()[1] or (f"passes are {age:.0f} s behind" if late else "")
        facts = {"role": "active" if active else "standby", "watermark_age_seconds": age, "problems": self.problems}
        return _judged("ready", "not ready", reason, facts)

    def _silence(self) -> tuple[float, str]:
        """Return for how long the loop gave no sign of life, in seconds, and in words if that is too long."""
        silent = round(self.ticks() - self._beat, 1)
        too_long = silent > self.beats_within.total_seconds()
        return silent, f"the loop gave no sign of life for {silent:.0f} s" if too_long else ""


def _judged(good: str, bad: str, reason: str, facts: Json) -> tuple[int, Json]:
    """Return the facts under a status: 200 without a reason against it, else 503 with the reason."""
    if reason:
        return 503, {"status": bad, "reason": tellable(reason), **facts}
    return 200, {"status": good, **facts}


class HealthServer:
    """The HTTP server, which runs while its with statement does; `address` is where it listens."""

    def __init__(self, listen: str, health: Health, metrics: CollectorRegistry, logger: logging.Logger) -> None:
        """Listen at `host:port`, port 0 for any that is free; Refused, with the name of the setting, if that fails.

        The logger is told of faults of this program, nothing else.
        """

        class Request(_Request):
            """One request to this server."""

            facts, registry = health, metrics

        host, _, port = listen.rpartition(":")
        try:
            self._server = _Server(host.strip("[]"), int(port), Request, logger)
        except OSError as error:
            why = f"cannot be listened at ({error.strerror}): name an address and port of this machine"
            if error.errno == errno.EADDRINUSE:
                why = "is taken: stop what listens there, or name another port"
            raise Refused(f"service.listen: {listen} {why}") from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_SECONDS,), daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Return the address and port that are listened at."""
        host, port = self._server.socket.getsockname()[:2]
        return str(host), int(port)

    def __enter__(self) -> HealthServer:
        """Start answering."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    """A thread for each connection, of which there are few at a time, each with an end."""

    daemon_threads = True
    request_queue_size = 4 * MOST_CONNECTIONS

    def __init__(self, host: str, port: int, request: type[_Request], logger: logging.Logger) -> None:
        """Listen; OSError if that fails."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family = found[0][0]
        self._logger = logger
        self._ends: dict[Any, float] = {}
        super().__init__((host, port), request)

    def server_bind(self) -> None:
        """Listen without asking the DNS for the name of the address, as HTTPServer does."""
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread; close it if there are too many."""
        if len(self._ends) >= MOST_CONNECTIONS:
            self.shutdown_request(request)
            return
        self._ends[request] = time.monotonic() + LONGEST_CONNECTION
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._ends.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut off the connections whose time is over: the server calls this all the while."""
        self._cut_off(time.monotonic())

    def server_close(self) -> None:
        """Stop listening, and cut off whoever is there."""
        super().server_close()
        self._cut_off(float("inf"))

    def _cut_off(self, now: float) -> None:
        """End the connections that were to end by now; their threads find them closed."""
        for request in [request for request, end in list(self._ends.items()) if end <= now]:
            with suppress(OSError):  # it ended by itself
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log a fault of ours; a client that went away is none."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            say(self._logger, "error", "answer", "a request to /metrics, /healthz or /readyz failed", error=error)


class _Request(BaseHTTPRequestHandler):
    """One request, answered and closed."""

    facts: Health
    registry: CollectorRegistry

    def do_GET(self) -> None:
        """Answer what is asked for."""
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, kind = choose_encoder(OPENMETRICS if OPENMETRICS in self.headers.get("accept", "") else "")
            self._answer(200, kind, encode(self.registry))
        elif path == "/healthz":
            self._answer_json(*self.facts.healthz())
        elif path == "/readyz":
            self._answer_json(*self.facts.readyz())
        else:
            self._answer_json(404, {"reason": "there are /healthz, /readyz and /metrics"})

    do_HEAD = do_GET

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that is none; a method that there is not (to the base class 501) is not allowed."""
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code)
        self._answer_json(status, {"reason": status.phrase})

    def _answer_json(self, status: int, answer: Json) -> None:
        """Send an answer in JSON."""
        self._answer(status, JSON, json.dumps(answer).encode() + b"\n")

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        """Send an answer, to HEAD without the content."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def version_string(self) -> str:
        """Return what the header Server says: no versions."""
        return SERVICE

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: probes come all the time."""
