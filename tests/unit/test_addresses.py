"""Addresses: the flattened ranges of the ingest script say the same as the reference, at every edge."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest

from connector.content import content_folder
from connector.enrich.addresses import AddressBook, address_book, flatten
from connector.settings.load import load_settings
from connector.settings.model import Settings

FOLDER = content_folder("ingest-pipelines") / "tables"


@pytest.fixture(scope="module")
def book() -> AddressBook:
    """Return the book of the example organisation."""
    return address_book(load_settings(None, {}), FOLDER)


@pytest.mark.parametrize("version", [4, 6])
def test_ranges_agree_with_the_reference_at_every_edge(book: AddressBook, version: int) -> None:
    ranges = flatten(book, version)
    edges = [int(n.network_address) for n in book.networks if n.version == version]
    edges += [int(n.broadcast_address) for n in book.networks if n.version == version]
    make = IPv4Address if version == 4 else IPv6Address
    probes = {e + d for e in edges for d in (-1, 0, 1) if 0 <= e + d < 2 ** (32 if version == 4 else 128)}
    starts = [int(start) for start, _ in ranges]
    assert starts == sorted(starts) and starts[0] == 0
    position = 0
    for probe in sorted(probes):
        while position + 1 < len(starts) and starts[position + 1] <= probe:
            position += 1
        address = make(probe)
        if getattr(address, "ipv4_mapped", None) is None:  # the script looks those up as IPv4
            assert ranges[position][1] == book.about(address), address


@pytest.mark.parametrize(
    ("address", "scope"),
    [
        ("10.1.2.3", "internal"),
        ("100.64.0.1", "internal"),
        ("169.254.1.1", "internal"),
        ("fe80::1", "internal"),
        ("fd12::1", "internal"),
        ("::ffff:192.168.1.1", "internal"),
        ("8.8.8.8", "external"),
        ("192.0.2.1", "external"),
        ("2001:db8::1", "external"),
        ("127.0.0.53", "loopback"),
        ("::1", "loopback"),
        ("224.0.0.251", "multicast"),
        ("ff02::fb", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("0.0.0.0", "unspecified"),
    ],
)
def test_scopes(address: str, scope: str) -> None:
    assert address_book(Settings(), FOLDER).about(ip_address(address)).scope == scope


def test_an_approved_resolver_is_a_resolver_whatever_else_it_is(book: AddressBook) -> None:
    assert book.about(ip_address("10.0.0.53")).roles == ("resolver",)
    assert book.about(ip_address("10.0.0.10")).roles == ("domain-controller", "resolver")
    assert book.about(ip_address("10.10.10.17")).path == ("Example Instruments", "campus", "finance")
