"""Running hunts on real engines: exactly what matches, all groups, and a word for what cannot be answered."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from made_events import DAY, at_least, event, hunt, put_events, settings_in

from connector.cli import run as hunts_command
from connector.errors import Refused
from connector.hunts.asking.groups import groups
from connector.hunts.asking.run import HuntRun, Span, run_hunts
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.conditions.condition import Equals, Lucene
from connector.settings.model import Settings
from tests.conftest import Place

EVER = Span()
MINE = """
id: 6d1f0c2e-0000-4000-8000-00000000000{n}
name: {name}
title: "Test: {name}"
status: stable
severity: low
kind: policy
tags: []
references: []
hypothesis: None.
data: {{event_types: [dns]}}
match: {{all: [{match}]}}
group_by: [hunt.client.ip]
show: [hostname_info.domain]
guide:
  - ask: What?
    look: {{window: 1d, match: {{all: [{{hunt.client.ip: $hunt.client.ip}}]}}, count_by: [hostname_info.domain]}}
    lean_relevant: Yes.
    lean_informational: No.
false_positives: [None.]
blind_spots: [None.]
cases:
  - name: none
    hits: []
    events: [{{event_type: dns, timestamp: "2026-11-02T09:12:07.000000+0000"}}]
"""


def running(place: Place, settings: Settings, *hunts: Hunt, span: Span = EVER, limit: int = 10_000) -> list[HuntRun]:
    """Return the results of hunts."""
    return list(run_hunts(place.siem, settings, hunts, span, progress=lambda *_: None, limit=limit).hunts)


def counts(result: HuntRun) -> dict[tuple[str | None, ...], int]:
    """Return the count of each group."""
    return {tuple(group.group.values()): group.count for group in result.groups}


def test_a_hunt_lists_exactly_its_events_of_the_time(each_place: Place) -> None:
    settings = settings_in(each_place)
    put_events(each_place, [event(second) for second in (0, 59, 60, 119, 120)])
    minute = Span(DAY + timedelta(seconds=60), DAY + timedelta(seconds=120))
    (result,) = running(each_place, settings, hunt(), span=minute)
    times = [found.time for found in result.events]
    assert times == [DAY + timedelta(seconds=60), DAY + timedelta(seconds=119)]
    assert (result.status, result.matching, result.hits) == ("findings", 2, 2)
    assert (result.groups[0].first, result.groups[0].last) == (times[0], times[1])


def test_an_event_with_several_values_counts_in_each_group_and_once_among_the_events(each_place: Place) -> None:
    settings = settings_in(each_place)
    put_events(each_place, [event(1, client=["192.0.2.1", "2001:0db8:0000:0000:0000:0000:0000:0001"]), event(2)])
    without = event(3)
    del without["hunt"]["client"]
    put_events(each_place, [without])
    (result,) = running(each_place, settings, hunt())
    assert counts(result) == {("192.0.2.1",): 2, ("2001:db8::1",): 1, (None,): 1}
    assert (result.hits, len(result.events)) == (3, 3)


def test_fields_that_no_index_has_are_named_and_are_not_no_findings(each_place: Place) -> None:
    settings = settings_in(each_place)
    put_events(each_place, [event(1)])
    absent = hunt("absent", Equals("tls.sni", ("x",)))
    nothing = hunt("nothing", Equals("hunt.dns.message", ("answer",)))
    uncounted = hunt("uncounted", needs=at_least(3, field="tls.sni"))
    results = running(each_place, settings, absent, nothing, uncounted)
    assert [each.status for each in results] == ["no such field tls.sni", "no findings", "no such field tls.sni"]


def test_a_hunt_that_fails_says_why_and_the_others_go_on(each_place: Place) -> None:
    settings = settings_in(each_place)
    put_events(each_place, [event(1)])
    failing, fine = running(each_place, settings, hunt("failing", Lucene("a:(((")), hunt())
    assert failing.status == "failed"
    assert "failing" in (failing.error or "")
    assert (fine.status, fine.hits) == ("findings", 1)


def test_what_the_limit_leaves_out_is_counted(each_place: Place) -> None:
    settings = settings_in(each_place)
    put_events(each_place, [event(second, client=f"192.0.2.{second % 20}") for second in range(100)])
    (result,) = running(each_place, settings, hunt(), limit=7)
    assert (len(result.groups), result.groups_left_out) == (7, 13)
    assert (len(result.events), result.events_left_out, result.hits) == (7, 93, 100)
    assert [found.time for found in result.events] == [DAY + timedelta(seconds=second) for second in range(93, 100)]


def test_thousands_of_groups_reach_a_threshold_and_none_is_lost(each_place: Place) -> None:
    settings = settings_in(each_place)
    clients = [f"10.{n // 250}.{n % 250}.1" for n in range(2300)]
    events = [event(n, client=client, domain=f"d{k}.example") for n, client in enumerate(clients) for k in range(3)]
    put_events(each_place, events)
    three = hunt("three", needs=at_least(3))
    names = hunt("names", needs=at_least(3, field="hostname_info.domain"))
    four = hunt("four", needs=at_least(4))
    results = running(each_place, settings, three, names, four)
    assert [len(each.groups) for each in results] == [2300, 2300, 0]
    assert [each.status for each in results] == ["findings", "findings", "no findings"]
    assert set(counts(results[0]).values()) == {3}


def test_a_threshold_is_as_in_the_reference(each_place: Place) -> None:
    settings = settings_in(each_place)
    seconds = (0, 10, 20, 100, 159, 161, 220, 300, 301, 302, 303, 400)
    events = [event(s, client=client, domain=f"d{s % 3}") for s in seconds for client in ("192.0.2.1", ["192.0.2.2"])]
    del events[3]["hunt"]["client"]
    put_events(each_place, events)
    hunts = [
        hunt(f"h{n}{field}", needs=at_least(n, field=field))
        for n in (2, 3, 4)
        for field in (None, "hostname_info.domain")
    ]
    for each, result in zip(hunts, running(each_place, settings, *hunts), strict=True):
        assert counts(result) == {tuple(g.values.values()): len(g.events) for g in groups(each, events)}


def test_a_threshold_is_reached_over_all_sources_together(place: Place) -> None:
    settings = settings_in(place, "logs", "more")
    put_events(place, [event(1), event(2)], "logs")
    put_events(place, [event(3), event(4, client="192.0.2.9")], "more")
    (result,) = running(place, settings, hunt(needs=at_least(3)))
    assert counts(result) == {("192.0.2.1",): 3}


def test_sources_that_share_an_index_are_refused(each_place: Place) -> None:
    settings = settings_in(each_place)
    put_events(each_place, [event(1)])
    wider = replace(settings.sources[0], pattern=f"{each_place.prefix}lo*")
    with pytest.raises(Refused, match="belongs to two sources"):
        running(each_place, replace(settings, sources=(*settings.sources, wider)), hunt())


def test_events_of_elastic_agent_are_found_by_the_same_hunt(each_place: Place) -> None:
    settings = settings_in(each_place)
    source = replace(settings.sources[0], dialect="ecs")
    first = event(1)
    put_events(each_place, [first | {"suricata": {"eve": {"event_type": "dns"}}, "source": {"ip": "192.0.2.7"}}])
    by_address = hunt(group_by=("src_ip", "hunt.client.ip"))
    (result,) = running(each_place, replace(settings, sources=(source,)), by_address)
    assert counts(result) == {("192.0.2.7", "192.0.2.1"): 1}
    assert result.events[0].shown == {"src_ip": "192.0.2.7", "hunt.client.ip": "192.0.2.1"}


def test_without_any_index_it_says_so(place: Place) -> None:
    settings = replace(settings_in(place), sources=(replace(Settings().sources[0], pattern=f"{place.prefix}none-*"),))
    with pytest.raises(Refused, match="no index matches"):
        running(place, settings, hunt())


def command(place: Place, folder: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Return exit code and output of the command line with two hunts of the user's own: `mine` and `broken`."""
    queries = folder / "queries"
    (queries / "own").mkdir(parents=True, exist_ok=True)
    matches = {"mine": "{hunt.dns.message: query}", "broken": "{lucene: 'a:((('}"}
    for n, (name, match) in enumerate(matches.items()):
        text = MINE.format(n=n, name=name, match=match)
        (queries / "own" / f"{name}.yml").write_text(text, encoding="utf-8")
    file = folder / "hunts.yml"
    source = f"{{pattern: '{place.prefix}logs-*', dialect: eve, time_field: '@timestamp'}}"
    lines = (f"siem: {{url: '{place.url}'}}", f"prefix: {place.prefix}", f"sources: [{source}]", "queries: queries")
    file.write_text("\n".join(lines), encoding="utf-8")
    code = hunts_command(["--settings", str(file), *arguments])
    return code, capsys.readouterr().out


