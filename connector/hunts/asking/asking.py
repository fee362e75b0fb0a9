"""What hunts find among the events: how many events match, and which.

Promises: one round trip counts for all hunts, and brings what each needs first; what is paged is ids, times and the
fields a finding shows; fewer events paged than counted is an error. Will not: know what a finding is, or write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connector.errors import LeaseLost, NotAllowed, Rejected, SiemError, Unreachable
from connector.hunts.asking.groups import combinations, group_keys
from connector.hunts.asking.mapped import INGESTED
from connector.hunts.asking.questions import Json, Question
from connector.hunts.asking.spans import measure
from connector.hunts.catalogue.needs import FirstSeen, needed_fields
from connector.hunts.conditions.address import is_address_field, plain_address
from connector.hunts.conditions.condition import Scalar, scalar_text
from connector.hunts.conditions.predicate import Event, values
from connector.siem.client import Siem
from connector.siem.wire import siem_error

# whom a finding is about, whatever its hunt shows
CONTEXT = tuple(f"hunt.{side}.{name}" for side in ("client", "server") for name in ("ip", "department", "network"))
# a count that takes longer fails alone, before the round trip does
COUNT: Json = {"size": 0, "track_total_hits": True, "timeout": "60s"}
FIRST = 50  # events that come with their number: most hunts match no more of a window

# what ends everything at once: every other hunt would meet it too
FATAL = (Unreachable, NotAllowed, LeaseLost)
# the values of a group's fields as texts, None where it has none: one group, whichever way an engine gives a number
Key = tuple[str | None, ...]
# called with the hunt's name, how many of its events are paged, and of how many
Progress = Callable[[str, int, int], None]
Measure = Callable[[Event], tuple[Any, ...]]
Opening = Callable[[Question], Json]  # what else a search that counts asks for


@dataclass(frozen=True)
class Window:
    """The events first written after `start` and until `end`, both epoch milliseconds: (start, end]."""

    start: int
    end: int

    @property
    def filter(self) -> Json:
        """Return the filter for the window's events."""
        return {"range": {INGESTED: {"gt": self.start, "lte": self.end, "format": "epoch_millis"}}}

    @property
    def until(self) -> Json:
        """Return the filter for all events up to the window's end."""
        return {"range": {INGESTED: {"lte": self.end, "format": "epoch_millis"}}}


@dataclass(frozen=True, slots=True)
class Hit:
    """An event a hunt matches: where it is, its times, the groups it belongs to, and the values a finding shows.

    `time` is the event's, to the millisecond; `ingested` is epoch milliseconds, 0 if the event is not enriched.
    `measured` is what counts of it for the hunt's needs (`spans.measure`), for FirstSeen its values as `Key`s.
    """

    index: str
    id: str
    time: datetime | None
    ingested: int
    keys: tuple[Key, ...]
    values: Mapping[str, Any]
    measured: tuple[Any, ...] = ()

    def shown(self, names: Iterable[str]) -> Json:
        """Return those of the values that have one of the names."""
        return {name: self.values[name] for name in names if name in self.values}


@dataclass(frozen=True)
class Answer:
    """How many events match a question, or why that is not known; what came with the number; milliseconds it took."""

    number: int | SiemError
    first: Sequence[Json] = ()
    groups: Json = field(default_factory=dict)
    took: int = 0


def counted(siem: Siem, asking: Sequence[tuple[Question, Sequence[Json]]], opening: Opening) -> list[Answer]:
    """Return how many events match each question with its filters, in one round trip.

    `opening` says what else each search asks for; its hits are the `first` ones, its aggregations the `groups`.
    """
    searches = [(each.where, {**COUNT, **opening(each), "query": each.query(*filters)}) for each, filters in asking]
    answers = siem.msearch(searches)
    return [_answer(answer, question) for answer, (question, _) in zip(answers, asking, strict=True)]


