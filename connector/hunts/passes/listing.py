"""Findings as they are listed: newest first, or counted by the values of a field.

Promises: what is left out of a list is counted in it. Will not: write.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from connector.errors import Refused
from connector.hunts.asking.questions import Json
from connector.hunts.catalogue.hunt import Hunt
from connector.settings.model import Settings
from connector.siem.client import Siem

LIMIT = 1000
IDS = 10_000  # ids of findings in one page
NAMED = 3  # findings a message names
KEPT = ("status", "count", "first", "last", "made", "updated", "values", "cut", "events_not_kept")
INNER = ["settled", "windows", "terms", "client", "server"]  # how a finding is kept, of no use to who reads it


@dataclass(frozen=True)
class Finding:
    """One finding: its hunt by name and id, the values of its group, how many events, and whose they are.

    `department` and `network` are those of the host the finding is about: the client if it is grouped by client.
    `values` has what the hunt shows, `cut` names fields of which it has only the first values. `events` are there when
    they were asked for; `events_not_kept` counts those that the finding has no reference to.
    """

    id: str
    hunt: str
    hunt_id: str
    title: str
    severity: str
    status: str
    group: Mapping[str, str | None]
    count: int
    first: str | None
    last: str | None
    department: Sequence[str]
    network: Sequence[str]
    made: str
    updated: str
    values: Mapping[str, Sequence[str]]
    cut: Sequence[str]
    events_not_kept: int
    events: Sequence[Json] = ()


@dataclass(frozen=True)
class Findings:
    """The newest findings, and how many more there are."""

    findings: tuple[Finding, ...]
    left_out: int


@dataclass(frozen=True)
class ByValue:
    """What the findings with one value of a field add up to; None is for findings without a value."""

    value: str | None
    findings: int
    hunts: tuple[str, ...]
    count: int
    first: str | None
    last: str | None


@dataclass(frozen=True)
class Counted:
    """All findings by the values of a field; a finding with several values counts for each.

    `cut` findings have more values than they keep, and are missing under those.
    """

    field: str
    values: tuple[ByValue, ...]
    cut: int


def list_findings(
    siem: Siem, settings: Settings, hunt: Hunt | None = None, *, limit: int = LIMIT, events: bool = False
) -> Findings:
    """Return the findings of a hunt, or of all, newest first; with `events` their references to events too."""
    index, query = settings.state("findings"), _query(hunt)
    body = {
        "query": query,
        "sort": [{"last": "desc"}],
        "_source": {"excludes": INNER if events else [*INNER, "events"]},
    }
    found = tuple(_finding(hit["_id"], hit["_source"]) for hit in islice(siem.scan(index, body), limit))
    return Findings(found, siem.count(index, query) - len(found))


def find_finding(siem: Siem, settings: Settings, beginning: str) -> Finding:
    """Return the finding whose id begins so, without references to events; Refused if there is none, or several."""
    index, body = settings.state("findings"), {"query": {"match_all": {}}, "_source": False}
    stored = siem.get(index, beginning) if beginning else None
    if stored is None:  # no engine looks for the beginning of an id
        ids = sorted(hit["_id"] for hit in siem.scan(index, body, IDS) if hit["_id"].startswith(beginning))
        if len(ids) > 1:
            named = ", ".join(ids[:NAMED]) + (f" and {len(ids) - NAMED} more" if len(ids) > NAMED else "")
            raise Refused(f"{len(ids)} findings have an id that begins with {beginning}: {named}: give more of it")
        stored = siem.get(index, ids[0]) if ids else None
    if stored is None:
        raise Refused(f"there is no finding whose id begins with {beginning}: `hunts findings` lists them")
    return _finding(stored.id, {**stored.source, "events": ()})


def count_findings(siem: Siem, settings: Settings, field: str, hunt: Hunt | None = None) -> Counted:
    """Return the findings of a hunt, or of all, by the values of a field, most events first."""
    body = {"query": _query(hunt), "_source": {"excludes": [*INNER, "events"]}}
    rows: dict[str | None, list[Json]] = defaultdict(list)
    cut = 0
    for hit in siem.scan(settings.state("findings"), body):
        source = hit["_source"]
        cut += field in source["cut"]
        for value in source["values"].get(field) or [source["group"].get(field)]:
            rows[value].append(source)
    values = [_by_value(value, sources) for value, sources in rows.items()]
    return Counted(field, tuple(sorted(values, key=lambda row: (-row.count, row.value or ""))), cut)


def _query(hunt: Hunt | None) -> Json:
    """Return the query for the findings of a hunt, or of all."""
    return {"term": {"hunt.id": hunt.id}} if hunt else {"match_all": {}}


def _finding(id: str, source: Json) -> Finding:
    """Return a document as a finding."""
    hunt, values = source["hunt"], source["values"]
    group = {name: source["group"].get(name) for name in source["group_by"]}  # engines give keys in any order
    return Finding(
        id=id,
        hunt=hunt["name"],
        hunt_id=hunt["id"],
        title=hunt["title"],
        severity=hunt["severity"],
        group=group,
        department=about(group, values, "department"),
        network=about(group, values, "network"),
        events=source.get("events", ()),
        **{name: source[name] for name in KEPT},
    )


def about(group: Mapping[str, Any], values: Mapping[str, Sequence[str]], name: str) -> Sequence[str]:
    """Return the department or network of the host a finding is about.

    That is the client if the finding is grouped by client, else the server if it is known.
    """
    by_client = any(field.startswith("hunt.client.") for field in group)
    side = "server" if not by_client and "hunt.server.network" in values else "client"
    return values.get(f"hunt.{side}.{name}", ())


def _by_value(value: str | None, sources: Sequence[Json]) -> ByValue:
    """Return what the findings with one value add up to."""
    return ByValue(
        value=value,
        findings=len(sources),
        hunts=tuple(sorted({source["hunt"]["name"] for source in sources})),
        count=sum(source["count"] for source in sources),
        first=min((source["first"] for source in sources if source["first"]), default=None),
        last=max((source["last"] for source in sources if source["last"]), default=None),
    )
