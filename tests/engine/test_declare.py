"""Declarations from history in real engines: one for each asset, with the evidence the events hold, and delivered."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import Place
from engine.respond_story import load_lines, some_of_the_story, sources, stem_of

from connector.cli import run
from connector.errors import NotThere, Refused
from connector.hunts.asking.groups import groups
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.hunt import Hunt
from connector.respond.declarations.declaration import Verdict
from connector.respond.declarations.declare import Declared, declare, stored_declaration, stored_declarations
from connector.respond.deliveries.outbox import deliveries
from connector.respond.deliveries.receiver import LoopbackReceiver
from connector.settings.model import Settings

CLIENT = "hunt.client.ip"
NOW = datetime(2026, 11, 3, 10, tzinfo=UTC)
STATES = ("declarations", "outbox")


@dataclass(frozen=True)
class Day:
    """The DNS events of the office day in one engine."""

    place: Place
    settings: Settings

    def hunt(self, name: str) -> Hunt:
        return load_catalogue(self.settings).named(name)

    def declare(self, name: str, threat: str, asset: str = CLIENT, **more: Any) -> Declared:
        verdict = Verdict(threat, more.pop("phase", "pre_condition"), asset, "ana", more.pop("explanation", ""))
        return declare(self.place.siem, self.settings, self.hunt(name), verdict, now=more.pop("now", NOW), **more)

    def stored(self, declared: Declared, position: int = 0) -> dict[str, Any]:
        return stored_declaration(self.place.siem, self.settings, declared.declarations[position].id)


@pytest.fixture(scope="module")
def loaded(each_module_place: Place, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Day:
    """Return the day, loaded once."""
    file = some_of_the_story(shared, tmp_path_factory.mktemp("dns"), "dns")
    return Day(each_module_place, load_lines(each_module_place, file))


@pytest.fixture
def day(loaded: Day) -> Day:
    """Return the day with nothing declared."""
    for name in STATES:
        loaded.place.siem.call("POST", f"/{loaded.settings.state(name)}/_refresh")
        path = f"/{loaded.settings.state(name)}/_delete_by_query"
        loaded.place.siem.call("POST", path, {"query": {"match_all": {}}}, refresh=True, conflicts="proceed")
    return loaded


def test_one_declaration_a_client_with_the_evidence_the_truth_has(day: Day, shared: Path) -> None:
    done = day.declare("public-dns-queries", "DNS past the policy", explanation="who asks elsewhere")
    truth = json.loads((shared / "story" / "truth.json").read_text())["incidents"]
    told = [incident for label, incident in truth.items() if label.startswith("public-dns/")]
    wanted = {one["client"]: (one["expect"]["dns_queries"], (one["department"],)) for one in told}
    assert len(wanted) == 6
    assert {one.asset: (one.count, one.department) for one in done.declarations} == wanted
    assert (done.events, done.without_asset, sum(one.count for one in done.declarations)) == (30, 0, 30)
    assert {one.what for one in done.declarations} == {"new"}
    made = day.stored(done)
    (evidence,) = made["evidence"].values()
    assert (made["kind"], made["status"], made["by"]) == ("policy", "new", "ana")
    assert evidence["hunt"]["name"] == "public-dns-queries"
    assert evidence["groups"] == [{"values": {CLIENT: "10.10.10.17", "hunt.resolver.ip": "8.8.8.8"}, "count": 7}]
    assert (len(evidence["references"]), evidence["events_left_out"]) == (7, 0)
    for reference in evidence["references"]:
        event = day.place.siem.get(reference["index"], reference["id"])
        assert event.source["hunt"]["client"]["ip"] == "10.10.10.17"
        assert reference["shown"]["hostname_info.host"] == event.source["hostname_info"]["host"]
    times = [reference["time"] for reference in evidence["references"]]
    assert (times == sorted(times), made["first"], made["last"]) == (True, times[0], times[-1])


def test_of_a_hunt_with_a_threshold_the_events_that_reach_it(day: Day) -> None:
    events = list(sources(day.place.siem, day.settings.events).values())
    hunt = day.hunt("dns-tunnel-long-labels")
    (group,) = groups(hunt, events)
    done = day.declare(hunt.name, "DNS tunnel", phase="command_and_control")
    (one,) = done.declarations
    assert (one.asset, one.count, done.events) == ("10.10.30.19", len(group.events), len(group.events))
    evidence = day.stored(done)["evidence"][hunt.id]
    assert (len(evidence["references"]), evidence["events_left_out"]) == (100, len(group.events) - 100)


def test_again_nothing_changes_and_a_new_event_is_added(day: Day) -> None:
    first = day.declare("public-dns-queries", "DNS past the policy")
    made = day.stored(first)
    again = day.declare("public-dns-queries", " dns past THE policy", now=datetime(2026, 12, 1, tzinfo=UTC))
    assert {one.what for one in again.declarations} == {"unchanged"}
    assert day.stored(again) == made
    reference = next(iter(made["evidence"].values()))["references"][0]
    event = day.place.siem.get(reference["index"], reference["id"]).source
    siem = day.place.siem
    siem.put(
        reference["index"],
        "one-more",
        event | {"@timestamp": "2026-11-02T23:00:00Z", "timestamp": "2026-11-02T23:00:00Z"},
    )
    try:
        grown = day.declare("public-dns-queries", "DNS past the policy")
    finally:
        siem.call("DELETE", f"/{reference['index']}/_doc/one-more", refresh=True)
    assert sorted(one.what for one in grown.declarations) == ["unchanged"] * 5 + ["updated"]
    after = day.stored(grown)
    assert (after["count"], after["last"], after["revision"]) == (8, "2026-11-02T23:00:00.000Z", 2)
    assert len(stored_declarations(siem, day.settings)) == 6
    kept = day.declare("public-dns-queries", "DNS past the policy")  # the event is gone: its evidence is not
    assert {one.what for one in kept.declarations} == {"unchanged"}


def test_two_hunts_add_to_one_declaration_of_the_same_threat(day: Day) -> None:
    day.declare("dns-tunnel-long-labels", "DNS tunnel")
    done = day.declare("dns-tunnel-txt", "DNS tunnel", explanation="TXT")
    (one,) = done.declarations
    made = day.stored(done)
    assert [hunt["name"] for hunt in made["hunts"]] == ["dns-tunnel-long-labels", "dns-tunnel-txt"]
    assert one.count == sum(item["count"] for item in made["evidence"].values()) > 300
    assert len(stored_declarations(day.place.siem, day.settings)) == 1


def test_any_field_can_be_the_asset_and_the_window_is_kept(day: Day) -> None:
    since = datetime(2026, 11, 2, 14, tzinfo=UTC)
    done = day.declare("public-dns-queries", "afternoon", "hunt.resolver.ip", since=since)
    assert done.events == sum(one.count for one in done.declarations) < 30
    assert all(one.first >= "2026-11-02T14" for one in done.declarations)
    names = day.declare("dynamic-dns", "dynamic names", "hostname_info.domain_without_tld")
    assert sum(one.count for one in names.declarations) == 12


def test_what_cannot_be_declared_is_refused(day: Day) -> None:
    with pytest.raises(Refused, match=r"none of the 30 events of public-dns-queries has tls\.ja4; it groups by"):
        day.declare("public-dns-queries", "x", "tls.ja4")
    with pytest.raises(Refused, match="has no events in that time, so there is nothing to declare"):
        day.declare("public-dns-queries", "x", since=NOW)
    elsewhere = Day(day.place, replace(day.settings, prefix="t-nothing-"))
    with pytest.raises(NotThere, match="run `hunts install` first"):
        elsewhere.declare("public-dns-queries", "x")
    with pytest.raises(Refused, match="there is no declaration x: `hunts declarations` lists them"):
        stored_declaration(day.place.siem, day.settings, "x")
    assert stored_declarations(day.place.siem, day.settings) == []


def command(day: Day, folder: Path, receiver: LoopbackReceiver, monkeypatch: Any, url: str = "") -> Any:
    """Return `hunts` as a function, with the day's settings and one receiver."""
    monkeypatch.setenv("TEST_SECRET", receiver.secret)
    (folder / "hunts.yml").write_text(
        f"siem: {{url: '{day.place.url}'}}\nprefix: {day.settings.prefix}\n"
        f"sources: [{{pattern: '{stem_of(day.place)}*', dialect: eve}}]\n"
        f"receivers: [{{name: soar, url: '{url or receiver.url}', secret_env: TEST_SECRET, networks: [127.0.0.1]}}]\n"
    )
    return lambda *words: run(["--settings", str(folder / "hunts.yml"), *words])


