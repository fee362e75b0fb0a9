"""Tags on past events in real engines: exactly what the predicate says, whatever overlaps, fails or is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import Place
from engine.respond_story import load_lines, put_template, settings_of, some_of_the_story
from engine.tag_day import Day, Events, Key, expected, made_hunt, matched, seen

from connector.errors import NotThere, Refused
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.conditions.condition import All, Compares, Equals, UnderDomain
from connector.respond.tags.rules import Tag, TagRule, stored_rules
from connector.respond.tags.tagging import Pace, preview_tag
from connector.settings.model import Settings, Source
from connector.siem.client import Siem


@pytest.fixture(scope="module")
def day(each_module_place: Place, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Day:
    """Return what the rules are about of the office day, with alerts that another product has tagged."""
    file = some_of_the_story(shared, tmp_path_factory.mktemp("story"), "dns", "alert", "ftp")
    made = Day(each_module_place, load_lines(each_module_place, file))
    alerts = [key for key, event in sorted(made.events().items()) if event["event_type"] == "alert"]
    assert len(alerts) >= 8
    for key, value in zip(alerts, ["relevant", "informational", "custom", ["relevant", "x"]] * 2, strict=False):
        made.siem.call("POST", f"/{key[0]}/_update/{key[1]}", {"doc": {"alert": {"tag": value}}})
    return made


ALL_ALERTS = made_hunt("all-alerts", All(()), "alert")
SOME_ALERTS = made_hunt("some-alerts", Compares("alert.signature_id", gte=9200010), "alert")
DNS = made_hunt("internal-names", UnderDomain("hostname_info.host", ("corp.example",)), "dns")


def plan_of(settings: Settings) -> list[tuple[Hunt, Tag]]:
    """Return rules that overlap: two on the tunnel's queries, two on alerts, and hunts with a threshold."""
    named = load_catalogue(settings).named
    return [
        (named("dns-tunnel-txt"), "informational"),
        (named("dns-tunnel-long-labels"), "relevant"),
        (named("dga-nxdomain-burst"), "informational"),
        (named("public-dns-queries"), "relevant"),
        (DNS, "informational"),
        (SOME_ALERTS, "relevant"),
        (ALL_ALERTS, "informational"),
    ]


def test_tags_equal_the_predicate_on_every_event_before_and_after_untag(day: Day) -> None:
    before = day.events()
    began = time.time() * 1000
    on: list[tuple[Hunt, TagRule, set[Key]]] = []
    for hunt, wanted in plan_of(day.settings):
        result = day.tag(hunt, wanted)
        keys = matched(hunt, before)
        assert len(keys) >= 4, hunt.name
        assert (result.tagged, result.matching, result.left, result.failures) == (len(keys), len(keys), 0, ())
        on.append((hunt, day.rule(hunt, wanted), keys))
    overlapping = sum(len(keys) for *_, keys in on) - len(set[Key]().union(*(keys for *_, keys in on)))
    assert overlapping >= 200
    now = day.events()
    moments = {event["hunt"]["tagged"] for event in now.values() if "tagged" in event["hunt"]}
    assert all(began - 1 <= moment <= time.time() * 1000 + 1 for moment in moments)
    assert seen(now) == expected(before, [(rule, keys) for _, rule, keys in on])
    random.Random(7).shuffle(on)
    for hunt, _, keys in on[3:]:
        assert day.untag(hunt) == len(keys)
    assert seen(day.events()) == expected(before, [(rule, keys) for _, rule, keys in on[:3]])
    for hunt, _, keys in on[:3]:
        assert day.untag(hunt) == len(keys)
    assert day.events() == before


def test_again_changes_nothing_and_the_first_time_stays(day: Day) -> None:
    day = day.only("alert")
    assert day.tag(ALL_ALERTS, "informational").tagged > 0
    first = day.events()
    versions = {hit["_id"]: hit["_seq_no"] for hit in _versions(day)}
    again = day.tag(ALL_ALERTS, "informational")
    assert (again.tagged, again.already) == (0, again.matching)
    assert {hit["_id"]: hit["_seq_no"] for hit in _versions(day)} == versions
    day.tag(SOME_ALERTS, "relevant")
    both = day.events()
    times = {key: event["hunt"]["tagged"] for key, event in first.items() if "tagged" in event["hunt"]}
    assert {key: both[key]["hunt"]["tagged"] for key in times} == times
    day.untag(SOME_ALERTS)
    assert day.events() == first
    day.untag(ALL_ALERTS)
    history = [entry["what"] for entry in stored_rules(day.siem, day.settings, ALL_ALERTS.id)[0].history]
    assert history[-3:] == ["tagged", "removed", "untagged"]


