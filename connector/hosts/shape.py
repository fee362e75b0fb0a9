"""A profile as it is stored and shown: `host_id` in the field names that screens read, from what is kept. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from connector.hosts.attributes import ATTRIBUTES, NUMBERS, Attribute
from connector.hosts.facts import Times

Json = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Rows = Mapping[str, Sequence[Sequence[Any]]]
SERVED_NAMES = ("tls", "http")  # a proxy serves others' names
RANKS = ("dhcp", "kerberos", "ntlm", "smb share", "rdp", "nfs", "mdns", "reverse dns", "dns", "tls", "http")
SCANNER = 100
ROLE_TIME = timedelta(days=30) // timedelta(milliseconds=1)
STEPS = {path: path.split(".") for path in (*(a.path for a in ATTRIBUTES), *(n.path for n in NUMBERS))}
DATABASES = ("pgsql", "mysql", "mssql", "oracle", "mongodb", "redis")


@dataclass(frozen=True)
class Role:
    """A role, the rule that gives it in words, and the rule: it returns when the role was seen, or None."""

    name: str
    rule: str
    seen: Callable[[Rows], Times | None]


def _offers(*protocols: str, ports: Sequence[str] = ()) -> Callable[[Rows], Times | None]:
    """Return the rule that the host offers one of the protocols, on one of the ports if there are any."""

    def seen(rows: Rows) -> Times | None:
        """Return when it did."""
        own = [row for row in rows.get("services", ()) if row[2] in protocols and (not ports or row[1] in ports)]
        return _times(own)

    return seen


def _has(path: str, *values: str, most: int = 1) -> Callable[[Rows], Times | None]:
    """Return the rule that a list has one of the values (or any), and at least so many entries."""

    def seen(rows: Rows) -> Times | None:
        """Return when it had."""
        own = [row for row in rows.get(path, ()) if not values or row[-3] in values]
        return _times(own) if len(own) >= most else None

    return seen


def _controller(rows: Rows) -> Times | None:
    """Return when Kerberos and LDAP, or Kerberos and DNS, were both offered."""
    kerberos, others = _offers("krb5")(rows), _offers("ldap", "dns")(rows)
    return kerberos if kerberos and others else None


def _web(rows: Rows) -> Times | None:
    """Return when web pages were offered by a host that is no proxy and no printer."""
    if _has("services.http_proxied")(rows) or _printer(rows):
        return None
    return _offers("http", "http2", "tls", "quic", ports=("80", "443", "8000", "8080", "8443"))(rows)


def _printer(rows: Rows) -> Times | None:
    """Return when the ports of printers were offered."""
    return _times([row for row in rows.get("services", ()) if row[1] in ("631", "9100", "515")])


ROLES: tuple[Role, ...] = (
    Role("domain controller", "offers Kerberos, and LDAP or DNS", _controller),
    Role("dhcp server", "gives addresses", _has("dhcp.answered", "offer", "ack")),
    Role("dns resolver", "offers DNS", _offers("dns")),
    Role("http proxy", "serves CONNECT, or requests for whole addresses", _has("services.http_proxied")),
    Role("printer", "offers a service on port 515, 631 or 9100", _printer),
    Role("mail server", "offers SMTP, IMAP or POP3", _offers("smtp", "imap", "pop3")),
    Role("file server", "offers SMB or NFS", _offers("smb", "nfs")),
    Role("web server", "offers HTTP or TLS on a web port, and is no proxy and no printer", _web),
    Role("database", "offers the protocol of a database", _offers(*DATABASES)),
    Role("scanner", f"{SCANNER} addresses and ports or more did not answer it", _has("unanswered", most=SCANNER)),
)


def shaped(kept: Mapping[str, Any], numbers: Mapping[str, int]) -> Json:
    """Return `host_id` for what is kept of a host and its numbers."""
    rows: Rows = kept["lists"]
    host: Json = {"in_home_net": True}
    if kept["seen"]:
        host |= _seen(kept["seen"])
    recent = _recent(rows, kept["seen"])
    roles = [{"name": role.name, "rule": role.rule, **_seen(at)} for role in ROLES if (at := role.seen(recent))]
    host |= {"roles": roles, "roles_count": len(roles)}
    proxy = any(role["name"] == "http proxy" for role in roles)
    for attribute in ATTRIBUTES:
        if attribute.path.startswith("services"):
            continue
        own = rows.get(attribute.path, ())
        if attribute.path == "hostname":
            own = [row for row in own if not (proxy and row[1] in SERVED_NAMES)]
        entries, cut = _entries(attribute, own) if own else [], len(kept["cut"].get(attribute.path, ()))
        inside, last = _place(host, attribute.path)
        inside[last], inside[f"{last}_count"] = entries, len(entries) + cut
        if cut:
            inside[f"{last}_cut"] = cut
    host["hostname"].sort(key=lambda entry: (min(map(RANKS.index, entry["source"])), entry["host"]))
    host["services"] = _services(rows)
    host["services_count"] = len(host["services"])
    for number in NUMBERS:
        inside, last = _place(host, number.path)
        inside[last] = numbers.get(number.path, 0)
    return host


def names(host: Mapping[str, Any]) -> list[str]:
    """Return the names of a host, the most telling first."""
    return [entry["host"] for entry in host.get("hostname", ())]


def at(host: Mapping[str, Any], path: str) -> Any:
    """Return what a profile has at a dotted path, None if nothing."""
    found: Any = host
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _recent(rows: Rows, seen: Sequence[int]) -> Rows:
    """Return what was seen in the last days the host was: what had the address before is not what the host is."""
    since = seen[1] - ROLE_TIME if seen else 0
    if not seen or seen[0] >= since:
        return rows
    return {path: [row for row in own if row[-1] >= since] for path, own in rows.items()}


def _entries(attribute: Attribute, rows: Sequence[Sequence[Any]]) -> list[Json]:
    """Return the entries of a list; those that differ in their mark alone are one."""
    if not attribute.marked:
        return [{**dict(zip(attribute.keys, row, strict=False)), **_seen(row[-2:])} for row in rows]
    together: dict[tuple[Any, ...], list[Sequence[Any]]] = {}
    for row in rows:
        together.setdefault(tuple(row[:-3]), []).append(row)
    *keys, mark = attribute.keys
    return [
        {**dict(zip(keys, value, strict=True)), mark: sorted(row[-3] for row in own), **_seen(_times(own) or (0, 0))}
        for value, own in together.items()
    ]


def _services(rows: Rows) -> list[Json]:
    """Return the services by transport and port, each with what was seen there."""
    found: dict[tuple[str, int], list[Json]] = {}
    for attribute in ATTRIBUTES:
        if not attribute.path.startswith("services"):
            continue
        for proto, port, value, *times in rows.get(attribute.path, ()):
            place = (str(proto).lower(), int(port))
            found.setdefault(place, []).append({attribute.keys[2]: value, **_seen(times)})
    return [{"proto": proto, "port": port, "values": own} for (proto, port), own in sorted(found.items())]


def _place(host: Json, path: str) -> tuple[Json, str]:
    """Return the object that a dotted path leads to, and the last name of the path."""
    *holders, last = STEPS[path]
    for name in holders:
        host = host.setdefault(name, {})
    return host, last


def _times(rows: Sequence[Sequence[Any]]) -> Times | None:
    """Return the first and the last time of rows, None without rows."""
    return (min(row[-2] for row in rows), max(row[-1] for row in rows)) if rows else None


def _seen(times: Sequence[int]) -> Json:
    """Return first and last time as a profile says them."""
    return {"first_seen": epoch_text(times[0]), "last_seen": epoch_text(times[1])}


def epoch_text(milliseconds: int) -> str:
    """Return epoch milliseconds as our documents write a moment: ISO 8601 in UTC, to the millisecond."""
    minute, rest = divmod(milliseconds, 60_000)
    return f"{_minute_text(minute)}:{rest // 1000:02d}.{rest % 1000:03d}Z"


@lru_cache(maxsize=100_000)  # a profile has hundreds of times, and most of them share minutes
def _minute_text(minute: int) -> str:
    """Return a minute of epoch time as ISO 8601 in UTC."""
    return (EPOCH + timedelta(minutes=minute)).isoformat(timespec="minutes").removesuffix("+00:00")
