"""Every panel and saved search of the dashboards, asked of real engines as the dashboards ask it."""

import gzip
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Place
from real_events import mapping_of, some_of_each
from respond_story import put_template, settings_of, stem_of

import connector.demo
from connector.dashboards.asked import Span, asked, rows
from connector.dashboards.building import Build, build
from connector.dashboards.preview import preview
from connector.enrich.assets import build_assets
from connector.enrich.dialects import stored_name
from connector.enrich.fields import field_words
from connector.enrich.tables import build_tables
from connector.hosts.build import Order as ProfileOrder
from connector.hosts.build import build as build_profiles
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.conditions.eve_names import is_eve_name
from connector.hunts.passes.passes import Order, run_pass
from connector.respond.declarations.declaration import Verdict
from connector.respond.declarations.declare import declare
from connector.respond.deliveries.delivering import World, deliver_for
from connector.respond.deliveries.receiver import LoopbackReceiver
from connector.respond.tags.rules import rule_of
from connector.respond.tags.tagging import tag
from connector.settings.model import Settings, Source
from connector.siem.client import Siem, ndjson
from connector.siem.eve import Layout
from connector.siem.event_template import put_if_needed
from connector.siem.install import install, plan
from connector.siem.load import load_files

OFFICE_DAY = Path(connector.demo.__file__).parent / "office-day" / "eve-suricata8.json.gz"
HUNTS = ("public-dns-queries", "dns-over-tls", "dns-over-https", "dns-tunnel-txt", "tls-beacon", "ssh-sessions")
PAST = timedelta(days=21_000)  # real events go back to 1970
WHOLE = timedelta(days=10_000) // timedelta(milliseconds=1)  # of profiles: one window for everything
MOST = 50  # events of each type in a file of real ones
# panels that have nothing to show, and why
NOTHING_FAILED = {
    "declarations-failed": "every delivery arrived",
    "health-failed": "every delivery arrived",
    "health-waiting": "every delivery arrived",
    "health-errors": "every hunt could be asked",
    "health-broken": "every hunt could be asked",
    "domains-new": "the hunts of new names were not asked",
    "tags-informational": "nothing was tagged informational",
    "tags-alerts": "no alert was tagged",
}
NOTHING_IN_THE_DAY = NOTHING_FAILED | {
    "domains-flags": "no name of the demo's day is odd",
    "health-unenriched": "every event of the demo's day can be read",
}


@dataclass(frozen=True)
class Day:
    """A place with the demo's day, what hunts found in it and what was decided; and the dashboards of it.

    `found` has by id what the searches of each found.
    """

    siem: Siem
    settings: Settings
    made: Build
    found: dict[str, tuple[int, int]]


