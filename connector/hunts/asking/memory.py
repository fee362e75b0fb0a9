"""What hunts of the kind `first_seen` remember in the SIEM, and which values of the events are new.

One document for each value has the streaks of days on which it appeared (`novelty.py`), and one for each hunt the first
time it saw anything and the newest day. Values that have not appeared for twice as long as they are remembered are
deleted, once a day: that changes no answer, except for events that come so much too late. Promises: what the events of
a window add is added once, however often the window is done, and what is new in it is new again. Will not: keep an
attacker's text in an id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

from connector.errors import SiemError
from connector.hunts.asking.asking import Answer, Hit, Key, hits, text_key
from connector.hunts.asking.buckets import CLAUSES, any_group, buckets, first_buckets
from connector.hunts.asking.groups import epoch_milliseconds
from connector.hunts.asking.novelty import MILLISECOND, Novelty, Streak, Streaks, end_of_day, with_times, within
from connector.hunts.asking.questions import Asked, Json, Question
from connector.hunts.catalogue.needs import DAY, FirstSeen
from connector.siem.client import Siem
from connector.siem.many import change_many

PORTION = 500  # values looked up at once
SHOWN = 256  # characters of a value that its document has for people
Filtered = Sequence[tuple[Question, Sequence[Json]]]
Found = tuple[Key, list[Streak]]  # a value, and when it appeared: the first and the last time of each day
New = dict[Key, list[Streak]]  # the values that are new, and when


@dataclass(frozen=True)
class Memory:
    """Where a hunt remembers: its index, and the time (epoch milliseconds) at which it does; None: it only looks up."""

    siem: Siem
    index: str
    keep: int | None = None


@dataclass(frozen=True)
class Novel:
    """The events with a new value, each with the groups it counts in; until when the hunt only learns, if it does."""

    members: list[tuple[Hit, list[Key]]]
    learning_until: int | None = None


@dataclass
class _Remembered:
    """The document of a hunt, and values with their streaks."""

    document: Json
    values: dict[Key, Streaks]


def opening(question: Question, needs: FirstSeen) -> Json:
    """Return what the search that counts a hunt's events brings as well: when the first is, and the first values."""
    return {"aggs": {"earliest": {"min": {"field": question.source.time_field}}, **_valued(question, needs)}}


def novel(memory: Memory, asked: Asked, needs: FirstSeen, filtered: Filtered, answers: Sequence[Answer]) -> Novel:
    """Return what is new among the events that match the hunt's questions with these filters.

    `answers` are to these, with what `opening` asks for.
    """
    if wrong := next((answer.number for answer in answers if isinstance(answer.number, SiemError)), None):
        raise wrong
    desk = _Desk(memory, asked, needs)
    earliest = [answer.groups["earliest"]["value"] for answer in answers if answer.number]
    portions = _portions(_values(memory.siem, needs, filtered, answers))
    portion = next(portions, {})
    own = desk.streaks(portion, min((int(at) for at in earliest if at is not None), default=None))
    if "began" not in own.document:
        return Novel([])
    novelty, last = Novelty(needs, own.document["began"]), 0
    new: New = {}
    while portion:
        for value, streaks in own.values.items():
            last = max(last, *(end for _, end in portion[value]))
            spans = [span for span in novelty.new(streaks) if _touches(span, portion[value])]
            if spans:
                new[value] = spans
        portion = next(portions, {})
        own = desk.streaks(portion, None) if portion else own
    desk.forget(last, own.document)
    learning = novelty.learned if last < novelty.learned else None
    return Novel(desk.members(filtered, new), learning)


