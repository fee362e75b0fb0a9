"""Asks the Painless matcher of an engine: a simulated pipeline writes into each event which conditions it matches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connector.hunts.conditions import condition as c
from connector.hunts.conditions.painless import compile_painless, matcher_source
from connector.settings.model import Dialect
from connector.siem.client import Siem

LOOP = """
List matching = new ArrayList(); List nodes = (List) params.get("nodes");
for (int i = 0; i < nodes.size(); i++) { if (matches((Map) nodes.get(i), ctx)) { matching.add(i); } }
ctx.put("matching", matching);
"""


def matching_pipeline(asked: Sequence[c.Condition], dialect: Dialect = "eve") -> dict[str, Any]:
    """Return the pipeline that writes into an event, as `matching`, the positions of the conditions it matches."""
    params = {"nodes": [compile_painless(one, dialect) for one in asked]}
    return {"processors": [{"script": {"lang": "painless", "source": matcher_source() + LOOP, "params": params}}]}


def painless_finds(
    siem: Siem, events: Sequence[dict[str, Any]], asked: Sequence[c.Condition], dialect: Dialect = "eve"
) -> list[set[int]]:
    """Return for each condition the numbers of the events that it matches in the engine."""
    body = {"pipeline": matching_pipeline(asked, dialect), "docs": [{"_source": event} for event in events]}
    docs = siem.call("POST", "/_ingest/pipeline/_simulate", body)["docs"]
    assert len(docs) == len(events)
    found: list[set[int]] = [set() for _ in asked]
    for number, doc in enumerate(docs):
        assert "doc" in doc, doc
        for position in doc["doc"]["_source"]["matching"]:
            found[position].add(number)
    return found
