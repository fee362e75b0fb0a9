"""Profiles as people ask for them: one host, the hosts that have something, those behind a hunt's findings.

Promises: what is left out of a list is counted in it; findings and declarations are looked up when they are asked for,
so that their status is today's. Will not: write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from connector.errors import Refused
from connector.hosts.reading import address
from connector.hosts.shape import at, names
from connector.hunts.asking.tally import instant
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.conditions.host_fields import ip_and_tenant, profile_id
from connector.settings.model import Settings
from connector.siem.client import Siem
from connector.siem.state import HOST_LISTS, HOST_NUMBERS

Json = dict[str, Any]
LIMIT = 1000
ASKED = re.compile(r"^([\w.]+)\s*(>=|<=|=)\s*(.*)$", re.DOTALL)
SHORT = {"port": "services.port", "proto": "services.proto", "service": "services.values.app_proto"}
PLAIN = ("hostname.host", "username.user", "roles.name", "department.name")
WANTED = ("ip", "tenant", "host_id")  # of a profile in a list
SHOWN, MOST_DECLARED = 20, 10_000
APPROVED = ("approved", "approved-upstream")  # resolvers that are named last
ELSEWHERE = re.compile(r"^(hunt|declared)\s*=\s*(.+)$", re.DOTALL)


@dataclass(frozen=True)
class Host:
    """A profile with what our other indices say of the host now."""

    ip: str
    host_id: Json
    changes: Sequence[Json]
    findings: Sequence[Json]
    declarations: Sequence[Json]
    updated: str


@dataclass(frozen=True)
class Row:
    """A host in a list; `findings` counts those of the hunt it was asked for."""

    ip: str
    name: str | None
    user: Sequence[str]
    role: Sequence[str]
    department: Sequence[str]
    network: Sequence[str]
    resolver: Sequence[str]
    service: Sequence[str]
    first_seen: str | None
    last_seen: str | None
    findings: int | None = None
    hits: int | None = None
    tenant: str | None = None


@dataclass(frozen=True)
class Rows:
    """The hosts that were asked for, and how many more there are."""

    hosts: tuple[Row, ...]
    left_out: int


def profile(siem: Siem, settings: Settings, ip: str) -> Host:
    """Return the profile of an address, or of one of a tenant (`10.0.0.5@3`).

    Refused if it is no address, or there is no profile.
    """
    plain, tenant = ip_and_tenant(ip)
    known = address(plain)
    if known is None:
        raise Refused(f"{ip} is no address of a host: `hunts hosts {ip}` looks for it as a name, user or role")
    source = stored_profile(siem, settings, known, tenant)
    if source is None:
        raise Refused(_no_profile(siem, settings, known))
    users = [entry["user"] for entry in at(source["host_id"], "username") or ()]
    found = _findings(siem, settings, {"terms": {"client.ip": [known]}}, {"terms": {"server.ip": [known]}})
    return Host(
        known,
        source["host_id"],
        source["changes"],
        found,
        _declared(siem, settings, [known, *users]),
        source["updated"],
    )


def stored_profile(siem: Siem, settings: Settings, ip: str, tenant: str = "") -> Json | None:
    """Return the profile of an address (of a tenant) as it is stored; None if there is none."""
    known = address(ip)
    stored = siem.get(settings.state("hosts"), profile_id(known, tenant)) if known else None
    return stored.source if stored else None


def list_hosts(
    siem: Siem,
    settings: Settings,
    asked: Sequence[str] = (),
    *,
    of: Hunt | None = None,
    since: datetime | None = None,
    limit: int = LIMIT,
) -> Rows:
    """Return the hosts that fit all that is asked, last seen first; `of` takes those behind a hunt's findings only.

    Refused if something asked for is no attribute.
    """
    filters: list[Json] = [{"exists": {"field": "host_id.first_seen"}}]
    filters += [_elsewhere(siem, settings, text) or condition(text) for text in asked]
    if since:
        filters.append({"range": {"host_id.last_seen": {"gte": instant(since)}}})
    behind = _behind(siem, settings, {"term": {"hunt.id": of.id}}) if of else {}
    if of:
        filters.append({"terms": {"ip": sorted(behind)}})
    index, query = settings.state("hosts"), {"bool": {"filter": filters}}
    body = {"query": query, "sort": [{"host_id.last_seen": "desc"}, {"ip": "asc"}], "_source": WANTED}
    found = [hit["_source"] for hit in islice(siem.scan(index, body), limit)]
    rows = tuple(_row(source, behind.get(source["ip"])) for source in found)
    return Rows(rows, siem.count(index, query) - len(rows))


def condition(asked: str) -> Json:
    """Return the query for what a person asks: `attribute=value` (with `*`), `>=`, `<=`, or a name, user or role."""
    match = ASKED.match(asked)
    if match is None:
        text = asked.lower()
        options = [_like(f"host_id.{name}", f"{text}*" if "*" not in text else text) for name in PLAIN]
        if "/" in text or address(text):
            options = [{"term": {"ip": text}}]
        return {"bool": {"should": options, "minimum_should_match": 1}}
    name, how, value = match.groups()
    stored = _stored(name)
    if how != "=":
        return {"range": {stored: {"gte" if how == ">=" else "lte": value}}}
    return _like(stored, value)


def _stored(name: str) -> str:
    """Return the field of our index for an attribute; Refused if there is none."""
    name = SHORT.get(name, name).removeprefix("host_id.")
    if name in ("ip", "tenant"):
        return name
    if name in HOST_LISTS and name != "services.values":
        return f"host_id.{name}.{HOST_LISTS[name][0]}"
    holder, _, last = name.rpartition(".")
    counted = name.removesuffix("_count") in HOST_LISTS or name == "services_count"
    plain = name in ("first_seen", "last_seen", "in_home_net", "services.port", "services.proto")
    if last in HOST_LISTS.get(holder, ()) or name in HOST_NUMBERS or (counted and name.endswith("_count")) or plain:
        return f"host_id.{name}"
    if name in HOST_LISTS["services.values"]:
        return f"host_id.services.values.{name}"
    raise Refused(f"{name} is no attribute of hosts: docs/hosts.md lists them, such as roles, services.port, tls.ja4")


def _like(stored: str, value: str) -> Json:
    """Return the query for a value, with `*` for anything."""
    if "*" in value and stored != "ip":
        return {"wildcard": {stored: {"value": value}}}
    return {"term": {stored: value}}


def _no_profile(siem: Siem, settings: Settings, ip: str) -> str:
    """Return what to say if an address has no profile: those of its tenants, or how profiles come to be."""
    body = {"query": {"term": {"ip": ip}}, "sort": [{"tenant": "asc"}], "_source": ["tenant"]}
    hits = siem.search(settings.state("hosts"), {**body, "size": SHOWN})["hits"]["hits"]
    tenants = ", ".join(f"`hunts host {hit['_id']}`" for hit in hits)
    if tenants:
        return f"{ip} has profiles of tenants alone: {tenants}"
    return f"there is no profile of {ip}: `hunts hosts build` builds them from the events there are"


def _elsewhere(siem: Siem, settings: Settings, asked: str) -> Json | None:
    """Return the query for hosts that a hunt has found, or that somebody declared; None if neither is asked for."""
    match = ELSEWHERE.match(asked)
    if match is None:
        return None
    what, value = match.groups()
    if what == "hunt":
        return {"terms": {"ip": sorted(_behind(siem, settings, _like("hunt.name", value)))}}
    options = [_like(name, value) for name in ("threat", "kind", "phase", "status")]
    query = {"bool": {"should": options, "minimum_should_match": 1}}
    hits = siem.scan(settings.state("declarations"), {"query": query, "_source": ["asset"]})
    assets = {str(hit["_source"]["asset"]["value"]) for hit in islice(hits, MOST_DECLARED)}
    ips = sorted({known for asset in assets if (known := address(asset))})
    users = sorted({asset.lower() for asset in assets if address(asset) is None})
    named = [{"terms": {"ip": ips}}, {"terms": {"host_id.username.user": users}}]
    return {"bool": {"should": named, "minimum_should_match": 1}}


def _behind(siem: Siem, settings: Settings, query: Json) -> dict[str, tuple[int, int]]:
    """Return the addresses behind findings, with how many findings and events each has."""
    own: dict[str, tuple[int, int]] = {}
    body = {"query": query, "_source": ["client", "server", "count", "group"]}
    for hit in siem.scan(settings.state("findings"), body):
        source = hit["_source"]
        sides = [source.get("client", {}).get("ip")]
        if not any(sides):
            sides = [source.get("server", {}).get("ip")]
        for ip in {known for text in _flat(sides) if (known := address(text))}:
            findings, hits = own.get(ip, (0, 0))
            own[ip] = (findings + 1, hits + source["count"])
    return own


def _flat(values: Sequence[Any]) -> Iterator[str]:
    """Yield the texts in values that are a text, several, or none."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif value:
            yield from value