@dataclass(frozen=True)
class _Desk:
    """One hunt at work on its memory."""

    memory: Memory
    asked: Asked
    needs: FirstSeen

    @property
    def name(self) -> str:
        """Return the name under which the hunt remembers; with other fields it begins anew."""
        return _digest([self.asked.hunt.id, self.needs.value])

    def forget(self, last: int, own: Json) -> None:
        """Delete what is long past, if the newest event is of a day that is new to the hunt."""
        if self.memory.keep is None:
            return
        newest = end_of_day(min(last, self.memory.keep))  # an event may claim to be of the future
        if newest <= own.get("newest", 0):
            return
        long_past = max(0, newest - 2 * (self.needs.memory // MILLISECOND))
        query = {"bool": {"filter": [{"term": {"memory": self.name}}, {"range": {"last": {"lt": long_past}}}]}}
        path = f"/{self.memory.index}/_delete_by_query"
        self.memory.siem.call("POST", path, {"query": query}, conflicts="proceed")
        change_many(self.memory.siem, self.memory.index, [self.name], lambda _, old: {**(old or {}), "newest": newest})

    def streaks(self, found: Mapping[Key, Sequence[Streak]], began: int | None) -> _Remembered:
        """Return the hunt's document and each value with its streaks, what is found now included.

        `began` is when the first event found now was. What is new is kept if the memory is.
        """
        by_id = {_digest([self.name, value]): value for value in found}
        remembered = _Remembered({}, {})

        def change(id: str, old: Json | None) -> Json | None:
            """Return the document of the hunt or of a value, None if nothing is to be written."""
            if id == self.name:
                new = remembered.document = self._began(old or {}, began)
            else:
                known = tuple((first, last) for first, last in (old or {}).get("streaks", ()))
                joined = with_times(self.needs, known, found[by_id[id]])
                remembered.values[by_id[id]] = joined
                new = (old or {}) if joined == known else self._document(by_id[id], joined)
            return None if self.memory.keep is None or new == (old or {}) else new

        change_many(self.memory.siem, self.memory.index, [self.name, *by_id], change)
        return remembered

    def _began(self, own: Json, began: int | None) -> Json:
        """Return the hunt's document with the time of the first event it ever saw."""
        times = [at for at in (own.get("began"), began) if at is not None]
        return {**own, "memory": self.name, "began": min(times)} if times else own

    def _document(self, value: Key, streaks: Streaks) -> Json:
        """Return the document of a value."""
        named = [f"{field}={text}"[:SHOWN] for field, text in zip(self.needs.value, value, strict=True)]
        return {"memory": self.name, "value": named, "last": streaks[-1][1], "streaks": streaks}

    def members(self, filtered: Filtered, new: New) -> list[tuple[Hit, list[Key]]]:
        """Return the events that have one of the new values while it is new."""
        found: dict[tuple[str, str], tuple[Hit, list[Key]]] = {}
        values = iter(new)
        while portion := list(islice(values, CLAUSES // (len(self.needs.value) + 1))):
            for question, filters in filtered:
                for hit in hits(self.memory.siem, question, *filters, any_group(question, self.needs.value, portion)):
                    if hit.time and _is_new(hit, new):
                        found[hit.index, hit.id] = (hit, list(hit.keys))
        return list(found.values())


def _is_new(hit: Hit, new: New) -> bool:
    """Return whether an event has a value while that is new."""
    time = epoch_milliseconds(hit.time) if hit.time else 0
    return any(within(time, new.get(value, ())) for value in hit.measured)


def _touches(span: Streak, times: Iterable[Streak]) -> bool:
    """Return whether a span [start, end) shares a moment with one of the times."""
    return any(span[0] <= last and first < span[1] for first, last in times)


def _values(siem: Siem, needs: FirstSeen, filtered: Filtered, answers: Sequence[Answer]) -> Iterator[Found]:
    """Yield every value of the events, each once, with the first and the last time of each day on which it appears."""
    if len(filtered) == 1:
        yield from _values_of(siem, needs, *filtered[0], answers[0])
        return
    joined: dict[Key, list[Streak]] = {}
    for (question, filters), answer in zip(filtered, answers, strict=True):
        for value, times in _values_of(siem, needs, question, filters, answer):
            joined.setdefault(value, []).extend(times)
    yield from joined.items()


def _values_of(
    siem: Siem, needs: FirstSeen, question: Question, filters: Sequence[Json], answer: Answer
) -> Iterator[Found]:
    """Yield every value of the events of one question."""
    found = buckets(siem, question, filters, _valued(question, needs), answer.groups)
    number = len(needs.value)
    for value, days in groupby(found, key=lambda bucket: text_key(bucket["key"][str(n)] for n in range(number))):
        yield value, [(int(day["first"]["value"]), int(day["last"]["value"])) for day in days]


def _valued(question: Question, needs: FirstSeen) -> Json:
    """Return the aggregation by values and days."""
    time = question.source.time_field
    sources: list[Json] = [{str(n): {"terms": {"field": question.exact(f)}}} for n, f in enumerate(needs.value)]
    sources.append({"day": {"date_histogram": {"field": time, "fixed_interval": f"{DAY // MILLISECOND}ms"}}})
    return first_buckets(sources, {"first": {"min": {"field": time}}, "last": {"max": {"field": time}}})


def _portions(found: Iterator[Found]) -> Iterator[dict[Key, list[Streak]]]:
    """Yield the values in portions."""
    while portion := dict(islice(found, PORTION)):
        yield portion


def _digest(named: object) -> str:
    """Return an id for anything JSON can say."""
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]
