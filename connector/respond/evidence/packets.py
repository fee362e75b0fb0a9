"""Cuts the packets of flows out of a capture: by both ends, in both directions, in the time of the flow.

Promises: packets come out as they lie in the capture, in its order and form; a later fragment, which has no ports, is
taken if it is between the two addresses of a flow in its time. Will not: write a file that is there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv6Address, ip_address
from math import inf
from pathlib import Path
from typing import NamedTuple, Protocol

from connector.hunts.conditions.address import address_number
from connector.respond.evidence.captures import NANOSECONDS, Reading, Record
from connector.respond.evidence.layers import WITH_PORTS, Layer, layers
from connector.respond.evidence.model import Capture, Flow
from connector.respond.evidence.reading import moment

NUMBERS = {"TCP": 6, "UDP": 17, "ICMP": 1, "IPV6-ICMP": 58, "SCTP": 132, "GRE": 47, "ESP": 50, "AH": 51}
STEP = 100_000  # packets between two tellings of progress
Key = tuple[int, tuple[bytes, int], tuple[bytes, int]]
Progress = Callable[[int, int], None]  # packets read, and cut out


class Writable(Protocol):
    """What packets are written to."""

    def write(self, data: bytes, /) -> int:
        """Write, and return how much."""
        ...


class _Wanted(NamedTuple):
    """A flow and its time in nanoseconds, None for open."""

    flow: int
    start: int | None
    end: int | None


@dataclass
class Cut:
    """What was cut out of a capture: packets read and taken, by flow, and whether the capture ended with a record."""

    read: int = 0
    taken: int = 0
    by_flow: Counter[int] = field(default_factory=Counter)
    is_whole: bool = True


@dataclass(frozen=True)
class Wanted:
    """The flows whose packets are wanted, by their ends."""

    whole: dict[Key, list[_Wanted]]
    addresses: dict[tuple[int, bytes, bytes], list[_Wanted]]
    start: float  # nanoseconds: before and after these there is no packet of any flow
    end: float

    @classmethod
    def of(cls, flows: Sequence[tuple[Flow, Capture]]) -> Wanted:
        """Return what is wanted of flows; one whose ends are no addresses is none of them."""
        whole: dict[Key, list[_Wanted]] = defaultdict(list)
        addresses: dict[tuple[int, bytes, bytes], list[_Wanted]] = defaultdict(list)
        for flow, capture in flows:
            if address_number(flow.client_ip) is None or address_number(flow.server_ip) is None:
                continue
            protocol = NUMBERS.get(flow.protocol, -1)
            has_ports = protocol in WITH_PORTS
            ends = [
                (_packed(ip), port if has_ports and port is not None else -1)
                for ip, port in ((flow.client_ip, flow.client_port), (flow.server_ip, flow.server_port))
            ]
            one, other = sorted(ends)
            wanted = _Wanted(flow.number, _nanoseconds(capture.start), _nanoseconds(capture.end))
            whole[(protocol, one, other)].append(wanted)
            addresses[(protocol, one[0], other[0])].append(wanted)
        every = [wanted for some in whole.values() for wanted in some]
        start = min((-inf if one.start is None else one.start for one in every), default=inf)
        return cls(whole, addresses, start, max((inf if one.end is None else one.end for one in every), default=-inf))

    def flow_of(self, record: Record) -> int | None:
        """Return the number of the flow that a packet belongs to, None if it is of none."""
        if record.time is not None and not self.start <= record.time <= self.end:
            return None
        for layer in layers(record.linktype, record.data or b""):
            for wanted in self._candidates(layer):
                after = record.time is None or wanted.start is None or record.time >= wanted.start
                before = record.time is None or wanted.end is None or record.time <= wanted.end
                if after and before:
                    return wanted.flow
        return None

    def _candidates(self, layer: Layer) -> Sequence[_Wanted]:
        """Return the flows that have the ends of a layer."""
        src, dst = (layer.src, layer.sport), (layer.dst, layer.dport)
        one, other = (src, dst) if src <= dst else (dst, src)
        if layer.is_later_fragment:
            return self.addresses.get((layer.protocol, one[0], other[0]), ())
        found: Sequence[_Wanted] = self.whole.get((layer.protocol, one, other), ())
        return found or self.whole.get((-1, (one[0], -1), (other[0], -1)), ())


def cut_out(capture: Path, flows: Sequence[tuple[Flow, Capture]], out: Writable, progress: Progress) -> Cut:
    """Return what was written to `out`: the packets of some flows, as a capture of the same form.

    Refused if the capture is none, OSError if it cannot be read or written.
    """
    wanted, done, reading = Wanted.of(flows), Cut(), Reading(capture)
    for record in reading.records():
        if record.data is None:
            out.write(record.raw)
            continue
        done.read += 1
        if done.read % STEP == 0:
            progress(done.read, done.taken)
        flow = wanted.flow_of(record)
        if flow is not None:
            out.write(record.raw)
            done.taken += 1
            done.by_flow[flow] += 1
    progress(done.read, done.taken)
    done.is_whole = reading.is_whole
    return done


def _packed(text: str) -> bytes:
    """Return an address as packets have it, IPv4 where it is an IPv4-mapped one."""
    address = ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).packed


def _nanoseconds(text: str | None) -> int | None:
    """Return a time as nanoseconds since 1970."""
    at: datetime | None = moment(text)
    if at is None:
        return None
    return round(at.replace(microsecond=0).timestamp()) * NANOSECONDS + at.microsecond * 1000
