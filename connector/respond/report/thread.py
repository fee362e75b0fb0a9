"""The thread: what all hunts found on the same asset around the same time, in the order of time, and how it hangs
together: the names, servers and files that one step shares with an earlier one.

Alerts and stored files that no finding has are steps as well. Promises: the gravest are kept where there are too many,
and the rest is counted. Will not: write anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from connector.respond.evidence.around import USER_FIELDS, around
from connector.respond.evidence.asking import Span
from connector.respond.evidence.model import Event, Evidence
from connector.respond.evidence.reading import Found
from connector.respond.report.model import SEVERITIES, LaneName, Step, StepKind, Thread, Tie
from connector.respond.report.texts import moment, shown, written
from connector.settings.model import Dialect, Settings
from connector.siem.client import Siem

Json = dict[str, Any]
MOST_READ, MOST_STEPS = 500, 30
FACTS, VALUES = 9, 5
TIED = 6
ADDRESSES = ("hunt.client.ip", "hunt.server.ip", "hunt.resolver.ip")
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
class _Draft:
    """A step without a number and ties, and all values it has by field."""

    step: Step
    values: Mapping[str, Sequence[str]]

    @property
    def shared(self) -> list[tuple[str, str]]:
        """Return the values that another step may share, each once, with what they are."""
        pairs = ((what, value) for what, names in SHARED.items() for n in names for value in self.values.get(n, ()))
        return list(dict.fromkeys(pairs))


@dataclass(frozen=True)
class _Wanted:
    """Which findings are wanted: the terms they have, the addresses they are about, and the ones to have anyway."""

    terms: tuple[str, ...]
    addresses: frozenset[str]
    ids: frozenset[str]

    @property
    def query(self) -> Json:
        """Return the query for them."""
        each: list[Json] = [{"terms": {"terms": list(self.terms)}}, {"ids": {"values": sorted(self.ids)}}]
        return {"bool": {"should": each, "minimum_should_match": 1}}

    def has(self, id: str, source: Json) -> bool:
        """Tell whether a finding is about the asset: grouped by it, or its clients are among it."""
        if id in self.ids:
            return True
        values = {f"{name}={value}" for name, found in source["values"].items() for value in found}
        own = {term for term in self.terms if not term.startswith(ADDRESSES[1:])}
        return bool(own & values) or bool(self.addresses & {str(value) for value in source["group"].values()})


def thread_of(siem: Siem, settings: Settings, evidence: Evidence, hunts: Iterable[str]) -> Thread:
    """Return the thread that evidence is part of; findings of these hunts (by id) on the asset are its subject.

    Raises SiemError.
    """
    wanted, span = _wanted(evidence), _span(evidence)
    index = settings.state("findings")
    siem.call("POST", f"/{index}/_refresh")
    near = {"bool": {"filter": [wanted.query, *_during(span)]}}
    body = {"query": near, "sort": [{"last": "desc"}], "_source": {"excludes": ["settled", "windows", "terms"]}}
    hits = [(hit["_id"], hit["_source"]) for hit in islice(siem.scan(index, body), MOST_READ)]
    unread = max(0, siem.count(index, near) - MOST_READ)
    every = siem.count(index, wanted.query)
    found = [(id, source) for id, source in hits if wanted.has(id, source)]
    subjects = set(hunts)
    drafts = [_of_finding(id, source, id in wanted.ids or source["hunt"]["id"] in subjects) for id, source in found]
    drafts += _beside(evidence, {place for draft in drafts for place in draft.step.places})
    kept = sorted(drafts, key=_importance)[:MOST_STEPS]
    cut = sorted({source["hunt"]["name"] for _, source in found if "hunt.client.ip" in source["cut"]})
    return Thread(
        steps=_numbered(kept, evidence),
        left_out=len(drafts) - len(kept) + unread,
        elsewhen=max(0, every - len(hits) - unread),
        notes=tuple(f"findings of {name} have more clients than they keep: one may be missing" for name in cut),
    )


def _importance(draft: _Draft) -> tuple[bool, int, int]:
    """Return what puts first what the report is about, then the gravest, then what has most events."""
    step = draft.step
    return not step.subject, -_gravity(step.severity), -step.events


def gravest(steps: Sequence[Step]) -> Step | None:
    """Return the gravest finding that hangs together with the subject, the first of several; None if there is none."""
    findings = [step for step in steps if step.kind == "finding" and step.tied]
    return max(findings, key=lambda step: (_gravity(step.severity), -step.number), default=None)


def _wanted(evidence: Evidence) -> _Wanted:
    """Return which findings are about what the evidence is about."""
    subject = evidence.subject
    pairs: list[tuple[str, str]] = []
    addresses: set[str] = set()
    if evidence.host:
        pairs += [(name, evidence.host.ip) for name in ADDRESSES]
        pairs += [(name, user) for name in USER_FIELDS for user in evidence.host.users]
        addresses.add(evidence.host.ip)
    if subject.kind == "declaration":
        pairs += [(name, value) for name, value in subject.about.items() if value]
        addresses.update(value for value in subject.about.values() if value)
    ids = frozenset([subject.id] if subject.kind == "finding" else [])
    return _Wanted(tuple(dict.fromkeys(f"{name}={value}" for name, value in pairs)), frozenset(addresses), ids)


def _span(evidence: Evidence) -> Span:
    """Return the time in which findings belong to the thread."""
    return around(moment(evidence.subject.first), moment(evidence.subject.last))


def _during(span: Span) -> list[Json]:
    """Return the filters for findings that have events in a time; those whose events have no time are among them."""
    bounds = (("last", "gte", span.start), ("first", "lte", span.end))
    return [_unless_missing(name, {how: at.isoformat()}) for name, how, at in bounds if at]


def _unless_missing(name: str, bound: Json) -> Json:
    """Return the filter for a bound of a field, which documents without the field pass."""
    missing = {"bool": {"must_not": {"exists": {"field": name}}}}
    return {"bool": {"should": [{"range": {name: bound}}, missing], "minimum_should_match": 1}}


def _of_finding(id: str, source: Json, subject: bool) -> _Draft:
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
    return _Draft(step, {**values, **group})


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
    return {name: _some(values[name]) for name in [*known, *sorted(rest)][:FACTS]}


def _some(found: Sequence[str]) -> tuple[str, ...]:
    """Return the first of the values, and how many more there are."""
    more = [f"… {len(found) - VALUES} more"] if len(found) > VALUES else []
    return (*(shown(value) for value in found[:VALUES]), *more)


def _beside(evidence: Evidence, taken: set[tuple[str, str]]) -> Iterator[_Draft]:
    """Yield a step for each signature and each stored file of the host's events that no finding has."""
    others = evidence.others
    groups: dict[tuple[StepKind, str], list[Found]] = {}
    known: set[tuple[StepKind, str]] = set()
    for event in (*evidence.events, *(others.events if others else ())):
        found = as_found(event)
        for key in _kinds(found):
            groups.setdefault(key, []).append(found)
            if found.place in taken:
                known.add(key)
    for (kind, value), events in groups.items():
        if (kind, value) not in known:
            count = others.alerts.get(value, 0) if others and kind == "alert" else 0
            yield _of_events(kind, value, sorted(events, key=_age), count)


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


