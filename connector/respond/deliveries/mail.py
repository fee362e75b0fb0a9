"""Tells a receiver by mail over SMTP, in plain text and in HTML.

Promises: TLS is verified, and without TLS nothing is sent, to this machine aside; only addresses that the receiver may
have are connected to; text of events is one line in a header, text in the text, escaped in the HTML; what is sent again
has the same Message-ID, so that mail programs show it once. Will not: retry, or raise because a server misbehaves.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from connector.respond.deliveries.body import BODIES
from connector.respond.deliveries.decision import Answer, NoAnswer, Outcome
from connector.respond.deliveries.post import causes, connection_words
from connector.respond.deliveries.reach import Attempt, Forbidden
from connector.respond.deliveries.redaction import redacted
from connector.respond.deliveries.wording import line
from connector.settings.model import MailAccount, Receiver

TIMEOUT, DEADLINE = 15.0, 60.0
PORTS = {"smtp": 587, "smtps": 465}
WORDS = 200
DOMAIN = "guided-hunts.invalid"  # RFC 2606: of nobody, as Message-IDs of ours need no more

_HTML, _TEXT = (
    ImmutableSandboxedEnvironment(autoescape=escaping, undefined=StrictUndefined) for escaping in (True, False)
)


@dataclass(frozen=True)
class Mail:
    """The real mail servers; the time-outs are in seconds."""

    timeout: float = TIMEOUT
    deadline: float = DEADLINE

    def send(self, receiver: Receiver, account: MailAccount, mail: EmailMessage) -> Outcome:
        """Return what the receiver's server answered to a mail, or why it did not take it."""
        with Attempt(receiver.networks, self.deadline) as attempt:
            try:
                refused = self._transaction(receiver, account, mail, attempt)
            except (smtplib.SMTPException, OSError) as error:
                if attempt.over:
                    return NoAnswer(f"did not take the mail within {self.deadline:g} s")
                return _no_answer(error, receiver)
        some = f"not taken for {', '.join(sorted(refused))}" if refused else ""
        return Answer(250, redacted(some, receiver))

    def _transaction(
        self, receiver: Receiver, account: MailAccount, mail: EmailMessage, attempt: Attempt
    ) -> Mapping[str, object]:
        """Return the recipients that were refused while others were not; SMTPException or OSError."""
        split = urlsplit(receiver.url)
        host, port = split.hostname or "", split.port or PORTS[split.scheme]
        context = ssl.create_default_context(cafile=receiver.ca_file)
        server = _Secured(attempt, context, self.timeout) if split.scheme == "smtps" else _Plain(attempt, self.timeout)
        try:
            server.connect(host, port)
            server.ehlo()
            if split.scheme == "smtp" and (server.has_extn("starttls") or not _is_here(host)):
                server.starttls(context=context)
                server.ehlo()
            if account.username:
                server.login(account.username, account.password or "")
            refused = server.send_message(mail, account.sender, account.to)
            with suppress(smtplib.SMTPException, OSError):  # it has the mail
                server.quit()
            return refused
        finally:
            server.close()


class _Plain(smtplib.SMTP):
    """SMTP over connections to checked addresses."""

    def __init__(self, attempt: Attempt, timeout: float) -> None:
        """Keep what connects."""
        self._attempt = attempt
        super().__init__(timeout=timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """Return a connection; smtplib asks for it here."""
        self._host = host  # the name that TLS is begun for
        return self._attempt.connect(host, port, timeout)


class _Secured(_Plain):
    """SMTP over TLS from the first byte."""

    def __init__(self, attempt: Attempt, context: ssl.SSLContext, timeout: float) -> None:
        """Keep what connects, and what verifies."""
        self._verifying = context
        super().__init__(attempt, timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """Return a connection; smtplib asks for it here."""
        return self._verifying.wrap_socket(super()._get_socket(host, port, timeout), server_hostname=host)


def mail_of(account: MailAccount, id: str, names: Mapping[str, Any], moment: datetime) -> EmailMessage:
    """Return the mail that tells a message, given the names that templates have."""
    mail = EmailMessage()
    mail["From"], mail["To"] = account.sender, ", ".join(account.to)
    mail["Subject"] = line(f"[{names['severity']}] {names['title']}", WORDS)
    mail["Date"], mail["Message-ID"] = format_datetime(moment), f"<{id}@{DOMAIN}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answer of a machine is wanted
    mail.set_content(_rendered("mail.txt.j2", names))
    mail.add_alternative(_rendered("mail.html.j2", names), subtype="html")
    return mail


def _rendered(name: str, names: Mapping[str, Any]) -> str:
    """Return what a template of ours makes of the names."""
    text = (BODIES / name).read_text(encoding="utf-8")
    environment = _HTML if name.endswith(".html.j2") else _TEXT
    return environment.from_string(text).render(names).encode(errors="replace").decode()


def _no_answer(error: Exception, receiver: Receiver) -> NoAnswer:
    """Return why a mail was not taken; hopeless is what the server, or TLS, says will stay so."""
    if isinstance(error, Forbidden):
        return NoAnswer(error.words, hopeless=True)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        return _said(code, text, receiver)
    if isinstance(error, smtplib.SMTPResponseException):
        return _said(error.smtp_code, error.smtp_error, receiver)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return NoAnswer("does not offer what is needed: STARTTLS, or a login that we know", hopeless=True)
    if any(isinstance(cause, TimeoutError) for cause in (error, *causes(error))):
        return NoAnswer("no answer of the mail server in time")
    return NoAnswer(connection_words(error))


def _said(code: int, text: bytes | str, receiver: Receiver) -> NoAnswer:
    """Return an SMTP reply as an outcome (RFC 5321, 4.2.1: 5yz is permanent)."""
    told = text.decode(errors="replace") if isinstance(text, bytes) else text
    return NoAnswer(f"answered {code} ({line(redacted(told, receiver), WORDS)})", hopeless=500 <= code < 600)


def _is_here(host: str) -> bool:
    """Tell whether a host is this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
