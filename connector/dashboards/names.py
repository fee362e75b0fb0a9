"""Which stored name a field of a dashboard has, in the index that it is of and the way events lie there.

Promises: a field that cannot be counted by has no name to count by. Will not: ask a search engine: what a field is
mapped as is known from our own mappings and, of Suricata's fields, from how every stack stores them: text with a
keyword beside it, but for numbers, addresses and times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.dashboards.model import EVENTS
from connector.enrich.dialects import stored_name
from connector.enrich.fields import field_words
from connector.hunts.conditions.eve_names import is_eve_name
from connector.settings.model import Dialect
from connector.siem.state import STATE_MAPPINGS

TIME = "@timestamp"
COUNTED = frozenset(("group", "ip", "date", "boolean", "sum", "joined"))
# Suricata's fields that are no text; what is not among them is text with a keyword beside it
NO_TEXT = frozenset(
    (
        *("src_ip", "dest_ip", "src_port", "dest_port", "flow_id", "tx_id", "vlan", TIME, "timestamp"),
        *("flow.age", "flow.bytes_toserver", "flow.bytes_toclient", "flow.pkts_toserver", "flow.pkts_toclient"),
        *("flow.start", "flow.end", "alert.severity", "alert.signature_id", "alert.gid", "alert.rev"),
        *("fileinfo.size", "fileinfo.stored", "fileinfo.gaps", "http.length", "http.status"),
    )
)


def is_known(field: str, of: str) -> bool:
    """Tell whether what is counted has a field of that name."""
    if of != EVENTS:
        return _own(field, of) is not None
    return field == TIME or field in field_words() or is_eve_name(field)


def can_count(field: str, of: str) -> bool:
    """Tell whether one can divide by the field: some of ours can be searched only."""
    if of != EVENTS:
        return str((_own(field, of) or {}).get("type", "text")) != "text"
    words = field_words().get(field)
    return words is None or str(words["type"]) in COUNTED


def column(field: str, of: str, dialect: Dialect) -> str:
    """Return the name under which a value is in the document."""
    return field if of != EVENTS else stored_name(field, dialect)


def exact(field: str, of: str, dialect: Dialect, subfield: str) -> str:
    """Return the name to count by and to compare whole values with; `subfield` is that of strings in the SIEM."""
    name = column(field, of, dialect)
    if of != EVENTS:
        return name
    words = field_words().get(field)
    if words is not None:
        return f"{name}.{subfield}" if words.get("screens") else name
    return name if dialect == "ecs" or field in NO_TEXT else f"{name}.{subfield}"


def _own(field: str, of: str) -> Mapping[str, Any] | None:
    """Return the mapping of a field of our own index; None if it has none that is indexed."""
    properties: Mapping[str, Any] = STATE_MAPPINGS[of]
    *holders, leaf = field.split(".")
    for holder in holders:
        properties = properties.get(holder, {}).get("properties", {})
    found: Mapping[str, Any] | None = properties.get(leaf)
    return found if found and "type" in found and found.get("enabled", True) else None
