"""How the texts in events become the values of a profile. Pure.

Promises: events are written by attackers: a value is text of at most `LONGEST` characters, or it is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

LONGEST = 256  # characters of a value
NOTHING = frozenset(("", "<empty>", "<none>", "unknown", "failed", "?????", "-"))
REVERSE = {".in-addr.arpa": 4, ".ip6.arpa": 6}
Value = tuple[str, ...]


@lru_cache(maxsize=100_000)  # answers name the same addresses again and again
def address(text: object) -> str | None:
    """Return an address in its one spelling; None if it is none, or no host's."""
    try:
        found: IPv4Address | IPv6Address = ip_address(str(text))
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    found = mapped or found
    return None if found.is_unspecified or found.is_multicast or found.is_loopback else str(found)


def read(word: str, texts: Sequence[str], optional: int = 0) -> Value | None:
    """Return the value that the texts of an event's fields have under a reading, None if they have none.

    The last `optional` texts are taken as they are, also empty.
    """
    needed = len(texts) - optional
    own = READINGS[word](texts[:needed])
    value = None if own is None else (*own, *texts[needed:])
    return None if value is None or any(len(text) > LONGEST for text in value) else value


def pointed(name: str) -> str | None:
    """Return the address that a reverse DNS name stands for."""
    name = name.rstrip(".").lower()
    for ending, version in REVERSE.items():
        labels = name.removesuffix(ending).split(".")[::-1] if name.endswith(ending) else []
        if version == 4 and len(labels) == 4:
            return address(".".join(labels))
        if version == 6 and len(labels) == 32:
            return address(":".join("".join(labels[n : n + 4]) for n in range(0, 32, 4)))
    return None


def _text(texts: Sequence[str]) -> Value | None:
    """Return what is there."""
    return tuple(texts) if texts[-1] else None


def _said(texts: Sequence[str]) -> Value | None:
    """Return what is there unless it is a word for nothing."""
    return None if texts[-1].lower() in NOTHING else tuple(texts)


def _lower(texts: Sequence[str]) -> Value | None:
    """Return what is there in lower case."""
    return _said([text.lower() for text in texts])


def _name(texts: Sequence[str]) -> Value | None:
    """Return a host name in lower case; None for an address."""
    name = texts[-1].strip().rstrip(".").lower()
    is_name = name not in NOTHING and address(name) is None and not name.endswith(tuple(REVERSE))
    return (name,) if is_name and name[:1] != "[" else None


def _share(texts: Sequence[str]) -> Value | None:
    """Return the host's name in the path of a share, which begins with two backslashes."""
    return _name([texts[-1][2:].split("\\", 1)[0]]) if texts[-1].startswith("\\\\") else None


def _machine(texts: Sequence[str]) -> Value | None:
    """Return the name of a machine's account, which ends in a dollar."""
    name = texts[-1].lower()
    return (name[:-1],) if name.endswith("$") and len(name) > 1 else None


def _person(texts: Sequence[str]) -> Value | None:
    """Return the name of an account that is no machine's, without a domain around it."""
    name = texts[-1].lower().rsplit("\\", 1)[-1]
    return None if name in NOTHING or name.endswith("$") else (name,)


def _local(texts: Sequence[str]) -> Value | None:
    """Return a host's own name in mDNS; None for the name of a service."""
    name = texts[-1].rstrip(".").lower()
    is_host = name.endswith(".local") and "_" not in name and not name.endswith(tuple(REVERSE))
    return (name.removesuffix(".local"),) if is_host else None


def _reverse(texts: Sequence[str]) -> Value | None:
    """Return the name that a reverse DNS answer gives."""
    return _name(texts[-1:])


def _mail(texts: Sequence[str]) -> Value | None:
    """Return a mail address without angle brackets, in lower case."""
    text = texts[-1].strip().strip("<>").lower()
    return (text,) if "@" in text else None


def _protocol(texts: Sequence[str]) -> Value | None:
    """Return the name of a protocol that was recognised."""
    return None if texts[-1] in NOTHING else tuple(texts)


def _service(texts: Sequence[str]) -> Value | None:
    """Return transport, port and protocol; the port of FTP data is nobody's service."""
    return None if texts[-1] in NOTHING or texts[-1] == "ftp-data" else tuple(texts)


READINGS: Mapping[str, Callable[[Sequence[str]], Value | None]] = {
    "text": _text,
    "said": _said,
    "lower": _lower,
    "name": _name,
    "machine": _machine,
    "share": _share,
    "person": _person,
    "local": _local,
    "reverse": _reverse,
    "mail": _mail,
    "protocol": _protocol,
    "service": _service,
}
