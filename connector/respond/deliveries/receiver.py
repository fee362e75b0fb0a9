"""A receiver of webhooks on this machine, for the demo, for trying out and for tests.

Promises: it listens on 127.0.0.1 only, takes only deliveries that are signed with its secret, and keeps each id once.
Will not: survive its process, or pass anything on.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from types import TracebackType
from typing import Any

from connector.errors import HuntsError
from connector.respond.deliveries.signature import new_secret, objection
from connector.settings.model import Receiver

LONGEST_BODY = 4_000_000
KEY_BYTES = 32
MANY = 600  # messages a minute: whoever tries something out wants to see each
HERE = (ip_network("127.0.0.1"),)


@dataclass(frozen=True)
class Received:
    """A delivery that was taken: its id, its body, and how often it came."""

    id: str
    body: Any
    times: int = 1


class LoopbackReceiver:
    """A receiver that runs while its with statement does; `secret` and `url` are new each time."""

    def __init__(self, name: str = "loopback", port: int = 0) -> None:
        """Prepare to listen at a port, 0 for any that is free; HuntsError if it is taken."""
        self.name = name
        self.secret = new_secret(secrets.token_bytes(KEY_BYTES))
        self._received: dict[str, Received] = {}
        self._arrived = threading.Condition()
        owner = self

        class Incoming(_Incoming):
            """One request to this receiver."""

            receiver = owner

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Incoming)
        except OSError as error:
            raise HuntsError(f"cannot listen at 127.0.0.1:{port}: {error.strerror}; name another port") from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Return the address that takes deliveries."""
        return f"http://127.0.0.1:{self._server.server_port}/deliveries"

    @property
    def settings(self) -> Receiver:
        """Return this receiver as the settings have it."""
        return Receiver(self.name, self.url, self.secret, messages_per_minute=MANY, networks=HERE)

    @property
    def received(self) -> tuple[Received, ...]:
        """Return what was taken so far, in the order it came first."""
        with self._arrived:
            return tuple(self._received.values())

    def wait(self, count: int, seconds: float) -> tuple[Received, ...]:
        """Return what was taken once there are `count` deliveries, or when the time is over."""
        with self._arrived:
            self._arrived.wait_for(lambda: len(self._received) >= count, seconds)
            return tuple(self._received.values())

    def take(self, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        """Return the status and the words that answer a delivery, which is kept if they are good."""
        if why := objection(self.secret, headers, body, time.time()):
            return 401, why
        try:
            content = json.loads(body)
        except ValueError:
            return 400, "the body is no JSON"
        id = headers["webhook-id"]
        with self._arrived:
            before = self._received.get(id)
            self._received[id] = Received(id, content, before.times + 1 if before else 1)
            self._arrived.notify_all()
        return 200, "taken"

    def __enter__(self) -> LoopbackReceiver:
        """Start listening."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Incoming(BaseHTTPRequestHandler):
    """One request: its body is read whole, judged by the receiver and answered in one word."""

    receiver: LoopbackReceiver
    timeout = 10

    def do_POST(self) -> None:
        """Answer a delivery."""
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()) or int(length) > LONGEST_BODY:
            self._answer(413, "content-length is missing, or too large")
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._answer(*self.receiver.take(headers, self.rfile.read(int(length))))

    def _answer(self, status: int, words: str) -> None:
        """Send the answer, and close."""
        content = words.encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(content)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: who runs the receiver says what came."""
