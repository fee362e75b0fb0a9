"""Declarations that go on by themselves and that people decide about, in real engines, cut and killed at any moment."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from declare_kills import WORDS, claims_run_out, command_for, own_hunt
from made_events import CutWire, event, hunt, make_state, put_events, settings_in

from connector.cli import run as command_line
from connector.errors import NotThere, Refused, Unreachable
from connector.hunts.passes.passes import Order
from connector.respond.declarations.deciding import Decision, decide
from connector.respond.declarations.declaration import Verdict
from connector.respond.declarations.declare import declare, stored_declaration, stored_declarations
from connector.respond.declarations.declare_rules import declare_rules, stop
from connector.respond.declarations.wanted import Wanted
from connector.respond.deliveries.outbox import deliveries
from connector.respond.deliveries.receiver import LoopbackReceiver
from connector.respond.outcomes import Passes, pass_and_outcomes
from connector.settings.model import Receiver, Settings
from connector.siem.client import Siem
from tests.conftest import Place

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 3, 10, tzinfo=UTC)
ASKED = hunt("asked")
TUNNEL = Verdict("Tunnel", "command_and_control", "hunt.client.ip", "ana", "long labels", future=True)
KILLS = 10


def passing(siem: Siem, settings: Settings, end: int) -> Passes:
    """Return a pass over the events that came until `end` milliseconds, with what was declared by itself."""
    order = Order((ASKED,), timedelta())
    return pass_and_outcomes(siem, settings, order, lambda: EPOCH + timedelta(milliseconds=end), lambda *_: None)


def three(first: int, came: int) -> list[dict[str, Any]]:
    """Return an event of each of three clients, with the other side."""
    made = [event(first + n, came, f"192.0.2.{n}") for n in range(3)]
    for each in made:
        each["hunt"]["server"] = {"ip": "198.51.100.9"}
    return made


def with_receiver(settings: Settings) -> Settings:
    """Return the settings with somebody to tell."""
    return replace(settings, receivers=(Receiver("soc", "http://127.0.0.1:9/"),))


def statuses(siem: Siem, settings: Settings) -> dict[str, tuple[str, int, int]]:
    """Return status, number of events and revision of each declaration by its asset."""
    found = [one for _, one in stored_declarations(siem, settings)]
    return {one["asset"]["value"]: (one["status"], one["count"], one["revision"]) for one in found}


def test_what_is_declared_for_the_future_holds_for_later_events_until_it_is_stopped(each_place: Place) -> None:
    siem, settings = each_place.siem, with_receiver(settings_in(each_place))
    first = declare(siem, settings, ASKED, TUNNEL, now=NOW)
    assert (first.declarations, bool(first.rule)) == ((), True)
    put_events(each_place, three(0, 10))
    done = passing(siem, settings, 20)
    assert [(one.threat, one.declared) for one in done.outcomes] == [("Tunnel", 3)]
    assert statuses(siem, settings) == {f"192.0.2.{n}": ("new", 1, 1) for n in range(3)}
    made = stored_declarations(siem, settings, Wanted(asset="192.0.2.1"))[0][1]
    assert (made["by"], made["explanation"], made["offender"]["value"]) == ("ana", "long labels", ["198.51.100.9"])
    assert passing(siem, settings, 30).outcomes == ()
    declare(siem, settings, ASKED, TUNNEL, now=NOW)
    put_events(each_place, three(100, 40)[:2])
    assert [(one.declared, one.updated) for one in passing(siem, settings, 50).outcomes] == [(0, 2)]
    assert statuses(siem, settings)["192.0.2.1"] == ("new", 2, 2)
    (stopped,) = stop(siem, settings, "asked", "  TUNNEL ", by="bo", now=NOW)
    assert [entry["what"] for entry in stopped.history] == ["begun", "stopped"]
    assert stop(siem, settings, "asked", None, by="bo", now=NOW) == ()
    put_events(each_place, three(200, 60))
    assert passing(siem, settings, 70).outcomes == ()
    assert len(deliveries(siem, settings)) == 5
    with pytest.raises(Refused, match="no rule that declares later events of nobody"):
        stop(siem, settings, "nobody", None, by="bo", now=NOW)


def test_two_rules_of_a_hunt_and_one_that_cannot_declare(place: Place) -> None:
    siem, settings = place.siem, settings_in(place)
    put_events(place, three(0, 10))
    declare(siem, settings, ASKED, TUNNEL, now=NOW)
    wrong = replace(TUNNEL, threat="Other", asset_field="tls.ja4")
    with pytest.raises(Refused, match="none of the 3 events"):
        declare(siem, settings, ASKED, wrong, now=NOW)
    assert [rule.verdict.threat for rule in declare_rules(siem, settings)] == ["Tunnel"]
    named = replace(TUNNEL, threat="Name", asset_field="hostname_info.domain", kind="compromise", family="x")
    declare(siem, settings, ASKED, named, since=datetime(2026, 11, 2, 8, 0, 1, tzinfo=UTC), now=NOW)
    (outcome,) = passing(siem, settings, 20).outcomes
    assert (outcome.threat, outcome.declared, outcome.updated, outcome.error) == ("Tunnel, Name", 0, 0, None)
    (name,) = [one for _, one in stored_declarations(siem, settings, Wanted(kind="compromise"))]
    assert (name["count"], name["asset"]["value"], name["family"]) == (2, "example.org", "x")
    put_events(place, three(100, 30))
    (outcome,) = passing(siem, settings, 40).outcomes
    assert outcome.updated == 4


def test_a_person_s_fixed_and_false_positive_are_respected(each_place: Place) -> None:
    siem, settings = each_place.siem, with_receiver(settings_in(each_place))
    put_events(each_place, three(0, 10))
    ids = {one.asset: one.id for one in declare(siem, settings, ASKED, TUNNEL, now=NOW).declarations}
    decide(siem, settings, ids["192.0.2.0"], Decision("status", "false-positive", "bo", "a test"), NOW)
    decide(siem, settings, ids["192.0.2.1"], Decision("status", "fixed", "bo"), NOW)
    decide(siem, settings, ids["192.0.2.2"], Decision("phase", "actions_on_objectives", "bo"), NOW)
    before = {one.id for one in deliveries(siem, settings)}
    assert len(before) == 6
    put_events(each_place, three(100, 20))
    passing(siem, settings, 30)
    assert statuses(siem, settings) == {
        "192.0.2.0": ("false-positive", 2, 2),
        "192.0.2.1": ("new", 2, 3),
        "192.0.2.2": ("new", 2, 3),
    }
    fixed = stored_declaration(siem, settings, ids["192.0.2.1"])
    assert [entry["what"] for entry in fixed["history"]] == ["declared", "status", "reopened"]
    moved = stored_declaration(siem, settings, ids["192.0.2.2"])
    assert [step["phase"] for step in moved["phases"]] == ["command_and_control", "actions_on_objectives"]
    told = [one for one in deliveries(siem, settings) if one.id not in before]
    assert sorted(one.declaration for one in told) == sorted([ids["192.0.2.1"], ids["192.0.2.2"]])
    assert declare(siem, settings, ASKED, TUNNEL, now=NOW).declarations[0].what == "unchanged"


def ended(siem: Siem, settings: Settings) -> Any:
    """Return all that declaring and deciding wrote, without moments."""
    declared = [
        (
            *(id, one["status"], one["assigned"], one["phase"], one["count"], one["revision"], one["pending"]),
            *((entry["what"], entry["revision"]) for entry in one["history"]),
        )
        for id, one in stored_declarations(siem, settings)
    ]
    rules = [
        (rule.id, rule.status, [entry["what"] for entry in rule.history]) for rule in declare_rules(siem, settings)
    ]
    return sorted(declared), rules, sorted(one.id for one in deliveries(siem, settings))


def without_kept_evidence(siem: Siem, settings: Settings) -> Settings:
    """Return the settings where evidence is not kept, which takes many calls and has tests of its own."""
    siem.call("DELETE", f"/{settings.state('evidence')}")
    return settings


def everything(siem: Siem, settings: Settings) -> None:
    """Declare, decide of each declaration, and stop."""
    declare(siem, settings, ASKED, TUNNEL, now=NOW)
    for id, one in sorted(stored_declarations(siem, settings)):
        if one["asset"]["value"] == "192.0.2.1":
            decide(siem, settings, id, Decision("assign", "bo", "ana", "look"), NOW)
            decide(siem, settings, id, Decision("comment", "", "ana", "known host"), NOW)


@pytest.mark.parametrize("answered", [True, False])
def test_cut_off_after_any_call_and_done_again_the_end_is_the_same(place: Place, answered: bool) -> None:
    siem, settings = place.siem, without_kept_evidence(place.siem, with_receiver(settings_in(place)))
    put_events(place, three(0, 10)[:2])
    cuts, calls = 0, 1
    while True:
        try:
            everything(Siem(CutWire(siem._wire, calls, answered), siem.product), settings)
            break
        except Unreachable:
            cuts, calls = cuts + 1, calls + 1
    assert cuts > 20
    whole = replace(settings, prefix=f"{settings.prefix}whole-")
    make_state(siem, whole)
    everything(siem, without_kept_evidence(siem, whole))
    assert ended(siem, settings) == ended(siem, whole)


@contextmanager
def killing(url: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the address of a way to an engine, and what it does: kill a process at its nth write, before or after."""
    plan: dict[str, Any] = {"process": None, "at": 0, "after": False, "killed": 0}
    lock = threading.Lock()

    class Way(BaseHTTPRequestHandler):
        """Passes each call on."""

        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            """Pass a call on and its answer back, unless who called is killed."""
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            writes = "/_doc/" in self.path and self.command == "PUT"
            with lock:
                plan["at"] -= writes
                kills = writes and plan["at"] == 0
            if kills and not plan["after"]:
                self.kill()
                return
            headers = {"content-type": self.headers.get("content-type", "application/json")}
            answer = requests.request(self.command, url + self.path, data=body, headers=headers, timeout=120)
            if kills:
                self.kill()
                return
            self.send_response(answer.status_code)
            self.send_header("content-type", answer.headers.get("content-type", ""))
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else answer.content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on

        def kill(self) -> None:
            """Kill the process that calls."""
            plan["process"].send_signal(signal.SIGKILL)
            plan["process"].wait()
            plan["killed"] += 1
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Way)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", plan
    finally:
        server.shutdown()
        server.server_close()


