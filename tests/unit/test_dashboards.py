"""Dashboards: their source is read strictly, and the saved objects made of it hold together."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from jsonschema import Draft202012Validator

from connector.cli import run
from connector.content import content_folder
from connector.dashboards import building, kuery
from connector.dashboards.asked import MOST_BARS, SECONDS, Row, Span, asked, rows
from connector.dashboards.building import write
from connector.dashboards.drawn import picture
from connector.dashboards.model import Clause, Measure, Panel
from connector.dashboards.names import column, exact
from connector.dashboards.reading import dashboard_schema, read_source
from connector.dashboards.visual import COLOURS, PALETTE
from connector.errors import ContentError
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.settings.load import load_settings
from connector.settings.model import Settings, Source

build = cache(building.build)
catalogue = cache(lambda: load_catalogue(EXAMPLE))
SAVED = json.loads((Path(__file__).parents[1] / "data" / "saved-objects.schema.json").read_text(encoding="utf-8"))
EXAMPLE = load_settings(None, {})
BOTH = replace(EXAMPLE, sources=(Source("logstash-*"), Source("filebeat-*,logs-suricata.*", "ecs")))
ODD = replace(EXAMPLE, prefix="soc-", sources=(Source("a-*", "eve", "timestamp"), Source("b-*", "eve", "timestamp")))
ALL = pytest.mark.parametrize("settings", [EXAMPLE, BOTH, ODD], ids=["eve", "both", "odd"])
DASHBOARDS = ("hunting-overview", "dns-policy", "domains", "encrypted-dns", "hosts", "declarations", "tags", "health")
PANEL = "{id: one, title: One, kind: bars, of: events, by: [hunt.tag], empty: none}"


def packed(one: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON inside of an object's attributes, decoded."""
    found = {key: json.loads(value) for key, value in one["attributes"].items() if key.endswith(("JSON", "State"))}
    meta = one["attributes"].get("kibanaSavedObjectMeta", {})
    return found | {key: json.loads(value) for key, value in meta.items()}


@ALL
def test_objects_are_of_the_schema_of_their_type(settings: Settings) -> None:
    Draft202012Validator.check_schema(SAVED)
    validator = Draft202012Validator(SAVED)
    for one in build(settings).objects:
        assert list(validator.iter_errors(one)) == []
        assert one["migrationVersion"].keys() == {one["type"]}
        packed(one)


@ALL
def test_no_reference_dangles_and_each_is_used(settings: Settings) -> None:
    made = build(settings)
    for one in made.objects:
        assert all((each["type"], each["id"]) in made.by_key for each in one["references"])
        names = {each["name"] for each in one["references"]}
        used = set(re.findall(r'RefName":\s*"([^"]+)"', json.dumps(packed(one))))
        assert names == used, one["id"]
    assert len(made.by_key) == len(made.objects)


@ALL
def test_all_ids_begin_with_the_prefix(settings: Settings) -> None:
    assert all(one["id"].startswith(settings.prefix) for one in build(settings).objects)


def test_what_is_referred_to_comes_first() -> None:
    seen = set()
    for one in build(BOTH).objects:
        assert all((each["type"], each["id"]) in seen for each in one["references"])
        seen.add((one["type"], one["id"]))


def test_a_second_build_has_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    write(build(BOTH), first)
    write(building.build(BOTH), second)
    assert {f.name: f.read_bytes() for f in first.iterdir()} == {f.name: f.read_bytes() for f in second.iterdir()}


def test_ids_are_those_that_people_have_installed() -> None:
    """Ids stay over versions, so that a later build replaces an earlier one: a changed id leaves a dead object."""
    listed = (Path(__file__).parents[1] / "data" / "dashboard-ids.txt").read_text(encoding="utf-8").split()
    assert sorted(f"{one['type']}/{one['id']}" for one in build(EXAMPLE).objects) == listed


def test_events_that_lie_alike_share_a_pattern() -> None:
    patterns = {one["id"]: one["attributes"] for one in build(ODD).objects if one["type"] == "index-pattern"}
    assert patterns["soc-timestamp-events"] == {"title": "a-*,b-*", "timeFieldName": "timestamp", "fields": "[]"}


def test_each_kind_of_events_has_its_dashboards() -> None:
    ids = {one["id"] for one in build(BOTH).dashboards}
    with_events = {"dns-policy", "domains", "encrypted-dns", "hosts", "tags", "health"}
    expected = {f"hunts-{id}" for id in DASHBOARDS} | {f"hunts-ecs-{id}" for id in with_events}
    assert ids == expected


