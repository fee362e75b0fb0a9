"""The one stand-in of the tests: the front of an Elasticsearch 8.19, with a real OpenSearch behind it.

Elasticsearch 8 and 9 cannot be put together from published artifacts, so the wire over the official client is proved
here: this server answers `GET /` as 8.19 does, sends the product header the client insists on, refuses whatever does
not carry the media types of the 8.x client, with the status and words of the real server, and speaks its point in time.
Everything else is forwarded to the real engine and comes back as it is. What it cannot prove: that Elasticsearch 8
behaves as OpenSearch does behind the same calls.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

MEDIA = re.compile(r"application/vnd\.elasticsearch\+(json|x-ndjson) *; *compatible-with=(\d+)")
LINES = ("_bulk", "_msearch")
VERSION = {
    "number": "8.19.3",
    "build_flavor": "default",
    "build_type": "tar",
    "build_hash": "0" * 40,
    "build_date": "2025-08-26T00:00:00.000000000Z",
    "build_snapshot": False,
    "lucene_version": "9.12.2",
    "minimum_wire_compatibility_version": "7.17.0",
    "minimum_index_compatibility_version": "7.0.0",
}
BANNER = {
    "name": "stand-in",
    "cluster_name": "stand-in",
    "cluster_uuid": "stand-in",
    "version": VERSION,
    "tagline": "You Know, for Search",
}


class Front(BaseHTTPRequestHandler):
    """One connection to the stand-in."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # one packet an answer, or each waits 40 ms for the acknowledgement of its header
    disable_nagle_algorithm = True
    server: "StandIn"

    def handle_one_request(self) -> None:
        """Answer one request, whatever its method."""
        for method in ("GET", "POST", "PUT", "DELETE", "HEAD"):
            setattr(self, f"do_{method}", self._answer)
        super().handle_one_request()

    def _answer(self) -> None:
        """Check what the client sent, then answer or forward."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        plain = urlsplit(self.path).path == "/" and self.headers.get("accept") in (None, "*/*", "application/json")
        refusal = None if plain else self._refusal(body)
        if refusal:
            self.server.refused.append(refusal)
            self._send(*refusal)
        elif urlsplit(self.path).path == "/":
            self._send(200, BANNER)
        else:
            self._send(*self._forwarded(body))

    def _refusal(self, body: bytes) -> tuple[int, dict[str, Any]] | None:
        """Return status and body of a refusal of the request's media types, or None if they are the 8.x client's."""
        lines = urlsplit(self.path).path.rsplit("/", 1)[-1] in LINES
        wanted = [("Accept", "json")] + ([("Content-Type", "x-ndjson" if lines else "json")] if body else [])
        for header, kind in wanted:
            sent = self.headers.get(header) or ""
            found = MEDIA.fullmatch(sent.strip())
            if found and found[2] not in ("7", "8"):
                reason = f"{header} version must be either version 8 or 7, but found {found[2]}. {header}={sent}"
                return 400, {"error": {"type": "media_type_header_exception", "reason": reason}, "status": 400}
            if not found or found[1] != kind:
                return 406, {"error": f"{header} header [{sent}] is not supported", "status": 406}
        return None

    def _forwarded(self, body: bytes) -> tuple[int, Any]:
        """Return the answer of the engine behind."""
        parts = urlsplit(self.path)
        method, path, query = self.command, parts.path, parts.query
        if path.endswith("/_pit") and method == "POST":
            status, answer = self._call("POST", f"{path[: -len('/_pit')]}/_search/point_in_time?{query}", b"")
            return status, {"id": answer["pit_id"]} if status == 200 else answer
        if path == "/_pit":
            pits = json.dumps({"pit_id": [json.loads(body)["id"]]}).encode()
            status, answer = self._call("DELETE", "/_search/point_in_time", pits)
            return status, {"succeeded": True, "num_freed": len(answer["pits"])} if status == 200 else answer
        if "_type" in parse_qs(query):
            return 400, {"error": {"type": "illegal_argument_exception", "reason": "types are gone"}, "status": 400}
        return self._call(method, self.path, body)

    def _call(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Return status and decoded body of one call to the engine."""
        lines = urlsplit(path).path.rsplit("/", 1)[-1] in LINES
        headers = {"content-type": "application/x-ndjson" if lines else "application/json"}
        if mark := self.headers.get("x-opaque-id"):
            headers["x-opaque-id"] = mark
        answer = self.server.pool.urlopen(method, path, body=body or None, headers=headers, retries=False)
        return answer.status, json.loads(answer.data) if answer.data else {}

    def _send(self, status: int, body: Any) -> None:
        """Send an answer as Elasticsearch 8 does."""
        text = b"" if self.command == "HEAD" else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        kind = "application/vnd.elasticsearch+json;compatible-with=8"
        self.send_header("Content-Type", kind if "vnd." in (self.headers.get("accept") or "") else "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


class StandIn(ThreadingHTTPServer):
    """The server; `refused` has every answer that said no to a media type."""

    daemon_threads = True

    def __init__(self, behind: str) -> None:
        """Listen on a free port of 127.0.0.1."""
        super().__init__(("127.0.0.1", 0), Front)
        self.pool = urllib3.connection_from_url(behind, maxsize=20)
        self.refused: list[tuple[int, Any]] = []

    @property
    def url(self) -> str:
        """Return the address."""
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def stand_in(behind: str) -> Iterator[StandIn]:
    """Give a stand-in that forwards to the engine at the url."""
    with StandIn(behind) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def elasticsearch8(opensearch: str) -> Iterator[str]:
    """Return the url of an Elasticsearch 8.19, which is the stand-in, before a real OpenSearch."""
    with stand_in(opensearch) as server:
        yield server.url
        assert server.refused == [], "a call went out with media types that Elasticsearch 8 refuses"
