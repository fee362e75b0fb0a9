"""Some real events of every type and every version of Suricata, and the mapping that their fields get."""

import gzip
import json
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

FILES = ("suricata6-verify", "suricata7-verify", "suricata8-verify", "office-s6-dnsv1", "office-s7", "office-s8-dnsv2")
TEXT = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
KINDS: dict[type, dict[str, Any]] = {int: {"type": "long"}, bool: {"type": "boolean"}}


def some_of_each(shared: Path, most: int) -> list[dict[str, Any]]:
    """Return at most so many events of each type of each file, as `load` would store them."""
    events = []
    for name in FILES:
        number: Counter[str] = Counter()
        with gzip.open(shared / "eve" / f"{name}.json.gz", "rt", encoding="utf-8") as file:
            for line in file:
                kind = line.partition('"event_type":')[2].split('"', 2)[1]
                number[kind] += 1
                if number[kind] <= most:
                    event = json.loads(line)
                    events.append(event | {"@timestamp": event["timestamp"]})
    return events


def mapping_of(events: Collection[dict[str, Any]], names: Collection[str]) -> dict[str, Any]:
    """Return what the engine makes of the fields, of those that events have: given at once, it takes seconds."""
    root: dict[str, Any] = {}
    for name in sorted(names):
        kinds = {type(value) for event in events for value in values(event, name.split("."))}
        if not kinds:
            continue
        *holders, last = name.split(".")
        inside = root
        for holder in holders:
            inside = inside.setdefault(holder, {"properties": {}})["properties"]
        address = {"type": "ip"} if last.endswith("_ip") else TEXT
        inside[last] = KINDS.get(kinds.pop(), address) if len(kinds) == 1 else address
    return {"dynamic": False, "properties": root}


def values(found: Any, path: list[str]) -> Iterator[Any]:
    """Yield the values at a path, through lists."""
    if isinstance(found, list):
        for one in found:
            yield from values(one, path)
    elif not path:
        yield found
    elif isinstance(found, dict) and path[0] in found:
        yield from values(found[path[0]], path[1:])
