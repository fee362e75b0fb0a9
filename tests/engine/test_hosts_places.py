"""Profiles in Elasticsearch 7.10 and of events as Elastic Agent stores them; tenants have profiles of their own."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from eve_hosts import counted, facts_of
from host_events import in_ecs, index_events, mapping_of, real_events, stored
from organisation import new_place, office_settings

from connector.enrich.assets import build_assets
from connector.enrich.tables import build_tables
from connector.errors import Refused
from connector.hosts import build as building
from connector.hosts import gather as gathering
from connector.hosts.build import Order, build
from connector.hosts.listing import list_hosts, profile
from connector.settings.model import Dialect, Settings, Source
from connector.siem.client import Siem
from connector.siem.install import install, plan
from tests.conftest import Place

WHOLE = 10**13  # milliseconds: one window for everything
MOST = 120  # events of a type: this is about places, not about events
TENANTS = {"10.10.10.5": (1, 1, 2), "10.10.10.6": (None, 2), "10.10.10.7": (None,)}
COUNTRIES = ("SE", "NL")


def tenant_events() -> list[dict[str, Any]]:
    """Return flows of hosts that tenants share, to a server that a geographic data base knows."""
    return [
        {
            "timestamp": f"2026-11-02T10:00:0{n}.500+0000",
            "event_type": "flow",
            "flow_id": 1000 + n,
            "src_ip": ip,
            "src_port": 40000 + n,
            "dest_ip": "198.51.100.9",
            "dest_port": 443,
            "proto": "TCP",
            "app_proto": "tls",
            "flow": {"state": "closed", "pkts_toserver": 5, "pkts_toclient": 4, "bytes_toserver": 50},
            "geoip": {"country_code2": COUNTRIES[n % 2]},
            **({} if tenant is None else {"tenant_id": tenant}),
        }
        for ip, tenants in TENANTS.items()
        for n, tenant in enumerate(tenants)
    ]


def server_event() -> dict[str, Any]:
    """Return a request to a server inside that says its software, as Suricata's `custom` headers have it."""
    return {
        "timestamp": "2026-11-02T10:00:09.250+0000",
        "event_type": "http",
        "src_ip": "10.10.10.8",
        "src_port": 40100,
        "dest_ip": "10.10.10.80",
        "dest_port": 8080,
        "proto": "TCP",
        "geoip": {},
        "hunt": {"tag": ["made-up"]},
        "http": {"hostname": "intranet", "url": "/", "http_method": "GET", "status": 200, "server": "nginx/1.27"},
    }


