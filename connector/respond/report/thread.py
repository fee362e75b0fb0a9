"""The thread: what all hunts found on the same asset around the same time, in the order of time, and how it hangs
together: the names, servers and files that one step shares with an earlier one.

Alerts and stored files that no finding has are steps as well. Promises: the gravest are kept where there are too many,
and the rest is counted. Will not: write anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from connector.respond.evidence.around import USER_FIELDS, around
from connector.respond.evidence.asking import Span
from connector.respond.evidence.model import Event, Evidence, Others
from connector.respond.report.model import Step, Thread, Tie
from connector.respond.report.steps import Draft, Json, beside, gravity, of_finding, some_of
from connector.respond.report.texts import moment, shown, written
from connector.settings.model import Settings
from connector.siem.client import Siem

MOST_READ, MOST_STEPS = 500, 30
TIED = 6
ADDRESSES = ("hunt.client.ip", "hunt.server.ip", "hunt.resolver.ip")


@dataclass(frozen=True)
class Wanted:
    """Which findings are wanted: those with a term of their own, those grouped by an address, and those of an id, that
    have events in a time.

    Those of an id, and those of `hunts` (by id), are the thread's subject.
    """

    own: frozenset[str]
    addresses: frozenset[str]
    span: Span
    ids: frozenset[str] = frozenset()
    hunts: frozenset[str] = frozenset()

    @property
    def query(self) -> Json:
        """Return the query for all that may be wanted."""
        grouped = {f"{name}={address}" for name in ADDRESSES for address in self.addresses}
        each: list[Json] = [{"terms": {"terms": sorted(self.own | grouped)}}, {"ids": {"values": sorted(self.ids)}}]
        return {"bool": {"should": each, "minimum_should_match": 1}}

    def has(self, id: str, source: Json) -> bool:
        """Tell whether a finding is about the asset: a server that others went to is so only if it is grouped by it."""
        values = {f"{name}={value}" for name, found in source["values"].items() for value in found}
        group = {str(value) for value in source["group"].values()}
        return id in self.ids or bool(self.own & values) or bool(self.addresses & group)

    def is_subject(self, id: str, source: Json) -> bool:
        """Tell whether a finding is what the thread is about."""
        return id in self.ids or source["hunt"]["id"] in self.hunts


def thread_of(siem: Siem, settings: Settings, evidence: Evidence, hunts: Iterable[str]) -> Thread:
    """Return the thread that evidence is part of; findings of these hunts (by id) on the asset are its subject.

    Raises SiemError.
    """
    wanted = replace(_wanted(evidence), hunts=frozenset(hunts))
    return thread_about(siem, settings, wanted, evidence.others, evidence.events)


def thread_about(
    siem: Siem, settings: Settings, wanted: Wanted, others: Others | None, events: Iterable[Event] = ()
) -> Thread:
    """Return the thread of the findings that are wanted; alerts and stored files that no finding has are steps as well:
    those of the others, and of further events.

    Raises SiemError.
    """
    index = settings.state("findings")
    siem.call("POST", f"/{index}/_refresh")
    near = {"bool": {"filter": [wanted.query, *_during(wanted.span)]}}
    body = {"query": near, "sort": [{"last": "desc"}], "_source": {"excludes": ["settled", "windows", "terms"]}}
    hits = [(hit["_id"], hit["_source"]) for hit in islice(siem.scan(index, body), MOST_READ)]
    unread = max(0, siem.count(index, near) - MOST_READ)
    every = siem.count(index, wanted.query)
    found = [(id, source) for id, source in hits if wanted.has(id, source)]
    drafts = [of_finding(id, source, wanted.is_subject(id, source)) for id, source in found]
    drafts += beside(events, others, {place for draft in drafts for place in draft.step.places})
    kept = sorted(drafts, key=_importance)[:MOST_STEPS]
    return Thread(
        steps=_numbered(kept, others),
        left_out=len(drafts) - len(kept) + unread,
        elsewhen=max(0, every - len(hits) - unread),
        notes=_cut(siem, index, wanted),
    )


def _cut(siem: Siem, index: str, wanted: Wanted) -> tuple[str, ...]:
    """Return in words which hunts have findings that could be of the asset, as they do not keep all their clients."""
    more = {"term": {"cut": "hunt.client.ip"}}
    query = {"bool": {"filter": [more, *_during(wanted.span)], "must_not": [wanted.query]}}
    aggs = {"hunts": {"terms": {"field": "hunt.name", "size": MOST_STEPS}}}
    found = siem.search(index, {"size": 0, "query": query, "aggs": aggs}).get("aggregations", {})
    names = sorted(bucket["key"] for bucket in found.get("hunts", {}).get("buckets", ()))
    words = "have more clients than they keep, and this one may be among them"
    return (f"findings of {', '.join(names)} {words}",) if names else ()


def _importance(draft: Draft) -> tuple[bool, int, int]:
    """Return what puts first what the report is about, then the gravest, then what has most events."""
    step = draft.step
    return not step.subject, -gravity(step.severity), -step.events


def gravest(steps: Sequence[Step]) -> Step | None:
    """Return the gravest finding that hangs together with the subject, the first of several; None if there is none."""
    findings = [step for step in steps if step.kind == "finding" and step.tied]
    return max(findings, key=lambda step: (gravity(step.severity), -step.number), default=None)


def _wanted(evidence: Evidence) -> Wanted:
    """Return which findings are about what the evidence is about."""
    subject, host = evidence.subject, evidence.host
    pairs: list[tuple[str, str | None]] = []
    addresses: set[str] = set()
    if host:
        pairs += [("hunt.client.ip", host.ip), *((name, user) for name in USER_FIELDS for user in host.users)]
        addresses.add(host.ip)
    if subject.kind == "declaration":
        pairs += subject.about.items()
        addresses.update(value for value in subject.about.values() if value)
    ids = frozenset([subject.id] if subject.kind == "finding" else [])
    own = frozenset(f"{name}={value}" for name, value in pairs if value)
    return Wanted(own, frozenset(addresses), _span(evidence), ids)


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


def _numbered(drafts: Iterable[Draft], others: Others | None) -> tuple[Step, ...]:
    """Return the steps in the order of time with their numbers, what ties them to earlier ones, and whose names."""
    only = {name.name for name in others.names if name.only_here} if others else set()
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
    return tuple(Tie(what, some_of(values), steps) for (what, steps), values in found.items())[:TIED]


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


def _order(draft: Draft) -> tuple[bool, str, bool, int, str, str]:
    """Return what puts steps in the order of time, the gravest of a time first, those without a time last."""
    step, first = draft.step, moment(draft.step.first)
    at = written(first) if first else ""
    return first is None, at, not step.subject, -gravity(step.severity), step.title, step.id
