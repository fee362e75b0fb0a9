"""The pure parts of connector.siem: products, patterns, mappings, pipelines, plans."""

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import Refused, Rejected
from connector.siem.assets import Assets
from connector.siem.foreign import callers, calls, foreign
from connector.siem.install import planned
from connector.siem.mappings import (
    Kept,
    branches,
    field_count,
    merged,
    missing,
    subfield_names,
    with_subfields,
    without,
)
from connector.siem.patterns import any_overlap, covers, overlap
from connector.siem.plan import Difference, differences, index_steps
from connector.siem.present import Present
from connector.siem.products import product_of

KEYWORD = {"type": "keyword"}
SCREEN = {"type": "keyword", "fields": {"keyword": KEYWORD}}
patterns = st.text("ab*-", max_size=6)
names = st.text("ab-", max_size=6)


@pytest.mark.parametrize(
    ("version", "name", "official", "pit"),
    [
        ({"number": "3.8.0", "distribution": "opensearch"}, "OpenSearch 3.8.0", False, "_search/point_in_time"),
        ({"number": "2.3.0", "distribution": "opensearch"}, "OpenSearch 2.3.0", False, None),
        ({"number": "7.10.2", "build_flavor": "oss"}, "Elasticsearch 7.10.2", False, None),
        ({"number": "7.17.9", "build_flavor": "default"}, "Elasticsearch 7.17.9", False, "_pit"),
        ({"number": "8.19.3", "build_flavor": "default"}, "Elasticsearch 8.19.3", True, "_pit"),
        ({"number": "9.1.0-SNAPSHOT", "build_flavor": "default"}, "Elasticsearch 9.1.0", True, "_pit"),
    ],
)
def test_products(version: dict[str, str], name: str, official: bool, pit: str | None) -> None:
    """Each product is known by its answer; the official client is for 8 and later."""
    product = product_of({"version": version})
    assert (str(product), product.official_client, product.pit) == (name, official, pit)


@pytest.mark.parametrize("banner", [{}, {"version": "1"}, {"version": {}}, {"version": {"number": "6.8.0"}}])
def test_other_servers_are_refused(banner: dict[str, Any]) -> None:
    """What is no search engine, or too old a one, is said."""
    with pytest.raises(Rejected, match=r"check the url|too old"):
        product_of(banner)


@given(patterns, patterns, names)
def test_patterns_with_a_name_in_common_overlap(one: str, other: str, name: str) -> None:
    """A name that both match is enough, and covering patterns match what the covered one does."""
    if fnmatchcase(name, one) and fnmatchcase(name, other):
        assert overlap(one, other)
    if covers(one, other) and fnmatchcase(name, other):
        assert fnmatchcase(name, one)
    assert overlap(one, other) == overlap(other, one)


def test_patterns_that_cannot_meet() -> None:
    """Different beginnings or ends, or a name the pattern does not match."""
    assert not overlap("logstash-*", "filebeat-*") and not overlap("*-a", "*-b") and not overlap("x", "y*")
    assert any_overlap(["a*", "x"], ["*x"]) and not any_overlap([], ["*"])
    assert covers("logs*", "logs-dns-*") and not covers("logs-dns-*", "logs*")


def test_only_what_is_missing_is_put_and_nothing_is_replaced() -> None:
    """Absent fields and sub-fields are put, other types are kept, parameters stay theirs."""
    wanted = {"a": {"properties": {"b": SCREEN, "c": KEYWORD, "d": KEYWORD}}, "e": SCREEN, "f": {"type": "date"}}
    present = {
        "a": {"properties": {"b": {"type": "keyword", "ignore_above": 9}, "c": {"type": "text"}}},
        "f": {"type": "date"},
    }
    put, kept = missing(wanted, present)
    assert put == {
        "a": {
            "properties": {"b": {"type": "keyword", "ignore_above": 9, "fields": {"keyword": KEYWORD}}, "d": KEYWORD}
        },
        "e": SCREEN,
    }
    assert kept == [Kept("a.c", "text", "keyword")]
    assert without(wanted, {"a.c", "f", "e"}) == {"a": {"properties": {"b": SCREEN, "d": KEYWORD}}}
    assert missing(wanted, merged(present, put))[0] == {}


def test_an_object_where_a_value_is_wanted_is_kept() -> None:
    """And the other way round; an object that is stored only takes no fields."""
    assert missing({"a": KEYWORD}, {"a": {"properties": {"b": KEYWORD}}})[1] == [Kept("a", "object", "keyword")]
    assert missing({"a": {"properties": {"b": KEYWORD}}}, {"a": KEYWORD})[1] == [Kept("a", "keyword", "object")]
    stored = {"a": {"type": "object", "enabled": False}}
    assert missing({"a": {"properties": {"b": KEYWORD}}}, stored)[1] == [Kept("a", "object", "object")]
    assert missing(stored, stored) == ({}, [])


def test_subfields_take_the_names_of_the_siem() -> None:
    """`.raw` where its templates make that, at any depth; other sub-fields stay."""
    rules = [
        {
            "s": {
                "match_mapping_type": "string",
                "mapping": {"type": "text", "fields": {"raw": KEYWORD, "x": {"type": "text"}}},
            }
        },
        {"n": {"match_mapping_type": "long", "mapping": {"type": "long", "fields": {"k": KEYWORD}}}},
    ]
    assert subfield_names(rules) == {"raw"}
    wanted = {"a": {"properties": {"b": SCREEN}}, "c": KEYWORD}
    named = with_subfields(wanted, ["raw"])
    assert named == {"a": {"properties": {"b": {"type": "keyword", "fields": {"raw": KEYWORD}}}}, "c": KEYWORD}
    assert "*.mappings.properties.a.properties.b" in branches(wanted) and "*.mappings.properties.c" in branches(wanted)


