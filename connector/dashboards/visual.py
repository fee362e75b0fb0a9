"""The state of a classic visualisation (`visState`) for each kind of panel, as Kibana 7.10 writes it; pure.

Promises: the same panel gives the same state; colours tell apart for every kind of colour vision (Okabe and Ito,
https://jfly.uni-koeln.de/color/), and the same word has the same colour on every dashboard. Will not: know an id of a
saved object.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from connector.dashboards.model import Measure, Panel

Json = dict[str, Any]
TYPES = {"number": "metric", "timeline": "histogram", "bars": "horizontal_bar", "heat": "heatmap", "table": "table"}
AGGREGATIONS = {
    "count": "count",
    "unique": "cardinality",
    "sum": "sum",
    "average": "avg",
    "newest": "max",
    "oldest": "min",
}
NOUNS = {
    **{
        "hunt.client.ip": "clients",
        "client.ip": "clients",
        "hunt.server.ip": "servers",
        "hunt.resolver.ip": "resolvers",
    },
    **{"hostname_info.host": "names", "hostname_info.domain": "domains", "hostname_info.tld": "suffixes"},
    **{"hunt.name": "hunts", "hunt.tag_rules": "rules", "asset.value": "assets", "krb5.cname": "accounts"},
    **{"count": "events", "findings": "findings", "flow.bytes_toclient": "bytes to clients"},
    **{"hunt.name.subdomain_length": "length of subdomain", "dhcp.client_mac": "MAC addresses"},
    **{"ip": "hosts", "host_id.services_count": "services", "host_id.visitor_count": "visitors"},
    **{"host_id.domain_count": "domains", "host_id.alerts.high": "grave alerts", "changes.value": "changes"},
    **{"host_id.services.port": "ports", "changes.time": "change"},
}
# how many values a shard tells of if the rarest are wanted: with fewer, what is rare on one shard alone would be shown
EVERY_SHARD = 10_000
SEEN = ("@timestamp", "last", "first", "host_id.first_seen", "host_id.last_seen")
PREFIXES = {"unique": "different", "sum": "sum of", "average": "mean", "newest": "newest", "oldest": "oldest"}
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#767676"
PALETTE = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, YELLOW, GREY)
SEVERITIES = ("critical", "high", "medium", "low", "informational")
# a value that stands for the same wherever it is → its colour
COLOURS = {
    **{"critical": VERMILION, "high": ORANGE, "medium": YELLOW, "low": SKY, "informational": GREY},
    **{"approved": BLUE, "approved-upstream": SKY, "public": VERMILION, "unapproved-internal": ORANGE},
    **{"unapproved-external": PURPLE, "relevant": VERMILION, "new": VERMILION, "assigned": ORANGE, "fixed": BLUE},
    **{"false-positive": GREY, "delivered": BLUE, "waiting": ORANGE, "sending": YELLOW, "failed": VERMILION},
    **{"compromise": VERMILION, "policy": BLUE, "do53": GREY, "dot": BLUE, "doh": ORANGE, "doq": GREEN},
    **{"dnscrypt": PURPLE},
}
SCHEMAS: dict[str, tuple[str, ...]] = {
    "timeline": ("group",),
    "bars": ("segment", "group"),
    "heat": ("group", "segment"),
    "table": ("bucket",) * 4,
    "number": (),
}


def vis_state(panel: Panel, time_field: str, name: Callable[[str], str]) -> Json:
    """Return the state of a panel's visualisation; `name` gives the stored name to count by."""
    kind = TYPES[panel.kind]
    return {"title": panel.title, "type": kind, "params": _params(panel), "aggs": _aggs(panel, time_field, name)}


def ui_state(panel: Panel) -> Json:
    """Return the colours of the words that have one, where a panel has colours."""
    return {"vis": {"colors": COLOURS}} if panel.kind in ("timeline", "bars") and panel.by else {}


def measure_label(measure: Measure, unit: str) -> str:
    """Return what people call a measure."""
    if measure.kind == "count":
        return unit
    if measure.field in SEEN:
        return "last seen" if measure.kind == "newest" else "first seen"
    noun = NOUNS.get(measure.field) or measure.field.removeprefix("hunt.").replace(".", " ").replace("_", " ")
    return noun if measure.field in NOUNS and measure.kind in ("unique", "sum") else f"{PREFIXES[measure.kind]} {noun}"


