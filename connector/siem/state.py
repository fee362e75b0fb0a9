"""Our own indices in the SIEM: their names, mappings and retention words. All state lives there, nothing beside it.

Every mapping is `dynamic: false`: a field not named here is kept in the document and not indexed.
"""

from __future__ import annotations

from typing import Any

KEYWORD = {"type": "keyword", "ignore_above": 8191}
DATE = {"type": "date"}
LONG = {"type": "long"}
TEXT = {"type": "text"}
BOOLEAN = {"type": "boolean"}
STORED: dict[str, Any] = {"type": "object", "enabled": False}
HUNT = {"properties": dict.fromkeys(("id", "name", "title"), KEYWORD)}
SIDE = {
    "properties": {"ip": {"type": "ip", "ignore_malformed": True}, **dict.fromkeys(("department", "network"), KEYWORD)}
}

# the lists of a host's profile below `host_id`, and the values of their entries (connector/hosts/attributes.py)
HOST_LISTS: dict[str, tuple[str, ...]] = {
    "roles": ("name",),
    "hostname": ("host", "source"),
    "username": ("user", "source"),
    "mac": ("address", "source"),
    "net_info": ("agg", "side"),
    "department": ("name", "side"),
    "email": ("address",),
    "smtp.helo": ("name",),
    "krb5.realm": ("name",),
    "krb5.service": ("name",),
    "krb5.encryption": ("name",),
    "krb5.error": ("code",),
    "windows_domain": ("name",),
    "tls.client_subject": ("name",),
    "mqtt.client_id": ("id",),
    "vlan": ("id",),
    "dhcp.vendor": ("name",),
    "dhcp.client_id": ("id",),
    "dhcp.router": ("ip",),
    "dhcp.dns_server": ("ip",),
    "dhcp.lease_time": ("seconds",),
    "dhcp.answered": ("type",),
    "client_service": ("name",),
    "resolver": ("ip", "verdict", "provider"),
    "domain": ("name",),
    "dns.type": ("name",),
    "dns.rcode": ("name",),
    "http.user_agent": ("agent",),
    "http.method": ("name",),
    "http.version": ("name",),
    "http.forwarded_for": ("ip",),
    "tls.ja3": ("hash",),
    "tls.ja4": ("hash",),
    "tls.version": ("name",),
    "tls.alpn": ("name",),
    "quic.version": ("name",),
    "quic.user_agent": ("agent",),
    "quic.ja3": ("hash",),
    "quic.ja4": ("hash",),
    "ssh.client": ("software",),
    "ssh.server": ("software",),
    "smb.os": ("name",),
    "smb.server_os": ("name",),
    "smb.windows": ("version",),
    "smb.dialect": ("name",),
    "smb.share": ("name",),
    "smb.guid": ("id",),
    "rdp.build": ("name",),
    "rfb.screen": ("name",),
    "snmp.version": ("name",),
    "mdns.asked": ("name",),
    "mdns.offered": ("name",),
    "peer": ("ip",),
    "visitor": ("ip",),
    "country": ("code",),
    "unanswered": ("ip", "port"),
    "alert": ("signature", "signature_id", "side"),
    "alert_category": ("name", "side"),
    "tag": ("name",),
    "services.values": (
        "app_proto",
        "tls_subject",
        "tls_issuer",
        "tls_fingerprint",
        "tls_notafter",
        "tls_serial",
        "tls_name",
        "tls_ja3s",
        "tls_version",
        "http_type",
        "http_server",
        "http_proxied",
        "ssh_software",
    ),
}
HOST_NUMBERS = (
    "flows.client",
    "flows.server",
    "bytes.out",
    "bytes.in",
    "packets.out",
    "packets.in",
    "alerts.high",
    "alerts.medium",
    "alerts.low",
    "alerts.as_server",
    "dns.queries",
    "dns.nxdomain",
    "http.requests",
    "tls.sessions",
)


