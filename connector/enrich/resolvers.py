"""Which resolver an event shows, by what it is recognised, over which protocol, and what the policy says of it."""

from __future__ import annotations

from dataclasses import dataclass

from connector.enrich.addresses import Address, PublicResolver
from connector.enrich.events import End, Event, text
from connector.enrich.names import Name
from connector.enrich.tables import Tables

RESOLVER_KINDS = frozenset({"dns", "tls", "quic", "http", "alert", "flow"})
NO_RESOLVER_SCOPES = frozenset({"multicast", "broadcast", "unspecified"})
TRANSPORT_PORTS = {("udp", 784), ("udp", 8853), ("udp", 853), ("tcp", 853), ("udp", 53), ("tcp", 53)}
QUERY_PATHS = ("/dns-query", "/resolve?")


@dataclass(frozen=True)
class Seen:
    """What the judgement rests on: both ends and what is known of them, the name and what carries it, the day (UTC)."""

    client: Address | None
    server: Address
    end: End
    name: Name | None
    named_by: str | None
    is_dns: bool
    day: str


@dataclass(frozen=True)
class Resolver:
    """A resolver as an event shows it; None where it is not known."""

    verdict: str
    protocol: str | None
    listed: PublicResolver | None
    match: str | None


def resolver_of(event: Event, seen: Seen, tables: Tables) -> Resolver | None:
    """Return the resolver that the event shows, or None."""
    if event.kind not in RESOLVER_KINDS or seen.server.scope in NO_RESOLVER_SCOPES:
        return None
    listed, match = _listed(event, seen, tables)
    if listed is None and not seen.is_dns and (event.transport, seen.end.port) not in TRANSPORT_PORTS:
        return None
    protocol = (
        "doh" if seen.is_dns and _is_over_http(event) else "do53" if seen.is_dns else _protocol(event, seen, listed)
    )
    return Resolver(_verdict(seen, listed, protocol, tables), protocol, listed, match)


def _listed(event: Event, seen: Seen, tables: Tables) -> tuple[PublicResolver | None, str | None]:
    """Return the public resolver and by what it is recognised: sni, host, suffix, ip or range."""
    if seen.named_by in ("tls", "quic", "http") and seen.name and seen.name.host:
        exact = tables.hosts.get(seen.name.host) or tables.host_suffixes.get(seen.name.host)
        if exact:
            return exact, "host" if seen.named_by == "http" else "sni"
        below = next((tables.host_suffixes[p] for p in seen.name.parents if p in tables.host_suffixes), None)
        if below:
            return below, "suffix"
    known = seen.server.resolver
    if known is None or not _is_proof(event, seen, known):
        return None, None
    return known, "range" if known.use == "range" else "ip"


def _is_proof(event: Event, seen: Seen, known: PublicResolver) -> bool:
    """Tell whether the address, on this port, is enough to say that DNS is meant."""
    port = seen.end.port
    if seen.is_dns or (event.transport, port) in TRANSPORT_PORTS:
        return True
    if known.use == "any-port":
        return event.transport != ""
    if known.use == "range":
        return port == 443 and event.kind in ("tls", "quic") and seen.name is None
    return known.use == "dns-ports" and port in known.ports


def _is_over_http(event: Event) -> bool:
    """Tell whether a DNS message was carried by HTTP."""
    return "http" in event.objects or event.app_proto == "doh2"


def _protocol(event: Event, seen: Seen, listed: PublicResolver | None) -> str | None:
    """Return do53, dot, doh, doq or dnscrypt by transport, port and what the resolver offers; None if none of them."""
    port, udp = seen.end.port, event.transport == "udp"
    if port == 53:
        return "do53"
    if port in (784, 853, 8853) and (event.transport, port) in TRANSPORT_PORTS:
        return "doq" if udp else "dot"
    if listed is None:
        return None
    if event.kind == "http" or seen.named_by == "http":
        path = text(event.objects.get("http", {}), "url") or text(_url(event), "original")
        return "doh" if path.startswith(QUERY_PATHS) or not listed.use else None
    if port == 443 or not listed.use:
        nameless = udp and seen.name is None and (event.kind == "quic" or not listed.doh)
        return "dnscrypt" if listed.dnscrypt and (nameless or not (udp or listed.doh or seen.named_by)) else "doh"
    return "dnscrypt" if listed.dnscrypt and port in listed.ports else None


def _url(event: Event) -> dict[str, object]:
    """Return the ECS url object, or an empty one."""
    url = event.root.get("url")
    return url if event.is_ecs and isinstance(url, dict) else {}


def _verdict(seen: Seen, listed: PublicResolver | None, protocol: str | None, tables: Tables) -> str:
    """Return what the policy says: approved, approved-upstream, public, unapproved-internal or unapproved-external."""
    server, client = seen.server, seen.client or Address()
    public = listed is not None
    if server.approved >= 0 or _is_excepted(client, server, protocol, seen.day, tables):
        return "approved"
    if client.approved >= 0:
        may_recurse = tables.approved[client.approved].may_recurse
        if client.approved in server.upstream_of or (may_recurse and not public and server.scope == "external"):
            return "approved-upstream"
    if public:
        return "public"
    if server.upstream_of and client.approved < 0:
        return "approved-upstream"
    return "unapproved-external" if server.scope == "external" else "unapproved-internal"


def _is_excepted(client: Address, server: Address, protocol: str | None, day: str, tables: Tables) -> bool:
    """Tell whether an exception of the policy covers this client, this resolver and the event's day."""
    for position in client.excepted_client:
        exception = tables.exceptions[position]
        running = exception.until is None or day <= exception.until.isoformat()
        if position in server.excepted_resolver and running and exception.protocol in (None, protocol):
            return True
    return False
