"""Every panel and saved search of the dashboards, asked of real engines as the dashboards ask it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Place
from respond_story import put_template, settings_of, stem_of

import connector.demo
from connector.dashboards.asked import Span, asked, rows
from connector.dashboards.building import Build, build
from connector.dashboards.preview import preview
from connector.enrich.assets import build_assets
from connector.enrich.dialects import stored_name
from connector.enrich.fields import field_words
from connector.enrich.tables import build_tables
from connector.hunts.catalogue import load_catalogue
from connector.hunts.eve_names import is_eve_name
from connector.hunts.passes import Order, run_pass
from connector.respond.declaration import Verdict
from connector.respond.declare import declare
from connector.respond.delivering import World, deliver_for
from connector.respond.receiver import LoopbackReceiver
from connector.respond.rules import rule_of
from connector.respond.tagging import tag
from connector.settings.model import Settings, Source
from connector.siem.client import Siem, ndjson
from connector.siem.install import install, plan
from connector.siem.load import load_files

OFFICE_DAY = Path(connector.demo.__file__).parent / "office-day" / "eve-suricata8.json.gz"
HUNTS = ("public-dns-queries", "dns-over-tls", "dns-over-https", "dns-tunnel-txt", "tls-beacon", "ssh-sessions")
PAST = timedelta(days=3650)
# panels of what the demo's day does not have: names that are odd, alerts that are tagged, errors, what has failed
NOTHING_THERE = {
    *("domains-flags", "domains-new", "tags-informational", "tags-alerts", "declarations-failed"),
    *("health-errors", "health-broken", "health-unenriched", "health-waiting", "health-failed"),
}


@dataclass(frozen=True)
class Day:
    """A place with the demo's day, what hunts found in it and what was decided; and the dashboards of it."""

    siem: Siem
    settings: Settings
    made: Build


@pytest.fixture(scope="module")
def day(each_module_place: Place) -> Iterator[Day]:
    """Hold the demo's day in each product in turn."""
    place = each_module_place
    with LoopbackReceiver("soar") as receiver:
        settings = settings_of(place, receivers=(receiver.settings,))
        install(place.siem, plan(place.siem, build_assets(settings, build_tables(settings))))
        load_files(place.siem, [str(OFFICE_DAY)], place.prefix, lambda *_: None, stem_of(place))
        catalogue = load_catalogue(settings)
        order = Order([catalogue.named(name) for name in HUNTS], lag=timedelta())
        run_pass(place.siem, settings, order, lambda: datetime.now(UTC), lambda *_: None)
        now, hunt = datetime.now(UTC), catalogue.named(HUNTS[0])
        tag(place.siem, settings, hunt, rule_of(hunt, "relevant", "test", now, ""))
        declare(
            place.siem, settings, hunt, Verdict("DNS", "command_and_control", "hunt.client.ip", "test", ""), now=now
        )
        deliver_for(place.siem, settings, World(), timedelta(seconds=30))
    place.siem.call("POST", f"/{place.prefix}*/_refresh")
    yield Day(place.siem, settings, build(settings))


def span() -> Span:
    """Return ten years up to now."""
    now = datetime.now(UTC)
    return Span(now - PAST, now)


