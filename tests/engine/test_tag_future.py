"""Tags in both directions in real engines: on events that are there, that come, and that are on their way meanwhile."""

import json
import random
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from conftest import Place
from engine.respond_story import install_all, put_template, settings_of, stem_of
from engine.tag_day import (
    BOTH,
    OURS,
    Day,
    Events,
    expected,
    made_hunt,
    matched,
    rules_that_overlap,
    seen,
    traffic,
    write,
)
from made_events import CutWire

from connector.cli import run
from connector.enrich.assets import build_assets, empty_tags_pipeline
from connector.enrich.tables import build_tables
from connector.errors import Refused, Unreachable
from connector.hunts.asking.run import Span, run_hunts
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import Count
from connector.hunts.conditions.condition import All, Equals, Lucene
from connector.hunts.passes.passes import Order
from connector.respond.outcomes import pass_and_outcomes
from connector.respond.tags.conditions import typed
from connector.respond.tags.extent import Extent, milliseconds
from connector.respond.tags.keeping import Kept, due_tags
from connector.respond.tags.rules import OUTCOME, rule_of, store, stored_rules
from connector.respond.tags.tag_list import listed_rules
from connector.respond.tags.tagging import preview_tag, tag, untag
from connector.settings.model import Source
from connector.siem.client import Siem
from connector.siem.uninstall import uninstall

LAG = timedelta(seconds=60)
LATER = timedelta(minutes=5)
DNS = made_hunt("all-dns", All(()), "dns")
TXT = made_hunt("txt", Equals("dns.rrtype", ("TXT",)), "dns")


@pytest.fixture(scope="module")
def each_installed(each_module_place: Place) -> Day:
    """Return a place in each product in turn that is installed."""
    return installed(each_module_place)


@pytest.fixture(scope="module")
def opensearch_installed(module_place: Place) -> Day:
    """Return a place in OpenSearch that is installed."""
    return installed(module_place)


@pytest.fixture
def day(each_installed: Day) -> Day:
    """Return a place in each product in turn that has some events and no rules."""
    return begun(each_installed)


@pytest.fixture
def here(opensearch_installed: Day) -> Day:
    """Return a place in OpenSearch that has some events and no rules."""
    return begun(opensearch_installed)


def installed(place: Place) -> Day:
    """Return a place that has the pipelines, the fields and our own indices."""
    settings = settings_of(place)
    put_template(place)
    install_all(place, settings)
    return Day(place, settings)


def begun(day: Day) -> Day:
    """Return the place with a few events and nothing else, whatever a test before it has left."""
    every = {"expand_wildcards": "all", "conflicts": "proceed", "refresh": True}
    day.siem.call("POST", f"/{day.place.prefix}*/_refresh", expand_wildcards="all")
    day.siem.call("POST", f"/{day.place.prefix}*/_delete_by_query", {"query": {"match_all": {}}}, **every)
    day.siem.call("PUT", pipeline(day), empty_tags_pipeline())
    write(day.place, traffic(60, seed=1))
    return day


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def kept(day: Day, hunts: tuple[Hunt, ...] = (), after: timedelta = LATER) -> tuple[Kept, ...]:
    """Return what a pass does for the rules, some time from now."""
    return due_tags(day.siem, day.settings, hunts, now() + after, lag=LAG)


def pipeline(day: Day) -> str:
    """Return the path of the pipeline of the rules."""
    return f"/_ingest/pipeline/{day.settings.prefix}tags"


def plain(events: Events) -> Events:
    """Return events of which none may carry anything of ours."""
    assert not [key for key, event in events.items() if set(OURS) & event["hunt"].keys()]
    return events


def tagged(day: Day) -> dict[str, list[str]]:
    """Return the names of the rules that each event carries, by its id."""
    found = {key[1]: event["hunt"].get("tag_rules", []) for key, event in day.events().items()}
    return {id: sorted(rule.split(".")[0] for rule in rules) for id, rules in found.items() if rules}


def differing(found: Events, wanted: Events) -> list[Any]:
    """Return the events that are not as they must be: by id, what the two have of the fields that differ."""
    assert found.keys() == wanted.keys()
    pairs = ((key[1], flat(found[key]), flat(wanted[key])) for key in found if found[key] != wanted[key])
    return [(id, sorted(is_.items() ^ should.items())) for id, is_, should in pairs]


