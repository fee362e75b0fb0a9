"""What a condition means: reading it from YAML, and what it says of an event."""

import pytest

from connector.documents import parse_document
from connector.errors import Refused
from connector.hunts.catalogue.view import condition_lines
from connector.hunts.conditions import condition as c
from connector.hunts.conditions.lists import ValueList
from connector.hunts.conditions.predicate import predicate
from connector.hunts.conditions.reading import Reader
from connector.settings.part import Part

LISTS = {
    "colours": ValueList("colours", "a", "b", "c", "2026-01-01", ("red", "green")),
    "nets": ValueList("nets", "a", "b", "c", "2026-01-01", ("192.0.2.0/24", "2001:db8::1")),
}


def read(text: str, finding_fields=()) -> tuple[c.Condition, list[str]]:
    document = parse_document(text, "x.yml")
    reader = Reader(LISTS, finding_fields=finding_fields)
    condition = reader.group(Part(document, (), document.value))
    return condition, [str(problem) for problem in reader.problems]


def right(text: str) -> c.Condition:
    condition, problems = read(text)
    assert problems == []
    return condition


def matches(text: str, event: dict) -> bool:
    return predicate(right(text))(event)


@pytest.mark.parametrize(
    ("asked", "event", "expected"),
    [
        # any value of a field, nested or with dots in keys, lists in lists
        ("{a.b: x}", {"a": {"b": "x"}}, True),
        ("{a.b: x}", {"a.b": "x"}, True),
        ("{a.b: x}", {"a": [{"b": "y"}, {"b": ["z", ["x"]]}]}, True),
        ("{a.b: x}", {"a": {"b": ["y", None]}}, False),
        ("{a.b.c: x}", {"a.b": {"c": "x"}}, True),
        ("{a.b.c: x}", {"a": {"b.c": "x"}}, True),
        # as written
        ("{a: x}", {"a": "X"}, False),
        ("{a: ''}", {"a": ""}, True),
        ("{a: ''}", {}, False),
        # numbers and text that is one
        ("{a: 53}", {"a": "53"}, True),
        ("{a: '53'}", {"a": 53}, True),
        ("{a: 53}", {"a": 53.0}, True),
        ("{a: 53}", {"a": True}, False),
        ("{a: true}", {"a": "true"}, True),
        ("{a: {gte: 53}}", {"a": "53"}, True),
        ("{a: {gt: 53}}", {"a": 53}, False),
        ("{a: {gt: 1, lt: 3}}", {"a": [0, 5]}, False),
        ("{a: {gt: 1, lt: 3}}", {"a": [0, 2]}, True),
        ("{a: {lte: 3}}", {"a": "three"}, False),
        # lists
        ("{a: {any_of: [x, y]}}", {"a": "y"}, True),
        ("{a: {in_list: colours}}", {"a": ["blue", "green"]}, True),
        ("{a: {in_list: colours}}", {"a": "Green"}, False),
        # addresses, in whichever spelling
        ("{src_ip: '2001:db8::1'}", {"src_ip": "2001:0DB8:0000:0000:0000:0000:0000:0001"}, True),
        ("{src_ip: 192.0.2.1}", {"src_ip": "::ffff:192.0.2.1"}, True),
        ("{src_ip: 192.0.2.1}", {"src_ip": "192.0.2.01"}, False),
        ("{hunt.client.ip: {in_network: 192.0.2.0/31}}", {"hunt": {"client": {"ip": "192.0.2.1"}}}, True),
        ("{hunt.client.ip: {in_network: 192.0.2.0/31}}", {"hunt": {"client": {"ip": "192.0.2.2"}}}, False),
        ("{hunt.client.ip: {in_network: nets}}", {"hunt": {"client": {"ip": "192.0.2.77"}}}, True),
        ("{hunt.client.ip: {in_network: [10.0.0.0/8, nets]}}", None, None),
        ("{src_ip: {in_network: '::/0'}}", {"src_ip": "192.0.2.1"}, True),
        ("{src_ip: {exists: true}}", {"src_ip": "nowhere"}, False),
        # text in either case, but of a to z only
        ("{a: {prefix: ab}}", {"a": "ABc"}, True),
        ("{a: {suffix: [x, C]}}", {"a": "abc"}, True),
        ("{a: {contains: b}}", {"a": "aBc"}, True),
        ("{a: {contains: ß}}", {"a": "STRASSE"}, False),
        ("{a: {contains: ä}}", {"a": "Ä"}, False),
        ("{a: {contains: k}}", {"a": "\u212a"}, False),
        ("{a: {wildcard: 'a?c*'}}", {"a": "aBcd"}, True),
        ("{a: {wildcard: 'a?c'}}", {"a": "ac"}, False),
        ("{a: {wildcard: 'a\\*'}}", {"a": "a*"}, True),
        ("{a: {wildcard: 'a\\*'}}", {"a": "ab"}, False),
        ("{a: {wildcard: 'a*b'}}", {"a": "a\nb"}, True),
        ("{a: {contains: '.*'}}", {"a": "ab"}, False),
        # names
        ("{a: {under_domain: Example.COM.}}", {"a": "www.example.com"}, True),
        ("{a: {under_domain: example.com}}", {"a": "example.com"}, True),
        ("{a: {under_domain: example.com}}", {"a": "notexample.com"}, False),
        # whether there is anything
        ("{a: {exists: true}}", {"a": ""}, True),
        ("{a: {exists: true}}", {"a": [None]}, False),
        ("{a: {exists: true}}", {"a": {"b": []}}, False),
        ("{a: {exists: true}}", {"a": {"b": 0}}, True),
        ("{a.b: {exists: true}}", {"a.b.c": "x"}, True),
    ],
)
def test_a_leaf_says_of_an_event(asked, event, expected):
    if event is None:
        assert read(f"all: [{asked}]")[1], "a list's name stands alone"
    else:
        assert matches(f"all: [{asked}]", event) is expected
        assert matches(f"none: [{asked}]", event) is not expected


