"""Real events that profiles are made of, stored as EVE or as Elastic Agent stores them, and the profiles there are."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

from real_events import values

from connector.enrich.dialects import stored_name
from connector.hosts.attributes import ATTRIBUTES, NUMBERS
from connector.settings.model import Dialect, Settings
from connector.siem.client import Siem

FILES = ("suricata8-verify", "suricata8-zeek", "suricata8-arkime", "suricata7-verify")
KINDS = (
    *("smb", "flow", "dns", "http", "alert", "ftp", "nfs", "tls", "mqtt", "quic", "krb5", "snmp", "mdns", "ssh"),
    *("ldap", "rfb", "rdp", "smtp", "sip", "pop3", "arp", "dhcp"),
)
MOST = 1200  # events of a type in a file: the captures of one attack have thousands
ADDRESS = {"type": "ip", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
TEXT = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}


def stored(siem: Siem, settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the profiles by id: the address, and its tenant if there is one."""
    hits = siem.scan(settings.state("hosts"), {"query": {"match_all": {}}})
    return {hit["_id"]: hit["_source"] for hit in hits}


def real_events(shared: Path, most: int = MOST, files: tuple[str, ...] = FILES) -> list[dict[str, Any]]:
    """Return events of the types that profiles are made of, of each type so many and those that tell something."""
    events = []
    for name in files:
        number: Counter[str] = Counter()
        with gzip.open(shared / "eve" / f"{name}.json.gz") as file:
            for line in file:
                event = json.loads(line)
                number[event["event_type"]] += 1
                telling = {"hostname", "client_id", "lease_time"} & set(event.get("dhcp", {}))
                flood = number[event["event_type"]] > most and not telling
                if event["event_type"] in KINDS and not flood:
                    events.append(event)
    return events


def in_ecs(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as the Elastic Agent integration stores it, as far as profiles read it."""
    eve = {name: dict(value) if isinstance(value, dict) else value for name, value in event.items()}
    found: dict[str, Any] = {"@timestamp": eve.pop("timestamp"), "suricata": {"eve": eve}}
    ends = {"source": ("src", "toserver"), "destination": ("dest", "toclient")}
    for side, (name, way) in ends.items():
        moved = {"ip": (eve, f"{name}_ip"), "port": (eve, f"{name}_port")}
        if event["event_type"] == "flow":
            moved |= {"packets": (eve["flow"], f"pkts_{way}"), "bytes": (eve["flow"], f"bytes_{way}")}
        found[side] = {own: holder.pop(old) for own, (holder, old) in moved.items() if old in holder}
    names = {"transport": "proto", "protocol": "app_proto"}
    found["network"] = {own: eve.pop(old).lower() for own, old in names.items() if old in eve}
    http = eve.get("http", {})
    if "http_method" in http:
        found["http"] = {"request": {"method": http.pop("http_method")}}
    if "http_user_agent" in http:
        found["user_agent"] = {"original": http.pop("http_user_agent")}
    if "url" in http or "hostname" in http:
        pairs = {"original": "url", "domain": "hostname"}
        found["url"] = {own: http.pop(old) for own, old in pairs.items() if old in http}
    return found


def mapping_of(events: list[dict[str, Any]], dialect: Dialect = "eve") -> dict[str, Any]:
    """Return the mapping that the fields profiles read get by themselves: made at once, for that takes minutes."""
    names = {name.rstrip("?") for a in ATTRIBUTES for o in a.origins for name in (*o.fields, *o.where, o.of)}
    names |= {name for number in NUMBERS for name in (number.sums, *number.where) if name}
    names |= {"tenant_id", "event_type"}
    root: dict[str, Any] = {}
    for name in sorted({stored_name(name, dialect) for name in names}):
        found = [value for event in events for value in values(event, name.split("."))]
        if not found or name.startswith("hunt."):
            continue
        *holders, last = name.split(".")
        inside = root
        for holder in holders:
            inside = inside.setdefault(holder, {"properties": {}})["properties"]
        whole = all(type(value) is int for value in found)
        inside[last] = ADDRESS if last.endswith("_ip") or last == "ip" else {"type": "long"} if whole else TEXT
    return {"dynamic": False, "properties": root}


def index_events(siem: Siem, index: str, events: list[dict[str, Any]]) -> None:
    """Index the events, enriched by the pipeline."""
    for start in range(0, len(events), 2000):
        some = events[start : start + 2000]
        lines = [
            line
            for event in some
            for line in ({"create": {"_index": index}}, {"@timestamp": event.get("timestamp")} | event)
        ]
        assert siem.bulk(lines) == []
    siem.call("POST", f"/{index}/_refresh")