def _host() -> dict[str, Any]:
    """Return the mapping of a profile: values and counts can be searched, times of single entries not."""
    root: dict[str, Any] = {"first_seen": DATE, "last_seen": DATE, "in_home_net": BOOLEAN, "services_count": LONG}
    named: dict[str, Any] = {path: {"properties": dict.fromkeys(keys, KEYWORD)} for path, keys in HOST_LISTS.items()}
    named |= {f"{path}_count": LONG for path in HOST_LISTS if path != "services.values"}
    named |= dict.fromkeys(HOST_NUMBERS, LONG)
    for path, mapping in named.items():
        *holders, last = path.split(".")
        inside = root
        for name in holders:
            inside = inside.setdefault(name, {"properties": {}})["properties"]
        inside[last] = {**inside.get(last, {}), **mapping}
    root["services"]["properties"] |= {"proto": KEYWORD, "port": LONG}
    return {"properties": root}


STATE_MAPPINGS: dict[str, dict[str, Any]] = {
    "findings": {
        "hunt": {"properties": dict.fromkeys(("id", "name", "title", "family", "severity", "kind"), KEYWORD)},
        "group_by": KEYWORD,
        "group": STORED,
        "values": STORED,
        "cut": KEYWORD,
        "terms": KEYWORD,  # the values again, as field=value
        "client": SIDE,
        "server": SIDE,
        "count": LONG,
        "first": DATE,
        "last": DATE,
        "made": DATE,
        "updated": DATE,
        "status": KEYWORD,
        "settled": STORED,
        "windows": STORED,
        "events": {"properties": {"index": KEYWORD, "id": KEYWORD, "time": DATE, "shown": STORED}},
        "events_not_kept": LONG,
    },
    "runs": {
        "kind": KEYWORD,
        "pass": KEYWORD,
        "settled": STORED,
        "windows": STORED,
        "from": DATE,
        "to": DATE,
        "started": DATE,
        "took_ms": LONG,
        "events": LONG,
        "hunts": LONG,
        "hits": LONG,
        "findings": LONG,
        "errors": {"properties": {"hunt": KEYWORD, "error": TEXT}},
    },
    "state": {"kind": KEYWORD, "watermark": DATE, "task": KEYWORD, "updated": DATE, "value": STORED},
    "seen": {"memory": KEYWORD, "value": KEYWORD, "last": DATE, "began": DATE, "newest": DATE, "streaks": STORED},
    "tag-rules": {
        "hunt": HUNT,
        "tag": KEYWORD,
        "status": KEYWORD,
        "by": KEYWORD,
        "made": DATE,
        "comment": TEXT,
        "rule": STORED,
        "history": STORED,
        "extent": STORED,
        "unsettled": DATE,
    },
    "declarations": {
        "hunts": HUNT,
        "kind": KEYWORD,
        "threat": KEYWORD,
        "family": KEYWORD,
        "phase": KEYWORD,
        "phases": STORED,
        "asset": {"properties": dict.fromkeys(("field", "value", "kind", "department"), KEYWORD)},
        "offender": {"properties": dict.fromkeys(("field", "value"), KEYWORD)},
        "status": KEYWORD,
        "assigned": KEYWORD,
        "explanation": TEXT,
        "first": DATE,
        "last": DATE,
        "made": DATE,
        "updated": DATE,
        "by": KEYWORD,
        "count": LONG,
        "evidence": STORED,
        "said": STORED,
        "history": STORED,
        "pending": BOOLEAN,
        "evidence_due": BOOLEAN,
        "reputation": STORED,
        "reputation_due": BOOLEAN,
    },
    "declare-rules": {
        "hunt": HUNT,
        "status": KEYWORD,
        "by": KEYWORD,
        "made": DATE,
        "since": DATE,
        "verdict": STORED,
        "history": STORED,
    },
    "reputation": {
        "kind": KEYWORD,
        "value": KEYWORD,
        "verdict": KEYWORD,
        "asked": DATE,
        "expires": DATE,
        "answer": STORED,
    },
    "hosts": {
        "ip": {"type": "ip"},
        "tenant": KEYWORD,
        "host_id": _host(),
        "changes": {"properties": {"what": KEYWORD, "value": KEYWORD, "time": DATE}},
        "kept": STORED,
        "settled": STORED,
        "windows": STORED,
        "updated": DATE,
    },
    "evidence": {"declaration": KEYWORD, "kept_at": DATE, "kept": STORED},
    "outbox": {
        "declaration": KEYWORD,
        "finding": KEYWORD,
        "group": KEYWORD,
        "event": KEYWORD,
        "receiver": KEYWORD,
        "status": KEYWORD,
        "made": DATE,
        "next": DATE,
        "attempts": LONG,
        "tries": STORED,
        "message": STORED,
    },
}
