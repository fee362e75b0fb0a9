"""Addresses and networks as numbers, so that every spelling of one address is the same address.

An IPv4 address counts as its IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2), as the search engines' `ip` type has it.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

AnyNetwork = IPv4Network | IPv6Network
MAPPED = 0xFFFF << 32
ADDRESS_FIELDS = frozenset(
    f"{parent}{name}"
    for parent, names in {
        "": ("src_ip", "dest_ip"),
        "flow.": ("src_ip", "dest_ip"),
        "alert.": ("source.ip", "target.ip"),
        "hunt.": ("client.ip", "server.ip", "resolver.ip", "dns.ips"),
    }.items()
    for name in names
)


def is_address_field(field: str) -> bool:
    """Return whether the values of the field are addresses, in every SIEM and whatever its mapping says."""
    return field in ADDRESS_FIELDS


def address_number(value: object) -> int | None:
    """Return the 128-bit number of an address in any spelling, or None if the value is no address."""
    if not isinstance(value, str) or "%" in value:
        return None
    try:
        address = ip_address(value)
    except ValueError:
        return None
    return int(address) | MAPPED if address.version == 4 else int(address)


def plain_address(text: str) -> str:
    """Return an address as the search engines print it: compressed, IPv4 where it is an IPv4-mapped one."""
    number = address_number(text)
    if number is None:
        return text
    return str(IPv4Address(number & 0xFFFFFFFF) if number >> 32 == 0xFFFF else IPv6Address(number))


def network(text: str) -> AnyNetwork | None:
    """Return the network of a CIDR (or of one address), plain as by `plain_network`; None if it is neither."""
    try:
        return plain_network(ip_network(text, strict=False))
    except ValueError:
        return None


def plain_network(cidr: AnyNetwork) -> AnyNetwork:
    """Return the network, as an IPv4 one if it is IPv4-mapped: search engines refuse the mapped form."""
    mapped = cidr.network_address.ipv4_mapped if isinstance(cidr.network_address, IPv6Address) else None
    return IPv4Network((mapped, cidr.prefixlen - 96)) if mapped and cidr.prefixlen >= 96 else cidr


def bounds(cidr: AnyNetwork) -> tuple[int, int]:
    """Return the numbers of the first and the last address of a network."""
    first, last = int(cidr.network_address), int(cidr.broadcast_address)
    return (first | MAPPED, last | MAPPED) if cidr.version == 4 else (first, last)


def spellings(text: str) -> tuple[str, ...]:
    """Return the ways an address may be written in an event: as given, compressed, and expanded as by Suricata."""
    if address_number(text) is None:
        return (text,)
    address = ip_address(text)
    return tuple(dict.fromkeys((text, address.compressed, address.exploded)))
