"""Outcomes on real engines: what a hunt found is tagged and declared by itself, whatever cuts, fails or contradicts."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from made_events import CutWire, at_least, event, hunt, make_state, put_events, settings_in

from connector.cli import run as command_line
from connector.errors import Unreachable
from connector.hunts.catalogue.hunt import Hunt, Outcome
from connector.hunts.catalogue.needs import FirstSeen
from connector.hunts.conditions.condition import Equals
from connector.hunts.passes.passes import Order, run_pass
from connector.respond.declarations.declare import stored_declarations
from connector.respond.deliveries.outbox import deliveries
from connector.respond.outcomes import HuntOutcome, Passes, pass_and_outcomes
from connector.respond.tags.rules import Tag, rule_of, stored_rules
from connector.respond.tags.tagging import tag, untag
from connector.settings.model import Receiver, Settings
from connector.siem.client import Siem
from tests.conftest import Place

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BOTH = Outcome("relevant", "Tunnel", "command_and_control", "hunt.client.ip")
TAGS = replace(BOTH, threat=None, phase="", asset="")
DECLARES = replace(BOTH, tag=None)
ALL = hunt("all-queries", outcome=BOTH)
BURST = hunt("burst", needs=at_least(3), outcome=replace(BOTH, threat="Burst", tag="informational"))
EVENTS = [event(n, 10 + n, f"192.0.2.{n % 3}") for n in range(9)]


def order(end: int, *hunts: Hunt) -> tuple[Order, Callable[[], datetime], Callable[..., None]]:
    """Return what a pass over the events that came until `end` milliseconds takes."""
    return Order(hunts or (ALL, BURST), timedelta()), lambda: EPOCH + timedelta(milliseconds=end), lambda *_: None


def passing(siem: Siem, settings: Settings, end: int, *hunts: Hunt) -> Passes:
    """Return a pass over the events that came until `end` milliseconds, with what outcomes did."""
    return pass_and_outcomes(siem, settings, *order(end, *hunts))


def only(done: Passes) -> HuntOutcome:
    """Return the one outcome that was due."""
    (outcome,) = done.outcomes
    return outcome


def tagged(siem: Siem, settings: Settings) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return tag and rules, without their digest, of each event that has one, by the event's time."""
    siem.call("POST", f"/{settings.events}/_refresh")
    found = (hit["_source"] for hit in siem.scan(settings.events, {"query": {"match_all": {}}}))
    return {
        one["@timestamp"]: (one["hunt"]["tag"], tuple(sorted(rule.split(".")[0] for rule in one["hunt"]["tag_rules"])))
        for one in found
        if "tag" in one["hunt"]
    }


def ended(siem: Siem, settings: Settings) -> Any:
    """Return all that outcomes write, without moments and how often they tried."""
    declared = [
        (id, one["threat"], one["asset"]["value"], one["count"], one["by"], one["pending"])
        for id, one in stored_declarations(siem, settings)
    ]
    rules = [(rule.id, rule.by, rule.status) for rule in stored_rules(siem, settings)]
    newest = {(one.declaration, one.receiver, one.event.split(".")[0]) for one in deliveries(siem, settings)}
    noted = siem.get(settings.state("state"), "outcomes")
    asked = noted and {id: (mark["findings"], mark["events"]) for id, mark in noted.source["value"].items()}
    return sorted(declared), sorted(rules), sorted(newest), asked, tagged(siem, settings)


def with_receiver(settings: Settings) -> Settings:
    """Return the settings with somebody to tell."""
    return replace(settings, receivers=(Receiver("soc", "http://127.0.0.1:9/"),))


def by_person(place: Place, settings: Settings, one: Hunt, wanted: Tag | None) -> None:
    """Tag what a hunt matches as a person does, or untag it."""
    now = datetime.now(UTC)
    if wanted is None:
        untag(place.siem, settings, one.name, by="ana", now=now)
    else:
        tag(place.siem, settings, one, rule_of(one, wanted, "ana", now, ""))


def test_what_passes_find_is_tagged_and_declared_and_more_of_it_too(each_place: Place) -> None:
    siem, settings = each_place.siem, with_receiver(settings_in(each_place))
    put_events(each_place, EVENTS[:6])
    quiet = hunt("quiet", Equals("hunt.dns.message", ("answer",)), outcome=BOTH)
    plain = hunt("plain")
    first = passing(siem, settings, 100, ALL, BURST, quiet, plain)
    assert not first.failed
    assert [(o.name, o.tagged, o.declared, o.updated) for o in first.outcomes] == [("all-queries", 6, 3, 0)]
    assert set(tagged(siem, settings).values()) == {("relevant", ("all-queries",))}
    assert passing(siem, settings, 200, ALL, BURST, quiet, plain).outcomes == ()
    put_events(each_place, [event(n, 210, f"192.0.2.{n % 3}") for n in (6, 9)])
    second = passing(siem, settings, 300, ALL, BURST, quiet, plain)
    assert [(o.name, o.tagged, o.declared, o.updated) for o in second.outcomes] == [
        ("all-queries", 2, 0, 1),
        ("burst", 4, 1, 0),
    ]
    assert [rules for _, rules in tagged(siem, settings).values()].count(("all-queries", "burst")) == 4
    assert {by for *_, by, pending in ended(siem, settings)[0]} == {"outcome"}
    assert len(deliveries(siem, settings)) == 5 and len(stored_declarations(siem, settings)) == 4


