"""The evidence of a report as tables: what a page shows of it, and how much more there is; pure.

Promises: bounded; the events that the report is about come first where there are too many. Will not: escape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connector.respond.evidence.model import Event, Evidence, Flow
from connector.respond.report.model import Report, Table
from connector.respond.report.texts import shown, told

MOST_ROWS = 40
MOST_EVENTS = 50
MOST_NAMES = MOST_OTHERS = 20
NEW = "What it did not have when its profile was made, the newest first."
Cells = Sequence[Sequence[object]]


@dataclass(frozen=True)
class Titled:
    """A table with its title, and a line on what it is."""

    title: str
    table: Table
    about: str = ""


def evidence_tables(found: Evidence) -> tuple[Titled, ...]:
    """Return the tables of evidence that have rows."""
    each = (
        _files(found),
        _lookups(found),
        _http(found),
        _tls(found),
        _flows(found),
        _captures(found),
        _table("Links into other tools", ("tool", "of", "address"), [(o.tool, o.what, o.url) for o in found.links]),
    )
    return tuple(one for one in each if one.table.rows)


def event_tables(found: Evidence) -> tuple[Titled, ...]:
    """Return the events: those of the flows, and the most telling of the host's other events."""
    wanted = sorted(found.events, key=lambda one: (not one.of_subject, one.time or ""))[:MOST_EVENTS]
    rows = [_event(one) for one in sorted(wanted, key=lambda one: one.time or "")]
    left = len(found.events) - len(wanted) + found.left_out.get("events", 0)
    about = "Those marked ● are the events that this report is about; the others are of the same flows."
    columns = ("", "time", "type", "what", "flow", "event")
    tables = [Titled("Events of the flows", Table(columns, tuple(rows), left), about)]
    if others := found.others:
        some = [_event(one) for one in others.events[:MOST_OTHERS]]
        span = f"Between {told(others.start)} and {told(others.end)}: alerts, stored files, then the newest."
        more = max(0, others.count - len(some))
        tables.append(Titled("Other events of the host", Table(columns, tuple(some), more), span))
    return tuple(one for one in tables if one.table.rows)


def host_tables(found: Evidence) -> tuple[Titled, ...]:
    """Return the tables of the host's profile that have rows: who it is, what it offers, and what was new on it."""
    profile = found.host.profile if found.host else None
    if profile is None:
        return ()
    left = profile.left_out
    who = [
        (what, one.value, one.by, told(one.first), told(one.last))
        for what, traits in (("name", profile.names), ("user", profile.users), ("role", profile.roles))
        for one in traits
    ]
    offered = [(one.value, one.by, told(one.first), told(one.last)) for one in profile.services]
    new = [(one.by, one.value, told(one.first)) for one in profile.changes]
    left_out = sum(left.get(name, 0) for name in ("names", "users", "roles"))
    each = (
        _table("Who it is", ("what", "value", "known by", "first", "last"), who, left_out),
        _table("Services it offers", ("service", "seen there", "first", "last"), offered, left.get("services", 0)),
        _table("New on this host", ("what", "value", "new since"), new, left.get("changes", 0), NEW),
    )
    return tuple(one for one in each if one.table.rows)


def rated_table(report: Report) -> Table:
    """Return what others know of the values that declarations name."""
    rows = [
        (one.value, one.kind, one.verdict, one.said, one.source, told(one.asked), told(one.analysed))
        for one in report.reputation
    ]
    columns = ("value", "kind", "verdict", "what is known", "source", "asked", "analysed")
    return _table("", columns, rows, report.reputation_left_out).table


def names_table(found: Evidence) -> Table:
    """Return the names that the host asked for or went to, those first that no other client did."""
    names = found.others.names if found.others else ()
    rows = [
        (o.name, f"{o.events:,}", told(o.first), told(o.last), "only this host" if o.only_here else "") for o in names
    ]
    left = max(0, len(rows) - MOST_NAMES)
    return _table("", ("name", "events", "first", "last", "who else"), rows[:MOST_NAMES], left).table


