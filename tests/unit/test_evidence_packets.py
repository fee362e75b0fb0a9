"""Cutting packets out of captures: what Suricata counted for each flow is cut out, whatever the capture's form."""

import gzip
import io
import json
import lzma
import struct
from collections.abc import Iterable
from hashlib import sha256
from ipaddress import ip_address
from math import floor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.errors import Refused
from connector.respond.evidence.captures import Reading
from connector.respond.evidence.layers import LINK_TYPES, Layer, layers
from connector.respond.evidence.model import Capture, Flow
from connector.respond.evidence.packets import Cut, cut_out

CLIENT, SERVER = "192.0.2.1", "198.51.100.2"
CLIENT6, SERVER6 = "2001:db8::1", "2001:db8::2"
START = 1_793_620_800  # 2026-11-02T12:00:00Z
UDP, TCP = 17, 6


def flow(number: int = 1, client: str = CLIENT, server: str = SERVER, protocol: str = "UDP", **more: Any) -> Flow:
    """Return a flow between two ends."""
    ports = {"client_port": 40000, "server_port": 53, **more}
    return Flow(
        number, protocol, "", client, ports["client_port"], server, ports["server_port"],
        None, None, (), "", None, None, None, None, "", 1, {},
    )  # fmt: skip


def during(
    number: int = 1, start: str | None = "2026-11-02T12:00:00Z", end: str | None = "2026-11-02T12:00:10Z"
) -> Capture:
    """Return the time of a flow's packets."""
    return Capture(number, (), (), start, end, "")


def cut(capture: bytes, folder: Path, *flows: tuple[Flow, Capture]) -> tuple[Cut, bytes]:
    """Return what is cut out of a capture."""
    (folder / "some.pcap").write_bytes(capture)
    out = io.BytesIO()
    return cut_out(folder / "some.pcap", flows or [(flow(), during())], out, lambda *_: None), out.getvalue()


def ports(source: int, dest: int, length: int = 4) -> bytes:
    """Return a UDP header with a payload."""
    return struct.pack("!HHHH", source, dest, 8 + length, 0) + b"x" * length


def ipv4(src: str, dst: str, payload: bytes, protocol: int = UDP, fragment: int = 0, options: bytes = b"") -> bytes:
    """Return an IPv4 packet."""
    head = struct.pack(
        "!BBHHHBBH", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), 7, fragment, 64, protocol, 0
    )
    return head + ip_address(src).packed + ip_address(dst).packed + options + payload


def ipv6(src: str, dst: str, payload: bytes, kind: int = UDP) -> bytes:
    """Return an IPv6 packet."""
    head = struct.pack("!IHBB", 6 << 28, len(payload), kind, 64)
    return head + ip_address(src).packed + ip_address(dst).packed + payload


def ethernet(packet: bytes, *tags: int) -> bytes:
    """Return a packet in an Ethernet frame with VLAN tags."""
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    return (
        b"\2" * 12
        + b"".join(struct.pack("!HH", 0x88A8 if n else 0x8100, tag) for n, tag in enumerate(tags))
        + struct.pack("!H", kind)
        + packet
    )


def pcap(packets: Iterable[tuple[float, bytes]], order: str = "<", nano: bool = False, linktype: int = 1) -> bytes:
    """Return a pcap file; the packets were two bytes longer on the wire."""
    unit = 1e9 if nano else 1e6
    found = struct.pack(f"{order}IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, 262144, linktype)
    for at, data in packets:
        found += struct.pack(f"{order}IIII", START + floor(at), round(at % 1 * unit), len(data), len(data) + 2) + data
    return found


def block(order: str, kind: int, body: bytes) -> bytes:
    """Return a block of pcapng."""
    body += b"\0" * (-len(body) % 4)
    length = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + length + body + length


def section(order: str = "<") -> bytes:
    """Return a section header of pcapng that tells its length."""
    return block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, 4096))


def interface(order: str = "<", linktype: int = 1, resolution: int | None = None, offset: int | None = None) -> bytes:
    """Return an interface of pcapng."""
    options = b"" if resolution is None else struct.pack(f"{order}HHBxxx", 9, 1, resolution)
    options += b"" if offset is None else struct.pack(f"{order}HHq", 14, 8, offset)
    return block(order, 1, struct.pack(f"{order}HHI", linktype, 0, 262144) + options + struct.pack("HH", 0, 0))


