"""The tables the enrichment looks things up in, from the content folder, the suffix list and the operator's files.

Promises: `build_tables` is a pure function of the settings and the installed content; two builds of the same input are
equal to the byte. Will not: reach out to the network, or write into the SIEM.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from connector.content import content_folder
from connector.enrich.addresses import AddressBook, PublicResolver, address_book, flatten, read_table
from connector.enrich.names import NameTables, SuffixRules, ascii_name
from connector.settings.model import ApprovedResolver, PolicyException, Settings

ICANN, PRIVATE = 1, 2
WILDCARD, EXCEPTION = 4, 16
NODE = 64
BLOCK_LIST = 128
SPECIAL_SHIFT, HOST_SHIFT = 8, 16
VERSION = 1

# ports at which a server answers rather than asks; sorted, for a binary search in the ingest script
SERVICE_PORTS = tuple(
    sorted(
        {20, 21, 22, 23, 25, 43, 53, 67, 69, 80, 88, 102, 110, 111, 123, 135, 137, 139, 143, 161, 179, 389, 443, 445}
        | {464, 465, 500, 502, 514, 515, 548, 554, 587, 593, 631, 636, 784, 853, 873, 990, 993, 995, 1080, 1194, 1433}
        | {1521, 1720, 1723, 1883, 1900, 2049, 2222, 2375, 2376, 3128, 3268, 3269, 3306, 3389, 3478, 4222, 4369, 4500}
        | {5004, 5044, 5060, 5061, 5222, 5353, 5355, 5432, 5443, 5601, 5671, 5672, 5900, 5901, 5938, 5985, 5986, 6379}
        | {6443, 6667, 6881, 7001, 8000, 8008, 8080, 8081, 8443, 8853, 8883, 8888, 9000, 9090, 9092, 9100, 9200, 9300}
        | {9418, 10000, 11211, 20000, 25565, 27017, 44818, 47808, 50443, 51820}
    )
)


@dataclass(frozen=True)
class Tables:
    """Everything the reference and the ingest script look up. `hosts` and `host_suffixes`: resolver names."""

    names: NameTables
    addresses: AddressBook
    hosts: Mapping[str, PublicResolver]
    host_suffixes: Mapping[str, PublicResolver]
    approved: tuple[ApprovedResolver, ...]
    exceptions: tuple[PolicyException, ...]
    params: Mapping[str, Any]

    @property
    def enriched(self) -> str:
        """Return what `hunt.enriched` says of events enriched with these tables: version and table hash."""
        return str(self.params["enriched"])


def build_tables(settings: Settings, folder: Path | None = None) -> Tables:
    """Return the tables for these settings; `folder` is the content's tables folder (default: the installed one)."""
    folder = folder or content_folder("ingest-pipelines") / "tables"
    book = address_book(settings, folder)
    names = NameTables(*suffix_rules(), special_names(folder), block_lists(folder))
    hosts, suffixes = resolver_names(folder)
    params = _params(settings, book, names, hosts, suffixes)
    return Tables(names, book, hosts, suffixes, settings.approved, settings.exceptions, params)


@cache
def suffix_rules() -> tuple[SuffixRules, SuffixRules]:
    """Return the ICANN and the private section of the public suffix list inside the installed publicsuffixlist."""
    sections: dict[bool, tuple[set[str], set[str], set[str]]] = {
        True: (set(), set(), set()),
        False: (set(), set(), set()),
    }
    icann = True
    text = resources.files("publicsuffixlist").joinpath("public_suffix_list.dat").read_text(encoding="utf-8")
    for line in map(str.strip, text.splitlines()):
        if line.startswith("//"):
            icann = icann and "===BEGIN PRIVATE DOMAINS===" not in line
        elif line:
            exact, wildcard, exception = sections[icann]
            rule = ascii_name(line.split(maxsplit=1)[0])
            target = exception if rule.startswith("!") else wildcard if rule.startswith("*.") else exact
            target.add(rule.removeprefix("!").removeprefix("*."))
    first, second = (SuffixRules(*map(frozenset, sections[key])) for key in (True, False))
    return first, second


def special_names(folder: Path) -> dict[str, tuple[str, str]]:
    """Return special-use suffix → (class, kind)."""
    return {row["suffix"]: (row["class"], row["kind"]) for row in read_table(folder / "special_use_domains.csv")}


def block_lists(folder: Path) -> frozenset[str]:
    """Return the zones of DNS block lists."""
    return frozenset(row["zone"] for row in read_table(folder / "dnsbl_zones.csv"))


def resolver_names(folder: Path) -> tuple[dict[str, PublicResolver], dict[str, PublicResolver]]:
    """Return the resolvers by exact host name, and by suffix (a customer's name lies below it)."""
    exact: dict[str, PublicResolver] = {}
    below: dict[str, PublicResolver] = {}
    for row in read_table(folder / "public_resolvers.csv"):
        if row["hostname"]:
            target = below if row["match"] == "suffix" else exact
            target.setdefault(
                row["hostname"].lower(), PublicResolver(row["provider"], row["country"], row["filtering"])
            )
    return exact, below


class _Interned:
    """Values numbered in the order they are first seen."""

    def __init__(self) -> None:
        """Start empty."""
        self.numbers: dict[Any, int] = {}

    def number(self, value: Any) -> int:
        """Return the number of a value."""
        return self.numbers.setdefault(value, len(self.numbers))


