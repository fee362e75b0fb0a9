"""The Vega-Lite of a panel that is an age, which no classic visualisation can show: none takes the time of now. Pure.

It asks for all there is of one of our own indices, whatever time is picked: the newest of a time for each value of a
field, and draws how long ago that was. Promises: of version 4, which OpenSearch Dashboards and Kibana from 7.10 on
read; what its colour says stands beside it in words. Will not: name a field of an event, or load anything from outside.
"""

from __future__ import annotations

import json
from typing import Any

from connector.dashboards.model import Panel
from connector.dashboards.visual import BLUE, VERMILION

Json = dict[str, Any]
SCHEMA = "https://vega.github.io/schema/vega-lite/v4.json"
OF, NEWEST = "of", "newest"  # the names of the aggregations
LATE = "late"
# minutes as people read them: the same as `age_words`
WORDS = (
    "datum.minutes < 1 ? 'less than a minute' : datum.minutes < 120 ? floor(datum.minutes) + ' min' : "
    "datum.minutes < 2880 ? floor(datum.minutes / 60) + ' h' : floor(datum.minutes / 1440) + ' days'"
)


def vega_state(panel: Panel, index: str, filters: list[Json]) -> Json:
    """Return the `visState` of an age; `filters` are what all that it counts must have."""
    spec = json.dumps(_spec(panel, index, filters), ensure_ascii=False, indent=2)
    return {"title": panel.title, "type": "vega", "params": {"spec": spec}, "aggs": []}


def asked_by(spec: Json) -> tuple[str, Json]:
    """Return where the data of a Vega-Lite is asked for, and the body of the search."""
    url = spec["data"]["url"]
    return str(url["index"]), {"track_total_hits": True, **url["body"]}


def newest_in(answer: Json) -> list[tuple[str, float | None]]:
    """Return for each value of the field the newest time, in milliseconds, that the answer to such a search has."""
    buckets = answer.get("aggregations", {}).get(OF, {}).get("buckets", [])
    return [(str(bucket.get("key_as_string", bucket["key"])), bucket[NEWEST]["value"]) for bucket in buckets]


def age_words(minutes: float, late_after: int) -> str:
    """Return an age as people read it, and whether that is late."""
    if minutes < 1:
        words = "less than a minute"
    elif minutes < 120:
        words = f"{int(minutes)} min"
    else:
        words = f"{int(minutes / 60)} h" if minutes < 2880 else f"{int(minutes / 1440)} days"
    return f"{words}, {LATE}" if minutes > late_after else words


def _spec(panel: Panel, index: str, filters: list[Json]) -> Json:
    """Return the Vega-Lite: bars of minutes with their age in words."""
    field, measure = panel.by[0], panel.measures[0]
    newest = {NEWEST: {"max": {"field": measure.field}}}
    body = {
        "size": 0,
        "query": {"bool": {"filter": [*filters, {"exists": {"field": measure.field}}]}},
        "aggs": {OF: {"terms": {"field": field, "size": panel.size}, "aggs": newest}},
    }
    late = f"datum.minutes > {panel.late_after}"
    return {
        "$schema": SCHEMA,
        "description": panel.empty,
        "data": {"url": {"index": index, "body": body}, "format": {"property": f"aggregations.{OF}.buckets"}},
        "transform": [
            {"calculate": f"max(0, now() - datum.{NEWEST}.value) / 60000", "as": "minutes"},
            {"calculate": f"datum.key + ': ' + ({WORDS}) + ({late} ? ', {LATE}' : '')", "as": "age"},
        ],
        "mark": "bar",
        "encoding": {
            "y": {"field": "age", "type": "nominal", "title": None, "axis": {"labelLimit": 400}},
            "x": {"field": "minutes", "type": "quantitative", "title": "minutes"},
            "color": {"condition": {"test": late, "value": VERMILION}, "value": BLUE},
            "tooltip": {"field": "age", "type": "nominal"},
        },
    }
