"""Groups of events as aggregations that page, so that none is left out however many there are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from connector.hunts.asking import Key
from connector.hunts.questions import Json, Question
from connector.siem.client import Siem

PAGE = 5000  # an engine looks at all events again for each page
CLAUSES = 500  # of one query; engines take 1,024
VALUES = 10_000  # of one clause; engines take 65,536


def buckets(
    siem: Siem, question: Question, filters: Sequence[Json], sources: Sequence[Json], inner: dict[str, Json]
) -> Iterator[Any]:
    """Yield every bucket of a composite aggregation over the events of a question, page by page."""
    composite: Json = {"size": PAGE, "sources": list(sources)}
    while True:
        aggs = {"groups": {"composite": composite, "aggs": inner}}
        body = {"size": 0, "query": question.query(*filters), "aggs": aggs}
        answer = siem.search(question.where, body).get("aggregations", {}).get("groups", {"buckets": []})
        yield from answer["buckets"]
        if len(answer["buckets"]) < PAGE:
            return
        composite = {**composite, "after": answer["after_key"]}


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
