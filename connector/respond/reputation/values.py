"""Which values can be looked up, and which are private; pure.

Promises: a value is recognised as written by people, defanged ones too; whatever is the organisation's own, or means
nothing outside of it, is named as private with the reason. Will not: look anything up.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Literal

from connector.enrich.names import Name, NameTables, split_name
from connector.errors import Refused
from connector.hunts.conditions.address import network, plain_address
from connector.settings.model import AnyNetwork

Kind = Literal["domain", "ip", "file"]
HASHES = {32: "MD5", 40: "SHA-1", 64: "SHA-256"}
HEX = re.compile(r"[0-9a-f]+")
LONGEST = 2048
SCHEME = re.compile(r"\A(?:h(?:xx|tt|\*\*)ps?|fxp|ftps?|s?ftp)\[?:\]?//", re.IGNORECASE)
DOTS = re.compile(r"\s*(?:\[\.\]|\(\.\)|\{\.\}|\[dot\]|\(dot\)|\{dot\}|\\\.|。)\s*", re.IGNORECASE)
NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Value:
    """A value that can be looked up, in its one spelling."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Own:
    """What belongs to the organisation: its networks, and the domains it has or answers for."""

    networks: tuple[AnyNetwork, ...]
    domains: Collection[str]


def recognised(text: str, tables: NameTables) -> Value:
    """Return the domain, address or file hash that a text is, be it defanged or in a URL; Refused if it is none."""
    bare = text.strip()
    if len(bare) > LONGEST:
        raise Refused(f"this is no domain, address or file hash: it has {len(bare):,} characters")
    digits = bare.lower()
    if len(digits) in HASHES and HEX.fullmatch(digits):
        return Value("file", digits)
    host = _host(bare)
    found = None if "/" in bare and network(bare) else _address(host)
    if found:
        return Value("ip", found)
    name = split_name(host, tables)
    if name.kind in ("root", "invalid", "ip", "single") or not name.host:
        kinds = ", ".join(HASHES.values())
        words = f"a domain, an IPv4 or IPv6 address, or a file's {kinds} in hexadecimal"
        raise Refused(f"{text[:100]!r} is nothing to look up: give {words}")
    return Value("domain", name.host)


def _host(text: str) -> str:
    """Return the host of a URL, or the text itself, defanging undone."""
    host = DOTS.sub(".", text)
    rest = SCHEME.sub("", host)
    if rest != host or "/" in host:
        host = re.split(r"[/?#\\]", rest, maxsplit=1)[0].rpartition("@")[2]
    host = host.replace("[:]", ":")
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0] if host.count(":") == 1 else host


def _address(text: str) -> str | None:
    """Return an address as engines print it; None if the text is none."""
    try:
        return plain_address(str(ip_address(text)))
    except ValueError:
        return None


def private(value: Value, own: Own, tables: NameTables) -> str | None:
    """Return why a value must not leave the organisation, or means nothing outside of it; None if it may be sent."""
    if value.kind == "ip":
        return _private_address(ip_address(value.text), own)
    return _private_name(split_name(value.text, tables), own, tables) if value.kind == "domain" else None


def _private_address(address: IPv4Address | IPv6Address, own: Own) -> str | None:
    """Return why an address is private; None if it is not."""
    for each in (address, *_inside(address)):
        around = next((net for net in own.networks if each.version == net.version and each in net), None)
        if around:
            return f"it is in your own network {around}"
        if not each.is_global or each.is_multicast:
            return "it is a private or special address"
    return None


def _inside(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """Return the IPv4 addresses that an IPv6 address is made of (RFC 3056, RFC 4380, RFC 6052)."""
    if isinstance(address, IPv4Address):
        return []
    nat = [IPv4Address(int(address) & 0xFFFFFFFF)] if address in NAT64 else []
    mapped = [inner for inner in (address.ipv4_mapped, address.sixtofour) if inner]
    return [*nat, *mapped, *(address.teredo[1:] if address.teredo else ())]


def _private_name(name: Name, own: Own, tables: NameTables) -> str | None:
    """Return why a name is private; None if it is not."""
    labels = (name.host or "").split(".")
    zone = next((".".join(labels[i:]) for i in range(len(labels)) if ".".join(labels[i:]) in own.domains), None)
    if zone:
        return f"it is in your own domain {zone}"
    if name.klass or name.kind not in ("domain", "suffix"):
        return "it is a name for special use"
    return None if tables.icann.length(labels) else f"there is no public top-level domain {labels[-1]}"


def registered(name: str, tables: NameTables) -> str | None:
    """Return the domain that somebody registered of a name; None if there is none.

    Events are looked up by it: labels in front of it may carry what a tunnel took out of the organisation.
    """
    return split_name(name, tables).domain
