"""Which events belong to the flows of some events: by flow_id at a sensor, and by community_id across sensors.

Promises: a flow_id or community_id that is used again by another flow is not mixed in: of two flows with the same
number, the one that the events belong to is told by sensor, ends and time; what is not kept is counted. Will not:
search.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from connector.hunts.conditions.condition import Any as AnyOf
from connector.hunts.conditions.condition import Condition, Equals
from connector.respond.evidence.asking import Desk, Span, age
from connector.respond.evidence.model import Flow
from connector.respond.evidence.reading import End, Found, short, told

MOST_FLOWS = 300
MOST_EVENTS = 10_000
LONGEST_FLOW = timedelta(days=7)  # how long before and after an event its flow is looked for
QUIET = timedelta(hours=1)  # a flow of which no event tells the beginning has no longer pause
NEAR = timedelta(seconds=60)  # how far the clocks of two sensors, and their times for one flow, are apart
SLACK = timedelta(seconds=1)
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class Gathered:
    """The events of one flow; `seeds` are those that it was looked for by."""

    events: list[Found]
    seeds: set[tuple[str, str]] = field(default_factory=set)

    @property
    def start(self) -> datetime | None:
        """Return when the flow began: as its events say, else the time of the first one."""
        own = [at for event in self.events if (at := event.moment("flow.start"))]
        return min(own, default=None) or min((e.time for e in self.events if e.time), default=None)

    @property
    def end(self) -> datetime | None:
        """Return when the flow ended: as its flow event says, else the time of the last event."""
        own = [at for event in self.events if event.kind == "flow" and (at := event.moment("flow.end"))]
        times = [e.time for e in self.events if e.time and e.kind != "flow"]
        return max([*own, *times], default=None) or max((e.time for e in self.events if e.time), default=None)

    @property
    def communities(self) -> set[str]:
        """Return the community ids of the events."""
        return {text for event in self.events if (text := event.text("community_id"))}


@dataclass(frozen=True)
class Flows:
    """The flows in the order of time, how many events and flows are not among them, and of others left aside.

    `others` counts events that carry the same flow_id or community_id and belong to another flow.
    """

    flows: tuple[Gathered, ...]
    events_left_out: int
    flows_left_out: int
    others: int


def flows_of(desk: Desk, seeds: Sequence[Found]) -> Flows:
    """Return the flows that some events belong to, with all their events. Raises SiemError."""
    chosen, left_out = _chosen(seeds)
    numbers = sorted({event.flow_id for event in chosen if event.flow_id})
    communities = sorted({text for event in chosen if (text := event.text("community_id"))})
    named = [Equals(name, tuple(texts)) for name, texts in _named(numbers, communities) if texts]
    times = [event.time for event in chosen if event.time]
    if not named:
        return _alone(chosen, left_out)
    span = Span(min(times) - LONGEST_FLOW, max(times) + LONGEST_FLOW) if times else Span()
    condition: Condition = AnyOf(tuple(named))
    found = desk.some(condition, span, MOST_EVENTS)
    every = {event.place: event for event in (*found.events, *chosen)}
    flows = grouped(list(every.values()), {event.place for event in chosen})
    taken = sum(len(flow.events) for flow in flows)
    return Flows(tuple(flows), found.count - len(found.events), left_out, len(every) - taken)


def _named(numbers: list[str], communities: list[str]) -> list[tuple[str, list[str]]]:
    """Return the fields that name a flow, with the values to look for."""
    return [("flow_id", numbers), ("community_id", communities)]


def _alone(events: Sequence[Found], left_out: int) -> Flows:
    """Return events that belong to no numbered flow, each with itself."""
    return Flows(tuple(Gathered([event], {event.place}) for event in events if event.sides), 0, left_out, 0)


def _chosen(seeds: Sequence[Found]) -> tuple[list[Found], int]:
    """Return the events of the oldest and the newest flows, and how many flows are left out."""
    flows: dict[tuple[str, str], list[Found]] = defaultdict(list)
    for event in sorted(seeds, key=age):
        flows[(event.flow_id or event.id, event.sensor)].append(event)
    keys = list(flows)
    half = MOST_FLOWS // 2
    kept = keys if len(keys) <= MOST_FLOWS else [*keys[:half], *keys[len(keys) - half :]]
    return [event for key in kept for event in flows[key]], len(keys) - len(kept)


def grouped(events: Sequence[Found], seeds: set[tuple[str, str]]) -> list[Gathered]:
    """Return the flows that have one of the `seeds`, in the order of time."""
    ordered = sorted(events, key=age)
    flows = [flow for part in _numbered(ordered) for flow in _instances(part) if _holds(flow, seeds)]
    flows += [Gathered([event]) for event in ordered if not event.flow_id and event.place in seeds]
    taken = {event.place for flow in flows for event in flow.events}
    flows = _joined(flows)
    _add_elsewhere(flows, [event for event in ordered if event.place not in taken])
    for flow in flows:
        flow.seeds = {event.place for event in flow.events} & seeds
        flow.events.sort(key=age)
    return sorted(flows, key=lambda flow: flow.start or NEVER)


def _holds(flow: Gathered, seeds: set[tuple[str, str]]) -> bool:
    """Tell whether a flow has one of the events."""
    return any(event.place in seeds for event in flow.events)


def _numbered(events: Iterable[Found]) -> list[list[Found]]:
    """Return the events by flow_id and sensor, of each those that share an end.

    An end is an address with its port; where Suricata overwrites an address by X-Forwarded-For, the other one is left.
    """
    found: dict[tuple[str, str], list[tuple[set[End], list[Found]]]] = defaultdict(list)
    for event in events:
        if not event.flow_id:
            continue
        sides = event.sides
        ends = set(sides) if sides else set()
        parts = found[(event.flow_id, event.sensor)]
        part = next((part for part in parts if not ends or not part[0] or part[0] & ends), None)
        if part is None:
            parts.append((ends, [event]))
        else:
            part[0].update(ends)
            part[1].append(event)
    return [members for parts in found.values() for _, members in parts]


def _instances(events: Sequence[Found]) -> list[Gathered]:
    """Return events of one flow_id, in the order of time, as flows: each begins where an event says, or after a pause.

    An event that tells when its flow began belongs to that one; any other to the last that had begun.
    """
    begun = _beginnings(events)
    by_start: dict[int, list[Found]] = defaultdict(list)
    for event in events:
        at = event.moment("flow.start") or event.time or NEVER
        by_start[bisect_right(begun, at + SLACK)].append(event)
    flows: list[Gathered] = []
    for position, members in by_start.items():
        flows += [Gathered(members)] if position else _by_pause(members)
    return flows


def _beginnings(events: Iterable[Found]) -> list[datetime]:
    """Return the times at which flows began, as the events say; those a second apart are one."""
    found: list[datetime] = []
    for at in sorted(at for event in events if (at := event.moment("flow.start"))):
        if not found or at - found[-1] > SLACK:
            found.append(at)
    return found


def _by_pause(events: Sequence[Found]) -> list[Gathered]:
    """Return events as flows, parted where nothing was seen for long."""
    flows: list[Gathered] = []
    last: datetime | None = None
    for event in events:
        if not flows or (event.time and last and event.time - last > QUIET):
            flows.append(Gathered([]))
        flows[-1].events.append(event)
        last = event.time or last
    return flows


def _joined(flows: Sequence[Gathered]) -> list[Gathered]:
    """Return the flows, those of one community_id at one time as one: two sensors saw it."""
    joined: list[Gathered] = []
    for flow in sorted(flows, key=lambda each: each.start or NEVER):
        same = next((each for each in joined if each.communities & flow.communities and _meet(each, flow)), None)
        if same:
            same.events += flow.events
        else:
            joined.append(flow)
    return joined


def _add_elsewhere(flows: Sequence[Gathered], events: Iterable[Found]) -> None:
    """Add the events of other sensors: those with a flow's community_id at its time."""
    by_community: dict[str, list[Gathered]] = defaultdict(list)
    for flow in flows:
        for community in flow.communities:
            by_community[community].append(flow)
    spans = {id(flow): (flow.start, flow.end) for flow in flows}
    for event in events:
        for flow in by_community.get(event.text("community_id"), ()):
            if _within(event, *spans[id(flow)]):
                flow.events.append(event)
                break