def test_the_commands_from_declaring_to_the_delivery(day: Day, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    said = ["--threat", "a\x1b[31m\u202eb [red]", "--phase", "delivery", "--asset", CLIENT, "--explain", "it {{ 7*7 }}"]
    with LoopbackReceiver() as receiver:
        hunts = command(day, tmp_path, receiver, monkeypatch)
        assert hunts("declare", "public-dns-queries", *said, "--json") == 0
        result = json.loads(capsys.readouterr().out)
        assert [one["status"] for one in result["deliveries"]] == ["delivered"] * 6
        assert {one.body["data"]["explanation"] for one in receiver.received} == {"it {{ 7*7 }}"}
        assert {one.body["data"]["threat"] for one in receiver.received} == {"a\x1b[31m\u202eb [red]"}
        assert hunts("declare", "public-dns-queries", *said) == 0
        assert len(receiver.received) == 6
        id = result["declared"]["declarations"][0]["id"]
        for words in (("declarations",), ("declaration", id), ("outbox",), ("deliver",)):
            capsys.readouterr()
            assert hunts(*words) == 0
            out = capsys.readouterr().out
            assert "\x1b" not in out
            assert "\u202e" not in out
            assert hunts(*words, "--json") == 0
            json.loads(capsys.readouterr().out)
            assert receiver.secret not in out + capsys.readouterr().out
        hunts("declaration", id)
        assert "a\\x1b[31m\\u202eb [red]" in capsys.readouterr().out


def test_a_delivery_that_fails_for_good_is_exit_code_7(day: Day, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    said = ["--threat", "x", "--phase", "delivery", "--asset", "hunt.resolver.provider"]
    with LoopbackReceiver() as receiver, LoopbackReceiver() as other:
        hunts = command(day, tmp_path, receiver, monkeypatch, other.url)  # signed with a secret the other does not know
        assert hunts("declare", "public-dns-queries", *said) == 7
        err = capsys.readouterr().err
        assert "deliveries failed" in err
        assert "check secret and url" in err
        failed = [one for one in deliveries(day.place.siem, day.settings) if one.status == "failed"]
        assert failed
        assert "hunts outbox retry msg_" in err
        hunts = command(day, tmp_path, other, monkeypatch)
        for one in failed:
            assert hunts("outbox", "retry", one.id) == 0
        assert len(other.received) == len(failed)
        assert hunts("outbox", "retry", "msg_none") == 6