def _table(title: str, columns: Sequence[str], cells: Cells, left_out: int = 0, about: str = "") -> Titled:
    """Return rows as a table of texts, without empty columns; those above the number that is shown are counted."""
    rows = [[shown(cell) for cell in row] for row in cells[:MOST_ROWS]]
    kept = [place for place in range(len(columns)) if any(row[place] for row in rows)]
    some = tuple(tuple(row[place] for place in kept) for row in rows)
    left = max(0, len(cells) - MOST_ROWS) + left_out
    return Titled(title, Table(tuple(columns[place] for place in kept), some, left), about)


def _event(event: Event) -> tuple[str, ...]:
    """Return an event as a row."""
    mark = "●" if event.of_subject else ""
    place = f"{event.index}/{event.id}"
    return tuple(shown(cell) for cell in (mark, told(event.time), event.kind, event.words, event.flow, place))


def _files(found: Evidence) -> Titled:
    """Return the files."""
    rows = [
        (
            *(told(one.time), one.name, None if one.size is None else f"{one.size:,}", one.magic, one.sha256),
            *(one.path or "not kept", one.flow),
        )
        for one in found.files
    ]
    columns = ("time", "name", "bytes", "kind", "sha256", "in the filestore", "flow")
    about = "What was transferred, by content, and where the sensor's filestore has it."
    return _table("Files", columns, rows, found.left_out.get("files", 0), about)


def _lookups(found: Evidence) -> Titled:
    """Return the look-ups before the flows."""
    rows = [
        (
            *(told(one.time), one.name, one.type, one.resolver, one.message, one.answers),
            *(None if one.seconds_before is None else f"{one.seconds_before:,.1f}", one.flow),
        )
        for one in found.dns
    ]
    columns = ("time", "name", "type", "resolver", "message", "answers", "seconds before", "flow")
    about = "Where the client had the address of a flow from, or which name of the flow it asked for."
    return _table("DNS look-ups before the flows", columns, rows, found.left_out.get("dns", 0), about)


def _http(found: Evidence) -> Titled:
    """Return the requests."""
    rows = [
        (told(one.time), one.method, one.host, one.url, one.status, one.user_agent, one.referer, one.flow)
        for one in found.http
    ]
    columns = ("time", "method", "host", "path", "status", "user agent", "referer", "flow")
    return _table("HTTP requests", columns, rows, found.left_out.get("http", 0))


def _tls(found: Evidence) -> Titled:
    """Return the handshakes; a certificate that names itself as issuer says so."""
    rows = [
        (
            *(told(one.time), one.sni, one.version, one.subject),
            "itself" if one.issuer and one.issuer == one.subject else one.issuer,
            *(one.fingerprint, one.ja3, one.ja4, one.flow),
        )
        for one in found.tls
    ]
    columns = ("time", "server name", "version", "certificate", "issued by", "fingerprint", "JA3", "JA4", "flow")
    return _table("TLS handshakes", columns, rows, found.left_out.get("tls", 0))


def _flows(found: Evidence) -> Titled:
    """Return the flows."""
    rows = [
        (
            *(one.number, told(one.start), _end(one.client_ip, one.client_port), _end(one.server_ip, one.server_port)),
            *(f"{one.protocol} {one.app_protocol}".strip(), _amount(one), f"{one.events:,}"),
            [number for _, number in one.flow_ids],
        )
        for one in found.flows
    ]
    columns = ("flow", "start", "client", "server", "protocol", "bytes up / down", "events", "flow_id")
    return _table("Flows", columns, rows, found.left_out.get("flows", 0))


def _captures(found: Evidence) -> Titled:
    """Return where the packets are."""
    rows = [
        (one.flow, one.files or "not named by the events", one.sensors, told(one.start), told(one.end), one.filter)
        for one in found.captures
    ]
    columns = ("flow", "capture", "sensor", "from", "until", "filter for tcpdump")
    return _table("Packets", columns, rows)


def _end(ip: str, port: int | None) -> str:
    """Return an end of a flow as people write it."""
    if port is None:
        return ip
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def _amount(flow: Flow) -> str:
    """Return how much went up and down."""
    numbers = (flow.bytes_to_server, flow.bytes_to_client)
    return " / ".join("?" if number is None else f"{number:,}" for number in numbers)
