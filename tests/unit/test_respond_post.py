"""The POST itself, against servers on loopback that behave badly, and the receiver of our own."""

import socket
import threading
from contextlib import contextmanager

from certified import certified_in

from connector.respond.deliveries.decision import Answer, NoAnswer
from connector.respond.deliveries.post import Web, shown_address
from connector.respond.deliveries.receiver import HERE, LoopbackReceiver
from connector.respond.deliveries.signature import webhook_headers
from connector.settings.model import Receiver

QUICK = Web(connect=2, read=0.5, deadline=1)
TOKEN = "T0ken-in-the-path"
BODY = b'{"a": 1}'
HEADERS = {"webhook-id": "msg_1"}


@contextmanager
def server(*answers: bytes, wrap=lambda connection: connection, keep_open=False):
    """Run a server that gives these answers, one a connection, and notes what it was sent."""
    listening = socket.create_server(("127.0.0.1", 0))
    requests, held = [], []

    def serve():
        for answer in answers:
            try:
                connection = wrap(listening.accept()[0])
                requests.append(read_request(connection))
                connection.sendall(answer)
            except OSError:
                continue
            held.append(connection)
            if not keep_open:
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1], requests
    finally:
        listening.shutdown(socket.SHUT_RDWR)  # or a thread that waits for a connection goes on waiting
        listening.close()
        for connection in held:
            connection.close()
        thread.join(5)


def read_request(connection) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got or not got.endswith(BODY):
        if not (part := connection.recv(65536)):
            break
        got += part
    return got


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def post(port: int, web=QUICK, **more):
    return web.post(
        Receiver("r", f"http://127.0.0.1:{port}/hooks/{TOKEN}?k={TOKEN}", networks=HERE, **more), HEADERS, BODY
    )


def test_a_post_is_sent_whole_with_our_headers():
    with server(answer(204)) as (port, requests):
        assert post(port) == Answer(204)
    head, body = requests[0].split(b"\r\n\r\n")
    assert head.startswith(f"POST /hooks/{TOKEN}?k={TOKEN} HTTP/1.1".encode())
    assert b"webhook-id: msg_1" in head
    assert b"content-type: application/json" in head.lower()
    assert b"authorization" not in head.lower()
    assert body == BODY


def test_refusals_come_back_with_their_words_and_nothing_of_the_address():
    said = f"no hook /hooks/{TOKEN} \x1b[31m {'x' * 500}".encode()
    with server(answer(500, said), answer(429, retry_after="90")) as (port, _):
        failed = post(port)
        assert isinstance(failed, Answer)
        assert (failed.status, TOKEN in failed.words, len(failed.words)) == (500, False, 200)
        assert failed.words.startswith("no hook …")
        limited = post(port)
        assert (limited.status, limited.retry_after.total_seconds()) == (429, 90)


def test_no_answer_and_half_an_answer():
    half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this"
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"
    with server(b"", half, chunked, b"garbage\r\n\r\n") as (port, _):
        assert post(port) == NoAnswer("closed the connection without an answer")
        assert post(port) == NoAnswer("closed the connection in the middle of its answer")
        assert post(port) == NoAnswer("closed the connection in the middle of its answer")
        assert post(port) == NoAnswer("closed the connection without an answer")


def test_silence_and_dripping_end_in_time():
    with server(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx", b"", keep_open=True) as (port, _):
        assert post(port) == NoAnswer("no answer within 0.5 s")
        assert post(port) == NoAnswer("no answer within 0.5 s")


def test_an_endless_answer_is_not_read_to_its_end():
    with server(answer(200, b"x" * 3_000_000)) as (port, _):
        assert post(port) == Answer(200)


def test_nobody_there_and_nowhere():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert post(port) == NoAnswer("no connection: Connection refused")
    gone = QUICK.post(Receiver("r", "https://receiver.invalid/hooks"), HEADERS, BODY)
    assert gone == NoAnswer("its host name is not known")


def test_a_redirect_is_followed_only_where_it_stays_the_same_post_to_the_same_host():
    with server(answer(307, location="/new"), answer(200)) as (port, requests):
        assert post(port) == Answer(200)
    assert requests[1].startswith(b"POST /new HTTP/1.1")
    assert requests[1].endswith(BODY)
    with (
        server(answer(200)) as (other, reached),
        server(answer(307, location=f"http://127.0.0.1:{other}/x")) as (port, _),
    ):
        refused = post(port)
        assert isinstance(refused, NoAnswer)
        assert refused.hopeless
        assert f"points to another place, http://127.0.0.1:{other}/…" in refused.why
        assert reached == []
    with server(answer(302, location="/new")) as (port, _):
        assert "set the final address" in post(port).why
    with server(*[answer(308, location="/round")] * 5) as (port, requests):
        assert post(port).hopeless
        assert len(requests) == 4


def test_a_certificate_nobody_vouches_for_is_refused_and_a_known_one_taken(tmp_path):
    context, certificate = certified_in(tmp_path)

    def secured(connection):
        return context.wrap_socket(connection, server_side=True)

    with server(answer(200), answer(200), wrap=secured) as (port, requests):
        url = f"https://127.0.0.1:{port}/hooks/{TOKEN}"
        refused = QUICK.post(Receiver("r", url, networks=HERE), HEADERS, BODY)
        assert isinstance(refused, NoAnswer)
        assert refused.why.startswith("its certificate is not accepted: self-signed certificate")
        assert requests == []
        assert QUICK.post(Receiver("r", url, ca_file=str(certificate), networks=HERE), HEADERS, BODY) == Answer(200)


def test_addresses_are_shown_without_what_can_be_secret():
    assert shown_address(f"https://user:pw@h.example:8443/hooks/{TOKEN}?k=1") == "https://h.example:8443/…"
    assert shown_address("http://[::1]:8/") == "http://[::1]:8"
    assert shown_address("https://h.example?token=1") == "https://h.example/…"


def test_our_own_receiver_takes_what_is_signed_and_each_id_once():
    with LoopbackReceiver() as receiver:
        import time

        now = int(time.time())
        for id, body in (("msg_1", b'{"n": 1}'), ("msg_1", b'{"n": 1}'), ("msg_2", b'{"n": 2}')):
            assert Web().post(receiver.settings, webhook_headers(receiver.secret, id, now, body), body) == Answer(200)
        forged = webhook_headers("whsec_AAAA", "msg_3", now, BODY)
        assert Web().post(receiver.settings, forged, BODY).status == 401
        assert Web().post(receiver.settings, {"webhook-id": "x"}, BODY).status == 401
        not_json = webhook_headers(receiver.secret, "msg_4", now, b"{")
        assert Web().post(receiver.settings, not_json, b"{").status == 400
        assert [(one.id, one.body["n"], one.times) for one in receiver.wait(2, 5)] == [("msg_1", 1, 2), ("msg_2", 2, 1)]
