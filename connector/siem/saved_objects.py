"""Saved objects into OpenSearch Dashboards or Kibana, over the import API that both have.

Promises: TLS is verified; credentials go to the one address and no redirect is followed; what is there already is
replaced only if that was asked for; an answer is an object or an error of `connector.errors` with no secret in it. Will
not: know what the objects are.

API (Kibana 7.10 and later, OpenSearch Dashboards 1 and later), all below `/api/saved_objects`: `POST _import`, a file
of NDJSON; `GET _find`, by type and page; `DELETE {type}/{id}`.
"""

from __future__ import annotations

import json
import logging
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from connector import __version__
from connector.errors import NotAllowed, NotThere, Overloaded, Refused, Rejected, Unreachable
from connector.settings.model import DashboardsSettings

TIMEOUT = (10.0, 120.0)
MOST_READ = 4_000_000
OPENSEARCH, KIBANA = "OpenSearch Dashboards", "Kibana"
OLDEST = {OPENSEARCH: (1, 0), KIBANA: (7, 10)}
CONFLICTS = ("conflict", "ambiguous_conflict")
PAGE, PAGES = 1000, 10  # objects of a type can be asked for up to the ten-thousandth
Json = dict[str, Any]


@dataclass(frozen=True)
class Desk:
    """What answers at the address: which of the two products, and its version."""

    product: str
    version: str

    def __str__(self) -> str:
        """Return both for people."""
        return f"{self.product} {self.version}"


@dataclass(frozen=True)
class Failed:
    """One object that was not taken: which, what is wrong, and what the product says of it."""

    type: str
    id: str
    kind: str
    words: str = ""

    @property
    def is_conflict(self) -> bool:
        """Tell whether there is such an object already."""
        return self.kind in CONFLICTS


@dataclass(frozen=True)
class Imported:
    """What an import came to: how many were taken, and those that were not."""

    desk: Desk
    taken: int
    failed: tuple[Failed, ...]


@dataclass(frozen=True)
class Held:
    """One object that is there: which, its title, and type and id of what it refers to."""

    type: str
    id: str
    title: str
    refers: frozenset[tuple[str, str]] = frozenset()

    @property
    def key(self) -> tuple[str, str]:
        """Return type and id."""
        return self.type, self.id


