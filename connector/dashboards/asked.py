"""What a dashboard sends to the search engine for a saved object, and what the answer comes to.

The search is made of the object alone, as both products make it: the query of its `searchSourceJSON`, the aggregations
of its `visState` one inside the other, the time picker's range on the index pattern's time field; or what a Vega has.
Promises: an object whose reference is not there, or whose query is not read, is an error. Will not: draw.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connector.dashboards.kuery import asked as asked_of
from connector.dashboards.objects import INDEX_REF
from connector.dashboards.vega import asked_by, newest_in

Json = dict[str, Any]
ROWS = 50
MOST_BARS = 60
SECONDS = (
    *(1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10800, 43200),
    *(86400, 604800, 2592000),
)


@dataclass(frozen=True)
class Span:
    """The time a dashboard shows."""

    start: datetime
    end: datetime

    @property
    def interval(self) -> int:
        """Return the seconds of one bar, so that there are not too many."""
        length = (self.end - self.start).total_seconds()
        return next((seconds for seconds in SECONDS if length / seconds <= MOST_BARS), SECONDS[-1])


@dataclass(frozen=True)
class Asked:
    """One search: where, and its body. `names` are the fields that it names."""

    index: str
    body: Json
    names: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One bucket at the end of its branch: the value of each field, and of each measure (None: it has none)."""

    keys: tuple[str, ...]
    values: tuple[float | None, ...]


def asked(objects: Mapping[tuple[str, str], Json], one: Json, span: Span) -> Asked | None:
    """Return the search of a visualisation or a saved search; None for one that asks nothing, as a text."""
    attributes = one["attributes"]
    if spec := _vega(one):
        index, body = asked_by(spec)
        return Asked(index, body, tuple(_fields(body)))
    source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    if "indexRefName" not in source:
        return None
    reference = next(each for each in one["references"] if each["name"] == INDEX_REF)
    pattern = objects[(reference["type"], reference["id"])]["attributes"]
    time = pattern.get("timeFieldName")
    picked = {"gte": _stamp(span.start), "lte": _stamp(span.end), "format": "strict_date_optional_time"}
    filters = [*asked_of(source["query"]["query"]), *([{"range": {time: picked}}] if time else [])]
    query = {"bool": {"must": [], "filter": filters, "should": [], "must_not": []}}
    if one["type"] == "search":
        sort = [{field: {"order": order, "unmapped_type": "boolean"}} for field, order in attributes["sort"]]
        names = (*attributes["columns"], *_named(filters))
        return Asked(pattern["title"], {"size": ROWS, "query": query, "sort": sort, "track_total_hits": True}, names)
    aggs = json.loads(attributes["visState"])["aggs"]
    body = {"size": 0, "query": query, "track_total_hits": True} | _aggregations(aggs, span)
    fields = tuple(each["params"]["field"] for each in aggs if "field" in each["params"])
    return Asked(pattern["title"], body, (*fields, *_named(filters)))


def rows(one: Json, answer: Json) -> list[Row]:
    """Return what the answer to a visualisation's search comes to, in its order."""
    if _vega(one):
        return [Row((key,), (newest,)) for key, newest in newest_in(answer)]
    aggs = json.loads(one["attributes"]["visState"])["aggs"]
    measures = [each for each in aggs if each["schema"] == "metric"]
    divided = [each for each in aggs if each["schema"] != "metric"]
    root = {**answer.get("aggregations", {}), "doc_count": answer["hits"]["total"]["value"]}
    return list(_rows(root, divided, measures, ()))


def _vega(one: Json) -> Json | None:
    """Return the specification of an object that is a Vega, None if it is none."""
    state = json.loads(one["attributes"].get("visState", "{}"))
    found: Json | None = json.loads(state["params"]["spec"]) if state.get("type") == "vega" else None
    return found


def _fields(body: object) -> Iterator[str]:
    """Yield the fields that a search of a Vega names."""
    if isinstance(body, dict):
        for key, inner in body.items():
            if key == "filter":
                yield from _named(inner)
            elif key == "field":
                yield inner
            else:
                yield from _fields(inner)


def _rows(bucket: Json, divided: Sequence[Json], measures: Sequence[Json], keys: tuple[str, ...]) -> Iterator[Row]:
    """Yield the rows below a bucket."""
    if not divided:
        yield Row(keys, tuple(_value(bucket, measure) for measure in measures))
        return
    for inner in bucket.get(divided[0]["id"], {}).get("buckets", []):
        key = str(inner.get("key_as_string", inner["key"]))
        yield from _rows(inner, divided[1:], measures, (*keys, key))


def _value(bucket: Json, measure: Json) -> float | None:
    """Return the value of a measure in a bucket."""
    if measure["type"] == "count":
        return float(bucket["doc_count"])
    value = bucket.get(measure["id"], {}).get("value")
    return None if value is None else float(value)


def _aggregations(aggs: Sequence[Json], span: Span) -> Json:
    """Return the aggregations, each inside the one before it, the measures in all of them."""
    measured = {
        each["id"]: {each["type"]: {"field": each["params"]["field"]}}
        for each in aggs
        if each["schema"] == "metric" and each["type"] != "count"
    }
    counts = {each["id"] for each in aggs if each["type"] == "count"}
    inside: Json = measured
    for each in reversed([one for one in aggs if one["schema"] != "metric"]):
        inside = {**measured, each["id"]: _bucket(each, counts, span) | ({"aggs": inside} if inside else {})}
    return {"aggs": inside} if inside else {}


def _bucket(agg: Json, counts: set[str], span: Span) -> Json:
    """Return the aggregation that divides."""
    params = agg["params"]
    if agg["type"] == "date_histogram":
        interval = f"{span.interval}s"
        told = {"field": params["field"], "fixed_interval": interval, "time_zone": "UTC", "min_doc_count": 1}
        return {"date_histogram": told}
    by = "_count" if params["orderBy"] in counts else params["orderBy"]
    more = json.loads(params.get("json", "{}"))
    return {"terms": {"field": params["field"], "order": {by: params["order"]}, "size": params["size"], **more}}


def _named(filters: Sequence[Json]) -> Iterator[str]:
    """Yield the fields that filters name."""
    for one in filters:
        for kind, inner in one.items():
            if kind == "bool":
                for parts in inner.values():
                    yield from _named(
                        [part for part in (parts if isinstance(parts, list) else [parts]) if isinstance(part, dict)]
                    )
            elif kind == "exists":
                yield inner["field"]
            else:
                yield next(iter(inner))


def _stamp(moment: datetime) -> str:
    """Return a time as the products write it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
