"""MISP's warning lists: what is known and common, so that it is probably no sign of an attack.

The lists are files `list.json` below a folder that the operator names, or other `.json` files in it, in MISP's format
(https://github.com/MISP/misp-warninglists): a name, a type, `matching_attributes` and a list of texts.

Promises: of all lists one at a time is in memory; a list that is broken, or too large, is named and the others count;
regular expressions run in a process of their own that is ended after a few seconds. Will not: fetch a list.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Literal, get_args

from connector.respond.reputation.values import Kind, Value

Type = Literal["string", "substring", "hostname", "cidr", "regex"]
LARGEST = 64 * 1024 * 1024
MOST_FILES = 1000
SHORTEST_PART = 3  # characters of a text that is looked for inside of values
LONGEST_PATTERN, MOST_PATTERNS = 1000, 10_000
PATTERN_SECONDS = 5.0
LONGEST_NAME = 200
# the attributes of MISP that each kind of value is; a list that names none of them is about something else
ATTRIBUTES: dict[Kind, frozenset[str]] = {
    "domain": frozenset(("domain", "hostname", "hostname|port", "domain|ip", "url", "uri", "link")),
    "ip": frozenset(("ip-src", "ip-dst", "ip-src|port", "ip-dst|port", "domain|ip", "ip")),
    "file": frozenset(
        ("md5", "sha1", "sha256", "filename|md5", "filename|sha1", "filename|sha256", "malware-sample", "attachment")
    ),
}


@dataclass(frozen=True)
class WarningList:
    """One list: its name, how its entries are compared, what kinds of attributes it is for (none: all)."""

    name: str
    type: Type
    attributes: frozenset[str]
    entries: tuple[str, ...]

    def is_for(self, kind: Kind) -> bool:
        """Tell whether the list says something about values of a kind."""
        return not self.attributes or bool(self.attributes & ATTRIBUTES[kind])


@dataclass(frozen=True)
class Listed:
    """The names of the lists that each value is on, and which files could not be used and why."""

    names: dict[Value, tuple[str, ...]]
    notes: tuple[str, ...]


def listed(folder: Path, values: Sequence[Value]) -> Listed:
    """Return on which of the lists below a folder the values are."""
    found: dict[Value, list[str]] = {value: [] for value in values}
    notes: list[str] = []
    for path in _files(folder, notes):
        try:
            warning = read_list(path)
            matching = _matching(warning, [value for value in values if warning.is_for(value.kind)])
        except ValueError as error:
            notes.append(f"{path}: {error}: this list is left out")
            continue
        for value in matching:
            found[value].append(warning.name)
    return Listed({value: tuple(dict.fromkeys(names)) for value, names in found.items()}, tuple(notes))


def _files(folder: Path, notes: list[str]) -> list[Path]:
    """Return the files of lists below a folder, in order; why there are none, or not all, is added to `notes`."""
    found = sorted({*folder.glob("*.json"), *folder.glob("*/list.json"), *folder.glob("lists/*/list.json")})
    if not found:
        notes.append(f"{folder}: there is no warning list in it, as NAME/list.json")
    if len(found) > MOST_FILES:
        notes.append(f"{folder}: it has {len(found):,} lists, of which the first {MOST_FILES:,} are used")
    return found[:MOST_FILES]


def read_list(path: Path) -> WarningList:
    """Return the list of a file; ValueError says what is wrong with it."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"is larger than {LARGEST // 1024**2} MiB")
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    except (RecursionError, UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError("is no JSON") from None
    entries = document.get("list") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("is no warning list: it has no `list`")
    type_ = document.get("type", "string")
    if type_ not in get_args(Type):
        raise ValueError(f"has the type {str(type_)[:40]!r}, which is none of {', '.join(get_args(Type))}")
    attributes = document.get("matching_attributes")
    name = document.get("name")
    return WarningList(
        name=name[:LONGEST_NAME] if isinstance(name, str) and name else path.parent.name,
        type=type_,
        attributes=frozenset(filter(_is_text, attributes)) if isinstance(attributes, list) else frozenset(),
        entries=tuple(filter(_is_text, entries)),
    )


def _is_text(value: object) -> bool:
    """Tell whether an entry is a text that holds something."""
    return isinstance(value, str) and bool(value)


def _matching(warning: WarningList, values: Sequence[Value]) -> Iterable[Value]:
    """Return those of the values that are on a list; ValueError if its patterns take too long."""
    if not values:
        return ()
    compare: dict[Type, Callable[[Sequence[str], Sequence[Value]], Iterable[Value]]] = {
        "string": _same,
        "substring": _containing,
        "hostname": _below,
        "cidr": _within,
        "regex": _fitting,
    }
    return compare[warning.type](warning.entries, values)


def _same(entries: Sequence[str], values: Sequence[Value]) -> Iterable[Value]:
    """Return the values that are an entry, in any case."""
    return _named(entries, {value.text: [value] for value in values})


def _named(entries: Sequence[str], wanted: Mapping[str, Sequence[Value]]) -> Iterable[Value]:
    """Return the values that are wanted under an entry; lists are long, so that no set of their entries is made."""
    return {value: None for entry in entries for value in wanted.get(entry.strip().lower().strip("."), ())}


def _containing(entries: Sequence[str], values: Sequence[Value]) -> Iterator[Value]:
    """Yield the values that have an entry in them."""
    parts = [part for entry in entries if len(part := entry.strip().lower()) >= SHORTEST_PART]
    return (value for value in values if any(part in value.text for part in parts))


def _below(entries: Sequence[str], values: Sequence[Value]) -> Iterable[Value]:
    """Return the values that are an entry, or a name below one."""
    wanted: dict[str, list[Value]] = {}
    for value in values:
        labels = value.text.split(".")
        for start in range(len(labels)):
            wanted.setdefault(".".join(labels[start:]), []).append(value)
    return _named(entries, wanted)


def _within(entries: Sequence[str], values: Sequence[Value]) -> Iterator[Value]:
    """Yield the addresses that an entry's network holds; what is no network is passed over."""
    addresses = {value: ip_address(value.text) for value in values if value.kind == "ip"}
    for entry in entries if addresses else ():
        try:
            network = ip_network(entry.strip(), strict=False)
        except ValueError:
            continue
        for value in [each for each, address in addresses.items() if address in network]:
            del addresses[value]
            yield value


def _fitting(entries: Sequence[str], values: Sequence[Value]) -> Iterator[Value]:
    """Yield the values that an entry fits, found by a process that is ended if that takes long; ValueError then."""
    patterns = [entry for entry in entries if len(entry) <= LONGEST_PATTERN][:MOST_PATTERNS]
    asked = json.dumps([patterns, [value.text for value in values]])
    command = [sys.executable, "-I", "-c", _PATTERNS]
    try:
        done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=PATTERN_SECONDS, check=True)
    except subprocess.TimeoutExpired:
        raise ValueError(f"its patterns take longer than {PATTERN_SECONDS:g} s") from None
    except (subprocess.CalledProcessError, OSError):
        raise ValueError("its patterns could not be compared") from None
    return (values[position] for position in json.loads(done.stdout))


# what the process of its own does; MISP writes patterns as PHP does, /pattern/flags, or plain
_PATTERNS = r"""
import json, re, sys
patterns, values = json.load(sys.stdin)
found = set()
for pattern in patterns:
    php = re.fullmatch(r"/(.*)/([a-z]*)", pattern, re.DOTALL)
    text, flags = (php[1], php[2]) if php else (pattern, "")
    try:
        compiled = re.compile(text, re.IGNORECASE if "i" in flags else 0)
    except (re.error, RecursionError, OverflowError):
        continue
    found.update(n for n, value in enumerate(values) if compiled.search(value))
print(json.dumps(sorted(found)))
"""
