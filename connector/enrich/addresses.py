"""What is known of an address: scope, place in the organisation, resolver facts, and its part in the resolver policy.

Promises: one answer for every IPv4 and IPv6 address, by the longest prefix that says something. `AddressBook.about` is
the reference; `flatten` turns the same book into sorted disjoint ranges for the ingest script.
Will not: parse events, or decide a verdict (`resolvers.py` does).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Generic, TypeVar

from connector.settings.model import AnyNetwork, Settings

AnyAddress = IPv4Address | IPv6Address
T = TypeVar("T")

# class of the special-purpose registries (iana_special_ranges.csv) → scope; every other class and address is external
SCOPES = {
    "private": "internal",
    "cgnat-shared": "internal",
    "unique-local": "internal",
    "link-local": "internal",
    "cloud-metadata": "internal",
    "site-local-deprecated": "internal",
    "loopback": "loopback",
    "multicast": "multicast",
    "multicast-local": "multicast",
    "multicast-admin-scope": "multicast",
    "broadcast": "broadcast",
    "this-network": "unspecified",
    "unspecified": "unspecified",
}


@dataclass(frozen=True)
class PublicResolver:
    """A resolver of the public list, as an address or a name shows it.

    `use` says how far the address alone proves DNS: `any-port`, `dns-ports`, `hostname-only` (shared with other sites)
    or `range`. `ports` are the DNS ports its rows name, `doh` and `dnscrypt` the protocols offered there.
    """

    provider: str
    country: str = ""
    filtering: str = ""
    use: str = ""
    ports: tuple[int, ...] = ()
    doh: bool = False
    dnscrypt: bool = False


@dataclass(frozen=True)
class Address:
    """All that is known of an address. Numbers are positions in the settings' approved resolvers and exceptions."""

    scope: str = "external"
    path: tuple[str, ...] = ()
    department: str | None = None
    roles: tuple[str, ...] = ()
    resolver: PublicResolver | None = None
    approved: int = -1
    upstream_of: tuple[int, ...] = ()
    excepted_client: tuple[int, ...] = ()
    excepted_resolver: tuple[int, ...] = ()


class PrefixTable(Generic[T]):
    """Values by network; look-up gives those of all networks that hold an address, longest prefix first."""

    def __init__(self) -> None:
        """Start empty."""
        self._by_length: dict[tuple[int, int], dict[int, list[T]]] = {}
        self._lengths: dict[int, list[int]] = {4: [], 6: []}

    def add(self, network: AnyNetwork, value: T) -> None:
        """Add a value for a network."""
        key = (network.version, network.prefixlen)
        if key not in self._by_length:
            self._lengths[network.version] = sorted({*self._lengths[network.version], network.prefixlen}, reverse=True)
        self._by_length.setdefault(key, {}).setdefault(int(network.network_address), []).append(value)

    def holding(self, address: AnyAddress) -> Iterator[T]:
        """Yield the values of every network that holds the address, longest prefix first."""
        number, bits = int(address), address.max_prefixlen
        for length in self._lengths[address.version]:
            mask = number >> (bits - length) << (bits - length)
            yield from self._by_length[address.version, length].get(mask, ())


@dataclass
class AddressBook:
    """The tables behind `about`; made by `address_book`."""

    scopes: PrefixTable[str] = field(default_factory=PrefixTable)
    places: PrefixTable[tuple[tuple[str, ...], str | None, str | None]] = field(default_factory=PrefixTable)
    resolvers: PrefixTable[PublicResolver] = field(default_factory=PrefixTable)
    approved: PrefixTable[int] = field(default_factory=PrefixTable)
    upstreams: PrefixTable[int] = field(default_factory=PrefixTable)
    excepted_clients: PrefixTable[int] = field(default_factory=PrefixTable)
    excepted_resolvers: PrefixTable[int] = field(default_factory=PrefixTable)
    networks: set[AnyNetwork] = field(default_factory=set)

    def note(self, table: PrefixTable[T], network: AnyNetwork, value: T) -> None:
        """Add a value to one of the tables and remember where ranges begin and end."""
        table.add(network, value)
        self.networks.add(network)

    def about(self, address: AnyAddress) -> Address:
        """Return all that is known of an address; an IPv4-mapped IPv6 address counts as its IPv4 address."""
        mapped = getattr(address, "ipv4_mapped", None)
        address = mapped if isinstance(mapped, IPv4Address) else address
        path, department, role = next(self.places.holding(address), ((), None, None))
        approved = next(self.approved.holding(address), -1)
        roles = ([role] if role else []) + (["resolver"] if approved >= 0 and role != "resolver" else [])
        scope = next(self.scopes.holding(address), "external")
        return Address(
            scope="internal" if path and scope == "external" else scope,
            path=path,
            department=department,
            roles=tuple(roles),
            resolver=next(self.resolvers.holding(address), None),
            approved=approved,
            upstream_of=tuple(sorted(set(self.upstreams.holding(address)))),
            excepted_client=tuple(sorted(set(self.excepted_clients.holding(address)))),
            excepted_resolver=tuple(sorted(set(self.excepted_resolvers.holding(address)))),
        )