def _versions(day: Day) -> Iterator[dict[str, Any]]:
    body = {"query": {"match_all": {}}, "seq_no_primary_term": True, "_source": False}
    return day.siem.scan(day.pattern, body, 5000)


def test_a_preview_writes_nothing_and_counts_what_tagging_does(day: Day) -> None:
    day = day.only("dns")
    versions = {hit["_id"]: hit["_seq_no"] for hit in _versions(day)}
    rules = len(stored_rules(day.siem, day.settings))
    told = preview_tag(day.siem, day.settings, DNS, day.rule(DNS, "relevant"))
    assert {hit["_id"]: hit["_seq_no"] for hit in _versions(day)} == versions
    assert len(stored_rules(day.siem, day.settings)) == rules
    done = day.tag(DNS, "relevant")
    assert (told.matching, told.tagged, told.already) == (done.matching, done.tagged, done.already)
    told = preview_tag(day.siem, day.settings, DNS, day.rule(DNS, "relevant"))
    assert (told.tagged, told.already) == (0, done.tagged)
    day.untag(DNS)


def test_the_other_tag_or_an_edited_hunt_replaces_the_rule(day: Day) -> None:
    day = day.only("alert")
    before = day.events()
    day.tag(ALL_ALERTS, "relevant")
    narrower = replace(ALL_ALERTS, match=SOME_ALERTS.match)
    rule = day.rule(narrower, "informational")
    told = preview_tag(day.siem, day.settings, narrower, rule)
    done = day.tag(narrower, "informational")
    some, every = matched(narrower, before), matched(ALL_ALERTS, before)
    assert (done.tagged, done.untagged, len(done.replaced)) == (len(some), len(every) - len(some), 1)
    assert (told.tagged, told.untagged, told.replaced) == (done.tagged, done.untagged, done.replaced)
    assert seen(day.events()) == expected(before, [(rule, some)])
    states = {rule.id: rule.status for rule in stored_rules(day.siem, day.settings, ALL_ALERTS.id)}
    assert (states[rule.id], states[done.replaced[0]]) == ("active", "replaced")
    day.untag(narrower)
    assert day.events() == before


def test_only_the_window_is_tagged_and_a_wider_one_adds(day: Day) -> None:
    day = day.only("dns")
    before = day.events()
    noon = datetime(2026, 11, 2, 12, tzinfo=UTC)
    later = {key for key in matched(DNS, before) if before[key]["@timestamp"] >= "2026-11-02T12:00:00"}
    assert day.tag(DNS, "relevant", since=noon).tagged == len(later)
    assert {key for key, event in day.events().items() if "tag" in event["hunt"]} == later
    done = day.tag(DNS, "relevant", since=noon - timedelta(days=1))
    assert (done.already, done.tagged) == (len(later), len(matched(DNS, before)) - len(later))
    day.untag(DNS)
    assert day.events() == before


def test_a_tag_that_another_product_sets_in_between_is_kept(day: Day) -> None:
    day = day.only("alert")
    before = day.events()
    untouched = [key for key in sorted(matched(ALL_ALERTS, before)) if "tag" not in before[key]["alert"]][:3]
    day.tag(ALL_ALERTS, "informational")
    for key, value in zip(untouched, ("relevant", "custom", None), strict=True):
        script = "if (params.v == null) { ctx._source.alert.remove('tag') } else { ctx._source.alert.tag = params.v }"
        body = {"script": {"source": script, "params": {"v": value}}}
        day.siem.call("POST", f"/{key[0]}/_update/{key[1]}", body)
    day.tag(SOME_ALERTS, "informational")
    day.untag(SOME_ALERTS)
    day.untag(ALL_ALERTS)
    after = day.events()
    assert [after[key]["alert"].get("tag") for key in untouched] == ["relevant", "custom", None]
    for key in untouched[:2]:
        del after[key]["alert"]["tag"]
        body = {"script": {"source": "ctx._source.alert.remove('tag')"}}
        day.siem.call("POST", f"/{key[0]}/_update/{key[1]}", body)
    assert after == before


