"""The part of a host's profile that is evidence: names, users, roles, services, and what was new on it; pure.

Promises: bounded, and what is left out is counted; names and users are those that were seen around the time, as an
address can be another host's later. Will not: search.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from connector.respond.evidence.around import LEASES
from connector.respond.evidence.asking import Span
from connector.respond.evidence.model import Host, Profile, Trait
from connector.respond.evidence.reading import moment, short

Json = Mapping[str, Any]
MOST = {"names": 20, "users": 20, "roles": 20, "services": 50, "changes": 20}
MOST_SEEN = 5  # of a service
SEEN = ("first_seen", "last_seen")


def with_profile(host: Host, document: Json, span: Span) -> Host:
    """Return a host with its profile, as it is stored, for a time; names, users and roles are those of both."""
    profile = profile_of(document, span)
    return replace(
        host,
        names=_both(host.names, profile.names),
        users=_both(host.users, profile.users),
        roles=_both(host.roles, profile.roles),
        profile=profile,
    )


def profile_of(document: Json, span: Span) -> Profile:
    """Return what is kept of a profile for a time, in the profile's order; changes are the newest first."""
    own = document["host_id"]
    changes = [Trait(short(one["value"]), (one["what"],), one["time"], None) for one in document.get("changes", ())]
    parts = {
        "names": _during(_traits(own.get("hostname", ()), "host", "source"), span),
        "users": _during(_traits(own.get("username", ()), "user", "source"), span),
        "roles": _traits(own.get("roles", ()), "name", "rule"),
        "services": [_service(one) for one in own.get("services", ())],
        "changes": sorted(changes, key=lambda one: one.first or "", reverse=True),
    }
    left = {name: len(found) - MOST[name] for name, found in parts.items() if len(found) > MOST[name]}
    some = {name: tuple(found[: MOST[name]]) for name, found in parts.items()}
    return Profile(document["updated"], own.get("first_seen"), own.get("last_seen"), **some, left_out=left)


def _traits(entries: Iterable[Json], key: str, by: str) -> list[Trait]:
    """Return the entries of a list of a profile, in their order."""
    return [_trait(one[key], one.get(by, ()), one) for one in entries]


def _trait(value: str, by: str | Sequence[str], seen: Json) -> Trait:
    """Return a value with how it is known, and when it was seen."""
    ways = (by,) if isinstance(by, str) else tuple(by)
    return Trait(short(value), tuple(map(short, ways)), seen.get("first_seen"), seen.get("last_seen"))


def _service(entry: Json) -> Trait:
    """Return a service by transport and port, with what was seen there."""
    values = [one for one in entry["values"] if one]
    said = [f"{name} {value}" for one in values for name, value in one.items() if name not in SEEN]
    said = [text.removeprefix("app_proto ") for text in said]
    more = [f"… {len(said) - MOST_SEEN} more"] if len(said) > MOST_SEEN else []
    seen = {
        "first_seen": min((one["first_seen"] for one in values), default=None),
        "last_seen": max((one["last_seen"] for one in values), default=None),
    }
    return _trait(f"{entry['proto']}/{entry['port']}", [*said[:MOST_SEEN], *more], seen)


def _during(traits: Iterable[Trait], span: Span) -> list[Trait]:
    """Return what was seen in a time, or as long before it as a lease may last."""
    start = span.start - LEASES if span.start else None
    return [
        one
        for one in traits
        if not (start and (last := moment(one.last)) and last < start)
        and not (span.end and (first := moment(one.first)) and first >= span.end)
    ]


def _both(said: Sequence[str], traits: Iterable[Trait]) -> tuple[str, ...]:
    """Return what events say, and what the profile has besides: it writes in lower case."""
    known = {text.lower() for text in said}
    return (*said, *(one.value for one in traits if one.value.lower() not in known))
