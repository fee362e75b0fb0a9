"""The addresses, protocols and ports of a captured packet, whatever lies around them.

Promises: never raises on any bytes. Reads Ethernet, Linux cooked, BSD loopback and raw IP; VLAN tags, MPLS and PPPoE;
IPv4 and IPv6 with extension headers; and what is inside of IP-in-IP, GRE (ERSPAN too) and VXLAN. Will not: put
fragments together: of a later one the ports are not known.

Small and written here, because a packet library builds an object for each layer of each packet, which takes a capture
of gigabytes from minutes to hours, and none reads these layers from every link type.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import error as StructError
from struct import unpack_from
from typing import NamedTuple

TCP, UDP, SCTP = 6, 17, 132
WITH_PORTS = (TCP, UDP, SCTP)
DEEPEST = 4  # layers of IP in one packet
MOST_HEADERS = 10  # tags, or extension headers, one after another
VXLAN_PORTS = (4789, 8472)
V4_IN, V6_IN, GRE = 4, 41, 47
IPV4, IPV6, ETHERNET = 0x0800, 0x86DD, 0x6558
VLAN = (0x8100, 0x88A8, 0x9100)
MPLS = (0x8847, 0x8848)
PPPOE = 0x8864
PPP = {0x0021: IPV4, 0x0057: IPV6}
ERSPAN_2, ERSPAN_3 = 0x88BE, 0x22EB
# link types of pcap: bytes before the ethertype, or None where IP comes at once
EN10MB, RAW, SLL, SLL2, NULL, LOOP = 1, 101, 113, 276, 0, 108
RAW_TYPES = (RAW, 12, 14, 228, 229)
LINK_TYPES = (EN10MB, SLL, SLL2, NULL, LOOP, *RAW_TYPES)


class Layer(NamedTuple):
    """One layer of IP: packed addresses, protocol and ports (-1: none, or of a later fragment)."""

    src: bytes
    dst: bytes
    protocol: int
    sport: int
    dport: int
    is_later_fragment: bool


def layers(linktype: int, data: bytes) -> Iterator[Layer]:
    """Yield the layers of IP in a packet from the outermost; none if it has none that can be read."""
    try:
        if linktype == EN10MB:
            yield from _typed(unpack_from("!H", data, 12)[0], data, 14, DEEPEST)
        elif linktype == SLL:
            yield from _typed(unpack_from("!H", data, 14)[0], data, 16, DEEPEST)
        elif linktype == SLL2:
            yield from _typed(unpack_from("!H", data, 0)[0], data, 20, DEEPEST)
        elif linktype in (NULL, LOOP):
            yield from _ip(data, 4, DEEPEST)
        elif linktype in RAW_TYPES:
            yield from _ip(data, 0, DEEPEST)
    except (IndexError, StructError):
        return


def _typed(kind: int, data: bytes, at: int, depth: int) -> Iterator[Layer]:
    """Yield the layers of what has an ethertype, beginning at a place."""
    for _ in range(MOST_HEADERS):
        if kind in VLAN:
            kind, at = unpack_from("!H", data, at + 2)[0], at + 4
        elif kind == PPPOE:
            kind, at = PPP.get(unpack_from("!H", data, at + 6)[0], 0), at + 8
        elif kind in MPLS:
            is_last = data[at + 2] & 1
            at += 4
            if is_last:
                kind = IPV6 if data[at] >> 4 == 6 else IPV4
        else:
            break
    if kind in (IPV4, IPV6):
        yield from _ip(data, at, depth)
    elif kind == ETHERNET and depth:
        yield from _typed(unpack_from("!H", data, at + 12)[0], data, at + 14, depth - 1)


def _ip(data: bytes, at: int, depth: int) -> Iterator[Layer]:
    """Yield the layer of IP that begins at a place, and those inside of it."""
    if depth <= 0:
        return
    found = _ipv4(data, at) if data[at] >> 4 == 4 else _ipv6(data, at) if data[at] >> 4 == 6 else None
    if found is None:
        return
    src, dst, protocol, after, later = found
    sport = dport = -1
    if protocol in WITH_PORTS and not later:
        sport, dport = unpack_from("!HH", data, after)
    yield Layer(src, dst, protocol, sport, dport, later)
    if later:
        return
    if protocol in (V4_IN, V6_IN):
        yield from _ip(data, after, depth - 1)
    elif protocol == GRE:
        yield from _gre(data, after, depth - 1)
    elif protocol == UDP and dport in VXLAN_PORTS and data[after + 8] & 0x08:
        yield from _typed(ETHERNET, data, after + 16, depth - 1)


def _ipv4(data: bytes, at: int) -> tuple[bytes, bytes, int, int, bool]:
    """Return addresses, protocol, where the payload begins, and whether it is a later fragment (RFC 791)."""
    offset = unpack_from("!H", data, at + 6)[0] & 0x1FFF
    return data[at + 12 : at + 16], data[at + 16 : at + 20], data[at + 9], at + (data[at] & 15) * 4, offset > 0


def _ipv6(data: bytes, at: int) -> tuple[bytes, bytes, int, int, bool]:
    """Return addresses, protocol, where the payload begins, and whether it is a later fragment (RFC 8200)."""
    kind, after, later = data[at + 6], at + 40, False
    for _ in range(MOST_HEADERS):
        if kind in (0, 43, 60, 135, 139, 140):
            kind, after = data[after], after + data[after + 1] * 8 + 8
        elif kind == 51:
            kind, after = data[after], after + data[after + 1] * 4 + 8
        elif kind == 44:
            later = unpack_from("!H", data, after + 2)[0] >> 3 > 0
            kind, after = data[after], after + 8
            if later:
                break
        else:
            break
    return data[at + 8 : at + 24], data[at + 24 : at + 40], kind, after, later


def _gre(data: bytes, at: int, depth: int) -> Iterator[Layer]:
    """Yield the layers inside of GRE (RFC 2784, 2890), and of the ERSPAN types that mirror ports send in it."""
    flags, kind = unpack_from("!HH", data, at)
    after = at + 4 + sum(4 for bit in (0x8000, 0x2000, 0x1000) if flags & bit)
    if kind == ERSPAN_2:
        yield from _typed(ETHERNET, data, after + (8 if flags & 0x1000 else 0), depth)
    elif kind == ERSPAN_3:
        yield from _typed(ETHERNET, data, after + 12 + (8 if data[after + 11] & 1 else 0), depth)
    else:
        yield from _typed(kind, data, after, depth)