def test_events_that_others_write_meanwhile_are_tagged_and_keep_what_was_written(day: Day) -> None:
    day = day.only("dns")
    before = day.events()
    keys = sorted(matched(DNS, before))[:300]
    stop, written = threading.Event(), dict[Key, int]()

    def disturb() -> None:
        with Siem.connect(replace(day.settings.siem, urls=(day.place.url,))) as other:
            for number in range(100_000):
                if stop.is_set():
                    return
                key = random.choice(keys)
                body = {"doc": {"noise": number}}
                other.call("POST", f"/{key[0]}/_update/{key[1]}", body, retry_on_conflict=20)
                written[key] = number

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        done = day.tag(DNS, "relevant", pace=Pace(2000))
    finally:
        stop.set()
        thread.join()
    assert (done.left, done.failures) == (0, ())
    after = day.events()
    assert {key: event["noise"] for key, event in after.items() if "noise" in event} == written
    assert {key for key, event in after.items() if event["hunt"].get("tag")} == matched(DNS, before)
    day.untag(DNS)
    for key in written:
        script = {"script": {"source": "ctx._source.remove('noise')"}}
        day.siem.call("POST", f"/{key[0]}/_update/{key[1]}", script, retry_on_conflict=20)
    assert day.events() == before


def test_an_index_that_cannot_be_written_is_reported_and_the_others_are_tagged(day: Day) -> None:
    source = Source(f"{day.place.prefix}logstash-alert-*,{day.place.prefix}logstash-ftp-*", "eve", "@timestamp")
    day = Day(day.place, replace(day.settings, sources=(source,)))
    before = day.events()
    hunt = made_hunt("ftp-and-alerts", All(()), "alert", "ftp")
    index = next(key[0] for key in before if before[key]["event_type"] == "ftp")
    day.siem.call("PUT", f"/{index}/_settings", {"index.blocks.write": True})
    done = day.tag(hunt, "relevant")
    assert {failure.index for failure in done.failures} == {index}
    assert done.tagged == len(matched(ALL_ALERTS, before))
    day.siem.call("PUT", f"/{index}/_settings", {"index.blocks.write": False})
    assert day.tag(hunt, "relevant").tagged == len(matched(hunt, before)) - done.tagged
    day.untag(hunt)
    assert day.events() == before


def test_what_cannot_be_asked_or_undone_is_refused(day: Day) -> None:
    with pytest.raises(Refused, match="no such field nowhere"):
        day.tag(made_hunt("nowhere", Equals("nowhere.at_all", ("x",)), "dns"), "relevant")
    with pytest.raises(Refused, match="no rule has tagged events for 'nowhere'"):
        day.untag(made_hunt("nowhere", All(()), "dns"))
    with pytest.raises(NotThere, match="run `hunts install` first"):
        preview_tag(day.siem, replace(day.settings, prefix="t-nothing-"), DNS, day.rule(DNS, "relevant"))


def test_events_of_the_elastic_agent_come_back_as_they_were(each_place: Place) -> None:
    settings = replace(settings_of(each_place), sources=(Source(f"{each_place.prefix}logs-*", "ecs", "@timestamp"),))
    here = Day(each_place, settings)
    from engine.respond_story import install_all

    install_all(each_place, settings)
    eve: dict[str, Any] = {"event_type": "alert", "alert": {"signature_id": 1}}
    events: list[dict[str, Any]] = [
        {"suricata": {"eve": eve}, "source": {"ip": "10.0.0.1"}},
        {"suricata": {"eve": eve}, "alert": {"kind": "x"}},
        {"suricata": {"eve": eve}, "alert": {"tag": "informational"}},
        {"suricata": {"eve": {"event_type": "flow"}}, "alert": {"tag": "informational"}},
    ]
    for number, event in enumerate(events):
        body = {"@timestamp": "2026-11-02T10:00:00Z", **event}
        each_place.siem.call("PUT", f"/{each_place.prefix}logs-1/_doc/{number}", body, refresh=True)
    before = here.events()
    assert here.tag(made_hunt("ecs", All(()), "alert", "flow"), "relevant").tagged == 4
    tags = [event.get("alert", {}).get("tag") for _, event in sorted(here.events().items())]
    assert tags == ["relevant", "relevant", "relevant", "informational"]
    assert here.untag(made_hunt("ecs", All(()), "alert", "flow")) == 4
    assert here.events() == before


def test_events_that_are_not_enriched_come_back_as_they_were_too(each_place: Place) -> None:
    settings = settings_of(each_place)
    here = Day(each_place, settings)
    from engine.respond_story import install_state

    put_template(each_place)
    install_state(each_place, settings, "tag-rules", "state")
    for number in range(30):
        event = {"@timestamp": "2026-11-02T10:00:00Z", "event_type": "dns", "n": number}
        each_place.siem.call("PUT", f"/{each_place.prefix}logstash-dns-1/_doc/{number}", event)
    before = here.events()
    hunt = made_hunt("bare", Compares("n", lt=20), "dns")
    assert here.tag(hunt, "relevant").tagged == 20
    assert here.tag(hunt, "relevant").tagged == 0
    assert here.untag(hunt) == 20
    assert here.events() == before


