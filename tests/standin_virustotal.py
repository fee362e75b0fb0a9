"""A stand-in for VirusTotal on this machine that speaks its API v3: objects, errors, quota, and faults on demand.

The form of objects and errors is that of https://docs.virustotal.com/reference; it knows nothing of the world.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote

KEY = "a-key-nobody-may-see"
TYPES = {"domains": "domain", "ip_addresses": "ip_address", "files": "file"}
ERRORS = {401: "WrongCredentialsError", 404: "NotFoundError", 429: "QuotaExceededError", 503: "TransientError"}
Fault = Callable[[BaseHTTPRequestHandler], None]


def object_of(kind: str, id: str, malicious: int = 0, **more: Any) -> dict[str, Any]:
    """Return an object as the API gives it."""
    stats = {"malicious": malicious, "suspicious": 0, "undetected": 20, "harmless": 60, "timeout": 0}
    attributes = {
        "last_analysis_stats": stats,
        "last_analysis_date": 1793700000,
        "last_analysis_results": {f"Engine {n}": {"category": "harmless", "result": "clean"} for n in range(80)},
        "reputation": -malicious,
        "tags": ["seen"],
        "total_votes": {"harmless": 0, "malicious": malicious},
    }
    links = {"self": f"https://www.virustotal.com/api/v3/{kind}/{id}"}
    return {"data": {"id": id, "type": TYPES[kind], "links": links, "attributes": attributes | more}}


@dataclass
class StandInVirusTotal:
    """Knows the values given as how many engines call them malicious; `asked` has what was asked, in order.

    While `fault` is set it answers instead; `status` is a refusal of that status.
    """

    known: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    fault: Fault | None = None

    def __enter__(self) -> Self:
        """Listen on a free port of this machine."""
        standin = self

        class Handler(BaseHTTPRequestHandler):
            """Answers GET."""

            def do_GET(self) -> None:
                """Answer one question."""
                standin.answer(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer as the API does."""
        _, _, version, kind, id = [*unquote(request.path).split("/", 4), "", ""][:5]
        self.asked.append(id)
        if self.fault:
            self.fault(request)
        elif version != "v3" or kind not in TYPES:
            send(request, 400, error(400, "BadRequestError"))
        elif request.headers.get("x-apikey") != KEY:
            send(request, 401, error(401))
        elif self.status:
            send(request, self.status, error(self.status), self.headers)
        elif id in self.known:
            send(request, 200, object_of(kind, id, self.known[id]))
        else:
            send(request, 404, error(404))


def error(status: int, code: str | None = None) -> dict[str, Any]:
    """Return an error as the API gives it."""
    code = code or ERRORS.get(status, "UnknownError")
    return {"error": {"code": code, "message": f"a message about {code}"}}


def send(request: BaseHTTPRequestHandler, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
    """Send a JSON body, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request.send_response(status)
    for name, value in {"content-type": "application/json", "content-length": str(len(content))}.items():
        request.send_header(name, value)
    for name, value in (headers or {}).items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(content)
