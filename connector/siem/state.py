"""Our own indices in the SIEM: their names, mappings and retention words. All state lives there, nothing beside it.

Every mapping is `dynamic: false`: a field not named here is kept in the document and not indexed.
"""

from __future__ import annotations

from typing import Any

KEYWORD = {"type": "keyword", "ignore_above": 8191}
DATE = {"type": "date"}
LONG = {"type": "long"}
TEXT = {"type": "text"}
BOOLEAN = {"type": "boolean"}
STORED: dict[str, Any] = {"type": "object", "enabled": False}
HUNT = {"properties": dict.fromkeys(("id", "name", "title"), KEYWORD)}
SIDE = {
    "properties": {"ip": {"type": "ip", "ignore_malformed": True}, **dict.fromkeys(("department", "network"), KEYWORD)}
}

STATE_MAPPINGS: dict[str, dict[str, Any]] = {
    "findings": {
        "hunt": {"properties": dict.fromkeys(("id", "name", "title", "family", "severity", "kind"), KEYWORD)},
        "group_by": KEYWORD,
        "group": STORED,
        "values": STORED,
        "cut": KEYWORD,
        "terms": KEYWORD,  # the values again, as field=value
        "client": SIDE,
        "server": SIDE,
        "count": LONG,
        "first": DATE,
        "last": DATE,
        "made": DATE,
        "updated": DATE,
        "status": KEYWORD,
        "settled": STORED,
        "windows": STORED,
        "events": {"properties": {"index": KEYWORD, "id": KEYWORD, "time": DATE, "shown": STORED}},
        "events_not_kept": LONG,
    },
    "runs": {
        "kind": KEYWORD,
        "pass": KEYWORD,
        "settled": STORED,
        "windows": STORED,
        "from": DATE,
        "to": DATE,
        "started": DATE,
        "took_ms": LONG,
        "events": LONG,
        "hunts": LONG,
        "hits": LONG,
        "findings": LONG,
        "errors": {"properties": {"hunt": KEYWORD, "error": TEXT}},
    },
    "state": {"kind": KEYWORD, "watermark": DATE, "task": KEYWORD, "updated": DATE, "value": STORED},
    "seen": {"memory": KEYWORD, "value": KEYWORD, "last": DATE, "began": DATE, "newest": DATE, "streaks": STORED},
    "tag-rules": {
        "hunt": HUNT,
        "tag": KEYWORD,
        "status": KEYWORD,
        "by": KEYWORD,
        "made": DATE,
        "comment": TEXT,
        "rule": STORED,
        "history": STORED,
        "extent": STORED,
        "unsettled": DATE,
    },
    "declarations": {
        "hunts": HUNT,
        "kind": KEYWORD,
        "threat": KEYWORD,
        "family": KEYWORD,
        "phase": KEYWORD,
        "phases": STORED,
        "asset": {"properties": dict.fromkeys(("field", "value", "kind", "department"), KEYWORD)},
        "offender": {"properties": dict.fromkeys(("field", "value"), KEYWORD)},
        "status": KEYWORD,
        "assigned": KEYWORD,
        "explanation": TEXT,
        "first": DATE,
        "last": DATE,
        "made": DATE,
        "updated": DATE,
        "by": KEYWORD,
        "count": LONG,
        "evidence": STORED,
        "said": STORED,
        "history": STORED,
        "pending": BOOLEAN,
        "evidence_due": BOOLEAN,
        "reputation": STORED,
        "reputation_due": BOOLEAN,
    },
    "declare-rules": {
        "hunt": HUNT,
        "status": KEYWORD,
        "by": KEYWORD,
        "made": DATE,
        "since": DATE,
        "verdict": STORED,
        "history": STORED,
    },
    "reputation": {
        "kind": KEYWORD,
        "value": KEYWORD,
        "verdict": KEYWORD,
        "asked": DATE,
        "expires": DATE,
        "answer": STORED,
    },
    "evidence": {"declaration": KEYWORD, "kept_at": DATE, "kept": STORED},
    "outbox": {
        "declaration": KEYWORD,
        "finding": KEYWORD,
        "group": KEYWORD,
        "event": KEYWORD,
        "receiver": KEYWORD,
        "status": KEYWORD,
        "made": DATE,
        "next": DATE,
        "attempts": LONG,
        "tries": STORED,
        "message": STORED,
    },
}