@pytest.mark.parametrize("answered", [True, False])
def test_cut_off_after_any_call_and_done_again_the_end_is_the_same(place: Place, answered: bool) -> None:
    siem, settings = place.siem, with_receiver(settings_in(place))
    put_events(place, EVENTS)
    cuts, calls = 0, 1
    while True:
        try:
            done = passing(Siem(CutWire(siem._wire, calls, answered), siem.product), settings, 100)
            break
        except Unreachable:
            cuts, calls = cuts + 1, calls + 1
    assert cuts > 40 and not done.failed
    assert passing(siem, settings, 100).outcomes == ()
    cut = ended(siem, settings)
    by_person(place, settings, ALL, None)
    by_person(place, settings, BURST, None)
    assert tagged(siem, settings) == {}
    whole = replace(settings, prefix=f"{settings.prefix}whole-")
    make_state(siem, whole)
    assert not passing(siem, whole, 100).failed
    assert cut == ended(siem, whole)


def test_a_pass_that_ended_before_its_outcomes_is_made_up_for_though_nothing_is_new(place: Place) -> None:
    siem, settings = place.siem, settings_in(place)
    put_events(place, EVENTS)
    run_pass(siem, settings, *order(100))
    assert tagged(siem, settings) == {}
    done = passing(siem, settings, 100)
    assert done.passes[0].hunts == () and [o.declared for o in done.outcomes] == [3, 3]
    assert len(tagged(siem, settings)) == 9


def test_one_that_fails_is_told_stops_no_other_and_is_tried_again(each_place: Place) -> None:
    siem, settings = each_place.siem, settings_in(each_place)
    put_events(each_place, EVENTS)
    index = f"/{settings.sources[0].pattern[:-1]}1"
    hunts = (hunt("tags", outcome=TAGS), hunt("declares", outcome=DECLARES), ALL)
    siem.call("PUT", f"{index}/_settings", {"index.blocks.write": True})
    done = passing(siem, settings, 100, *hunts)
    failed, declares, both = done.outcomes
    assert done.failed and failed.error and "could not be changed" in failed.error
    assert settings.sources[0].pattern[:-1] in failed.error
    assert declares.error is None and declares.declared == 3
    assert both.error and both.tagged == 0 and both.updated == 3
    again = passing(siem, settings, 200, *hunts)
    assert [o.name for o in again.outcomes] == ["tags", "all-queries"] and again.failed
    siem.call("PUT", f"{index}/_settings", {"index.blocks.write": None})
    last = passing(siem, settings, 300, *hunts)
    assert not last.failed and [(o.name, o.tagged) for o in last.outcomes] == [("tags", 9), ("all-queries", 9)]
    assert passing(siem, settings, 400, *hunts).outcomes == ()


def test_an_outcome_that_can_declare_nothing_says_so_each_time_until_it_is_corrected(place: Place) -> None:
    siem, settings = place.siem, settings_in(place)
    put_events(place, EVENTS)
    wrong = hunt("asked", outcome=replace(BOTH, asset="hunt.server.ip"))
    for end in (100, 200):
        outcome = only(passing(siem, settings, end, wrong))
        assert outcome.error and "none of the 9 events of asked has hunt.server.ip" in outcome.error
    assert len(tagged(siem, settings)) == 9
    right = only(passing(siem, settings, 300, replace(wrong, outcome=BOTH)))
    assert right.error is None and right.declared == 3


def test_findings_whose_events_are_gone_are_no_failure(place: Place) -> None:
    siem, settings = place.siem, settings_in(place)
    put_events(place, EVENTS)
    run_pass(siem, settings, *order(100))
    siem.call("POST", f"/{settings.events}/_delete_by_query", {"query": {"match_all": {}}}, refresh=True)
    done = passing(siem, settings, 200)
    assert not done.failed and [(o.tagged, o.declared) for o in done.outcomes] == [(0, 0), (0, 0)]
    assert passing(siem, settings, 300).outcomes == ()


