"""The enrichment's reference on the shapes that real events take."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from connector.enrich.reference import enrich
from connector.enrich.tables import build_tables
from connector.settings.load import load_settings

TABLES = build_tables(load_settings(None, {}))
NOW = datetime(2026, 11, 3, tzinfo=UTC)


def event(
    kind: str = "dns", src: str = "10.10.10.17", dst: str = "8.8.8.8", ports: tuple[int, int] = (50000, 53), **more: Any
) -> dict[str, Any]:
    """Return an EVE event."""
    base = {"timestamp": "2026-11-02T10:00:00.000000+0000", "event_type": kind, "proto": "UDP"}
    return base | {"src_ip": src, "dest_ip": dst, "src_port": ports[0], "dest_port": ports[1]} | more


def hunt(of: dict[str, Any]) -> dict[str, Any]:
    """Return what we write under `hunt`."""
    return enrich(of, TABLES, NOW)["hunt"]


V1 = {"type": "query", "rrname": "www.example.com", "rrtype": "A"}
V2 = V1 | {"version": 2}
V3 = {"version": 3, "type": "request", "queries": [{"rrname": "www.example.com", "rrtype": "A"}]}
ALERT_V2 = {"version": 2, "query": [V1]}


@pytest.mark.parametrize("dns", [V1, V2, V3])
def test_a_query_has_one_shape_in_every_log_version(dns: dict[str, Any]) -> None:
    told = hunt(event(dns=dns))
    assert told["dns"] == {"message": "query", "rrname": "www.example.com", "rrtype": "A"}
    assert told["resolver"]["verdict"] == "public" and told["resolver"]["provider"] == "Google Public DNS"
    assert told["client"] == {
        "ip": "10.10.10.17",
        "scope": "internal",
        "network": "finance",
        "department": "finance",
        "role": "workstation",
    }


@pytest.mark.parametrize(
    ("dns", "turned"),
    [
        (
            {
                "type": "answer",
                "rrname": "a.example",
                "rrtype": "A",
                "rcode": "NOERROR",
                "ttl": 60,
                "rdata": "192.0.2.1",
            },
            False,
        ),
        (
            {
                "version": 2,
                "type": "answer",
                "rrname": "a.example",
                "rrtype": "A",
                "rcode": "NOERROR",
                "answers": [{"rrname": "a.example", "rrtype": "A", "ttl": 60, "rdata": "192.0.2.1"}],
            },
            False,
        ),
        (
            {
                "version": 2,
                "type": "answer",
                "rrname": "a.example",
                "rrtype": "A",
                "rcode": "NOERROR",
                "grouped": {"A": ["192.0.2.1"]},
            },
            False,
        ),
        (
            {
                "version": 3,
                "type": "response",
                "rcode": "NOERROR",
                "queries": [{"rrname": "a.example", "rrtype": "A"}],
                "answers": [{"rrname": "a.example", "rrtype": "A", "ttl": 60, "rdata": "192.0.2.1"}],
            },
            True,
        ),
    ],
)
def test_an_answer_has_one_shape_and_its_client_is_who_asked(dns: dict[str, Any], turned: bool) -> None:
    told = hunt(event(src="8.8.8.8", dst="10.10.10.17", ports=(53, 50000), dns=dns) if turned else event(dns=dns))
    assert (told["client"]["ip"], told["server"]["ip"]) == ("10.10.10.17", "8.8.8.8")
    assert told["dns"]["ips"] == ["192.0.2.1"] and told["dns"]["answer_count"] == 1
    assert told["dns"]["private_answer"] is False


def test_dns_in_alerts_may_be_a_list_or_empty() -> None:
    assert hunt(event("alert", dns=ALERT_V2))["dns"]["message"] == "query"
    assert "dns" not in hunt(event("alert", dns={"version": 2}))


def test_an_exception_is_judged_at_the_event_s_own_time() -> None:
    asked = event(src="10.10.20.60", dst="1.1.1.1", dns=V2)
    assert hunt(asked)["resolver"]["verdict"] == "approved"
    assert hunt(asked | {"timestamp": "2027-01-01T00:30:00.000000+0100"})["resolver"]["verdict"] == "approved"
    assert hunt(asked | {"timestamp": "2027-01-01T00:30:00.000000+0000"})["resolver"]["verdict"] == "public"
    assert (
        hunt(asked | {"proto": "TCP", "event_type": "tls", "dest_port": 853, "dns": None})["resolver"]["verdict"]
        == "public"
    )


def test_approved_resolvers_may_ask_whom_the_policy_says() -> None:
    def verdict(client: str, server: str) -> str:
        told: str = hunt(event(src=client, dst=server, dns=V2))["resolver"]["verdict"]
        return told

    assert verdict("10.0.0.53", "198.41.0.4") == "approved-upstream"
    assert verdict("10.0.0.54", "9.9.9.9") == "approved-upstream"
    assert verdict("10.0.0.53", "9.9.9.9") == "public"
    assert verdict("10.10.10.17", "9.9.9.9") == "public"
    assert verdict("10.10.10.17", "10.0.0.53") == "approved"
    assert verdict("10.10.10.17", "10.10.40.66") == "unapproved-internal"
    assert verdict("10.10.10.17", "192.0.2.9") == "unapproved-external"


@pytest.mark.parametrize(
    ("seen", "protocol", "match"),
    [
        (event("tls", ports=(50000, 853), proto="TCP", tls={"sni": "dns.google"}), "dot", "sni"),
        (event("tls", ports=(50000, 853), proto="TCP", tls={}), "dot", "ip"),
        (
            event(
                "tls", dst="104.16.248.249", ports=(50000, 443), proto="6", tls={"sni": "mozilla.cloudflare-dns.com"}
            ),
            "doh",
            "sni",
        ),
        (
            event("tls", dst="192.0.2.9", ports=(50000, 443), proto="TCP", tls={"sni": "abc123.dns.nextdns.io"}),
            "doh",
            "suffix",
        ),
        (event("quic", dst="8.8.4.4", ports=(50000, 443), quic={"sni": "dns.google"}), "doh", "sni"),
        (event("flow", dst="94.140.14.14", ports=(50000, 853), app_proto="failed"), "doq", "ip"),
        (event("quic", dst="208.67.220.220", ports=(50000, 443), quic={"version": "1"}), "dnscrypt", "ip"),
        (event("flow", dst="192.0.2.9", ports=(50000, 853), proto="TCP"), "dot", None),
    ],
)
def test_encrypted_dns_is_recognised(seen: dict[str, Any], protocol: str, match: str | None) -> None:
    told = hunt(seen)["resolver"]
    assert (told["protocol"], told.get("match"), told["encrypted"]) == (protocol, match, True)


@pytest.mark.parametrize(
    "seen",
    [
        event("tls", dst="104.16.248.249", ports=(50000, 443), proto="TCP", tls={"sni": "www.example.com"}),
        event("mdns", dst="224.0.0.251", ports=(5353, 5353), mdns={"queries": [{"rrname": "_ipp._tcp.local"}]}),
        event("fileinfo", fileinfo={}),
        event("flow", dst="8.8.8.8", proto="ICMP"),
    ],
)
def test_what_is_no_resolver(seen: dict[str, Any]) -> None:
    assert "resolver" not in hunt(seen)


def test_http_fields_that_other_screens_read() -> None:
    http = {"hostname": "www.example.co.uk", "url": "/a/b?c=1", "http_refer": "http://login.example.org:8080/in?x"}
    told = enrich(event("http", ports=(50000, 80), proto="TCP", http=http), TABLES, NOW)
    assert told["hostname_info"] == {
        "host": "www.example.co.uk",
        "subdomain": "www",
        "domain": "example.co.uk",
        "tld": "co.uk",
        "domain_without_tld": "example",
        "scheme": "http",
        "url": "http://www.example.co.uk/a/b?c=1",
        "resource_path": "/a/b",
    }
    assert told["http"]["http_refer_info"]["domain"] == "example.org"
    assert told["http"]["http_refer_info"]["resource_path"] == "/in"
    assert told["net_info"] == {
        "src": ["Example Instruments", "campus", "finance"],
        "src_agg": "Example Instruments,campus,finance",
    }


def test_elastic_agent_events_get_the_same_fields() -> None:
    ecs = {
        "@timestamp": "2026-11-02T10:00:00.000Z",
        "source": {"ip": "10.10.10.17", "port": 50000},
        "destination": {"ip": "8.8.8.8", "port": 53},
        "network": {"transport": "udp", "protocol": "dns"},
        "suricata": {"eve": {"event_type": "dns", "dns": {k: v for k, v in V2.items() if k != "version"}}},
    }
    theirs, ours = enrich(ecs, TABLES, NOW), enrich(event(dns=V2), TABLES, NOW)
    for field in ("hunt", "hostname_info", "net_info"):
        assert theirs[field] == ours[field]


def test_enriching_twice_changes_nothing_and_keeps_the_first_arrival() -> None:
    once = enrich(event(dns=V2), TABLES, NOW)
    once["hunt"] |= {"tag": "relevant", "tag_rules": ["r"], "tagged": 1}
    assert enrich(copy.deepcopy(once), TABLES, datetime(2027, 1, 1, tzinfo=UTC)) == once


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"dns": "text"}, "dns is not an object"),
        ({"src_ip": "10.0.0.300"}, "src_ip is not an address"),
        ({"dest_ip": 7}, "dest_ip is not an address"),
        ({"http": 3, "dns": V2}, "http is not an object"),
        ({"alert": "x"}, "alert is not an object"),
        ({"hunt": [1]}, "hunt is not an object"),
    ],
)
def test_what_cannot_be_read_is_named_and_the_rest_is_kept(more: dict[str, Any], error: str) -> None:
    told = enrich(event() | more, TABLES, NOW)
    assert error in told["hunt"]["error"]
    assert told["hunt"]["ingested"] and told["event_type"] == "dns"
