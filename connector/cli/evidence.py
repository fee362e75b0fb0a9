"""`hunts evidence`: everything around a finding, a declaration or an event, and copies of its files and packets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from connector.cli import context
from connector.cli.output import Printed, json_option, plain, progress, rows, show
from connector.errors import Refused
from connector.respond.evidence.copying import Copied, copy_files, cut_packets
from connector.respond.evidence.frozen import evidence_of
from connector.respond.evidence.model import Evidence, Flow, Host, Others, Profile
from connector.respond.evidence.subject import subject_of
from connector.settings.model import EvidenceSettings

LINE = 500
MOST_ROWS, FEW_ROWS = 50, 20  # of a table; --json has all
FOLDER = click.Path(file_okay=False, path_type=Path)


@dataclass(frozen=True)
class Shown:
    """The result of the command: the evidence as plain JSON, and what became of the copies."""

    evidence: Mapping[str, Any]
    copies: tuple[Copied, ...]


@click.command(name="evidence")
@click.argument("subject", metavar="ID")
@click.option("--files", "folder", metavar="DIR", type=FOLDER, help="Copy files, and cut packets, into this folder.")
@click.option("--filestore", metavar="PATH", type=FOLDER, help="Suricata's filestore. Default: evidence.filestore.")
@click.option(
    "--pcap",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="A capture, or the folder of those that the events name. Default: evidence.captures.",
)
@json_option
@context.use
def show_evidence(
    ctx: context.Context,
    /,
    *,
    subject: str,
    folder: Path | None,
    filestore: Path | None,
    pcap: Path | None,
    as_json: bool,
) -> None:
    """Show everything around a finding, a declaration or an event.

    ID is the id of a finding or a declaration, or as much of its beginning as no other has; an event is INDEX/ID. Shown
    are the flows with all their events, the DNS look-ups before them, TLS certificates and fingerprints, HTTP requests,
    files with their hashes, where the packets are, the client's host, what else it did, and links into other tools. Of
    a declaration what was kept with it is shown, too, when the events have left the SIEM.

    With --files the extracted files are copied from the filestore (under their SHA-256, which is checked) and the
    packets of the flows are cut out of the capture. Nothing that is there is written over. Take care: the files are
    what the client got. The exit code is 1 if something could not be copied.
    """
    lies = _places(ctx.settings.evidence, folder, filestore, pcap)
    found = evidence_of(ctx.siem(), ctx.settings, subject_of(ctx.siem(), ctx.settings, subject), datetime.now(UTC))
    copies = _copied(found, folder, lies) if folder else ()
    show(Shown(found.document, copies), table=lambda result: _page(found, result.copies), as_json=as_json)
    if any(not copy.is_done for copy in copies):
        click.get_current_context().exit(1)


def _places(
    known: EvidenceSettings, folder: Path | None, filestore: Path | None, pcap: Path | None
) -> EvidenceSettings:
    """Return where files and packets lie; Refused if that is not known, or was told for nothing."""
    if folder is None and (filestore or pcap):
        raise Refused("--filestore and --pcap say where to copy from: say where to as well, with --files DIR")
    lies = EvidenceSettings(filestore or known.filestore, pcap or known.captures)
    if folder and not lies.filestore and not lies.captures:
        raise Refused("--files needs --filestore PATH or --pcap PATH, or `evidence` in hunts.yml")
    return lies


def _copied(found: Evidence, folder: Path, lies: EvidenceSettings) -> tuple[Copied, ...]:
    """Return what became of the files and the packets."""
    files = copy_files(found, lies.filestore, folder) if lies.filestore else ()
    if not lies.captures:
        return files
    with progress() as bar:
        task = bar.add_task("packets", total=None)
        packets = cut_packets(found, lies.captures, folder, lambda read, _: bar.update(task, completed=read))
    return (*files, *packets)


def _page(found: Evidence, copies: Sequence[Copied]) -> Printed:
    """Return the evidence as text and tables."""
    subject = found.subject
    about = ", ".join(f"{name} {value or 'none'}" for name, value in subject.about.items())
    parts: list[Any] = [
        plain(f"{subject.kind} {subject.id}: {subject.title}", LINE),
        plain(f"{about}; {subject.count:,} events from {subject.first} to {subject.last}", LINE),
    ]
    if found.frozen:
        parts.append(f"with what was kept on {found.frozen}")
    parts += [*_flow_tables(found), *_record_tables(found), *_where(found)]
    parts += _host(found.host) if found.host else []
    parts += _others(found.others) if found.others else []
    parts += _table("links", ("tool", "what", "address"), [(one.tool, one.what, one.url) for one in found.links])
    parts += _copies(copies)
    parts += [f"note: {plain(note, LINE)}" for note in found.notes]
    left = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in found.left_out.items())
    return [*parts, f"left out: {left}"] if left else parts


def _table(title: str, columns: Sequence[str], cells: Sequence[Sequence[object]], most: int = MOST_ROWS) -> list[Any]:
    """Return a table and how many rows it has not; nothing without rows."""
    if not cells:
        return []
    more = [f"… and {len(cells) - most:,} more: --json has them"] if len(cells) > most else []
    return [rows(columns, cells[:most], title), *more]


def _flow_tables(found: Evidence) -> list[Any]:
    """Return the flows and their events as tables."""
    flows = [
        (
            *(flow.number, _end(flow.client_ip, flow.client_port), _end(flow.server_ip, flow.server_port)),
            *(f"{flow.protocol} {flow.app_protocol}", flow.start, flow.end, _amount(flow), flow.events),
            [number for _, number in flow.flow_ids],
        )
        for flow in found.flows
    ]
    columns = ("flow", "client", "server", "protocol", "start", "end", "bytes up/down", "events", "flow_id")
    events = [
        (event.flow, event.time, event.kind, "*" if event.of_subject else "", event.words, f"{event.index}/{event.id}")
        for event in found.events
    ]
    return [
        *_table("flows", columns, flows),
        *_table("events (* is what this is about)", ("flow", "time", "type", "", "what", "event"), events),
    ]


def _end(ip: str, port: int | None) -> str:
    """Return an end of a flow as people write it."""
    if port is None:
        return ip
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def _amount(flow: Flow) -> str:
    """Return how much went up and down."""
    return "/".join("?" if number is None else f"{number:,}" for number in (flow.bytes_to_server, flow.bytes_to_client))


def _record_tables(found: Evidence) -> list[Any]:
    """Return look-ups, handshakes, requests and files as tables."""
    dns = [
        (one.flow, one.time, one.seconds_before, one.client, one.resolver, one.message, one.name, one.type, one.answers)
        for one in found.dns
    ]
    tls = [
        (one.flow, one.time, one.sni, one.version, one.subject, one.issuer, one.fingerprint, one.ja3, one.ja4)
        for one in found.tls
    ]
    http = [
        (one.flow, one.time, one.method, one.host, one.url, one.status, one.user_agent, one.referer)
        for one in found.http
    ]
    files = [(one.flow, one.name, one.size, one.magic, one.sha256, one.path or "not kept") for one in found.files]
    before = ("flow", "time", "seconds before", "client", "resolver", "message", "name", "type", "answers")
    return [
        *_table("DNS look-ups before", before, dns),
        *_table("TLS", ("flow", "time", "sni", "version", "subject", "issuer", "fingerprint", "ja3", "ja4"), tls),
        *_table("HTTP", ("flow", "time", "method", "host", "url", "status", "user agent", "referer"), http),
        *_table("files", ("flow", "name", "bytes", "kind", "sha256", "in the filestore"), files),
    ]


def _where(found: Evidence) -> list[Any]:
    """Return where the packets are as a table."""
    cells = [(one.flow, one.files, one.sensors, one.start, one.end, one.filter) for one in found.captures]
    return _table("packets", ("flow", "capture", "sensor", "from", "until", "filter"), cells)


def _host(host: Host) -> list[Any]:
    """Return what is known of the host as a table."""
    facts = [
        ("address", host.ip),
        *(("names", host.names), ("users", host.users), ("cards", host.macs), ("department", host.departments)),
        *(("network", host.networks), ("role", host.roles), ("user agents", host.user_agents)),
        ("seen", f"{host.first} to {host.last}, {host.events:,} events"),
        ("events", _counts(host.kinds)),
        ("alerts", _counts(host.alerts)),
    ]
    told = _table("host", ("", ""), [(name, value) for name, value in facts if value])
    return [*told, *(_profile(host.profile) if host.profile else [])]


def _profile(profile: Profile) -> list[Any]:
    """Return what the host's profile says as a table."""
    parts = (
        *(("name", profile.names), ("user", profile.users), ("role", profile.roles)),
        *(("service", profile.services), ("new", profile.changes)),
    )
    cells = [(what, one.value, one.by, one.first, one.last) for what, traits in parts for one in traits]
    left = [f"… and {number:,} more {name}" for name, number in profile.left_out.items()]
    title = f"its profile as of {profile.updated}"
    return [*_table(title, ("", "value", "known by", "first", "last"), cells, len(cells)), *left]


def _counts(found: Mapping[str, int]) -> list[str]:
    """Return counts in words."""
    return [f"{name} ×{number:,}" for name, number in found.items()]


def _others(others: Others) -> list[Any]:
    """Return what else the host did as tables."""
    names = [(one.name, one.events, one.first, one.last, "only here" if one.only_here else "") for one in others.names]
    events = [(one.time, one.kind, one.words, f"{one.index}/{one.id}") for one in others.events]
    told = f"other events from {others.start} to {others.end}: {others.count:,} ({', '.join(_counts(others.kinds))})"
    return [
        "",
        plain(told, LINE),
        *_table("names it asked for or went to", ("name", "events", "first", "last", ""), names, FEW_ROWS),
        *_table("the most telling of its other events", ("time", "type", "what", "event"), events, FEW_ROWS),
    ]


def _copies(copies: Sequence[Copied]) -> list[Any]:
    """Return what became of the copies as a table."""
    cells = [(one.what, one.status, one.target, one.size, one.packets, one.sha256, one.note) for one in copies]
    return _table("copies", ("what", "", "file", "bytes", "packets", "sha256", ""), cells)
