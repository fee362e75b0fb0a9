"""The reputation of what declarations name, looked up by itself where the settings say so.

Promises: a declaration is written and delivered without it, and gets it when it is to be had; what a tunnel may have
carried out in the labels of a name is not sent on: of names the registered domain is asked for; the asset never is.
Will not: tell receivers; the next revision does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from connector.enrich.names import NameTables
from connector.errors import Refused
from connector.hunts.conditions.condition import scalar_text
from connector.respond.declarations.asset import asset_key
from connector.respond.reputation.lookup import Asks, LookedUp, look_up, name_tables
from connector.respond.reputation.values import HASHES, Value, recognised, registered
from connector.settings.model import Settings
from connector.siem.client import Siem

Json = dict[str, Any]
MOST_VALUES = 10  # of a declaration
AT_ONCE = 20  # declarations
LONGEST = 300
NAMES = ("hostname_info.", "rrname", "sni", "hostname", "domain")
HASH_FIELDS = ("sha256", "sha1", "md5")


def look_up_due(
    siem: Siem, settings: Settings, clock: Callable[[], datetime], asks: Asks | None = None
) -> tuple[LookedUp, ...]:
    """Return what was looked up for declarations that have something new; what could not be stays due.

    Nothing is, unless the settings say that it is done by itself. Refused as `look_up` has it.
    """
    if not settings.reputation.automatic:
        return ()
    index = settings.state("declarations")
    siem.call("POST", f"/{index}/_refresh")
    due = {"bool": {"filter": [{"term": {"reputation_due": True}}]}}
    body = {"size": AT_ONCE, "query": due, "sort": [{"made": "desc"}], "_source": False}
    found: list[LookedUp] = []
    for hit in siem.search(index, body)["hits"]["hits"]:
        looked = look_up_one(siem, settings, hit["_id"], clock, asks)
        found += looked
        if any(one.state == "later" for one in looked):
            break
    return tuple(found)


def look_up_one(
    siem: Siem, settings: Settings, id: str, clock: Callable[[], datetime], asks: Asks | None = None
) -> list[LookedUp]:
    """Return what is known of the values of a declaration, written on it; nothing if there is none of that id."""
    index = settings.state("declarations")
    stored = siem.get(index, id)
    if stored is None:
        return []
    values = indicators(stored.source, name_tables())
    looked = look_up(siem, settings, values, clock, asks)

    def edit(current: Json | None) -> Json:
        """Return the declaration with what is known; it stays due if a value is to be asked later, or is new."""
        document = current or stored.source
        left = any(one.state == "later" for one in looked) or indicators(document, name_tables()) != values
        return document | {"reputation": [one.document for one in looked], "reputation_due": left}

    siem.change(index, id, edit)
    return looked


def indicators(document: Json, tables: NameTables) -> list[Value]:
    """Return what a declaration names that others may know, the other side first; pure."""
    asset = asset_key(document["asset"]["value"])
    found: dict[Value, None] = {}
    for value in _named(document, tables):
        if asset_key(value.text) != asset:
            found[value] = None
        if len(found) == MOST_VALUES:
            break
    return list(found)


def _named(document: Json, tables: NameTables) -> Iterator[Value]:
    """Yield the values on a declaration: of the other side, of the groups, of the events, newest first."""
    fields = document["offender"]["field"]
    for text in document["offender"]["value"]:
        yield from _values(fields[0] if fields else "", text, tables)
    for item in document["evidence"].values():
        for group in item["groups"]:
            for name, value in group["values"].items():
                yield from _values(name, value, tables)
        for event in reversed(item["references"]):
            for name, value in event["shown"].items():
                yield from _values(name, value, tables)


def _values(field: str, value: object, tables: NameTables) -> Iterator[Value]:
    """Yield what a field's value is that can be looked up: names and hashes of fields for such, addresses of any."""
    for each in value if isinstance(value, list) else [value]:
        text = scalar_text(each)
        if not text or len(text) > LONGEST:
            continue
        try:
            found = recognised(text, tables)
        except Refused:
            continue
        if found.kind == "domain" and field.startswith(NAMES[0]) | field.endswith(NAMES[1:]):
            domain = registered(found.text, tables)
            yield from [Value("domain", domain)] if domain else []
        elif found.kind == "ip" or (found.kind == "file" and _is_hash(field, text)):
            yield found


def _is_hash(field: str, text: str) -> bool:
    """Tell whether a field holds the hash of a file."""
    return field.endswith(HASH_FIELDS) and len(text) in HASHES


def told(looked: Sequence[LookedUp]) -> str:
    """Return what was looked up in one line."""
    later = next((one for one in looked if one.state == "later"), None)
    bad = [one.value for one in looked if one.verdict in ("malicious", "suspicious")]
    parts = [f"{len(looked)} values looked up", *([f"bad: {', '.join(bad)}"] if bad else [])]
    return "; ".join([*parts, *([later.why] if later else [])])