def _of_events(kind: StepKind, value: str, events: Sequence[Found], count: int) -> _Draft:
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
    return _Draft(step, values)


def _age(event: Found) -> tuple[str, str]:
    """Return what puts events in the order of time."""
    return event.time.isoformat() if event.time else "", event.id


def _numbered(drafts: Iterable[_Draft], evidence: Evidence) -> tuple[Step, ...]:
    """Return the steps in the order of time with their numbers, what ties them to earlier ones, and whose names."""
    only = {name.name for name in evidence.others.names if name.only_here} if evidence.others else set()
    seen: dict[tuple[str, str], list[int]] = {}
    done = []
    for number, draft in enumerate(sorted(drafts, key=_order), 1):
        shared = draft.shared
        mine = dict.fromkeys(shown(value) for what, value in shared if what == "name" and value in only)
        step = replace(draft.step, number=number, ties=_ties(shared, seen), only_here=tuple(mine)[:TIED])
        done.append(step)
        for each in shared:
            seen.setdefault(each, []).append(number)
    return _with_tied(done)


def _ties(shared: Iterable[tuple[str, str]], seen: Mapping[tuple[str, str], Sequence[int]]) -> tuple[Tie, ...]:
    """Return what a step shares with earlier ones, together what it shares with the same ones."""
    found: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for what, value in shared:
        if steps := tuple(seen.get((what, value), ())):
            found.setdefault((what, steps), []).append(shown(value))
    return tuple(Tie(what, _some(values), steps) for (what, steps), values in found.items())[:TIED]


def _with_tied(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return the steps, each told whether it hangs together with what the report is about; all do if nothing is."""
    tied = {step.number for step in steps if step.subject}
    if not tied:
        return tuple(steps)
    pairs = [(step.number, other) for step in steps for tie in step.ties for other in tie.steps]
    before = 0
    while before < len(tied):
        before = len(tied)
        tied |= {number for pair in pairs if tied & {*pair} for number in pair}
    return tuple(replace(step, tied=step.number in tied) for step in steps)


def _order(draft: _Draft) -> tuple[bool, str, bool, str, str]:
    """Return what puts steps in the order of time, those without a time last."""
    step, first = draft.step, moment(draft.step.first)
    return first is None, written(first) if first else "", not step.subject, step.title, step.id


def _gravity(severity: str) -> int:
    """Return how grave a severity is."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else 0
