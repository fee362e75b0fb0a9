"""Hunts that need more than one event: which groups may have what they need, and which of their events take part.

Groups are counted by aggregations that page, so none is left out however many there are; the events of those that may
have enough are then judged one by one, exactly as `groups.py` does, in any span of the window.

Promises: no event is added by two windows; for counts, distinct values and sums, what passes add in all depends on the
events alone, not on how often passes run. A share, or the regularity of a beacon, may be lost again by events that come
late: what an earlier pass has found stays. Will not: write anything. An event without a time takes no part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from connector.hunts.asking.asking import Answer, Hit, Key, Window, hits, text_key
from connector.hunts.asking.buckets import CLAUSES, PAGE, any_group, any_value, buckets, first_buckets
from connector.hunts.asking.questions import Asked, Json, Question
from connector.hunts.asking.spans import taking_part
from connector.hunts.catalogue.needs import Beacon, Count, Distinct, Needs, Ratio, Sum
from connector.siem.client import Siem

# cardinality is an estimate, close below its precision: what it puts a little short is judged all the same
ESTIMATE = 0.9
MOST_PRECISE = 40_000
AT = "at"

Joined = dict[tuple[str, str], tuple[Hit, list[Key]]]  # by index and id
Times = tuple[int, int]  # epoch milliseconds, both ends included


def burst(siem: Siem, asked: Asked, start: datetime | None, end: datetime | None) -> list[tuple[Hit, list[Key]]]:
    """Return the events of the time [start, end) that take part, each with its groups."""
    filters = [(question, question.during(start, end)) for question in asked.questions]
    members: Joined = {}
    for key, own in _events(siem, asked, _candidates(siem, asked, filters), filters):
        _join(members, key, _part(asked.hunt.needs, own))
    return list(members.values())


def opening(question: Question) -> Json:
    """Return what the search that counts a window's events brings as well: when and of which groups they are."""
    return {"aggs": _touching(question)}


def new_in_burst(
    siem: Siem, asked: Asked, narrow: Asked, window: Window, answers: Sequence[Answer]
) -> list[tuple[Hit, list[Key]]]:
    """Return the events that take part since the window's events came, each with its groups.

    They are events of the window, and older ones that were too few until then. What is asked about older ones is about
    the groups that the window's events belong to, so that it costs less the fewer those are. `narrow` is the hunt as it
    is asked where the window's events are, `answers` what came with `opening`.
    """
    length = _milliseconds(asked.hunt.needs)
    spans, touched = _touched(siem, narrow, window, answers)
    near = [(question, [_any_time(question, _wider(spans, length)), window.until]) for question in asked.questions]
    far = [(question, [_any_time(question, _wider(spans, 2 * length)), window.until]) for question in asked.questions]
    candidates = _candidates(siem, asked, near, touched) if spans else []
    members: Joined = {}
    for key, own in _events(siem, asked, candidates, far):
        _join(members, key, newly_taking_part(asked.hunt.needs, own, window.start))
    return list(members.values())


def newly_taking_part(needs: Needs, own: Sequence[Hit], start: int) -> list[Hit]:
    """Return the events of a group, given in the order of time, that take part only since those after `start` came."""
    before = {id(hit) for hit in _part(needs, [hit for hit in own if hit.ingested <= start])}
    return [hit for hit in _part(needs, own) if id(hit) not in before]


def _join(members: Joined, key: Key, own: Iterable[Hit]) -> None:
    """Add the events of a group."""
    for hit in own:
        members.setdefault((hit.index, hit.id), (hit, []))[1].append(key)


def _part(needs: Needs, own: Sequence[Hit]) -> list[Hit]:
    """Return the hits that take part; they are given in the order of time."""
    timed = [(hit.time, hit.measured) for hit in own if hit.time]
    return [own[position] for position in taking_part(needs, timed)]


def _milliseconds(needs: Needs) -> int:
    """Return the length of the window in milliseconds."""
    return (needs.window or timedelta()) // timedelta(milliseconds=1)


