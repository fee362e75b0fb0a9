"""Sends one POST to a receiver over requests; the only place that talks HTTP to one.

Promises: TLS is verified; only addresses that the receiver may have are connected to (`reach.py`); a redirect is
followed only to the same scheme, host and port, and stays a POST; an answer that drips in is left at the deadline; what
comes back has no part of the address or of a secret in it. Through a proxy of the environment it is the proxy that
connects: what the name means here, if it is known here, is checked all the same.
Will not: retry, or raise because a receiver misbehaves: that is an outcome.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from connector import __version__
from connector.respond.deliveries.decision import Answer, NoAnswer, Outcome, retry_after
from connector.respond.deliveries.reach import Attempt, Forbidden, places
from connector.respond.deliveries.redaction import redacted
from connector.settings.model import Receiver

CONNECT, READ, DEADLINE = 5.0, 15.0, 30.0
MOST_READ = 65_536
WORDS = 200
HOPS = 3
KEEPS_POST = (307, 308)


@dataclass(frozen=True)
class Web:
    """The real network; the time-outs are in seconds."""

    connect: float = CONNECT
    read: float = READ
    deadline: float = DEADLINE

    def post(self, receiver: Receiver, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Return what the receiver answered to the body, or why it did not."""
        logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # it writes whole addresses, and those can be secret
        own = {"content-type": "application/json", "user-agent": f"guided-hunts/{__version__}"}
        request = requests.Request("POST", receiver.url, own | dict(headers), data=body)
        outcome: Outcome
        with Attempt(receiver.networks, self.deadline) as attempt, requests.Session() as session:
            session.trust_env = False  # a .netrc is for other programs
            session.verify = receiver.ca_file or True
            for scheme in ("http://", "https://"):
                session.mount(scheme, _Adapter(attempt))
            try:
                outcome = self._hop(session, request, receiver, HOPS)
            except (requests.RequestException, OSError) as error:
                outcome = _no_answer(error, self)
        # an answer that was cut off in its headers looks like a whole one
        return NoAnswer(f"no answer within {self.deadline:g} s") if attempt.over else outcome

    def _hop(self, session: requests.Session, request: requests.Request, receiver: Receiver, hops: int) -> Outcome:
        """Return the outcome at the request's address, or at the one it leads to."""
        url = request.url
        proxies = get_environ_proxies(url)
        if select_proxy(url, proxies):
            _check(url, receiver)
        with session.send(
            session.prepare_request(request),
            timeout=(self.connect, self.read),
            proxies=proxies,
            allow_redirects=False,
            stream=True,
            verify=session.verify,
        ) as response:
            if "location" in response.headers and response.status_code // 100 == 3:
                place = urljoin(url, response.headers["location"])
                if not hops or response.status_code not in KEEPS_POST or _origin(place) != _origin(url):
                    return NoAnswer(_redirect_words(response.status_code, place, url), hopeless=True)
                request.url = place
                return self._hop(session, request, receiver, hops - 1)
            words = _first_words(_read(response), receiver)
            asked = retry_after(response.headers.get("retry-after"), datetime.now(UTC))
            return Answer(response.status_code, "" if response.ok else words, asked)


