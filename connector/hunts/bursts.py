"""Threshold hunts on a search engine: which groups may reach the threshold, and which of their events take part.

Groups are counted by aggregations that page, so none is left out however many there are; the events of those that may
reach the threshold are then judged one by one, exactly as `groups.py` does, in any span of the threshold's window.

Promises: what a pass adds to a finding depends on the events and the pass's window alone, not on how often passes run,
and no event is added by two windows. Will not: write anything. An event without a time takes no part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.hunts.asking import Asked, Hit, Json, Key, Question, Window, hits, text_key
from connector.hunts.groups import taking_part
from connector.hunts.hunt import Threshold
from connector.siem.client import Siem

PAGE = 1000
CLAUSES = 500  # of one query; engines take 1,024
# cardinality is an estimate, close below its precision: what it puts a little short is judged all the same
ESTIMATE = 0.9
MOST_PRECISE = 40_000

Joined = dict[tuple[str, str], tuple[Hit, list[Key]]]  # by index and id
Times = tuple[int, int]  # epoch milliseconds, both ends included


def burst(siem: Siem, asked: Asked, start: datetime | None, end: datetime | None) -> list[tuple[Hit, list[Key]]]:
    """Return the events of the time [start, end) that take part in reaching the threshold, each with its groups."""
    filters = [(question, question.during(start, end)) for question in asked.questions]
    members: Joined = {}
    for key, own in _events(siem, asked, _candidates(siem, asked, filters), filters):
        _join(members, key, _part(asked.hunt.threshold, own))
    return list(members.values())


def new_in_burst(siem: Siem, asked: Asked, window: Window) -> list[tuple[Hit, list[Key]]]:
    """Return the events that take part in reaching the threshold since the window's events came, each with its groups.

    They are events of the window, and older ones that were too few until then.
    """
    length = _milliseconds(asked.hunt.threshold)
    spans = _spans(siem, asked, window, length)
    near = [(question, [_any_time(question, _wider(spans, length)), window.until]) for question in asked.questions]
    far = [(question, [_any_time(question, _wider(spans, 2 * length)), window.until]) for question in asked.questions]
    candidates = _candidates(siem, asked, near, window.filter) if spans else []
    members: Joined = {}
    for key, own in _events(siem, asked, candidates, far):
        _join(members, key, newly_taking_part(asked.hunt.threshold, own, window.start))
    return list(members.values())


def newly_taking_part(threshold: Threshold, own: Sequence[Hit], start: int) -> list[Hit]:
    """Return the events of a group, given in the order of time, that take part only since those after `start` came."""
    before = {id(hit) for hit in _part(threshold, [hit for hit in own if hit.ingested <= start])}
    return [hit for hit in _part(threshold, own) if id(hit) not in before]


def _join(members: Joined, key: Key, own: Iterable[Hit]) -> None:
    """Add the events of a group."""
    for hit in own:
        members.setdefault((hit.index, hit.id), (hit, []))[1].append(key)


def _part(threshold: Threshold, own: Sequence[Hit]) -> list[Hit]:
    """Return the hits that take part; they are given in the order of time."""
    timed = [(hit.time, hit.distinct) for hit in own if hit.time]
    return [own[position] for position in taking_part(threshold, timed)]


def _milliseconds(threshold: Threshold) -> int:
    """Return the length of the threshold's window in milliseconds."""
    return (threshold.window or timedelta()) // timedelta(milliseconds=1)


def _spans(siem: Siem, asked: Asked, window: Window, length: int) -> list[Times]:
    """Return the times of the window's events, in steps of the threshold's window."""
    found: set[Times] = set()
    for question in asked.questions:
        step = {"date_histogram": {"field": question.source.time_field, "fixed_interval": f"{length}ms"}}
        for bucket in _buckets(siem, question, [window.filter], [{"at": step}], {}):
            found.add((bucket["key"]["at"], bucket["key"]["at"] + length))
    return sorted(found)


