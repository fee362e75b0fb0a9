"""Hunts asked of the events: which searches, how many events match, and which.

Promises: one round trip counts for all hunts; what is paged is ids, times and the fields a finding shows; a hunt whose
fields no index has is told from one that finds nothing; fewer events paged than counted is an error. Will not: know
what a finding is, or write anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.enrich.dialects import stored_name
from connector.errors import NotAllowed, Refused, Rejected, SiemError, Unreachable
from connector.hunts.address import is_address_field, plain_address
from connector.hunts.condition import Scalar, field_names, scalar_text
from connector.hunts.fields import Fields
from connector.hunts.groups import combinations, group_keys
from connector.hunts.hunt import Hunt
from connector.hunts.needs import FirstSeen, every_event, measured_fields, needed_fields, own_condition
from connector.hunts.predicate import Event, values
from connector.hunts.query import Compiled, compile_query, hunt_query
from connector.hunts.spans import measure
from connector.settings.model import Settings, Source
from connector.siem.client import Siem
from connector.siem.wire import siem_error

Json = dict[str, Any]
INGESTED = "hunt.ingested"
# whom a finding is about, whatever its hunt shows
CONTEXT = tuple(f"hunt.{side}.{name}" for side in ("client", "server") for name in ("ip", "department", "network"))
URL_NAMES = 40  # field names one GET carries: engines take 4,096 bytes of address
# a count that takes longer fails alone, before the round trip does
COUNT: Json = {"size": 0, "track_total_hits": True, "timeout": "60s"}

# what ends everything at once: every other hunt would meet it too
FATAL = (Unreachable, NotAllowed)
# the values of a group's fields as texts, None where it has none: one group, whichever way an engine gives a number
Key = tuple[str | None, ...]
# called with the hunt's name, how many of its events are paged, and of how many
Progress = Callable[[str, int, int], None]
Measure = Callable[[Event], tuple[Any, ...]]


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


@dataclass(frozen=True)
class Question:
    """A hunt asked of one source; `own` is the further condition of its needs (`needs.own_condition`)."""

    hunt: Hunt
    source: Source
    fields: Fields
    compiled: Compiled
    own: Compiled

    def query(self, *filters: Json) -> Json:
        """Return the hunt's query with further filters."""
        return {"bool": {"filter": [self.compiled.query, *filters]}}

    def stored(self, field: str) -> str:
        """Return the name under which the source stores a field."""
        return stored_name(field, self.source.dialect)

    def exact(self, field: str) -> str | None:
        """Return the stored name to group and count by, None if the source has none."""
        return self.fields.exact(self.stored(field))

    def during(self, start: datetime | None, end: datetime | None) -> list[Json]:
        """Return the filters for events of the time [start, end); an open end is None."""
        return during(self.source, start, end)


def during(source: Source, start: datetime | None, end: datetime | None) -> list[Json]:
    """Return the filters for events of a source of the time [start, end); an open end is None."""
    bounds = {name: round(at.timestamp() * 1000) for name, at in (("gte", start), ("lt", end)) if at}
    return [{"range": {source.time_field: {**bounds, "format": "epoch_millis"}}}] if bounds else []


@dataclass(frozen=True)
class Asked:
    """A hunt and its questions to the sources that can answer.

    `missing`: fields of the condition that no source has. `unfit`: fields whose mapping cannot answer, with the
    reason. `limits`: what the answer leaves out or takes in too much, in words. `not_set_up`: lists that the operator
    has yet to fill.
    """

    hunt: Hunt
    questions: tuple[Question, ...]
    missing: tuple[str, ...] = ()
    unfit: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    not_set_up: tuple[str, ...] = ()

    @property
    def trouble(self) -> str:
        """Return why the answer may be nothing though there is something; empty if there is no such reason."""
        parts = [f"no such field {', '.join(self.missing)}"] if self.missing else []
        parts += [f"not set up: the list {name} is empty" for name in self.not_set_up]
        return "; ".join((*parts, *self.unfit))


def asked(siem: Siem, settings: Settings, hunts: Sequence[Hunt]) -> tuple[Asked, ...]:
    """Return the hunts with their questions, compiled for the mappings that the sources have now.

    Refused if an index belongs to two sources: its events would count twice.
    """
    check_apart(siem, settings.sources)
    fields = [(source, source_fields(siem, source, hunts)) for source in settings.sources]
    return tuple(_asked(hunt, fields) for hunt in hunts)


def check_apart(siem: Siem, sources: Sequence[Source]) -> None:
    """Raise Refused if an index belongs to two sources."""
    owners: dict[str, str] = {}
    for source in sources if len(sources) > 1 else ():
        for index in _caps(siem, source, INGESTED)["indices"]:
            if index in owners:
                both = f"{owners[index]} and {source.pattern}"
                raise Refused(f"the index {index} belongs to two sources, {both}: change a pattern in `sources`")
            owners[index] = source.pattern


def _caps(siem: Siem, source: Source, fields: str) -> Json:
    """Return how fields are mapped in a source, and its indices."""
    path = f"/{source.pattern}/_field_caps"
    found: Json = siem.call("GET", path, fields=fields, ignore_unavailable=True, allow_no_indices=True)
    return found