def test_the_command_prints_json_csv_and_tables(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings_in(place)
    put_events(place, [event(1, domain="=cmd()"), event(2)])
    code, out = command(place, tmp_path, capsys, "run", "mine", "--from", "2026-11-02", "--to", "2026-11-03", "--json")
    (result,) = json.loads(out)["hunts"]
    assert (code, result["hits"], [e["shown"]["hostname_info.domain"] for e in result["events"]]) == (
        0,
        2,
        ["=cmd()", "example.org"],
    )
    code, out = command(place, tmp_path, capsys, "run", "mine", "--all-time", "--csv")
    table: Sequence[dict[str, Any]] = list(csv.DictReader(io.StringIO(out)))
    assert [row["hostname_info.domain"] for row in table] == ["'=cmd()", "example.org"]
    assert [row["time"] for row in table] == ["2026-11-02T08:00:01Z", "2026-11-02T08:00:02Z"]
    code, out = command(place, tmp_path, capsys, "run", "mine", "--all-time")
    assert (code, "192.0.2.1" in out, "=cmd()" in out) == (0, True, True)
    code, out = command(place, tmp_path, capsys, "run", "mine")
    assert (code, "no findings" in out, "no event lies in that time" in out) == (0, True, True)


def test_the_command_fails_when_a_hunt_fails_or_options_contradict(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings_in(place)
    put_events(place, [event(1)])
    code, out = command(place, tmp_path, capsys, "run", "mine", "broken", "--all-time", "--json")
    assert (code, [each["status"] for each in json.loads(out)["hunts"]]) == (1, ["findings", "failed"])
    code, out = command(place, tmp_path, capsys, "pass", "--lag", "0s", "--json")
    (done,) = json.loads(out)["passes"]
    assert (code, [each["name"] for each in done["hunts"] if each["error"]]) == (1, ["broken"])
    assert command(place, tmp_path, capsys, "run", "mine", "--all-time", "--since", "1h")[0] == 2
    assert command(place, tmp_path, capsys, "run", "mine", "--json", "--csv")[0] == 2
    assert command(place, tmp_path, capsys, "run", "nothing-of-that-name")[0] == 6


def test_findings_are_listed_newest_first_and_counted_by_a_field(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings_in(place)
    put_events(place, [event(n, client=f"192.0.2.{n}", domain=f"d{n % 2}") for n in range(9)])
    command(place, tmp_path, capsys, "pass", "--lag", "0s")
    code, out = command(place, tmp_path, capsys, "findings", "mine", "--limit", "3", "--json")
    listed = json.loads(out)
    assert (code, listed["left_out"]) == (0, 6)
    assert [each["group"]["hunt.client.ip"] for each in listed["findings"]] == ["192.0.2.8", "192.0.2.7", "192.0.2.6"]
    assert [each["events"] for each in listed["findings"]] == [[]] * 3
    code, out = command(place, tmp_path, capsys, "findings", "--events", "--json")
    assert all(len(each["events"]) == 1 for each in json.loads(out)["findings"])
    code, out = command(place, tmp_path, capsys, "findings", "--by", "hostname_info.domain", "--json")
    assert [(row["value"], row["findings"]) for row in json.loads(out)["values"]] == [("d0", 5), ("d1", 4)]
    code, out = command(place, tmp_path, capsys, "findings", "--limit", "3")
    assert "6 older findings" in out