class _Adapter(HTTPAdapter):
    """Connects as an attempt does."""

    def __init__(self, attempt: Attempt) -> None:
        """Keep the attempt."""
        self._attempt = attempt
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools, with connections of our own."""
        super().init_poolmanager(*args, **options)
        attempt = self._attempt

        class Plain(HTTPConnection):
            """A connection to a checked address."""

            def _new_conn(self) -> socket.socket:
                """Return a new connection."""
                return _connected(self, attempt)

        class Secured(HTTPSConnection):
            """A connection to a checked address, under which TLS is begun for the name."""

            def _new_conn(self) -> socket.socket:
                """Return a new connection."""
                return _connected(self, attempt)

        http = type("Http", (HTTPConnectionPool,), {"ConnectionCls": Plain})
        https = type("Https", (HTTPSConnectionPool,), {"ConnectionCls": Secured})
        self.poolmanager.pool_classes_by_scheme = {"http": http, "https": https}


def _connected(asking: HTTPConnection, attempt: Attempt) -> socket.socket:
    """Return a connection for urllib3, with the errors that it knows."""
    timeout = asking.timeout if isinstance(asking.timeout, int | float) else CONNECT
    try:
        return attempt.connect(asking.host, asking.port or 0, timeout)
    except Forbidden:
        raise
    except socket.gaierror as error:
        raise NameResolutionError(asking.host, asking, error) from error
    except TimeoutError as error:
        raise ConnectTimeoutError(asking, "no connection in time") from error
    except OSError as error:
        raise NewConnectionError(asking, "no connection") from error


def _check(url: str, receiver: Receiver) -> None:
    """Raise Forbidden if the host of a url is known here, at addresses only that the receiver may not have."""
    split = urlsplit(url)
    with suppress(socket.gaierror):
        places(split.hostname or "", split.port or 443, receiver.networks)


def _read(response: requests.Response) -> bytes:
    """Return the beginning of the answer's body."""
    got = b""
    for part in response.iter_content(8192):
        got += part
        if len(got) >= MOST_READ:
            break
    return got


def shown_address(url: str) -> str:
    """Return an address with all that can be secret left out: user, password, path and query."""
    split = urlsplit(url)
    host = f"[{split.hostname}]" if ":" in (split.hostname or "") else split.hostname
    port = f":{split.port}" if split.port else ""
    return f"{split.scheme}://{host}{port}" + ("/…" if split.path.strip("/") or split.query else "")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port; the port is None where it is the scheme's own."""
    split = urlsplit(url)
    return (
        split.scheme,
        split.hostname,
        None if split.port == {"http": 80, "https": 443}.get(split.scheme) else split.port,
    )


def _redirect_words(status: int, place: str, url: str) -> str:
    """Return why a redirect was not followed."""
    if _origin(place) != _origin(url):
        return f"answered {status} and points to another place, {shown_address(place)}, which is not followed"
    return f"answered {status} and points elsewhere on the same host: set the final address as url"


def _first_words(content: bytes, receiver: Receiver) -> str:
    """Return the beginning of an answer as one line, with no part of the receiver's address or secrets."""
    text = redacted(" ".join(content.decode(errors="replace").split()), receiver)
    return text if len(text) <= WORDS else text[: WORDS - 1] + "…"


def _no_answer(error: Exception, web: Web) -> NoAnswer:
    """Return why there was no answer, in words that hold nothing of the address."""
    forbidden = next((cause for cause in (error, *causes(error)) if isinstance(cause, Forbidden)), None)
    if forbidden:
        return NoAnswer(forbidden.words, hopeless=True)
    if isinstance(error, requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError):
        return NoAnswer("closed the connection in the middle of its answer")
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return NoAnswer(f"no connection within {web.connect:g} s")
    if isinstance(error, requests.exceptions.Timeout) or any(isinstance(c, TimeoutError) for c in causes(error)):
        return NoAnswer(f"no answer within {web.read:g} s")
    if isinstance(error, requests.exceptions.ConnectionError | OSError) and not isinstance(error, ValueError):
        return NoAnswer(connection_words(error))
    return NoAnswer(f"cannot be sent ({type(error).__name__}): check the receiver's url", hopeless=True)


def connection_words(error: BaseException) -> str:
    """Return what a connection failed of, from the first of its causes that the system named."""
    for cause in (*causes(error), error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {cause.reason or 'no reason given'}"
        if isinstance(cause, socket.gaierror):
            return "its host name is not known"
        if isinstance(cause, OSError) and cause.strerror:
            return f"no connection: {cause.strerror}"
    return "closed the connection without an answer"


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors that an error comes from, the innermost first."""
    for cause in (error.__cause__, error.__context__, *error.args, getattr(error, "reason", None)):
        if isinstance(cause, BaseException):
            yield from causes(cause)
            yield cause
