"""The receivers of `hunts.yml`: what kind each is, where it is, what it is told, and with which secrets.

Promises: what a kind needs is there, and nothing stands that it would not use; no secret travels in clear text, to this
machine aside; a value that becomes a header is one line. Will not: connect.
"""

from __future__ import annotations

import re
from typing import Any, cast, get_args

from connector.errors import Problem
from connector.settings.access import checked_url, in_clear, is_safe
from connector.settings.addresses import read_ranges
from connector.settings.files import Surroundings
from connector.settings.model import AnyNetwork, Event, Kind, MailAccount, Receiver, Severity
from connector.settings.part import Part

WEB, MAIL = ("http", "https"), ("smtp", "smtps")
SIGNED = ("generic", "shuffle")
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")  # RFC 5322's dot-atom, ASCII
MAIL_KEYS = ("from", "to", "username", "password_file", "password_env")
WEB_KEYS = ("secret_file", "secret_env", "authorization_file", "authorization_env", "template")


def receivers_of(root: Part, around: Surroundings, problems: list[Problem]) -> tuple[Receiver, ...]:
    """Return the receivers of deliveries; what is wrong is added to `problems`."""
    found: dict[str, Receiver] = {}
    general = _networks(root, "receiver_networks", problems)
    for part in root.items("receivers"):
        name = part.text("name") or part.name
        if name in found:
            problems.append(part.at("name").problem(f"is {name}, as of a receiver above: give it another name"))
        found[name] = _receiver(part, name, general, around, problems)
    return tuple(found.values())


def _receiver(
    part: Part, name: str, general: tuple[AnyNetwork, ...], around: Surroundings, problems: list[Problem]
) -> Receiver:
    """Return one receiver, which may be in the networks of all receivers and in its own."""
    kind = cast(Kind, _word(part, "kind", get_args(Kind)) or "generic")
    authorization = _secret(part, "authorization", around, problems)
    secret = _secret(part, "secret", around, problems)
    mail = _mail(part, around, problems) if kind == "mail" else None
    ca_file = around.path(part, "ca_file", problems)
    per_minute = part.at("messages_per_minute").value
    receiver = Receiver(
        name=name,
        url=_url(part, kind, around, bool(authorization or (secret and kind == "pagerduty")), problems),
        secret=secret,
        ca_file=str(ca_file) if ca_file else None,
        template=around.path(part, "template", problems),
        kind=kind,
        authorization=authorization,
        events=tuple(cast(Event, each) for each in get_args(Event) if each in _words(part, "events"))
        or ("declaration",),
        severity=cast(Severity, _word(part, "severity", get_args(Severity)) or Receiver.severity),
        messages_per_minute=int(per_minute) if isinstance(per_minute, int | float) else Receiver.messages_per_minute,
        networks=(*general, *_networks(part, "networks", problems)),
        project=part.text("project") or "",
        issue_type=part.text("issue_type") or Receiver.issue_type,
        mail=mail,
    )
    problems.extend(_misfits(part, receiver))
    return receiver


def _url(part: Part, kind: Kind, around: Surroundings, credentials: bool, problems: list[Problem]) -> str:
    """Return the address of a receiver, empty if there is none."""
    url = part.text("url") or around.secret(part, "url_file", None, problems) or ""
    where = part.at("url" if part.text("url") else "url_file")
    if not url:
        return url
    schemes = MAIL if kind == "mail" else WEB
    here = Part(where.document, where.place, url)
    split = checked_url(here, problems, userinfo_is_secret=bool(part.text("url")) or kind == "mail", schemes=schemes)
    if split and credentials and split.scheme == "http" and not is_safe(split):
        problems.append(in_clear(where))
    return url


def _misfits(part: Part, receiver: Receiver) -> list[Problem]:
    """Return what a receiver's kind needs and has not, and what it has and does not use."""
    kind, found = receiver.kind, []
    unused = [*(WEB_KEYS if kind == "mail" else MAIL_KEYS), *(() if kind == "jira" else ("project", "issue_type"))]
    found += [part.at(key).problem(f"is not used by the kind {kind}") for key in unused if part.at(key).value]
    if kind == "jira" and not receiver.project:
        found.append(part.problem("needs project, the key of the Jira project that issues go to"))
    if kind == "pagerduty" and not (part.text("secret_env") or part.text("secret_file")):
        found.append(part.problem("needs secret_env or secret_file, with PagerDuty's integration key"))
    if kind not in (*SIGNED, "pagerduty", "mail"):
        keys = [key for key in ("secret_env", "secret_file") if part.text(key)]
        found += [
            part.at(key).problem(f"is not used by the kind {kind}: only {' and '.join(SIGNED)} are signed")
            for key in keys
        ]
    return found


def _mail(part: Part, around: Surroundings, problems: list[Problem]) -> MailAccount:
    """Return from whom and to whom mails go, and how to log in."""
    sender, to = part.at("from"), part.texts("to")
    for key, given in (("from", [sender] if sender.value else []), ("to", to)):
        if not given:
            problems.append(part.problem(f"needs {key}: a mail address"))
        words = "is no mail address: write it like hunts@example.org"
        problems.extend(one.problem(words) for one in given if not ADDRESS.fullmatch(str(one.value)))
    username, password = part.text("username"), _secret(part, "password", around, problems)
    if username and not (part.text("password_env") or part.text("password_file")):
        problems.append(part.at("username").problem("has no password: name password_env or password_file beside it"))
    if password and not username:
        problems.append(part.problem("has a password and no username"))
    return MailAccount(str(sender.value or ""), tuple(str(one.value) for one in to), username, password)


def _secret(part: Part, name: str, around: Surroundings, problems: list[Problem]) -> str | None:
    """Return the secret that `<name>_env` or `<name>_file` leads to, None without one."""
    env, file = f"{name}_env", f"{name}_file"
    variable = part.text(env)
    if variable and part.text(file):
        problems.append(part.at(env).problem(f"stands beside {file}: keep one of them"))
    elif variable and not around.environment.get(variable):
        problems.append(part.at(env).problem("names an environment variable that is not set"))
    elif variable and not around.environment[variable].isprintable():
        problems.append(part.at(env).problem("names an environment variable that holds more than one line"))
    return around.secret(part, file, variable, problems)


def _networks(part: Part, key: str, problems: list[Problem]) -> tuple[AnyNetwork, ...]:
    """Return the networks under a key; what is no network is added to `problems`."""
    return tuple(found for _, found in read_ranges(part.texts(key), problems))


def _word(part: Part, key: str, known: tuple[Any, ...]) -> str | None:
    """Return the word under a key if it is a known one."""
    word = part.text(key)
    return word if word in known else None


def _words(part: Part, key: str) -> set[str]:
    """Return the words in the list under a key."""
    return {str(item.value) for item in part.texts(key)}