def _params(
    settings: Settings,
    book: AddressBook,
    names: NameTables,
    hosts: Mapping[str, PublicResolver],
    suffixes: Mapping[str, PublicResolver],
) -> dict[str, Any]:
    """Return the tables as the ingest script wants them: flat maps, sorted lists, numbers, no nesting it must walk."""
    resolvers, records, classes = _Interned(), _Interned(), _Interned()
    classes.number(None)
    v4, v6 = flatten(book, 4), flatten(book, 6)
    params: dict[str, Any] = {
        "v4": [int(start) - (1 << 31) for start, _ in v4],
        "v4_record": [records.number(known) for _, known in v4],
        "v6": [start.exploded for start, _ in v6],
        "v6_record": [records.number(known) for _, known in v6],
        "names": _name_flags(names, hosts, suffixes, resolvers, classes),
        "services": list(SERVICE_PORTS),
    }
    params["records"] = [_record(known, resolvers) for known in records.numbers]
    params["resolvers"] = [_resolver(known) for known in resolvers.numbers]
    params["classes"] = [value and value[0] for value in classes.numbers]
    params["kinds"] = ["domain" if value is None else value[1] for value in classes.numbers]
    params["may_recurse"] = [approved.may_recurse for approved in settings.approved]
    params["excepted_protocol"] = [e.protocol or "" for e in settings.exceptions]
    params["excepted_until"] = [e.until.isoformat() if e.until else "9999-12-31" for e in settings.exceptions]
    return {"enriched": f"{VERSION}-{_digest(params)}", **params}


def _name_flags(
    names: NameTables,
    hosts: Mapping[str, PublicResolver],
    suffixes: Mapping[str, PublicResolver],
    resolvers: _Interned,
    classes: _Interned,
) -> dict[str, int]:
    """Return name → flags, every parent of a key a key too, so that a walk from the right ends at the first miss.

    Bits 1 and 2: suffix (ICANN, private); 4, 8: wildcard below; 16, 32: exception; 64: only a node; 128: block list;
    from bit 8: class of a special-use name; from bit 16: resolver, from 1, its lowest bit set if names below count too.
    """
    flags: dict[str, int] = {}

    def mark(name: str, bits: int) -> None:
        flags[name] = flags.get(name, 0) | bits
        labels = name.split(".")
        for start in range(1, len(labels)):
            flags.setdefault(".".join(labels[start:]), NODE)

    for rules, shift in ((names.icann, 0), (names.private, 1)):
        for group, bit in ((rules.exact, ICANN), (rules.wildcard, WILDCARD), (rules.exception, EXCEPTION)):
            for name in sorted(group):
                mark(name, bit << shift)
    for name, special in sorted(names.special.items()):
        mark(name, classes.number(special) << SPECIAL_SHIFT)
    for name in sorted(names.block_lists):
        mark(name, BLOCK_LIST)
    for name, resolver in sorted({**suffixes, **hosts}.items()):
        mark(name, ((resolvers.number(resolver) + 1) * 2 + (name in suffixes)) << HOST_SHIFT)
    return dict(sorted(flags.items()))


def _record(known: Any, resolvers: _Interned) -> dict[str, Any]:
    """Return what is known of an address as the script reads it; empty parts are left out."""
    record: dict[str, Any] = {"scope": known.scope}
    if known.path:
        record |= {"path": list(known.path), "agg": path_text(known.path), "network": known.path[-1]}
    if known.department:
        record["department"] = known.department
    if known.roles:
        record["role"] = known.roles[0] if len(known.roles) == 1 else list(known.roles)
    if known.resolver:
        record |= {"resolver": resolvers.number(known.resolver)}
    if known.approved >= 0:
        record["approved"] = known.approved
    for key in ("upstream_of", "excepted_client", "excepted_resolver"):
        if getattr(known, key):
            record[key] = list(getattr(known, key))
    return record


def path_text(path: tuple[str, ...]) -> str:
    """Return a network path as one text, general first, as `net_info.src_agg` has it."""
    return ",".join(path)


def _resolver(known: PublicResolver) -> dict[str, Any]:
    """Return a public resolver as the script reads it; empty parts are left out."""
    facts = {"provider": known.provider, "country": known.country, "filtering": known.filtering, "use": known.use}
    told: dict[str, Any] = {key: value for key, value in facts.items() if value}
    told |= {"ports": list(known.ports)} if known.ports else {}
    return told | {key: True for key in ("doh", "dnscrypt") if getattr(known, key)}


def _digest(params: Mapping[str, Any]) -> str:
    """Return eight hexadecimal digits that change with any table."""
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()[:8]


def table_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (table, key, change) between the params of two builds: names by name, the others as a whole."""
    before, after = old.get("names", {}), new.get("names", {})
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            change = "added" if name not in before else "removed" if name not in after else "changed"
            yield "names", name, change
    for key in sorted((old.keys() | new.keys()) - {"names", "enriched"}):
        if old.get(key) != new.get(key):
            yield key, "", f"{_size(old.get(key))} → {_size(new.get(key))} entries"


def _size(table: Any) -> int:
    """Return how many entries a table has, 0 for none."""
    return len(table) if table is not None else 0