def packet(data: bytes, ticks: int, number: int = 0, order: str = "<") -> bytes:
    """Return a packet block of pcapng with a comment."""
    head = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data) + 2)
    return block(order, 6, head + data + b"\0" * (-len(data) % 4) + struct.pack(f"{order}HH4s", 1, 4, b"note"))


ASKED = ethernet(ipv4(CLIENT, SERVER, ports(40000, 53)))
ANSWERED = ethernet(ipv4(SERVER, CLIENT, ports(53, 40000)))
OTHER = ethernet(ipv4(CLIENT, SERVER, ports(40001, 53)))


def test_of_each_flow_as_many_packets_as_suricata_counted(shared: Path) -> None:
    capture = shared / "pcaps" / "office.pcap"
    with gzip.open(shared / "eve" / "office-s8.json.gz") as file:
        events = [event for line in file if (event := json.loads(line))["event_type"] == "flow"]
    ends = ("src_ip", "src_port", "dest_ip", "dest_port")
    flows, wanted = [], {}
    for number, event in enumerate(events, 1):
        client, sport, server, dport = (event.get(name) for name in ends)
        one = flow(number, client, server, event["proto"], client_port=sport, server_port=dport)
        flows.append((one, during(number, event["flow"]["start"], event["flow"]["end"])))
        wanted[number] = event["flow"]["pkts_toserver"] + event["flow"]["pkts_toclient"]
    assert len(wanted) > 50 and {event["proto"] for event in events} >= {"TCP", "UDP"}
    out = io.BytesIO()
    done = cut_out(capture, flows, out, lambda *_: None)
    assert dict(done.by_flow) == wanted
    assert (done.taken, done.is_whole) == (sum(wanted.values()), True)


def test_the_labelled_flows_of_the_story_are_the_whole_capture_of_incidents(shared: Path) -> None:
    told = json.loads((shared / "story" / "truth.json").read_text())["incidents"]
    flows = []
    for incident in told.values():
        for text in incident["flows"]:
            protocol, client, sport, server, dport = text.split()
            one = flow(len(flows) + 1, client, server, protocol.upper(), client_port=int(sport), server_port=int(dport))
            flows.append((one, during(one.number, None, None)))
    leases = [("0.0.0.0", 68, "255.255.255.255", 67), ("10.10.40.66", 67, "255.255.255.255", 68)]
    for client, sport, server, dport in leases:  # those of the rogue resolver are labelled by lease, not by flow
        one = flow(len(flows) + 1, client, server, client_port=sport, server_port=dport)
        flows.append((one, during(one.number, None, None)))
    out = io.BytesIO()
    done = cut_out(shared / "story" / "incident.pcap", flows, out, lambda *_: None)
    assert (done.read, done.taken) == (5221, 5221)
    assert out.getvalue() == (shared / "story" / "incident.pcap").read_bytes()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("nano", [False, True])
def test_both_directions_in_the_time_come_out_byte_for_byte(order: str, nano: bool, tmp_path: Path) -> None:
    inside = [(0.0, ASKED), (0.25, ANSWERED), (10.0, ASKED)]
    capture = pcap([(-0.000002, ASKED), *inside[:1], (0.1, OTHER), *inside[1:], (10.000002, ASKED)], order, nano)
    done, out = cut(capture, tmp_path)
    assert out == pcap(inside, order, nano)
    assert (done.read, done.taken, done.is_whole) == (6, 3, True)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_packed_captures_are_read(pack: Any, tmp_path: Path) -> None:
    capture = pcap([(n / 1000, ASKED[:-4] + sha256(b"%d" % n).digest()) for n in range(500)])
    assert cut(pack(capture), tmp_path)[1] == capture
    done, out = cut(pack(capture)[:-200], tmp_path)
    assert not done.is_whole and capture.startswith(out)