# ---- killed


HUNT = """
id: 0b7c1f9e-2f0b-4c39-9d0c-6f1f1d0d1a01
name: all-dns
title: "Hunt: all DNS"
status: test
severity: low
kind: policy
hypothesis: Only for a test.
data: {event_types: [dns]}
match: {all: [{hunt.dns.message: query}, {hunt.client.department: finance}]}
group_by: [hunt.client.ip]
show: [hostname_info.host]
guide:
  - ask: Which?
    look: {window: 1d, match: {all: [{hunt.client.ip: $hunt.client.ip}]}, count_by: [hunt.client.ip]}
    lean_relevant: Many.
    lean_informational: Few.
false_positives: [All of them.]
blind_spots: [None.]
cases: [{name: none, hits: [], events: [{event_type: flow, timestamp: 2026-11-02T10:00:00.000000+0000}]}]
"""


def command(day: Day, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start `hunts` in a process of its own, with the day's settings and the hunt of this test."""
    (folder / "queries" / "test").mkdir(parents=True, exist_ok=True)
    (folder / "queries" / "test" / "all-dns.yml").write_text(HUNT)
    (folder / "hunts.yml").write_text(
        f"siem: {{url: '{day.place.url}'}}\nprefix: {day.settings.prefix}\nqueries: queries\n"
        f"sources: [{{pattern: '{day.pattern}', dialect: eve}}]\n"
    )
    code = "from connector.cli import main; main()"
    words = [sys.executable, "-c", code, "--settings", str(folder / "hunts.yml"), *arguments]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finished(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return the result of a command that must succeed."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err.decode()
    return json.loads(out)


def killed(process: subprocess.Popen[bytes], after: float) -> bool:
    """Kill a command after some seconds; return whether it was still at work."""
    time.sleep(after)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def rules_of_one_more(day: Day, key: Key, events: Events) -> list[str]:
    """Return the rules that an event like that one has when it has just come; it is removed again."""
    raw = {name: value for name, value in events[key].items() if name != "hunt"}
    path = f"/{key[0]}/_doc/one-more"
    day.siem.call("PUT", path, raw, refresh=True)
    found: list[str] = day.siem.call("GET", path)["_source"]["hunt"].get("tag_rules", [])
    day.siem.call("DELETE", path, refresh=True)
    return found


def test_killed_at_random_moments_and_run_again_the_end_is_the_same(day: Day, tmp_path: Path) -> None:
    day = day.only("dns")
    before, moments, cut_short = day.events(), random.Random(11), 0
    asking = {key for key, event in before.items() if event["hunt"].get("dns", {}).get("message") == "query"}
    on = {key for key in asking if before[key]["hunt"]["client"].get("department") == "finance"}
    assert len(on) > 1000
    throttled = ("--requests-per-second", "1500", "--json")
    for _ in range(5 if day.siem.product.name == "OpenSearch" else 1):
        for _ in range(2):
            tagging = command(day, tmp_path, "tag", "all-dns", "relevant", *throttled)
            cut_short += killed(tagging, moments.uniform(0.8, 2.8))
        result = finished(command(day, tmp_path, "tag", "all-dns", "relevant", "--json"))
        assert (result["matching"], result["left"]) == (len(on), 0)
        (rule,) = stored_rules(day.siem, day.settings, "0b7c1f9e-2f0b-4c39-9d0c-6f1f1d0d1a01")
        assert seen(day.events()) == expected(before, [(rule, on)])
        assert rules_of_one_more(day, min(on), before) == [rule.id]
        cut_short += killed(command(day, tmp_path, "untag", "all-dns", *throttled), moments.uniform(0.8, 2.8))
        finished(command(day, tmp_path, "untag", "all-dns", "--json"))
        assert day.events() == before
        assert rules_of_one_more(day, min(on), before) == []
    assert cut_short >= (4 if day.siem.product.name == "OpenSearch" else 1)
    tasks = day.siem.call("GET", "/_tasks", actions="*update/byquery", detailed=True, group_by="none")["tasks"]
    assert not [task for task in tasks if day.place.prefix in task["description"]]


def test_untag_while_a_killed_tag_still_runs_leaves_nothing(day: Day, tmp_path: Path) -> None:
    day = day.only("dns")
    before = day.events()
    throttled = ("--requests-per-second", "1000", "--json")
    assert killed(command(day, tmp_path, "tag", "all-dns", "relevant", *throttled), 2)
    finished(command(day, tmp_path, "untag", "all-dns", "--json"))
    time.sleep(1)
    assert day.events() == before
