"""Addresses and networks as operators write them: every spelling of IPv4 and IPv6, or what was probably meant.

Promises: a network of one address for an address; ValueError with words for a person. Will not: look anything up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_interface, ip_network

from connector.errors import Problem
from connector.settings.model import AnyNetwork
from connector.settings.part import Part

LEADING_ZERO = re.compile(r"(^|\.)0\d")


def network_of(text: str) -> AnyNetwork:
    """Return the network of a CIDR, or of one address; ValueError says what is wrong and what was probably meant."""
    _refuse_zone(text)
    try:
        return ip_network(text)
    except ValueError:
        try:
            meant = ip_interface(text)
        except ValueError:
            raise ValueError(f"is {text!r}, which is no address and no network: {_advice(text)}") from None
    bits = meant.network.max_prefixlen
    network, host = meant.network.compressed, f"{meant.ip.compressed}/{bits}"
    raise ValueError(f"is {text!r}, which has host bits set: {network} was probably meant, or {host} for one address")


def address_of(text: str) -> AnyNetwork:
    """Return the network of exactly one address; ValueError as in `network_of`."""
    _refuse_zone(text)
    if "/" in text:
        raise ValueError(f"is {text!r}: a host has an address without /, a network has a cidr")
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(f"is {text!r}, which is no address: {_advice(text)}") from None


def read_ranges(
    parts: Iterable[Part], problems: list[Problem], read: Callable[[str], AnyNetwork] = network_of
) -> list[tuple[Part, AnyNetwork]]:
    """Return the parts that are addresses or networks, with what they mean; add a problem for each that is not."""
    found = []
    for part in parts:
        try:
            found.append((part, read(part.value)))
        except ValueError as error:
            problems.append(part.problem(str(error)))
    return found


def lies_within(inner: AnyNetwork, outer: AnyNetwork) -> bool:
    """Tell whether the first network is the second or a part of it."""
    return (
        inner.version == outer.version
        and inner.prefixlen >= outer.prefixlen
        and inner.supernet(new_prefix=outer.prefixlen) == outer
    )


def _refuse_zone(text: str) -> None:
    """Raise for an IPv6 zone, which means something on one machine only."""
    if "%" in text:
        raise ValueError(f"is {text!r}: leave the zone (% and what follows) out")


def _advice(text: str) -> str:
    """Return how to write what is no address."""
    if LEADING_ZERO.search(text):
        return "numbers must not start with 0"
    return "write it like 10.0.0.0/8, 10.0.0.1 or 2001:db8::/32"
