"""One view of an event, whichever dialect it lies in: the parts the enrichment reads, typed or absent.

Promises: never raises on any JSON object; what is there and cannot be read is named in `unreadable`.
Will not: change the event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.enrich.addresses import AnyAddress, parse_address

Json = Mapping[str, Any]
TRANSPORTS = {"udp": "udp", "17": "udp", "tcp": "tcp", "6": "tcp"}
NAMED_BY = ("dns", "tls", "quic", "http", "mdns")


@dataclass(frozen=True)
class End:
    """One end of a flow: address as text and as value (None: none, or not an address), port (-1: none)."""

    text: str | None
    address: AnyAddress | None
    port: int


@dataclass
class Event:
    """The parts of an event; `eve` is the mapping with the EVE objects, the root itself in the eve dialect."""

    root: Json
    eve: Json
    is_ecs: bool
    kind: str
    src: End
    dest: End
    transport: str
    app_proto: str
    objects: dict[str, Json] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)


def read_event(root: Json) -> Event:
    """Return the view of an event of either dialect."""
    suricata = root.get("suricata")
    inner = suricata.get("eve") if isinstance(suricata, Mapping) else None
    is_ecs = isinstance(inner, Mapping)
    eve: Json = inner if isinstance(inner, Mapping) else root
    network = mapping(root, "network") if is_ecs else root
    event = Event(
        root,
        eve,
        is_ecs,
        text(eve, "event_type").lower(),
        _end(root, eve, "source" if is_ecs else "src", is_ecs),
        _end(root, eve, "destination" if is_ecs else "dest", is_ecs),
        TRANSPORTS.get(text(network, "transport" if is_ecs else "proto").lower(), ""),
        text(network, "protocol") if is_ecs else text(eve, "app_proto"),
    )
    for name in NAMED_BY:
        _note_object(event, name)
    for name, end in (("src_ip", event.src), ("dest_ip", event.dest)):
        if end.text is not None and end.address is None:
            event.unreadable.append(f"{name} is not an address")
    return event


def _note_object(event: Event, name: str) -> None:
    """Keep an object of the event by name, or say that it is none."""
    value = event.eve.get(name)
    if isinstance(value, Mapping):
        event.objects[name] = value
    elif value is not None:
        event.unreadable.append(f"{name} is not an object")


def _end(root: Json, eve: Json, side: str, is_ecs: bool) -> End:
    """Return one end of the flow; `side` is src or dest, source or destination in ECS."""
    if is_ecs:
        holder = mapping(root, side)
        address = holder.get("ip", holder.get("address"))
        port = holder.get("port")
    else:
        address, port = eve.get(f"{side}_ip"), eve.get(f"{side}_port")
    shown = None if address is None else address if isinstance(address, str) else ""
    return End(shown, parse_address(shown), port_number(port))


def mapping(holder: Json, key: str) -> Json:
    """Return the object under a key, or an empty one."""
    value = holder.get(key)
    return value if isinstance(value, Mapping) else {}


def text(holder: Json, key: str) -> str:
    """Return the text under a key, or an empty one."""
    value = holder.get(key)
    return value if isinstance(value, str) else ""


def words(value: Any) -> str | None:
    """Return a text or a number as text; None for anything else."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def first(value: Any) -> Json | None:
    """Return the first object of a list of objects, or None."""
    return value[0] if isinstance(value, list) and value and isinstance(value[0], Mapping) else None


def port_number(value: Any) -> int:
    """Return a port from a number or its decimal text; -1 if it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value <= 65535 else -1
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 5:
        return int(value)
    return -1


def event_day(event: Event, now: datetime) -> str:
    """Return the UTC day (YYYY-MM-DD) of the event's own time, or of now where it has none that can be read."""
    stamp = text(event.eve, "timestamp") or text(event.root, "@timestamp")
    try:
        moment = datetime.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
        return (moment - _offset(stamp[19:])).date().isoformat()
    except (ValueError, OverflowError):
        return now.astimezone(UTC).date().isoformat()


def _offset(rest: str) -> timedelta:
    """Return the offset from UTC in what follows the seconds: fraction of any length, then Z, +hhmm or +hh:mm."""
    zone = rest.lstrip(".0123456789")
    if zone in ("", "Z"):
        return timedelta()
    digits = zone[1:].replace(":", "")
    if zone[0] not in "+-" or len(digits) != 4 or not digits.isdigit():
        raise ValueError(zone)
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return size if zone[0] == "+" else -size
