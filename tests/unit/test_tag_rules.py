"""What tag rules are without an engine: for which events, how they stand in the pipeline, how they are typed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connector.cli import run
from connector.errors import ContentError, Refused
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.needs import Count
from connector.hunts.conditions.condition import All, Any, Equals, None_, Regex
from connector.respond.tags.at_write import SEVERAL_EVENTS, TOO_MANY, script_source, tags_pipeline
from connector.respond.tags.conditions import Asking, asked_of, typed
from connector.respond.tags.extent import PAST, Extent, milliseconds
from connector.respond.tags.rules import Tag, TagRule, rule_of
from connector.respond.tags.suppressing import without
from connector.settings.model import Settings, Source

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
FUTURE = Extent(future=True)
HUNT = load_catalogue(Settings()).named("public-dns-queries")
LATEST_SOURCE = 64_000  # newer Elasticsearch refuses a longer script


def rule(text: str, tag: Tag = "relevant", extent: Extent = FUTURE, name: str | None = None) -> TagRule:
    """Return the rule of a condition."""
    return rule_of(typed(text, name, {}, ()), tag, "ana", NOW, "", extent)


# ---- which events


def test_without_a_time_a_rule_is_for_all_past_events_and_no_future_event_is_too_old() -> None:
    assert Extent.wanted(NOW, True, None, True) == Extent(True, None, True, None)
    assert Extent.wanted(NOW, True, NOW - DAY, True) == Extent(True, NOW - DAY, True, NOW)
    assert Extent.wanted(NOW, False, None, True) == Extent(False, None, True, NOW)
    assert Extent.wanted(NOW, True, NOW - DAY, False) == Extent(True, NOW - DAY)


def test_what_is_said_again_adds_and_the_last_date_counts() -> None:
    week, future = Extent(since=NOW - 7 * DAY), Extent(False, None, True, NOW, NOW + DAY)
    assert week.joined(future) == Extent(True, NOW - 7 * DAY, True, NOW, NOW + DAY)
    assert future.joined(week) == Extent(True, NOW - 7 * DAY, True, NOW)
    assert week.joined(Extent(since=NOW - DAY)) == week
    assert week.joined(PAST) == PAST
    assert future.joined(PAST) == FUTURE
    assert replace(future, start=NOW + DAY).joined(future) == future


@pytest.mark.parametrize("extent", [PAST, FUTURE, Extent(False, None, True, NOW, NOW + DAY), Extent(since=NOW)])
def test_an_extent_is_stored_and_read(extent: Extent) -> None:
    assert Extent.read(extent.document) == extent


def test_a_rule_that_was_stored_before_there_were_extents_is_for_past_events() -> None:
    assert Extent.read({}) == PAST


def test_filters_are_for_what_is_not_every_event() -> None:
    source = Source("logs-*", "eve", "@timestamp")
    assert PAST.filters([source]) == FUTURE.filters([source]) == []
    (both,) = Extent(True, NOW - DAY, True, NOW).filters([source])
    asked = {field: bounds["gte"] for each in both["bool"]["should"] for field, bounds in each["range"].items()}
    assert asked == {"@timestamp": milliseconds(NOW - DAY), "hunt.ingested": milliseconds(NOW)}
    (ends,) = Extent(expires=NOW).filters([source])
    assert ends["bool"]["must_not"][0]["range"]["hunt.ingested"]["gte"] == milliseconds(NOW)
    (only,) = Extent(False, None, True, NOW).filters([source])
    assert [*only["bool"]["should"][0]["range"]] == ["hunt.ingested"]


# ---- the pipeline


def test_rules_are_grouped_by_the_event_types_they_can_match() -> None:
    rules = [
        rule("{event_type: dns}"),
        rule("src_ip: 192.0.2.1"),
        rule("{event_type: {any_of: [tls, dns]}, src_ip: 192.0.2.2}"),
    ]
    made = tags_pipeline(rules, {"eve", "ecs"}, NOW)
    forms = made.body["processors"][0]["script"]["params"]["dialects"]
    assert forms.keys() == {"eve", "ecs"}
    for form in forms.values():
        at = {entry["id"]: position for position, entry in enumerate(form["rules"])}
        dns, any_type, tls = (at[one.id] for one in rules)
        assert {kind: set(asked) for kind, asked in form["types"].items()} == {
            "dns": {dns, any_type, tls},
            "tls": {any_type, tls},
        }
        assert form["others"] == [any_type] and sorted(form["all"]) == [0, 1, 2]


def test_the_same_rules_make_the_same_pipeline_and_others_another() -> None:
    some, other = [rule("{event_type: dns}"), rule("{event_type: tls}")], rule("{event_type: flow}")
    made = tags_pipeline(some, {"eve"}, NOW)
    assert made == tags_pipeline(some[::-1], {"eve"}, NOW + DAY)
    assert made.description != tags_pipeline([*some, other], {"eve"}, NOW).description
    assert made.description != tags_pipeline(some, {"ecs"}, NOW).description
    assert tags_pipeline([], {"eve"}, NOW).body["processors"] == []


def test_a_rule_that_is_not_for_future_events_or_at_its_end_is_left_out() -> None:
    ends = Extent(False, None, True, NOW, NOW + DAY)
    rules = [
        rule("{event_type: dns}", extent=PAST),
        rule("{event_type: tls}", "suppress"),
        replace(rule("{event_type: ftp}"), status="removed"),
        rule("{event_type: flow}", extent=ends),
    ]
    made = tags_pipeline(rules, {"eve"}, NOW)
    (entry,) = made.body["processors"][0]["script"]["params"]["dialects"]["eve"]["rules"]
    assert (entry["from"], entry["until"]) == (milliseconds(NOW), milliseconds(NOW + DAY))
    assert not tags_pipeline(rules, {"eve"}, NOW + DAY).rules and not made.unable


def test_what_cannot_stand_in_the_pipeline_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = rule_of(replace(HUNT, needs=Count(3, DAY)), "relevant", "ana", NOW, "", FUTURE)
    text = rule_of(Asking.called(counting.hunt, Regex("http.url", "a.*")), "relevant", "ana", NOW, "", FUTURE)
    made = tags_pipeline([counting, text, rule("{event_type: dns}")], {"eve"}, NOW)
    assert made.unable[counting.id] == SEVERAL_EVENTS and made.unable[text.id].startswith("regex can only be answered")
    assert len(made.rules) == 1
    monkeypatch.setattr("connector.respond.tags.at_write.MAX_PIPELINE", len(script_source()) + 500)
    wide = rule(f"http.url: {{contains: '{'x' * 600}'}}")
    full = tags_pipeline([wide, rule("{event_type: dns}")], {"eve"}, NOW)
    assert full.unable == {wide.id: TOO_MANY} and len(full.rules) == 1


def test_the_script_is_short_enough_for_every_engine() -> None:
    assert len(script_source().encode()) < LATEST_SOURCE


# ---- conditions


def test_fields_and_values_are_as_good_as_a_match() -> None:
    short = typed("{event_type: dns, src_ip: {in_network: 192.0.2.0/24}}", None, {}, ())
    long = typed('{"all": [{"event_type": "dns"}, {"src_ip": {"in_network": "192.0.2.0/24"}}]}', None, {}, ())
    assert short.condition == long.condition and short.name == long.name and short.name.startswith("where-")


@pytest.mark.parametrize(
    "text", ["", "[]", "dns", "{all: []}", "{src_ip: $x}", "{src_ip: {near: 1}}", "{a: {b: 1}", "7"]
)
def test_what_is_no_condition_is_told(text: str) -> None:
    with pytest.raises(ContentError, match="--where"):
        typed(text, None, {}, ())


@pytest.mark.parametrize("name", ["a.b", "", "UPPER", "a" * 81, HUNT.name])
def test_a_name_is_one_word_and_no_hunts(name: str) -> None:
    if not name:
        assert typed("{event_type: dns}", name, {}, [HUNT]).name.startswith("where-")
        return
    with pytest.raises(Refused):
        typed("{event_type: dns}", name, {}, [HUNT])


def test_a_rule_is_asked_by_its_hunt_or_where_that_asks_something_else_by_its_condition() -> None:
    mine = rule_of(HUNT, "relevant", "ana", NOW, "")
    assert asked_of(mine, [HUNT]) is HUNT
    edited = replace(HUNT, match=Equals("src_ip", ("192.0.2.1",)))
    for hunts in ([edited], []):
        found = asked_of(mine, hunts)
        assert found and rule_of(found, "relevant", "", NOW, "").rule == mine.rule
    counting = rule_of(replace(HUNT, needs=Count(3, DAY)), "relevant", "ana", NOW, "")
    assert asked_of(counting, [HUNT]) is None


def test_what_rules_suppress_is_left_out_of_each_hunt() -> None:
    rules = [rule("{event_type: dns}", "suppress"), rule("src_ip: 192.0.2.1", "suppress")]
    (quiet,) = without([HUNT], rules)
    assert quiet.match == All((HUNT.match, None_(tuple(one.condition for one in rules))))
    assert without([HUNT], []) == [HUNT]
    assert isinstance(rules[0].condition, All | Any | Equals)


# ---- the command line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["public-dns-queries"], "give a hunt and a tag"),
        (["public-dns-queries", "wonderful"], "the tags are relevant, informational, suppress"),
        (["relevant"], "give a hunt and a tag"),
        (["public-dns-queries", "relevant", "--where", "{a: 1}"], "no hunt beside --where"),
        (["public-dns-queries", "relevant", "--name", "x"], "--name is for a condition"),
        (["public-dns-queries", "suppress", "--past", "7d"], "leave --past and --future out"),
        (["public-dns-queries", "relevant", "--past", "soon"], "is no time"),
        (["public-dns-queries", "relevant", "--expires", "soon"], "is no date"),
        (["public-dns-queries", "relevant", "--past", "7d", "--expires", "2030-01-01"], "add --future"),
    ],
)
def test_wrong_usage_is_told(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "hunts.yml"
    file.write_text("siem: {url: 'http://127.0.0.1:9'}\n")
    assert run(["--settings", str(file), "tag", *words]) == 2
    assert said in capsys.readouterr().err
