"""What else a host did on the office day: its name and user, its events by kind, alerts, and files Suricata kept.

The fields are those of the layout that `hunts load` makes; on a SIEM of one's own the guide steps of a hunt ask this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from connector.settings.model import Settings
from connector.siem.client import Siem

Json = dict[str, Any]


@dataclass(frozen=True)
class KeptFile:
    """A file that a host got and Suricata's filestore has: when, from where, its name, kind and hash."""

    time: str
    server: str
    name: str
    magic: str
    sha256: str
    flow_id: int


@dataclass(frozen=True)
class Around:
    """A host and what it did: names from DHCP, users from Kerberos, events by kind, alerts by signature, kept files."""

    ip: str
    department: str | None
    names: tuple[str, ...]
    users: tuple[str, ...]
    kinds: dict[str, int]
    alerts: dict[str, int]
    files: tuple[KeptFile, ...]


def around_host(siem: Siem, settings: Settings, ip: str) -> Around:
    """Return what the events say of a host; a machine's own Kerberos name (with a $) is no user."""
    either: Json = {"bool": {"should": [{"term": {"hunt.client.ip": ip}}, {"term": {"hunt.server.ip": ip}}]}}
    aggs = {
        "kinds": _terms("event_type.keyword"),
        "alerts": _terms("alert.signature.keyword"),
        "department": {"filter": {"term": {"hunt.client.ip": ip}}, "aggs": {"name": _terms("hunt.client.department")}},
    }
    found = siem.search(settings.events, {"size": 0, "query": either, "aggs": aggs})["aggregations"]
    department = next(iter(_counts(found["department"]["name"])), None)
    macs = _values(siem, settings, {"term": {"dhcp.assigned_ip.keyword": ip}}, "dhcp.client_mac.keyword")
    names = _values(siem, settings, {"terms": {"dhcp.client_mac.keyword": macs}}, "dhcp.hostname.keyword")
    asked = {"bool": {"filter": [either, {"term": {"event_type.keyword": "krb5"}}, {"term": {"src_port": 88}}]}}
    users = [user for user in _values(siem, settings, asked, "krb5.cname.keyword") if not user.endswith("$")]
    files = tuple(_kept_files(siem, settings, either))
    return Around(ip, department, tuple(names), tuple(users), _counts(found["kinds"]), _counts(found["alerts"]), files)


def _kept_files(siem: Siem, settings: Settings, either: Json) -> list[KeptFile]:
    """Return the files of the host that Suricata stored, oldest first."""
    query = {"bool": {"filter": [either, {"term": {"fileinfo.stored": True}}]}}
    body = {"query": query, "sort": [{"@timestamp": "asc"}], "size": 20}
    hits = siem.search(settings.events, body)["hits"]["hits"]
    return [_kept_file(hit["_source"]) for hit in hits]


def _kept_file(event: Json) -> KeptFile:
    """Return the file of a fileinfo event."""
    told = event["fileinfo"]
    server = event["hunt"]["server"]["ip"]
    return KeptFile(event["@timestamp"], server, told["filename"], told["magic"], told["sha256"], event["flow_id"])


def _values(siem: Siem, settings: Settings, query: Json, field: str) -> list[str]:
    """Return the values of a field, most frequent first."""
    body = {"size": 0, "query": query, "aggs": {"values": _terms(field)}}
    return list(_counts(siem.search(settings.events, body)["aggregations"]["values"]))


def _terms(field: str) -> Json:
    """Return an aggregation by the values of a field."""
    return {"terms": {"field": field, "size": 20}}


def _counts(aggregation: Json) -> dict[str, int]:
    """Return value → number of events."""
    return {str(bucket["key"]): int(bucket["doc_count"]) for bucket in aggregation["buckets"]}
