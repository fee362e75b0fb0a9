"""The outbox in a real engine and receivers on loopback: all arrives, once if it can, and what happened is kept."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import Place
from engine.respond_story import install_state, settings_of

from connector.errors import Refused
from connector.respond.declarations.declaration import Evidence, Verdict, declaration_id, declared
from connector.respond.declarations.declare import queue_pending, stored_declaration
from connector.respond.deliveries.claiming import CLAIM, UNKNOWN
from connector.respond.deliveries.delivering import World, deliver, deliver_for
from connector.respond.deliveries.outbox import Delivery, deliveries, next_due
from connector.respond.deliveries.post import Web
from connector.respond.deliveries.receiver import HERE, LoopbackReceiver
from connector.respond.deliveries.replaying import send_again
from connector.respond.deliveries.signature import new_secret
from connector.respond.tags.rules import HuntName
from connector.settings.model import Receiver, Settings

START = datetime(2026, 11, 3, 10, tzinfo=UTC)
TOKEN = "T0ken-in-the-path"
SECRET = new_secret(b"k" * 32)
QUICK = Web(connect=2, read=0.5, deadline=1)


@dataclass
class Clock:
    """A clock that moves when somebody sleeps."""

    moment: datetime = START
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.moment += timedelta(seconds=seconds)

    def world(self, web: Any = QUICK) -> World:
        return World(web, self.now, lambda: 0.5, self.sleep)


def settings_in(place: Place, *receivers: Receiver) -> Settings:
    """Return settings with these receivers; our own indices are there."""
    settings = settings_of(place, receivers=receivers)
    if not place.siem.exists(f"/{settings.state('outbox')}"):
        install_state(place, settings, "declarations", "outbox", "state", "findings")
    return settings


def make_declaration(place: Place, settings: Settings, threat: str = "DNS tunnel", count: int = 5) -> str:
    """Return the id of a declaration that was written and queued."""
    hunt = HuntName("id-1", "dns-tunnel", "Hunt: DNS tunnel")
    evidence = Evidence(hunt, "policy", "10.0.0.7", (), {"2026-11-02": count}, [], [], START, START)
    id = declaration_id(threat, "10.0.0.7")
    verdict = Verdict(threat, "exploitation", "hunt.client.ip", "ana", 'says "hello"')
    place.siem.change(settings.state("declarations"), id, lambda now: declared(now, verdict, evidence, START))
    queue_pending(place.siem, settings, START)
    return id


class Scripted:
    """A receiver that gives these answers in turn, and then 200; `arrived` has the webhook-ids."""

    def __init__(self, *answers: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.answers, self.arrived = list(answers), []

    @contextmanager
    def running(self) -> Iterator[Receiver]:
        owner = self

        class Incoming(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                owner.arrived.append(self.headers["webhook-id"])
                (owner.answers.pop(0) if owner.answers else status(200))(self)
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Incoming)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield Receiver("scripted", f"http://127.0.0.1:{server.server_port}/hooks/{TOKEN}", SECRET, networks=HERE)
        finally:
            server.shutdown()
            server.server_close()


def status(code: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return the answer with a status."""

    def give(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in ({"content-length": "0"} | headers).items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()

    return give


def silence(request: BaseHTTPRequestHandler) -> None:
    """Say nothing for longer than anybody waits."""
    threading.Event().wait(1)


def half(request: BaseHTTPRequestHandler) -> None:
    """Close in the middle of the answer."""
    request.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this")


def outbox(place: Place, settings: Settings) -> Delivery:
    """Return the one delivery in the outbox."""
    (delivery,) = deliveries(place.siem, settings)
    return delivery


def test_each_receiver_gets_each_revision_once_signed_and_whole(place: Place) -> None:
    with LoopbackReceiver("soar") as soar, LoopbackReceiver("chat") as chat:
        settings = settings_in(place, soar.settings, chat.settings)
        id = make_declaration(place, settings)
        assert {delivery.status for delivery in deliver(place.siem, settings, World())} == {"delivered"}
        assert deliver(place.siem, settings, World()) == ()
        make_declaration(place, settings)  # the same evidence
        assert deliver(place.siem, settings, World()) == ()
        make_declaration(place, settings, count=6)
        assert len(deliver(place.siem, settings, World())) == 2
        for receiver in (soar, chat):
            first, second = receiver.received
            assert (first.body["type"], second.body["type"]) == ("declaration.new", "declaration.updated")
            assert first.body["data"]["explanation"] == 'says "hello"'
            assert (first.body["data"]["id"], second.body["data"]["count"]) == (id, 6)
            assert (first.times, second.times) == (1, 1)
        assert len({one.id for receiver in (soar, chat) for one in receiver.received}) == 4
    assert stored_declaration(place.siem, settings, id)["pending"] is False


def test_a_receiver_that_misbehaves_in_every_way_gets_it_in_the_end_and_all_is_recorded(place: Place) -> None:
    scripted = Scripted(status(500), status(429, retry_after="90"), silence, half, status(503, retry_after="1"))
    clock = Clock()
    with scripted.running() as receiver:
        settings = settings_in(place, receiver)
        make_declaration(place, settings)
        deliver_for(place.siem, settings, clock.world(), timedelta(hours=1))
    delivery = outbox(place, settings)
    assert (delivery.status, delivery.attempts, delivery.next) == ("delivered", 6, None)
    assert scripted.arrived == [delivery.id] * 6
    assert [one["why"] for one in delivery.tries] == [
        "answered 500",
        "answered 429",
        "no answer within 0.5 s",
        "closed the connection in the middle of its answer",
        "answered 503",
        "answered 200",
    ]
    assert [round(pause) for pause in clock.slept] == [5, 90, 80, 320, 1280]
    assert next_due(place.siem, settings, receiver) is None


def test_redirects_stay_on_the_same_host_or_are_refused_with_what_to_do(place: Place) -> None:
    other = Scripted()
    with other.running() as elsewhere:
        scripted = Scripted(status(308, location="/moved"), status(200), status(307, location=elsewhere.url))
        with scripted.running() as receiver:
            settings = settings_in(place, receiver)
            make_declaration(place, settings)
            assert [one.status for one in deliver(place.siem, settings, Clock().world())] == ["delivered"]
            make_declaration(place, settings, "other")
            (refused,) = deliver(place.siem, settings, Clock().world())
    assert refused.status == "failed"
    assert "points to another place" in refused.last_word
    assert refused.last_word.endswith("correct the receiver in the settings")
    assert other.arrived == []


def test_an_hour_of_outage_delays_no_other_receiver_and_forgets_nothing(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        down = Receiver("down", f"http://127.0.0.1:{closed.getsockname()[1]}/hooks", SECRET, networks=HERE)
    clock, up = Clock(), Scripted()
    with up.running() as receiver:
        settings = settings_in(place, down, receiver)
        for threat in ("one", "two", "three"):
            make_declaration(place, settings, threat)
        deliver_for(place.siem, settings, clock.world(), timedelta(hours=1))
        assert len(up.arrived) == 3
        waiting = [one for one in deliveries(place.siem, settings) if one.status == "waiting"]
        assert len(waiting) == 3
        assert {one.last_word for one in waiting if one.tries} == {"no connection: Connection refused"}
        back = Scripted()
        with back.running() as answering:
            settings = replace(settings, receivers=(replace(answering, name="down"), receiver))
            deliver_for(place.siem, settings, clock.world(), timedelta(hours=8))
        assert sorted(back.arrived) == sorted(one.id for one in waiting)
        assert len(up.arrived) == 3


def test_the_last_attempt_fails_with_what_to_do_and_can_be_sent_again(place: Place) -> None:
    scripted, clock = Scripted(*[status(500)] * 10), Clock()
    with scripted.running() as receiver:
        settings = settings_in(place, receiver)
        make_declaration(place, settings)
        deliver_for(place.siem, settings, clock.world(), timedelta(days=3))
        failed = outbox(place, settings)
        assert (failed.status, failed.attempts, len(failed.tries)) == ("failed", 10, 10)
        assert failed.last_word.startswith("answered 500, at the last of 10 attempts: see that the receiver is up")
        assert deliver(place.siem, settings, clock.world()) == ()
        send_again(place.siem, settings, failed.id, clock.now())
        assert [one.status for one in deliver(place.siem, settings, clock.world())] == ["delivered"]
        assert len(outbox(place, settings).tries) == 11
        with pytest.raises(Refused, match="is delivered: only one that waits or has failed"):
            send_again(place.siem, settings, failed.id, clock.now())
        with pytest.raises(Refused, match="there is no delivery msg_x"):
            send_again(place.siem, settings, "msg_x", clock.now())


@pytest.mark.parametrize(
    ("template", "secret", "words"),
    [
        ('{"text": {{ declaration.nothing }}}', SECRET, "own.j2:1: "),
        ('{"text": {{ declaration.threat }}', SECRET, "own.j2: the body it makes is no JSON"),
        ('{"text": "{{ declaration.threat }}"}', "whsec_no base64", "the signing secret is not whsec_ and base64"),
    ],
)
def test_a_template_or_secret_that_is_wrong_is_said_and_sends_nothing(
    place: Place, tmp_path: Path, template: str, secret: str, words: str
) -> None:
    (tmp_path / "own.j2").write_text(template)
    scripted = Scripted()
    with scripted.running() as receiver:
        settings = settings_in(place, replace(receiver, template=tmp_path / "own.j2", secret=secret))
        make_declaration(place, settings)
        (failed,) = deliver(place.siem, settings, Clock().world())
        assert failed.status == "failed"
        assert words in failed.last_word
        assert scripted.arrived == []


def test_no_secret_is_stored(place: Place) -> None:
    def echo(request: BaseHTTPRequestHandler) -> None:
        content = f"no hook {request.path} for {SECRET}".encode()
        request.send_response(400)
        request.send_header("content-length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    with Scripted(echo).running() as receiver:
        settings = settings_in(place, receiver)
        make_declaration(place, settings)
        (failed,) = deliver(place.siem, settings, Clock().world())
    assert failed.last_word.startswith("answered 400 (no hook … for …)")
    text = json.dumps([hit["_source"] for hit in place.siem.scan(f"{place.prefix}*", {"query": {"match_all": {}}})])
    assert TOKEN not in text
    assert SECRET not in text
    assert SECRET.removeprefix("whsec_") not in text


def test_text_of_events_arrives_as_text(place: Place, tmp_path: Path) -> None:
    evil = '"}, "evil": {"a": "{{ 7*7 }}\\\n\u2028'
    (tmp_path / "chat.j2").write_text('{"text": "Threat {{ declaration.threat }} at {{ declaration.asset.value }}"}')
    with LoopbackReceiver("chat") as chat, LoopbackReceiver("soar") as soar:
        settings = settings_in(place, replace(chat.settings, template=tmp_path / "chat.j2"), soar.settings)
        make_declaration(place, settings, evil)
        deliver(place.siem, settings, World())
        shown = " ".join(evil.split())
        assert chat.received[0].body == {"text": f"Threat {shown} at 10.0.0.7"}
        assert soar.received[0].body["data"]["threat"] == shown


KILLED = """
import os, signal, sys
from connector.respond.deliveries.delivering import World, deliver
from connector.respond.deliveries.post import Web
from connector.respond.deliveries.receiver import HERE
from connector.settings.model import Receiver, SiemSettings
from connector.siem.client import Siem
from engine.respond_story import settings_of
from conftest import Place

class Last:
    def post(self, receiver, headers, body):
        if sys.argv[5] == "after":
            Web().post(receiver, headers, body)
        os.kill(os.getpid(), signal.SIGKILL)

url, prefix, address, secret = sys.argv[1:5]
siem = Siem.connect(SiemSettings(urls=(url,)))
settings = settings_of(Place(siem, prefix, url), receivers=(Receiver("r", address, secret, networks=HERE),))
deliver(siem, settings, World(Last()))
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_around_the_post_it_is_sent_again_under_the_same_id(place: Place, when: str) -> None:
    with LoopbackReceiver("r") as receiver:
        settings = settings_in(place, receiver.settings)
        make_declaration(place, settings)
        arguments = [place.url, place.prefix, receiver.url, receiver.secret, when]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
        killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], env=environment, check=False)
        assert killed.returncode == -signal.SIGKILL
        assert deliver(place.siem, settings, World()) == ()  # it may be on its way still
        assert outbox(place, settings).last_word == UNKNOWN
        later = World(now=lambda: datetime.now(UTC) + CLAIM)
        assert [one.status for one in deliver(place.siem, settings, later)] == ["delivered"]
        (received,) = receiver.received
        assert received.times == (2 if when == "after" else 1)
        assert [one["why"] for one in outbox(place, settings).tries] == [UNKNOWN, "answered 200"]


def test_two_programs_at_once_send_each_delivery_once(place: Place) -> None:
    with LoopbackReceiver("r") as receiver:
        settings = settings_in(place, receiver.settings)
        ids = {make_declaration(place, settings, f"threat {n}") for n in range(20)}
        threads = [threading.Thread(target=deliver, args=(place.siem, settings, World())) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {one.body["data"]["id"] for one in receiver.received} == ids
        assert {one.times for one in receiver.received} == {1}


def test_killed_between_declaring_and_queueing_the_next_run_queues_it(place: Place, monkeypatch) -> None:
    with LoopbackReceiver("r") as receiver:
        settings = settings_in(place, receiver.settings)
        with monkeypatch.context() as patch:
            patch.setattr(sys.modules[__name__], "queue_pending", lambda *_: 0)
            make_declaration(place, settings)
        assert deliveries(place.siem, settings) == ()
        assert queue_pending(place.siem, settings, START) == 1
        assert queue_pending(place.siem, settings, START) == 0
        assert [one.status for one in deliver(place.siem, settings, World())] == ["delivered"]


def test_a_receiver_that_left_the_settings_keeps_its_deliveries_waiting(place: Place) -> None:
    with LoopbackReceiver("r") as receiver:
        settings = settings_in(place, receiver.settings)
        make_declaration(place, settings)
        assert deliver(place.siem, replace(settings, receivers=()), World()) == ()
        assert outbox(place, settings).status == "waiting"


def test_elasticsearch_7_too(elasticsearch7: str) -> None:
    from conftest import _place

    for place in _place(elasticsearch7):
        with LoopbackReceiver("r") as receiver:
            settings = settings_in(place, receiver.settings)
            make_declaration(place, settings)
            assert [one.status for one in deliver(place.siem, settings, World())] == ["delivered"]
            assert len(receiver.received) == 1