def source_fields(siem: Siem, source: Source, hunts: Sequence[Hunt]) -> Fields:
    """Return how the fields that the hunts name are mapped in a source; empty if no index is there."""
    named = {n for hunt in hunts for n in (*field_names(hunt.condition), *hunt.fields, *needed_fields(hunt.needs))}
    stored = sorted({stored_name(name, source.dialect) for name in named} | {INGESTED, source.time_field})
    found: Json = {}
    for start in range(0, len(stored), URL_NAMES):
        names = ",".join(f"{name}*" for name in stored[start : start + URL_NAMES])  # * for the sub-fields
        found |= _caps(siem, source, names)["fields"]
    return Fields.from_caps({"fields": found})


def _asked(hunt: Hunt, fields: Sequence[tuple[Source, Fields]]) -> Asked:
    """Return a hunt with its questions to the sources that can answer."""
    if hunt.not_set_up:
        return Asked(hunt, (), not_set_up=hunt.not_set_up)
    asking = [question_to(hunt, source, own) for source, own in fields]
    able = [question for question in asking if _can_answer(question)]
    missing = set.intersection(*({*_missing(question), *_uncountable(question)} for question in asking))
    named = dict.fromkeys((*field_names(hunt.condition), *needed_fields(hunt.needs), *hunt.group_by))
    absent = tuple(name for name in named if name in missing)
    unfit = [note for question in asking for part in (question.compiled, question.own) for note in part.unfit]
    limits = [note for question in asking for note in (*question.compiled.limits, *_ungrouped(question))]
    if able and absent:
        limits.append(f"no such field {', '.join(absent)}: the hunt was asked without it")
    notes = (tuple(dict.fromkeys(found)) for found in (unfit, limits))
    return Asked(hunt, tuple(able), () if able else absent, *notes)


def question_to(hunt: Hunt, source: Source, fields: Fields) -> Question:
    """Return a hunt as it is asked of a source."""
    own = compile_query(own_condition(hunt.needs), fields, source.dialect)
    return Question(hunt, source, fields, hunt_query(hunt, fields, source.dialect), own)


def _can_answer(question: Question) -> bool:
    """Return whether the source has what the hunt asks for and counts by."""
    return question.compiled.answerable and question.own.answerable and not _uncountable(question)


def _missing(question: Question) -> tuple[str, ...]:
    """Return the fields of the conditions that the source does not have."""
    return (*question.compiled.missing, *question.own.missing)


def _uncountable(question: Question) -> list[str]:
    """Return the fields the hunt counts, and all it is grouped by, that the source cannot aggregate on."""
    lacking = [field for field in measured_fields(question.hunt.needs) if question.exact(field) is None]
    group_by = question.hunt.group_by
    groupable = _groups_itself(question.hunt) or any(question.exact(field) for field in group_by)
    return lacking if groupable else [*lacking, *group_by]


def _ungrouped(question: Question) -> list[str]:
    """Return the fields that a hunt that counts cannot be grouped by in a source, in words."""
    if _groups_itself(question.hunt):
        return []
    lacking = [field for field in question.hunt.group_by if question.exact(field) is None]
    return [f"{field}: {question.source.pattern} cannot be grouped by it, so no group has a value" for field in lacking]


def _groups_itself(hunt: Hunt) -> bool:
    """Return whether the events are grouped here, one by one, and not by the search engine."""
    return every_event(hunt.needs) or isinstance(hunt.needs, FirstSeen)


def counts(siem: Siem, asking: Sequence[tuple[Question, Sequence[Json]]]) -> list[int | SiemError]:
    """Return how many events match each question with its filters, or why that is not known, in one round trip."""
    searches = [(question.source.pattern, {**COUNT, "query": question.query(*more)}) for question, more in asking]
    answers = siem.msearch(searches)
    return [_count(answer, question) for answer, (question, _) in zip(answers, asking, strict=True)]


def _count(answer: Json, question: Question) -> int | SiemError:
    """Return the number of hits of one answer, or its error."""
    if "error" in answer:
        return siem_error(int(answer.get("status", 400)), f"counting {question.hunt.name}", answer)
    return int(answer["hits"]["total"]["value"])


def total(numbers: Iterable[int | SiemError]) -> int | SiemError:
    """Return the sum of the numbers, or the first error among them."""
    numbers = list(numbers)
    wrong = next((number for number in numbers if isinstance(number, SiemError)), None)
    return wrong or sum(number for number in numbers if isinstance(number, int))


def hits(siem: Siem, question: Question, *filters: Json, least: int = 0) -> Iterator[Hit]:
    """Yield the events that match a question and its filters; Rejected if they are fewer than were counted."""
    names = dict.fromkeys((*question.hunt.fields, *CONTEXT))
    times = [
        {"field": question.source.time_field, "format": "strict_date_optional_time"},
        {"field": INGESTED, "format": "epoch_millis"},
    ]
    body = {
        "query": question.query(*filters),
        "_source": {"includes": [question.stored(name) for name in (*names, *needed_fields(question.hunt.needs))]},
        "docvalue_fields": times,
    }
    found, measured = 0, _measure(question)
    for found, hit in enumerate(siem.scan(question.source.pattern, body), 1):  # noqa: B007 - its last value counts
        yield _hit(question, hit, names, measured)
    if found < least:
        raise Rejected(
            f"{question.hunt.name}: {least} events of {question.source.pattern} were counted and {found} were given: "
            "run it again"
        )


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
