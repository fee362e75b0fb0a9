"""Which stored fields a query asks, given the mapping, and what it says when they cannot answer."""

import pytest

from connector.errors import Refused
from connector.hunts.conditions import condition as c
from connector.hunts.conditions.address import network
from connector.hunts.conditions.fields import Fields
from connector.hunts.conditions.pattern import Pattern
from connector.hunts.conditions.query import compile_query


def fields(**types: str | tuple[str, ...]) -> Fields:
    """Return fields of these types; a double underscore in a name is a dot, and a type may be several."""
    caps = {
        name.replace("__", "."): {
            kind: {"type": kind, "searchable": kind != "binary", "aggregatable": kind not in ("text", "object")}
            for kind in ((kinds,) if isinstance(kinds, str) else kinds)
        }
        for name, kinds in types.items()
    }
    return Fields.from_caps({"fields": caps})


def query(condition: c.Condition, known: Fields) -> dict:
    compiled = compile_query(condition, known, "eve")
    assert not compiled.missing and not compiled.unfit
    return compiled.query


X = c.Equals("a", ("x",))


def test_the_keyword_is_asked_wherever_it_is():
    assert query(X, fields(a="keyword")) == {"terms": {"a": ["x"]}}
    assert query(X, fields(a="keyword", a__keyword="keyword")) == {"terms": {"a": ["x"]}}
    assert query(X, fields(a="text", a__keyword="keyword")) == {"terms": {"a.keyword": ["x"]}}
    assert query(X, fields(a="text", a__raw="keyword")) == {"terms": {"a.raw": ["x"]}}


def test_where_indices_differ_each_form_is_asked_and_said():
    compiled = compile_query(X, fields(a=("text", "keyword"), a__keyword="keyword"), "eve")
    plain = {"bool": {"filter": [{"terms": {"a": ["x"]}}], "must_not": [{"exists": {"field": "a.keyword"}}]}}
    assert compiled.query["bool"]["should"] == [{"terms": {"a.keyword": ["x"]}}, plain]
    assert compiled.limits == ("a is mapped as keyword and as text, depending on the index",)


def test_a_value_is_asked_only_of_types_that_can_hold_it():
    known = fields(n="long", ip="ip", b="boolean")
    assert query(c.Equals("n", ("53", "x", 7)), known) == {"terms": {"n": ["53", "7"]}}
    assert query(c.Equals("ip", ("192.0.2.1", "x")), known) == {"terms": {"ip": ["192.0.2.1"]}}
    assert query(c.Equals("b", (True, "maybe")), known) == {"terms": {"b": ["true"]}}
    compiled = compile_query(c.Equals("n", ("x",)), known, "eve")
    assert not compiled.answerable and compiled.unfit == ("n has no such value: it is mapped as long",)


def test_an_address_kept_as_text_is_asked_in_every_spelling():
    asked = c.Equals("src_ip", ("2001:db8::1",))
    expected = ["2001:db8::1", "2001:0db8:0000:0000:0000:0000:0000:0001"]
    assert query(asked, fields(src_ip="keyword")) == {"terms": {"src_ip": expected}}


def test_networks_are_merged_and_single_addresses_are_one_set():
    nets = tuple(map(network, ["192.0.2.1", "192.0.2.9/32", "10.0.0.0/9", "10.128.0.0/9", "::ffff:10.1.0.0/112"]))
    found = query(c.InNetwork("src_ip", nets), fields(src_ip="ip"))
    assert found["bool"]["should"] == [
        {"terms": {"src_ip": ["192.0.2.1", "192.0.2.9"]}},
        {"term": {"src_ip": {"value": "10.0.0.0/8"}}},
    ]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (Pattern("prefix", "a*b"), {"prefix": {"a": {"value": "a*b", "case_insensitive": True}}}),
        (Pattern("contains", "a*?\\b"), {"wildcard": {"a": {"value": "*a\\*\\?\\\\b*", "case_insensitive": True}}}),
        (Pattern("suffix", ".b"), {"wildcard": {"a": {"value": "*.b", "case_insensitive": True}}}),
        (Pattern("wildcard", "a\\*\\b*\\"), {"wildcard": {"a": {"value": "a\\*b*\\\\", "case_insensitive": True}}}),
    ],
)
def test_patterns_are_escaped(pattern, expected):
    assert query(c.Matches("a", (pattern,)), fields(a="keyword")) == expected