def test_every_family_of_hunts_has_a_search_with_the_tag() -> None:
    source = read_source(set(catalogue().sources))
    families = {search.family: search for search in source.searches.values() if search.family}
    assert families.keys() == {hunt.family for hunt in catalogue().hunts}
    assert all(search.columns[:2] == ("hunt.tag", "hunt.tag_rules") for search in families.values())


def test_each_dashboard_has_a_guide_that_leads_to_its_hunts() -> None:
    made = build(EXAMPLE)
    for page in made.pages:
        guide = made.by_key["visualization", f"{page.id}-guide"]
        text = packed(guide)["visState"]["params"]["markdown"]
        for name in page.dashboard.hunts:
            assert f"(#/view/hunts-hunting-overview?_a=(query:(language:kuery,query:'hunt.name:%22{name}%22')))" in text


def test_panels_do_not_overlap_and_fill_their_rows() -> None:
    for one in build(EXAMPLE).dashboards:
        taken: set[tuple[int, int]] = set()
        for panel in packed(one)["panelsJSON"]:
            place = panel["gridData"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken
            assert place["x"] + place["w"] <= 48
            taken |= cells
        assert len(taken) == 48 * (max(y for _, y in taken) + 1), one["id"]


def test_names_by_dialect() -> None:
    assert exact("hostname_info.domain", "events", "eve", "raw") == "hostname_info.domain.raw"
    assert exact("hunt.client.ip", "events", "ecs", "keyword") == "hunt.client.ip"
    assert exact("event_type", "events", "eve", "keyword") == "event_type.keyword"
    assert exact("event_type", "events", "ecs", "keyword") == "suricata.eve.event_type"
    assert exact("dest_port", "events", "eve", "keyword") == "dest_port"
    assert column("http.http_user_agent", "events", "ecs") == "user_agent.original"
    assert exact("hunt.name", "findings", "ecs", "keyword") == "hunt.name"


@pytest.mark.parametrize("value", ["a", 'say "x"', "back\\slash", "and not (or)", "", "*x", "ü: y"])
def test_a_query_is_read_as_it_was_written(value: str) -> None:
    clauses = [Clause("a.b", (value, "other")), Clause("c", ("*",), negated=True)]
    either = [{"match_phrase": {"a.b": value}}, {"match_phrase": {"a.b": "other"}}]
    none = {"bool": {"should": [{"exists": {"field": "c"}}], "minimum_should_match": 1}}
    assert kuery.asked(kuery.written(clauses, str)) == [
        {"bool": {"should": either, "minimum_should_match": 1}},
        {"bool": {"must_not": none}},
    ]


def test_a_query_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="not KQL"):
        kuery.asked("a: 1 or b: 2")


def test_colours_are_of_the_palette() -> None:
    assert set(COLOURS.values()) <= set(PALETTE)
    assert len(set(PALETTE)) == len(PALETTE)


def test_the_schema_is_one_and_describes_every_key() -> None:
    Draft202012Validator.check_schema(dashboard_schema())
    for file in content_folder("dashboards").glob("*.yml"):
        assert file.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=")


def problems(folder: Path, text: str) -> list[str]:
    """Return what is wrong with a dashboard of a user's own folder, without the folder's name."""
    (folder / "own.yml").write_text(text, encoding="utf-8")
    with pytest.raises(ContentError) as caught:
        read_source(set(catalogue().sources), folder)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


HEAD = "id: own\ntitle: Own\nabout: Mine.\nguide: Look.\n"


