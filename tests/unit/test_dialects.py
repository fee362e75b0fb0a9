"""A hunt is written in EVE's names and values, and every compiler asks Elastic Agent's events for theirs."""

import pytest

from connector.enrich.dialects import stored_name, stored_text
from connector.hunts.conditions import condition as c
from connector.hunts.conditions.fields import Fields
from connector.hunts.conditions.painless import compile_painless
from connector.hunts.conditions.predicate import predicate
from connector.hunts.conditions.query import compile_query
from connector.settings.model import Dialect

UDP = c.Equals("proto", ("UDP", "IPv6-ICMP"))
BLOCKED = c.Equals("alert.action", ("blocked",))
PLACES = {"proto": "network.transport", "app_proto": "network.protocol", "alert.action": "event.type"}
VALUES = [
    ("proto", "UDP", "udp"),
    ("proto", "IPv6-ICMP", "ipv6-icmp"),
    ("proto", "udp", "udp"),
    ("app_proto", "krb5", "krb5"),
    ("app_proto", "MODBUS", "modbus"),
    ("alert.action", "blocked", "denied"),
    ("alert.action", "allowed", "allowed"),
    ("alert.signature", "Blocked UDP", "Blocked UDP"),
    ("hunt.dns.rrtype", "TXT", "TXT"),
]


def asked_of_a_search(leaf: c.Leaf, dialect: Dialect) -> list[str]:
    """Return the values that a query asks for."""
    keyword = {"keyword": {"searchable": True, "aggregatable": True}}
    names = dict.fromkeys((stored_name(leaf.field, dialect), leaf.field), keyword)
    ((_, asked),) = compile_query(leaf, Fields.from_caps({"fields": names}), dialect).query["terms"].items()
    return asked


@pytest.mark.parametrize(("field", "text", "stored"), VALUES)
def test_a_value_is_asked_for_as_it_is_stored(field: str, text: str, stored: str) -> None:
    assert stored_text(field, text, "ecs") == stored
    assert stored_text(field, text, "eve") == text
    leaf = c.Equals(field, (text,))
    assert asked_of_a_search(leaf, "ecs") == [stored] and asked_of_a_search(leaf, "eve") == [text]
    assert compile_painless(leaf, "ecs")["values"] == [stored]
    assert compile_painless(leaf, "eve")["values"] == [text]
    assert predicate(leaf, "ecs")({stored_name(field, "ecs"): stored})
    assert predicate(leaf, "eve")({field: text})


def test_the_words_of_one_dialect_match_nothing_in_the_other() -> None:
    assert predicate(UDP, "ecs")({"network": {"transport": "udp"}})
    assert not predicate(UDP, "ecs")({"network": {"transport": "UDP"}})
    assert not predicate(UDP, "ecs")({"proto": "UDP"})
    assert not predicate(UDP, "eve")({"proto": "udp", "network": {"transport": "udp"}})
    assert predicate(BLOCKED, "ecs")({"event": {"type": ["info", "denied"]}})
    assert not predicate(BLOCKED, "ecs")({"event": {"type": ["allowed"]}})


def test_a_field_is_asked_for_where_elastic_agent_moves_it() -> None:
    places = {name: stored_name(name, "ecs") for name in ("http.http_user_agent", "http.http_method", "flow.start")}
    assert places == {
        "http.http_user_agent": "user_agent.original",
        "http.http_method": "http.request.method",
        "flow.start": "event.start",
    }
    answer = {"dns": {"answers": [{"name": "a.example", "data": "192.0.2.1", "type": "A"}]}}
    assert predicate(c.Equals("dns.answers.rdata", ("192.0.2.1",)), "ecs")(answer)
    assert {name: stored_name(name, "eve") for name in PLACES} == {name: name for name in PLACES}
    assert {name: stored_name(name, "ecs") for name in PLACES} == PLACES


def test_a_flag_of_an_answer_is_a_word_in_a_list() -> None:
    asked = predicate(c.Equals("dns.aa", (True,)), "ecs")
    assert asked({"dns": {"header_flags": ["RD", "AA"]}})
    assert not asked({"dns": {"header_flags": ["RD"]}})


def test_numbers_and_booleans_stay_what_they_are() -> None:
    asked = c.Equals("proto", (1, True, 17))
    assert compile_painless(asked, "ecs")["values"] == ["1", "17", "true"]
