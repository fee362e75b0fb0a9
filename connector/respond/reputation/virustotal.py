"""Asks VirusTotal about one value over requests; the only place that talks to it.

Promises: TLS is verified; the key travels in a header, to the address of the settings alone: no redirect is followed;
an answer that drips in or is too large is left. What went wrong is a `Trouble`, never an error, and has no part of the
key in it. Will not: count questions (`quota.py` does), keep answers, or ask twice.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import requests
from requests.utils import get_environ_proxies

from connector import __version__
from connector.respond.deliveries.decision import retry_after
from connector.respond.reputation.answer import UNKNOWN, Answer, answer_of
from connector.respond.reputation.values import Value
from connector.settings.model import ReputationSettings

CONNECT, READ, DEADLINE = 4.0, 8.0, 12.0
MOST_READ = 4 * 1024 * 1024
PATHS = {"domain": "domains", "ip": "ip_addresses", "file": "files"}
MEANINGS = {
    400: "it does not take this value",
    401: "it does not accept the key: check HUNTS_VIRUSTOTAL_KEY or reputation.virustotal_key_file",
    403: "it does not let this key ask: check HUNTS_VIRUSTOTAL_KEY or reputation.virustotal_key_file",
    429: "its quota is used up",
}
OF_THIS_VALUE = 400  # trouble of the one value, not of all


@dataclass(frozen=True)
class Trouble:
    """Why there is no answer, how long to leave VirusTotal alone at least, and whether others may be asked of it."""

    why: str
    wait: timedelta | None = None
    of_this_value: bool = False


@dataclass(frozen=True)
class VirusTotal:
    """The real VirusTotal, or what stands in for it; the time-outs are in seconds."""

    connect: float = CONNECT
    read: float = READ
    deadline: float = DEADLINE

    def ask(self, settings: ReputationSettings, value: Value) -> Answer | Trouble:
        """Return what VirusTotal knows of a value, which may be nothing, or why it does not say."""
        logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # others need not read what is looked up
        url = f"{settings.url.rstrip('/')}/api/v3/{PATHS[value.kind]}/{quote(value.text, safe='')}"
        headers = {"x-apikey": settings.key or "", "accept": "application/json", "user-agent": _AGENT}
        with requests.Session() as session:
            session.trust_env = False  # a .netrc is for other programs
            try:
                return self._get(session, url, headers, settings.ca_file or True)
            except requests.RequestException as error:
                return Trouble(f"VirusTotal could not be asked: {_words(error)}")

    def _get(
        self, session: requests.Session, url: str, headers: dict[str, str], verify: str | bool
    ) -> Answer | Trouble:
        """Return what one GET gives; requests' errors if there is no answer."""
        started = time.monotonic()
        with session.get(
            url,
            headers=headers,
            timeout=(self.connect, self.read),
            proxies=get_environ_proxies(url),
            allow_redirects=False,
            stream=True,
            verify=verify,
        ) as response:
            if response.status_code == 404:
                return UNKNOWN if _is_v3_error(self._read(response, started)) else _no_v3()
            if response.status_code != 200:
                return _refusal(response)
            return answer_of(_decoded(self._read(response, started))) or _no_v3()

    def _read(self, response: requests.Response, started: float) -> bytes:
        """Return the body; empty if it is too large, ReadTimeout after the deadline."""
        got = b""
        for part in response.iter_content(65_536):
            got += part
            if len(got) > MOST_READ:
                return b""
            if time.monotonic() - started > self.deadline:
                raise requests.ReadTimeout
        return got


_AGENT = f"guided-hunts/{__version__}"


def _decoded(body: bytes) -> object:
    """Return the JSON of a body; None if it is none."""
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found


def _is_v3_error(body: bytes) -> bool:
    """Tell whether a body is an error as API v3 has it; a 404 of something else on the way says nothing of a value."""
    found = _decoded(body)
    return isinstance(found, dict) and isinstance(found.get("error"), dict)


def _no_v3() -> Trouble:
    """Return the trouble of an answer that is not VirusTotal's."""
    return Trouble("what answers at reputation.url does not speak VirusTotal's API v3")


def _refusal(response: requests.Response) -> Trouble:
    """Return the trouble that a status means."""
    status = response.status_code
    meaning = MEANINGS.get(status, "it has a fault of its own" if status >= 500 else "that is no answer of API v3")
    wait = retry_after(response.headers.get("retry-after"), datetime.now(UTC))
    return Trouble(f"VirusTotal answered {status}: {meaning}", wait, of_this_value=status == OF_THIS_VALUE)


def _words(error: requests.RequestException) -> str:
    """Return why there was no answer, without anything of the request."""
    if isinstance(error, requests.exceptions.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted, or TLS failed"
    return "no connection" if isinstance(error, requests.exceptions.ConnectionError) else type(error).__name__
