"""Parts of the stored events as an update-by-query takes them: an index and a query.

Promises: what a hunt matches is selected by its query or, where more than one event is needed, by the ids of its
events; what carries a rule is asked for in the way each index has the field mapped. Will not: write anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from connector.hunts.asking.questions import Asked
from connector.hunts.catalogue.needs import every_event
from connector.hunts.conditions.condition import Equals
from connector.hunts.conditions.fields import SUB_FIELDS, Fields
from connector.hunts.conditions.query import compile_query
from connector.respond.matches import matching_events
from connector.respond.tags.extent import Extent
from connector.respond.tags.retag import RULES_FIELD
from connector.settings.model import Settings
from connector.siem.client import Siem

Json = dict[str, Any]
IDS = 5000  # of one query, where a hunt's events are named one by one


@dataclass(frozen=True)
class Selection:
    """Some of a hunt's events: the index (or pattern) they are in, and the query for them there."""

    index: str
    query: Json

    def without(self, others: Json) -> Selection:
        """Return the selection less the events of another query."""
        return Selection(self.index, {"bool": {"filter": [self.query], "must_not": [others]}})

    def within(self, others: Json) -> Selection:
        """Return the events of the selection that another query matches too."""
        return Selection(self.index, {"bool": {"filter": [self.query, others]}})


def selections_of(siem: Siem, settings: Settings, asking: Asked, extent: Extent) -> Iterator[Selection]:
    """Yield the events of the hunt a rule is for: as its query or, where more than one event is needed, by their ids.

    A hunt that needs more than one counts past events of the rule's time only, and all events for future ones.
    """
    if every_event(asking.hunt.needs):
        for question in asking.questions:
            yield Selection(question.source.pattern, question.query(*extent.filters([question.source])))
        return
    by_index: dict[str, list[str]] = {}
    for hit, _ in matching_events(siem, settings, asking, None if extent.future else extent.since):
        by_index.setdefault(hit.index, []).append(hit.id)
    for index, ids in sorted(by_index.items()):
        for start in range(0, len(ids), IDS):
            some = {"ids": {"values": ids[start : start + IDS]}}
            yield Selection(index, {"bool": {"filter": [some, *extent.filters(settings.sources)]}})


def carrying(siem: Siem, index: str, rules: Sequence[str]) -> Selection:
    """Return the events of an index that carry one of the rules, as its mapping has them now."""
    query = compile_query(Equals(RULES_FIELD, tuple(rules)), rule_fields(siem, index), "eve").query
    return Selection(index, query)


def rule_fields(siem: Siem, index: str) -> Fields:
    """Return how an index has the rules of events mapped."""
    names = ",".join((RULES_FIELD, *(f"{RULES_FIELD}.{sub}" for sub in SUB_FIELDS)))
    path = f"/{quote(index, safe=',*-')}/_field_caps"
    answer = siem.call("GET", path, fields=names, ignore_unavailable=True, allow_no_indices=True)
    return Fields.from_caps(answer)


def counted(siem: Siem, selections: Sequence[Selection], rules: Sequence[str]) -> tuple[int, int]:
    """Return how many events the selections have, and how many of them carry one of the rules."""
    tagged = [each.within(carrying(siem, each.index, rules).query) for each in selections]
    every, some = (sum(siem.count(each.index, each.query) for each in many) for many in (selections, tagged))
    return every, some
