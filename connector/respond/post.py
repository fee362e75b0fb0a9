"""Sends one POST to a receiver over requests; the only place that talks to one.

Promises: TLS is verified; a redirect is followed only to the same scheme, host and port, and stays a POST; an answer
that drips in is left at the deadline; what comes back has no part of the address or secret in it.
Will not: retry, or raise because a receiver misbehaves: that is an outcome.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit

import requests
from requests.utils import get_environ_proxies

from connector import __version__
from connector.respond.decision import Answer, NoAnswer, Outcome, retry_after
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
        with requests.Session() as session:
            session.trust_env = False  # a .netrc is for other programs
            session.verify = receiver.ca_file or True
            try:
                return self._hop(session, request, receiver, HOPS)
            except requests.RequestException as error:
                return _no_answer(error, self)

    def _hop(self, session: requests.Session, request: requests.Request, receiver: Receiver, hops: int) -> Outcome:
        """Return the outcome at the request's address, or at the one it leads to."""
        started, url = time.monotonic(), request.url
        with session.send(
            session.prepare_request(request),
            timeout=(self.connect, self.read),
            proxies=get_environ_proxies(url),
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
            words = _first_words(self._read(response, started), receiver)
            asked = retry_after(response.headers.get("retry-after"), datetime.now(UTC))
            return Answer(response.status_code, "" if response.ok else words, asked)

    def _read(self, response: requests.Response, started: float) -> bytes:
        """Return the beginning of the answer's body; ReadTimeout after the deadline."""
        got = b""
        for part in response.iter_content(8192):
            got += part
            if len(got) >= MOST_READ:
                break
            if time.monotonic() - started > self.deadline:
                raise requests.ReadTimeout
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
    """Return the beginning of an answer as one line, with no part of the receiver's address or secret."""
    text = " ".join(content[: 4 * WORDS].decode(errors="replace").split())
    split = urlsplit(receiver.url)
    secrets = (receiver.url, split.path, split.query, split.username, split.password, receiver.secret)
    for secret in secrets:
        if secret and len(secret) > 3:
            text = text.replace(secret, "…")
    return text if len(text) <= WORDS else text[: WORDS - 1] + "…"


def _no_answer(error: requests.RequestException, web: Web) -> NoAnswer:
    """Return why there was no answer, in words that hold nothing of the address."""
    if isinstance(error, requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError):
        return NoAnswer("closed the connection in the middle of its answer")
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return NoAnswer(f"no connection within {web.connect:g} s")
    if isinstance(error, requests.exceptions.Timeout) or any(isinstance(c, TimeoutError) for c in _causes(error)):
        return NoAnswer(f"no answer within {web.read:g} s")
    if isinstance(error, requests.exceptions.ConnectionError):
        return NoAnswer(_connection_words(error))
    return NoAnswer(f"cannot be sent ({type(error).__name__}): check the receiver's url", hopeless=True)


def _connection_words(error: BaseException) -> str:
    """Return what a connection failed of, from the first of its causes that the system named."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {cause.reason or 'no reason given'}"
        if isinstance(cause, socket.gaierror):
            return "its host name is not known"
        if isinstance(cause, OSError) and cause.strerror:
            return f"no connection: {cause.strerror}"
    return "closed the connection without an answer"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors that an error comes from, the innermost first."""
    for cause in (error.__cause__, error.__context__, *error.args, getattr(error, "reason", None)):
        if isinstance(cause, BaseException):
            yield from _causes(cause)
            yield cause
