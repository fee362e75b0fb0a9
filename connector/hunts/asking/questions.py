"""Hunts as questions to the sources: compiled for how these are mapped, and for what profiles say of hosts.

Promises: a hunt whose fields no index has, whose lists are empty, or that a source cannot count, says so. Will
not: ask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from connector.enrich.dialects import stored_name
from connector.hunts.asking.mapped import Mapped, Mappings
from connector.hunts.asking.profiles import Profiles
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import FirstSeen, every_event, measured_fields, needed_fields, own_condition
from connector.hunts.conditions.condition import field_names
from connector.hunts.conditions.fields import Fields
from connector.hunts.conditions.query import Compiled, compile_query
from connector.settings.model import Settings, Source
from connector.siem.client import Siem

Json = dict[str, Any]
Places = Mapping[str, Sequence[str]]  # the indices that have events of a type, by type


@dataclass(frozen=True)
class Question:
    """A hunt asked of one source, there of the indices `where` (a pattern, or names joined by commas).

    `own` is the further condition of its needs (`needs.own_condition`).
    """

    hunt: Hunt
    source: Source
    fields: Fields
    compiled: Compiled
    own: Compiled
    where: str

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

    `missing`: fields of the condition that no source has. `unfit`: fields whose mapping, or profiles of hosts, cannot
    answer, with the reason. `limits`: what the answer leaves out or takes in too much, in words. `not_set_up`: lists
    that the operator has yet to fill.
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


def asked(mapped: Mapped, hunts: Sequence[Hunt]) -> tuple[Asked, ...]:
    """Return the hunts with their questions to sources that are mapped so."""
    return tuple(_asked(hunt, mapped) for hunt in hunts)


class Known:
    """What is worth keeping from one pass to the next: mappings, hunts compiled for them, and where events are."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._mappings = Mappings()
        self._profiles = Profiles()
        self.mapped: Mapped = ()
        self.asked: tuple[Asked, ...] = ()
        self.places: dict[str, Places | None] = {}  # by the pattern of the source (`census.everywhere`)
        self._short: dict[tuple[int, frozenset[str]], Question] = {}

    def learn(self, siem: Siem, settings: Settings, hunts: Sequence[Hunt]) -> None:
        """See how the sources are mapped now (`mapped`), and the hunts with their questions (`asked`).

        What they ask of hosts is as profiles have it now. Refused if an index belongs to two sources.
        """
        hunts = self._profiles.of(siem, settings, hunts)
        found = self._mappings.of(siem, settings, hunts)
        if found is not self.mapped:
            self.mapped, self.asked = found, asked(found, hunts)
            self._short.clear()

    def shortened(self, question: Question, short: frozenset[str]) -> Question:
        """Return a question for events in which these text fields have no long value (`Fields.short`).

        Only the fields it asks about are looked at, so that few forms of a question are kept.
        """
        asked_about = (*field_names(question.hunt.condition), *needed_fields(question.hunt.needs))
        own = short.intersection(map(question.stored, asked_about))
        if not own:
            return question
        key = (id(question), own)  # one of `asked`, which are held as long as this is
        if key not in self._short:
            self._short[key] = question_to(question.hunt, question.source, replace(question.fields, short=own))
        return self._short[key]


def _asked(hunt: Hunt, mapped: Mapped) -> Asked:
    """Return a hunt with its questions to the sources that can answer."""
    if hunt.not_set_up:
        return Asked(hunt, (), not_set_up=hunt.not_set_up)
    asking = [question_to(hunt, source, own) for source, own in mapped]
    able = [question for question in asking if _can_answer(question)]
    missing = set.intersection(*({*_missing(question), *_uncountable(question)} for question in asking))
    named = dict.fromkeys((*field_names(hunt.condition), *needed_fields(hunt.needs), *hunt.group_by))
    absent = tuple(name for name in named if name in missing)
    unfit = [note for question in asking for part in (question.compiled, question.own) for note in part.unfit]
    limits = [note for question in asking for note in (*question.compiled.limits, *_ungrouped(question))]
    unknown = dict.fromkeys(note for q in asking for part in (q.compiled, q.own) for note in part.unknown)
    if able:
        limits += [f"{note}; the hunt was asked without it" for note in unknown]
    else:
        unfit += unknown
    if able and absent:
        limits.append(f"no such field {', '.join(absent)}: the hunt was asked without it")
    notes = (tuple(dict.fromkeys(found)) for found in (unfit, limits))
    return Asked(hunt, tuple(able), () if able else absent, *notes)


def question_to(hunt: Hunt, source: Source, fields: Fields) -> Question:
    """Return a hunt as it is asked of a source."""
    own = compile_query(own_condition(hunt.needs), fields, source.dialect)
    return Question(hunt, source, fields, compile_query(hunt.condition, fields, source.dialect), own, source.pattern)


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
