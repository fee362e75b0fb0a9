"""Declarations as documents: one for a threat at an asset, growing with its evidence, never twice and never less."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connector.errors import Refused
from connector.respond.declarations.asset import asset_kind, asset_of, other_side
from connector.respond.declarations.deciding import Decision, check, decided
from connector.respond.declarations.declaration import (
    SENT_EVENTS,
    Verdict,
    declaration_id,
    declared,
    message,
)
from connector.respond.declarations.hunt_evidence import GROUPS, Evidence
from connector.respond.declarations.wanted import Wanted
from connector.respond.tags.rules import HuntName

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
    assert made["asset"] == {
        "field": "hunt.client.ip",
        "value": "10.10.10.17",
        "department": ["finance"],
        "kind": "ip",
    }
    assert [step["phase"] for step in made["phases"]] == ["command_and_control"]
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


def more(day: str = "2026-11-05", **changes) -> Evidence:
    """Return the same evidence with events of one more day."""
    return evidence(days={"2026-11-02": 5, day: 1}, **changes)


STANDING = replace(VERDICT, standing=True)


def test_more_of_a_false_positive_is_noted_and_nobody_is_told():
    made = declared(None, VERDICT, evidence(), NOW)
    closed = made | {"status": "false-positive", "pending": False}
    noted = declared(closed, STANDING, more(), NOW + timedelta(days=3))
    assert (noted["count"], noted["status"], noted["revision"], noted["pending"]) == (6, "false-positive", 1, False)
    assert noted["history"] == made["history"]
    assert declared(noted, STANDING, more(), NOW + timedelta(days=4)) == noted


def test_more_of_what_was_fixed_opens_it_again_and_the_same_does_not():
    closed = declared(None, VERDICT, evidence(), NOW) | {"status": "fixed", "assigned": "bo", "pending": False}
    assert declared(closed, VERDICT, evidence(), NOW + timedelta(days=1)) == closed
    again = declared(closed, STANDING, more(), NOW + timedelta(days=3))
    assert (again["status"], again["assigned"], again["pending"], again["revision"]) == ("new", "", True, 2)
    assert (again["history"][-1]["what"], again["history"][-1]["from"]) == ("reopened", "fixed")
    explained = declared(closed, replace(VERDICT, explanation="because"), evidence(), NOW)
    assert (explained["status"], explained["revision"]) == ("fixed", 2)


def test_what_is_said_by_itself_again_does_not_take_back_what_a_person_says():
    made = declared(None, replace(VERDICT, future=True), evidence(), NOW)
    assert declared(made, STANDING, evidence(), NOW) == made
    moved = decided(made, Decision("phase", "actions_on_objectives", "bo"), NOW)
    assert declared(moved, STANDING, evidence(), NOW) == moved
    grown = declared(moved, STANDING, more(), NOW)
    assert (grown["phase"], grown["count"]) == ("actions_on_objectives", 6)
    other = declared(grown, replace(STANDING, phase="installation"), more(), NOW)
    assert [step["phase"] for step in other["phases"]] == [
        "command_and_control",
        "actions_on_objectives",
        "installation",
    ]


def test_the_history_of_what_comes_again_and_again_is_one_entry_a_hunt_until_somebody_decides():
    made = declared(None, VERDICT, evidence(), NOW)
    for day in range(10, 20):
        made = declared(made, VERDICT, more(f"2026-11-{day}"), NOW + timedelta(days=day))
        made = declared(made, VERDICT, more(f"2026-11-{day}", hunt=OTHER), NOW + timedelta(days=day))
    assert [(entry["hunt"], entry.get("times")) for entry in made["history"]] == [
        ("dns-tunnel", None),
        ("dns-tunnel", 10),
        ("policy", 10),
    ]
    assert (made["history"][1]["since"], made["revision"]) == ("2026-11-13T10:00:00.000Z", 21)
    made = decided(made, Decision("comment", "", "bo", "seen"), NOW)
    made = declared(made, VERDICT, more("2026-11-25"), NOW)
    assert [entry["what"] for entry in made["history"]] == ["declared", "updated", "updated", "comment", "updated"]


def test_family_and_kind_are_the_hunts_unless_they_are_said():
    made = declared(None, VERDICT, evidence(family="dns"), NOW)
    assert (made["family"], made["kind"]) == ("dns", "policy")
    said = declared(made, replace(VERDICT, family="Iodine", kind="compromise"), evidence(family="dns"), NOW)
    assert (said["family"], said["kind"], said["revision"]) == ("Iodine", "compromise", 2)
    kept = declared(said, VERDICT, more(family="dns"), NOW)
    assert (kept["family"], kept["kind"]) == ("Iodine", "compromise")


def test_offenders_are_counted_and_bounded():
    verdict = replace(VERDICT, offender_field="hunt.server.ip")
    many = {f"192.0.2.{n}": n for n in range(1, 70)}
    made = declared(None, verdict, evidence(offenders=many), NOW)
    assert made["offender"] == {"field": ["hunt.server.ip"], "value": [f"192.0.2.{n}" for n in range(69, 49, -1)]}
    assert len(made["evidence"]["id-1"]["offenders"]) == 50
    assert declared(made, verdict, evidence(offenders=many), NOW) == made


@pytest.mark.parametrize(
    ("field", "value", "kind", "shown"),
    [
        ("hunt.client.ip", "FD00:0000:0000:0000:0000:0000:0000:0001", "ip", "fd00::1"),
        ("email.from", '"Eve" <eve@Example.org>', "mail", "eve@Example.org"),
        ("smtp.mail_from", "<eve@example.org>", "mail", "eve@example.org"),
        ("smb.ntlmssp.user", "J.Doe", "username", "J.Doe"),
        ("krb5.cname", "jdoe", "username", "jdoe"),
        ("user.name", "jdoe", "username", "jdoe"),
        ("hostname_info.domain", "example.org", "other", "example.org"),
    ],
)
def test_an_asset_is_an_address_a_mail_address_or_a_user(field, value, kind, shown):
    assert (asset_kind(field, value), asset_of(value)) == (kind, shown)
    assert declaration_id("x", value) == declaration_id("x", shown.upper())


def test_the_other_side_is_known_of_fields_that_say_their_side():
    assert other_side("hunt.client.ip") == other_side("hunt.client.department") == "hunt.server.ip"
    assert (other_side("src_ip"), other_side("smb.ntlmssp.user")) == ("dest_ip", "")


def test_decisions_are_entries_of_the_history_and_change_nothing_when_said_again():
    made = declared(None, VERDICT, evidence(), NOW) | {"pending": False}
    taken = decided(made, Decision("assign", "bo", "ana", "please"), NOW)
    assert (taken["status"], taken["assigned"], taken["revision"], taken["pending"]) == ("assigned", "bo", 2, True)
    entry = taken["history"][-1]
    assert [entry[name] for name in ("what", "value", "by", "comment")] == ["assign", "bo", "ana", "please"]
    assert decided(taken, Decision("assign", "bo", "ana", "please"), NOW + timedelta(days=1)) == taken
    assert decided(taken, Decision("status", "assigned", "ana"), NOW) == taken
    settled = taken | {"pending": False}
    noted = decided(settled, Decision("comment", "", "bo", "looked"), NOW)
    assert (noted["revision"], noted["pending"], noted["history"][-1]["comment"]) == (2, False, "looked")
    assert decided(noted, Decision("comment", "", "bo", "looked"), NOW + timedelta(days=1)) == noted
    assert decided(noted, Decision("assign", "bo", "ana", "please"), NOW + timedelta(days=1)) == noted
    later = declared(noted, VERDICT, more(), NOW + timedelta(days=1))
    assert len(decided(later, Decision("comment", "", "bo", "looked"), NOW)["history"]) == len(later["history"]) + 1
    fixed = decided(noted, Decision("status", "fixed", "bo"), NOW)
    assert (fixed["status"], fixed["assigned"], fixed["history"][-1]["from"]) == ("fixed", "bo", "assigned")
    anew = decided(fixed, Decision("status", "new", "bo"), NOW)
    assert (anew["status"], anew["assigned"]) == ("new", "")
    mine = decided(anew, Decision("status", "assigned", "cy"), NOW)
    assert mine["assigned"] == "cy"


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        (Decision("status", "done", "ana"), "one of new, assigned, fixed, false-positive"),
        (Decision("phase", "x", "ana"), "one of reconnaissance"),
        (Decision("assign", "", "ana"), "name who has it"),
        (Decision("comment", "", "ana"), "nothing to note"),
        (Decision("comment", "", "ana", "x" * 10_001), "up to 10,000 characters"),
    ],
)
def test_what_cannot_be_decided_is_refused(decision, words):
    with pytest.raises(Refused, match=words):
        check(decision)


def test_which_declarations_are_asked_for():
    made = declared(None, replace(VERDICT, offender_field="x"), evidence(offenders={"192.0.2.1": 1}), NOW)
    fitting = [
        Wanted(),
        Wanted(statuses=("new", "fixed"), kind="policy", threat="TUNNEL", hunt="dns-tunnel"),
        Wanted(asset="10.10.10.17", offender="192.0.2.1", department="finance"),
        Wanted(since=datetime(2026, 11, 2, 10, tzinfo=UTC)),
    ]
    assert all(wanted.fits(made) for wanted in fitting)
    others = [
        Wanted(statuses=("fixed",)),
        Wanted(kind="compromise"),
        Wanted(threat="x"),
        Wanted(asset="10.10.10.1"),
        Wanted(assigned="ana"),
        Wanted(hunt="other"),
        Wanted(since=NOW),
    ]
    assert not any(wanted.fits(made) for wanted in others)


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
    text = (Path(__file__).parents[2] / "docs" / "declarations.md").read_text(encoding="utf-8")
    told = message("abc", declared(None, VERDICT, evidence(), NOW))
    assert [name for name in (*told, *told["declaration"], *told["declaration"]["asset"]) if name not in text] == []
