"""What a profile says of a host, as data: each attribute, its meaning, and the events and fields it comes from.

Promises: docs/hosts.md and the mapping of our index say the same as this table. Will not: ask an engine anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

CLIENT, SERVER, SOURCE = "hunt.client.ip", "hunt.server.ip", "src_ip"
MOST = 100  # values of a list that are kept


@dataclass(frozen=True)
class Origin:
    """Events that say something of a host: their types, the field with its address, and those with the values.

    A field that ends in `?` may be missing; such stand last. `where` are further conditions: a field has one of the
    texts, which may end in `*`. `read` is how a value is read
    (`reading.py`), `mark` is kept beside it. `since` is the oldest Suricata that says so.
    """

    events: tuple[str, ...]
    of: str
    fields: tuple[str, ...]
    read: str = "text"
    where: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    mark: str = ""
    since: int = 6


@dataclass(frozen=True)
class Attribute:
    """A list of a profile: where it is below `host_id`, the names of an entry's values, and what they mean.

    With `marked` each entry says which of its origins have it. `most` is how many entries are kept.
    """

    path: str
    keys: tuple[str, ...]
    meaning: str
    origins: tuple[Origin, ...]
    marked: bool = False
    most: int = MOST


@dataclass(frozen=True)
class Number:
    """A number of a profile: what is counted, or summed of a field, over events of some types on one side."""

    path: str
    meaning: str
    events: tuple[str, ...]
    of: str
    sums: str = ""
    where: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))


def _one(
    path: str,
    key: str,
    meaning: str,
    *asked: str,
    read: str = "text",
    since: int = 6,
    most: int = MOST,
    where: Mapping[str, tuple[str, ...]] | None = None,
) -> Attribute:
    """Return an attribute with one value an entry and one origin; `asked` are events, side and field.

    The events are types with spaces between them.
    """
    events, of, name = asked
    origin = Origin(tuple(events.split()), of, (name,), read=read, since=since, where=where or {})
    return Attribute(path, (key,), meaning, (origin,), most=most)


def _served(name: str, meaning: str, events: str, stored: str, *, since: int = 6) -> Attribute:
    """Return an attribute of a service: transport, port and a value."""
    origin = Origin(tuple(events.split()), SERVER, ("proto", "dest_port", stored), since=since)
    return Attribute(f"services.{name}", ("proto", "port", name), meaning, (origin,))


ASKED = {"dhcp.type": ("request",), "dhcp.dhcp_type": ("request", "inform")}
GIVEN = {"dhcp.type": ("reply",), "dhcp.dhcp_type": ("ack",)}
ANSWERED = {"dns.type": ("answer", "response")}
KNOWN_FLOW = {"flow.state": ("established", "closed", "bypassed")}
UNANSWERED = {"flow.pkts_toclient": ("0",), "hunt.server.scope": ("internal", "external")}

NAMES = Attribute(
    "hostname",
    ("host", "source"),
    "names of the host, and where each was seen; lower case",
    (
        Origin(("dhcp",), "dhcp.requested_ip", ("dhcp.hostname",), read="name", where=ASKED, mark="dhcp"),
        Origin(("dhcp",), "dhcp.client_ip", ("dhcp.hostname",), read="name", where=ASKED, mark="dhcp"),
        Origin(("krb5",), CLIENT, ("krb5.cname",), read="machine", mark="kerberos"),
        Origin(("smb",), CLIENT, ("smb.ntlmssp.host",), read="name", mark="ntlm"),
        Origin(("smb",), SERVER, ("smb.share",), read="share", mark="smb share"),
        Origin(("rdp",), CLIENT, ("rdp.client.client_name",), read="name", mark="rdp"),
        Origin(("nfs",), CLIENT, ("rpc.creds.machine_name",), read="name", mark="nfs"),
        Origin(("mdns",), SOURCE, ("mdns.answers.rrname",), read="local", mark="mdns", since=8),
        Origin(("dns",), "reverse", ("hunt.dns.rrname", "dns.grouped.PTR"), read="reverse", mark="reverse dns"),
        Origin(("dns",), "hunt.dns.ips", ("hunt.dns.rrname",), read="name", where=ANSWERED, mark="dns"),
        Origin(("tls", "quic"), SERVER, ("hostname_info.host",), read="name", mark="tls"),
        Origin(("http",), SERVER, ("hostname_info.host",), read="name", mark="http"),
    ),
    marked=True,
)
USERS = Attribute(
    "username",
    ("user", "source"),
    "accounts that were used on the host, and where each was seen; lower case",
    (
        Origin(("krb5",), CLIENT, ("krb5.cname",), read="person", mark="kerberos"),
        Origin(("smb",), CLIENT, ("smb.ntlmssp.user",), read="person", mark="ntlm"),
        Origin(("ftp",), CLIENT, ("ftp.command_data",), read="person", where={"ftp.command": ("USER",)}, mark="ftp"),
        Origin(("rdp",), CLIENT, ("rdp.cookie",), read="person", mark="rdp"),
        Origin(("snmp",), CLIENT, ("snmp.usm",), read="person", mark="snmp"),
        Origin(("mqtt",), CLIENT, ("mqtt.connect.username",), read="person", mark="mqtt"),
        Origin(
            ("pop3",),
            CLIENT,
            ("pop3.request.args",),
            read="person",
            where={"pop3.request.command": ("USER",)},
            mark="pop3",
            since=8,
        ),
    ),
    marked=True,
)
MACS = Attribute(
    "mac",
    ("address", "source"),
    "hardware addresses",
    (
        Origin(("dhcp",), "dhcp.assigned_ip", ("dhcp.client_mac",), read="lower", where=GIVEN, mark="dhcp"),
        Origin(("dhcp",), "dhcp.client_ip", ("dhcp.client_mac",), read="lower", where=ASKED, mark="dhcp"),
        Origin(("arp",), SOURCE, ("arp.src_mac",), read="lower", mark="arp", since=8),
    ),
    marked=True,
)
NETWORKS = Attribute(
    "net_info",
    ("agg", "side"),
    "networks of your organisation file that the host lies in",
    (
        Origin(("flow",), CLIENT, ("hunt.client.network",), mark="client"),
        Origin(("flow",), SERVER, ("hunt.server.network",), mark="server"),
    ),
    marked=True,
)
DEPARTMENTS = Attribute(
    "department",
    ("name", "side"),
    "departments of your organisation file",
    (
        Origin(("flow",), CLIENT, ("hunt.client.department",), mark="client"),
        Origin(("flow",), SERVER, ("hunt.server.department",), mark="server"),
    ),
    marked=True,
)

ATTRIBUTES: tuple[Attribute, ...] = (
    NAMES,
    USERS,
    MACS,
    NETWORKS,
    DEPARTMENTS,
    # who it is
    _one("email", "address", "mail addresses it sent as", "smtp", CLIENT, "smtp.mail_from", read="mail"),
    _one("smtp.helo", "name", "names it gave to mail servers", "smtp", CLIENT, "smtp.helo", read="name"),
    _one("krb5.realm", "name", "Kerberos realms", "krb5", CLIENT, "krb5.realm", read="said"),
    _one("krb5.service", "name", "Kerberos services it asked tickets for", "krb5", CLIENT, "krb5.sname", read="said"),
    _one("krb5.encryption", "name", "Kerberos encryption it got", "krb5", CLIENT, "krb5.encryption", read="said"),
    _one("krb5.error", "code", "Kerberos errors it got", "krb5", CLIENT, "krb5.error_code"),
    _one("windows_domain", "name", "Windows domains it logged on to", "smb", CLIENT, "smb.ntlmssp.domain", read="said"),
    _one(
        "tls.client_subject", "name", "certificates it showed as a client", "tls", CLIENT, "tls.client.subject", since=7
    ),
    _one("mqtt.client_id", "id", "MQTT client ids", "mqtt", CLIENT, "mqtt.connect.client_id", read="said"),
    # how it is connected
    _one("vlan", "id", "VLANs its flows were seen in", "flow", CLIENT, "vlan"),
    _one(
        "dhcp.vendor",
        "name",
        "DHCP vendor class",
        "dhcp",
        "dhcp.requested_ip",
        "dhcp.vendor_class_identifier",
        where=ASKED,
    ),
    _one("dhcp.client_id", "id", "DHCP client ids", "dhcp", "dhcp.requested_ip", "dhcp.client_id", where=ASKED),
    _one("dhcp.router", "ip", "routers that DHCP gave it", "dhcp", "dhcp.assigned_ip", "dhcp.routers", where=GIVEN),
    _one(
        "dhcp.dns_server",
        "ip",
        "resolvers that DHCP gave it",
        "dhcp",
        "dhcp.assigned_ip",
        "dhcp.dns_servers",
        where=GIVEN,
    ),
    _one("dhcp.lease_time", "seconds", "for how long", "dhcp", "dhcp.assigned_ip", "dhcp.lease_time", where=GIVEN),
    _one(
        "dhcp.answered",
        "type",
        "DHCP answers it gave, as a server",
        "dhcp",
        SOURCE,
        "dhcp.dhcp_type",
        where={"dhcp.type": ("reply",)},
    ),
    # what it uses
    _one("client_service", "name", "protocols it uses as a client", "flow", CLIENT, "app_proto", read="protocol"),
    Attribute(
        "resolver",
        ("ip", "verdict", "provider"),
        "resolvers it asked, what the enrichment says of them, and whose they are",
        (
            Origin(
                ("dns", "tls", "quic", "http", "flow"),
                CLIENT,
                ("hunt.resolver.ip", "hunt.resolver.verdict", "hunt.resolver.provider?"),
            ),
        ),
    ),
    _one(
        "domain",
        "name",
        "registered domains it asked for or visited",
        "dns tls http quic",
        CLIENT,
        "hostname_info.domain",
        most=500,
    ),
    _one("dns.type", "name", "types of records it asked for", "dns", CLIENT, "hunt.dns.rrtype"),
    _one("dns.rcode", "name", "answers' codes it got", "dns", CLIENT, "hunt.dns.rcode"),
    _one("http.user_agent", "agent", "user agents it sent", "http", CLIENT, "http.http_user_agent"),
    _one("http.method", "name", "methods it used", "http", CLIENT, "http.http_method"),
    _one("http.version", "name", "protocol versions it spoke", "http", CLIENT, "http.protocol"),
    _one("http.forwarded_for", "ip", "X-Forwarded-For it sent: others are behind it", "http", CLIENT, "http.xff"),
    _one("tls.ja3", "hash", "fingerprints of its TLS clients", "tls", CLIENT, "tls.ja3.hash"),
    _one("tls.ja4", "hash", "fingerprints of its TLS clients", "tls", CLIENT, "tls.ja4", since=7),
    _one("tls.version", "name", "TLS versions it spoke as a client", "tls", CLIENT, "tls.version"),
    _one("tls.alpn", "name", "protocols its TLS clients offered", "tls", CLIENT, "tls.client_alpns", since=8),
    _one("quic.version", "name", "QUIC versions it spoke", "quic", CLIENT, "quic.version", since=7),
    _one("quic.user_agent", "agent", "user agents it sent over QUIC", "quic", CLIENT, "quic.ua", since=7),
    _one("quic.ja3", "hash", "fingerprints of its QUIC clients", "quic", CLIENT, "quic.ja3.hash", since=7),
    _one("quic.ja4", "hash", "fingerprints of its QUIC clients", "quic", CLIENT, "quic.ja4", since=8),
    _one("ssh.client", "software", "its SSH clients", "ssh", CLIENT, "ssh.client.software_version"),
    _one("ssh.server", "software", "its SSH servers", "ssh", SERVER, "ssh.server.software_version"),
    _one("smb.os", "name", "system it named as an SMB client", "smb", CLIENT, "smb.request.native_os", read="said"),
    _one(
        "smb.server_os",
        "name",
        "system it named as an SMB server",
        "smb",
        SERVER,
        "smb.response.native_os",
        read="said",
    ),
    _one("smb.windows", "version", "Windows version in NTLM", "smb", CLIENT, "smb.ntlmssp.version", since=7),
    _one("smb.dialect", "name", "SMB dialects it spoke as a client", "smb", CLIENT, "smb.dialect", read="said"),
    _one("smb.share", "name", "shares that others opened on it", "smb", SERVER, "smb.share"),
    _one("smb.guid", "id", "its GUID as an SMB server", "smb", SERVER, "smb.server_guid"),
    _one("rdp.build", "name", "build of its RDP client", "rdp", CLIENT, "rdp.client.build"),
    _one("rfb.screen", "name", "screens it shared by VNC", "rfb", SERVER, "rfb.framebuffer.name"),
    _one("snmp.version", "name", "SNMP versions it asked with", "snmp", CLIENT, "snmp.version"),
    _one("mdns.asked", "name", "services it looked for by mDNS", "mdns", SOURCE, "mdns.queries.rrname", since=8),
    _one("mdns.offered", "name", "services it told of by mDNS", "mdns", SOURCE, "mdns.answers.ptr", since=8),
    _one(
        "peer",
        "ip",
        "addresses it had flows with as a client",
        "flow",
        CLIENT,
        SERVER,
        most=200,
    ),
    _one("visitor", "ip", "addresses that had flows with it as a server", "flow", SERVER, CLIENT, most=200),
    Attribute(
        "country",
        ("code",),
        "countries of addresses it had flows with, if events say them (Logstash, an ingest pipeline, ECS)",
        (
            Origin(("flow",), CLIENT, ("geoip.country_iso_code",)),
            Origin(("flow",), CLIENT, ("geoip.country_code2",)),
            Origin(("flow",), SERVER, ("geoip.country_code2",)),
        ),
    ),
    Attribute(
        "unanswered",
        ("ip", "port"),
        "addresses and ports that did not answer it, but for groups and broadcasts",
        (Origin(("flow",), CLIENT, (SERVER, "dest_port"), where=UNANSWERED),),
        most=200,
    ),
    # what it offers
    Attribute(
        "services",
        ("proto", "port", "app_proto"),
        "services it offers: a flow with answers whose protocol Suricata knew",
        (Origin(("flow",), SERVER, ("proto", "dest_port", "app_proto"), read="service", where=KNOWN_FLOW),),
        most=200,
    ),
    _served("tls_subject", "subject of the certificate", "tls", "tls.subject"),
    _served("tls_issuer", "issuer of the certificate", "tls", "tls.issuerdn"),
    _served("tls_fingerprint", "SHA-1 of the certificate", "tls", "tls.fingerprint"),
    _served("tls_notafter", "when the certificate ends", "tls", "tls.notafter"),
    _served("tls_serial", "serial number of the certificate", "tls", "tls.serial"),
    _served("tls_name", "names in the certificate", "tls", "tls.subjectaltname", since=8),
    _served("tls_ja3s", "fingerprint of the server", "tls", "tls.ja3s.hash"),
    _served("tls_version", "TLS versions", "tls", "tls.version"),
    _served("http_type", "content types served", "http", "http.http_content_type"),
    _served("http_server", "software of the web server, if Suricata logs the header Server", "http", "http.server"),
    Attribute(
        "services.http_proxied",
        ("proto", "port", "http_proxied"),
        "methods of requests that only proxies serve",
        (
            Origin(
                ("http",), SERVER, ("proto", "dest_port", "http.http_method"), where={"http.http_method": ("CONNECT",)}
            ),
            Origin(("http",), SERVER, ("proto", "dest_port", "http.http_method"), where={"http.url": ("http://*",)}),
        ),
    ),
    _served("ssh_software", "software of the SSH server", "ssh", "ssh.server.software_version"),
    # what was said of it
    Attribute(
        "alert",
        ("signature", "signature_id", "side"),
        "signatures of alerts, and whether it was client or server",
        (
            Origin(("alert",), CLIENT, ("alert.signature", "alert.signature_id"), mark="client"),
            Origin(("alert",), SERVER, ("alert.signature", "alert.signature_id"), mark="server"),
        ),
        marked=True,
        most=200,
    ),
    Attribute(
        "alert_category",
        ("name", "side"),
        "categories of alerts",
        (
            Origin(("alert",), CLIENT, ("alert.category",), mark="client"),
            Origin(("alert",), SERVER, ("alert.category",), mark="server"),
        ),
        marked=True,
    ),
    _one("tag", "name", "tags on its events", "alert dns http tls flow", CLIENT, "hunt.tag"),
)

FLOW = ("flow",)
NUMBERS: tuple[Number, ...] = (
    Number("flows.client", "flows it began", FLOW, CLIENT),
    Number("flows.server", "flows it answered or was asked for", FLOW, SERVER),
    Number("bytes.out", "bytes it sent", FLOW, CLIENT, "flow.bytes_toserver"),
    Number("bytes.in", "bytes it got", FLOW, CLIENT, "flow.bytes_toclient"),
    Number("bytes.out", "bytes it sent", FLOW, SERVER, "flow.bytes_toclient"),
    Number("bytes.in", "bytes it got", FLOW, SERVER, "flow.bytes_toserver"),
    Number("packets.out", "packets it sent", FLOW, CLIENT, "flow.pkts_toserver"),
    Number("packets.in", "packets it got", FLOW, CLIENT, "flow.pkts_toclient"),
    Number("packets.out", "packets it sent", FLOW, SERVER, "flow.pkts_toclient"),
    Number("packets.in", "packets it got", FLOW, SERVER, "flow.pkts_toserver"),
    *(
        Number(
            f"alerts.{word}",
            f"alerts of severity {severity}, as client",
            ("alert",),
            CLIENT,
            where={"alert.severity": (severity,)},
        )
        for word, severity in (("high", "1"), ("medium", "2"), ("low", "3"))
    ),
    Number("alerts.as_server", "alerts, as server", ("alert",), SERVER),
    Number("dns.queries", "queries it asked", ("dns",), CLIENT, where={"hunt.dns.message": ("query",)}),
    Number(
        "dns.nxdomain",
        "answers that there is no such name",
        ("dns",),
        CLIENT,
        where={"hunt.dns.rcode": ("NXDOMAIN",), "hunt.dns.message": ("answer",)},
    ),
    Number("http.requests", "requests it made", ("http",), CLIENT),
    Number("tls.sessions", "TLS sessions it began", ("tls",), CLIENT),
)
FIRST_LAST = ("first_seen", "last_seen")
BY_PATH = {attribute.path: attribute for attribute in ATTRIBUTES}
