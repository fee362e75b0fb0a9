"""Declarations as documents: one for a threat at an asset, growing with its evidence, never twice and never less."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connector.respond.declaration import (
    GROUPS,
    SENT_EVENTS,
    Evidence,
    Verdict,
    declaration_id,
    declared,
    message,
)
from connector.respond.rules import HuntName

NOW = datetime(2026, 11, 3, 10, tzinfo=UTC)
VERDICT = Verdict("DNS  tunnel", "command_and_control", "hunt.client.ip", "ana", "long labels")
HUNT, OTHER = HuntName("id-1", "dns-tunnel", "Hunt: DNS tunnel"), HuntName("id-2", "policy", "Policy: DNS")


def reference(number: int, text="x"):
    return {"index": "i", "id": str(number), "time": f"2026-11-02T10:00:{number:02}.000Z", "shown": {"name": text}}


def evidence(**changes) -> Evidence:
    """Return evidence of five events of one hunt."""
    made = Evidence(
        hunt=HUNT,
        kind="policy",
        asset="10.10.10.17",
        departments=("finance",),
        days={"2026-11-02": 5},
        groups=[{"values": {"hunt.client.ip": "10.10.10.17"}, "count": 5}],
        references=[reference(n) for n in range(5)],
        first=datetime(2026, 11, 2, 10, tzinfo=UTC),
        last=datetime(2026, 11, 2, 10, 0, 4, tzinfo=UTC),
    )
    return replace(made, **changes)


def test_the_id_is_that_of_threat_and_asset_in_any_spelling():
    assert declaration_id("DNS tunnel", "10.0.0.1") == declaration_id(" dns   TUNNEL ", "10.0.0.1")
    assert declaration_id("x", "fd00::1") == declaration_id("x", "FD00:0000:0000:0000:0000:0000:0000:0001")
    assert declaration_id("x", "J.Doe") == declaration_id("x", "j.doe")
    assert declaration_id("x", "10.0.0.1") != declaration_id("x", "10.0.0.2")
    assert declaration_id("x", "y z") != declaration_id("x y", "z")


def test_a_new_declaration_has_everything_and_is_pending():
    made = declared(None, VERDICT, evidence(), NOW)
    assert (made["threat"], made["status"], made["kind"], made["phase"]) == (
        "DNS tunnel",
        "new",
        "policy",
        "command_and_control",
    )
    assert made["asset"] == {"field": "hunt.client.ip", "value": "10.10.10.17", "department": ["finance"]}
    assert (made["count"], made["first"], made["last"]) == (5, "2026-11-02T10:00:00.000Z", "2026-11-02T10:00:04.000Z")
    assert (made["revision"], made["pending"]) == (1, True)
    assert [entry["what"] for entry in made["history"]] == ["declared"]
    assert made["evidence"]["id-1"]["events_left_out"] == 0


def test_the_same_evidence_again_changes_nothing():
    made = declared(None, VERDICT, evidence(), NOW)
    assert declared(made, VERDICT, evidence(), NOW + timedelta(days=1)) == made
    settled = made | {"pending": False, "status": "assigned"}
    assert declared(settled, replace(VERDICT, explanation=""), evidence(), NOW) == settled


def test_more_evidence_is_a_revision_and_less_takes_nothing_away():
    made = declared(None, VERDICT, evidence(), NOW)
    later = evidence(
        days={"2026-11-01": 2, "2026-11-02": 3},
        references=[reference(9)],
        first=datetime(2026, 11, 1, tzinfo=UTC),
        last=datetime(2026, 11, 2, tzinfo=UTC),
    )
    grown = declared(made | {"status": "assigned"}, VERDICT, later, NOW + timedelta(hours=1))
    assert (grown["count"], grown["first"], grown["last"]) == (
        7,
        "2026-11-01T00:00:00.000Z",
        "2026-11-02T10:00:04.000Z",
    )
    assert (grown["revision"], grown["status"], grown["made"]) == (2, "assigned", made["made"])
    assert [entry["what"] for entry in grown["history"]] == ["declared", "updated"]
    assert [one["id"] for one in grown["evidence"]["id-1"]["references"]] == ["0", "1", "2", "3", "4", "9"]
    assert grown["evidence"]["id-1"]["events_left_out"] == 1


def test_another_hunt_adds_its_own_evidence_and_compromise_outweighs_policy():
    made = declared(None, VERDICT, evidence(), NOW)
    both = declared(made, replace(VERDICT, phase="exploitation"), evidence(hunt=OTHER, kind="compromise"), NOW)
    assert (both["kind"], both["phase"], both["count"]) == ("compromise", "exploitation", 10)
    assert [hunt["name"] for hunt in both["hunts"]] == ["dns-tunnel", "policy"]
    again = declared(both, replace(VERDICT, phase="exploitation"), evidence(), NOW)
    assert again == both


def test_a_phase_or_explanation_that_changes_is_a_revision_with_its_place_in_the_history():
    made = declared(None, VERDICT, evidence(), NOW)
    moved = declared(made, replace(VERDICT, phase="actions_on_objectives", by="bo", explanation=""), evidence(), NOW)
    assert [(entry["phase"], entry["by"]) for entry in moved["history"]] == [
        ("command_and_control", "ana"),
        ("actions_on_objectives", "bo"),
    ]
    assert moved["explanation"] == "long labels"


def test_what_is_kept_and_sent_is_bounded_and_what_is_left_out_counted():
    many = evidence(
        days={"2026-11-02": 5000},
        groups=[{"values": {"f": str(n)}, "count": n} for n in range(1, GROUPS + 21)],
        references=[reference(n, "y" * 20_000) for n in range(60)],
    )
    made = declared(None, VERDICT, many, NOW)
    kept = made["evidence"]["id-1"]
    assert (len(kept["groups"]), kept["groups_left_out"], kept["groups"][0]["count"]) == (GROUPS, 20, GROUPS + 20)
    assert kept["events_left_out"] == 5000 - 60
    assert len(kept["references"][0]["shown"]["name"]) == 1000
    told = message("id", made)["declaration"]["evidence"][0]
    assert (len(told["events"]), told["events_left_out"]) == (SENT_EVENTS, 5000 - SENT_EVENTS)
    assert (len(told["groups"]), told["groups_left_out"]) == (10, GROUPS + 10)
    assert declared(made, VERDICT, many, NOW) == made


def test_the_message_says_what_kind_of_event_it_is():
    made = declared(None, VERDICT, evidence(), NOW)
    told = message("abc", made)
    assert (told["type"], told["timestamp"]) == ("declaration.new", "2026-11-03T10:00:00.000Z")
    assert told["declaration"]["id"] == "abc"
    assert "history" not in told["declaration"]
    grown = declared(made, VERDICT, evidence(days={"2026-11-03": 1}), NOW)
    assert message("abc", grown)["type"] == "declaration.updated"


def test_what_a_template_can_use_is_documented():
    text = (Path(__file__).parents[2] / "docs" / "write-back.md").read_text(encoding="utf-8")
    told = message("abc", declared(None, VERDICT, evidence(), NOW))
    assert [name for name in (*told, *told["declaration"], *told["declaration"]["asset"]) if name not in text] == []
