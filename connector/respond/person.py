"""All of a user: the hosts, what happened on them in the order of time and how it hangs together, the files that came.

Promises: the gravest steps are kept where there are too many; all is bounded, and what is left out is counted. Will
not: write anything, or know a host that has no profile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import ip_address
from itertools import islice
from typing import Any

from connector.hosts.listing import Row, list_hosts
from connector.hosts.naming import events_naming, spellings
from connector.respond.evidence.around import USER_FIELDS, others_of
from connector.respond.evidence.asking import Desk, Span
from connector.respond.evidence.model import File, Others
from connector.respond.evidence.reading import Found, words
from connector.respond.evidence.records import files_of
from connector.respond.report.model import Step, Thread
from connector.respond.report.steps import as_found
from connector.respond.report.thread import Wanted, thread_about
from connector.settings.model import Settings
from connector.siem.client import Siem

Json = dict[str, Any]
MOST_HOSTS, MOST_FILES, OF_STEP = 20, 30, 5
FILE_FIELDS = ("fileinfo.filename", "fileinfo.sha256")
# what a file was part of, by the protocol that brought it
CARRIED = (
    ("http.http_method", "http.hostname", "http.url", "http.status"),
    ("smtp.mail_from", "smtp.rcpt_to", "email.subject"),
    ("smb.share", "smb.filename"),
    ("ftp_data.command", "ftp_data.filename"),
)


@dataclass(frozen=True)
class Transfer:
    """A file that came to, or went from, one of the hosts, by which flow, and the steps of the thread it is in.

    `client` and `server` are the flow's ends, `carried` says what of the protocol it was part of.
    """

    file: File
    steps: tuple[int, ...]
    client: str
    server: str
    protocol: str
    carried: str
    flow_id: str


@dataclass(frozen=True)
class Person:
    """All of a user, from `since` on (None: from the beginning).

    `thread` has what was found on the hosts, in the order of time. `files` are those of its steps. `kinds` count the
    events of the hosts and the user by type, `events` are the newest that name the user.
    """

    user: str
    since: datetime | None
    hosts: tuple[Row, ...]
    hosts_left_out: int
    thread: Thread
    files: tuple[Transfer, ...]
    files_left_out: int
    kinds: Json
    events: tuple[Json, ...]
    events_left_out: int


def person(siem: Siem, settings: Settings, name: str, since: datetime | None = None) -> Person:
    """Return all of a user, however the name is spelled. Raises SiemError."""
    user = name.lower()
    hosts = list_hosts(siem, settings, [f"username={user}"], since=since, limit=MOST_HOSTS)
    named = events_naming(siem, settings, name, since)
    ips = tuple(row.ip for row in hosts.hosts)
    desk, span, spelled = Desk.open(siem, settings), Span(since), spellings(name)
    others = others_of(desk, ips, spelled, span)
    thread = thread_about(siem, settings, _wanted(ips, spelled, span), others)
    thread = replace(thread, notes=(*(thread.notes if ips else ()), *desk.notes))
    files = _transfers(desk, thread.steps, others, ips)
    return Person(
        user=user,
        since=since,
        hosts=hosts.hosts,
        hosts_left_out=hosts.left_out,
        thread=thread,
        files=tuple(files[:MOST_FILES]),
        files_left_out=max(0, len(files) - MOST_FILES),
        kinds=dict(others.kinds),
        events=named.events,
        events_left_out=named.left_out,
    )


def _wanted(ips: Iterable[str], users: Iterable[str], span: Span) -> Wanted:
    """Return which findings of a time are about hosts or a user; findings have addresses as events write them."""
    addresses = frozenset(text for ip in ips for text in (ip, ip_address(ip).exploded))
    own = {f"hunt.client.ip={ip}" for ip in addresses} | {f"{name}={user}" for name in USER_FIELDS for user in users}
    return Wanted(frozenset(own), addresses, span)


def _transfers(desk: Desk, steps: Iterable[Step], others: Others, ips: Sequence[str]) -> list[Transfer]:
    """Return the files of steps that one of the hosts had a part in, oldest first, each once a flow."""
    known = {(event.index, event.id): as_found(event) for event in others.events}
    of_step = [(step, place) for step in steps if _has_file(step) for place in step.places[:OF_STEP]]
    missing = [place for _, place in of_step if place not in known]
    known |= {event.place: event for event in desk.named(missing).events}
    found: dict[tuple[str, str], Transfer] = {}
    for step, place in of_step:
        for transfer in _of_event(known[place], step.number, ips) if place in known else ():
            key = transfer.flow_id, transfer.file.sha256 or transfer.file.name
            found[key] = _joined(found[key], transfer) if key in found else transfer
    return sorted(found.values(), key=lambda one: (one.file.time or "", one.file.name))


def _has_file(step: Step) -> bool:
    """Tell whether a step is about files."""
    return step.lane in ("files", "alerts") or any(step.facts.get(name) for name in FILE_FIELDS)


def _of_event(event: Found, step: int, ips: Sequence[str]) -> Iterator[Transfer]:
    """Yield the files that an event of one of the hosts tells of."""
    sides = event.sides
    if not sides or not {ip for ip, _ in sides} & {*ips}:
        return
    client, server = (f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}" for ip, port in sides)
    protocol, flow = event.text("app_proto") or event.kind, event.flow_id
    for file in files_of([(event, None)]):
        yield Transfer(file, (step,), client, server, protocol, _carried(event), flow)


def _carried(event: Found) -> str:
    """Return what of its protocol a file was part of, in a line of words."""
    lines = (" ".join(text for name in names for text in islice(event.texts(name), 1)) for names in CARRIED)
    return next((line for line in lines if line), words(event))


def _joined(one: Transfer, other: Transfer) -> Transfer:
    """Return two tellings of one file as one: that of the stored file."""
    better = max((one, other), key=lambda transfer: transfer.file.stored)
    return replace(better, steps=tuple(sorted({*one.steps, *other.steps})))
