"""The enrichment in plain Python: the reference that the ingest script must equal on every event.

Promises: an event is returned with our fields and all of its own; enriching twice changes nothing but what the tables
say; no JSON object makes it raise. Will not: be fast: it is for cases, tests and reading.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from connector.enrich.addresses import Address, parse_address
from connector.enrich.dns import Dns, read_dns
from connector.enrich.events import End, Event, Json, event_day, first, mapping, read_event, text, words
from connector.enrich.names import Name, split_name
from connector.enrich.resolvers import Resolver, Seen, resolver_of
from connector.enrich.sides import is_swapped
from connector.enrich.tables import Tables, path_text

# our mapping makes objects of these: a value that is none would be refused by the engine, so it is moved aside
OBJECTS = ("http", "alert", "hostname_info", "net_info", "hunt")
KEPT = ("ingested", "tag", "tag_rules", "tagged")
MAX_TEXT = 8191


def enrich(event: Json, tables: Tables, now: datetime) -> dict[str, Any]:
    """Return a copy of an EVE event (either dialect) with every field of ours; `now` is its first time in the SIEM."""
    out = copy.deepcopy(dict(event))
    if _is_done(out.get("hunt"), tables):
        return out
    unreadable = _move_aside(out)
    tag = _move_tag(out)
    seen = read_event(out)
    dns = read_dns(seen, tables.addresses)
    named_by, name_text = _name_of(seen, dns)
    name = split_name(name_text, tables.names) if name_text is not None else None
    swapped = is_swapped(seen, dns is not None and dns.is_v3 and dns.message == "answer")
    client, server = (seen.dest, seen.src) if swapped else (seen.src, seen.dest)
    about = {id(end): _about(end, tables) for end in (seen.src, seen.dest)}
    hunt = {key: out["hunt"][key] for key in KEPT if out.get("hunt", {}).get(key) is not None}
    hunt.setdefault("ingested", int(now.timestamp() * 1000))
    hunt["enriched"] = tables.enriched
    for key, end in (("client", client), ("server", server)):
        if told := _side(end, about[id(end)]):
            hunt[key] = told
    if name is not None:
        hunt["name"] = name_fields(name)
    if dns is not None:
        hunt["dns"] = _dns_fields(dns)
    if (known := about[id(server)]) is not None:
        day = event_day(seen, now)
        judged = Seen(about[id(client)], known, server, name, named_by, dns is not None, day)
        if (resolver := resolver_of(seen, judged, tables)) is not None:
            hunt["resolver"] = _resolver_fields(resolver, server)
    _write_host(out, seen, name, named_by, tables)
    _write_networks(out, (("src", about[id(seen.src)]), ("dest", about[id(seen.dest)])))
    _write_alert_ends(out, seen, tables)
    errors = (
        [f"{key} is not an object" for key in unreadable] + [f"{key} is an object" for key in tag] + seen.unreadable
    )
    unreadable |= tag
    if errors:
        hunt["error"] = errors
    if unreadable:
        hunt["unreadable"] = unreadable
    out["hunt"] = hunt
    return out


def _is_done(held: object, tables: Tables) -> bool:
    """Return whether an event that is written again, as for a tag, was enriched with these very tables already."""
    return (
        isinstance(held, dict)
        and held.get("enriched") == tables.enriched
        and held.get("ingested") is not None
        and held.get("error") is None
    )


def _move_aside(out: dict[str, Any]) -> dict[str, Any]:
    """Take what our mapping could not hold out of the event; return it by name."""
    moved = {key: out.pop(key) for key in OBJECTS if not _is_object(out.get(key), key in ("http", "alert"))}
    for holder, key in (("alert", "source"), ("alert", "target"), ("http", "http_refer_info")):
        inner = out.get(holder)
        if isinstance(inner, dict) and not _is_object(inner.get(key), False):
            moved[f"{holder}.{key}"] = inner.pop(key)
    return moved


def _move_tag(out: dict[str, Any]) -> dict[str, Any]:
    """Take an alert's tag that is an object out of the event, as our mapping holds words there."""
    alert = out.get("alert")
    if isinstance(alert, dict) and isinstance(alert.get("tag"), dict):
        return {"alert.tag": alert.pop("tag")}
    return {}


def _is_object(value: Any, lists: bool) -> bool:
    """Tell whether a value can stand where our mapping has an object: none, an object, or a list of objects."""
    if lists and isinstance(value, list):
        return all(isinstance(item, dict) for item in value)
    return value is None or isinstance(value, dict)


def _name_of(seen: Event, dns: Dns | None) -> tuple[str | None, str | None]:
    """Return what names the event (dns, tls, quic, http, mdns) and the name as text, or two times None."""
    if dns is not None and dns.rrname is not None:
        return "dns", dns.rrname
    for kind in ("tls", "quic"):
        if sni := text(seen.objects.get(kind, {}), "sni"):
            return kind, _without_port(sni)
    if host := _http_host(seen):
        return "http", _without_port(host)
    if "mdns" in seen.objects:
        asked = first(seen.objects["mdns"].get("queries")) or first(seen.objects["mdns"].get("answers")) or {}
        if rrname := words(asked.get("rrname")):
            return "mdns", rrname
    return None, None


def _http_host(seen: Event) -> str:
    """Return the host an HTTP request names, or an empty text."""
    if seen.is_ecs:
        return text(mapping(seen.root, "url"), "domain") if "http" in seen.objects else ""
    return text(seen.objects.get("http", {}), "hostname")


def _without_port(host: str) -> str:
    """Return a host without the port behind it; an IPv6 address keeps its colons."""
    head, colon, port = host.rpartition(":")
    is_port = colon and port.isascii() and port.isdigit() and (":" not in head or head.endswith("]"))
    return head if is_port else host


