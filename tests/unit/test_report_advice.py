"""What a report advises: it follows from what was found, and no command of it can be more than it looks."""

import re
import shlex

import pytest
from made_reports import ID, beacon, evidence, step, summary

from connector.respond.evidence.model import Subject
from connector.respond.report.advice import advice
from connector.respond.report.model import Answer, Guide, Sent

SENT = Sent("2026-11-03T10:00:00Z", "soar", "declaration.new", "failed", 10, "answered 500", "msg_1")


def does(**changes) -> list[str]:
    """Return what is advised, in words."""
    return [one.do for one in advised(**changes)]


def advised(steps=None, found=None, guides=(), sent=(), **changes):
    """Return what is advised."""
    return advice(summary(**changes), steps or (step(1), beacon()), found or evidence(), guides, sent)


def test_a_host_that_calls_out_comes_off_the_network_first() -> None:
    assert does()[:4] == [
        "Take fin-ws07 off the network and keep it switched on",
        "Block 203.0.113.66 for all hosts",
        "Reset what j.doe can log in with",
        "Give the declaration to somebody",
    ]
    mild = does(steps=(step(1), beacon(severity="low")))
    assert mild[0] == "Give the declaration to somebody"


@pytest.mark.parametrize("status", ["fixed", "false-positive"])
def test_what_is_closed_needs_no_decision_and_no_containment(status: str) -> None:
    assert not [do for do in does(status=status) if do.startswith(("Take", "Block", "Reset", "Give", "Set"))]


def test_the_next_decision_is_the_one_that_is_open() -> None:
    (one,) = [one for one in advised(status="assigned", assigned="bob") if one.do.startswith("Set")]
    assert (one.why, one.command) == ("bob has it, and it is open", f"hunts declaration {ID} status fixed")
    subject = Subject("finding", "f1", "Policy", {}, 1, None, None, ())
    (one,) = [one for one in advised(found=evidence(subject=subject)) if one.do.startswith("Decide")]
    assert one.command.startswith("hunts declare public-dns-queries --threat")


def test_files_names_and_packets_are_named() -> None:
    told = advised(steps=(step(1, only_here=("sync.example",)),))
    assert [one.command for one in told if one.command.startswith("hunts lookup")] == [
        f"hunts lookup {'ab' * 32}",
        "hunts lookup sync.example",
    ]
    assert f"hunts evidence {ID} --files DIR --pcap PATH" in [one.command for one in told]


def test_what_failed_is_to_be_done_again() -> None:
    answer = Answer(2, "Which?", None, None, (), "failed", (), (), "", "", failed=True)
    told = {one.do: one.command for one in advised(guides=[Guide("f" * 32, "Policy: DNS", "", (answer,))], sent=[SENT])}
    assert told["Ask question 2 of Policy: DNS again"] == f"hunts guide {'f' * 12}"
    assert told["Have the receiver told again"] == "hunts outbox retry msg_1"


@pytest.mark.parametrize(
    "name", ["$(reboot).example", "a;b", "-rf", "`id`.x", "a b", "x\ny", "a|b", "'\"", "*", "~root"]
)
def test_no_value_of_an_event_can_do_anything_in_a_shell(name: str) -> None:
    file = evidence().files[0]
    found = evidence(files=(type(file)(**{**vars_of(file), "name": name, "sha256": name, "path": "x"}),))
    for one in advised(steps=(step(1, only_here=(name,)), beacon(only_here=(name,))), found=found):
        assert name not in one.command
        assert re.fullmatch(r"[A-Za-z0-9 ._:-]*", one.command)
        assert shlex.split(one.command) == one.command.split()


def vars_of(value) -> dict:
    """Return the fields of a value."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
