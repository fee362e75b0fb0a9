"""The two wires: one call each over opensearch-py and over the official Elasticsearch client.

Promises: a call returns the decoded JSON or raises an error of `connector.errors` that names method and path; nothing
secret is in one; the clients print and log nothing of their own. A url that cannot be connected to is left out for a
while, and the call goes to the next one. Will not: send a call again that may have arrived, page or know what it is
for: `client.py` does.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import elastic_transport
import elasticsearch
import opensearchpy
import urllib3

from connector.errors import Conflict, NotAllowed, NotThere, Overloaded, Rejected, SiemError, Unreachable
from connector.settings.model import SiemSettings

Body = Mapping[str, Any]
TIMEOUT_SECONDS = 120.0
CONNECT_SECONDS = 10.0  # where there is another url to go to: a machine that is off does not refuse, it says nothing
JSON, NDJSON = "application/json", "application/x-ndjson"
MARK = "x-opaque-id"
# a node that answers us lost the one it asked: with status 500, and nobody knows what was done
GONE = ("node_not_connected_exception", "node_disconnected_exception", "node_closed_exception")


class Wire(Protocol):
    """What both wires can do."""

    def call(self, method: str, path: str, params: Mapping[str, str], body: Body | bytes | None, mark: str = "") -> Any:
        """Return the decoded answer; a body of bytes is NDJSON. Raises SiemError.

        The mark is kept by the engine with a task that the call starts (`X-Opaque-Id`), so that it can be found.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class PlainWire:
    """OpenSearch of any version and Elasticsearch 7, over opensearch-py."""

    def __init__(self, settings: SiemSettings) -> None:
        """Prepare the client; nothing is sent."""
        _hush("opensearch", opensearchpy.exceptions.OpenSearchWarning)
        tls = any(url.startswith("https:") for url in settings.urls)
        options: dict[str, Any] = {"verify_certs": True, "ca_certs": settings.ca_file} if tls else {}
        self._urls, self._patience = len(settings.urls), _patience(settings)
        self._client = opensearchpy.OpenSearch(
            list(settings.urls),
            http_auth=(settings.username, settings.password) if settings.username else None,
            headers={"authorization": f"ApiKey {settings.api_key}"} if settings.api_key else None,
            timeout=TIMEOUT_SECONDS,
            max_retries=0,
            retry_on_timeout=True,  # with no retries: a url that did not answer in time is left out for a while as well
            **options,
        )

    def call(self, method: str, path: str, params: Mapping[str, str], body: Body | bytes | None, mark: str = "") -> Any:
        """Return the decoded answer (see `Wire.call`)."""
        headers = {MARK: mark} if mark else {}
        if isinstance(body, bytes):
            headers["content-type"] = NDJSON

        def ask() -> Any:
            """Return what one url answers."""
            return self._client.transport.perform_request(
                method,
                path,
                params=dict(params),
                body=body,
                timeout=self._patience,  # without it the client takes the call's own `timeout` for this one
                headers=headers,
            )

        try:
            return _first_connected(ask, self._urls)
        except opensearchpy.exceptions.ConnectionError as error:
            raise Unreachable(f"{method} {path}: {_why(error.error)}") from error
        except opensearchpy.exceptions.TransportError as error:
            status = error.status_code if isinstance(error.status_code, int) else 0
            raise siem_error(status, f"{method} {path}", error.info) from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class OfficialWire:
    """Elasticsearch 8 and 9, over the official client, which checks the product header and sets media types."""

    def __init__(self, settings: SiemSettings) -> None:
        """Prepare the client; nothing is sent."""
        _hush("elastic_transport", elasticsearch.ElasticsearchWarning)
        options: dict[str, Any] = {"ca_certs": settings.ca_file} if settings.ca_file else {}
        self._urls = len(settings.urls)
        self._client = elasticsearch.Elasticsearch(
            list(settings.urls),
            basic_auth=(settings.username, settings.password or "") if settings.username else None,
            api_key=settings.api_key,
            max_retries=0,
            **options,
        ).options(request_timeout=_patience(settings))

    def call(self, method: str, path: str, params: Mapping[str, str], body: Body | bytes | None, mark: str = "") -> Any:
        """Return the decoded answer (see `Wire.call`)."""
        headers = {
            "accept": JSON,
            **({MARK: mark} if mark else {}),
        }  # the client turns both into its vendor media types
        if body is not None:
            headers["content-type"] = NDJSON if isinstance(body, bytes) else JSON

        def ask() -> Any:
            """Return what one url answers."""
            return self._client.perform_request(method, path, params=dict(params), headers=headers, body=body).body

        try:
            return _first_connected(ask, self._urls)
        except elastic_transport.TransportError as error:
            raise Unreachable(f"{method} {path}: {_why(error)}") from error
        except elasticsearch.ApiError as error:
            raise siem_error(error.status_code, f"{method} {path}", error.body) from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _patience(settings: SiemSettings) -> Any:
    """Return how long to wait for a connection and for an answer; both clients ask for a number and hand this on."""
    return urllib3.Timeout(connect=CONNECT_SECONDS if len(settings.urls) > 1 else TIMEOUT_SECONDS, read=TIMEOUT_SECONDS)


def _first_connected(ask: Callable[[], Any], urls: int) -> Any:
    """Return the answer of the first url that can be connected to; raise the client's error of the last one if none.

    The clients take another url at each call and leave one that failed out. Where there was a connection, the call may
    have arrived and may have been done: that is for whoever makes it to judge.
    """
    for _ in range(urls - 1):
        try:
            return ask()
        except (opensearchpy.exceptions.ConnectionError, elastic_transport.TransportError) as error:
            # each client has what failed in a place of its own; a connection that is refused is one that fails so
            if not isinstance(getattr(error, "info", error.__cause__), urllib3.exceptions.ConnectTimeoutError):
                raise
    return ask()


def _hush(logger: str, warning: type[Warning]) -> None:
    """Keep a client from logging failures, which are raised, and from warning of deprecations users cannot change."""
    logging.getLogger(logger).setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore", warning)


def siem_error(status: int, call: str, body: Any) -> SiemError:
    """Return the error for an HTTP status and the engine's error body."""
    message = f"{call} was answered with {status}: {_reason(body)}"
    if status in (401, 403):
        return NotAllowed(f"{message} (check username, password or api_key and their rights)")
    kinds: dict[int, type[SiemError]] = {404: NotThere, 409: Conflict, 429: Overloaded, 502: Overloaded}
    kinds |= {503: Overloaded, 504: Overloaded}
    if _type(body) in GONE:
        return Unreachable(message)
    return kinds.get(status, Rejected)(message)


def _type(body: Any) -> str:
    """Return the engine's word for an error."""
    error = body.get("error") if isinstance(body, Mapping) else None
    return str(error.get("type", "")) if isinstance(error, Mapping) else ""


def _reason(body: Any) -> str:
    """Return the engine's reason with its first causes, bounded."""
    error = body.get("error", body) if isinstance(body, Mapping) else body
    if not isinstance(error, Mapping):
        return str(error)[:500]
    parts = [str(error.get("reason") or error.get("type") or error)]
    for cause in [*(error.get("root_cause") or []), error.get("caused_by")]:
        reason = str(cause.get("reason")) if isinstance(cause, Mapping) else ""
        if reason and reason not in parts:
            parts.append(reason)
    return "; ".join(parts)[:1500]


def _why(error: object) -> str:
    """Return what a connection failed of, without the client's wrapping."""
    text = str(error)
    return f"no answer from the search engine ({text[:300]}): is it running, and are url and ca_file right?"
