"""An event as it was found, and what can be read from it in either dialect.

Promises: never raises on any JSON object; texts and documents are cut to a length. Will not: search.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connector.enrich.dialects import stored_name
from connector.enrich.events import port_number, read_event
from connector.enrich.sides import is_swapped
from connector.hunts.conditions.address import address_number, plain_address
from connector.hunts.conditions.condition import scalar_text
from connector.hunts.conditions.predicate import values
from connector.settings.model import Dialect

Json = dict[str, Any]
End = tuple[str, int]  # address and port, -1 for none
LONGEST, MOST_ITEMS, MOST_KEYS, DEEPEST = 1000, 50, 200, 8
DOCUMENT = 16_000  # characters of an event that are kept
# where ECS has a field besides the place that `stored_name` knows
ECS_TOO = {
    "tls.sni": "tls.client.server_name",
    "tls.subject": "tls.server.subject",
    "tls.issuerdn": "tls.server.issuer",
    "tls.version": "tls.version",
    "tls.ja3.hash": "tls.client.ja3",
    "tls.ja3s.hash": "tls.server.ja3s",
    "fileinfo.md5": "file.hash.md5",
    "fileinfo.sha1": "file.hash.sha1",
    "fileinfo.sha256": "file.hash.sha256",
    "alert.signature": "rule.name",
    "host": "observer.hostname",
    "flow_id": "suricata.eve.flow_id",
}


@dataclass(frozen=True, slots=True)
class Found:
    """An event: where it is, when it was, and as it is stored. `time` is to the microsecond if the event tells it."""

    index: str
    id: str
    time: datetime | None
    source: Json
    dialect: Dialect

    @property
    def place(self) -> tuple[str, str]:
        """Return index and id."""
        return self.index, self.id

    @property
    def kind(self) -> str:
        """Return the event type."""
        return self.text("event_type").lower()

    def all(self, name: str) -> Iterator[object]:
        """Yield the values of a field, given by its name in EVE or in our own terms."""
        yield from values(self.source, stored_name(name, self.dialect))
        if self.dialect == "ecs" and name in ECS_TOO:
            yield from values(self.source, ECS_TOO[name])

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the values of a field as texts, each once, cut."""
        found = (text for value in self.all(name) if (text := scalar_text(value)))
        return tuple(dict.fromkeys(short(text) for text in found))[:MOST_ITEMS]

    def text(self, *names: str) -> str:
        """Return the first text that one of the fields has, cut; an empty one if there is none."""
        return next((text for name in names for text in self.texts(name)), "")

    def number(self, name: str) -> int | None:
        """Return the first whole number of a field, from 0 up to what a long holds; None if there is none."""
        for value in self.all(name):
            text = scalar_text(value) or ""
            if text.isascii() and text.isdigit() and len(text) < 19:
                return int(text)
        return None

    def moment(self, name: str) -> datetime | None:
        """Return the first time of a field; None if there is none that can be read."""
        return next((at for value in self.all(name) if (at := moment(value))), None)

    @property
    def sensor(self) -> str:
        """Return the name of the sensor that the event tells; empty if it tells none."""
        return self.text("host") if self.dialect == "eve" else self.text("host", "agent.name")

    @property
    def flow_id(self) -> str:
        """Return the flow's number at its sensor; empty if there is none."""
        return self.text("flow_id")

    @property
    def sides(self) -> tuple[End, End] | None:
        """Return the client's and the server's end; None if the event lacks an address."""
        event = read_event(self.source)
        if event.src.address is None or event.dest.address is None:
            return None
        src, dest = ((plain_address(end.text or ""), end.port) for end in (event.src, event.dest))
        client = self.text("hunt.client.ip")
        if address_number(client) is not None and src[0] != dest[0]:
            swapped = plain_address(client) == dest[0]
        else:
            swapped = is_swapped(event, self.text("hunt.dns.message") == "answer")
        return (dest, src) if swapped else (src, dest)


def moment(value: object) -> datetime | None:
    """Return a time with its zone from a text as events write it; None if it is none."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def told(at: datetime | None) -> str | None:
    """Return a time as evidence writes it: ISO 8601 in UTC, to the microsecond, so that texts sort as times do."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z") if at else None


def port(value: object) -> int | None:
    """Return a port, None for none."""
    number = port_number(value)
    return number if number >= 0 else None


def short(text: str) -> str:
    """Return a text cut to a length."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def cut(source: Mapping[str, Any]) -> Json:
    """Return a document with long texts, lists and objects cut, and what is beyond its length left out."""
    found = _cut(source, [DOCUMENT], 0)
    return found if isinstance(found, dict) else {}


def _cut(value: Any, left: list[int], depth: int) -> Any:
    """Return a value cut; `left` holds how many characters there is room for."""
    if isinstance(value, Mapping):
        kept = {}
        for number, (name, item) in enumerate(value.items()):
            if left[0] <= 0 or number >= MOST_KEYS or depth >= DEEPEST:
                kept["…"] = f"{len(value) - number} more"
                break
            left[0] -= len(str(name))
            kept[short(str(name))] = _cut(item, left, depth + 1)
        return kept
    if isinstance(value, list):
        items = [_cut(item, left, depth + 1) for item in value[:MOST_ITEMS] if left[0] > 0 and depth < DEEPEST]
        return items if len(items) == len(value) else [*items, f"… {len(value) - len(items)} more"]
    text = short(value) if isinstance(value, str) else value
    left[0] -= len(text) if isinstance(text, str) else 8
    return text


def words(event: Found) -> str:
    """Return what an event says in one line."""
    kind = event.kind
    line = _LINES.get(kind)
    said = (value for value in (event.text(name) for name in line or ()) if value)
    return short(" ".join(said)) or short(event.text("app_proto") or kind)


# the fields that say what an event of a type is about
_LINES: dict[str, tuple[str, ...]] = {
    "alert": ("alert.signature", "hostname_info.host"),
    "dns": ("hunt.dns.message", "hunt.dns.rrname", "hunt.dns.rrtype", "hunt.dns.rcode", "hunt.dns.answers"),
    "http": ("http.http_method", "http.hostname", "http.url", "http.status"),
    "tls": ("tls.sni", "tls.version", "tls.subject", "tls.ja4"),
    "quic": ("quic.sni", "quic.version", "quic.ja4"),
    "fileinfo": ("fileinfo.filename", "fileinfo.magic", "fileinfo.sha256"),
    "flow": ("app_proto", "flow.state", "flow.reason"),
    "anomaly": ("anomaly.type", "anomaly.event"),
    "smtp": ("smtp.mail_from", "smtp.rcpt_to"),
    "ssh": ("ssh.client.software_version", "ssh.server.software_version"),
    "smb": ("smb.command", "smb.filename", "smb.share", "smb.status"),
    "krb5": ("krb5.msg_type", "krb5.cname", "krb5.sname", "krb5.error_code"),
    "dhcp": ("dhcp.dhcp_type", "dhcp.hostname", "dhcp.assigned_ip"),
    "ftp": ("ftp.command", "ftp.command_data"),
}
