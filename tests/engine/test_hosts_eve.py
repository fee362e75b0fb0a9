"""Profiles from real events of Suricata 7 and 8: every attribute is filled, and the sets equal a plain count."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from eve_hosts import COMPARED, MARKS, counted, is_private
from organisation import new_place, office_settings

from connector.enrich.assets import build_assets
from connector.enrich.tables import build_tables
from connector.hosts.attributes import ATTRIBUTES, NUMBERS
from connector.hosts.build import Order, build
from connector.hosts.shape import at
from connector.settings.model import Settings
from connector.siem.client import Siem
from connector.siem.eve import STEM, Layout
from connector.siem.event_template import put_if_needed
from connector.siem.install import install, plan

FILES = ("suricata8-verify", "suricata8-zeek", "suricata8-arkime", "suricata7-verify")
KINDS = (
    *("smb", "flow", "dns", "http", "alert", "ftp", "nfs", "tls", "mqtt", "quic", "krb5", "snmp", "mdns", "ssh"),
    *("ldap", "rfb", "rdp", "smtp", "sip", "pop3", "arp", "dhcp"),
)
MOST = 1200  # events of a type in a file: the captures of one attack have thousands
ADDRESS = {"type": "ip", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
WHOLE = 10**13  # milliseconds: one window for everything


class World:
    """Real events in one index, and the profiles that one build makes of them."""

    def __init__(self, siem: Siem, settings: Settings, events: list[dict[str, Any]]) -> None:
        self.siem, self.settings, self.events = siem, settings, events
        self.built = build(siem, settings, Order(timedelta(), step=WHOLE), datetime.now(UTC))
        self.hosts = stored(siem, settings)


def stored(siem: Siem, settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the profiles by address."""
    hits = siem.scan(settings.state("hosts"), {"query": {"match_all": {}}})
    return {hit["_source"]["ip"]: hit["_source"] for hit in hits}


def real_events(shared: Path) -> list[dict[str, Any]]:
    """Return events of the types that profiles are made of."""
    events = []
    for name in FILES:
        number: Counter[str] = Counter()
        with gzip.open(shared / "eve" / f"{name}.json.gz") as file:
            for line in file:
                event = json.loads(line)
                number[event["event_type"]] += 1
                telling = {"hostname", "client_id", "lease_time"} & set(event.get("dhcp", {}))
                flood = number[event["event_type"]] > MOST and not telling
                if event["event_type"] in KINDS and not flood:
                    events.append(event)
    return events


def mapping_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mapping that the fields profiles read get by themselves: made at once, for that takes minutes."""
    names = {name.rstrip("?") for a in ATTRIBUTES for o in a.origins for name in (*o.fields, *o.where, o.of)}
    names |= {name for number in NUMBERS for name in (number.sums, *number.where) if name}
    text = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
    root: dict[str, Any] = {}
    for name in sorted(names):
        values = [value for event in events for value in raw(event, name.split("."))]
        if not values:
            continue
        *holders, last = name.split(".")
        inside = root
        for holder in holders:
            inside = inside.setdefault(holder, {"properties": {}})["properties"]
        whole = all(type(value) is int for value in values)
        inside[last] = ADDRESS if last.endswith("_ip") else {"type": "long"} if whole else text
    return {"dynamic": False, "properties": {**root, "event_type": text}}


def raw(found: Any, path: list[str]) -> Iterator[Any]:
    """Yield the values at a path, through lists."""
    if isinstance(found, list):
        for one in found:
            yield from raw(one, path)
    elif not path:
        yield found
    elif isinstance(found, dict) and path[0] in found:
        yield from raw(found[path[0]], path[1:])


def index_events(siem: Siem, index: str, events: list[dict[str, Any]]) -> None:
    """Index the events, enriched by the pipeline."""
    for start in range(0, len(events), 2000):
        some = events[start : start + 2000]
        lines = [
            line
            for event in some
            for line in ({"create": {"_index": index}}, event | {"@timestamp": event["timestamp"]})
        ]
        assert siem.bulk(lines) == []
    siem.call("POST", f"/{index}/_refresh")


@pytest.fixture(scope="module")
def world(opensearch: str, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return the world."""
    with new_place(opensearch) as place:
        settings = office_settings(place, tmp_path_factory.mktemp("office"))
        put_if_needed(place.siem, place.prefix, Layout(f"{place.prefix}{STEM}"))
        install(place.siem, plan(place.siem, build_assets(settings, build_tables(settings))))
        events = real_events(shared)
        index = f"{place.prefix}{STEM}all"
        place.siem.call("PUT", f"/{index}", {"mappings": mapping_of(events)})
        index_events(place.siem, index, events)
        yield World(place.siem, settings, events)


def test_every_attribute_is_filled_from_real_events(world: World) -> None:
    there = {
        path
        for host in world.hosts.values()
        for path in (
            *(attribute.path for attribute in ATTRIBUTES if at(host["host_id"], attribute.path)),
            *(number.path for number in NUMBERS if at(host["host_id"], number.path)),
            *(f"services.{k}" for one in host["host_id"]["services"] for value in one["values"] for k in value),
        )
    }
    wanted = {attribute.path for attribute in ATTRIBUTES} | {number.path for number in NUMBERS}
    assert sorted(wanted - there) == ["tag"]  # nobody has tagged these events
    assert len(wanted) >= 60


def test_a_plain_count_over_the_raw_events_gives_the_same_for_a_hundred_hosts(world: World) -> None:
    expected = counted(world.events)
    talkers = sorted(expected, key=lambda ip: (-sum(map(len, expected[ip].values())), ip))[:100]
    assert len(talkers) == 100
    for ip in talkers:
        kept = world.hosts[ip]["kept"]
        assert not any(kept["cut"].get(path) for path in COMPARED), ip
        own = {
            path: {tuple(row[:-2]): row[-2:] for row in kept["lists"].get(path, ()) if compared(path, row)}
            for path in COMPARED
        }
        assert {path: found for path, found in own.items() if found} == dict(expected[ip]), ip


def compared(path: str, row: list[Any]) -> bool:
    """Tell whether a row comes from an origin that the plain count has."""
    return path not in ("hostname", "username", "mac") or row[-3] in MARKS


def test_only_hosts_of_the_organisation_have_profiles(world: World) -> None:
    outside = [ip for ip in world.hosts if not is_private(ip) and not ip.startswith(("fe80", "fd", "fc", "169.254"))]
    assert [ip for ip in outside if ip.startswith(("8.8.", "1.1.1.", "2001:4860"))] == []
    assert world.hosts
