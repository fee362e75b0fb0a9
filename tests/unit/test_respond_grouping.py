"""Which messages deliveries become, and how a receiver stands."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from connector.respond.deliveries.decision import Again, Delivered, GivenUp
from connector.respond.deliveries.grouping import NAMED, Member, Waiting, digest, parcels
from connector.respond.deliveries.standing import LONGEST_REST, Standing
from connector.respond.deliveries.wording import words
from connector.settings.model import Receiver

NOW = datetime(2026, 11, 3, 10, tzinfo=UTC)
THREE = Receiver("r", "https://r.example/", messages_per_minute=3)


def fresh(count: int) -> list[Waiting]:
    return [Waiting(f"msg_{n:05}") for n in range(count)]


def test_while_there_is_room_each_goes_by_itself():
    assert [(one.members, one.group) for one in parcels(fresh(3), 3)] == [((f"msg_{n:05}",), None) for n in range(3)]
    assert parcels(fresh(3), 0) == []


def test_a_storm_is_a_few_messages_and_nothing_is_left_out():
    made = parcels(fresh(10_000), 20)
    assert len(made) == 20
    assert [len(one.members) for one in made] == [1] * 19 + [9981]
    assert made[-1].group.startswith("msg_")
    (alone,) = parcels(fresh(10_000), 1)
    assert len(alone.members) == 10_000
    assert alone.group != parcels(fresh(10_000), 1)[0].group  # nobody else's


def test_what_was_tried_goes_again_as_it_went_before():
    waiting = [Waiting("b", True), Waiting("g2", True, "msg_g"), Waiting("g1", True, "msg_g"), *fresh(2)]
    assert [(one.members, one.group) for one in parcels(waiting, 10)] == [
        (("b",), None),
        (("g1", "g2"), "msg_g"),
        (("msg_00000",), None),
        (("msg_00001",), None),
    ]


def test_what_fails_does_not_keep_what_is_new_waiting_for_ever():
    tried = [Waiting(f"t{n}", True) for n in range(50)]
    made = parcels([*tried, *fresh(50)], 5)
    assert [len(one.members) for one in made] == [1, 1, 1, 1, 50]
    assert parcels([*fresh(50), *tried], 1)[0].group
    assert parcels([*tried, *fresh(50)], 1)[0].members == ("t0",)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from([None, "g", "h"]))), st.integers(0, 12))
def test_no_more_messages_than_room_no_delivery_twice_and_none_without_need_left(drawn, room):
    waiting = [Waiting(f"{n}", tried or group is not None, group) for n, (tried, group) in enumerate(drawn)]
    made = parcels(waiting, room)
    sent = [id for one in made for id in one.members]
    assert len(made) <= room
    assert len(sent) == len(set(sent))
    for one in made:
        if one.group in ("g", "h"):
            assert set(one.members) == {each.id for each in waiting if each.group == one.group}
    if len(made) < room:
        assert len(sent) == len(waiting)


def test_a_digest_counts_all_and_names_the_gravest():
    members = [
        Member(f"d{n:03}", f"f{n:03}", "finding.new", f"2026-11-03T10:00:{n % 60:02}.000Z", f"t{n}", severity)
        for n, severity in enumerate(["low"] * 100 + ["critical"] * 2)
    ]
    members.append(Member("d", "decl", "declaration.new", "2026-11-03T09:00:00.000Z", "a threat", "high"))
    told = digest("msg_1", members)
    assert told == digest("msg_1", reversed(members))
    data = told["digest"]
    assert (data["count"], data["declarations"], data["findings"], data["severity"]) == (103, 1, 102, "critical")
    assert data["by_severity"] == [
        {"severity": "critical", "count": 2},
        {"severity": "high", "count": 1},
        {"severity": "low", "count": 100},
    ]
    assert [one["severity"] for one in data["items"][:4]] == ["critical", "critical", "high", "low"]
    assert (len(data["items"]), data["items_left_out"]) == (NAMED, 103 - NAMED)
    assert (data["declaration_ids"], len(data["finding_ids"])) == (["decl"], 102)
    assert words(told)["title"] == "1 declaration and 102 findings, in one message"


def test_no_more_messages_a_minute_than_the_receiver_may_have():
    standing = Standing()
    for second in range(3):
        assert standing.room(THREE, NOW + timedelta(seconds=second)) == 3 - second
        standing = standing.with_message(NOW + timedelta(seconds=second))
    later = NOW + timedelta(seconds=10)
    assert standing.room(THREE, later) == 0
    assert standing.free_at(THREE, later) == NOW + timedelta(minutes=1)
    assert standing.room(THREE, NOW + timedelta(minutes=1)) == 1
    assert standing.room(THREE, NOW - timedelta(hours=1)) == 3  # the clock was set back
    assert len(standing.with_message(NOW + timedelta(minutes=5)).sent) == 1


def test_a_receiver_that_fails_rests_longer_each_time_and_as_long_as_it_asks():
    standing, rests = Standing(), []
    for _ in range(8):
        standing = standing.after(Again("answered 500", timedelta(seconds=5)), NOW, 0.5)
        rests.append((datetime.fromisoformat(standing.until) - NOW).total_seconds())
    assert rests == [5, 20, 80, 320, *[LONGEST_REST.total_seconds()] * 4]
    assert standing.room(THREE, NOW) == 0
    assert standing.free_at(THREE, NOW) == NOW + LONGEST_REST
    asked = standing.after(Again("answered 429", timedelta(hours=2), timedelta(hours=2)), NOW, 0.5)
    assert asked.free_at(THREE, NOW) == NOW + timedelta(hours=2)
    for step in (Delivered("answered 200"), GivenUp("answered 404", "check url")):
        assert asked.after(step, NOW, 0.5) == Standing()
