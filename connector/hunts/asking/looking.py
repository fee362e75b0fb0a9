"""Searches for people: what matches around a time, counted by some fields or as the newest events.

Promises: all searches make one round trip, and further ones only where there are more combinations of values than one
answer takes; every combination is counted, and what is not among the results is numbered in them; a search that fails
carries its error and the others go on; a field that no index has, or that cannot be counted by, is named. Will not:
write anything.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from connector.errors import Refused, SiemError
from connector.hunts.asking.asking import COUNT, FATAL, shown_value
from connector.hunts.asking.mapped import Mapped, mapped
from connector.hunts.asking.profiles import with_profiles
from connector.hunts.asking.questions import Json, Question, question_to
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.conditions.address import is_address_field, plain_address
from connector.hunts.conditions.condition import scalar_text
from connector.settings.model import Settings
from connector.siem.client import Siem
from connector.siem.wire import siem_error

PAGE = 5000  # combinations one answer takes
EVENTS, NOTHING, FAILED = "events", "no events", "failed"
Key = tuple[str | None, ...]


@dataclass(frozen=True)
class Search:
    """A search in the form of a hunt, and its time [start, end), of which None is open.

    `hunt.group_by` are the fields to count by, `hunt.show` those to list events with; either may be empty.
    """

    hunt: Hunt
    start: datetime | None
    end: datetime | None


@dataclass(frozen=True)
class Combination:
    """The values of the fields that are counted by, None where an event has none, and the number of their events."""

    values: Mapping[str, str | None]
    events: int


@dataclass(frozen=True)
class Event:
    """One event: where it is, its time, and the fields it is listed with."""

    index: str
    id: str
    time: datetime | None
    shown: Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """The result of one search.

    `status` is events, no events, failed, or why nothing can match. `events` counts all that match. An event with
    several values counts in several combinations. The combinations are those with most events, the events the newest;
    `combinations_left_out` and `newest_left_out` count the others. `notes` say what the result lacks, in words.
    """

    status: str
    events: int = 0
    combinations: tuple[Combination, ...] = ()
    combinations_left_out: int = 0
    newest: tuple[Event, ...] = ()
    newest_left_out: int = 0
    notes: tuple[str, ...] = ()
    error: str | None = None


def look(siem: Siem, settings: Settings, searches: Sequence[Search], limit: int) -> tuple[Seen, ...]:
    """Return what each search sees, at most `limit` combinations and events of each.

    Refused if there is no index with events, SiemError if the engine answers none of them.
    """
    hunts = with_profiles(siem, settings, [search.hunt for search in searches])
    searches = [replace(search, hunt=hunt) for search, hunt in zip(searches, hunts, strict=True)]
    sources = mapped(siem, settings, hunts)
    if not any(fields.types for _, fields in sources):
        raise Refused(f"no index matches {settings.events}: the events are gone, or `sources` names other ones")
    desk = _Desk(siem, limit)
    asking = [(search, _questions(search.hunt, sources)) for search in searches]
    bodies = [(q.source.pattern, desk.body(search, q)) for search, questions in asking for q in _able(questions)]
    answers = iter(siem.msearch(bodies))
    return tuple(
        desk.seen(search, questions, [next(answers) for _ in _able(questions)]) for search, questions in asking
    )


def _questions(hunt: Hunt, sources: Mapped) -> list[Question]:
    """Return a search as asked of each source, given how the fields of the source are mapped."""
    return [question_to(hunt, source, fields) for source, fields in sources]


def _able(questions: Iterable[Question]) -> list[Question]:
    """Return those that a source can answer."""
    return [question for question in questions if question.compiled.answerable]


@dataclass(frozen=True)
class _Desk:
    """Where the searches of one round trip do their work."""

    siem: Siem
    limit: int

    def body(self, search: Search, question: Question) -> Json:
        """Return the body of the search for one source: the number, the newest events, the first combinations."""
        body: Json = {**COUNT, "query": question.query(*question.during(search.start, search.end))}
        time = question.source.time_field
        if search.hunt.show:
            body["size"] = self.limit
            body["sort"] = [{time: {"order": "desc", "unmapped_type": "date"}}]
            body["_source"] = {"includes": [question.stored(name) for name in search.hunt.show]}
            body["docvalue_fields"] = [{"field": time, "format": "strict_date_optional_time"}]
        if sources := _counted_by(question):
            body["aggs"] = {"combinations": {"composite": {"size": PAGE, "sources": sources}}}
        return body

    def seen(self, search: Search, asking: Sequence[Question], answers: Sequence[Json]) -> Seen:
        """Return the result of a search from the answers of those sources that can answer."""
        answered = list(zip(_able(asking), answers, strict=True))
        notes, trouble = _notes(asking)
        result = Seen(NOTHING if answered else trouble, notes=notes)
        try:
            for question, answer in answered:
                if "error" in answer:
                    raise siem_error(int(answer.get("status", 400)), f"asking {question.source.pattern}", answer)
            if events := sum(int(answer["hits"]["total"]["value"]) for _, answer in answered):
                return self._found(replace(result, status=EVENTS, events=events), search, answered)
        except FATAL:
            raise
        except SiemError as error:
            return replace(result, status=FAILED, error=str(error))
        return result

    def _found(self, result: Seen, search: Search, answered: Sequence[tuple[Question, Json]]) -> Seen:
        """Return the result with its combinations and its newest events."""
        count: Counter[Key] = Counter()
        for question, answer in answered:
            for bucket in self._buckets(search, question, answer):
                count[_key(question, bucket["key"])] += bucket["doc_count"]
        most = heapq.nsmallest(self.limit, count.items(), key=lambda one: (-one[1], tuple(v or "" for v in one[0])))
        events = [_event(question, hit) for question, answer in answered for hit in answer["hits"]["hits"]]
        newest = heapq.nlargest(self.limit, events, key=_age)
        names = search.hunt.group_by
        return replace(
            result,
            combinations=tuple(Combination(dict(zip(names, key, strict=True)), events) for key, events in most),
            combinations_left_out=len(count) - len(most),
            newest=tuple(newest),
            newest_left_out=result.events - len(newest) if search.hunt.show else 0,
        )

    def _buckets(self, search: Search, question: Question, answer: Json) -> Iterator[Json]:
        """Yield every bucket of a source, from its first answer and then page by page."""
        body = {**self.body(search, question), "size": 0}
        page = answer.get("aggregations", {}).get("combinations", {"buckets": []})
        while True:
            yield from page["buckets"]
            if len(page["buckets"]) < PAGE:
                return
            body["aggs"]["combinations"]["composite"]["after"] = page["after_key"]
            page = self.siem.search(question.source.pattern, body)["aggregations"]["combinations"]


def _counted_by(question: Question) -> list[Json]:
    """Return the sources of the composite aggregation: the fields by their place among those that are counted by."""
    names = [question.exact(field) for field in question.hunt.group_by]
    return [{str(n): {"terms": {"field": name, "missing_bucket": True}}} for n, name in enumerate(names) if name]


def _key(question: Question, key: Mapping[str, Any]) -> Key:
    """Return the values of a bucket as texts, addresses as people write them."""
    found: list[str | None] = []
    for place, field in enumerate(question.hunt.group_by):
        value = key.get(str(place))
        text = None if value is None else scalar_text(value)
        found.append(plain_address(text) if text and is_address_field(field) else text)
    return tuple(found)


def _event(question: Question, hit: Json) -> Event:
    """Return a hit of the engine as an event."""
    event, time = hit.get("_source", {}), hit.get("fields", {}).get(question.source.time_field)
    shown = {name: shown_value(question, event, name) for name in question.hunt.show}
    return Event(hit["_index"], hit["_id"], datetime.fromisoformat(time[0]) if time else None, shown)


def _age(event: Event) -> tuple[datetime, str, str]:
    """Return what puts events in order."""
    return event.time or datetime.min.replace(tzinfo=UTC), event.index, event.id


def _notes(asking: Sequence[Question]) -> tuple[tuple[str, ...], str]:
    """Return what the mappings keep from the result, in words, and why nothing could match at all."""
    names = [name for question in asking[:1] for name in (*question.hunt.group_by, *question.hunt.show)]
    lacking = set.intersection(*({*question.compiled.missing} for question in asking))
    missing = [*dict.fromkeys(name for question in asking for name in question.compiled.missing if name in lacking)]
    compiled = [question.compiled for question in asking]
    unfit = [*dict.fromkeys(note for own in compiled for note in (*own.unfit, *own.unknown))]
    trouble = "; ".join((*_no_such(missing), *unfit))
    absent = [name for name in names if not any(q.fields.has(q.stored(name)) for q in asking)]
    limits = [note for question in asking for note in (*question.compiled.limits, *_uncounted(question))]
    return tuple(dict.fromkeys((*_no_such([*missing, *absent]), *unfit, *limits))), trouble


def _no_such(names: Iterable[str]) -> list[str]:
    """Return the words for fields that no index has; nothing if there are none."""
    named = ", ".join(dict.fromkeys(names))
    return [f"no such field {named}"] if named else []


def _uncounted(question: Question) -> Iterator[str]:
    """Yield the words for each field that a source has and cannot count by."""
    for field in question.hunt.group_by:
        stored = question.stored(field)
        if question.fields.has(stored) and question.exact(field) is None:
            kinds = ", ".join(sorted(question.fields.types[stored]))
            yield f"{question.source.pattern} cannot be counted by {field}, as it is mapped as {kinds}"