@pytest.fixture(scope="module")
def day(each_module_place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """Hold the demo's day in each product in turn."""
    with LoopbackReceiver("soar") as receiver:
        yield demo_day(each_module_place, receiver, tmp_path_factory.mktemp("day"), HUNTS)


def demo_day(place: Place, receiver: LoopbackReceiver, folder: Path, hunts: Sequence[str]) -> Day:
    """Return the demo's day as it came in, with profiles of its morning that the rest of it has changed."""
    settings = settings_of(place, receivers=(receiver.settings,))
    install(place.siem, plan(place.siem, build_assets(settings, build_tables(settings))))
    for part in halves(folder):
        load_files(place.siem, [str(part)], place.prefix, lambda *_: None, stem_of(place))
        build_profiles(place.siem, settings, ProfileOrder(timedelta(), step=WHOLE), datetime.now(UTC))
    catalogue = load_catalogue(settings)
    order = Order([catalogue.named(name) for name in hunts], lag=timedelta())
    run_pass(place.siem, settings, order, lambda: datetime.now(UTC), lambda *_: None)
    now, hunt = datetime.now(UTC), catalogue.named(HUNTS[0])
    tag(place.siem, settings, hunt, rule_of(hunt, "relevant", "test", now, ""))
    declare(place.siem, settings, hunt, Verdict("DNS", "command_and_control", "hunt.client.ip", "test", ""), now=now)
    deliver_for(place.siem, settings, World(), timedelta(seconds=30))
    place.siem.call("POST", f"/{place.prefix}*/_refresh")
    made = build(settings)
    return Day(place.siem, settings, made, shown(place.siem, made))


def halves(folder: Path) -> list[Path]:
    """Return the demo's day in two files, one after the other."""
    with gzip.open(OFFICE_DAY) as file:
        lines = file.readlines()
    middle = len(lines) // 2
    parts = {"first.json": lines[:middle], "second.json": lines[middle:]}
    for name, some in parts.items():
        (folder / name).write_bytes(b"".join(some))
    return [folder / name for name in parts]


@pytest.fixture(scope="module")
def both(day: Day, shared: Path) -> Day:
    """Return the day with real events of each version of Suricata beside it."""
    return with_real_events(day, shared)


def with_real_events(day: Day, shared: Path) -> Day:
    """Return the day with real events beside it, and profiles of their hosts."""
    siem, stem = day.siem, f"{day.settings.prefix}real-"
    settings = replace(day.settings, sources=(*day.settings.sources, Source(f"{stem}*")))
    made = build(settings)
    put_if_needed(siem, settings.prefix, Layout(stem))
    install(siem, plan(siem, build_assets(settings, build_tables(settings))))
    events = some_of_each(shared, MOST)
    names = {name.removesuffix(".keyword") for _, _, search in searches(made) for name in search.names}
    names = {name for name in names if is_eve_name(name)} - {"@timestamp"}
    index = f"{stem}all"
    siem.call("PUT", f"/{index}", {"mappings": mapping_of(events, names)})
    for start in range(0, len(events), 1000):
        lines = [line for event in events[start : start + 1000] for line in ({"create": {"_index": index}}, event)]
        assert siem.bulk(ndjson(lines)) == []
    siem.call("POST", f"/{index}/_refresh")
    build_profiles(siem, settings, ProfileOrder(timedelta(), step=WHOLE), datetime.now(UTC))
    return Day(siem, settings, made, shown(siem, made))


def span() -> Span:
    """Return all the time that there is, up to now."""
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
    assert nothing(day) == NOTHING_IN_THE_DAY.keys()
    assert len(day.found) > 110


def test_with_real_events_beside_it_more_panels_show_something(both: Day) -> None:
    assert nothing(both) == NOTHING_FAILED.keys()


def nothing(day: Day) -> set[str]:
    """Return the ids of what finds nothing."""
    return {
        id.removeprefix(day.settings.prefix) for id, (documents, seen) in day.found.items() if not documents or not seen
    }


def test_no_field_is_unknown(day: Day) -> None:
    rare = {"hunt.error", "alert.tag", "errors.hunt"}
    left = {each for each in unknown(day.siem, day.made) if not any(name in each for name in rare)}
    # columns of protocols that the demo's day does not have
    columns = {each.rpartition(": ")[2] for each in left}
    assert all(is_eve_name(name) or name in field_words() for name in columns)
    assert {each for each in left if "-search-" not in each} == set()


def test_with_real_events_no_column_is_unknown_either(both: Day) -> None:
    assert unknown(both.siem, both.made) == set()


def test_numbers_are_those_of_the_day(day: Day) -> None:
    found, prefix = day.found, day.settings.prefix
    assert found[f"{prefix}tags-relevant"][0] == 30
    assert found[f"{prefix}declarations-open"][0] == 6
    assert found[f"{prefix}search-deliveries"][0] == 6
    assert found[f"{prefix}encrypted-dns-protocols"][0] == 40
    assert {key: number for (key,), (number,) in of_panel(day, "dns-policy-verdicts")} == {
        "approved": 18499,
        "approved-upstream": 13782,
        "public": 160,
        "unapproved-internal": 100,
        "unapproved-external": 9,
    }


def of_panel(day: Day, name: str) -> list[tuple[tuple[str, ...], tuple[float | None, ...]]]:
    """Return the keys and values of the rows that a panel shows now."""
    one = day.made.by_key["visualization", f"{day.settings.prefix}{name}"]
    search = asked(day.made.by_key, one, span())
    assert search is not None
    return [(row.keys, row.values) for row in rows(one, day.siem.search(search.index, search.body))]


def test_what_is_rare_is_rare_in_all_indices(day: Day) -> None:
    told = {key: values[0] for (key,), values in of_panel(day, "domains-rare")}
    counts = {"clients": {"cardinality": {"field": "hunt.client.ip"}}}
    for name, number in told.items():
        named = [{"term": {"hostname_info.domain.keyword": name}}, {"term": {"hunt.name.kind": "domain"}}]
        query = {"bool": {"filter": named}}
        answer = day.siem.search(day.settings.events, {"size": 0, "query": query, "aggs": counts})
        assert answer["aggregations"]["clients"]["value"] == number, name
    assert len(told) == 20


def test_an_age_is_that_of_each_watermark(day: Day) -> None:
    ages = {key: newest for (key,), (newest,) in of_panel(day, "health-age")}
    state = day.siem.scan(day.settings.state("state"), {"query": {"exists": {"field": "watermark"}}})
    marks = {hit["_source"]["kind"]: hit["_source"]["watermark"] for hit in state}
    assert ages == marks
    assert ages.keys() == {"pass", "hosts"}


def test_hosts_are_counted_by_what_their_profiles_say(day: Day) -> None:
    hosts = [hit["_source"] for hit in day.siem.scan(day.settings.state("hosts"), {"query": {"match_all": {}}})]
    roles = Counter(role["name"] for host in hosts for role in host["host_id"]["roles"])
    assert {key: number for (key,), (number,) in of_panel(day, "hosts-roles")} == dict(roles.most_common(10))
    changed = {host["ip"]: max(one["time"] for one in host["changes"]) for host in hosts if host["changes"]}
    newest = [key for (key,), _ in of_panel(day, "hosts-changes")]
    assert [changed[ip] for ip in newest] == sorted(changed.values(), reverse=True)[: len(newest)]
    assert newest


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
    build_profiles(each_place.siem, settings, ProfileOrder(timedelta(), step=WHOLE), datetime.now(UTC))
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