BY, PLACE = "panels[0].by", "own.yml:6: panels[0]"
WRONG = [
    ([PANEL.replace("hunt.tag", "hunt.tagg")], f"own.yml:6: {BY}[0] is hunt.tagg, which is no field of events"),
    (
        [PANEL.replace("hunt.tag", "hunt.name.entropy")],
        f"own.yml:6: {BY}[0] is hunt.name.entropy, which can be searched",
    ),
    ([PANEL.replace("bars", "heat")], f"own.yml:6: {BY} has 1 fields, a panel of kind heat takes 2"),
    ([PANEL, PANEL], "own.yml:7: panels[1].id is one, as of another above: give one a new id"),
    (["{id: one, title: One, kind: search, search: dnss}"], f"{PLACE}.search names no search: dnss; did you mean dns?"),
    ([PANEL.replace("}", ", where: {hunt.tagg: x}}")], f"{PLACE}.where.hunt.tagg is no field of events"),
    ([PANEL.replace("}", ", colour: red}")], "own.yml:6: unknown key colour in panels[0]; known keys: "),
    ([PANEL.replace(", empty: none", "")], f"{PLACE} lacks the key empty"),
    ([PANEL.replace("}", ", late_after: 5}")], f"{PLACE}.late_after is for an age alone"),
    (
        [
            PANEL.replace(
                "events, by: [hunt.tag]", "hosts, by: [host_id.services.port, host_id.services.values.app_proto]"
            )
        ],
        f"own.yml:6: {BY} has two fields of one list",
    ),
    ([PANEL.replace("bars", "age")], f"{PLACE}.measure of an age is the newest of a time"),
    ([PANEL.replace("}", ", always: true}")], f"{PLACE}.always is not for events, nor for a timeline"),
]


@pytest.mark.parametrize(("panels", "wanted"), WRONG)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, panels: list[str], wanted: str) -> None:
    found = problems(tmp_path, HEAD + "panels:\n" + "".join(f"  - {each}\n" for each in panels))
    assert len(found) == 1
    assert found[0].startswith(wanted)


def test_what_a_dashboard_lacks_is_said(tmp_path: Path) -> None:
    found = problems(tmp_path, f"id: own\ntitle: Own\npanels:\n  - {PANEL}\n")
    assert found == ["own.yml:1: the file lacks the key about, guide"]
    hunts = problems(tmp_path, f"{HEAD}hunts: [public-dns-querys]\npanels:\n  - {PANEL}\n")
    assert hunts == ["own.yml:5: hunts[0] names no hunt: public-dns-querys; did you mean public-dns-queries?"]


def test_a_dashboard_of_ones_own_adds_and_overrides(tmp_path: Path) -> None:
    own = f"{HEAD}panels:\n  - {PANEL}\n"
    (tmp_path / "own.yml").write_text(own, encoding="utf-8")
    (tmp_path / "tags.yml").write_text(own.replace("id: own", "id: tags"), encoding="utf-8")
    made = build(EXAMPLE, tmp_path)
    assert ("dashboard", "hunts-own") in made.by_key
    assert len(made.by_key["dashboard", "hunts-tags"]["references"]) == 2
    assert len(made.dashboards) == len(DASHBOARDS) + 1


def test_a_file_of_one_dashboard_has_all_it_needs(tmp_path: Path) -> None:
    written = write(build(EXAMPLE), tmp_path)
    for file in written.files:
        objects = [json.loads(line) for line in Path(file.file).read_text(encoding="utf-8").splitlines()]
        there = {(one["type"], one["id"]) for one in objects}
        assert all((each["type"], each["id"]) in there for one in objects for each in one["references"])


def test_a_measure_is_a_count_if_nothing_is_said() -> None:
    source = read_source(set(catalogue().sources))
    panel = source.dashboards[0].panels[0]
    assert panel.measures == (Measure("count"),)


def test_the_example_of_the_documentation_is_a_dashboard(tmp_path: Path) -> None:
    text = (content_folder("dashboards") / "README.md").read_text(encoding="utf-8")
    example = "\n".join(
        line[4:] for line in text[text.index("    # yaml-language") :].splitlines() if line[:4] == "    "
    )
    (tmp_path / "printers.yml").write_text(example, encoding="utf-8")
    source = read_source(set(catalogue().sources), tmp_path)
    assert [panel.by for one in source.dashboards if one.id == "printers" for panel in one.panels] == [
        ("hostname_info.domain",)
    ]


def test_the_documentation_names_every_dashboard() -> None:
    text = (content_folder("dashboards") / "README.md").read_text(encoding="utf-8")
    titles = [one.title for one in read_source(set(catalogue().sources)).dashboards]
    assert re.findall(r"^\| ([A-Z][^|]+) \|", text, re.MULTILINE) == titles


def panel(kind: str, by: tuple[str, ...], height: int = 12) -> Panel:
    """Return a panel to draw."""
    shared = {"where": (), "labels": by, "measures": (Measure(),), "unit": "events", "size": 10, "empty": "none"}
    return Panel(id="one", title="One", kind=kind, of="events", by=by, width=24, height=height, **shared)  # type: ignore[arg-type]


NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
EVIL = "</title><script>alert(1)</script>"
DRAWN = [
    (panel("timeline", ("a",)), [Row(("2026-11-02T10:00:00.000Z", EVIL), (3.0,))]),
    (panel("bars", ("a",)), [Row((EVIL,), (3.0,))]),
    (panel("age", ("a",)), [Row((EVIL,), (NOON.timestamp() * 1000 - 180_000,))]),
    (panel("bars", ("a", "b")), [Row((EVIL, EVIL), (3.0,)), Row((EVIL, "x"), (0.0,))]),
    (panel("heat", ("a", "b")), [Row((EVIL, EVIL), (3.0,)), Row(("x", "y"), (1.0,))]),
]


@pytest.mark.parametrize(("one", "found"), DRAWN)
def test_a_picture_is_well_formed_whatever_is_in_it(one: Panel, found: list[Row]) -> None:
    drawn = picture(one, found, Span(NOON - timedelta(days=1), NOON))
    elements = [each.tag for each in fromstring(drawn).iter()]
    assert set(elements) <= {"svg", "rect", "text", "title", "line"}
    assert "3" in drawn


@pytest.mark.parametrize("kind", ["bars", "heat"])
def test_nothing_is_left_out_of_a_low_panel(kind: str) -> None:
    by = ("a",) if kind == "bars" else ("a", "b")
    found = [Row((f"value {number}", "x")[: len(by)], (float(number + 1),)) for number in range(40)]
    drawn = picture(panel(kind, by, height=6), found, Span(NOON - timedelta(days=1), NOON))
    assert all(f"value {number}<" in drawn for number in range(40))


def test_a_time_that_has_many_values_is_as_high_as_all_of_them() -> None:
    found = [Row(("2026-11-02T10:00:00.000Z", name), (5.0,)) for name in "ab"]
    svg = fromstring(picture(panel("timeline", ("a",)), found, Span(NOON - timedelta(days=1), NOON)))
    bars = [rect for rect in svg.iter("rect") if float(rect.get("height", 0)) > 11]
    assert len({rect.get("height") for rect in bars}) == 1
    assert len({rect.get("y") for rect in bars}) == len({rect.get("fill") for rect in bars}) == 2


def test_an_age_is_drawn_by_now_and_says_when_it_is_late() -> None:
    ages = {"pass": 90, "hosts": 200 * 60, "none": -5}
    found = [Row((name,), ((NOON.timestamp() - seconds) * 1000,)) for name, seconds in ages.items()]
    one = replace(panel("age", ("kind",)), late_after=15)
    svg = fromstring(picture(one, found, Span(NOON - timedelta(days=1), NOON)))
    titles = [title.text for title in svg.iter("title")]
    assert titles == ["pass: 1 min", "hosts: 3 h, late", "none: less than a minute"]
    fills = [rect.get("fill") for rect in svg.iter("rect")]
    assert fills[0] == fills[2] != fills[1]


def test_an_age_asks_in_itself_for_what_it_shows() -> None:
    made = build(EXAMPLE)
    one = made.by_key["visualization", "hunts-health-age"]
    state = packed(one)["visState"]
    spec = json.loads(state["params"]["spec"])
    search = asked(made.by_key, one, Span(NOON - timedelta(days=1), NOON))
    assert search is not None
    assert (search.index, search.names) == ("hunts-state", ("watermark", "kind", "watermark"))
    assert spec["data"]["url"]["index"] == search.index
    assert spec["data"]["format"]["property"] == "aggregations.of.buckets"
    answer = {"aggregations": {"of": {"buckets": [{"key": "pass", "doc_count": 1, "newest": {"value": 5.0}}]}}}
    assert rows(one, answer) == [Row(("pass",), (5.0,))]


def test_bars_of_a_time_are_not_too_many() -> None:
    for days in (1, 7, 30, 365, 3650):
        span = Span(NOON - timedelta(days=days), NOON)
        assert days * 86400 / span.interval <= MOST_BARS or span.interval == SECONDS[-1]


def test_commands_write_what_is_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dashboards", "export"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == list(build(EXAMPLE).objects)
    assert run(["dashboards", "export", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == list(build(EXAMPLE).objects)
    assert run(["dashboards", "build", "--out", str(tmp_path / "out"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["objects"] == len(lines)
    assert (tmp_path / "out" / "all.ndjson").read_text(encoding="utf-8").splitlines() == lines


def test_installing_nowhere_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dashboards", "install"]) == 6
    assert "--url" in capsys.readouterr().err
