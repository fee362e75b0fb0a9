"""What hunts' findings add up to, and until where somebody has come with them.

One document of the state index notes by id what was true when something was last done; while that differs from now, it
is due. So work that failed, or was cut off at any moment, is done by the next pass, whatever that finds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from connector.hunts.asking.tally import instant
from connector.settings.model import Settings
from connector.siem.client import Siem

Json = dict[str, Any]


def findings_of(siem: Siem, settings: Settings, hunt_ids: Sequence[str]) -> dict[str, Json]:
    """Return by hunt what its findings add up to; nothing for a hunt without a finding."""
    index = settings.state("findings")
    siem.call("POST", f"/{index}/_refresh")
    sums = {"events": {"sum": {"field": "count"}}, "changed": {"max": {"field": "updated"}}}
    body = {
        "size": 0,
        "query": {"terms": {"hunt.id": list(hunt_ids)}},
        "aggs": {"hunts": {"terms": {"field": "hunt.id", "size": len(hunt_ids)}, "aggs": sums}},
    }
    buckets = siem.search(index, body)["aggregations"]["hunts"]["buckets"]
    return {
        bucket["key"]: {"findings": bucket["doc_count"], **{name: bucket[name]["value"] for name in sums}}
        for bucket in buckets
    }


def noted(siem: Siem, settings: Settings, document: str) -> Mapping[str, Any]:
    """Return what a document of the state index notes, by id."""
    stored = siem.get(settings.state("state"), document)
    return stored.source["value"] if stored else {}


def note_done(siem: Siem, settings: Settings, document: str, done: Mapping[str, Any], now: datetime) -> None:
    """Note what was true when something was done, by id."""

    def edit(current: Json | None) -> Json:
        """Return the document with the marks."""
        value = current["value"] if current else {}
        return {"kind": document, "updated": instant(now), "value": {**value, **done}}

    siem.change(settings.state("state"), document, edit)