def as_stored(event: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """Return an event as it is stored in a dialect."""
    if dialect == "eve":
        return event
    found = in_ecs(event)
    if hunt := found["suricata"]["eve"].pop("hunt", None):
        found["hunt"] = hunt
    if geo := found["suricata"]["eve"].pop("geoip", None):
        found["destination"]["geo"] = {"country_iso_code": geo["country_code2"]}
    return found


def installed(place: Place, folder: Path, events: list[dict[str, Any]], dialect: Dialect) -> Settings:
    """Return the settings of a place that has the events, enriched."""
    settings = replace(office_settings(place, folder), sources=(Source(f"{place.prefix}sensor-*", dialect),))
    own, index = [as_stored(event, dialect) for event in events], f"{place.prefix}sensor-1"
    mapping = mapping_of(own, dialect)
    mapping["properties"]["@timestamp"] = {"type": "date"}
    place.siem.call("PUT", f"/{index}", {"mappings": mapping})
    install(place.siem, plan(place.siem, build_assets(settings, build_tables(settings))))
    index_events(place.siem, index, own)
    return settings


class World:
    """Real events and those of tenants in a place, and the profiles that one build makes of them."""

    def __init__(self, siem: Siem, settings: Settings, dialect: Dialect, events: list[dict[str, Any]]) -> None:
        self.siem, self.settings, self.dialect, self.events = siem, settings, dialect, events
        self.now = datetime.now(UTC)
        self.build()
        self.hosts = stored(siem, settings)

    def build(self) -> None:
        """Build profiles of all events at once."""
        build(self.siem, self.settings, Order(timedelta(), step=WHOLE), self.now)

    def forget(self) -> None:
        """Delete all profiles."""
        every = {"query": {"match_all": {}}}
        self.siem.call("POST", f"/{self.settings.state('hosts')}/_delete_by_query", every, refresh=True)
        self.siem.call("DELETE", f"/{self.settings.state('state')}/_doc/hosts")


@pytest.fixture(scope="module", params=[("elasticsearch7", "eve"), ("opensearch", "ecs"), ("elasticsearch7", "ecs")])
def world(request: pytest.FixtureRequest, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return the world in each engine and dialect that test_hosts_eve.py does not have."""
    engine, dialect = request.param
    with new_place(request.getfixturevalue(engine)) as place:
        events = [*real_events(shared, MOST, ("suricata8-verify",)), *tenant_events(), server_event()]
        settings = installed(place, tmp_path_factory.mktemp("office"), events, dialect)
        yield World(place.siem, settings, dialect, events)


def test_profiles_equal_a_plain_count(world: World) -> None:
    expected = counted([event for event in world.events if "geoip" not in event])
    talkers = sorted(expected, key=lambda ip: (-sum(map(len, expected[ip].values())), ip))[:40]
    for ip in talkers:
        assert facts_of(world.hosts[ip]["kept"]) == in_dialect(expected[ip], world.dialect), ip


def in_dialect(facts: dict[str, dict[tuple[str, ...], list[int]]], dialect: Dialect) -> dict[str, Any]:
    """Return facts as a dialect writes them: ECS has transports in lower case."""
    if dialect == "eve":
        return dict(facts)
    return {
        path: {(value[0].lower(), *value[1:]) if path.startswith("services") else value: t for value, t in own.items()}
        for path, own in facts.items()
    }


def test_tenants_have_profiles_of_their_own(world: World) -> None:
    flows = {id: host["host_id"]["flows"]["client"] for id, host in world.hosts.items() if host["ip"] in TENANTS}
    assert flows == {"10.10.10.5@1": 2, "10.10.10.5@2": 1, "10.10.10.6": 1, "10.10.10.6@2": 1, "10.10.10.7": 1}
    rows = list_hosts(world.siem, world.settings, ["tenant=2"]).hosts
    assert {(row.ip, row.tenant) for row in rows} == {("10.10.10.5", "2"), ("10.10.10.6", "2")}
    assert profile(world.siem, world.settings, "10.10.10.5@2").host_id["flows"]["client"] == 1
    assert profile(world.siem, world.settings, "10.10.10.7").ip == "10.10.10.7"
    with pytest.raises(Refused, match=r"10\.10\.10\.5@1.*10\.10\.10\.5@2"):
        profile(world.siem, world.settings, "10.10.10.5")


def test_countries_are_those_that_events_say(world: World) -> None:
    own = {id: {one["code"] for one in host["host_id"]["country"]} for id, host in world.hosts.items()}
    assert own["10.10.10.5@1"] == {"SE", "NL"} and own["10.10.10.5@2"] == {"SE"} and own["10.10.10.6@2"] == {"NL"}
    rows = list_hosts(world.siem, world.settings, ["country=NL", "tenant=1"]).hosts
    assert [row.ip for row in rows] == ["10.10.10.5"]


def test_the_software_of_a_web_server_and_tags_are_filled(world: World) -> None:
    (service,) = world.hosts["10.10.10.80"]["host_id"]["services"]
    assert {value["http_server"] for value in service["values"] if "http_server" in value} == {"nginx/1.27"}
    assert [one["name"] for one in world.hosts["10.10.10.8"]["host_id"]["tag"]] == ["made-up"]
    for asked in ("tag=made-up", "tag=made*"):
        assert [row.ip for row in list_hosts(world.siem, world.settings, [asked]).hosts] == ["10.10.10.8"]


def test_parts_and_pages_make_the_same_profiles(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "PART", 600)
    monkeypatch.setattr(gathering, "PAGE", 25)
    monkeypatch.setattr(building, "AT_ONCE", 300)
    world.forget()
    world.build()
    again = stored(world.siem, world.settings)
    assert again.keys() == world.hosts.keys()
    for id, host in world.hosts.items():
        assert {**again[id], "updated": ""} == {**host, "updated": ""}, id


def test_hosts_that_a_hunt_found_or_somebody_declared(world: World) -> None:
    found = {"hunt": {"id": "1", "name": "made-up"}, "client": {"ip": "10.10.10.7"}, "count": 3}
    declared = {"threat": "made-up", "kind": "threat", "status": "active", "asset": {"value": "10.10.10.7"}}
    for name, document in (("findings", found), ("declarations", declared)):
        world.siem.call("PUT", f"/{world.settings.state(name)}/_doc/1", document, refresh=True)
    for asked in ("hunt=made-*", "declared=made-up", "declared=active"):
        assert [row.ip for row in list_hosts(world.siem, world.settings, [asked]).hosts] == ["10.10.10.7"], asked
    assert list_hosts(world.siem, world.settings, ["hunt=another"]).hosts == ()
