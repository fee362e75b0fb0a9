"""What raw EVE files say of hosts, counted in plain Python event by event: nothing of `connector.hosts` is used."""

import ipaddress
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

Event = dict[str, Any]
Spans = dict[str, dict[str, dict[tuple[str, ...], list[int]]]]
FLOW_ORDER = {"http", "tls", "ssh", "smb", "ftp", "smtp", "pop3", "ldap", "pgsql"}
SERVICES = {53, 80, 88, 161, 443, 853, 5353}
NOTHING = ("", "<empty>", "<none>", "unknown", "failed", "?????", "-")
PRIVATE = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


def milliseconds(stamp: str) -> int:
    """Return a time stamp as epoch milliseconds, rounded down."""
    moment = datetime.fromisoformat(stamp)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def is_private(text: Any) -> bool:
    """Tell whether a text is an address of a private IPv4 range."""
    try:
        address = ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return any(address in network for network in PRIVATE)


def at(event: Event, path: str) -> list[str]:
    """Return the texts at a dotted path, through lists."""
    found: list[Any] = [event]
    for name in path.split("."):
        found = [value[name] for value in found if isinstance(value, dict) and name in value]
        found = [one for value in found for one in (value if isinstance(value, list) else [value])]
    return [value for value in found if isinstance(value, str)] + [
        str(value).lower() if isinstance(value, bool) else str(value)
        for value in found
        if isinstance(value, int | float)
    ]


# attribute → event type, side, path: those that are plain texts of one field
PLAIN = {
    "http.user_agent": ("http", "client", "http.http_user_agent"),
    "http.method": ("http", "client", "http.http_method"),
    "http.version": ("http", "client", "http.protocol"),
    "tls.ja3": ("tls", "client", "tls.ja3.hash"),
    "tls.ja4": ("tls", "client", "tls.ja4"),
    "tls.version": ("tls", "client", "tls.version"),
    "tls.alpn": ("tls", "client", "tls.client_alpns"),
    "tls.client_subject": ("tls", "client", "tls.client.subject"),
    "ssh.client": ("ssh", "client", "ssh.client.software_version"),
    "ssh.server": ("ssh", "server", "ssh.server.software_version"),
    "smb.share": ("smb", "server", "smb.share"),
    "smb.guid": ("smb", "server", "smb.server_guid"),
    "smb.windows": ("smb", "client", "smb.ntlmssp.version"),
}
SERVED = {
    "tls_subject": ("tls", "tls.subject"),
    "tls_issuer": ("tls", "tls.issuerdn"),
    "tls_fingerprint": ("tls", "tls.fingerprint"),
    "tls_notafter": ("tls", "tls.notafter"),
    "tls_serial": ("tls", "tls.serial"),
    "tls_name": ("tls", "tls.subjectaltname"),
    "tls_ja3s": ("tls", "tls.ja3s.hash"),
    "http_type": ("http", "http.http_content_type"),
    "http_server": ("http", "http.server"),
    "ssh_software": ("ssh", "ssh.server.software_version"),
}


def counted(events: list[Event]) -> Spans:
    """Return host → attribute → value → first and last time."""
    spans: Spans = defaultdict(lambda: defaultdict(dict))
    for event in events:
        moment = milliseconds(event["timestamp"])
        for ip, attribute, value in said(event):
            if is_private(ip) and all(len(text) <= 256 for text in value):
                span = spans[ip][attribute].setdefault(value, [moment, moment])
                span[:] = [min(span[0], moment), max(span[1], moment)]
    return spans


def said(event: Event) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield what an event says: host, attribute, value."""
    kind, source, target = event["event_type"], event.get("src_ip", ""), event.get("dest_ip", "")
    ends = {"client": source, "server": target}
    for attribute, (own, side, path) in PLAIN.items():
        if kind == own:
            yield from ((ends[side], attribute, (text,)) for text in at(event, path) if text)
    if kind in FLOW_ORDER and "dest_port" in event:
        for name, (own, path) in SERVED.items():
            if kind == own:
                for text in at(event, path):
                    if text:
                        yield target, f"services.{name}", (event["proto"], str(event["dest_port"]), text)
    if reader := READERS.get(kind):
        yield from reader(event, source, target)


def smb(event: Event, source: str, target: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield names, users and domains in NTLM, systems, dialects."""
    for path, attribute in (
        ("smb.ntlmssp.host", "hostname"),
        ("smb.ntlmssp.user", "username"),
        ("smb.ntlmssp.domain", "windows_domain"),
        ("smb.request.native_os", "smb.os"),
        ("smb.dialect", "smb.dialect"),
    ):
        for text in at(event, path):
            if text.lower() in NOTHING:
                continue
            if attribute == "hostname":
                yield source, attribute, (text.strip().rstrip(".").lower(), "ntlm")
            elif attribute == "username":
                name = text.lower().rsplit("\\", 1)[-1]
                if not name.endswith("$") and name not in NOTHING:
                    yield source, attribute, (name, "ntlm")
            else:
                yield source, attribute, (text,)
    for text in at(event, "smb.response.native_os"):
        if text.lower() not in NOTHING:
            yield target, "smb.server_os", (text,)


