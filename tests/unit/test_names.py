"""Names taken apart: the suffix list's own vectors, our list of tricky names, and the features."""

import csv
import re
from importlib import resources
from pathlib import Path

import pytest

from connector.enrich.names import alphabet, entropy, split_name
from connector.enrich.tables import build_tables
from connector.settings.model import Settings

NAMES = build_tables(Settings()).names
TRICKY = list(csv.DictReader((Path(__file__).parents[1] / "data" / "tricky_names_expected.csv").open(encoding="utf-8")))
KINDS = {"single_label": "single", "empty": "root"}  # an empty name in DNS is the root


def official_vectors() -> list[tuple[str, str | None]]:
    """Return (name, registered domain over both sections) of the suffix list's own test file."""
    text = resources.files("publicsuffixlist").joinpath("test_psl.txt").read_text(encoding="utf-8")
    found = re.findall(r"^checkPublicSuffix\('([^']*)', (?:'([^']*)'|null)\);", text, re.M)
    return [(name, wanted or None) for name, wanted in found]


@pytest.mark.parametrize(("name", "wanted"), official_vectors())
def test_official_vectors(name: str, wanted: str | None) -> None:
    told = split_name(name, NAMES)
    found = told.private_domain if told.private_suffix else told.domain
    assert found == (split_name(wanted, NAMES).host if wanted else None)


def test_there_are_official_vectors() -> None:
    assert len(official_vectors()) > 70


@pytest.mark.parametrize("row", TRICKY, ids=[row["input"][:40] for row in TRICKY])
def test_tricky_names(row: dict[str, str]) -> None:
    told = split_name(row["input"], NAMES)
    found = {
        "kind": told.kind,
        "host": told.host,
        "suffix": told.suffix,
        "registered_domain": told.domain,
        "sld": told.stem,
        "subdomain": told.subdomain,
        "private_suffix": told.private_suffix,
        "private_registered_domain": told.private_domain,
        "ip": told.ip,
    }
    wanted = {key: row[key] or None for key in found} | {"kind": KINDS.get(row["kind"], row["kind"])}
    assert found == wanted


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("4.3.2.1.zen.spamhaus.org", ("dnsbl",)),
        ("4.3.2.1.list.of.mine.example", ("dnsbl",)),
        ("1.0.0.127.in-addr.arpa", ()),
        ("xn--bcher-kva.de", ("punycode",)),
        (r"a\000b.example", ("odd_chars",)),
        ("0123456789abcdef01234567.t.example", ("hex_sub",)),
        ("0123456789abcdef0123456.example", ()),
        ("www.example.com", ()),
    ],
)
def test_flags(name: str, flags: tuple[str, ...]) -> None:
    assert split_name(name, NAMES).flags == flags


def test_parents_run_from_the_full_name_to_the_registered_domain() -> None:
    assert split_name("a.b.example.co.uk", NAMES).parents == ("a.b.example.co.uk", "b.example.co.uk", "example.co.uk")
    assert split_name("dc1.corp.local", NAMES).parents == ("dc1.corp.local", "corp.local")


def test_entropy_is_bits_a_character() -> None:
    assert entropy("aaaa") == 0
    assert entropy("abcd") == 2
    assert entropy("aab") == 0.918


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("2024", "digits"),
        ("mail", "letters"),
        ("de4d", "hex"),
        ("mzxw6", "base32"),
        ("mzxw81", "alphanumeric"),
        ("a_b", "other"),
        ("a-b", "letters"),
    ],
)
def test_alphabet(text: str, word: str) -> None:
    assert alphabet(text) == word
