"""Links from evidence into other tools, their templates filled in.

Promises: every value is escaped where it stands; addresses, numbers and hashes are used only if they are such, so that
no event can change what a link asks. Will not: link more than a few of each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from math import ceil, floor
from urllib.parse import quote

from connector.enrich.dialects import stored_name
from connector.hunts.conditions.address import address_number, plain_address
from connector.respond.evidence.model import Capture, Event, Evidence, File, Flow, Link
from connector.respond.evidence.reading import moment
from connector.settings.model import Dialect, LinkTemplate

MOST = 20  # of each thing
COMMUNITY = re.compile(r"\d{1,2}:[A-Za-z0-9+/]{1,64}={0,2}")
NUMBER = re.compile(r"\d{1,20}")
HEX = re.compile(r"[0-9a-fA-F]{32,64}")
DOMAIN = re.compile(r"(?=.{4,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
BEFORE, AFTER = timedelta(minutes=1), timedelta(hours=1)  # a flow's own event is written a while after its end
LOCAL = tuple(
    ip_network(cidr)
    for cidr in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.168.0.0/16", "224.0.0.0/3", "::/127", "fc00::/7", "fe80::/10", "ff00::/8"),
    )
)
Values = Mapping[str, str]


def links_of(templates: Sequence[LinkTemplate], evidence: Evidence) -> tuple[Link, ...]:
    """Return the links of flows, events, files, names and addresses."""
    things: dict[str, Iterable[tuple[str, Values]]] = {
        "flow": _flows(evidence),
        "event": _events(evidence.events),
        "file": _files(evidence.files),
        "domain": _domains(evidence),
        "address": _addresses(evidence.flows),
    }
    return tuple(
        link for of, found in things.items() for what, values in found for link in _links(templates, of, what, values)
    )


def _links(templates: Sequence[LinkTemplate], of: str, what: str, values: Values) -> Iterator[Link]:
    """Yield the links of one thing: of each tool the first template whose values are all known."""
    escaped = {name: quote(value, safe="") for name, value in values.items() if value}
    done: set[str] = set()
    for template in templates:
        if template.of != of or template.name in done:
            continue
        try:
            url = template.url.format_map(escaped)
        except KeyError:
            continue
        done.add(template.name)
        yield Link(template.name, what, url)


def _flows(evidence: Evidence) -> Iterator[tuple[str, Values]]:
    """Yield the values of flows."""
    captures = {capture.flow: capture for capture in evidence.captures}
    in_ecs = {event.flow for event in evidence.events if isinstance(event.source.get("suricata"), Mapping)}
    for flow in evidence.flows[:MOST]:
        dialect: Dialect = "ecs" if flow.number in in_ecs else "eve"
        yield f"flow {flow.number}", _flow(flow, captures.get(flow.number), dialect)


def _flow(flow: Flow, capture: Capture | None, dialect: Dialect) -> Values:
    """Return the values of one flow."""
    ends = {"client_ip": flow.client_ip, "server_ip": flow.server_ip}
    found = {name: plain_address(ip) for name, ip in ends.items() if address_number(ip) is not None}
    ports = (("client_port", flow.client_port), ("server_port", flow.server_port))
    found |= {name: str(port) for name, port in ports if port is not None}
    number = next((number for _, number in flow.flow_ids if NUMBER.fullmatch(number)), "")
    community = flow.community_id if COMMUNITY.fullmatch(flow.community_id) else ""
    found |= {
        "protocol": flow.protocol if flow.protocol.isalnum() else "",
        "flow_id": number,
        "community_id": community,
    }
    found["query"] = _query(number, community, dialect)
    if capture and (start := moment(capture.start)) and (end := moment(capture.end)):
        found |= _times(start - BEFORE, end + AFTER)
    return found


def _query(number: str, community: str, dialect: Dialect) -> str:
    """Return the words of Discover's search for a flow, empty if it has no number."""
    parts = [f"{stored_name('flow_id', dialect)}:{number}"] if number else []
    parts += [f'{stored_name("community_id", dialect)}:"{community}"'] if community else []
    return " or ".join(parts)


def _times(start: datetime, end: datetime) -> Values:
    """Return a time as templates name it."""
    iso = {
        name: at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for name, at in (("start", start), ("end", end))
    }
    return {**iso, "start_seconds": str(floor(start.timestamp())), "end_seconds": str(ceil(end.timestamp()))}


def _events(events: Sequence[Event]) -> Iterator[tuple[str, Values]]:
    """Yield the values of the events the evidence is for."""
    for event in [event for event in events if event.of_subject][:MOST]:
        yield f"event {event.id}", {"index": event.index, "id": event.id}


def _files(files: Sequence[File]) -> Iterator[tuple[str, Values]]:
    """Yield the values of files, each once."""
    each = {file.sha256 or file.md5: file for file in files if file.sha256 or file.md5}
    for file in list(each.values())[:MOST]:
        hashes = {"sha256": file.sha256, "sha1": file.sha1, "md5": file.md5}
        yield f"file {file.sha256 or file.md5}", {name: text for name, text in hashes.items() if HEX.fullmatch(text)}


def _domains(evidence: Evidence) -> Iterator[tuple[str, Values]]:
    """Yield the names that the flows and the look-ups have."""
    names = [
        *(one.sni for one in evidence.tls),
        *(one.host for one in evidence.http),
        *(one.name for one in evidence.dns),
    ]
    plain = (name.lower().rstrip(".").partition(":")[0] for name in names)
    for name in [name for name in dict.fromkeys(plain) if DOMAIN.fullmatch(name)][:MOST]:
        yield f"name {name}", {"domain": name}


def _addresses(flows: Sequence[Flow]) -> Iterator[tuple[str, Values]]:
    """Yield the addresses of servers that are not private."""
    found = dict.fromkeys(plain_address(flow.server_ip) for flow in flows if address_number(flow.server_ip) is not None)
    for address in [address for address in found if _is_public(address)][:MOST]:
        yield f"address {address}", {"address": address}


def _is_public(address: str) -> bool:
    """Tell whether an address is not only of local use, so that others can know it."""
    number = ip_address(address)
    return not any(number in network for network in LOCAL if network.version == number.version)
