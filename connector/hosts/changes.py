"""What is new about a host: a service, a role, a user, a user agent that it did not have before. Pure.

Promises: a host that is new itself has no changes; a value is new once, and at most so many changes are
kept, the newest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = dict[str, Any]
MOST = 50
WATCHED = {
    "roles": ("role", "name"),
    "username": ("user", "user"),
    "hostname": ("name", "host"),
    "http.user_agent": ("user agent", "agent"),
    "mac": ("hardware address", "address"),
    "ssh.client": ("SSH client", "software"),
}


def changed(source: Mapping[str, Any] | None, host: Mapping[str, Any]) -> list[Json]:
    """Return the changes of a host: those its document has, and what is in the new profile and was not in the old."""
    if source is None:
        return []
    before = dict(_told(source["host_id"]))
    if not before and not source["host_id"].get("first_seen"):
        return []
    old = [dict(one) for one in source.get("changes", ())]
    known = {(one["what"], one["value"]) for one in old}
    new = [
        {"what": what, "value": value, "time": time}
        for (what, value), time in _told(host)
        if (what, value) not in before and (what, value) not in known
    ]
    return sorted([*old, *new], key=lambda one: (str(one["time"]), one["what"], one["value"]))[-MOST:]


def _told(host: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield what is watched of a profile, and since when it is there."""
    for path, (what, key) in WATCHED.items():
        found: Any = host
        for name in path.split("."):
            found = found.get(name, {})
        for entry in found or ():
            yield (what, str(entry[key])), entry["first_seen"]
    for service in host.get("services", ()):
        first = min(value["first_seen"] for value in service["values"])
        yield ("service", f"{service['proto']}/{service['port']}"), first
