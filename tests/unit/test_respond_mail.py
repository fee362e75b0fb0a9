"""Mails over SMTP, against a small server on loopback that behaves well and badly."""

import email
import email.policy
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from certified import certified_in

from connector.respond.deliveries.decision import Answer, NoAnswer, next_step
from connector.respond.deliveries.delivering import World, attempt
from connector.respond.deliveries.mail import Mail
from connector.settings.model import MailAccount, Receiver

NOW = datetime(2026, 11, 3, 10, tzinfo=UTC)
HERE = (ip_network("127.0.0.1"),)
QUICK = Mail(timeout=2, deadline=3)
PASSWORD = "not-for-eyes"
EVIL = "x\r\nBcc: victim@example.org\r\n\r\n<script>alert(1)</script> {{ 7*7 }} \x1b[31m"
MESSAGE = {
    "type": "declaration.new",
    "timestamp": "2026-11-03T10:00:00.000Z",
    "declaration": {"id": "d1", "threat": EVIL, "asset": {"field": "f", "value": "10.0.0.7"}, "kind": "policy"},
}


@dataclass
class Server:
    """An SMTP server that takes mails; `replies` are given in place of its own to these commands."""

    context: ssl.SSLContext | None = None
    implicit: bool = False
    replies: dict[str, str] = field(default_factory=dict)
    mails: list[tuple[list[str], bytes]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[int]:
        listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, args=(listening,), daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            listening.close()

    def _serve(self, listening: socket.socket) -> None:
        while True:
            try:
                self._talk(listening.accept()[0])
            except ssl.SSLError:
                continue
            except OSError:
                if listening.fileno() < 0:
                    return

    def _talk(self, connection: socket.socket) -> None:
        secured = self.implicit
        if self.implicit:
            connection = self.context.wrap_socket(connection, server_side=True)
        lines = connection.makefile("rb")
        to: list[str] = []
        if "CONNECT" in self.replies and self.replies["CONNECT"] == "silence":
            threading.Event().wait(6)
        connection.sendall(b"220 here\r\n")
        while line := lines.readline().decode().strip():
            self.said.append(line)
            word = line.split(" ")[0].upper()
            if (reply := self.replies.get(word)) is not None:
                if reply == "close":
                    break
                connection.sendall(f"{reply}\r\n".encode())
            elif word == "EHLO":
                offered = ["here", "AUTH PLAIN"] + (["STARTTLS"] if self.context and not secured else [])
                connection.sendall("".join(f"250-{each}\r\n" for each in offered).encode() + b"250 SIZE 1000000\r\n")
            elif word == "STARTTLS":
                connection.sendall(b"220 go on\r\n")
                connection = self.context.wrap_socket(connection, server_side=True)
                lines, secured = connection.makefile("rb"), True
            elif word == "AUTH":
                connection.sendall(b"235 welcome\r\n")
            elif word == "RCPT":
                to.append(line.partition("<")[2].partition(">")[0])
                connection.sendall(b"550 unknown\r\n" if "nobody" in line else b"250 fine\r\n")
            elif word == "DATA":
                connection.sendall(b"354 go on\r\n")
                content = b""
                while (part := lines.readline()) not in (b".\r\n", b""):
                    content += part
                self.mails.append((to, content))
                connection.sendall(f"{self.replies.get('TAKEN', '250 taken')}\r\n".encode())
            else:
                connection.sendall(b"250 fine\r\n" if word != "QUIT" else b"221 bye\r\n")
        connection.close()


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    """Return what a server needs for TLS, and the file of the authority that vouches for it."""
    return certified_in(tmp_path_factory.mktemp("tls"))


def receiver(port: int, scheme: str = "smtp", ca_file: str | None = None, **account: Any) -> Receiver:
    known = MailAccount("hunts@example.org", ("soc@example.org",), "hunts", PASSWORD)
    url = f"{scheme}://127.0.0.1:{port}"
    return Receiver("people", url, kind="mail", networks=HERE, ca_file=ca_file, mail=replace(known, **account))


def told(to: Receiver, message: dict[str, Any] = MESSAGE, mail: Mail = QUICK) -> Any:
    return attempt("msg_1", message, to, World(now=lambda: NOW, mail=mail))


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_mail_goes_over_verified_tls_with_a_login_as_text_and_html(certified, scheme):
    context, ca_file = certified
    server = Server(context, implicit=scheme == "smtps")
    with server.running() as port:
        assert told(receiver(port, scheme, ca_file)) == Answer(250)
    ((to, content),) = server.mails
    mail = email.message_from_bytes(content, policy=email.policy.default)
    assert to == ["soc@example.org"]
    assert (mail["from"], mail["to"], mail["date"].datetime) == ("hunts@example.org", "soc@example.org", NOW)
    assert mail["message-id"] == "<msg_1@guided-hunts.invalid>"
    assert mail.get_body(("plain",)) and mail.get_body(("html",))
    if scheme == "smtp":
        assert server.said.index("STARTTLS") < next(n for n, line in enumerate(server.said) if line.startswith("AUTH"))


def test_what_attackers_write_is_no_header_no_markup_and_no_line_of_its_own(certified):
    context, ca_file = certified
    server = Server(context)
    with server.running() as port:
        told(receiver(port, "smtp", ca_file))
    ((_, content),) = server.mails
    mail = email.message_from_bytes(content, policy=email.policy.default)
    assert mail["bcc"] is None
    assert mail["subject"].startswith("[medium] x Bcc: victim@example.org <script>")
    text, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "\nBcc:" not in text.replace("\r", "\n")
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ 7*7 }}" in html
    assert "\x1b" not in text + html
    assert "[medium]" in mail["subject"]


