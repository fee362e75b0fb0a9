"""Makes the report of a finding, a declaration or an event: everything of it from the SIEM, in one object.

Promises: a part that cannot be had is said in `limits`, and the others are there. Will not: write anything into the
SIEM, or know HTML (`page.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from connector import __version__
from connector.respond.evidence.gather import gather
from connector.respond.evidence.links import links_of
from connector.respond.evidence.merging import merged
from connector.respond.evidence.model import Evidence, Reference, Subject
from connector.respond.report.activity import activity_of
from connector.respond.report.advice import advice
from connector.respond.report.decisions import decisions_of, declarations_of, deliveries_of
from connector.respond.report.guides import guides_of
from connector.respond.report.model import Report, Step, Summary, Timeline
from connector.respond.report.rated import reputation_of
from connector.respond.report.texts import shown, written
from connector.respond.report.thread import gravest, thread_of
from connector.respond.report.timeline import span_of, timeline_of, with_activity
from connector.settings.model import Settings
from connector.siem.client import Siem

Json = Mapping[str, Any]
OLDEST, NEWEST = 3, 2  # events of a step of which the evidence is gathered


def report_of(siem: Siem, settings: Settings, evidence: Evidence, now: datetime) -> Report:
    """Return the report of what evidence was gathered for. Raises SiemError."""
    subject = evidence.subject
    assets = [*(value for value in subject.about.values() if value)]
    assets += [evidence.host.ip, *evidence.host.users] if evidence.host else []
    declared = declarations_of(siem, settings, assets, subject.id)
    own = next((document for id, document in declared if id == subject.id), None)
    hunts = [hunt["id"] for hunt in own["hunts"]] if own else []
    thread = thread_of(siem, settings, evidence, hunts)
    decisions, decisions_left = decisions_of(siem, settings, declared, _hunts(siem, settings, thread.steps))
    sent, sent_left = deliveries_of(siem, settings, declared)
    rated, rated_left = reputation_of(declared)
    guides, limits = guides_of(siem, settings, thread.steps)
    whole = _with_thread(siem, settings, evidence, thread.steps, now)
    summary = _summary(evidence, thread.steps, own)
    return Report(
        kind=subject.kind,
        id=subject.id,
        title=shown(subject.title),
        made=written(now),
        version=__version__,
        summary=summary,
        timeline=_with_activity(siem, settings, evidence, timeline_of(thread.steps, decisions)),
        thread=thread,
        todo=advice(summary, thread.steps, whole, guides, sent),
        evidence=whole,
        reputation=rated,
        reputation_left_out=rated_left,
        guides=guides,
        decisions=decisions,
        decisions_left_out=decisions_left,
        deliveries=sent,
        deliveries_left_out=sent_left,
        limits=(*limits, *thread.notes, *(shown(note) for note in whole.notes)),
    )


def _hunts(siem: Siem, settings: Settings, steps: Iterable[Step]) -> list[str]:
    """Return the ids of the hunts of a thread's findings."""
    ids = [step.id for step in steps if step.id]
    body = {"query": {"ids": {"values": ids}}, "_source": ["hunt.id"], "size": len(ids)}
    hits = siem.search(settings.state("findings"), body)["hits"]["hits"] if ids else []
    return [hit["_source"]["hunt"]["id"] for hit in hits]


def _with_thread(siem: Siem, settings: Settings, evidence: Evidence, steps: Iterable[Step], now: datetime) -> Evidence:
    """Return the evidence with that of the steps it hangs together with, of each its first and last events."""
    places = [place for step in steps if step.tied and not step.subject for place in _some(step.places)]
    if not places:
        return evidence
    subject = evidence.subject
    references = tuple(Reference(*place) for place in dict.fromkeys(places))
    about = Subject(subject.kind, subject.id, subject.title, subject.about, len(references), None, None, references)
    beside = gather(siem, settings, about, now)
    beside = replace(beside, events=tuple(replace(event, of_subject=False) for event in beside.events))
    both = replace(
        merged(beside, evidence),
        host=evidence.host,
        others=evidence.others,
        notes=tuple(dict.fromkeys((*evidence.notes, *beside.notes))),
        left_out=evidence.left_out,
        frozen=evidence.frozen,
    )
    return replace(both, links=links_of(settings.links, both))


def _some(places: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Return the first and the last places."""
    return places if len(places) <= OLDEST + NEWEST else (*places[:OLDEST], *places[-NEWEST:])


def _with_activity(siem: Siem, settings: Settings, evidence: Evidence, found: Timeline | None) -> Timeline | None:
    """Return the timeline with the host's other events behind it."""
    if found is None or evidence.host is None:
        return found
    return with_activity(found, activity_of(siem, settings, evidence.host.ip, *span_of(found)))


def _summary(evidence: Evidence, steps: Sequence[Step], own: Json | None) -> Summary:
    """Return the report in a few lines; `own` is the declaration it is about, None for a finding."""
    subject, host = evidence.subject, evidence.host
    worst = gravest(steps)
    mine = next((step for step in steps if step.subject), None)
    said = own or {}
    return Summary(
        what=shown(said.get("threat", subject.title)),
        asset=shown(", ".join(value for value in subject.about.values() if value)),
        hosts=_all(host.names) if host else (),
        users=_all(host.users) if host else (),
        departments=_all(host.departments) if host else _all(said.get("asset", {}).get("department", ())),
        first=subject.first,
        last=subject.last,
        events=subject.count,
        severity=worst.severity if worst else "",
        gravest=f"step {worst.number}: {shown(worst.title)}" if worst else "",
        kind=shown(said.get("kind", "")),
        phase=shown(said.get("phase", "")),
        status=shown(said.get("status", mine.status if mine else "")),
        assigned=shown(said.get("assigned", "")),
        explanation=shown(said.get("explanation", ""), 2000),
        by=shown(said.get("by", "")),
        made=said.get("made"),
        updated=said.get("updated"),
    )


def _all(values: Iterable[str]) -> tuple[str, ...]:
    """Return values as texts that can be shown."""
    return tuple(shown(value) for value in values)
