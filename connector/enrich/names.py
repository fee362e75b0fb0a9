"""Names broken down: registered domain, public suffix, subdomain, and the features hunts look at. The reference.

Promises: agrees with the public suffix list's own vectors (ICANN and private section apart) and with the ingest script
on every name. Will not: look anything up, or know where a name came from.
Sources: publicsuffix.org/list (rules and algorithm), RFC 1035 (lengths), RFC 3492 (punycode), RFC 6761 and the
special-use table beside the content.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address

MAX_NAME = 253
MAX_LABEL = 63
MAX_SUFFIX_LABELS = 8
INVALID = re.compile(r"[\x00-\x20\x7f:@\[\]?#<>\"]")
HEX_SUBDOMAIN = 24


@dataclass(frozen=True)
class SuffixRules:
    """The public suffix list, one section: exact rules, wildcards by their parent, exceptions."""

    exact: frozenset[str]
    wildcard: frozenset[str]
    exception: frozenset[str]

    def length(self, labels: list[str]) -> int:
        """Return how many labels of the name the longest rule covers, 0 if none does; an exception wins."""
        found = 0
        for count in range(1, min(len(labels), MAX_SUFFIX_LABELS) + 1):
            parent = ".".join(labels[-count:])
            if parent in self.exception:
                return count - 1
            if parent in self.exact:
                found = count
            if parent in self.wildcard and count < len(labels):
                found = count + 1
        return found


@dataclass(frozen=True)
class NameTables:
    """What names are compared with: both sections of the suffix list, special-use suffixes, block lists."""

    icann: SuffixRules
    private: SuffixRules
    special: Mapping[str, tuple[str, str]]
    block_lists: frozenset[str]


@dataclass(frozen=True)
class Name:
    """A name taken apart. Lengths are in characters as logged; entropy in bits per character.

    `kind`: domain, suffix, single, ip, reverse, special, invalid, root; what a kind does not have is None.
    """

    kind: str
    host: str | None = None
    subdomain: str | None = None
    domain: str | None = None
    suffix: str | None = None
    stem: str | None = None
    private_suffix: str | None = None
    private_domain: str | None = None
    ip: str | None = None
    klass: str | None = None
    parents: tuple[str, ...] = ()
    length: int = 0
    labels: int = 0
    longest_label: int = 0
    digits: int = 0
    entropy: float | None = None
    alphabet: str | None = None
    flags: tuple[str, ...] = ()


def split_name(text: str, tables: NameTables) -> Name:
    """Return the name taken apart; an empty name is the root, as DNS logs it."""
    name = ascii_name(text).removesuffix(".")
    if not name:
        return Name("root")
    if (address := _address(name)) is not None:
        return Name("ip", ip=address, length=len(name))
    labels = name.split(".")
    measured = Name(
        "invalid",
        length=len(name),
        labels=len(labels),
        longest_label=max(map(len, labels)),
        digits=sum("0" <= c <= "9" for c in name),
        flags=_flags(text, labels, tables),
    )
    return _valid_name(name, labels, measured, tables) if _is_valid(name, labels) else measured


def _flags(text: str, labels: list[str], tables: NameTables) -> tuple[str, ...]:
    """Return the flags of a name that need no registered domain."""
    told = {"odd_chars": _is_odd(text), "punycode": _has_punycode(labels), "dnsbl": _is_block_list(labels, tables)}
    return tuple(flag for flag, applies in told.items() if applies)


def _valid_name(name: str, labels: list[str], measured: Name, tables: NameTables) -> Name:
    """Return a name that keeps the rules, taken apart."""
    parents = [".".join(labels[i:]) for i in range(len(labels))]
    klass, kind = next((tables.special[p] for p in parents if p in tables.special), (None, "domain"))
    told = replace(measured, host=name, klass=klass)
    if len(labels) == 1:
        return replace(told, kind="single", parents=(name,))
    if kind != "domain":
        return replace(told, kind=kind, parents=tuple(parents[:-1]))
    size = tables.icann.length(labels) or 1
    suffix = ".".join(labels[-size:])
    if size == len(labels):
        return replace(told, kind="suffix", suffix=suffix, parents=(name,))
    return _registered(labels, size, tables.private.length(labels), told)


def _registered(labels: list[str], size: int, private: int, told: Name) -> Name:
    """Return a name with a registered domain; `size` and `private` are the labels of its suffix in either section."""
    subdomain = ".".join(labels[: -size - 1])
    measured = (subdomain or labels[-size - 1]).replace(".", "")
    is_hex = len(subdomain) >= HEX_SUBDOMAIN and _is_hex(measured)
    return replace(
        told,
        kind="domain",
        subdomain=subdomain or None,
        domain=".".join(labels[-size - 1 :]),
        suffix=".".join(labels[-size:]),
        stem=labels[-size - 1],
        private_suffix=".".join(labels[-private:]) if private else None,
        private_domain=".".join(labels[-private - 1 :]) if private and private < len(labels) else None,
        parents=tuple(".".join(labels[i:]) for i in range(len(labels) - size)),
        entropy=entropy(measured),
        alphabet=alphabet(measured),
        flags=(*(["hex_sub"] if is_hex else []), *told.flags),
    )


def ascii_name(text: str) -> str:
    """Return the name in lower case, labels with other characters than ASCII in punycode (RFC 3492)."""
    if text.isascii():
        return text.lower()
    lowered = "".join(_lower(c) for c in text)
    return ".".join(p if p.isascii() else "xn--" + p.encode("punycode").decode("ascii") for p in lowered.split("."))


def _lower(character: str) -> str:
    """Return the lower case of characters up to the Hebrew block, where it is one to one; others as they are."""
    lower = character.lower()
    return lower if ord(character) < 0x590 and len(lower) == 1 else character


def _address(name: str) -> str | None:
    """Return the address that a name is, in its usual spelling, or None."""
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    if "%" in bare:
        return None
    try:
        address: IPv4Address | IPv6Address = ip_address(bare)
    except ValueError:
        return None
    return str(address) if bare is name or address.version == 6 else None


def _is_valid(name: str, labels: list[str]) -> bool:
    """Tell whether a name keeps the lengths and holds no character that only a URL has; the last label is no number."""
    last = labels[-1]
    numeric = last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last) is not None
    sizes_hold = len(name) <= MAX_NAME and all(0 < len(label) <= MAX_LABEL for label in labels)
    return sizes_hold and not numeric and INVALID.search(name) is None


def _is_odd(text: str) -> bool:
    """Tell whether a name carries raw or escaped bytes."""
    return not text.isascii() or "\\" in text or any(c < " " or c == "\x7f" for c in text)


def _has_punycode(labels: list[str]) -> bool:
    """Tell whether a label is an internationalised one (RFC 5890)."""
    return any(label.startswith("xn--") for label in labels)


def _is_block_list(labels: list[str], tables: NameTables) -> bool:
    """Tell whether a name asks a block list: below a known zone, or four numeric labels in front of something."""
    numbers = len(labels) > 4 and all(re.fullmatch(r"[0-9]{1,3}", label) for label in labels[:4])
    parents = (".".join(labels[i:]) for i in range(1, len(labels)))
    return (numbers and labels[-1] != "arpa") or any(p in tables.block_lists for p in parents)


def _is_hex(text: str) -> bool:
    """Tell whether at least 95 % of the characters are hexadecimal digits."""
    return sum(c in "0123456789abcdef" for c in text) * 100 >= 95 * len(text)


def entropy(text: str) -> float:
    """Return Shannon's entropy of the characters, in bits per character, rounded to three digits."""
    size = len(text)
    told = sum(c * math.log(c) for _, c in sorted(Counter(text).items()) if c > 1)
    return math.floor((math.log(size) - told / size) / math.log(2) * 1000 + 0.5) / 1000


def alphabet(text: str) -> str:
    """Return the narrowest of digits, hex, letters, base32 (RFC 4648), alphanumeric and other that holds the text."""
    bare = text.replace("-", "")
    for word, pattern in (
        ("digits", "[0-9]*"),
        ("letters", "[a-z]*"),
        ("hex", "[0-9a-f]*"),
        ("base32", "[a-z2-7]*"),
        ("alphanumeric", "[a-z0-9]*"),
    ):
        if re.fullmatch(pattern, bare):
            return word
    return "other"
