"""Evidence that was kept and evidence that is there now as one, and evidence cut to what a document holds."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connector.respond.evidence.merging import ROOM, fitting, merged
from connector.respond.evidence.model import Capture, Event, Evidence, File, Flow, Host, Http, Lookup, Profile, Subject

SUBJECT = Subject("declaration", "d", "", {}, 1, None, None, ())


def evidence(*flows: int, **more: Any) -> Evidence:
    """Return evidence with flows by the minute they began in, each with an event, a look-up, a file and a capture."""
    numbered = list(enumerate(sorted(flows), 1))
    return Evidence(
        SUBJECT,
        "now",
        events=tuple(event(flow, number) for number, flow in numbered),
        flows=tuple(one(flow, number) for number, flow in numbered),
        dns=tuple(lookup(flow, number) for number, flow in numbered),
        files=tuple(file(flow, number) for number, flow in numbered),
        captures=tuple(Capture(number, (f"{flow}.pcap",), (), None, None, "") for number, flow in numbered),
        **more,
    )


def minute(flow: int) -> str:
    """Return the time of a flow."""
    return f"2026-11-02T12:{flow:02}:00.000000Z"


def one(flow: int, number: int) -> Flow:
    """Return a flow."""
    ids = (("", f"f{flow}"),)
    return Flow(
        number,
        "TCP",
        "",
        "a",
        1,
        "b",
        2,
        minute(flow),
        minute(flow),
        ids,
        "",
        None,
        None,
        None,
        None,
        "",
        1,
        {"http": 1},
    )


def event(flow: int, number: int, **more: Any) -> Event:
    """Return an event of a flow."""
    return Event("logs", f"e{flow}", minute(flow), "http", number, True, "", {"flow_id": flow, **more})


def lookup(flow: int, number: int) -> Lookup:
    """Return a look-up before a flow."""
    return Lookup("logs", "same", minute(0), number, 1.0, True, "", "", "", "", "", "", (), None)


def file(flow: int, number: int) -> File:
    """Return a file."""
    return File("logs", f"x{flow}", minute(flow), number, "", 1, "", "", "", "", f"{flow:064}", True, None, 1)


FLOWS = st.sets(st.integers(0, 59), max_size=8)


@settings(deadline=None)
@given(FLOWS, FLOWS)
def test_what_either_has_is_there_once_and_belongs_to_its_flow(kept: set[int], now: set[int]) -> None:
    both = merged(evidence(*kept, frozen="then"), evidence(*now))
    whole = evidence(*(kept | now), frozen="then")
    assert replace(both, notes=()) == whole
    assert bool(both.notes) == bool(kept - now)


@settings(deadline=None)
@given(FLOWS, FLOWS)
def test_merging_again_changes_nothing(kept: set[int], now: set[int]) -> None:
    both = merged(evidence(*kept, frozen="then"), evidence(*now))
    again = merged(replace(both, notes=()), evidence(*now))
    assert replace(again, notes=()) == replace(both, notes=())


def test_counts_of_what_was_cut_stay_only_while_events_are_gone() -> None:
    kept = evidence(1, 2, frozen="then", left_out={"events_without_room": 7})
    assert merged(kept, evidence(2)).left_out == {"events_without_room": 7}
    assert merged(kept, evidence(1, 2)).left_out == {}


def test_a_flow_of_the_same_number_at_another_time_is_another() -> None:
    later = replace(one(30, 1), flow_ids=(("", "f1"),))
    both = merged(evidence(1), replace(evidence(30), flows=(later,)))
    assert [flow.start for flow in both.flows] == [minute(1), minute(30)]
    assert [event.flow for event in both.events] == [1, 2]


def test_of_events_the_ones_it_is_about_and_alerts_are_kept_first_and_the_rest_is_counted() -> None:
    size = ROOM["events"] // 100
    rest = [replace(event(n, 1, text="x" * size), of_subject=False, id=f"r{n}") for n in range(200)]
    alert = replace(rest[0], kind="alert", id="alert")
    own = replace(rest[0], of_subject=True, id="own")
    found = fitting(replace(evidence(1), events=(*rest, alert, own)))
    assert {"alert", "own"} < {event.id for event in found.events}
    assert len(found.events) + found.left_out["events_without_room"] == 202
    assert len(json.dumps(found.document)) < ROOM["events"] + 100_000


def test_every_part_is_bounded() -> None:
    long = "y" * 900
    http = tuple(Http("i", str(n), None, 1, *([long] * 8), None) for n in range(5000))
    found = fitting(replace(evidence(1), http=http))
    assert len(json.dumps(found.document["http"])) <= ROOM["http"] * 1.01
    assert len(found.http) + found.left_out["http_without_room"] == 5000
    assert fitting(evidence(1, 2)) == evidence(1, 2)


def test_a_profile_that_was_kept_stays_until_there_is_another() -> None:
    seen = {"first": None, "last": None, "events": 3, "kinds": {}, "alerts": {}}
    lists = ("names", "users", "macs", "departments", "networks", "roles", "user_agents")
    host = Host("10.0.0.1", **dict.fromkeys(lists, ()), **seen)
    old, new = Profile("2026-11-02", None, None), Profile("2026-11-03", None, None)
    kept = evidence(1, host=replace(host, profile=old))
    assert merged(kept, evidence(1, host=host)).host.profile == old
    assert merged(kept, evidence(1, host=replace(host, profile=new))).host.profile == new
    assert merged(kept, evidence(1)).host == kept.host