def searches(made: Build) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Yield the id, the object and the search of all that asks something."""
    for one in made.objects:
        if one["type"] in ("visualization", "search") and (search := asked(made.by_key, one, span())):
            yield one["id"], one, search


def shown(siem: Siem, made: Build) -> dict[str, tuple[int, int]]:
    """Return by id how many documents each search finds, and how many rows it shows; SiemError if refused."""
    found = {}
    for id, one, search in searches(made):
        answer = siem.search(search.index, search.body)
        seen = rows(one, answer) if one["type"] == "visualization" else answer["hits"]["hits"]
        found[id] = (answer["hits"]["total"]["value"], len(seen))
    return found


def unknown(siem: Siem, made: Build) -> set[str]:
    """Return the fields that searches name and no index has, or that are counted by and cannot be."""
    missing = set()
    for id, one, search in searches(made):
        caps = siem.call("GET", f"/{search.index}/_field_caps", fields=",".join(search.names) or "*")["fields"]
        missing |= {f"{id}: {name}" for name in search.names if name not in caps}
        if one["type"] == "visualization":
            counted = {
                a["params"]["field"]
                for a in json.loads(one["attributes"]["visState"])["aggs"]
                if "field" in a["params"]
            }
            missing |= {
                f"{id}: {name} cannot be counted"
                for name in counted
                if not all(kind["aggregatable"] for kind in caps.get(name, {}).values())
            }
    return missing


def test_every_panel_and_search_shows_what_there_is(day: Day) -> None:
    found = shown(day.siem, day.made)
    prefix = day.settings.prefix
    nothing = {id.removeprefix(prefix) for id, (documents, seen) in found.items() if not documents or not seen}
    assert nothing == NOTHING_THERE
    assert len(found) > 100


def test_no_field_is_unknown(day: Day) -> None:
    rare = {"hunt.error", "alert.tag", "errors.hunt"}
    left = {each for each in unknown(day.siem, day.made) if not any(name in each for name in rare)}
    # columns of protocols that the demo's day does not have
    columns = {each.rpartition(": ")[2] for each in left}
    assert all(is_eve_name(name) or name in field_words() for name in columns)
    assert {each for each in left if "-search-" not in each} == set()


def test_numbers_are_those_of_the_day(day: Day) -> None:
    found = shown(day.siem, day.made)
    prefix = day.settings.prefix
    assert found[f"{prefix}tags-relevant"][0] == 30
    assert found[f"{prefix}declarations-open"][0] == 6
    assert found[f"{prefix}search-deliveries"][0] == 6
    assert found[f"{prefix}encrypted-dns-protocols"][0] == 40
    verdicts = next(one for id, one, _ in searches(day.made) if id == f"{prefix}dns-policy-verdicts")
    search = asked(day.made.by_key, verdicts, span())
    assert search is not None
    answer = rows(verdicts, day.siem.search(search.index, search.body))
    assert {row.keys[0]: row.values[0] for row in answer} == {
        "approved": 18499,
        "approved-upstream": 13782,
        "public": 160,
        "unapproved-internal": 100,
        "unapproved-external": 9,
    }


def test_the_preview_has_every_panel(day: Day) -> None:
    page, told = preview(day.siem, day.made, PAST, datetime.now(UTC))
    panels = sum(len(one.dashboard.panels) for one in day.made.pages)
    assert len(told.panels) == panels
    assert page.count("<article") == panels + len(day.made.pages)
    assert all(panel.why for panel in told.panels if not panel.rows)
    assert "<script" not in page


def test_a_value_of_an_event_is_text_on_the_page(each_place: Place) -> None:
    settings = settings_of(each_place)
    install(each_place.siem, plan(each_place.siem, build_assets(settings, build_tables(settings))))
    put_template(each_place)
    evil = "</text><script>alert(1)</script>"
    common = {"@timestamp": "2026-11-02T10:00:00Z", "src_ip": "10.0.0.1", "dest_ip": "10.0.0.2"}
    lines: list[dict[str, Any]] = []
    for kind, more in (
        ("http", {"http": {"http_user_agent": evil}}),  # in a table
        ("ssh", {"ssh": {"client": {"software_version": evil}}}),  # in a picture
    ):
        lines += [{"index": {"_index": f"{stem_of(each_place)}{kind}-1"}}, {**common, "event_type": kind, **more}]
    assert each_place.siem.bulk(ndjson(lines), refresh="true") == []
    page, _ = preview(each_place.siem, build(settings), PAST, datetime.now(UTC))
    assert page.count("&lt;script&gt;") >= 3
    assert "<script" not in page


def test_events_of_elastic_agent_are_shown_as_well(place: Place) -> None:
    """The demo's events with each EVE field where Elastic Agent has it: the same panels show the same."""
    settings = settings_of(place)
    settings = replace(settings, sources=(Source(f"{place.prefix}agent-*", "ecs"),))
    made = build(settings)
    names = {name for _, _, search in searches(made) for name in search.names if "agent" in search.index}
    properties: dict[str, Any] = {"@timestamp": {"type": "date"}}
    words = field_words()
    for name in names:
        if name.removesuffix(".keyword") not in words and name != "@timestamp":
            place_in(
                properties,
                name,
                {
                    "type": "long"
                    if name in ("destination.port", "destination.bytes", "source.bytes", "event.severity", "file.size")
                    else "keyword"
                },
            )
    install(place.siem, plan(place.siem, build_assets(settings, build_tables(settings))))
    index = f"{place.prefix}agent-1"
    place.siem.call("PUT", f"/{index}", {"mappings": {"properties": properties}})
    event: dict[str, Any] = {"@timestamp": "2026-11-02T10:00:00Z"}
    for field, value in (("event_type", "tls"), ("src_ip", "10.10.10.17"), ("dest_ip", "9.9.9.9"), ("dest_port", 853)):
        nested(event, stored_name(field, "ecs"), value)
    nested(event, "suricata.eve.tls.sni", "dns.quad9.net")
    nested(event, "hunt.resolver.verdict", "public")
    nested(event, "hunt.resolver.encrypted", True)
    place.siem.bulk(ndjson([{"index": {"_index": index}}, event]), refresh="true")
    assert {each for each in unknown(place.siem, made) if "agent" in each and "-search-" not in each} == set()
    found = shown(place.siem, made)
    assert found[f"{place.prefix}ecs-encrypted-dns-events"] == (1, 1)
    assert found[f"{place.prefix}ecs-search-tls"] == (1, 1)


def place_in(properties: dict[str, Any], name: str, mapping: dict[str, Any]) -> None:
    """Put the mapping of a field among properties."""
    *holders, leaf = name.split(".")
    for holder in holders:
        properties = properties.setdefault(holder, {}).setdefault("properties", {})
    properties.setdefault(leaf, mapping)


def nested(event: dict[str, Any], name: str, value: object) -> None:
    """Put a value where a dotted name says."""
    *holders, leaf = name.split(".")
    for holder in holders:
        event = event.setdefault(holder, {})
    event[leaf] = value
