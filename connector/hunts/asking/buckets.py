"""Groups of events as aggregations that page, so that none is left out however many there are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from connector.hunts.asking.asking import Key
from connector.hunts.asking.questions import Json, Question
from connector.siem.client import Siem

GROUPS = "groups"  # the name of the aggregation
FIRST = 500  # of the first page, if many searches bring theirs at once
PAGE = 5000  # an engine looks at all events again for each page
CLAUSES = 500  # of one query; engines take 1,024
VALUES = 10_000  # of one clause; engines take 65,536


def first_buckets(sources: Sequence[Json], inner: dict[str, Json], size: int = FIRST) -> Json:
    """Return the aggregations that bring the first page of `buckets`, of that size."""
    return {GROUPS: {"composite": {"size": size, "sources": list(sources)}, "aggs": inner}}


def buckets(
    siem: Siem, question: Question, filters: Sequence[Json], aggs: Json, there: Json | None = None
) -> Iterator[Any]:
    """Yield every bucket of `first_buckets` over the events of a question, page by page; `there` is the first page."""
    composite, inner = aggs[GROUPS]["composite"], aggs[GROUPS]["aggs"]
    page = (there or {}).get(GROUPS)
    while True:
        if page is None:
            asked = {GROUPS: {"composite": composite, "aggs": inner}}
            body = {"size": 0, "query": question.query(*filters), "aggs": asked}
            page = siem.search(question.where, body).get("aggregations", {}).get(GROUPS, {"buckets": []})
        yield from page["buckets"]
        if len(page["buckets"]) < composite["size"]:
            return
        composite, page = {**composite, "size": PAGE, "after": page["after_key"]}, None


def any_group(question: Question, fields: Sequence[str], keys: Iterable[Key]) -> Json:
    """Return the filter for events that have one of the combinations of values of the fields; None is no value."""
    names = [question.exact(field) for field in fields]
    options = []
    for key in keys:
        pairs = [(name, value) for name, value in zip(names, key, strict=True) if name]
        terms = [{"term": {name: value}} for name, value in pairs if value is not None]
        absent = [{"exists": {"field": name}} for name, value in pairs if value is None]
        options.append({"bool": {"filter": terms, "must_not": absent}})
    return {"bool": {"should": options, "minimum_should_match": 1}}


def any_value(question: Question, fields: Sequence[str], keys: Collection[Key]) -> list[Json]:
    """Return filters that leave the events of these groups and few others: each field has a value that a group has.

    A field of which there are too many values is not looked at.
    """
    filters = []
    for place, name in enumerate(question.exact(field) for field in fields):
        values = {key[place] for key in keys}
        if name and len(values) <= VALUES:
            present = {"terms": {name: sorted(value for value in values if value is not None)}}
            absent = {"bool": {"must_not": {"exists": {"field": name}}}}
            options = [present, absent] if None in values else [present]
            filters.append({"bool": {"should": options, "minimum_should_match": 1}})
    return filters
