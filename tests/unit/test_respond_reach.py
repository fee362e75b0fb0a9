"""Receivers at private addresses are refused, on the address that is connected to, unless they are allowed."""

import socket
import threading
from contextlib import contextmanager
from ipaddress import ip_address, ip_network

import pytest

from connector.respond.deliveries.decision import Answer, NoAnswer
from connector.respond.deliveries.post import Web
from connector.respond.deliveries.reach import Attempt, Forbidden, allowed, is_public
from connector.settings.model import Receiver

HERE = (ip_network("127.0.0.1"),)
QUICK = Web(connect=2, read=5, deadline=1)
REAL = socket.getaddrinfo


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ],
)
def test_addresses_that_are_not_of_the_open_internet(text):
    assert not is_public(ip_address(text))
    assert not allowed(text, ())


@pytest.mark.parametrize("text", ["9.9.9.9", "2606:4700::1111", "::ffff:9.9.9.9", "64:ff9b::909:909"])
def test_public_addresses(text):
    assert is_public(ip_address(text))


def test_networks_of_the_settings_allow_what_lies_in_them_and_nothing_else():
    networks = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert allowed("10.9.9.9", networks)
    assert allowed("::ffff:10.9.9.9", networks)
    assert allowed("fd12::1", networks)
    assert not allowed("192.168.1.1", networks)
    assert not allowed("169.254.169.254", networks)


@contextmanager
def listening(*answers: bytes):
    """Run a server that gives these answers, and counts connections and what came over them."""
    server, seen = socket.create_server(("127.0.0.1", 0)), []

    def serve():
        for answer in answers:
            try:
                connection = server.accept()[0]
                seen.append(connection.recv(65536))
                connection.sendall(answer)
                connection.close()
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1], seen
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def test_a_receiver_at_a_private_address_is_not_connected_to_and_the_words_say_what_to_do():
    with listening(OK) as (port, seen):
        refused = QUICK.post(Receiver("r", f"http://127.0.0.1:{port}/x"), {}, b"{}")
        assert isinstance(refused, NoAnswer)
        assert refused.hopeless
        assert refused.why.startswith("it is at 127.0.0.1, which is no public address: name it in receiver_networks")
        for spelling in ("localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"):
            assert QUICK.post(Receiver("r", f"http://{spelling}:{port}/x"), {}, b"{}").hopeless
        assert seen == []
        assert QUICK.post(Receiver("r", f"http://127.0.0.1:{port}/x", networks=HERE), {}, b"{}") == Answer(200)


def test_a_name_that_changes_its_answer_gains_nothing(monkeypatch):
    """The first answer is checked and connected to; a second look-up, which would lead inside, is not made."""
    asked = []

    def rebinding(host, *rest, **more):
        if host != "rebinding.example":
            return REAL(host, *rest, **more)
        asked.append(host)
        first = len(asked) == 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1" if first else "127.0.0.2", rest[0]))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with listening(OK) as (port, seen):
        receiver = Receiver("r", f"http://rebinding.example:{port}/x", networks=HERE)
        assert QUICK.post(receiver, {}, b"{}") == Answer(200)
        assert asked == ["rebinding.example"]
        assert f"host: rebinding.example:{port}".encode() in seen[0].lower()
        assert QUICK.post(receiver, {}, b"{}").hopeless
    assert len(seen) == 1


def test_of_several_addresses_only_those_that_are_allowed_are_tried(monkeypatch):
    def both(host, port, *rest, **more):
        if host != "both.example":
            return REAL(host, port, *rest, **more)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("10.0.0.1", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with listening(OK) as (port, _):
        assert QUICK.post(Receiver("r", f"http://both.example:{port}/x", networks=HERE), {}, b"{}") == Answer(200)
    with pytest.raises(Forbidden, match=r"10\.0\.0\.1"), Attempt((), 5) as attempt:
        attempt.connect("both.example", 80, 1)


def test_behind_a_proxy_the_name_is_checked_all_the_same(monkeypatch):
    with listening(OK, OK) as (port, seen):
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "")
        assert QUICK.post(Receiver("r", "http://169.254.169.254/latest/meta-data"), {}, b"{}").hopeless
        assert seen == []
        assert QUICK.post(Receiver("r", "http://receiver.invalid/x"), {}, b"{}") == Answer(200)
        assert seen[0].startswith(b"POST http://receiver.invalid/x HTTP/1.1")


def test_headers_that_drip_in_are_left_at_the_deadline():
    server = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip():
        connection = server.accept()[0]
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not stop.wait(0.1):
            try:
                connection.sendall(b"x: y\r\n")
            except OSError:
                break
        connection.close()

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    outcome = QUICK.post(Receiver("r", f"http://127.0.0.1:{server.getsockname()[1]}/", networks=HERE), {}, b"{}")
    stop.set()
    thread.join(5)
    server.close()
    assert outcome == NoAnswer("no answer within 1 s")
