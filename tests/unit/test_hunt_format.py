"""Reading a hunt: what its keys mean, and every way of being wrong with its line and words."""

from datetime import timedelta
from pathlib import Path

import pytest

from connector.documents import parse_document
from connector.hunts.catalogue.format import read_hunt
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import Count, Distinct, every_event
from connector.hunts.catalogue.view import needs_words
from connector.hunts.conditions.condition import Equals, references
from connector.settings.durations import duration, duration_or_zero, span

GOOD = (Path(__file__).parents[1] / "bad" / "hunts" / "title-word.yml").read_text(encoding="utf-8")


def read(*edits: tuple[str, str]) -> tuple[Hunt | None, list[str]]:
    """Return what a hunt reads as after the edits, each of which must change something."""
    text = GOOD
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    hunt, problems = read_hunt(parse_document(text, "queries/policy/title-word.yml"), "policy", {})
    return hunt, [str(problem) for problem in problems]


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(GOOD.splitlines(), 1) if text in line)


def test_a_hunt_is_read_whole():
    hunt, problems = read()
    assert problems == [] and hunt is not None
    assert (hunt.name, hunt.family, hunt.kind, hunt.event_types) == ("title-word", "policy", "policy", ("dns",))
    assert hunt.group_by == ("hunt.client.ip",) and hunt.fields == ("hunt.client.ip", "hostname_info.host")
    assert hunt.needs == Count() and every_event(hunt.needs)
    assert hunt.condition.parts[0] == Equals("event_type", ("dns",))
    first, second = hunt.guide
    assert first.look.window == timedelta(days=7) and first.look.event_types == ("dns",)
    assert references(first.look.match) == ("hostname_info.host",)
    assert first.look.count_by == ("hunt.client.ip",) and second.look.show == ("hostname_info.host",)
    assert [len(case.hits) for case in hunt.cases] == [1, 0]
    assert hunt.hypothesis.startswith("A client that asks") and "\n" not in hunt.hypothesis


@pytest.mark.parametrize(
    ("written", "needs", "words"),
    [
        ("{count: 1}", Count(), "1 event"),
        ("{count: 20, window: 10m}", Count(20, timedelta(minutes=10)), "20 events within 10m"),
        (
            "{distinct: {field: hostname_info.host, n: 5}, window: 36h}",
            Distinct("hostname_info.host", 5, timedelta(hours=36)),
            "5 different hostname_info.host within 36h",
        ),
    ],
)
def test_what_a_finding_needs(written, needs, words):
    hunt, problems = read(("show:", f"at_least: {written}\nshow:"))
    assert problems == [] and hunt is not None and hunt.needs == needs
    assert needs_words(hunt.needs) == words


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h", 3600), ("7d", 604800), ("0s", None), ("1w", None), ("1.5h", None), ("", None)],
)
def test_durations(text, seconds):
    time = None if seconds is None else timedelta(seconds=seconds)
    assert duration(text) == time
    assert duration_or_zero(text) == (timedelta() if text == "0s" else time)


@pytest.mark.parametrize("text", ["0s", "1s", "90s", "1m", "59m", "25h", "1d", "400d"])
def test_a_time_is_written_as_it_was_read(text):
    time = duration_or_zero(text)
    assert time is not None and span(time) == text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("severity: low", "severity: mild", "severity is 'mild'; allowed: informational, low, medium, high, critical"),
        ("status: test\n", "", "the file lacks the key status"),
        ("show: [", "shows: [", "unknown key shows in the file; did you mean show?"),
        ("name: title-word", "name: other", "name is 'other', but the file is title-word.yml"),
        ("id: ", "id: X", "(a UUID in lower case that never changes"),
        ("group_by: [hunt.client.ip]", "group_by: []", "group_by needs at least 1 item"),
        ("hunt.resolver.verdict: public", "hunt.resolver.verdict: {is: public}", "unknown key is in match.all[2]"),
        ("hunt.resolver.verdict: public", "hunt.resolver.verdict: {in_list: x}", "names the list 'x'"),
        ("hunt.resolver.verdict: public", "hunt.resolver.verdict: [public]", "not ['public']"),
        ("$hostname_info.host", "$hunt.dns.rcode", "names $hunt.dns.rcode, which a finding does not have; it has:"),
        ("window: 7d", "window: 7w", "guide[0].look.window is '7w', which has another form than allowed"),
        ("      count_by: [hunt.client.ip]\n", "", "guide[0].look needs at least one of the keys count_by, show"),
        ("hits: [{hunt.client.ip: 10.10.10.17}]", "hits: [{hunt.client.port: 1}]", "no field that this hunt groups by"),
        ("    hits: []\n", "    hits: []\n    resolvers: {approve: []}\n", "unknown key approve"),
        ("    hits: []\n", "    hits: []\n    resolvers: {approved: [{name: a, address: x}]}\n", "approved[0].address"),
        ("name: a near miss, another domain", "name: one name", "is the name of a case above"),
        ('"event_type": "dns"', '"event_kind": "dns"', "cases[0].events[0] lacks the key event_type"),
        ("show:", "at_least: {count: 2}\nshow:", "at_least needs a window, such as 1h"),
        ("show:", "at_least: {count: 2, distinct: {field: a, n: 2}}\nshow:", "at_least needs one of the keys"),
        ("show:", "at_least: {sum: {field: a, n: 2}}\nshow:", "at_least needs a window, such as 1h"),
        ("show:", "at_least: {sum: {field: a}, window: 1h}\nshow:", "at_least.sum lacks the key n"),
        (
            "show:",
            "at_least: {ratio: {of: {all: [a: {regex: x}]}, n: 1, events: 2}, window: 1h}\nshow:",
            "has regex in",
        ),
        ("show:", "at_least: {count: 2, window: 1h}\nfirst_seen: {value: [a]}\nshow:", "stands beside at_least"),
        ("show:", "beacon: {count: 24, window: 1d}\nshow:", "beacon lacks the key jitter"),
        ("show:", "first_seen: {value: [a]}\nschedule: hourly\nshow:", "neither a time such as 5m nor a cron line"),
        ("show:", "schedule: 5m\nshow:", "is of no use: every pass asks"),
        ("show:", "outcome: {tag: harmless}\nshow:", "outcome.tag"),
        ("show:", "outcome: {declare: {threat: x, phase: delivery}}\nshow:", "outcome.declare lacks the key asset"),
    ],
)
def test_what_is_wrong_is_said_at_its_line(old, new, said):
    hunt, problems = read((old, new))
    assert hunt is None
    assert any(said in problem for problem in problems), problems
    place, line, _ = problems[0].split(":", 2)
    assert place == "queries/policy/title-word.yml" and int(line) >= 1


def test_a_problem_has_the_line_of_its_value():
    _, problems = read(("hunt.resolver.verdict: public", "hunt.resolver.verdict: {in_list: x}"))
    assert problems[0].startswith(f"queries/policy/title-word.yml:{line_of('hunt.resolver.verdict')}: ")


def test_problems_of_structure_and_of_meaning_come_together():
    edits = [
        ("severity: low", "severity: mild"),
        ("verdict: public", "verdict: {in_list: x}"),
        ("window: 7d", "window: 1"),
    ]
    _, problems = read(*edits)
    assert len(problems) == 3


@pytest.mark.parametrize("text", ["", "[]", "x", "match: x", "cases: 1", "guide: [1]", "match: {all: [1]}", "data: 1"])
def test_a_file_of_any_other_form_is_told_what_it_lacks(text):
    hunt, problems = read_hunt(parse_document(text, "x.yml"), "policy", {})
    assert hunt is None and problems
