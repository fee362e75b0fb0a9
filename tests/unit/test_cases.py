"""Cases are proofs: they pass through the enrichment, and a wrong expectation is told with what came instead."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connector.documents import parse_document
from connector.hunts.asking.groups import event_time, groups
from connector.hunts.asking.spans import taking_part
from connector.hunts.catalogue.format import read_hunt
from connector.hunts.catalogue.hunt import Case, Hunt
from connector.hunts.catalogue.needs import Count, Distinct
from connector.hunts.checking.cases import case_problems, judge, raw_events
from connector.hunts.conditions.condition import Equals

GOOD = (Path(__file__).parents[1] / "bad" / "hunts" / "title-word.yml").read_text(encoding="utf-8")


def hunt_of(*edits: tuple[str, str]) -> Hunt:
    text = GOOD
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    hunt, problems = read_hunt(parse_document(text, "policy/title-word.yml"), "policy", {})
    assert hunt is not None, problems
    return hunt


HIT = "hits: [{hunt.client.ip: 10.10.10.17}]"
CAME = "finds hunt.client.ip 10.10.10.17, count 1"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (HIT, HIT.replace("17", "18"), f"expects hunt.client.ip 10.10.10.18, but {CAME}"),
        (HIT, HIT.replace("}", ", count: 2}"), f"expects hunt.client.ip 10.10.10.17, count 2, but {CAME}"),
        (HIT, "hits: []", f"expects no finding, but {CAME}"),
        ("www.example.net", "www.example.org", "expects hunt.client.ip 10.10.10.17, but finds nothing"),
        ('"dest_ip": "8.8.8.8"', '"dest_ip": "10.0.0.53"', "but finds nothing"),
    ],
)
def test_a_wrong_expectation_is_told_with_what_came(old, new, said):
    hunt = hunt_of((old, new))
    problems = case_problems(hunt, judge(hunt))
    assert problems and said in problems[0].message and problems[0].message.startswith("case 'one name' ")
    line = next(n for n, text in enumerate(GOOD.splitlines(), 1) if "name: one name" in text)
    assert problems[0].line == line


def test_the_policy_of_a_case_takes_the_place_of_the_examples():
    policy = "resolvers: {approved: [{name: google, address: 8.8.8.8}]}"
    hunt = hunt_of(("hits: [{hunt.client.ip: 10.10.10.17}]", f"hits: []\n    {policy}"))
    assert all(verdict.passed for verdict in judge(hunt))


def test_a_hunt_that_only_a_search_can_answer_is_not_judged():
    assert judge(hunt_of(("hunt.name.parents: example.net", "lucene: 'hunt.name.parents:example.net'"))) == ()


def test_repeated_events_are_numbered_and_apart():
    texts = ["{n}", {"b": "{n:03d} {n:x} {m} {}"}]
    event = {"event_type": "dns", "timestamp": "2026-11-02T00:00:59.5+0000", "a": texts, "c": 1}
    first, *_, last = raw_events(Case("x", (), ({"repeat": 12, "every": "1m", "event": event},), 1))
    assert first["a"] == ["0", {"b": "000 0 {m} {}"}] and last["a"] == ["11", {"b": "011 b {m} {}"}]
    assert event_time(last) - event_time(first) == timedelta(minutes=11) and last["c"] == 1


@pytest.mark.parametrize("rest", ["T01:00:00.000000+0100", "T00:00:00Z", "T00:00:00.0000000000+00:00", "T00:00:00"])
def test_the_time_of_an_event_in_every_form(rest):
    assert event_time({"timestamp": f"2026-11-02{rest}"}) == datetime(2026, 11, 2, tzinfo=UTC)
    assert event_time({"@timestamp": f"2026-11-02{rest}"}) == datetime(2026, 11, 2, tzinfo=UTC)


def timed(*minutes: int, value: str | None = None) -> list[tuple[datetime, list[str]]]:
    """Return times in order, each with a value of its own, or all with the same."""
    start = datetime(2026, 11, 2, tzinfo=UTC)
    return [(start + timedelta(minutes=m), [value or str(m)]) for m in minutes]


TEN = timedelta(minutes=10)


@pytest.mark.parametrize(
    ("needs", "events", "part"),
    [
        (Count(1), timed(0), [0]),
        (Count(1), [], []),
        (Count(3), timed(0, 600, 1200), [0, 1, 2]),
        (Count(3, TEN), timed(0, 5, 10), [0, 1, 2]),
        (Count(3, TEN), timed(0, 5, 11), []),
        (Count(3, TEN), timed(0, 100, 105, 110, 300), [1, 2, 3]),
        (Distinct("v", 2, TEN), timed(0, 1, 2, value="same"), []),
        (Distinct("v", 2, TEN), timed(0, 1), [0, 1]),
        (Distinct("v", 2, TEN), timed(0, 20), []),
        (Distinct("v", 2), [(datetime(2026, 11, 2, tzinfo=UTC), ["a", "b"])], [0]),
        (Distinct("v", 2), [(datetime(2026, 11, 2, tzinfo=UTC), [])], []),
    ],
)
def test_what_takes_part_within_any_span_of_the_window(needs, events, part):
    assert taking_part(needs, events) == part


def test_findings_are_told_apart_by_every_combination_of_values():
    hunt = replace(hunt_of(), group_by=("hunt.client.ip", "role"), match=Equals("event_type", ("dns",)))
    events = [
        {"event_type": "dns", "hunt": {"client": {"ip": "2001:db8::1"}}, "role": ["a", "b", "a"]},
        {"event_type": "dns", "hunt.client.ip": "2001:0db8:0000:0000:0000:0000:0000:0001", "role": "b"},
        {"event_type": "dns", "hunt.client.ip": "::ffff:192.0.2.1"},
        {"event_type": "tls", "hunt.client.ip": "192.0.2.1"},
    ]
    found = {tuple(group.values.values()): len(group.events) for group in groups(hunt, events)}
    assert found == {("2001:db8::1", "a"): 1, ("2001:db8::1", "b"): 2, ("192.0.2.1", None): 1}
