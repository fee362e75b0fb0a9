"""The DNS look-ups before a flow: that gave the server's address, or asked for a name that the flow has.

Promises: the nearest look-up by the client itself comes first; only where it made none, those of others (a resolver
between client and sensor) are told. Will not: look further back than a day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connector.enrich.dns import MESSAGES
from connector.hunts.conditions.address import address_number, plain_address
from connector.hunts.conditions.condition import All, Condition, Equals, Exists
from connector.hunts.conditions.condition import Any as AnyOf
from connector.respond.evidence.asking import Desk, Span
from connector.respond.evidence.flows import Gathered
from connector.respond.evidence.model import Flow, Lookup
from connector.respond.evidence.reading import Found, moment, told

BACK = timedelta(hours=24)
TOGETHER = timedelta(seconds=5)  # queries and answers of one look-up
LATE = timedelta(seconds=1)  # a sensor may log an answer after the first packet of the flow
MOST_PAIRS = 50  # of client and server that are asked for
MOST_EVENTS = 500  # of a pair
MOST_NAMES = 20  # of a flow
MOST_LOOKUPS = 12  # events told of a flow
NAMES = ("tls.sni", "quic.sni", "http.hostname", "hostname_info.host")
DNS_PORTS = (53, 853, 5353)


@dataclass(frozen=True)
class Lookups:
    """The look-ups by flow in the order of time, how many are not told, and of how many flows nobody was asked."""

    found: tuple[Lookup, ...]
    left_out: int
    flows_left_out: int


def lookups_of(desk: Desk, flows: Sequence[tuple[Flow, Gathered]]) -> Lookups:
    """Return the look-ups before some flows. Raises SiemError."""
    pairs: dict[tuple[str, str], list[tuple[Flow, Gathered]]] = defaultdict(list)
    for flow, gathered in flows:
        if flow.start and _asks(flow):
            pairs[(flow.client_ip, flow.server_ip)].append((flow, gathered))
    told_of: list[Lookup] = []
    left = 0
    for pair in list(pairs)[:MOST_PAIRS]:
        found, more = _of_pair(desk, pairs[pair])
        told_of += found
        left += more
    skipped = sum(len(pairs[pair]) for pair in list(pairs)[MOST_PAIRS:])
    ordered = sorted(told_of, key=lambda one: (one.flow, one.time or "", one.id))
    return Lookups(tuple(ordered), left, skipped)


def _asks(flow: Flow) -> bool:
    """Tell whether look-ups can lead to a flow: it is no look-up itself, and has a server."""
    return address_number(flow.server_ip) is not None and flow.server_port not in DNS_PORTS


def _of_pair(desk: Desk, flows: Sequence[tuple[Flow, Gathered]]) -> tuple[list[Lookup], int]:
    """Return the look-ups before the flows of one client to one server, and how many events are not told."""
    client, server = flows[0][0].client_ip, flows[0][0].server_ip
    names = list(dict.fromkeys(name for _, gathered in flows for name in _names(gathered)))[:MOST_NAMES]
    starts = sorted(at for flow, _ in flows if (at := moment(flow.start)))
    span = Span(starts[0] - BACK, starts[-1] + LATE)
    wanted: Condition = Equals("hunt.dns.ips", (server,))
    if names:
        wanted = AnyOf((wanted, Equals("hostname_info.host", tuple(names))))
    kinds = Equals("event_type", ("dns", "alert"))
    base = (kinds, Exists("hunt.dns.message"), wanted)
    some = desk.some(All((*base, Equals("hunt.client.ip", (client,)))), span, MOST_EVENTS, newest_only=True)
    if not some.events:
        some = desk.some(All(base), span, MOST_EVENTS, newest_only=True)
    events = _once(some.events)
    per_flow = [_before(events, flow, server) for flow, _ in flows]
    left = some.count - len(some.events) + sum(more for _, more in per_flow)
    return [one for found, _ in per_flow for one in found], left


def _names(gathered: Gathered) -> Iterable[str]:
    """Return the names that the events of a flow have, in lower case without a final dot; no addresses."""
    for event in gathered.events:
        for name in NAMES:
            for text in event.texts(name):
                plain = text.lower().rstrip(".").rpartition(":")[0] or text.lower().rstrip(".")
                if plain and address_number(plain) is None:
                    yield plain


def _once(events: Sequence[Found]) -> list[Found]:
    """Return the events without alerts on look-ups that have a dns event of their own."""
    flows = {event.flow_id for event in events if event.kind == "dns"}
    return [event for event in events if event.kind == "dns" or event.flow_id not in flows]


def _before(events: Sequence[Found], flow: Flow, server: str) -> tuple[list[Lookup], int]:
    """Return the nearest look-up before a flow with all its events, and how many of those are not told."""
    start = moment(flow.start)
    if start is None:
        return [], 0
    past = [event for event in events if event.time and event.time <= start + LATE]
    gave = [event for event in past if _gave(event, server)]
    nearest = (gave or past)[-1:] if past else []
    if not nearest or nearest[0].time is None:
        return [], 0
    since = nearest[0].time - TOGETHER
    ids = {event.flow_id for event in past if event.time and event.time >= since and event.flow_id}
    group = [e for e in past if (e.time and e.time >= since) or (e.flow_id in ids and _recent(e, since))]
    return [_lookup(event, flow, start, server) for event in group[-MOST_LOOKUPS:]], max(0, len(group) - MOST_LOOKUPS)


def _recent(event: Found, since: datetime) -> bool:
    """Tell whether an event is of the minute before a time."""
    return event.time is not None and event.time >= since - timedelta(minutes=1)


def _gave(event: Found, server: str) -> bool:
    """Tell whether an event is an answer that has the server's address."""
    return plain_address(server) in {plain_address(text) for text in event.texts("hunt.dns.ips")}


def _lookup(event: Found, flow: Flow, start: datetime, server: str) -> Lookup:
    """Return a DNS event as a look-up before a flow."""
    client, resolver = event.sides or (("", -1), ("", -1))
    return Lookup(
        index=event.index,
        id=event.id,
        time=told(event.time),
        flow=flow.number,
        seconds_before=round((start - event.time).total_seconds(), 6) if event.time else None,
        gave_address=_gave(event, server),
        client=client[0],
        resolver=resolver[0],
        message=event.text("hunt.dns.message") or MESSAGES.get(event.text("dns.type"), ""),
        name=event.text("hunt.dns.rrname", "hostname_info.host"),
        type=event.text("hunt.dns.rrtype"),
        code=event.text("hunt.dns.rcode"),
        answers=event.texts("hunt.dns.answers"),
        ttl=event.number("hunt.dns.ttl_min"),
    )
