"""The queries of the hunts we ship, on real engines: they find what the cases say, and say what they cannot ask."""

from __future__ import annotations

import pytest

from connector.enrich.fields import event_properties
from connector.enrich.reference import enrich
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.needs import measured_fields
from connector.hunts.checking.cases import NOW, example_settings, example_tables, hunt_of_case, raw_events
from connector.hunts.conditions import condition as c
from connector.hunts.conditions.fields import Fields
from connector.hunts.conditions.pattern import Pattern
from connector.hunts.conditions.predicate import predicate
from connector.hunts.conditions.query import compile_query
from connector.siem.client import Siem
from connector.siem.event_template import TEMPLATE


@pytest.fixture(scope="session")
def shipped():
    """Return the hunts; lists of the operator are filled as the first case that hits has them."""
    hunts = load_catalogue(example_settings()).hunts
    return [hunt_of_case(hunt, next(case for case in hunt.cases if case.hits)) for hunt in hunts]


@pytest.fixture(scope="session")
def judged(shipped):
    """Return the events of all cases as the enrichment leaves them, and for each hunt those its predicate finds."""
    raw = [event for hunt in shipped for case in hunt.cases for event in raw_events(case)]
    events = [enrich(event, example_tables(), NOW) for event in raw]
    found_by: dict[str, set[int]] = {}
    for hunt in shipped:
        matches = predicate(hunt.condition)
        found_by[hunt.name] = {number for number, event in enumerate(events) if matches(event)}
    return events, found_by


@pytest.fixture(scope="module")
def stored(each_module_place, judged):
    """Return the engine, an index with the events of all cases as the enrichment leaves them, and those events."""
    siem, index = each_module_place.siem, f"{each_module_place.prefix}cases"
    mappings = TEMPLATE["mappings"]
    siem.call("PUT", f"/{index}", {
        "settings": TEMPLATE["settings"],
        "mappings": {**mappings, "properties": {**mappings["properties"], **event_properties()}},
    })  # fmt: skip
    events, _ = judged
    lines = [part for n, event in enumerate(events) for part in ({"index": {"_index": index, "_id": str(n)}}, event)]
    assert siem.bulk(lines, refresh=True) == []
    return siem, index, events


def fields_of(siem: Siem, index: str) -> Fields:
    return Fields.from_caps(siem.call("GET", f"/{index}/_field_caps", fields="*"))


def found(siem: Siem, index: str, query: dict) -> set[int]:
    return {int(hit["_id"]) for hit in siem.scan(index, {"query": query, "_source": False})}


def test_each_hunt_finds_on_the_engine_what_its_predicate_finds(stored, shipped, judged):
    siem, index, _ = stored
    fields = fields_of(siem, index)
    for hunt in shipped:
        compiled = compile_query(hunt.condition, fields, "eve")
        assert compiled.answerable and not compiled.unfit, (hunt.name, compiled)
        expected = judged[1][hunt.name]
        assert found(siem, index, compiled.query) == expected and (
            expected or hunt.name == "internal-resolver-bypassed"
        )


def test_no_hunt_we_ship_meets_a_limit_of_our_own_mapping(stored, shipped):
    siem, index, _ = stored
    fields = fields_of(siem, index)
    limits = [(hunt.name, limit) for hunt in shipped for limit in compile_query(hunt.condition, fields, "eve").limits]
    assert [pair for pair in limits if any(ours in pair[1] for ours in ("hunt.", "hostname_info."))] == []


def test_everything_a_hunt_groups_or_counts_by_has_a_name_to_do_it_with(stored, shipped):
    siem, index, _ = stored
    fields = fields_of(siem, index)
    for hunt in shipped:
        for name in (*hunt.group_by, *measured_fields(hunt.needs)):
            assert fields.exact(name), (hunt.name, name)


