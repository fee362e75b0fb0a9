"""A condition written out and read back is the same condition: for all hunts, and for every kind of leaf."""

import json
from dataclasses import replace

import pytest

from connector.errors import ContentError
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.conditions import condition as c
from connector.hunts.conditions.address import network
from connector.hunts.conditions.pattern import Pattern
from connector.respond.tags.written import read_back, written
from connector.settings.model import Settings

EVERY_LEAF = c.All(
    (
        c.Equals("event_type", ("dns", 5, 0.5, True)),
        c.Any((c.InNetwork("hunt.client.ip", (network("10.0.0.0/8"), network("2001:db8::/32"))), c.Exists("tls.sni"))),
        c.None_((c.UnderDomain("hostname_info.host", ("example.com",)), c.Compares("hunt.name.length", gt=3, lte=9.5))),
        c.Matches("http.url", (Pattern("contains", 'a"b'), Pattern("contains", "*"))),
        c.Regex("http.url", "a.*"),
        c.Lucene("http.url:x"),
    )
)


def without_lists(condition: c.Condition) -> c.Condition:
    """Return the condition with its lists spelled out: their names are not kept."""
    if isinstance(condition, c.All | c.Any | c.None_):
        return type(condition)(tuple(map(without_lists, condition.parts)))
    return replace(condition, list_name=None) if isinstance(condition, c.Equals | c.InNetwork) else condition


def round_trip(condition: c.Condition) -> c.Condition:
    return read_back(json.loads(json.dumps(written(condition))), "rule")


def test_every_leaf():
    assert round_trip(EVERY_LEAF) == EVERY_LEAF


def test_patterns_of_several_kinds_keep_theirs():
    kinds = [Pattern("prefix", "curl"), Pattern("contains", "requests"), Pattern("prefix", "wget")]
    found = round_trip(c.All((c.Matches("http.http_user_agent", tuple(kinds)),)))
    assert [one.patterns for part in found.parts for one in part.parts] == [(kinds[0], kinds[2]), (kinds[1],)]


def test_every_hunt():
    hunts = load_catalogue(Settings()).hunts
    assert len(hunts) >= 12
    for hunt in hunts:
        assert round_trip(hunt.condition) == without_lists(hunt.condition), hunt.name


def test_an_empty_list_stays_empty():
    assert round_trip(c.All((c.Equals("a", ()),))) == c.All((c.Equals("a", ()),))


def test_a_reference_has_no_written_form_and_nonsense_is_refused():
    with pytest.raises(TypeError, match=r"\$hunt.client.ip has no value yet"):
        written(c.Equals("hunt.client.ip", (c.Reference("hunt.client.ip"),)))
    with pytest.raises(ContentError, match="rule:1: "):
        read_back({"all": [{"a": 1, "b": 2}]}, "rule")