def flat(value: Any, name: str = "") -> dict[str, str]:
    """Return what an event has, as text by dotted name."""
    if not isinstance(value, dict):
        return {name: str(value)}
    inner = [flat(below, f"{name}.{key}") for key, below in value.items()]
    return {path: text for each in inner for path, text in each.items()}


def ids(day: Day, hunt: Hunt) -> set[str]:
    """Return the ids of the events that match by the predicate."""
    return {id for _, id in matched(hunt, day.events())}


# ---- both directions


def test_half_before_and_half_after_tags_equal_the_predicate_on_every_event(day: Day) -> None:
    size = 2000
    raw = [*traffic(60, seed=1), *traffic(size - 60, seed=2)]
    write(day.place, raw[60 : size // 2], first=60)
    rules = rules_that_overlap()
    for hunt, wanted in rules:
        done = day.give(hunt, wanted)
        assert (done.left, done.failures, done.by_pass) == (0, (), "")
    write(day.place, raw[size // 2 :], first=size // 2)
    both = seen(day.events())
    random.Random(3).shuffle(rules)
    for hunt, _ in rules[10:]:
        day.untag(hunt)
    more = traffic(200, seed=4)
    write(day.place, more, first=size)
    some = seen(day.events())
    for hunt, _ in rules[:10]:
        day.untag(hunt)
    write(day.place, more, first=size + 200)
    bare = plain(day.events())
    assert {key[1]: event.get("alert", {}).get("tag") for key, event in bare.items()} == {
        str(number): event.get("alert", {}).get("tag") for number, event in enumerate([*raw, *more, *more])
    }
    on = [(day.rule(hunt, wanted), matched(hunt, bare)) for hunt, wanted in rules]
    sizes = [len(keys) for _, keys in on]
    assert min(sizes) > 10 and sum(sizes) > 3 * len(set().union(*(keys for _, keys in on)))
    of_both = {key: bare[key] for key in both}
    assert not differing(both, expected(of_both, [(rule, keys & both.keys()) for rule, keys in on]))
    of_some = {key: bare[key] for key in some}
    assert not differing(some, expected(of_some, [(rule, keys & some.keys()) for rule, keys in on[:10]]))
    assert kept(day) == ()
    assert day.events() == bare


def test_installing_makes_an_empty_pipeline_keeps_its_rules_and_uninstalling_removes_it(place: Place) -> None:
    day = installed(place)
    write(place, traffic(20, seed=1))
    assert day.siem.call("GET", pipeline(day))[f"{day.settings.prefix}tags"]["processors"] == []
    day.give(DNS, "relevant")
    before = day.siem.call("GET", pipeline(day))
    install_all(day.place, day.settings)
    assert day.siem.call("GET", pipeline(day)) == before
    uninstall(day.siem, build_assets(day.settings, build_tables(day.settings)))
    assert not day.siem.exists(pipeline(day))


def test_events_are_stored_without_the_pipeline_and_it_and_they_are_made_up_for(day: Day) -> None:
    day.give(DNS, "relevant")
    assert kept(day) == ()
    day.siem.call("DELETE", pipeline(day))
    write(day.place, traffic(60, seed=5), first=100)
    assert not tagged(day).keys() & {str(n) for n in range(100, 160)}
    assert "error" not in day.events()[f"{stem_of(day.place)}dns-1", min(ids(day, DNS))]["hunt"]
    assert kept(day, after=timedelta()) == ()
    assert day.siem.exists(pipeline(day))
    (one,) = kept(day)
    assert (one.why, one.error, one.tagged) == ("settled", None, len([n for n in ids(day, DNS) if int(n) >= 100]))
    assert tagged(day).keys() == ids(day, DNS)
    assert kept(day) == ()


def test_events_that_the_old_pipeline_wrote_and_that_showed_late_are_settled_both_ways(day: Day) -> None:
    empty = day.siem.call("GET", pipeline(day))[f"{day.settings.prefix}tags"]
    day.give(DNS, "relevant")
    rules = day.siem.call("GET", pipeline(day))[f"{day.settings.prefix}tags"]
    day.siem.call("PUT", pipeline(day), empty)  # what an event that is on its way meanwhile has run
    write(day.place, traffic(30, seed=6), first=100)
    day.siem.call("PUT", pipeline(day), rules)
    assert tagged(day).keys() < ids(day, DNS)
    assert kept(day, after=timedelta(seconds=1)) == ()
    assert not listed_rules(day.siem, day.settings, now())[0].settled
    assert sum(one.tagged for one in kept(day)) == len([n for n in ids(day, DNS) if int(n) >= 100])
    assert tagged(day).keys() == ids(day, DNS)
    day.untag(DNS)
    day.siem.call("PUT", pipeline(day), rules)
    write(day.place, traffic(30, seed=7), first=200)
    day.siem.call("PUT", pipeline(day), empty)
    assert tagged(day)
    assert sum(one.untagged for one in kept(day)) == len([n for n in ids(day, DNS) if int(n) >= 200])
    plain(day.events())
    assert kept(day) == () and listed_rules(day.siem, day.settings, now())[0].settled


def test_a_rule_that_fails_keeps_no_event_out_and_no_other_rule_from_it(day: Day) -> None:
    day.give(DNS, "relevant")
    day.give(TXT, "informational")
    body = day.siem.call("GET", pipeline(day))[f"{day.settings.prefix}tags"]
    broken = body["processors"][0]["script"]["params"]["dialects"]["eve"]["rules"][0]
    broken["node"] = {"is": "text", "path": 7, "values": ["x"]}
    day.siem.call("PUT", pipeline(day), body)
    write(day.place, traffic(60, seed=8), first=100)
    new = {id: event for (_, id), event in day.events().items() if int(id) >= 100}
    assert len(new) == 60
    dns = {id: event for id, event in new.items() if event["event_type"] == "dns"}
    assert all(event["hunt"]["error"] == [f"not tagged: the rule {broken['id']} failed"] for event in dns.values())
    assert {id for id, rules in tagged(day).items() if "txt" in rules} == ids(day, TXT)
    broken["node"], broken["id"] = 5, 5
    body["processors"][0]["script"]["params"]["dialects"]["eve"]["types"] = 5
    day.siem.call("PUT", pipeline(day), body)
    write(day.place, traffic(10, seed=9), first=200)
    lost = {id: event for (_, id), event in day.events().items() if int(id) >= 200}
    assert len(lost) == 10 and all("not tagged: " in str(event["hunt"]["error"]) for event in lost.values())


def test_future_only_leaves_older_events_be_whatever_writes_them_again(here: Day) -> None:
    time.sleep(0.05)
    start = now()
    done = here.give(DNS, "relevant", Extent.wanted(start, past=False, since=None, future=True))
    assert (done.matching, done.tagged) == (0, 0)
    write(here.place, traffic(60, seed=5), first=100)
    here.siem.call("POST", f"/{here.pattern}/_update_by_query", {"query": {"match_all": {}}}, refresh=True)
    new = {id for id in ids(here, DNS) if int(id) >= 100}
    assert tagged(here).keys() == new
    kept(here)
    assert tagged(here).keys() == new


def test_past_only_and_a_window_are_what_they_say_and_the_other_direction_adds(here: Day) -> None:
    half = datetime(2026, 11, 2, 8, 0, 30, tzinfo=UTC)
    here.give(DNS, "relevant", Extent(since=half))
    write(here.place, traffic(60, seed=5), first=100)
    late = {id for id in ids(here, DNS) if 30 <= int(id) < 100}
    assert tagged(here).keys() == late
    here.give(DNS, "relevant", Extent.wanted(now(), past=True, since=half, future=True))
    write(here.place, traffic(60, seed=6), first=200)
    recent = {id for id in ids(here, DNS) if int(id) % 100 >= 30 or int(id) >= 200}
    assert tagged(here).keys() == recent
    (rule,) = stored_rules(here.siem, here.settings)
    assert (rule.extent.past, rule.extent.since, rule.extent.future) == (True, half, True)
    assert {entry["what"] for entry in rule.history} == {"tagged"}


def test_a_rule_ends_on_its_date_though_nobody_does_anything(day: Day) -> None:
    ends = now() + timedelta(days=1)
    extent = Extent(future=True, expires=ends)
    day.give(DNS, "relevant", extent)
    before, after = (milliseconds(ends) + shift for shift in (-1, 0))
    old = [event | {"hunt": {"ingested": before}} for event in traffic(60, seed=5)]  # the first time it came stays
    new = [event | {"hunt": {"ingested": after}} for event in traffic(60, seed=6)]
    write(day.place, old, first=100)
    write(day.place, new, first=200)
    wanted = {id for id in ids(day, DNS) if int(id) < 200}
    assert tagged(day).keys() == wanted
    (listed,) = listed_rules(day.siem, day.settings, ends)
    assert (listed.status, listed.tagged, listed.future) == ("ended", len(wanted), "")
    day.give(DNS, "relevant", extent)
    kept(day, after=timedelta(hours=1))
    kept(day, after=timedelta(days=2))
    assert tagged(day).keys() == wanted
    with pytest.raises(Refused, match="choose a later date"):
        day.give(DNS, "relevant", Extent(future=True, expires=now()))
    day.untag(DNS)
    plain(day.events())


def test_events_of_both_dialects_are_asked_in_their_own(day: Day) -> None:
    ecs = Source(f"{day.place.prefix}logs-*", "ecs", "@timestamp")
    both = Day(day.place, replace(day.settings, sources=(*day.settings.sources, ecs)))
    install_all(both.place, both.settings)
    udp = made_hunt("udp", Equals("proto", ("UDP",)), "dns", "flow")
    for number in range(2):
        suricata = {"eve": {"event_type": "dns"}}
        if number:
            both.give(udp, "relevant")
            write(both.place, traffic(40, seed=5), first=100)
        for transport in ("udp", "tcp", "UDP"):
            event = {"@timestamp": "2026-11-02T10:00:00Z", "suricata": suricata, "network": {"transport": transport}}
            path = f"/{both.place.prefix}logs-1/_doc/{transport}-{number}"
            both.siem.call("PUT", path, event, refresh=True)
    found = tagged(both)
    mine = {id for id in found if "-" in id}
    assert mine == {"udp-0", "udp-1"}
    eve = day.events()
    wanted = {key[1] for key in matched(udp, eve)}
    assert found.keys() - mine == wanted and wanted
    both.untag(udp)
    assert tagged(both) == {}


def test_two_at_the_same_time_leave_no_rule_out_of_the_pipeline(here: Day) -> None:
    hunts = [made_hunt(f"own-{n}", Equals("dns.rrtype", ("TXT",)), "dns") for n in range(8)]

    def give(some: list[Hunt]) -> None:
        with Siem.connect(replace(here.settings.siem, urls=(here.place.url,))) as siem:
            for hunt in some:
                tag(siem, here.settings, hunt, here.rule(hunt, "relevant", BOTH))

    threads = [threading.Thread(target=give, args=(hunts[start::2],)) for start in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    body = here.siem.call("GET", pipeline(here))[f"{here.settings.prefix}tags"]
    (form,) = body["processors"][0]["script"]["params"]["dialects"].values()
    assert len(form["rules"]) == 8
    write(here.place, traffic(30, seed=5), first=100)
    assert {len(rules) for rules in tagged(here).values()} == {8}


# ---- what only a search can tell, and what is edited


def test_what_only_a_search_can_tell_is_tagged_by_the_next_pass_and_said(day: Day) -> None:
    words = made_hunt("lucene", Lucene("dns.rrtype:TXT"), "dns")
    assert preview_tag(day.siem, day.settings, words, day.rule(words, "relevant", BOTH)).by_pass.startswith("lucene")
    done = day.give(words, "relevant")
    assert done.by_pass == "lucene can only be answered by a search, not while an event is written"
    assert tagged(day).keys() == ids(day, TXT)
    for first in (100, 200):
        write(day.place, traffic(60, seed=first), first=first)
        assert tagged(day).keys() < ids(day, TXT)
        assert sum(one.tagged for one in kept(day, after=timedelta(seconds=first))) > 0
        assert tagged(day).keys() == ids(day, TXT)
    (listed,) = listed_rules(day.siem, day.settings, now())
    assert listed.future == "by passes" and "lucene" in listed.by_pass
    assert listed.tagged == len(ids(day, TXT))


def test_a_hunt_that_counts_is_tagged_as_its_findings_grow(here: Day) -> None:
    many = replace(made_hunt("many", Equals("dns.rrtype", ("TXT",)), "dns"), needs=Count(3, timedelta(hours=1)))
    many = replace(many, group_by=("src_ip",))
    done = here.give(many, "relevant")
    assert done.by_pass == "it needs more than one event"
    assert tagged(here).keys() == ids(here, many)

    def passed() -> Any:
        return pass_and_outcomes(here.siem, here.settings, Order((many,), timedelta()), now, lambda *_: None)

    passed()
    write(here.place, traffic(60, seed=5), first=100)
    more = ids(here, many)
    assert tagged(here).keys() < more
    (one,) = passed().tags
    assert one.error is None and one.tagged > 0
    assert tagged(here).keys() == more
    assert passed().tags == ()


def test_a_hunt_that_is_edited_is_tagged_anew_by_the_next_pass(here: Day) -> None:
    here.give(TXT, "relevant")
    other = replace(TXT, match=Equals("dns.rrtype", ("A",)))
    (one,) = kept(here, (other,))
    assert one.why == "edited" and one.tagged == len(ids(here, other)) and one.untagged == len(ids(here, TXT))
    write(here.place, traffic(60, seed=5), first=100)
    assert tagged(here).keys() == ids(here, other)
    states = {rule.status: rule for rule in stored_rules(here.siem, here.settings)}
    assert states.keys() == {"active", "replaced"}
    assert (states["active"].by, states["active"].comment) == ("ana", "because")
    assert kept(here, (other,)) == ()


def test_the_word_of_a_person_who_untags_is_not_written_over_by_an_outcome(here: Day) -> None:
    rule = rule_of(TXT, "relevant", OUTCOME, now(), "")
    assert store(here.siem, here.settings, rule)
    untag(here.siem, here.settings, "txt", by="ana", now=now())
    assert store(here.siem, here.settings, rule) is None
    with pytest.raises(Refused, match="untagged a moment ago"):
        tag(here.siem, here.settings, TXT, rule)
    plain(here.events())
    assert store(here.siem, here.settings, replace(rule, by="bo")) is not None


def test_a_condition_that_was_typed_is_tagged_listed_and_untagged_like_a_hunt(here: Day) -> None:
    asked = typed("{event_type: dns, dns.rrtype: TXT}", "txt-queries", {}, ())
    here.give(asked, "informational")
    write(here.place, traffic(60, seed=5), first=100)
    assert tagged(here).keys() == ids(here, TXT)
    wider = typed("all: [{event_type: dns}]", "txt-queries", {}, ())
    assert len(here.give(wider, "informational").replaced) == 1
    assert tagged(here).keys() == ids(here, DNS)
    active = [one for one in listed_rules(here.siem, here.settings, now()) if one.status == "active"]
    assert [(one.hunt.name, one.tagged) for one in active] == [("txt-queries", len(ids(here, DNS)))]
    done = untag(here.siem, here.settings, active[0].rule, by="bo", now=now())
    assert done.untagged == len(ids(here, DNS))
    plain(here.events())


# ---- suppress


def test_what_is_suppressed_stays_and_findings_do_not_get_it(here: Day) -> None:
    lab = typed("src_ip: {in_network: 10.1.0.0/16}", "lab", {}, ())
    shown = replace(TXT, group_by=("src_ip",))

    def found() -> set[str]:
        """Return the clients of which a pass has findings."""
        done = pass_and_outcomes(here.siem, here.settings, Order((shown,), timedelta()), now, lambda *_: None)
        assert not done.failed
        index = here.settings.state("findings")
        here.siem.call("POST", f"/{index}/_refresh")
        return {hit["_source"]["group"]["src_ip"] for hit in here.siem.scan(index, {"query": {"match_all": {}}})}

    done = here.give(lab, "suppress")
    assert done.matching > 0 and done.tagged == 0
    plain(here.events())
    clients = {event["src_ip"] for key, event in here.events().items() if key in matched(TXT, here.events())}
    inside = {client for client in clients if client.startswith("10.1.")}
    assert inside and found() == clients - inside
    assert run_hunts(here.siem, here.settings, [shown], Span(None, None), progress=lambda *_: None).hunts[
        0
    ].matching == len(ids(here, TXT))
    (listed,) = listed_rules(here.siem, here.settings, now())
    assert (listed.tag, listed.future, listed.tagged) == ("suppress", "left out of findings", 0)
    untag(here.siem, here.settings, "lab", by="ana", now=now())
    time.sleep(0.01)
    write(here.place, traffic(60, seed=5), first=100)
    assert found() == clients


def test_suppress_takes_the_hunts_tag_off_and_ends_on_its_date(here: Day) -> None:
    here.give(TXT, "relevant")
    done = here.give(TXT, "suppress", Extent(future=True, expires=now() + LATER))
    assert len(done.replaced) == 1 and done.untagged == len(ids(here, TXT))
    plain(here.events())
    write(here.place, traffic(60, seed=5), first=100)
    plain(here.events())
    (listed,) = [one for one in listed_rules(here.siem, here.settings, now() + 2 * LATER) if one.tag == "suppress"]
    assert listed.status == "ended"
    many = replace(TXT, needs=Count(3, timedelta(hours=1)))
    with pytest.raises(Refused, match="name those to leave out with --where"):
        here.give(many, "suppress")


def test_a_condition_on_a_field_that_nothing_has_silences_nobody(here: Day) -> None:
    wide = typed("any: [{src_ip: 203.0.113.77}, {nowhere.at_all: x}]", None, {}, ())
    here.give(wide, "suppress")
    done = pass_and_outcomes(here.siem, here.settings, Order((TXT,), LAG), lambda: now() + LATER, lambda *_: None)
    assert not done.failed and done.passes[0].hunts[0].hits == len(ids(here, TXT))


def test_a_pattern_of_many_rules_is_told_where_the_pipeline_is_full(here: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    from connector.respond.tags import at_write

    monkeypatch.setattr(at_write, "MAX_PIPELINE", len(at_write.script_source()) + 600)
    wide = made_hunt("wide", Equals("http.url", tuple(f"/{n}.pdf" for n in range(200))), "http")
    here.give(TXT, "relevant")
    assert here.give(wide, "relevant").by_pass == "the pipeline is full"
    write(here.place, traffic(60, seed=5), first=100)
    assert tagged(here).keys() == ids(here, TXT)


# ---- cut off, and the commands


def test_cut_off_after_any_call_a_pass_makes_up_for_it(here: Day) -> None:
    settings, cuts, numbers = here.settings, 0, count(1000, 10)

    def cut() -> Siem:
        """Return the engine over a wire that is cut after so many calls."""
        return Siem(CutWire(here.siem._wire, cuts, answered=bool(cuts % 2)), here.siem.product)

    def as_the_rules_say() -> bool:
        """Return whether a rule is active, once passes have come to rest and events are as it says, new ones too."""
        active = [rule for rule in stored_rules(here.siem, settings) if rule.active]
        while any(rule.unsettled for rule in stored_rules(here.siem, settings)):  # a task may still run
            assert not [one for one in kept(here) if one.error]
        write(here.place, traffic(6, seed=cuts), first=next(numbers))
        assert tagged(here).keys() == (ids(here, TXT) if active else set())
        return bool(active)

    while True:
        try:
            tag(cut(), settings, TXT, here.rule(TXT, "relevant", BOTH))
            break
        except Unreachable:
            cuts += 1
        as_the_rules_say()
        with suppress(Unreachable, Refused):
            untag(cut(), settings, "txt", by="bo", now=now())
        if as_the_rules_say():
            untag(here.siem, settings, "txt", by="bo", now=now())
    assert cuts > 12
    assert as_the_rules_say()


def test_the_commands_tag_list_and_untag(here: Day, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "hunts.yml"
    file.write_text(
        f"siem: {{url: '{here.place.url}'}}\nprefix: {here.settings.prefix}\nsources: [{{pattern: '{here.pattern}'}}]\n"
    )

    def said(*words: str) -> str:
        """Return what a command prints."""
        assert run(["--settings", str(file), *words]) == 0, capsys.readouterr().err
        return " ".join(capsys.readouterr().out.split())

    where = ("--where", "{event_type: dns, dns.rrtype: TXT}", "--name", "txt-queries")
    count = len(ids(here, TXT))
    preview = said("tag", *where, "relevant", "--preview")
    assert f"{count} events match txt-queries: {count} would be tagged relevant" in preview
    assert "future events would be tagged while they are written" in preview
    assert tagged(here) == {}
    done = said("tag", *where, "relevant", "--comment", "ticket 4711", "--expires", "2130-01-31")
    assert f"{count} tagged relevant now" in done and "it ends on 2130-01-31T00:00:00Z" in done
    listed = json.loads(said("tags", "--json"))
    assert [(one["tagged"], one["matched"], one["comment"]) for one in listed] == [(count, count, "ticket 4711")]
    assert "as they are written" in said("tags")
    assert "tagged by the next pass after they come: lucene" in said("tag", "--where", "{lucene: 'x:y'}", "relevant")
    quiet = said("tag", "--where", "{src_ip: 10.1.0.5}", "--name", "lab", "suppress")
    assert "they stay, and passes leave such events out of all findings" in quiet
    assert f"{count} events of txt-queries untagged" in said("untag", "txt-queries")
    assert tagged(here) == {}
