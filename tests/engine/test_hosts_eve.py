"""Profiles from real events of Suricata 7 and 8: every attribute is filled, and the sets equal a plain count."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from eve_hosts import counted, facts_of, is_private
from host_events import index_events, mapping_of, real_events, stored
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

WHOLE = 10**13  # milliseconds: one window for everything


class World:
    """Real events in one index, and the profiles that one build makes of them."""

    def __init__(self, siem: Siem, settings: Settings, events: list[dict[str, Any]]) -> None:
        self.siem, self.settings, self.events = siem, settings, events
        self.built = build(siem, settings, Order(timedelta(), step=WHOLE), datetime.now(UTC))
        self.hosts = stored(siem, settings)


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
    # nobody tagged these events or looked up countries, and no server inside says its software: test_hosts_places.py
    assert sorted(wanted - there) == ["country", "services.http_server", "tag"]
    assert len(wanted) >= 60


def test_a_plain_count_over_the_raw_events_gives_the_same_for_a_hundred_hosts(world: World) -> None:
    expected = counted(world.events)
    talkers = sorted(expected, key=lambda ip: (-sum(map(len, expected[ip].values())), ip))[:100]
    assert len(talkers) == 100
    for ip in talkers:
        assert facts_of(world.hosts[ip]["kept"]) == dict(expected[ip]), ip


def test_only_hosts_of_the_organisation_have_profiles(world: World) -> None:
    outside = [ip for ip in world.hosts if not is_private(ip) and not ip.startswith(("fe80", "fd", "fc", "169.254"))]
    assert [ip for ip in outside if ip.startswith(("8.8.", "1.1.1.", "2001:4860"))] == []
    assert world.hosts