def address_book(settings: Settings, folder: Path) -> AddressBook:
    """Return the book of the settings' organisation and policy and of the tables in the content folder."""
    book = AddressBook()
    for row in read_table(folder / "iana_special_ranges.csv"):
        book.note(book.scopes, ip_network(row["cidr"]), SCOPES.get(row["class"], "external"))
    for network in settings.networks:
        for cidr in network.cidrs:
            book.note(book.places, cidr, (network.path, network.department, network.role))
    for cidr, resolver in [*listed_resolvers(folder).items(), *resolver_ranges(folder)]:
        book.note(book.resolvers, cidr, resolver)
    for position, approved in enumerate(settings.approved):
        for cidr in approved.addresses:
            book.note(book.approved, cidr, position)
        for cidr in approved.upstreams:
            book.note(book.upstreams, cidr, position)
    for position, exception in enumerate(settings.exceptions):
        book.note(book.excepted_clients, exception.client, position)
        book.note(book.excepted_resolvers, exception.resolver, position)
    return book


def read_table(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV table by column name."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def listed_resolvers(folder: Path) -> dict[AnyNetwork, PublicResolver]:
    """Return the public resolvers by address (a network of one), rows of one address merged."""
    by_address: dict[AnyNetwork, list[dict[str, str]]] = {}
    for row in read_table(folder / "public_resolvers.csv"):
        if row["address"]:
            by_address.setdefault(ip_network(row["address"]), []).append(row)
    return {address: _merged(rows) for address, rows in by_address.items()}


def _merged(rows: Iterable[dict[str, str]]) -> PublicResolver:
    """Return one resolver for all rows of an address: facts of the first, ports and protocols of all."""
    rows = list(rows)
    return PublicResolver(
        rows[0]["provider"],
        rows[0]["country"],
        rows[0]["filtering"],
        rows[0]["ip_use"],
        tuple(sorted({int(r["port"]) for r in rows if r["protocol"] != "doh"})),
        any(r["protocol"] == "doh" for r in rows),
        any(r["protocol"] == "dnscrypt" for r in rows),
    )


def resolver_ranges(folder: Path) -> Iterator[tuple[AnyNetwork, PublicResolver]]:
    """Yield the ranges that a provider fills with resolvers; the operator's country comes from the provider's rows."""
    known: dict[str, tuple[str, str]] = {}
    for row in read_table(folder / "public_resolvers.csv"):
        known.setdefault(row["provider_id"], (row["provider"], row["country"]))
    for row in read_table(folder / "resolver_ranges.csv"):
        name = row["provider_id"]
        provider, country = known.get(name.split(" ")[0].split("/")[0], (name, ""))
        yield ip_network(row["cidr"]), PublicResolver(provider, country, use="range", doh=True)


def flatten(book: AddressBook, version: int) -> list[tuple[AnyAddress, Address]]:
    """Return (first address, what is known) of sorted disjoint ranges that cover all addresses of that IP version."""
    networks = [n for n in book.networks if n.version == version]
    bits = 32 if version == 4 else 128
    make = IPv4Address if version == 4 else IPv6Address
    starts = {0} | {int(n.network_address) for n in networks} | {int(n.broadcast_address) + 1 for n in networks}
    ranges: list[tuple[AnyAddress, Address]] = []
    for start in sorted(starts - {1 << bits}):
        known = book.about(make(start))
        if not ranges or ranges[-1][1] != known:
            ranges.append((make(start), known))
    return ranges


def parse_address(value: object) -> AnyAddress | None:
    """Return the address a value spells, or None; brackets, zones and prefixes are not accepted."""
    if not isinstance(value, str) or "%" in value or "/" in value:
        return None
    try:
        return ip_address(value)
    except ValueError:
        return None