def _about(end: End, tables: Tables) -> Address | None:
    """Return what is known of an end's address, or None if it has none."""
    return tables.addresses.about(end.address) if end.address is not None else None


def _side(end: End, known: Address | None) -> dict[str, Any]:
    """Return `hunt.client` or `hunt.server`."""
    if known is None:
        return {}
    told: dict[str, Any] = {"ip": end.text, "scope": known.scope}
    if known.path:
        told["network"] = known.path[-1]
    if known.department:
        told["department"] = known.department
    if known.roles:
        told["role"] = known.roles[0] if len(known.roles) == 1 else list(known.roles)
    return told


def name_fields(name: Name) -> dict[str, Any]:
    """Return `hunt.name`."""
    told: dict[str, Any] = {"kind": name.kind, "class": name.klass, "flags": list(name.flags)}
    if name.kind not in ("root", "ip"):
        told |= {k: getattr(name, k) for k in ("labels", "length", "longest_label", "digits")}
    told |= {k: getattr(name, k) for k in ("private_suffix", "private_domain", "entropy", "alphabet")}
    told["parents"] = list(name.parents)
    if name.kind == "domain":
        told["subdomain_length"] = len(name.subdomain or "")
    return _present(told)


def _present(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries that say something: no None, no empty list."""
    return {key: value for key, value in told.items() if value is not None and value != []}


def _dns_fields(dns: Dns) -> dict[str, Any]:
    """Return `hunt.dns`."""
    told = {k: getattr(dns, k) for k in ("message", "rrname", "rrtype", "rcode", "ttl_min", "answer_count")}
    told |= {"answers": list(dns.answers), "ips": list(dns.ips), "private_answer": dns.private_answer}
    return _present(told)


def _resolver_fields(resolver: Resolver, server: End) -> dict[str, Any]:
    """Return `hunt.resolver`."""
    listed = resolver.listed
    return _present(
        {
            "ip": server.text,
            "verdict": resolver.verdict,
            "provider": (listed and listed.provider) or None,
            "country": (listed and listed.country) or None,
            "filtering": (listed and listed.filtering) or None,
            "protocol": resolver.protocol,
            "encrypted": None if resolver.protocol is None else resolver.protocol != "do53",
            "match": resolver.match,
        }
    )


def _write_host(out: dict[str, Any], seen: Event, name: Name | None, named_by: str | None, tables: Tables) -> None:
    """Write `hostname_info` and, of a request, `http.http_refer_info`."""
    info = host_fields(name) if name is not None else {}
    if "http" in seen.objects:
        if named_by == "http":
            info |= url_fields("http", _http_host(seen), _http_url(seen))
        refer = refer_fields(_http_refer(seen), tables)
        holder = out.setdefault("http", {}) if refer else None
        if isinstance(holder, dict):
            holder["http_refer_info"] = refer
    if info:
        out["hostname_info"] = info


def _write_networks(out: dict[str, Any], ends: Iterable[tuple[str, Address | None]]) -> None:
    """Write `net_info` of both ends."""
    net: dict[str, Any] = {}
    for side, known in ends:
        if known is not None and known.path:
            net |= {side: list(known.path), f"{side}_agg": path_text(known.path)}
    if net:
        out["net_info"] = net


def _write_alert_ends(out: dict[str, Any], seen: Event, tables: Tables) -> None:
    """Write the networks of an alert's source and target, where the alert names them."""
    alert = mapping(seen.eve, "alert")
    for side in ("source", "target"):
        address = parse_address(mapping(alert, side).get("ip"))
        known = tables.addresses.about(address) if address is not None else None
        if known is not None and known.path:
            holder = out.setdefault("alert", {}).setdefault(side, {})
            holder |= {"net_info": list(known.path), "net_info_agg": path_text(known.path)}


def host_fields(name: Name) -> dict[str, Any]:
    """Return `hostname_info` without its URL parts."""
    told = {
        "host": name.host,
        "subdomain": name.subdomain,
        "domain": name.domain,
        "tld": name.suffix,
        "domain_without_tld": name.stem,
    }
    return _present(told)


def url_fields(scheme: str, host: str, url: str) -> dict[str, str]:
    """Return scheme, url and resource_path of a request: `url` as logged, a path or (to a proxy) a whole URL."""
    told = {"scheme": scheme}
    if not url or len(url) + len(host) > MAX_TEXT:
        return told
    if "://" in url:
        return told | {"url": url}
    told["url"] = f"{scheme}://{host}{url}" if url.startswith("/") else url
    return told | {"resource_path": url.split("?", 1)[0]} if url.startswith("/") else told


def refer_fields(refer: str, tables: Tables) -> dict[str, Any]:
    """Return `http.http_refer_info` of a referer, empty if it is not a URL with a host."""
    scheme, mark, rest = refer.partition("://")
    if not mark or not rest or len(refer) > MAX_TEXT:
        return {}
    slash = rest.find("/")
    authority, path = (rest, "") if slash < 0 else (rest[:slash], rest[slash:])
    authority = authority.split("?", 1)[0]
    name = split_name(_without_port(authority.rpartition("@")[2]), tables.names)
    told = host_fields(name) | {"scheme": scheme.lower(), "url": refer}
    return told | ({"resource_path": path.split("?", 1)[0]} if path else {})


def _http_url(seen: Event) -> str:
    """Return the URL of a request as logged."""
    return text(mapping(seen.root, "url"), "original") if seen.is_ecs else text(seen.objects.get("http", {}), "url")


def _http_refer(seen: Event) -> str:
    """Return the referer of a request as logged."""
    if seen.is_ecs:
        return text(mapping(mapping(seen.root, "http"), "request"), "referrer")
    return text(seen.objects.get("http", {}), "http_refer")