def _row(source: Mapping[str, Any], behind: tuple[int, int] | None) -> Row:
    """Return a profile as a row of a list."""
    host = source["host_id"]
    names_there = names(host)
    asked = sorted(host.get("resolver", ()), key=lambda one: one["verdict"] in APPROVED)
    resolvers = [f"{one['ip']} ({', '.join(filter(None, (one['verdict'], one['provider'])))})" for one in asked]
    return Row(
        ip=source["ip"],
        name=names_there[0] if names_there else None,
        user=[one["user"] for one in host.get("username", ())],
        role=[one["name"] for one in host.get("roles", ())],
        department=[one["name"] for one in host.get("department", ())],
        network=[one["agg"] for one in host.get("net_info", ())],
        resolver=resolvers,
        service=[f"{one['proto']}/{one['port']}" for one in host.get("services", ())],
        first_seen=host.get("first_seen"),
        last_seen=host.get("last_seen"),
        findings=behind[0] if behind else None,
        hits=behind[1] if behind else None,
        tenant=source.get("tenant"),
    )


def _findings(siem: Siem, settings: Settings, *options: Json) -> list[Json]:
    """Return findings that fit one of the queries, oldest first, as far as `LIMIT`."""
    query = {"bool": {"should": list(options), "minimum_should_match": 1}}
    names_kept = ["hunt.name", "hunt.title", "hunt.severity", "status", "group", "count", "first", "last"]
    body = {"query": query, "sort": [{"first": "asc"}], "_source": names_kept}
    hits = islice(siem.scan(settings.state("findings"), body), LIMIT)
    return [{"id": hit["_id"], **hit["_source"]} for hit in hits]


def _declared(siem: Siem, settings: Settings, assets: Sequence[str]) -> list[Json]:
    """Return the declarations whose asset is one of the values."""
    kept = ["threat", "kind", "phase", "status", "asset", "count", "first", "last"]
    body = {"query": {"terms": {"asset.value": list(assets)}}, "_source": kept}
    hits = islice(siem.scan(settings.state("declarations"), body), LIMIT)
    return [{"id": hit["_id"], **hit["_source"]} for hit in hits]