def _aggs(panel: Panel, time_field: str, name: Callable[[str], str]) -> list[Json]:
    """Return the aggregations: the measures, of a timeline the time, then the fields in order."""
    found = [_measure(number, each, panel, name) for number, each in enumerate(panel.measures, 1)]
    if panel.kind == "timeline":
        params: Json = {
            "field": time_field,
            "useNormalizedEsInterval": True,
            "interval": "auto",
            "drop_partials": False,
            "min_doc_count": 1,
            "extended_bounds": {},
        }
        found.append(_agg(len(found) + 1, "date_histogram", "segment", params))
    for field, label, schema in zip(panel.by, panel.labels, SCHEMAS[panel.kind], strict=False):
        params = {
            "field": name(field),
            "orderBy": "1",
            "order": "asc" if panel.fewest_first else "desc",
            "size": panel.size,
            "otherBucket": False,
            "otherBucketLabel": "Other",
            "missingBucket": False,
            "missingBucketLabel": "Missing",
            "customLabel": label,
        } | ({"json": json.dumps({"shard_size": EVERY_SHARD})} if panel.fewest_first else {})
        found.append(_agg(len(found) + 1, "terms", schema, params))
    return found


def _measure(number: int, measure: Measure, panel: Panel, name: Callable[[str], str]) -> Json:
    """Return the aggregation of a measure."""
    label = panel.title if panel.kind == "number" else measure_label(measure, panel.unit)
    params = {"customLabel": label} | ({"field": name(measure.field)} if measure.field else {})
    return _agg(number, AGGREGATIONS[measure.kind], "metric", params)


def _agg(number: int, kind: str, schema: str, params: Json) -> Json:
    """Return one aggregation of a visualisation."""
    return {"id": str(number), "enabled": True, "type": kind, "schema": schema, "params": params}


def _params(panel: Panel) -> Json:
    """Return how a panel is drawn."""
    if panel.kind == "number":
        return _number()
    if panel.kind == "table":
        return {
            "perPage": 10,
            "showPartialRows": False,
            "showMetricsAtAllLevels": False,
            "sort": {"columnIndex": None, "direction": None},
            "showTotal": False,
            "totalFunc": "sum",
            "percentageCol": "",
        }
    return _heat() if panel.kind == "heat" else _bars(panel)


def _number() -> Json:
    """Return how a number is drawn."""
    return {
        "addTooltip": True,
        "addLegend": False,
        "type": "metric",
        "metric": {
            "percentageMode": False,
            "useRanges": False,
            "colorSchema": "Blues",
            "metricColorMode": "None",
            "colorsRange": [{"from": 0, "to": 10000}],
            "labels": {"show": True},
            "invertColors": False,
            "style": {"bgFill": "#000", "bgColor": False, "labelColor": False, "subText": "", "fontSize": 36},
        },
    }


def _heat() -> Json:
    """Return how a field of tiles is drawn."""
    labels = {"show": False, "rotate": 0, "overwriteColor": False, "color": "black"}
    axis = {"show": False, "id": "ValueAxis-1", "type": "value", "labels": labels}
    return {
        "type": "heatmap",
        "addTooltip": True,
        "addLegend": True,
        "enableHover": False,
        "legendPosition": "right",
        "times": [],
        "colorsNumber": 5,
        "colorSchema": "Blues",
        "setColorRange": False,
        "colorsRange": [],
        "invertColors": False,
        "percentageMode": False,
        "valueAxes": [{**axis, "scale": {"type": "linear", "defaultYExtents": False}}],
    }


def _bars(panel: Panel) -> Json:
    """Return how bars are drawn: upright over time, lying for values."""
    lying = panel.kind == "bars"
    grouped = len(panel.by) == (2 if lying else 1)
    axis = {"show": True, "style": {}}
    return {
        "type": "histogram",
        "grid": {"categoryLines": False},
        "categoryAxes": [
            {
                **axis,
                "id": "CategoryAxis-1",
                "type": "category",
                "position": "left" if lying else "bottom",
                "scale": {"type": "linear"},
                "labels": {"show": True, "filter": not lying, "truncate": 200, "rotate": 0},
                "title": {},
            }
        ],
        "valueAxes": [
            {
                **axis,
                "id": "ValueAxis-1",
                "name": "BottomAxis-1" if lying else "LeftAxis-1",
                "type": "value",
                "position": "bottom" if lying else "left",
                "scale": {"type": "linear", "mode": "normal"},
                "labels": {"show": True, "rotate": 0, "filter": lying, "truncate": 100},
                "title": {"text": measure_label(panel.measures[0], panel.unit)},
            }
        ],
        "seriesParams": [
            {
                "show": True,
                "type": "histogram",
                "mode": "stacked" if grouped else "normal",
                "data": {"label": measure_label(panel.measures[0], panel.unit), "id": "1"},
                "valueAxis": "ValueAxis-1",
                "drawLinesBetweenPoints": True,
                "lineWidth": 2,
                "showCircles": True,
            }
        ],
        "addTooltip": True,
        "addLegend": grouped,
        "legendPosition": "right",
        "times": [],
        "addTimeMarker": False,
        "labels": {"show": False},
        "thresholdLine": {"show": False, "value": 10, "width": 1, "style": "full", "color": GREY},
    }