def test_pcapng_with_two_interfaces_and_sections_keeps_times_comments_and_lengths(tmp_path: Path) -> None:
    nano = START * 10**9 + 1
    first = section() + interface() + interface(linktype=101, resolution=9)
    kept = packet(ASKED, START * 10**6) + packet(ipv4(SERVER, CLIENT, ports(53, 40000)), nano, 1)
    second = section(">") + interface(">", resolution=0x83, offset=START)  # eighths of seconds
    late = packet(ANSWERED, 8, order=">")
    name = block("<", 4, b"\0" * 8)  # names
    capture = first + packet(OTHER, START * 10**6) + kept + name + second + packet(ASKED, 8 * 11, order=">") + late
    done, out = cut(capture, tmp_path)
    unknown = struct.pack("<q", 4096), b"\xff" * 8
    swapped = struct.pack(">q", 4096), b"\xff" * 8
    assert out == first.replace(*unknown) + kept + second.replace(*swapped) + late
    assert (done.read, done.taken, done.is_whole) == (5, 3, True)


def test_old_and_simple_packet_blocks_are_read(tmp_path: Path) -> None:
    ticks = START * 10**6
    head = struct.pack("<HHIIII", 0, 0, ticks >> 32, ticks & 0xFFFFFFFF, len(ASKED), len(ASKED))
    simple = block("<", 3, struct.pack("<I", len(ASKED)) + ASKED)  # tells no time
    done, _ = cut(section() + interface() + block("<", 2, head + ASKED) + simple, tmp_path)
    assert (done.taken, done.is_whole) == (2, True)


@pytest.mark.parametrize(
    "wrapped",
    [
        ethernet(ipv4(CLIENT, SERVER, ports(40000, 53)), 7),
        ethernet(ipv4(CLIENT, SERVER, ports(40000, 53), options=b"\1" * 8), 7, 8),
        b"\2" * 12 + b"\x88\x47" + b"\0\0\0\xff" + b"\0\0\1\xff" + ipv4(CLIENT, SERVER, ports(40000, 53)),
        b"\2" * 12 + b"\x88\x64" + b"\x11\0\0\1\0\x20" + b"\0\x21" + ipv4(CLIENT, SERVER, ports(40000, 53)),
        ethernet(ipv4("10.0.0.1", "10.0.0.2", b"\0\0\x08\0" + ipv4(SERVER, CLIENT, ports(53, 40000)), 47)),
        ethernet(ipv4("10.0.0.1", "10.0.0.2", b"\x10\0\x88\xbe" + b"\0" * 12 + ASKED, 47)),
        ethernet(ipv4("10.0.0.1", "10.0.0.2", ports(1, 4789, 0) + b"\x08" + b"\0" * 7 + ANSWERED)),
        ethernet(ipv6(CLIENT6, SERVER6, ipv4(CLIENT, SERVER, ports(40000, 53)), 4)),
    ],
    ids=["vlan", "qinq", "mpls", "pppoe", "gre", "erspan", "vxlan", "ip-in-ip"],
)
def test_packets_are_known_inside_of_what_is_around_them(wrapped: bytes, tmp_path: Path) -> None:
    done, out = cut(pcap([(1, wrapped), (1, OTHER)]), tmp_path)
    assert (done.taken, out) == (1, pcap([(1, wrapped)]))


@pytest.mark.parametrize(
    ("linktype", "before"), [(101, b""), (113, b"\0" * 14 + b"\x08\0"), (276, b"\x08\0" + b"\0" * 18), (0, b"\2\0\0\0")]
)
def test_other_link_types_are_read(linktype: int, before: bytes, tmp_path: Path) -> None:
    capture = pcap([(1, before + ipv4(CLIENT, SERVER, ports(40000, 53)))], linktype=linktype)
    assert cut(capture, tmp_path)[1] == capture


def test_ipv6_with_extension_headers_and_any_spelling(tmp_path: Path) -> None:
    headers = bytes([60, 0]) + b"\0" * 6 + bytes([UDP, 1]) + b"\0" * 14
    asked = ethernet(ipv6(CLIENT6, SERVER6, headers + ports(40000, 53), 0))
    wanted = flow(client="2001:0db8:0000:0000:0000:0000:0000:0001", server=SERVER6)
    assert cut(pcap([(1, asked)]), tmp_path, (wanted, during()))[0].taken == 1