def krb5(event: Event, source: str, target: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield accounts and realms: the client is who does not speak from port 88."""
    client = target if event.get("src_port") == 88 else source
    for text in at(event, "krb5.cname"):
        name = text.lower()
        if name.endswith("$"):
            yield client, "hostname", (name[:-1], "kerberos")
        elif name not in NOTHING:
            yield client, "username", (name, "kerberos")
    for path, attribute in (("krb5.realm", "krb5.realm"), ("krb5.sname", "krb5.service")):
        for text in at(event, path):
            if text.lower() not in NOTHING:
                yield client, attribute, (text,)


def ftp(event: Event, source: str, target: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield users who logged on."""
    if event["ftp"].get("command") == "USER":
        for text in at(event, "ftp.command_data"):
            if text.lower() not in NOTHING:
                yield source, "username", (text.lower(), "ftp")


def smtp(event: Event, source: str, target: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield senders."""
    for text in at(event, "smtp.mail_from"):
        address = text.strip().strip("<>").lower()
        if "@" in address:
            yield source, "email", (address,)


def dhcp(event: Event, source: str, target: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield what hosts ask for and what they are given."""
    own = event["dhcp"]
    if own["type"] == "request" and own.get("dhcp_type") in ("request", "inform"):
        for ip in (own.get("requested_ip"), own.get("client_ip")):
            if own.get("hostname"):
                yield str(ip), "hostname", (own["hostname"].lower(), "dhcp")
        yield str(own.get("client_ip")), "mac", (own["client_mac"].lower(), "dhcp")
        if own.get("vendor_class_identifier"):
            yield str(own.get("requested_ip")), "dhcp.vendor", (own["vendor_class_identifier"],)
    if own["type"] == "reply":
        yield source, "dhcp.answered", (own["dhcp_type"],)
        if own["dhcp_type"] == "ack":
            yield str(own["assigned_ip"]), "mac", (own["client_mac"].lower(), "dhcp")
            yield from ((str(own["assigned_ip"]), "dhcp.router", (text,)) for text in own.get("routers", ()))
            yield from ((str(own["assigned_ip"]), "dhcp.dns_server", (text,)) for text in own.get("dns_servers", ()))


def mdns(event: Event, source: str, target: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield what hosts look for, offer, and are called."""
    yield from ((source, "mdns.asked", (text,)) for text in at(event, "mdns.queries.rrname") if text)
    yield from ((source, "mdns.offered", (text,)) for text in at(event, "mdns.answers.ptr") if text)
    for text in at(event, "mdns.answers.rrname"):
        name = text.rstrip(".").lower()
        if name.endswith(".local") and "_" not in name:
            yield source, "hostname", (name.removesuffix(".local"), "mdns")


def flow(event: Event, source: str, target: str) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield protocols that Suricata knew: used and offered."""
    protocol = event.get("app_proto")
    if protocol is None or protocol in NOTHING:
        return
    if event.get("src_port") == 20:  # active FTP data runs from the server
        source, target = target, source
    yield source, "client_service", (protocol,)
    if event["flow"]["state"] != "new" and protocol != "ftp-data" and "dest_port" in event:
        yield target, "services", (event["proto"], str(event["dest_port"]), protocol)


READERS: dict[str, Callable[[Event, str, str], Iterator[tuple[str, str, tuple[str, ...]]]]] = {
    "smb": smb, "krb5": krb5, "ftp": ftp, "smtp": smtp, "dhcp": dhcp, "mdns": mdns, "flow": flow,
}  # fmt: skip
COMPARED = {
    *PLAIN, *(f"services.{name}" for name in SERVED), "services", "client_service", "email", "mac", "windows_domain",
    "smb.os", "smb.server_os", "smb.dialect", "krb5.realm", "krb5.service", "dhcp.vendor", "dhcp.answered",
    "dhcp.router", "dhcp.dns_server", "mdns.asked", "mdns.offered", "hostname", "username",
}  # fmt: skip
MARKS = {"dhcp", "kerberos", "ntlm", "mdns", "ftp"}  # of names and users that are counted here


def facts_of(kept: dict[str, Any]) -> dict[str, dict[tuple[str, ...], list[int]]]:
    """Return what a profile keeps, as `counted` has it, of what is counted here."""
    assert not any(kept["cut"].get(path) for path in COMPARED)
    own = {
        path: {tuple(row[:-2]): row[-2:] for row in kept["lists"].get(path, ()) if _counted_here(path, row)}
        for path in COMPARED
    }
    return {path: found for path, found in own.items() if found}


def _counted_here(path: str, row: list[Any]) -> bool:
    """Tell whether a row comes from an origin that is counted here."""
    return path not in ("hostname", "username", "mac") or row[-3] in MARKS
