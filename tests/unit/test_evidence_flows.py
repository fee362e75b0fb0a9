"""Which events are of one flow, told from made-up events; and what can be read from events of any shape."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connector.respond.evidence.flows import Gathered, flow_of, grouped
from connector.respond.evidence.reading import DOCUMENT, Found, cut, moment, words
from connector.respond.evidence.records import capture_of, files_of, http_of, packet_filter, tls_of

START = datetime(2026, 11, 20, 8, tzinfo=UTC)
ENDS = {"src_ip": "10.0.0.1", "src_port": 40000, "dest_ip": "198.51.100.9", "dest_port": 80, "proto": "TCP"}


def at(second: float) -> str:
    """Return a time so many seconds into the day, as events write it."""
    return (START + timedelta(seconds=second)).isoformat()


def event(id: str, second: float, number: int | None = 7, kind: str = "http", **more: Any) -> Found:
    """Return an event of a flow."""
    source = {"timestamp": at(second), "event_type": kind, **ENDS, **({"flow_id": number} if number else {}), **more}
    return Found("logs", id, START + timedelta(seconds=second), source, "eve")


def whole(id: str, start: float, end: float, number: int = 7, **more: Any) -> Found:
    """Return the event of a whole flow."""
    return event(id, end + 60, number, "flow", flow={"start": at(start), "end": at(end)}, **more)


def ids(events: list[Found], *seeds: str) -> list[list[str]]:
    """Return the ids of the events of each flow that has a seed."""
    found = grouped(events, {("logs", seed) for seed in seeds})
    return [[each.id for each in flow.events] for flow in found]


def test_events_belong_to_the_flow_that_had_begun() -> None:
    first, second = [event("a", 0), whole("b", 0, 5)], [event("c", 1000), event("d", 5000), whole("e", 1000, 5001)]
    assert ids([*first, *second], "a") == [["a", "b"]]
    assert ids([*first, *second], "d") == [["c", "d", "e"]]
    assert ids([*first, *second], "b", "e") == [["a", "b"], ["c", "d", "e"]]


def test_a_flow_event_that_is_written_after_the_next_flow_began_is_of_its_own() -> None:
    assert ids([event("a", 0), event("b", 30), whole("c", 0, 5), whole("d", 30, 31)], "a") == [["a", "c"]]


def test_both_directions_and_an_overwritten_address_are_one_flow() -> None:
    back = {"src_ip": "198.51.100.9", "src_port": 80, "dest_ip": "10.0.0.1", "dest_port": 40000}
    proxied = event("c", 2, kind="alert", src_ip="203.0.113.1")
    assert ids([event("a", 0), event("b", 1, **back), proxied], "a") == [["a", "b", "c"]]
    elsewhere = event("d", 2, src_ip="203.0.113.1", src_port=1, dest_ip="203.0.113.2")
    assert ids([event("a", 0), elsewhere], "a") == [["a"]]


def test_an_event_without_a_number_is_a_flow_of_its_own() -> None:
    assert ids([event("a", 0, None), event("b", 0, None), event("c", 0)], "a") == [["a"]]


def test_two_sensors_with_one_community_id_are_one_flow_and_its_clocks_may_differ() -> None:
    same = {"community_id": "1:x"}
    mine = [event("a", 0, 7, host="one", **same), whole("b", 0, 10, 7, host="one", **same)]
    theirs = [event("c", 31, 8, host="two", **same), whole("d", 31, 41, 8, host="two", **same)]
    later = [event("e", 500, 9, host="two", **same)]
    assert ids([*mine, *theirs, *later], "a") == [["a", "c", "b", "d"]]
    assert ids([*mine, *theirs, *later], "a", "c") == [["a", "c", "b", "d"]]
    assert ids([*mine, *theirs, *later], "a", "e") == [["a", "c", "b", "d"], ["e"]]


def test_a_flow_has_its_ends_numbers_and_times() -> None:
    counts = {"start": at(0), "end": at(5), "pkts_toserver": 6, "pkts_toclient": 23, "bytes_toserver": 546}
    more = {"bytes_toclient": 29178, "state": "closed"}
    done = event("b", 65, kind="flow", flow={**counts, **more}, app_proto="http")
    flow = flow_of(Gathered([event("a", 1), done]), 3)
    assert (flow.client_ip, flow.client_port, flow.server_ip, flow.server_port) == (
        "10.0.0.1",
        40000,
        "198.51.100.9",
        80,
    )
    assert (flow.packets_to_server, flow.packets_to_client, flow.bytes_to_client) == (6, 23, 29178)
    assert (flow.start, flow.end) == ("2026-11-20T08:00:00.000000Z", "2026-11-20T08:00:05.000000Z")
    assert (flow.protocol, flow.app_protocol, flow.state, flow.kinds) == (
        "TCP",
        "http",
        "closed",
        {"http": 1, "flow": 1},
    )
    capture = capture_of(Gathered([event("a", 1), done]), flow)
    assert (capture.start, capture.end) == ("2026-11-20T07:59:59.000000Z", "2026-11-20T08:00:06.000000Z")
    assert capture.filter == "tcp and host 10.0.0.1 and host 198.51.100.9 and port 40000 and port 80"


def test_of_a_flow_without_its_own_event_the_packets_may_be_minutes_away() -> None:
    gathered = Gathered([event("a", 0), event("b", 10)])
    capture = capture_of(gathered, flow_of(gathered, 1))
    assert (capture.start, capture.end) == ("2026-11-20T07:55:00.000000Z", "2026-11-20T08:05:10.000000Z")


def test_a_filter_is_made_of_addresses_and_ports_alone() -> None:
    bad = Gathered([event("a", 0, src_ip="x or host y", dest_ip="1.2.3.4; rm")])
    assert packet_filter(flow_of(bad, 1)) == ""
    ping = Gathered([event("a", 0, proto="IPv6-ICMP", src_ip="2001:db8::1", dest_ip="2001:db8::2")])
    assert packet_filter(flow_of(ping, 1)) == "icmp6 and host 2001:db8::1 and host 2001:db8::2"


def test_fingerprints_are_read_in_every_shape() -> None:
    ja4 = "t13d1515h2_8daaf6152771_de4a06bb82e3"
    for said in ({"ja4": ja4}, {"ja4": {"hash": ja4}}, {"ja4": {"ja4": ja4}}):
        tls = tls_of(event("a", 0, kind="tls", tls={"version": "TLS 1.3", "sni": "a.example", **said}), 1)
        assert (tls.ja4, tls.sni, tls.protocol) == (ja4, "a.example", "tls")
    quic = tls_of(event("a", 0, kind="quic", quic={"version": "1", "sni": "b.example", "ja3": {"hash": "h"}}), 1)
    assert (quic.protocol, quic.sni, quic.ja3) == ("quic", "b.example", "h")


def test_of_http_2_the_headers_are_read() -> None:
    asked = [
        {"name": ":method", "value": "GET"},
        {"name": ":authority", "value": "dns.google"},
        {"table_size_update": 1},
    ]
    answered = [{"name": ":status", "value": "200"}, {"name": "Content-Type", "value": "application/dns-message"}]
    http = {"version": "2", "request_headers": asked, "response_headers": answered}
    found = http_of(event("a", 0, http=http), 1)
    assert (found.method, found.host, found.status, found.content_type) == (
        "GET",
        "dns.google",
        "200",
        "application/dns-message",
    )


def test_files_of_alerts_and_of_their_own_events_are_one_file() -> None:
    own = {"filename": "/a", "sha256": "AB" * 32, "size": 3}
    alert = event("a", 0, kind="alert", files=[{**own, "stored": False}, {"filename": "/b"}, "no file"])
    info = event("b", 1, kind="fileinfo", fileinfo={**own, "stored": True, "magic": "x"})
    first, second = files_of([(alert, 1), (info, 1)])
    assert (first.sha256, first.path, first.seen, first.id, first.time) == (
        "ab" * 32,
        f"ab/{'ab' * 32}",
        2,
        "b",
        f"{at(0)[:19]}.000000Z",
    )
    assert (second.name, second.sha256, second.path) == ("/b", "", None)


def test_a_hash_that_is_none_has_no_path() -> None:
    for sha256 in ("../" * 21 + "x", "g" * 64, "ab" * 31, ["ab" * 32, "x"], {"a": 1}, None):
        info = event("b", 1, kind="fileinfo", fileinfo={"filename": "/a", "sha256": sha256, "stored": True})
        assert all(file.path in (None, f"ab/{'ab' * 32}") for file in files_of([(info, 1)]))


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [
        "timestamp",
        "event_type",
        "flow",
        "flow_id",
        "src_ip",
        "dest_ip",
        "src_port",
        "tls",
        "http",
        "files",
        "fileinfo",
        "hunt",
        "dns",
        "host",
    ]
)


@settings(deadline=None)
@given(st.dictionaries(NAMES, ANY, max_size=8), st.sampled_from(["eve", "ecs"]))
def test_events_of_any_shape_are_read(source: dict[str, Any], dialect: Any) -> None:
    found = Found("logs", "a", None, source, dialect)
    gathered = grouped([found], {("logs", "a")}) or [Gathered([found])]
    flow = flow_of(gathered[0], 1)
    capture_of(gathered[0], flow)
    tls_of(found, 1), http_of(found, 1), files_of([(found, 1)])
    assert isinstance(words(found), str)


@settings(deadline=None)
@given(ANY)
def test_a_document_that_is_cut_says_so_and_is_short(value: Any) -> None:
    assert (
        len(str(cut({"a": value, "b": ["x" * 5000] * 100, "c": {str(n): "y" * 900 for n in range(500)}})))
        < 3 * DOCUMENT
    )


def test_a_short_document_stays_as_it_is() -> None:
    source = {"a": [1, 2.5, None, True, {"b": "c"}], "d": {"e": "f"}}
    assert cut(source) == source


def test_times_are_read_as_events_write_them() -> None:
    for text in (
        "2026-11-02T13:52:11.276400+0000",
        "2026-11-02T13:52:11.2764Z",
        "2026-11-02T14:52:11.2764000000+01:00",
    ):
        assert moment(text) == datetime(2026, 11, 2, 13, 52, 11, 276400, tzinfo=UTC)
    for text in ("", "yesterday", "9" * 100, 5, None, "0001-01-01T00:00:00+23:59"):
        assert moment(text) is None