def test_killed_at_ten_moments_and_done_again_each_receiver_has_each_revision(place: Place, tmp_path: Path) -> None:
    settings = without_kept_evidence(place.siem, settings_in(place))
    put_events(place, three(0, 10))
    with LoopbackReceiver() as receiver, killing(place.url) as (way, plan):
        hunts = command_for(tmp_path, way, settings, receiver)
        for number in range(KILLS):
            plan |= {"at": 1 + number // 2, "after": bool(number % 2)}
            plan["process"] = hunts(*WORDS, "--future")
            plan["process"].wait()
        assert plan["killed"] >= KILLS - 2  # the last may find less than so many writes left
        plan |= {"at": 0}
        assert hunts(*WORDS, "--future").wait() == 0
        claims_run_out(place.siem, settings)
        assert hunts("deliver").wait() == 0
    found = stored_declarations(place.siem, settings)
    assert {one["asset"]["value"]: (one["count"], one["revision"], one["pending"]) for _, one in found} == {
        f"192.0.2.{n}": (1, 1, False) for n in range(3)
    }
    (rule,) = declare_rules(place.siem, settings)
    assert [entry["what"] for entry in rule.history] == ["begun"]
    sent = deliveries(place.siem, settings)
    assert sorted(one.declaration for one in sent) == sorted(id for id, _ in found)
    assert {one.id for one in receiver.received} == {one.id for one in sent}


def test_the_commands(place: Place, tmp_path: Path, capsys: Any) -> None:
    settings = settings_in(place)
    put_events(place, three(0, 10))
    own_hunt(tmp_path)
    (tmp_path / "hunts.yml").write_text(
        f"siem: {{url: '{place.url}'}}\nprefix: {place.prefix}\nqueries: queries\n"
        f"sources: [{{pattern: '{settings.events}'}}]\n"
    )

    def hunts(*words: str, code: int = 0) -> str:
        """Return what a command prints, on both streams."""
        assert command_line(["--settings", str(tmp_path / "hunts.yml"), *words]) == code
        both = capsys.readouterr()
        return both.out + both.err

    said = ["--threat", "T\x1b[31m", "--phase", "delivery", "--asset", "hunt.client.ip"]
    result = json.loads(hunts("declare", "public-dns-queries", *said, "--future", "--json"))
    id = next(one["id"] for one in result["declared"]["declarations"] if one["asset"] == "192.0.2.1")
    assert "no rules yet" not in hunts("declarations", "--rules")
    hunts("declaration", id, "assign", "bo", "--comment", "pl\x1bease")
    hunts("declaration", id, "phase", "exploitation")
    hunts("declaration", id, "comment", "seen it")
    page = hunts("declaration", id, "status", "fixed", "--comment", "reinstalled")
    for words in (
        "fixed, bo has it",
        "status fixed (was assigned)",
        "reinstalled",
        "assign bo",
        "offender: 198.51.100.9",
    ):
        assert words in page
    assert "\x1b" not in page
    for wanted, number in {
        ("--open",): 2,
        ("--status", "fixed", "--status", "new"): 3,
        ("--assigned", "BO", "--phase", "exploitation"): 1,
        ("--asset", "192.0.2.1", "--offender", "198.51.100.9", "--threat", "t"): 1,
        ("--kind", "compromise"): 0,
        ("--since", "1d", "--hunt", "public-dns-queries"): 0,
    }.items():
        assert len(json.loads(hunts("declarations", *wanted, "--json"))) == number, wanted
    assert "no declaration has all of that" in hunts("declarations", "--kind", "compromise")
    assert "one of new, assigned, fixed, false-positive" in hunts("declaration", id, "status", "done", code=6)
    assert "there is no declaration x" in hunts("declaration", "x", "comment", "y", code=6)
    assert "not declared as" in hunts("undeclare", "public-dns-queries")
    assert "no rule of it was active" in hunts("undeclare", "public-dns-queries")
    assert "stopped" in hunts("declarations", "--rules")
    for command in ("declare", "undeclare", "declaration", "declarations", "lookup"):
        assert "hunts" in hunts(command, "--help")


def test_without_the_index_of_rules_nothing_is_written(place: Place) -> None:
    settings = settings_in(place)
    place.siem.call("DELETE", f"/{settings.state('declare-rules')}")
    with pytest.raises(NotThere, match="run `hunts install` first"):
        declare(place.siem, settings, ASKED, TUNNEL, now=NOW)
    put_events(place, three(0, 10))
    assert passing(place.siem, settings, 20).outcomes == ()
    assert len(declare(place.siem, settings, ASKED, replace(TUNNEL, future=False), now=NOW).declarations) == 3