def test_fragments_come_with_their_flow(tmp_path: Path) -> None:
    first = ethernet(ipv4(CLIENT, SERVER, ports(40000, 53), fragment=0x2000))
    later = ethernet(ipv4(CLIENT, SERVER, b"y" * 8, fragment=2))
    elsewhere = ethernet(ipv4(CLIENT, "198.51.100.3", b"y" * 8, fragment=2))
    assert cut(pcap([(1, first), (1, later), (1, elsewhere), (60, later)]), tmp_path)[1] == pcap(
        [(1, first), (1, later)]
    )
    six = [
        ethernet(ipv6(SERVER6, CLIENT6, bytes([UDP, 0, 0, at, 0, 0, 0, 9]) + part, 44))
        for at, part in ((1, ports(53, 40000)), (16, b"z"))
    ]
    done, _ = cut(pcap([(1, one) for one in six]), tmp_path, (flow(client=CLIENT6, server=SERVER6), during()))
    assert done.taken == 2


def test_a_flow_without_ports_is_known_by_its_addresses(tmp_path: Path) -> None:
    ping = ethernet(ipv4(CLIENT, SERVER, b"\x08\0\0\0\0\1\0\1", 1))
    wanted = flow(protocol="ICMP", client_port=8, server_port=0)
    assert cut(pcap([(1, ping), (1, ASKED)]), tmp_path, (wanted, during()))[1] == pcap([(1, ping)])


def test_a_flow_whose_ends_are_no_addresses_has_no_packets(tmp_path: Path) -> None:
    assert cut(pcap([(1, ASKED)]), tmp_path, (flow(client="no address"), during()))[0].taken == 0


def test_a_capture_that_ends_in_a_packet_is_read_up_to_there(tmp_path: Path) -> None:
    capture = pcap([(1, ASKED), (2, ANSWERED)])
    for length in range(len(capture) - 1, 24, -7):
        done, out = cut(capture[:length], tmp_path)
        assert capture.startswith(out)
        assert done.is_whole == (length in (len(capture), 24 + 16 + len(ASKED)))


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0xFFFFFFFF, 17 * 1024 * 1024])
def test_lengths_that_cannot_be_end_the_reading(length: int, tmp_path: Path) -> None:
    broken = struct.pack("<IIII", START, 0, length, length) + b"x" * 100
    done, out = cut(pcap([(1, ASKED)]) + broken, tmp_path)
    assert (done.taken, done.is_whole, out) == (1, False, pcap([(1, ASKED)]))
    done, _ = cut(section() + interface() + struct.pack("<II", 6, length) + b"x" * 100, tmp_path)
    assert (done.read, done.is_whole) == (0, False)


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"not a capture at all", b"\x0a\x0d\x0d"])
def test_what_is_no_capture_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="neither a pcap nor a pcapng"):
        cut(content, tmp_path)


@settings(deadline=None)
@given(st.sampled_from(LINK_TYPES), st.binary(max_size=120))
def test_any_bytes_are_a_packet_or_none(linktype: int, data: bytes) -> None:
    assert all(isinstance(layer, Layer) for layer in layers(linktype, data))


@settings(deadline=None)
@given(
    st.sampled_from(
        [ASKED, ethernet(ipv6(CLIENT6, SERVER6, bytes([44, 0]) + b"\0" * 6 + b"\x11\0\0\1" + b"\0" * 20, 0))]
    ),
    st.data(),
)
def test_a_packet_cut_or_changed_anywhere_never_fails(whole: bytes, data: st.DataObject) -> None:
    changed = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        if place < len(changed):
            changed[place] = data.draw(st.integers(0, 255))
    assert len(list(layers(1, bytes(changed)))) <= 5


@settings(deadline=None)
@given(st.sampled_from([b"", pcap([(1, ASKED)])[:24], section() + interface()]), st.binary(max_size=200))
def test_any_bytes_after_a_header_are_read_or_left(
    tmp_path_factory: pytest.TempPathFactory, start: bytes, rest: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.pcap"
    path.write_bytes(start + rest)
    try:
        parts = [record.raw for record in Reading(path).records()]
    except Refused:
        return
    assert sum(map(len, parts)) <= len(start + rest)
