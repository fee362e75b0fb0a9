"""A receiver on loopback that takes what it is told to, for tests of deliveries and for their bench."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from connector.respond.deliveries.receiver import HERE
from connector.settings.model import Receiver

Answer = Callable[[BaseHTTPRequestHandler], None]


def status(code: int, **headers: str) -> Answer:
    """Return the answer with a status."""

    def give(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in ({"content-length": "0"} | headers).items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()

    return give


@dataclass
class Keeping:
    """Keeps every message that came, by its id; `answers` are given in turn, and then 200 (or what `always` says)."""

    name: str = "keeping"
    answers: list[Answer] = field(default_factory=list)
    always: Answer = field(default_factory=lambda: status(200))
    came: list[tuple[str, Any]] = field(default_factory=list)
    taken: dict[str, list[Any]] = field(default_factory=dict)
    lock: threading.Condition = field(default_factory=threading.Condition)
    port: int = 0

    @contextmanager
    def running(self, **more: Any) -> Iterator[Receiver]:
        """Listen, on the same port each time; hand out the receiver as the settings have it."""
        owner = self

        class Incoming(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                owner.take(self.headers["webhook-id"], body, self)
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Incoming)
        server.daemon_threads = True
        self.port = server.server_port
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield self.settings(**more)
        finally:
            server.shutdown()
            server.server_close()

    def settings(self, **more: Any) -> Receiver:
        """Return the receiver as the settings have it."""
        return Receiver(self.name, f"http://127.0.0.1:{self.port}/", networks=HERE, **more)

    def take(self, id: str, body: Any, request: BaseHTTPRequestHandler) -> None:
        """Keep a message and answer it; what is answered with 2xx is taken, after the answer is written."""
        with self.lock:
            self.came.append((id, body))
            answer = self.answers.pop(0) if self.answers else self.always
        sent: list[int] = []
        whole = request.send_response
        request.send_response = lambda code, *rest: (sent.append(code), whole(code, *rest))[1]  # type: ignore[method-assign]
        with self.lock:
            answer(request)
            if sent and sent[0] // 100 == 2:
                self.taken.setdefault(id, []).append(body)
            self.lock.notify_all()

    def wait(self, enough: Callable[[], bool], seconds: float = 60) -> bool:
        """Return whether there was enough before the time was over."""
        with self.lock:
            return self.lock.wait_for(enough, seconds)

    def told(self, kind: str = "declaration") -> dict[str, set[str]]:
        """Return what was told of (declarations by id and revision, findings by id), each with the ids of messages."""
        found: dict[str, set[str]] = {}
        for id, bodies in self.taken.items():
            for about in {each for body in bodies for each in about_of(body, kind)}:
                found.setdefault(about, set()).add(id)
        return found


def about_of(body: Any, kind: str) -> list[str]:
    """Return the ids of what a message of the built-in body is about."""
    if body["type"] == "digest":
        ids: list[str] = body["data"][f"{kind}_ids"]
        return ids
    return [body["data"]["id"]] if body["type"].startswith(kind) else []