class SavedObjects:
    """The saved objects at one address; close it or use it in a with statement."""

    def __init__(self, settings: DashboardsSettings) -> None:
        """Prepare the session; nothing is sent."""
        logging.getLogger("urllib3").setLevel(logging.CRITICAL)
        self._base = settings.url.rstrip("/")
        self._space = f"/s/{quote(settings.space, safe='')}" if settings.space not in ("", "default") else ""
        self._session = requests.Session()
        self._session.trust_env = False  # a .netrc is for other programs
        self._session.verify = settings.ca_file or True
        # each product asks for its own header and takes no notice of the other's
        headers = {"osd-xsrf": "true", "kbn-xsrf": "true", "user-agent": f"guided-hunts/{__version__}"}
        if settings.tenant:
            headers["securitytenant"] = settings.tenant
        if settings.api_key:
            headers["authorization"] = f"ApiKey {settings.api_key}"
        self._session.headers.update(headers)
        if settings.username and not settings.api_key:
            login = f"{settings.username}:{settings.password or ''}".encode()
            self._session.headers["authorization"] = f"Basic {b64encode(login).decode()}"

    def __enter__(self) -> SavedObjects:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._session.close()

    def desk(self) -> Desk:
        """Return which product answers; Refused if it is too old or neither of the two, SiemError if none does."""
        answer, headers = self._call("GET", "/api/status")
        version = answer.get("version", {})
        number = str(version.get("number", "") if isinstance(version, Mapping) else version)
        if "osd-name" in headers:
            product = OPENSEARCH
        elif "kbn-name" in headers or "kbn-license-sig" in headers or number.startswith(("7.", "8.", "9.")):
            product = KIBANA
        else:
            product = OPENSEARCH if number.startswith(("1.", "2.", "3.")) else ""
        found = re.match(r"(\d+)\.(\d+)", number)
        if not product or not found:
            raise Refused("what answers there is neither OpenSearch Dashboards nor Kibana: check the address")
        desk = Desk(product, number)
        if (int(found[1]), int(found[2])) < OLDEST[product]:
            oldest = ".".join(map(str, OLDEST[product]))
            raise Refused(f"{desk} is too old for these dashboards: they need {product} {oldest} or later")
        return desk

    def put(self, ndjson: str, overwrite: bool) -> Imported:
        """Return what importing a file of objects came to; Refused or SiemError if nothing could be imported."""
        desk = self.desk()
        if desk.product == KIBANA and "securitytenant" in self._session.headers:
            raise Refused("Kibana has spaces and no tenants: set dashboards.space instead of dashboards.tenant")
        if desk.product == OPENSEARCH and self._space:
            raise Refused("OpenSearch Dashboards has tenants and no spaces: set dashboards.tenant instead of .space")
        file = {"file": ("guided-hunts.ndjson", ndjson.encode(), "application/ndjson")}
        path = f"{self._space}/api/saved_objects/_import"
        answer, _ = self._call("POST", path, params={"overwrite": "true"} if overwrite else {}, files=file)
        return Imported(desk, int(answer.get("successCount", 0)), _failures(answer))

    def held(self, types: Sequence[str]) -> tuple[Held, ...]:
        """Return all objects of some types; Refused if there are more than can be asked for, or another SiemError."""
        found: list[Held] = []
        for kind in types:
            for page in range(1, PAGES + 1):
                asked = {"type": kind, "fields": "title", "per_page": PAGE, "page": page}
                answer, _ = self._call("GET", f"{self._space}/api/saved_objects/_find", params=asked)
                some = answer.get("saved_objects") or []
                found += map(_held, some)
                if len(some) < PAGE:
                    break
            else:
                raise Refused(f"there are more than {PAGE * PAGES:,} objects of type {kind}")
        return tuple(found)

    def remove(self, one: Held) -> None:
        """Remove an object, which may be gone already. Raises SiemError."""
        with suppress(NotThere):
            self._call("DELETE", f"{self._space}/api/saved_objects/{one.type}/{quote(one.id, safe='')}")

    def _call(self, method: str, path: str, **options: Any) -> tuple[Json, Mapping[str, str]]:
        """Return the decoded answer and its headers. Raises SiemError."""
        call = f"{method} {path}"
        try:
            with self._session.request(
                method, self._base + path, timeout=TIMEOUT, allow_redirects=False, stream=True, **options
            ) as response:
                body = response.raw.read(MOST_READ, decode_content=True)
                found = _decoded(body, response)
                if response.status_code != 200:
                    raise _refusal(response.status_code, call, found)
                return found, response.headers
        except requests.exceptions.SSLError as error:
            raise Unreachable(f"{call}: the certificate is not trusted: set dashboards.ca_file") from error
        except (requests.RequestException, OSError) as error:
            words = f"{call}: no answer from the dashboards ({type(error).__name__}): is the address right?"
            raise Unreachable(words) from error


def _decoded(body: bytes, response: requests.Response) -> Json:
    """Return the object of an answer; Refused if a good answer has none."""
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    if response.status_code == 200:
        raise Refused("what answers there is neither OpenSearch Dashboards nor Kibana: check the address")
    return {}


def _refusal(status: int, call: str, body: Json) -> Exception:
    """Return the error for a status that is not 200."""
    words = str(body.get("message") or body.get("error") or "no reason given")[:500]
    said = f"{call} was answered with {status}: {words}"
    if status in (401, 403):
        return NotAllowed(f"{said} (check the login of `dashboards` in hunts.yml, or of `siem`, and its rights)")
    if status // 100 == 3:
        return Refused(f"{call} was answered with {status}, to go elsewhere: set the address that it leads to")
    if status == 404:
        return NotThere(f"{said} (check the address, with its base path, and the space)")
    if "more recent version" in words:
        return Refused(f"{said}: this version is older than the objects; bring the dashboards up to date")
    return Overloaded(said) if status in (429, 502, 503, 504) else Rejected(said)


def _held(found: Json) -> Held:
    """Return an object as it is found."""
    references = frozenset((str(each.get("type")), str(each.get("id"))) for each in found.get("references") or [])
    title = str((found.get("attributes") or {}).get("title", ""))
    return Held(str(found.get("type", "")), str(found.get("id", "")), title, references)


def _failures(answer: Json) -> tuple[Failed, ...]:
    """Return the objects that were not taken."""
    found = []
    for error in answer.get("errors") or []:
        why = error.get("error") if isinstance(error.get("error"), dict) else {}
        words = why.get("message") or ", ".join(
            f"needs {each.get('type')} {each.get('id')}" for each in why.get("references") or []
        )
        kind = str(why.get("type", "unknown"))
        found.append(Failed(str(error.get("type", "")), str(error.get("id", "")), kind, str(words)[:300]))
    return tuple(found)
