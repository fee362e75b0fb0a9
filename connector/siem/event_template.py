"""The index template for loaded events where the SIEM has none: the layout SELKS uses, made to take every event.

Promises: put only where no template of the SIEM decides the mapping of `logstash-…` indices. Will not: be used by
installing; it is for trying out, and uninstalling removes it.

Strings are text with a `.keyword`, as in SELKS. Nothing is guessed from what a string looks like (a first name of
`2020-01-01` would make the field a date and lose all later names); the fields that are dates are named. A value that
does not fit its field stays in the document and is left out of the index. `pgsql.request` and `.response` are an object
or `false`, which no mapping takes, so they are stored only; `smb.session_id` does not fit a 64-bit number.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from connector.siem.client import Siem
from connector.siem.eve import Layout

KEYWORD = {"keyword": {"type": "keyword", "ignore_above": 256}}
DATE = {"type": "date"}
SPAN = {"properties": {"start": DATE, "end": DATE}}
VALIDITY = {"properties": {"notbefore": DATE, "notafter": DATE}}
IP = {"type": "ip", "fields": KEYWORD}
STORED = {"type": "object", "enabled": False}

TEMPLATE: dict[str, Any] = {
    "order": 0,
    "settings": {
        "index.number_of_shards": 1,
        "index.auto_expand_replicas": "0-1",
        "index.refresh_interval": "5s",
        "index.mapping.total_fields.limit": 10000,
        "index.mapping.ignore_malformed": True,
    },
    "mappings": {
        "date_detection": False,
        "numeric_detection": False,
        "dynamic_templates": [
            {"addresses": {"match": "*_ip", "match_mapping_type": "string", "mapping": IP}},
            {
                "strings": {
                    "match_mapping_type": "string",
                    "mapping": {"type": "text", "norms": False, "fields": KEYWORD},
                }
            },
        ],
        "properties": {
            "@timestamp": DATE,
            "timestamp": DATE,
            "src_ip": IP,
            "dest_ip": IP,
            "flow": SPAN,
            "netflow": SPAN,
            "tls": VALIDITY,
            "smb": {"properties": {"session_id": {"type": "keyword"}}},
            "pgsql": {"properties": {"request": STORED, "response": STORED}},
        },
    },
}

REJECTED_INDEX: dict[str, Any] = {
    "settings": {"index.number_of_shards": 1, "index.auto_expand_replicas": "0-1"},
    "mappings": {
        "dynamic": False,
        "properties": {
            "@timestamp": DATE,
            "event_type": {"type": "keyword"},
            "hunt": {"properties": {"error": {"type": "keyword", "ignore_above": 1024}}},
            "log": {"properties": {"file": {"properties": {"path": {"type": "keyword"}, "line": {"type": "long"}}}}},
        },
    },
}


def put_if_needed(siem: Siem, prefix: str, layout: Layout) -> str | None:
    """Return the name of our legacy template for loaded events, now in place; None if the SIEM's own decide.

    A legacy one, because a composable one would make the engine ignore every legacy template of these indices.
    """
    name = f"{prefix}load"
    if _governed(siem, prefix, layout.index("dns", "2026-01-01")):
        return None
    siem.call("PUT", f"/_template/{name}", {**TEMPLATE, "index_patterns": [layout.pattern]})
    return name


def _governed(siem: Siem, prefix: str, index: str) -> bool:
    """Tell whether a template of the SIEM makes such an index; a legacy one for `*` sets defaults, no mapping.

    Ours that installing puts do not count, nor does the one put here before.
    """
    ours = (f"{prefix}events", f"{prefix}load")
    composable = [t for t in siem.call("GET", "/_index_template")["index_templates"] if t["name"] not in ours]
    legacy = [t for name, t in siem.call("GET", "/_template").items() if name not in ours]
    patterns = [pattern for template in composable for pattern in template["index_template"]["index_patterns"]]
    patterns += [pattern for template in legacy for pattern in template["index_patterns"] if pattern != "*"]
    return any(fnmatchcase(index, pattern) for pattern in patterns)
