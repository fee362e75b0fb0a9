"""The mapping of our event fields, built from the readable list in the content folder."""

from __future__ import annotations

from functools import cache
from typing import Any

from connector.content import content_folder
from connector.documents import read_document

KEYWORD_LIMIT = 8191  # four bytes each stay below the 32,766 bytes an index term may have

# word of event-fields.yml → mapping; a value that does not fit is left unindexed and never refuses the event
TYPES: dict[str, dict[str, Any]] = {
    "group": {"type": "keyword", "ignore_above": KEYWORD_LIMIT},
    "find": {"type": "keyword", "ignore_above": KEYWORD_LIMIT, "doc_values": False},
    "joined": {"type": "keyword", "ignore_above": KEYWORD_LIMIT, "doc_values": False, "index": False},
    "shown": {"type": "object", "enabled": False},
    "ip": {"type": "ip", "ignore_malformed": True},
    "date": {"type": "date", "format": "epoch_millis||strict_date_optional_time", "ignore_malformed": True},
    "boolean": {"type": "boolean"},
    "number": {"type": "short", "ignore_malformed": True, "doc_values": False},
    "sum": {"type": "short", "ignore_malformed": True},
    "count": {"type": "long", "ignore_malformed": True, "doc_values": False},
    "fraction": {"type": "half_float", "ignore_malformed": True, "doc_values": False},
}


@cache
def field_words() -> dict[str, dict[str, Any]]:
    """Return every field of ours by dotted name, with its words from event-fields.yml."""
    words: dict[str, dict[str, Any]] = read_document(content_folder("ingest-pipelines") / "event-fields.yml").value
    return words


def event_properties() -> dict[str, Any]:
    """Return the mapping properties of our fields, nested as the engine wants them."""
    root: dict[str, Any] = {}
    for name, words in field_words().items():
        *holders, leaf = name.split(".")
        properties = root
        for holder in holders:
            properties = properties.setdefault(holder, {"properties": {}})["properties"]
        properties[leaf] = _mapping(words)
    return root


def _mapping(words: dict[str, Any]) -> dict[str, Any]:
    """Return the mapping of one field; what other screens read can be searched by name and aggregated by sub-field."""
    mapping = dict(TYPES[words["type"]])
    if words.get("screens"):
        return {**mapping, "doc_values": False, "fields": {"keyword": dict(TYPES["group"])}}
    return mapping