def test_a_certificate_nobody_vouches_for_is_refused_before_anything_is_said(certified):
    context, _ = certified
    for scheme in ("smtp", "smtps"):
        server = Server(context, implicit=scheme == "smtps")
        with server.running() as port:
            refused = told(receiver(port, scheme))
        assert isinstance(refused, NoAnswer)
        assert refused.why.startswith("its certificate is not accepted: self-signed certificate")
        assert server.mails == []
        assert not any(line.startswith(("AUTH", "MAIL")) for line in server.said)


def test_without_tls_a_mail_goes_to_this_machine_only(monkeypatch):
    server = Server()
    with server.running() as port:
        assert told(receiver(port, username=None, password=None)) == Answer(250)
        # the same server under another machine's name
        real = socket.getaddrinfo
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, *a, **k: real("127.0.0.1" if host == "mail.example" else host, *a, **k)
        )
        elsewhere = replace(receiver(port), url=f"smtp://mail.example:{port}")
        refused = told(elsewhere)
        assert isinstance(refused, NoAnswer)
        assert refused.hopeless
        assert "STARTTLS" in refused.why
    assert len(server.mails) == 1


def test_a_mail_server_at_a_private_address_must_be_allowed():
    server = Server()
    with server.running() as port:
        refused = told(replace(receiver(port), networks=()))
        assert refused.hopeless
        assert "receiver_networks" in refused.why
    assert server.said == []


@pytest.mark.parametrize(
    ("replies", "words", "hopeless"),
    [
        ({"MAIL": "451 try later"}, "answered 451 (try later)", False),
        ({"TAKEN": "452 too many mails"}, "answered 452 (too many mails)", False),
        ({"TAKEN": "554 spam"}, "answered 554 (spam)", True),
        ({"RCPT": "450 greylisted"}, "answered 450 (greylisted)", False),
        ({"RCPT": "550 no such user"}, "answered 550 (no such user)", True),
        ({"AUTH": f"535 wrong: {PASSWORD}"}, "answered 535 (wrong: …)", True),
        ({"DATA": "close"}, "closed", False),
    ],
)
def test_what_a_server_refuses_is_tried_again_if_it_says_so(replies, words, hopeless):
    server = Server(replies=replies)
    with server.running() as port:
        outcome = told(receiver(port))
    assert isinstance(outcome, NoAnswer)
    assert words in outcome.why
    assert PASSWORD not in outcome.why
    assert outcome.hopeless == hopeless


def test_a_silent_server_and_none_at_all():
    server = Server(replies={"CONNECT": "silence"})
    with server.running() as port:
        assert "in time" in told(receiver(port)).why
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert told(receiver(port)) == NoAnswer("no connection: Connection refused")


def test_some_recipients_refused_is_delivered_and_says_for_whom_it_was_not():
    server = Server()
    with server.running() as port:
        outcome = told(receiver(port, to=("soc@example.org", "nobody@example.org")))
    assert next_step(outcome, 1, 0.5).why == "answered 250 (not taken for nobody@example.org)"
    assert server.mails[0][0] == ["soc@example.org", "nobody@example.org"]


def test_the_mails_templates_are_shipped():
    folder = Path(__file__).parents[2] / "connector" / "respond" / "deliveries" / "bodies"
    assert (folder / "mail.txt.j2").is_file() and (folder / "mail.html.j2").is_file()