def _answer(answer: Json, question: Question) -> Answer:
    """Return what one search has."""
    took = int(answer.get("took", 0))
    if "error" in answer:
        status = int(answer.get("status", 400))
        return Answer(siem_error(status, f"counting {question.hunt.name}", answer), took=took)
    found = answer["hits"]
    return Answer(int(found["total"]["value"]), found["hits"], answer.get("aggregations", {}), took)


def total(numbers: Iterable[int | SiemError]) -> int | SiemError:
    """Return the sum of the numbers, or the first error among them."""
    numbers = list(numbers)
    wrong = next((number for number in numbers if isinstance(number, SiemError)), None)
    return wrong or sum(number for number in numbers if isinstance(number, int))


def first_hits(question: Question) -> Json:
    """Return what makes a search bring the first events with their number."""
    return {"size": FIRST, **_fetching(question)}


def hits(siem: Siem, question: Question, *filters: Json, answer: Answer | None = None) -> Iterator[Hit]:
    """Yield the events that match a question and its filters; those that came with an answer are not asked for again.

    Rejected if they are fewer than were counted.
    """
    names, measured = _shown(question), _measure(question)
    least = answer.number if answer and isinstance(answer.number, int) else 0
    there = answer.first if answer and 0 < least == len(answer.first) else None
    body = {"query": question.query(*filters), **_fetching(question)}
    found = 0
    for found, hit in enumerate(siem.scan(question.where, body) if there is None else there, 1):  # noqa: B007
        yield _hit(question, hit, names, measured)
    if found < least:
        raise Rejected(
            f"{question.hunt.name}: {least} events of {question.source.pattern} were counted and {found} were given: "
            "run it again"
        )


def _shown(question: Question) -> dict[str, None]:
    """Return the names of the fields a finding shows, in order."""
    return dict.fromkeys((*question.hunt.fields, *CONTEXT))


def _fetching(question: Question) -> Json:
    """Return which parts of an event a search brings."""
    names = (*_shown(question), *needed_fields(question.hunt.needs))
    times = [
        {"field": question.source.time_field, "format": "strict_date_optional_time"},
        {"field": INGESTED, "format": "epoch_millis"},
    ]
    return {"_source": {"includes": [question.stored(name) for name in names]}, "docvalue_fields": times}


def _measure(question: Question) -> Measure:
    """Return the function that takes from an event what counts for the hunt's needs."""
    needs, dialect = question.hunt.needs, question.source.dialect
    if isinstance(needs, FirstSeen):
        return lambda event: tuple(map(text_key, combinations(needs.value, event, dialect)))
    return measure(needs, dialect)


def _hit(question: Question, hit: Json, names: Mapping[str, None], measured: Measure) -> Hit:
    """Return a hit of the engine as ours."""
    event, times, hunt = hit.get("_source", {}), hit.get("fields", {}), question.hunt
    dialect = question.source.dialect
    time = times.get(question.source.time_field)
    return Hit(
        index=hit["_index"],
        id=hit["_id"],
        time=datetime.fromisoformat(time[0]) if time else None,
        ingested=int(times[INGESTED][0]) if INGESTED in times else 0,
        keys=tuple(dict.fromkeys(text_key(key) for key in group_keys(hunt, event, dialect))),
        values={name: value for name in names if (value := shown_value(question, event, name)) is not None},
        measured=measured(event),
    )


def text_key(values: Iterable[Scalar | None]) -> Key:
    """Return the values of a group as texts."""
    return tuple(None if value is None else scalar_text(value) for value in values)


def shown_value(question: Question, event: Json, name: str) -> Any:
    """Return the value of a field, a list if it has several, None if it has none; addresses as people write them."""
    found: list[Any] = []
    for value in values(event, question.stored(name)):
        shown = plain_address(value) if isinstance(value, str) and is_address_field(name) else value
        if shown not in found:
            found.append(shown)
    return found[0] if len(found) == 1 else found or None
