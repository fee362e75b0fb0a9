"""What is known of a client, and what else it and its users did around a time.

Promises: counts are of all events; the events told are the most telling ones: each alert's newest, stored files, then
the newest of each type. Will not: tell an event of the flows that the evidence is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from connector.hunts.conditions.condition import All, Condition, Equals, None_
from connector.hunts.conditions.condition import Any as AnyOf
from connector.respond.evidence.asking import Counts, Desk, Span, age
from connector.respond.evidence.model import Event, Host, Name, Others
from connector.respond.evidence.reading import Found, cut, short, told, words

AROUND = timedelta(hours=12)
LEASES = timedelta(days=7)  # how long before the time a lease may have been given
COMMON = 20
MOST_NAMES, TOLD_NAMES = 1000, 50
SIGNATURES, OF_SIGNATURE, STORED_FILES, KINDS, OF_KIND = 20, 3, 20, 15, 4
USER_FIELDS = ("krb5.cname", "smb.ntlmssp.user")
NO_USER = ("", "<empty>", "<none>", "none", "anonymous")
OF_HOST = ("hunt.client.department", "hunt.client.network", "hunt.client.role", "http.http_user_agent")


def around(first: datetime | None, last: datetime | None) -> Span:
    """Return the time around that of the events; open where they have none."""
    return Span(first - AROUND if first else None, last + AROUND if last else None)


def host_of(desk: Desk, ip: str, span: Span) -> Host:
    """Return what the events of a time say of a client. Raises SiemError."""
    either = _of_host(ip)
    seen = desk.counts(either, span, "event_type", "alert.signature")
    as_client = desk.counts(Equals("hunt.client.ip", (ip,)), span, *OF_HOST).values
    leased = Span(span.start - LEASES if span.start else None, span.end)
    macs = tuple(desk.counts(Equals("dhcp.assigned_ip", (ip,)), leased, "dhcp.client_mac").values["dhcp.client_mac"])
    names = _names(desk, ip, macs, leased)
    return Host(
        ip=ip,
        names=names,
        users=users_of(desk, ip, span),
        macs=macs,
        departments=tuple(as_client["hunt.client.department"]),
        networks=tuple(as_client["hunt.client.network"]),
        roles=tuple(as_client["hunt.client.role"]),
        user_agents=tuple(as_client["http.http_user_agent"]),
        first=told(seen.first),
        last=told(seen.last),
        events=seen.events,
        kinds=seen.values["event_type"],
        alerts=seen.values["alert.signature"],
    )


def _of_host(*ips: str) -> Condition:
    """Return the condition for events of which one of the hosts is an end."""
    return AnyOf(tuple(Equals(name, ips) for name in ("hunt.client.ip", "hunt.server.ip")))


def _names(desk: Desk, ip: str, macs: Sequence[str], span: Span) -> tuple[str, ...]:
    """Return the host names that DHCP tells of the cards which had the address, then those of SMB log-ins."""
    found: dict[str, None] = {}
    if macs:
        by_mac = desk.counts(Equals("dhcp.client_mac", tuple(macs)), span, "dhcp.hostname")
        found.update(dict.fromkeys(by_mac.values["dhcp.hostname"]))
    by_login = desk.counts(Equals("hunt.client.ip", (ip,)), span, "smb.ntlmssp.host").values["smb.ntlmssp.host"]
    known = {name.lower() for name in found}
    found.update(dict.fromkeys(name for name in by_login if name.lower() not in known))
    return tuple(found)[:COMMON]


def users_of(desk: Desk, ip: str, span: Span) -> tuple[str, ...]:
    """Return who logged in from a host: Kerberos and SMB names; a machine's own (with a $) is none."""
    mine = Equals("hunt.client.ip", (ip,))
    found = desk.counts(mine, span, *USER_FIELDS).values
    names = [name for field in USER_FIELDS for name in found[field]]
    people = (name for name in names if name.lower() not in NO_USER and not name.rstrip().endswith("$"))
    return tuple({name.lower(): name for name in reversed(list(people))}.values())[::-1][:COMMON]


def others_of(
    desk: Desk, ips: tuple[str, ...], users: tuple[str, ...], span: Span, flow_ids: Sequence[str] = ()
) -> Others:
    """Return the other events of hosts and users (one of either at least), without those of some flows.

    Raises SiemError.
    """
    mine: list[Condition] = [_of_host(*ips)] if ips else []
    if users:
        mine += [Equals(name, users) for name in USER_FIELDS]
    own = (None_((Equals("flow_id", tuple(flow_ids)),)),) if flow_ids else ()
    condition = All((AnyOf(tuple(mine)), *own))
    seen = desk.counts(condition, span, "event_type", "alert.signature")
    return Others(
        start=told(span.start),
        end=told(span.end),
        count=seen.events,
        kinds=seen.values["event_type"],
        alerts=seen.values["alert.signature"],
        names=_asked_names(desk, ips, span) if ips else (),
        events=tuple(_event(event) for event in _telling(desk, condition, span)),
    )


def _telling(desk: Desk, condition: Condition, span: Span) -> list[Found]:
    """Return the most telling events."""
    alerts = desk.newest_by(
        All((condition, Equals("event_type", ("alert",)))), span, "alert.signature", SIGNATURES, OF_SIGNATURE
    )
    stored = All((condition, Equals("event_type", ("fileinfo",)), Equals("fileinfo.stored", (True,))))
    files = desk.some(stored, span, STORED_FILES, newest_only=True).events
    plain = All((condition, None_((Equals("event_type", ("flow", "netflow", "alert")),))))
    rest = desk.newest_by(plain, span, "event_type", KINDS, OF_KIND)
    each: dict[tuple[str, str], Found] = {}
    for group in (alerts, sorted(files, key=age, reverse=True), rest):
        for event in group:
            each.setdefault(event.place, event)
    return list(each.values())


def _event(event: Found) -> Event:
    """Return an event of another flow."""
    return Event(event.index, event.id, told(event.time), event.kind, None, False, words(event), cut(event.source))


def _asked_names(desk: Desk, ips: tuple[str, ...], span: Span) -> tuple[Name, ...]:
    """Return the names hosts asked for or went to: first those no other client did, then the most frequent."""
    mine = Equals("hunt.client.ip", ips)
    found = desk.timed(mine, span, "hostname_info.host", MOST_NAMES)
    if not found:
        return ()
    resolvers = Equals("hunt.client.role", ("resolver",))
    elsewhere = All((Equals("hostname_info.host", tuple(found)), None_((mine, resolvers))))
    others = desk.counts(elsewhere, span, "hostname_info.host", size=MOST_NAMES).values["hostname_info.host"]
    ordered = sorted(found, key=lambda name: (name in others, -found[name].events, name))[:TOLD_NAMES]
    return tuple(_name(name, found[name], name not in others) for name in ordered)


def _name(name: str, seen: Counts, only_here: bool) -> Name:
    """Return a name with how often and when it was asked for."""
    return Name(short(name), seen.events, told(seen.first), told(seen.last), only_here)