def test_where_nothing_is_enriched_every_hunt_names_the_fields_that_are_not_there(each_place, shipped):
    siem, index = each_place.siem, f"{each_place.prefix}plain"
    event = {"event_type": "dns", "src_ip": "192.0.2.1", "dest_port": 53, "flow": {"pkts_toclient": 1}}
    assert siem.bulk([{"index": {"_index": index}}, event], refresh=True) == []
    for hunt in (hunt for hunt in shipped if hunt.status == "stable"):  # others may need native fields alone
        compiled = compile_query(hunt.condition, fields_of(siem, index), "eve")
        assert not compiled.answerable and any(name.startswith("hunt.") for name in compiled.missing), hunt.name


LONG = "https://shop.example/" + "a" * 300


@pytest.fixture
def long_texts(each_place):
    """Return the engine and an index with short and long texts under a keyword that takes 256 characters."""
    siem, index = each_place.siem, f"{each_place.prefix}long"
    url = {"type": "text", "norms": False, "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
    siem.call("PUT", f"/{index}", {"mappings": {"properties": {"http": {"properties": {"url": url}}}}})
    texts = [
        f"{LONG}?q=CHROOT2",
        f"{LONG}?q=cmd.exe /c whoami",
        f"{LONG}?c=exe&q=cmd",
        "/short?q=chroot2",
        "/short?q=cmd.exe+/c",
        f"{LONG}/../../etc/passwd",
        f"{LONG}?q={'b' * 600}toor{'b' * 600}",
    ]
    lines = [
        x for n, t in enumerate(texts) for x in ({"index": {"_index": index, "_id": str(n)}}, {"http": {"url": t}})
    ]
    assert siem.bulk(lines, refresh=True) == []
    return siem, index


@pytest.mark.parametrize(
    ("pattern", "expected", "limited"),
    [
        (Pattern("contains", "root2"), {0, 3}, False),
        # every word of it is there, so one too many is found, and the query says so
        (Pattern("contains", "cmd.exe"), {1, 2, 4}, True),
        (Pattern("contains", "../"), set(), True),
        (Pattern("prefix", "/short"), {3, 4}, True),
        (Pattern("wildcard", "?*"), {0, 1, 2, 3, 4, 5, 6}, False),
        (Pattern("contains", "passwd"), {5}, False),
    ],
)
def test_a_search_in_text_does_not_stop_where_the_keyword_does(long_texts, pattern, expected, limited):
    siem, index = long_texts
    compiled = compile_query(c.Matches("http.url", (pattern,)), fields_of(siem, index), "eve")
    assert found(siem, index, compiled.query) == expected
    assert bool(compiled.limits) is limited


def test_a_value_too_long_for_its_keyword_still_exists(long_texts):
    siem, index = long_texts
    assert len(found(siem, index, compile_query(c.Exists("http.url"), fields_of(siem, index), "eve").query)) == 7


def test_search_only_leaves_are_answered(long_texts):
    siem, index = long_texts
    fields = fields_of(siem, index)
    regex = compile_query(c.Regex("http.url", "/short.*[0-9]"), fields, "eve")
    lucene = compile_query(c.Lucene("http.url:whoami"), fields, "eve")
    assert found(siem, index, regex.query) == {3} and found(siem, index, lucene.query) == {1}


def test_indices_that_map_a_field_differently_are_asked_each_in_its_way(each_place):
    siem, prefix = each_place.siem, each_place.prefix
    text = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
    for number, kind in enumerate((text, {"type": "keyword"})):
        siem.call("PUT", f"/{prefix}mixed-{number}", {"mappings": {"properties": {"a": kind}}})
    events = [(0, "red"), (0, "red green"), (1, "red"), (1, "red green")]
    lines = [
        part
        for n, (index, value) in enumerate(events)
        for part in ({"index": {"_index": f"{prefix}mixed-{index}", "_id": str(n)}}, {"a": value})
    ]
    assert siem.bulk(lines, refresh=True) == []
    compiled = compile_query(c.Equals("a", ("red",)), fields_of(siem, f"{prefix}mixed-*"), "eve")
    assert found(siem, f"{prefix}mixed-*", compiled.query) == {0, 2}
    assert compiled.limits == ("a is mapped as keyword and as text, depending on the index",)