def _meet(one: Gathered, other: Gathered) -> bool:
    """Tell whether two flows were at the same time."""
    starts, ends = (one.start, other.start), (one.end, other.end)
    if None in starts or None in ends:
        return False
    return max(filter(None, starts)) <= min(filter(None, ends)) + NEAR


def _within(event: Found, start: datetime | None, end: datetime | None) -> bool:
    """Tell whether an event is of the time of a flow; one that tells when its own flow was is measured by that."""
    first = event.moment("flow.start") or event.time
    last = (event.moment("flow.end") if event.kind == "flow" else event.time) or first
    if not (first and last and start and end):
        return False
    return first <= end + NEAR and last >= start - NEAR


def flow_of(flow: Gathered, number: int) -> Flow:
    """Return a flow as evidence has it."""
    events = flow.events
    sides = Counter(sides for event in events if (sides := event.sides))
    (client, server), _ = sides.most_common(1)[0] if sides else ((("", -1), ("", -1)), 0)
    record = max(
        (event for event in events if event.kind == "flow"),
        key=lambda event: event.number("flow.bytes_toclient") or 0,
        default=None,
    )
    counted = record or next((event for event in reversed(events) if event.moment("flow.start")), None)
    numbers = dict.fromkeys((event.sensor, event.flow_id) for event in events if event.flow_id)
    return Flow(
        number=number,
        protocol=next((text.upper() for event in events if (text := event.text("proto"))), ""),
        app_protocol=next((text for event in reversed(events) if (text := event.text("app_proto"))), ""),
        client_ip=short(client[0]),
        client_port=client[1] if client[1] >= 0 else None,
        server_ip=short(server[0]),
        server_port=server[1] if server[1] >= 0 else None,
        start=told(flow.start),
        end=told(flow.end),
        flow_ids=tuple(numbers),
        community_id=min(flow.communities, default=""),
        packets_to_server=counted.number("flow.pkts_toserver") if counted else None,
        packets_to_client=counted.number("flow.pkts_toclient") if counted else None,
        bytes_to_server=counted.number("flow.bytes_toserver") if counted else None,
        bytes_to_client=counted.number("flow.bytes_toclient") if counted else None,
        state=record.text("flow.state") if record else "",
        events=len(events),
        kinds=dict(Counter(event.kind for event in events).most_common()),
    )
