"""Storms, outages and slow receivers: few messages, nobody waits for another, and each event arrives under one id."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conftest import Place
from engine.delivery_kills import kill_deliveries
from engine.receivers import Keeping, status
from engine.storms import BOTH, QUICK, START, Clock, by_status, put_findings, queued, settings_in

from connector.cli import run
from connector.errors import Refused
from connector.respond.deliveries.claiming import CLAIM
from connector.respond.deliveries.delivering import World, deliver, deliver_for
from connector.respond.deliveries.new_findings import queue_findings
from connector.respond.deliveries.outbox import Delivery, deliveries, list_deliveries
from connector.respond.deliveries.replaying import send_again
from connector.service.deliveries import Deliveries


def test_ten_thousand_findings_at_once_are_a_few_messages_and_none_is_lost(place: Place) -> None:
    keeping, clock = Keeping(), Clock()
    ids = [f"f{n:05}" for n in range(10_000)]
    with keeping.running(events=("finding",), messages_per_minute=5) as receiver:
        settings = settings_in(place, receiver)
        put_findings(place, settings, ids)
        assert queue_findings(place.siem, settings, START) == 10_000
        assert queue_findings(place.siem, settings, START) == 0
        sent = deliver(place.siem, settings, clock.world())
    assert len(sent) == 10_000
    assert {one.status for one in sent} == {"delivered"}
    assert len(keeping.came) == 5
    told = keeping.told("finding")
    assert set(told) == set(ids)
    assert all(len(messages) == 1 for messages in told.values())
    (digest,) = (body for _, body in keeping.came if body["type"] == "digest")
    assert (digest["data"]["findings"], digest["data"]["items_left_out"]) == (9_996, 9_981)
    assert by_status(place, settings) == {"delivered": 10_000}


def test_findings_that_are_new_and_grave_enough_are_told_once_also_those_that_show_late(each_place: Place) -> None:
    keeping, clock = Keeping(), Clock()
    with keeping.running(events=BOTH, severity="medium") as receiver:
        settings = settings_in(each_place, receiver)

        def told() -> list[str]:
            deliver_for(each_place.siem, settings, clock.world(), timedelta())
            return sorted(keeping.told("finding"))

        put_findings(each_place, settings, ["old"], START - timedelta(days=2))
        put_findings(each_place, settings, ["low"], severity="low")
        put_findings(each_place, settings, ["a", "b"], severity="critical")
        assert told() == ["a", "b"]
        clock.sleep(120)
        put_findings(each_place, settings, ["c"], clock.now(), "medium")
        put_findings(each_place, settings, ["late"], START - timedelta(minutes=30))
        assert told() == ["a", "b", "c", "late"]
        put_findings(each_place, settings, ["a", "c"], clock.now())  # grown: not new
        assert told() == ["a", "b", "c", "late"]
        (message,) = keeping.taken[next(iter(keeping.told("finding")["c"]))]
    assert message["type"] == "finding.new"
    assert message["data"]["hunt"]["severity"] == "medium"
    assert message["data"]["group"] == {"hunt.client.ip": "10.0.0.7"}
    assert message["data"]["department"] == ["Sales"]
    assert len(keeping.came) == 4


def test_a_message_of_many_that_fails_goes_again_as_the_same_message(each_place: Place) -> None:
    keeping = Keeping(answers=[status(500)])
    clock = Clock()
    with keeping.running(messages_per_minute=1) as receiver:
        settings = settings_in(each_place, receiver)
        queued(each_place, settings, *(f"d{n}" for n in range(30)))
        assert {one.status for one in deliver(each_place.siem, settings, clock.world())} == {"waiting"}
        queued(each_place, settings, "later", now=clock.now())
        assert deliver(each_place.siem, settings, clock.world()) == ()  # it rests
        deliver_for(each_place.siem, settings, clock.world(), timedelta(hours=1))
    first, alone, again = keeping.came
    assert first == again
    assert alone[1]["data"]["id"] == "later"  # it was due before
    assert {id for ids in keeping.told().values() for id in ids} == {first[0], alone[0]}
    assert set(keeping.told()) == {"later", *(f"d{n}" for n in range(30))}
    assert by_status(each_place, settings) == {"delivered": 31}
    found = list_deliveries(each_place.siem, settings, group=first[0], limit=10)
    assert (len(found.deliveries), found.left_out) == (10, 20)
    assert {len(one.tries) for one in found.deliveries} == {2}


def test_what_was_given_up_is_kept_and_all_of_it_can_be_sent_again_under_the_same_id(place: Place) -> None:
    keeping = Keeping(answers=[status(404)] * 3)
    clock = Clock()
    with keeping.running(messages_per_minute=3) as receiver:
        settings = settings_in(place, receiver)
        queued(place, settings, *(f"d{n}" for n in range(12)))
        sent = deliver(place.siem, settings, clock.world())
        assert {one.status for one in sent} == {"failed"}
        assert by_status(place, settings) == {"failed": 12}
        group = next(one for one in sent if one.group)
        send_again(place.siem, settings, group.id, clock.now())
        assert by_status(place, settings) == {"failed": 2, "waiting": 10}
        clock.sleep(61)
        assert len(deliver(place.siem, settings, clock.world())) == 10
        assert (keeping.came[3][0], keeping.came[3][1]) == keeping.came[2]
        with pytest.raises(Refused, match="is delivered"):
            send_again(place.siem, settings, group.id, clock.now())
    assert by_status(place, settings) == {"failed": 2, "delivered": 10}


def test_a_receiver_that_says_when_is_left_alone_altogether_and_the_others_are_not(place: Place) -> None:
    busy, free, clock = Keeping("busy", [status(429, retry_after="600")]), Keeping("free"), Clock()
    with busy.running() as one, free.running() as other:
        settings = settings_in(place, one, other)
        queued(place, settings, *(f"d{n}" for n in range(5)))
        for _ in range(10):
            deliver(place.siem, settings, clock.world())
            clock.sleep(50)
        assert (len(busy.came), len(free.came)) == (1, 5)
        clock.sleep(101)
        deliver(place.siem, settings, clock.world())
    assert len(busy.came) == 6
    assert busy.told() == {key: {next(iter(ids)).replace("free", "busy")} for key, ids in free.told().items()}


def test_an_hour_of_outage_in_a_storm_is_over_when_it_is_over(place: Place) -> None:
    down, up, clock = Keeping("down"), Keeping("up"), Clock()
    with down.running():
        pass  # it has a port, and nobody listens there
    with up.running(messages_per_minute=4) as other:
        settings = settings_in(place, down.settings(messages_per_minute=4), other)
        queued(place, settings, *(f"d{n:03}" for n in range(100)))
        end = clock.now() + timedelta(hours=1)
        while clock.now() < end:
            deliver(place.siem, settings, clock.world())
            clock.sleep(240)
        assert len(up.told()) == 100
        assert len(up.came) == 4
        assert by_status(place, settings, "down") == {"waiting": 100}
        with down.running():
            deliver_for(place.siem, settings, clock.world(), timedelta(hours=6))
    told = down.told()
    assert len(told) == 100
    assert all(len(messages) == 1 for messages in told.values())
    assert len(down.came) < 30
    assert by_status(place, settings) == {"delivered": 200}


def slowly(gate: threading.Event) -> Any:
    """Return an answer that is not given before the gate opens."""

    def give(request: Any) -> None:
        gate.wait(15)
        status(200)(request)

    return give


def test_a_slow_receiver_delays_no_other(place: Place) -> None:
    """The slow ones answer only once the quick one has everything: had it to wait for them, that would never be."""
    gate = threading.Event()
    slow = [Keeping(f"slow{n}", always=slowly(gate)) for n in range(10)]
    quick = Keeping("quick")
    with ExitStack() as running:
        receivers = [running.enter_context(one.running()) for one in (*slow, quick)]
        settings = settings_in(place, *receivers)
        queued(place, settings, "a", "b", "c")
        thread = threading.Thread(target=deliver, args=(place.siem, settings, World(QUICK)))
        thread.start()
        assert quick.wait(lambda: len(quick.taken) == 3, 12)
        assert not any(one.taken for one in slow)
        gate.set()
        thread.join(60)
    assert all(len(one.taken) == 3 for one in slow)


@pytest.fixture
def troubles() -> Iterator[list[Exception]]:
    found: list[Exception] = []
    yield found
    assert found == []


def test_in_the_service_too_and_receivers_come_and_go(place: Place, troubles: list[Exception]) -> None:
    gate = threading.Event()
    slow, quick, new = Keeping("slow", always=slowly(gate)), Keeping("quick"), Keeping("new")
    told: list[Delivery] = []
    with slow.running() as one, quick.running(events=BOTH) as two, new.running() as three:
        now = datetime.now(UTC)
        settings = settings_in(place, one, two)
        queued(place, settings, "a", now=now)
        with Deliveries(place.siem, lambda: settings, told.extend, troubles.append, World(QUICK), seconds=0.2):
            assert quick.wait(lambda: len(quick.taken) == 1, 10)
            put_findings(place, settings, ["f"], now)
            assert quick.wait(lambda: "f" in quick.told("finding"), 10)
            settings = replace(settings, receivers=(one, three))
            queued(place, replace(settings, receivers=(three, two)), "b", now=now)
            assert new.wait(lambda: len(new.taken) == 1, 10)
            assert slow.taken == {}
            gate.set()
            assert slow.wait(lambda: len(slow.taken) == 1, 20)
        assert len(quick.taken) == 2  # it has left the settings: b is kept for it
    assert by_status(place, settings) == {"delivered": 4, "waiting": 1}
    assert {one.receiver for one in told} <= {"slow", "quick", "new"}


def test_the_commands_list_show_and_send_again(place: Place, tmp_path: Any, capsys: Any) -> None:
    keeping = Keeping(answers=[status(404)] * 2)
    with keeping.running() as receiver:
        settings = settings_in(place, receiver)
        (tmp_path / "hunts.yml").write_text(
            f"siem: {{url: '{place.url}'}}\nprefix: {place.prefix}\n"
            f"receivers: [{{name: keeping, url: '{receiver.url}', networks: [127.0.0.1]}}]\n"
        )

        def hunts(*words: str) -> tuple[int, str]:
            code = run(["--settings", str(tmp_path / "hunts.yml"), *words])
            return code, capsys.readouterr().out

        queued(place, settings, "a", "b", now=datetime.now(UTC))
        assert hunts("deliver")[0] == 7
        assert hunts("outbox", "--status", "delivered") == (0, "no deliveries yet, or none like that\n")
        code, listed = hunts("outbox", "--status", "failed", "--receiver", "keeping", "--json")
        assert (code, listed.count('"answered 404"')) == (0, 2)
        code, page = hunts("outbox", "show", "msg_a_keeping")
        assert code == 0 and "threat a at 10.0.0.7" in page and "there is nothing at this address" in page
        assert hunts("outbox", "retry")[0] == 2
        assert hunts("outbox", "retry", "msg_a_keeping")[0] == 0
        assert hunts("outbox", "retry", "--all")[0] == 0
        assert hunts("outbox", "retry", "--all")[0] == 6
        assert hunts("outbox", "show", "msg_nothing")[0] == 6
    assert set(keeping.taken) == {"msg_a_keeping", "msg_b_keeping"}


def test_a_claim_that_ran_out_goes_again_with_the_whole_group(place: Place) -> None:
    """Killed after the message was sent and before anything was recorded; then half of it is recorded."""

    class Last:
        def post(self, *given: Any) -> Any:
            QUICK.post(*given)
            raise KeyboardInterrupt

    keeping, clock = Keeping(), Clock()
    with keeping.running(messages_per_minute=2) as receiver:
        settings = settings_in(place, receiver)
        queued(place, settings, *(f"d{n}" for n in range(10)))
        deliver(place.siem, settings, clock.world())
        with pytest.raises(KeyboardInterrupt):
            clock.sleep(61)
            queued(place, settings, *(f"e{n}" for n in range(10)), now=clock.now())
            settings = replace(settings, receivers=(replace(receiver, messages_per_minute=1),))
            deliver(place.siem, settings, clock.world(Last()))
        index = settings.state("outbox")
        (sent,) = {one.group for one in deliveries(place.siem, settings) if one.status == "sending"}
        place.siem.change(index, "msg_e0_keeping", lambda now: {**(now or {}), "status": "delivered", "next": None})
        clock.sleep(CLAIM.total_seconds())
        deliver_for(place.siem, settings, clock.world(), timedelta(hours=1))
    assert [id for id, _ in keeping.came].count(sent) == 2
    bodies = keeping.taken[sent]
    assert bodies[0] == bodies[1]
    assert by_status(place, settings) == {"delivered": 20}


def test_killed_at_random_moments_each_event_arrives_under_one_id(place: Place) -> None:
    done = kill_deliveries(place, kills=10, seed=7)
    assert done.wrong == []
    assert done.kills == 10
