"""Evidence that was kept and evidence gathered later as one, and evidence cut to what a document can hold; pure.

Promises: what either has is in the result, each event, record and flow once, under one numbering of flows; merging the
same evidence again changes nothing; what is cut is counted in `left_out`, and the events that the evidence is for are
cut last. Will not: link (`links.py` does, from the result).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TypeVar

from connector.respond.evidence.model import Capture, Event, Evidence, File, Flow, Host, Http, Lookup, Tls

MEGABYTE = 1_000_000
# characters of JSON that a document has room for, by part; together well below what an engine takes in one call
ROOM = {
    "events": 3 * MEGABYTE,
    **dict.fromkeys(("flows", "dns", "tls", "http", "files", "captures", "others"), MEGABYTE),
}
NO_ROOM = "_without_room"  # of a name in `left_out`
# which events are kept first where there is no room for all
TELLING = ("alert", "fileinfo", "anomaly", "tls", "quic", "http", "dns", "smtp", "smb", "ssh", "ftp")
Numbers = Mapping[int | None, int]
Record = Event | Lookup | Tls | Http | File | Capture
R = TypeVar("R", bound=Event | Lookup | Tls | Http | File | Capture)
T = TypeVar("T", bound=Event | Lookup | Tls | Http | File | Capture | Flow)


def merged(kept: Evidence, now: Evidence) -> Evidence:
    """Return what was kept and what is there now as one; subject and time of gathering are those of now."""
    flows, of_kept, of_now = _joined(kept.flows, now.flows)

    def both(old: Sequence[R], new: Sequence[R], key: Callable[[R], object]) -> tuple[R, ...]:
        """Return the records of both, each once, under the numbers of the joined flows."""
        return tuple(sorted(_once([*_moved(new, of_now), *_moved(old, of_kept)], key), key=_order))

    gone = {_place(one) for one in kept.events} - {_place(one) for one in now.events}
    events = both(kept.events, now.events, _place)
    host_now = now.host is not None and (kept.host is None or now.host.events >= kept.host.events)
    return replace(
        now,
        events=events,
        flows=tuple(_counted(flow, events) for flow in flows),
        dns=both(kept.dns, now.dns, lambda one: (_place(one), one.flow)),
        tls=both(kept.tls, now.tls, _place),
        http=both(kept.http, now.http, _place),
        files=both(kept.files, now.files, lambda one: (one.flow, one.sha256 or one.name)),
        captures=both(kept.captures, now.captures, lambda one: one.flow),
        host=_host(kept.host, now.host) if host_now else kept.host,
        others=now.others if host_now else kept.others,
        notes=(*now.notes, *_gone(kept, len(gone))),
        left_out=_most(kept.left_out, now.left_out) if gone else now.left_out,
        frozen=kept.frozen,
    )


def _host(kept: Host | None, now: Host | None) -> Host | None:
    """Return the host as it is now, with the profile that was kept if it has none any more."""
    return replace(now, profile=now.profile or kept.profile) if kept and now else now


def fitting(evidence: Evidence) -> Evidence:
    """Return the evidence as a document has room for it: without links, and each part cut to its room."""
    left = dict(evidence.left_out)

    def fit(name: str, items: Sequence[T], wanted: Iterable[T]) -> tuple[T, ...]:
        """Return the items there is room for, those that are wanted most."""
        there = _within(wanted, ROOM[name])
        some = tuple(item for item in items if id(item) in there)
        if len(some) < len(items):
            left[name + NO_ROOM] = left.get(name + NO_ROOM, 0) + len(items) - len(some)
        return some

    others = evidence.others
    if others:
        others = replace(others, events=fit("others", others.events, others.events))
    return replace(
        evidence,
        events=fit("events", evidence.events, sorted(evidence.events, key=_telling)),
        flows=fit("flows", evidence.flows, evidence.flows),
        dns=fit("dns", evidence.dns, evidence.dns),
        tls=fit("tls", evidence.tls, evidence.tls),
        http=fit("http", evidence.http, evidence.http),
        files=fit("files", evidence.files, evidence.files),
        captures=fit("captures", evidence.captures, evidence.captures),
        others=others,
        links=(),
        left_out=left,
    )


def _within(items: Iterable[Record | Flow], room: int) -> set[int]:
    """Return the identities of the first items that there is room for."""
    found: set[int] = set()
    for item in items:
        room -= len(json.dumps(asdict(item)))
        if room < 0:
            break
        found.add(id(item))
    return found


def _telling(event: Event) -> tuple[bool, int, str]:
    """Return what puts first the events that are kept first."""
    place = TELLING.index(event.kind) if event.kind in TELLING else len(TELLING)
    return not event.of_subject, place, event.time or ""


def _joined(kept: Sequence[Flow], now: Sequence[Flow]) -> tuple[list[Flow], Numbers, Numbers]:
    """Return the flows of both in the order of time, and the new number of each of the one's and of the other's."""
    pairs: list[tuple[Flow | None, Flow | None]] = [(None, flow) for flow in now]
    for flow in kept:
        place = next((n for n, (old, new) in enumerate(pairs) if old is None and new and _is_same(flow, new)), None)
        if place is None:
            pairs.append((flow, None))
        else:
            pairs[place] = (flow, pairs[place][1])
    ordered = sorted(pairs, key=lambda pair: min(flow.start or "" for flow in pair if flow))
    of_kept: dict[int | None, int] = {}
    of_now: dict[int | None, int] = {}
    flows: list[Flow] = []
    for number, (old, new) in enumerate(ordered, 1):
        if old:
            of_kept[old.number] = number
        if new:
            of_now[new.number] = number
        fuller = max((flow for flow in (new, old) if flow), key=lambda flow: flow.events)
        flows.append(replace(fuller, number=number))
    return flows, of_kept, of_now


def _is_same(one: Flow, other: Flow) -> bool:
    """Tell whether two are one flow: by its number at a sensor, or else its ends, and its time."""
    ids = {pair for pair in one.flow_ids if pair[1]} & {pair for pair in other.flow_ids if pair[1]}
    ends = [
        (flow.protocol, flow.client_ip, flow.client_port, flow.server_ip, flow.server_port) for flow in (one, other)
    ]
    meets = (one.start or "") <= (other.end or "") and (other.start or "") <= (one.end or "")
    return meets and (bool(ids) or ends[0] == ends[1])


def _moved(records: Sequence[R], numbers: Numbers) -> list[R]:
    """Return records under the new numbers of their flows."""
    return [replace(one, flow=numbers[one.flow]) if one.flow in numbers else one for one in records]


def _once(records: Iterable[R], key: Callable[[R], object]) -> list[R]:
    """Return the records of which a key comes first."""
    found: dict[object, R] = {}
    for one in records:
        found.setdefault(key(one), one)
    return list(found.values())


def _order(one: Record) -> tuple[int, str, str, str]:
    """Return the place of a record among others."""
    if isinstance(one, Capture):
        return one.flow, "", "", ""
    return (one.flow if isinstance(one, Lookup) else 0), one.time or "", one.index, one.id


def _place(one: Event | Lookup | Tls | Http | File) -> tuple[str, str]:
    """Return index and id."""
    return one.index, one.id


def _counted(flow: Flow, events: Sequence[Event]) -> Flow:
    """Return a flow with the number of its events, no less than were known of."""
    kinds = Counter(event.kind for event in events if event.flow == flow.number)
    if kinds.total() <= flow.events:
        return flow
    return replace(flow, events=kinds.total(), kinds=dict(kinds.most_common()))


def _gone(kept: Evidence, number: int) -> list[str]:
    """Return the words for events that are only kept."""
    return [f"{number} events are not in the SIEM any more: they are shown as kept on {kept.frozen}"] if number else []


def _most(kept: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """Return the higher of two counts by name."""
    return {name: max(kept.get(name, 0), now.get(name, 0)) for name in (*kept, *now)}
