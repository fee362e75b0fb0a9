"""The `service` part of `hunts.yml`: how often it looks, how far back, how hard it may ask, and where it is seen.

Promises: every time lies within bounds that work together; an address to listen at is whole. Will not: listen.
"""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

from connector.errors import Problem
from connector.settings.durations import duration, duration_or_zero, span
from connector.settings.model import ServiceSettings
from connector.settings.part import Part

OFF = "off"
HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?")
LISTEN = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:\[\]/]+)):(?P<port>[0-9]{1,5})")
DAY = timedelta(days=1)
# the shortest and the longest that each time may be
BOUNDS = {
    "every": (timedelta(seconds=1), DAY),
    "lag": (timedelta(), DAY),
    "lease": (timedelta(seconds=5), timedelta(hours=1)),
    "audit_every": (timedelta(seconds=1), DAY),
    "audit_back": (timedelta(), 30 * DAY),
    "keep_runs": (timedelta(hours=1), 3650 * DAY),
}


def service_of(part: Part, problems: list[Problem]) -> ServiceSettings:
    """Return how the service works; what is wrong is added to `problems`, and what is not said has its default."""
    known = ServiceSettings()
    given: dict[str, Any] = {key: _time(part, key, getattr(known, key), problems) for key in BOUNDS}
    given |= {key: _number(part, key, getattr(known, key)) for key in ("searches_at_once", "requests_per_second")}
    given |= {"newest_first": part.at("newest_first").value is True, "listen": _listen(part, known.listen, problems)}
    service = ServiceSettings(**given)
    if service.keep_runs < service.audit_back:
        where = part.at("audit_back" if part.text("audit_back") else "keep_runs")
        words = f"does not fit: the ledger is kept {span(service.keep_runs)}, the audit goes back"
        problems.append(where.problem(f"{words} {span(service.audit_back)}: make keep_runs as long at least"))
    return service


def _time(part: Part, key: str, default: timedelta, problems: list[Problem]) -> timedelta:
    """Return the time under the key; the default if there is none, or one out of bounds, which is a problem."""
    least, most = BOUNDS[key]
    time = (duration if least else duration_or_zero)(part.text(key) or "")
    if time is None:
        return default
    if least <= time <= most:
        return time
    problems.append(part.at(key).problem(f"is {span(time)}: it must lie between {span(least)} and {span(most)}"))
    return default


def _number(part: Part, key: str, default: int) -> int:
    """Return the whole number under the key, the default if there is none; 8.0 is one, as it is to the schema."""
    value = part.at(key).value
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return int(value) if whole else default


def _listen(part: Part, default: str | None, problems: list[Problem]) -> str | None:
    """Return the address to listen at, None for `off`."""
    text = part.text("listen")
    if text is None or text == OFF:
        return None if text else default
    if not _is_address(text):
        words = "write it like 127.0.0.1:9518 or [::1]:9518, or off"
        problems.append(part.at("listen").problem(f"is {text!r}, which is no address to listen at: {words}"))
    return text


def _is_address(text: str) -> bool:
    """Tell whether a text is a host, or an address, with a port."""
    found = LISTEN.fullmatch(text)
    if not found or not 0 < int(found["port"]) < 65536:
        return False
    if found["host"] and not re.fullmatch(r"[0-9.]+", found["host"]):
        return bool(HOST.fullmatch(found["host"]))
    try:
        return ip_address(found["v6"] or found["host"]).version == (6 if found["v6"] else 4)
    except ValueError:
        return False
