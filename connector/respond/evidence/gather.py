"""Gathers the evidence for a finding, a declaration or an event.

Promises: what is not taken is counted in `left_out`; a part that cannot be had is said in `notes`, and the others are
there. Will not: write anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from connector.errors import Rejected
from connector.hosts.listing import stored_profile
from connector.hunts.conditions.address import address_number
from connector.respond.evidence.around import around, host_of, others_of
from connector.respond.evidence.asking import Desk, Span, age
from connector.respond.evidence.dns import Lookups, lookups_of
from connector.respond.evidence.flows import Gathered, flow_of, flows_of
from connector.respond.evidence.links import links_of
from connector.respond.evidence.model import Event, Evidence, Flow, Host, Subject
from connector.respond.evidence.profiled import with_profile
from connector.respond.evidence.reading import Found, cut, moment, told, words
from connector.respond.evidence.records import capture_of, files_of, http_of, tls_of
from connector.settings.model import Settings
from connector.siem.client import Siem

MOST_RECORDS = 2000  # of TLS, HTTP and files each
T = TypeVar("T")


def gather(siem: Siem, settings: Settings, subject: Subject, now: datetime) -> Evidence:
    """Return the evidence for a subject (`subject_of` finds one by its id) as the events say now. Raises SiemError."""
    desk = Desk.open(siem, settings)
    seeds = desk.named([(one.index, one.id) for one in subject.references]).events
    gathered = flows_of(desk, seeds)
    flows = [(flow_of(each, number), each) for number, each in enumerate(gathered.flows, 1)]
    evidence = Evidence(subject, told(now) or "", flows=tuple(flow for flow, _ in flows))
    evidence = _with_events(evidence, flows, seeds)
    looked_up = _part(desk, "look-ups", lambda: lookups_of(desk, flows)) or Lookups((), 0, 0)
    address = _address(subject, flows, seeds)
    span = around(*_time(subject, seeds))
    ids = [number for flow, _ in flows for _, number in flow.flow_ids]
    evidence = replace(
        evidence,
        dns=looked_up.found,
        captures=tuple(capture_of(each, flow) for flow, each in flows),
        host=_part(desk, "host", lambda: _host(desk, settings, address, span)) if address else None,
    )
    if host := evidence.host:
        others = _part(desk, "others", lambda: others_of(desk, (host.ip,), host.users, span, ids))
        evidence = replace(evidence, others=others)
    left = {
        "references": max(0, subject.count - len(subject.references)),
        "events": gathered.events_left_out,
        "flows": gathered.flows_left_out,
        "dns": looked_up.left_out,
        **evidence.left_out,
    }
    return replace(
        evidence,
        links=links_of(settings.links, evidence),
        left_out={name: number for name, number in left.items() if number},
        notes=tuple(_notes(desk, subject, seeds, gathered.others, looked_up.flows_left_out)),
    )


def _with_events(evidence: Evidence, flows: Sequence[tuple[Flow, Gathered]], seeds: Sequence[Found]) -> Evidence:
    """Return the evidence with the events of its flows, and what they say by protocol."""
    seeded = {event.place for event in seeds}
    numbered: list[tuple[Found, int | None]] = [(event, flow.number) for flow, each in flows for event in each.events]
    taken = {event.place for event, _ in numbered}
    numbered += [(event, None) for event in seeds if event.place not in taken]
    numbered.sort(key=lambda one: age(one[0]))
    tls = [tls_of(*one) for one in numbered if one[0].kind in ("tls", "quic")]
    http = [http_of(*one) for one in numbered if one[0].kind in ("http", "http2")]
    files = files_of(numbered)
    left = {name: len(all) - MOST_RECORDS for name, all in (("tls", tls), ("http", http), ("files", files))}
    return replace(
        evidence,
        events=tuple(_event(event, number, event.place in seeded) for event, number in numbered),
        tls=tuple(tls[:MOST_RECORDS]),
        http=tuple(http[:MOST_RECORDS]),
        files=tuple(files[:MOST_RECORDS]),
        left_out={name: number for name, number in left.items() if number > 0},
    )


def _event(event: Found, flow: int | None, of_subject: bool) -> Event:
    """Return an event as evidence has it."""
    at = told(event.time)
    return Event(event.index, event.id, at, event.kind, flow, of_subject, words(event), cut(event.source))


def _host(desk: Desk, settings: Settings, ip: str, span: Span) -> Host:
    """Return what is known of a host: what the events of a time say, and its profile if it has one."""
    found = host_of(desk, ip, span)
    document = stored_profile(desk.siem, settings, ip)
    return with_profile(found, document, span) if document else found


def _part(desk: Desk, name: str, ask: Callable[[], T]) -> T | None:
    """Return a part of the evidence; None, and a note, if the engine refuses to tell."""
    try:
        return ask()
    except Rejected as error:
        desk.notes[f"{name}: {error}"] = None
        return None


def _time(subject: Subject, seeds: Sequence[Found]) -> tuple[datetime | None, datetime | None]:
    """Return the time of the first and the last event; that of the subject if they are gone."""
    times = [event.time for event in seeds if event.time]
    return min(times, default=moment(subject.first)), max(times, default=moment(subject.last))


def _address(subject: Subject, flows: Sequence[tuple[Flow, Gathered]], seeds: Sequence[Found]) -> str | None:
    """Return the address of the host that the evidence is about.

    That is the client the subject names, else the one with most events, else an address that is the asset.
    """
    named = subject.about.get("hunt.client.ip")
    if named:
        return named
    clients = Counter(sides[0][0] for event in seeds if (sides := event.sides))
    clients.update(flow.client_ip for flow, _ in flows if not clients)
    assets = (text for text in subject.about.values() if text and address_number(text) is not None)
    return clients.most_common(1)[0][0] if clients else next(assets, None)


def _notes(desk: Desk, subject: Subject, seeds: Sequence[Found], others: int, unasked: int) -> list[str]:
    """Return what the evidence lacks, in words."""
    notes = [*desk.notes]
    gone = len(subject.references) - len(seeds)
    if gone:
        notes.append(f"{gone} of {len(subject.references)} events are not in the SIEM any more")
    if seeds and not desk.has("hunt.client.ip"):
        notes.append("the events are not enriched, so look-ups and the host are not known: `hunts install`")
    if others:
        notes.append(f"{others} events with the same flow_id or community_id belong to other flows")
    if unasked:
        notes.append(f"the look-ups before {unasked} flows were not asked for")
    return notes
