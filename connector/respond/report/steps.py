"""What can be a step of the thread: a finding, an alert, a stored file; each with what it tells and could share; pure.

Will not: search, or know the other steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.respond.evidence.model import Event, Others
from connector.respond.evidence.reading import Found
from connector.respond.report.model import SEVERITIES, LaneName, Step, StepKind
from connector.respond.report.texts import moment, shown, written
from connector.settings.model import Dialect

Json = dict[str, Any]
FACTS, VALUES = 9, 5
# what a step can share with another: the fields that hold it
SHARED = {
    "name": ("hostname_info.host", "tls.sni", "quic.sni", "http.hostname", "hunt.dns.rrname"),
    "server": ("hunt.server.ip", "hunt.resolver.ip"),
    "file": ("fileinfo.sha256", "fileinfo.md5"),
}
# fields that tell what happened, before all others of a finding
TELLING = (
    *("alert.signature", "fileinfo.filename", "hostname_info.host", "tls.sni", "hunt.resolver.ip"),
    *("hunt.resolver.provider", "fileinfo.magic", "fileinfo.size", "fileinfo.sha256", "http.url"),
    *("http.http_user_agent", "hunt.server.ip", "dest_port", "tls.version", "tls.ja4", "tls.ja3.hash", "tls.subject"),
)
# said of the host already, or of no use without the rest of the event
NOT_TOLD = (
    "hunt.client.",
    "hunt.server.department",
    "hunt.server.network",
    "hunt.server.scope",
    "hostname_info.domain",
)
BY_PRIORITY = {"1": "high", "2": "medium", "3": "low"}  # of a rule, as Suricata's alerts have it


@dataclass(frozen=True)
class Draft:
    """A step without a number and ties, and all values it has by field."""

    step: Step
    values: Mapping[str, Sequence[str]]

    @property
    def shared(self) -> list[tuple[str, str]]:
        """Return the values that another step may share, each once, with what they are."""
        pairs = ((what, value) for what, names in SHARED.items() for n in names for value in self.values.get(n, ()))
        return list(dict.fromkeys(pairs))


def of_finding(id: str, source: Json, subject: bool) -> Draft:
    """Return a finding as a step."""
    hunt, values = source["hunt"], source["values"]
    group = {name: [str(value)] for name, value in source["group"].items() if value is not None}
    events = source.get("events", ())
    step = Step(
        number=0,
        kind="finding",
        lane=_lane(hunt["family"], {*group, *values}),
        id=id,
        hunt=hunt["name"],
        title=hunt["title"],
        severity=hunt["severity"],
        status=source["status"],
        events=source["count"],
        first=source["first"],
        last=source["last"],
        subject=subject,
        facts=_facts({**values, **group}),
        times=tuple(event["time"] for event in events if event["time"]),
        places=tuple((event["index"], event["id"]) for event in events),
    )
    return Draft(step, {**values, **group})


def _lane(family: str, fields: Iterable[str]) -> LaneName:
    """Return the lane of the timeline that a finding is in, by the family of its hunt and the fields it has."""
    starts = {name.split(".")[0] for name in fields}
    if family == "c2":
        return "beacons"
    if "alert" in starts:
        return "alerts"
    if "fileinfo" in starts:
        return "files"
    if "hunt.resolver.ip" in fields or family == "dns":
        return "dns"
    return "web" if starts & {"http", "tls", "quic"} else "other"


def _facts(values: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return the fields that tell most, each with its first values."""
    known = [name for name in TELLING if values.get(name)]
    rest = [name for name, found in values.items() if found and name not in TELLING and not name.startswith(NOT_TOLD)]
    return {name: some_of(values[name]) for name in [*known, *sorted(rest)][:FACTS]}


def some_of(found: Sequence[str]) -> tuple[str, ...]:
    """Return the first of the values, and how many more there are."""
    more = [f"… {len(found) - VALUES} more"] if len(found) > VALUES else []
    return (*(shown(value) for value in found[:VALUES]), *more)


def beside(events: Iterable[Event], others: Others | None, taken: set[tuple[str, str]]) -> Iterator[Draft]:
    """Yield a step for each signature and each stored file of events, and of the others, that no finding has."""
    groups: dict[tuple[StepKind, str], list[Found]] = {}
    known: set[tuple[StepKind, str]] = set()
    for event in (*events, *(others.events if others else ())):
        found = as_found(event)
        for key in _kinds(found):
            groups.setdefault(key, []).append(found)
            if found.place in taken:
                known.add(key)
    for (kind, value), own in groups.items():
        if (kind, value) not in known:
            count = others.alerts.get(value, 0) if others and kind == "alert" else 0
            yield _of_events(kind, value, sorted(own, key=_age), count)


def as_found(event: Event) -> Found:
    """Return an event of evidence as one whose fields can be asked for in either dialect."""
    dialect: Dialect = "ecs" if "suricata" in event.source else "eve"
    return Found(event.index, event.id, moment(event.time), event.source, dialect)


def _kinds(event: Found) -> Iterator[tuple[StepKind, str]]:
    """Yield what an event is a step for: its signature, or the file that was stored."""
    if event.kind == "alert" and (signature := event.text("alert.signature")):
        yield "alert", signature
    if event.kind == "fileinfo" and "true" in event.texts("fileinfo.stored"):
        yield "file", event.text("fileinfo.sha256") or event.text("fileinfo.filename")


def _of_events(kind: StepKind, value: str, events: Sequence[Found], count: int) -> Draft:
    """Return the events of a signature or a file as a step."""
    first = events[0]
    names = ("alert.category", "alert.signature_id") if kind == "alert" else ("fileinfo.magic", "fileinfo.sha256")
    fields = (*names, "fileinfo.filename", "hostname_info.host", "http.url", "hunt.server.ip")
    values = {name: sorted({text for event in events for text in event.texts(name)}) for name in fields}
    title = f"Alert: {value}" if kind == "alert" else f"File stored: {first.text('fileinfo.filename') or value}"
    times = tuple(written(event.time) for event in events if event.time)
    step = Step(
        number=0,
        kind=kind,
        lane="alerts" if kind == "alert" else "files",
        id="",
        hunt="",
        title=shown(title),
        severity=BY_PRIORITY.get(first.text("alert.severity"), "informational") if kind == "alert" else "informational",
        status="",
        events=max(count, len(events)),
        first=times[0] if times else None,
        last=times[-1] if times else None,
        subject=False,
        facts=_facts(values),
        times=times,
        places=tuple(event.place for event in events),
    )
    return Draft(step, values)


def _age(event: Found) -> tuple[str, str]:
    """Return what puts events in the order of time."""
    return event.time.isoformat() if event.time else "", event.id


def gravity(severity: str) -> int:
    """Return how grave a severity is."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else 0