def test_groups_nest_and_several_in_one_mapping_must_all_hold():
    text = "{all: [{a: 1}], any: [{b: 2}, {all: [{c: 3}], none: [{d: 4}]}], none: [{e: 5}]}"
    assert matches(text, {"a": 1, "b": 2})
    assert matches(text, {"a": 1, "c": 3})
    assert not matches(text, {"a": 1, "c": 3, "d": 4})
    assert not matches(text, {"a": 1, "b": 2, "e": 5})
    assert not matches(text, {"b": 2})
    assert condition_lines(right(text))[:4] == ["all of", "  all of", "    a is 1", "  any of"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("all:\n- {a: 1, b: 2}", "x.yml:2: all[0] must have one field"),
        ("all:\n- {all: [{a: 1}], b: 2}", "x.yml:2: all[0] must have one field"),
        ("all:\n- a: {prefix: x, suffix: y}", "x.yml:2: all[0].a has prefix and suffix: give each its own dash"),
        ("all:\n- a: {gt: 1, gte: 2}", "x.yml:2: all[0].a has two bounds on one side"),
        ("all:\n- a: {in_list: tints}", "names the list 'tints', which is not there; lists: colours, nets"),
        ("all:\n- src_ip: {in_list: nets}", "src_ip holds addresses: use in_network"),
        ("all:\n- src_ip: here", "x.yml:2: all[0].src_ip is 'here', but src_ip holds addresses"),
        ("all:\n- src_ip: 10.0.0.0/8", "for networks use in_network"),
        ("all:\n- src_ip: {prefix: '10.'}", "all[0].src_ip asks for text, but src_ip holds addresses: use in_network"),
        ("all:\n- src_ip:\n    in_network: [10.0.0.0/8,\n      10.0.0.0/33]", "x.yml:4:"),
        ("all:\n- a: {contains: ''}", "is empty and would match everything"),
        ("all:\n- a: {under_domain: '.'}", "is empty: name a domain"),
        ("all:\n- a b: 1", "is no field name"),
        ("all:\n- a: $b", "names $b, which a finding does not have; it has: none, as only guide steps"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(text, said):
    _, problems = read(text)
    assert len(problems) == 1 and said in problems[0], problems


def test_all_problems_are_found_at_once():
    text = "all:\n- a: {in_list: x}\n- any:\n  - src_ip: y\n  - b: {contains: ''}\nnone:\n- c: $d"
    assert [problem.split(":")[1] for problem in read(text)[1]] == ["2", "4", "5", "7"]


def test_a_reference_is_kept_for_the_step_that_runs_it():
    condition, problems = read("all: [{a: $hunt.client.ip}]", ["hunt.client.ip"])
    assert problems == [] and c.references(condition) == ("hunt.client.ip",)
    with pytest.raises(Refused, match=r"\$hunt.client.ip has no value yet"):
        predicate(condition)


@pytest.mark.parametrize("text", ["all: [{lucene: 'a:b'}]", "any: [{a: 1}, {b: {regex: 'x.*'}}]"])
def test_what_only_a_search_can_answer_says_so(text):
    condition = right(text)
    assert c.query_only(condition)
    with pytest.raises(Refused, match="can only be answered by a search"):
        predicate(condition)


def test_the_predicate_reads_the_other_dialect():
    asked = predicate(right("all: [{src_ip: 192.0.2.1}, {dns.type: query}]"), "ecs")
    assert asked({"source": {"ip": "192.0.2.1"}, "suricata": {"eve": {"dns": {"type": "query"}}}})
    assert not asked({"src_ip": "192.0.2.1", "dns": {"type": "query"}})


def test_fields_are_named_once_in_order():
    condition = right("{any: [{b: 1}, {a: 2}], none: [{b: 3}, {lucene: x}]}")
    assert c.field_names(condition) == ("b", "a")