def test_a_person_who_untags_has_the_last_word(each_place: Place) -> None:
    siem, settings = each_place.siem, settings_in(each_place)
    one = hunt("asked", outcome=TAGS)
    put_events(each_place, EVENTS[:3])
    assert only(passing(siem, settings, 20, one)).tagged == 3
    by_person(each_place, settings, one, None)
    put_events(each_place, [event(20, 30)])
    outcome = only(passing(siem, settings, 40, one))
    assert outcome.tagged == 0 and outcome.error is None
    assert outcome.left.startswith("ana untagged it at ") and "hunts tag asked relevant" in outcome.left
    edited = replace(one, match=Equals("hunt.dns.message", ("query", "answer")))
    assert only(passing(siem, settings, 50, edited)).left.startswith("ana untagged it at ")
    assert tagged(siem, settings) == {}
    by_person(each_place, settings, one, "relevant")
    put_events(each_place, [event(30, 60)])
    assert only(passing(siem, settings, 70, one)).tagged == 1
    assert [rule.by for rule in stored_rules(siem, settings) if rule.status == "active"] == ["ana"]
    assert len(tagged(siem, settings)) == 5


def test_a_person_who_tags_otherwise_has_the_last_word(place: Place) -> None:
    siem, settings = place.siem, settings_in(place)
    one = hunt("asked", outcome=BOTH)
    put_events(place, EVENTS[:3])
    passing(siem, settings, 20, one)
    by_person(place, settings, one, "informational")
    put_events(place, [event(20, 30)])
    outcome = only(passing(siem, settings, 40, one))
    assert outcome.left.startswith("ana tagged it informational by the rule asked.")
    assert (outcome.tagged, outcome.updated) == (0, 1)
    assert {given for given, _ in tagged(siem, settings).values()} == {"informational"}


def test_an_outcome_that_is_given_later_or_edited_holds_for_what_is_found_already(place: Place) -> None:
    siem, settings = place.siem, settings_in(place)
    put_events(place, EVENTS)
    passing(siem, settings, 100, hunt("asked"))
    assert only(passing(siem, settings, 200, hunt("asked", outcome=TAGS))).tagged == 9
    milder = hunt("asked", outcome=replace(TAGS, tag="informational"))
    assert only(passing(siem, settings, 300, milder)).tagged == 9
    assert {given for given, _ in tagged(siem, settings).values()} == {"informational"}
    assert sorted(rule.status for rule in stored_rules(siem, settings)) == ["active", "replaced"]


def test_what_was_never_seen_before_is_tagged_as_its_findings_have_it(place: Place) -> None:
    siem, settings = place.siem, settings_in(place)
    day = 24 * 3600
    needs = FirstSeen(("hostname_info.domain",), timedelta(hours=1), timedelta(days=90), timedelta(days=1))
    one = hunt("new-domain", needs=needs, outcome=TAGS)
    put_events(place, [event(0, 10), event(2 * day, 11), event(2 * day + 5, 12, domain="new.example")])
    assert only(passing(siem, settings, 20, one)).tagged == 1
    put_events(place, [event(2 * day + 9, 30, domain="new.example"), event(2 * day + 9, 31)])
    assert only(passing(siem, settings, 40, one)).tagged == 1
    assert len(tagged(siem, settings)) == 2


def test_the_command_shows_outcomes_and_leaves_with_1_if_one_failed(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_in(place)
    put_events(place, [event(1)])
    written = (Path(__file__).parents[2] / "queries" / "policy" / "public-dns-queries.yml").read_text(encoding="utf-8")
    before, after = written.split("match:", 1)
    own = before + "match:\n  all: [{hunt.dns.message: query}]\n" + after[after.index("group_by:") :]
    own += "outcome: {tag: relevant, declare: {threat: Own, phase: delivery, asset: ASSET}}\n"
    queries = tmp_path / "queries" / "policy"
    queries.mkdir(parents=True)
    file = tmp_path / "hunts.yml"
    file.write_text(
        f"siem: {{urls: ['{place.url}']}}\nprefix: {settings.prefix}\nqueries: queries\n"
        f"sources: [{{pattern: '{settings.events}'}}]\n"
    )

    def passed(asset: str) -> tuple[int, str]:
        """Return exit code and output of a pass with an outcome that declares by that field."""
        (queries / "public-dns-queries.yml").write_text(own.replace("ASSET", asset), encoding="utf-8")
        code = command_line(["--settings", str(file), "pass", "--lag", "0s", "--json"])
        return code, capsys.readouterr().out

    code, said = passed("hunt.server.ip")
    assert code == 1 and "none of the 1 events of public-dns-queries has hunt.server.ip" in said
    code, said = passed("hunt.client.ip")
    assert code == 0 and '"declared": 1' in said and '"tagged": 0' in said
    code, said = passed("hunt.client.ip")
    assert code == 0 and '"outcomes": []' in said
