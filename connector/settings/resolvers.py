"""The DNS policy: `resolvers.yml` as approved resolvers and exceptions.

Promises: an address is approved once, every date is a real day. Will not: judge an event; the enrichment does, at the
event's own time, so an exception that has ended stays for the events before its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from connector.errors import Problem
from connector.settings.addresses import read_ranges
from connector.settings.model import AnyNetwork, ApprovedResolver, PolicyException
from connector.settings.part import Part

RECURSION = ("root", "authoritative")


def approved_of(root: Part, problems: list[Problem]) -> tuple[ApprovedResolver, ...]:
    """Return the approved resolvers of the file; what is wrong is added to `problems`."""
    resolvers, seen = [], dict[AnyNetwork, Part]()
    for part in root.items("approved"):
        ranges = read_ranges([*part.texts("address"), *part.texts("addresses")], problems)
        problems.extend(_twice(ranges, seen))
        asked = part.texts("upstreams")
        upstreams = read_ranges((p for p in asked if p.value not in RECURSION), problems)
        resolvers.append(
            ApprovedResolver(
                name=part.text("name") or part.name,
                addresses=tuple(network for _, network in ranges),
                upstreams=tuple(network for _, network in upstreams),
                may_recurse=any(p.value in RECURSION for p in asked),
            )
        )
    return tuple(resolvers)


def _twice(ranges: list[tuple[Part, AnyNetwork]], seen: dict[AnyNetwork, Part]) -> Iterator[Problem]:
    """Yield a problem for each address that was approved before, and note the new ones in `seen`."""
    for where, network in ranges:
        if network in seen:
            yield where.problem(f"approves {network} again, after line {seen[network].line}: keep one of them")
        seen.setdefault(network, where)


def exceptions_of(root: Part, problems: list[Problem]) -> tuple[PolicyException, ...]:
    """Return the exceptions of the file; what is wrong is added to `problems`."""
    found = []
    for part in root.items("exceptions"):
        client = read_ranges(part.texts("client"), problems)
        resolver = read_ranges(part.texts("resolver"), problems)
        until = _day(part.at("until"), problems)
        if client and resolver:
            words = part.text("owner") or "", part.text("reason") or ""
            found.append(PolicyException(client[0][1], resolver[0][1], part.text("protocol"), until, *words))
    return tuple(found)


def _day(part: Part, problems: list[Problem]) -> date | None:
    """Return the day at this part, None without one; a date that is none is added to `problems`."""
    if not isinstance(part.value, str):
        return None
    try:
        day = date.fromisoformat(part.value)
    except ValueError:
        day = None
    if day and day.isoformat() == part.value:  # weeks and dates without dashes are ISO 8601 too
        return day
    problems.append(part.problem(f"is {part.value!r}, which is no day: write it as YYYY-MM-DD"))
    return None