def test_text_too_long_for_its_keyword_is_searched_as_text():
    known = fields(a="text", a__keyword="keyword")
    one, several, none = (
        compile_query(c.Matches("a", (Pattern("contains", text),)), known, "eve") for text in ("root", "cmd /c", "../")
    )
    assert {"wildcard": {"a": {"value": "*root*", "case_insensitive": True}}} in one.query["bool"]["should"]
    assert one.limits == ()
    by_words = several.query["bool"]["should"][1]["bool"]
    assert len(by_words["filter"]) == 2 and by_words["must_not"] == [{"exists": {"field": "a.keyword"}}]
    assert "searched for the words of 'cmd /c', in any order" in several.limits[0]
    assert "not searched for '../'" in none.limits[0]


def test_a_field_no_index_has_is_named_and_never_reads_as_no_findings():
    compiled = compile_query(c.All((X, c.Equals("gone.field", ("y",)))), fields(a="keyword"), "eve")
    assert compiled.missing == ("gone.field",) and not compiled.answerable
    either = compile_query(c.Any((X, c.Equals("gone.field", ("y",)))), fields(a="keyword"), "eve")
    assert either.missing == ("gone.field",) and either.answerable
    but_not = compile_query(c.All((X, c.None_((c.Exists("gone.field"),)))), fields(a="keyword"), "eve")
    assert but_not.missing == ("gone.field",) and but_not.answerable


@pytest.mark.parametrize(
    ("leaf", "types", "said"),
    [
        (c.Compares("a", gte=1), {"a": "keyword"}, "a cannot be compared with a number: it is mapped as keyword"),
        (c.InNetwork("a", (network("::/0"),)), {"a": "text", "a__keyword": "keyword"}, "with networks"),
        (c.Matches("a", (Pattern("prefix", "x"),)), {"a": "long"}, "with patterns: it is mapped as long"),
        (c.Equals("a", ("x",)), {"a": "object"}, "it is mapped as object"),
        (c.Exists("a"), {"a": "binary"}, "cannot be searched: it is mapped as unindexed"),
        (c.Regex("a", "x"), {"a": "ip"}, "with a regular expression"),
    ],
)
def test_a_type_that_cannot_answer_is_named(leaf, types, said):
    compiled = compile_query(leaf, fields(**types), "eve")
    assert not compiled.answerable and said in compiled.unfit[0] and compiled.missing == ()


def test_the_other_dialect_is_asked_under_its_own_names():
    compiled = compile_query(c.Exists("src_ip"), fields(source__ip="ip"), "ecs")
    assert compiled.query == {"exists": {"field": "source.ip"}}
    assert compile_query(c.Exists("src_ip"), fields(source__ip="ip"), "eve").missing == ("src_ip",)


def test_a_reference_without_a_value_is_refused():
    with pytest.raises(Refused, match=r"\$a has no value yet"):
        compile_query(c.Equals("a", (c.Reference("a"),)), fields(a="keyword"), "eve")


def test_search_only_leaves_become_queries():
    known = fields(a="text", a__keyword="keyword")
    assert query(c.Regex("a", "x.*"), known) == {"regexp": {"a.keyword": {"value": "x.*"}}}
    assert query(c.Lucene("a:b"), known) == {"query_string": {"query": "a:b", "analyze_wildcard": True}}


def test_the_name_to_count_by_is_the_one_with_values():
    known = fields(a="text", a__keyword="keyword", b="keyword", c="text")
    assert [known.exact(name) for name in "abcd"] == ["a.keyword", "b", None, None]