def _wider(spans: Iterable[Times], margin: int) -> list[Times]:
    """Return the spans, in order, with a margin on both sides; those that touch become one, and so do too many."""
    merged: list[Times] = []
    for start, end in ((start - margin, end + margin) for start, end in spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged if len(merged) <= CLAUSES else [(merged[0][0], merged[-1][1])]


def _any_time(question: Question, spans: Sequence[Times]) -> Json:
    """Return the filter for events whose time lies in one of the spans."""
    field = question.source.time_field
    ranges = [{"range": {field: {"gte": start, "lte": end, "format": "epoch_millis"}}} for start, end in spans]
    return {"bool": {"should": ranges, "minimum_should_match": 1}}


Filtered = Sequence[tuple[Question, Sequence[Json]]]


def _candidates(siem: Siem, asked: Asked, filtered: Filtered, new: Json | None = None) -> list[Key]:
    """Return the groups that have enough in all sources together and, with `new`, an event that it fits."""
    threshold = asked.hunt.threshold
    enough: Counter[Key] = Counter()
    touched: set[Key] = set()
    for question, filters in filtered:
        names = [question.exact(field) for field in asked.hunt.group_by]
        for bucket in _groups(siem, question, filters, new):
            key = text_key(tuple(bucket["key"].get(str(n)) if name else None for n, name in enumerate(names)))
            enough[key] += bucket["distinct"]["value"] if threshold.field else bucket["doc_count"]
            if new is None or bucket["new"]["doc_count"]:
                touched.add(key)
    least = threshold.n * ESTIMATE if threshold.field else threshold.n
    return [key for key, count in enough.items() if count >= least and key in touched]


def _groups(siem: Siem, question: Question, filters: Sequence[Json], new: Json | None) -> Iterator[Json]:
    """Yield the group buckets of a question, with the number of distinct values and of new events where asked."""
    names = [question.exact(field) for field in question.hunt.group_by]
    sources = [{str(n): {"terms": {"field": f, "missing_bucket": True}}} for n, f in enumerate(names) if f]
    threshold, inner = question.hunt.threshold, dict[str, Json]()
    if threshold.field:
        precision = min(max(100, 2 * threshold.n), MOST_PRECISE)
        field = question.exact(threshold.field)
        inner["distinct"] = {"cardinality": {"field": field, "precision_threshold": precision}}
    if new:
        inner["new"] = {"filter": new}
    yield from _buckets(siem, question, filters, sources, inner)


def _buckets(
    siem: Siem, question: Question, filters: Sequence[Json], sources: Sequence[Json], inner: dict[str, Json]
) -> Iterator[Any]:
    """Yield every bucket of a composite aggregation, page by page."""
    composite: Json = {"size": PAGE, "sources": list(sources)}
    while True:
        aggs = {"groups": {"composite": composite, "aggs": inner}}
        body = {"size": 0, "query": question.query(*filters), "aggs": aggs}
        answer = siem.search(question.source.pattern, body).get("aggregations", {}).get("groups", {"buckets": []})
        yield from answer["buckets"]
        if len(answer["buckets"]) < PAGE:
            return
        composite = {**composite, "after": answer["after_key"]}


def _events(siem: Siem, asked: Asked, candidates: Sequence[Key], filtered: Filtered) -> Iterator[tuple[Key, list[Hit]]]:
    """Yield each candidate with all its events that have a time, in the order of time."""
    portion = CLAUSES // (len(asked.hunt.group_by) + 1)
    for start in range(0, len(candidates), portion):
        found: dict[Key, list[Hit]] = {key: [] for key in candidates[start : start + portion]}
        for question, filters in filtered:
            for hit in hits(siem, question, *filters, _any_group(question, found)):
                for key in found.keys() & set(hit.keys) if hit.time else ():
                    found[key].append(hit)
        for key, own in found.items():
            yield key, sorted(own, key=_moment)


def _moment(hit: Hit) -> datetime:
    """Return the time of a hit that has one."""
    return hit.time or datetime.min.replace(tzinfo=UTC)


def _any_group(question: Question, keys: Iterable[Key]) -> Json:
    """Return the filter for events of one of the groups."""
    fields = [question.exact(field) for field in question.hunt.group_by]
    options = []
    for key in keys:
        pairs = [(name, value) for name, value in zip(fields, key, strict=True) if name]
        terms = [{"term": {name: value}} for name, value in pairs if value is not None]
        absent = [{"exists": {"field": name}} for name, value in pairs if value is None]
        options.append({"bool": {"filter": terms, "must_not": absent}})
    return {"bool": {"should": options, "minimum_should_match": 1}}