PIPELINES = {
    "theirs": {"processors": [{"foreach": {"field": "x", "processor": {"pipeline": {"name": "middle"}}}}]},
    "middle": {
        "processors": [{"set": {"on_failure": [{"pipeline": {"name": "ours"}}]}}, {"pipeline": {"name": "theirs"}}]
    },
    "alone": {"processors": [{"set": {"field": "pipeline", "value": "ours"}}]},
    "ours": {"processors": [{"pipeline": {"name": "part"}}]},
}


def test_calls_are_found_wherever_they_stand() -> None:
    """Through other pipelines, in loops and failure branches; circles end."""
    assert calls(PIPELINES, "theirs", "ours") and calls(PIPELINES, "middle", "ours")
    assert not calls(PIPELINES, "alone", "ours") and not calls(PIPELINES, "none", "ours")
    assert callers(PIPELINES, ["ours", "part"]) == ["middle"]
    assert foreign([("a", None), ("b", "_none"), ("c", "ours"), ("d", "x")], "ours") == [("d", "x")]


def test_differences_are_short_and_say_where() -> None:
    """Values by their size where they are long, a few places only."""
    now = {"a": 1, "b": list(range(20)), "c": [{"x": 1}], "t": "x" * 500}
    wanted = {"a": 1, "b": list(range(30)), "c": [{"x": 2}], "t": "y" * 500}
    found = differences(now, wanted)
    assert found[:2] == (Difference("b", "20 entries", "30 entries"), Difference("c[0].x", "1", "2"))
    assert "500 characters" in str(found[2].wanted)
    assert differences(now, now) == ()
    many = differences({}, {str(n): n for n in range(20)})
    assert len(many) == 9 and many[-1].at == "and 12 more"


def test_steps_on_indices_fit_into_a_request_line() -> None:
    """Many names are spread over few calls, each name once."""
    names = [f"logstash-dns-2026.{month:02}.{day:02}" for month in range(1, 13) for day in range(1, 29)]
    steps = list(index_steps("settings", "_settings", names, {}, "why"))
    assert all(len(step.path) < 4000 for step in steps) and len(steps) < 6
    assert sorted(name for step in steps for name in step.names) == sorted(names)


ASSETS = Assets(
    {"p-enrich": {"processors": []}}, "p-enrich", {"hunt": {"properties": {"x": KEYWORD}}}, ("logs-*",), {}, "p-", "v1"
)
NOTHING = Present({}, {}, {}, {}, {}, {})


def composable(patterns: list[str], priority: int) -> dict[str, Any]:
    """Return a composable template."""
    return {"index_patterns": patterns, "priority": priority}


def steps(present: Present) -> list[tuple[str, str, str]]:
    """Return what would be done beyond the pipeline."""
    return [(s.action, s.kind, s.names[0]) for s in planned(present, ASSETS).steps if s.kind != "ingest pipeline"]


def test_which_templates_get_ours() -> None:
    """A copy of the wide one that decides; none where one made for events stands above it; legacy where none is."""
    assert steps(NOTHING) == [("create", "legacy template", "p-events")]
    wide = {"wide": composable(["*"], 5), "lower": composable(["l*"], 1)}
    copied = planned(replace(NOTHING, composable=wide), ASSETS)
    (copy,) = [step.body for step in copied.steps if step.kind == "index template"]
    assert copy and (copy["index_patterns"], copy["priority"], copy["composed_of"]) == (["logs-*"], 6, ["p-events"])
    above = {**wide, "made": composable(["logs-*"], 7)}
    assert steps(replace(NOTHING, composable=above)) == [
        ("create", "component template", "p-events"),
        ("change", "index template", "made"),
    ]
    other = replace(NOTHING, composable={"other": composable(["metrics-*"], 9)})
    assert steps(other) == steps(NOTHING)


def test_no_room_for_a_copy_is_refused() -> None:
    """A template for some events with the very next priority would be hidden by the copy."""
    both = {"wide": composable(["*"], 5), "dns": composable(["logs-dns-*"], 6)}
    with pytest.raises(Refused, match="give dns a higher one"):
        planned(replace(NOTHING, composable=both), ASSETS)


def test_a_template_that_has_no_room_for_our_fields_is_refused() -> None:
    """New indices could not be made, and events would be lost; without a limit of its own ours makes room."""
    assert field_count({"a": {"properties": {"b": SCREEN}}}) == 3
    full = {
        "mappings": {"properties": {"a": KEYWORD}},
        "settings": {"index": {"mapping": {"total_fields": {"limit": "2"}}}},
    }
    present = replace(NOTHING, legacy={"full": {"index_patterns": ["logs-*"], **full}})
    with pytest.raises(Refused, match="legacy template full allows 2 fields, and its own with ours are 3"):
        planned(present, ASSETS)
    (legacy,) = [step.body for step in planned(NOTHING, ASSETS).steps if step.kind == "legacy template"]
    assert legacy and legacy["settings"]["index"]["mapping"]["total_fields"]["limit"] == 1002