def _touching(question: Question) -> Json:
    """Return the aggregation by times, in steps of the hunt's window, and groups."""
    interval = f"{_milliseconds(question.hunt.needs)}ms"
    step = {AT: {"date_histogram": {"field": question.source.time_field, "fixed_interval": interval}}}
    return first_buckets([step, *_grouped(question)], {})


def _touched(siem: Siem, narrow: Asked, window: Window, answers: Sequence[Answer]) -> tuple[list[Times], set[Key]]:
    """Return the times of the window's events, in steps of the hunt's window, and the groups they belong to."""
    found: set[Times] = set()
    touched: set[Key] = set()
    length = _milliseconds(narrow.hunt.needs)
    for question, answer in zip(narrow.questions, answers, strict=True):
        for bucket in buckets(siem, question, [window.filter], _touching(question), answer.groups):
            found.add((bucket["key"][AT], bucket["key"][AT] + length))
            touched.add(_key(question, bucket))
    return sorted(found), touched


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


def _candidates(siem: Siem, asked: Asked, filtered: Filtered, touched: Collection[Key] | None = None) -> list[Key]:
    """Return the groups that may have enough in all sources together; of those that are touched, if these are given."""
    enough: dict[Key, float] = defaultdict(float)
    for question, filters in filtered:
        narrow = [] if touched is None else any_value(question, asked.hunt.group_by, touched)
        grouping = first_buckets(_grouped(question), _counted(question), PAGE)
        for bucket in buckets(siem, question, [*filters, *narrow], grouping):
            enough[_key(question, bucket)] += _amount(bucket)
    least = _least(asked.hunt.needs)
    return [key for key, amount in enough.items() if amount >= least and (touched is None or key in touched)]


def _grouped(question: Question) -> list[Json]:
    """Return the sources of the aggregation by groups: the fields by their place among those it is grouped by."""
    names = [question.exact(field) for field in question.hunt.group_by]
    return [{str(n): {"terms": {"field": f, "missing_bucket": True}}} for n, f in enumerate(names) if f]


def _key(question: Question, bucket: Json) -> Key:
    """Return the group of a bucket; a field that the source cannot group by has no value."""
    return text_key(bucket["key"].get(str(n)) for n in range(len(question.hunt.group_by)))


def _counted(question: Question) -> dict[str, Json]:
    """Return the aggregation for what is counted in a group, if it is anything but its events."""
    needs = question.hunt.needs
    if isinstance(needs, Distinct):
        precision = min(max(100, 2 * needs.n), MOST_PRECISE)
        return {"value": {"cardinality": {"field": question.exact(needs.field), "precision_threshold": precision}}}
    if isinstance(needs, Sum):
        return {"value": {"sum": {"field": question.exact(needs.field)}}}
    return {"matching": {"filter": question.own.query}} if isinstance(needs, Ratio) else {}


def _amount(bucket: Json) -> float:
    """Return what was counted in a group."""
    if "value" in bucket:
        return float(bucket["value"]["value"])
    return int(bucket.get("matching", bucket)["doc_count"])


def _least(needs: Needs) -> float:
    """Return how much a group must have in all so that some span of it may have enough."""
    match needs:
        case Distinct():
            return needs.n * ESTIMATE
        case Ratio():
            return needs.n * needs.events
        case Count() | Sum() | Beacon():
            return needs.n
    raise TypeError(f"{type(needs).__name__} is not counted")


def _events(siem: Siem, asked: Asked, candidates: Sequence[Key], filtered: Filtered) -> Iterator[tuple[Key, list[Hit]]]:
    """Yield each candidate with all its events that have a time, in the order of time."""
    portion = CLAUSES // (len(asked.hunt.group_by) + 1)
    for start in range(0, len(candidates), portion):
        found: dict[Key, list[Hit]] = {key: [] for key in candidates[start : start + portion]}
        for question, filters in filtered:
            for hit in hits(siem, question, *filters, any_group(question, question.hunt.group_by, found)):
                for key in found.keys() & set(hit.keys) if hit.time else ():
                    found[key].append(hit)
        for key, own in found.items():
            yield key, sorted(own, key=_moment)


def _moment(hit: Hit) -> datetime:
    """Return the time of a hit that has one."""
    return hit.time or datetime.min.replace(tzinfo=UTC)
