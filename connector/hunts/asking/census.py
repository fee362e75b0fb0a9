"""What events there are, before any hunt is asked: how many, of which type, in which index; one search a source.

A hunt is then asked only of the indices that have events of its types, and not about what no event has. Promises: what
a hunt finds among the events is the same. Will not: be of use for other events than those it has counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from connector.enrich.dialects import stored_name
from connector.hunts.asking.mapped import EVENT_TYPE, Mapped
from connector.hunts.asking.questions import Asked, Json, Known, Places, Question
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.conditions.condition import Matches, UnderDomain, leaves
from connector.hunts.conditions.fields import KEYWORD, TEXT, Fields
from connector.settings.model import Source
from connector.siem.client import Siem

MOST_INDICES, MOST_TYPES = 1000, 200
LONGEST = 2000  # characters of index names in an address; engines take 4,096 bytes of it
Filters = Callable[[Source], Sequence[Json]]


@dataclass(frozen=True)
class Census:
    """The events of one source: how many, the indices of each event type, and the text fields without a long value.

    `indices` is None if they could not be counted by type. `new` counts those that fit the further filter.
    """

    events: int
    new: int
    indices: Places | None
    short: frozenset[str]

    def where(self, hunt: Hunt, source: Source) -> str:
        """Return the indices that have events for a hunt, joined by commas; empty if none has."""
        if self.indices is None:
            return source.pattern
        names = ",".join(sorted({index for kind in hunt.event_types for index in self.indices.get(kind, ())}))
        return names if len(names) <= LONGEST else source.pattern


Counted = Mapping[str, Census]  # by the pattern of the source


def census(siem: Siem, mapped: Mapped, hunts: Sequence[Hunt], filters: Filters, new: Json | None = None) -> Counted:
    """Return what events each source has that fit its filters, and how many of them fit `new` as well."""
    asking = [(source, _asking(source, fields, hunts, filters(source), new)) for source, fields in mapped]
    return {source.pattern: _census(siem.search(source.pattern, body)) for source, body in asking}


def everywhere(siem: Siem, mapped: Mapped, counted: Counted, known: Known) -> Counted:
    """Return where events of any time are.

    All events are looked at once; from then on what windows have is added, as every event comes in a window.
    """
    found: dict[str, Census] = {}
    for source, fields in mapped:
        here = counted[source.pattern]
        if source.pattern not in known.places:
            known.places[source.pattern] = _census(
                siem.search(source.pattern, _asking(source, fields, (), (), None))
            ).indices
        known.places[source.pattern] = places = _together(known.places[source.pattern], here.indices)
        found[source.pattern] = Census(0, 0, places, frozenset())
    return found


def _together(one: Places | None, other: Places | None) -> Places | None:
    """Return the indices that either has for each type; None if one of them is not known."""
    if one is None or other is None:
        return None
    return {kind: sorted({*one.get(kind, ()), *other.get(kind, ())}) for kind in {*one, *other}}


def _asking(source: Source, fields: Fields, hunts: Sequence[Hunt], filters: Sequence[Json], new: Json | None) -> Json:
    """Return the search that counts the events of a source."""
    texts = _texts(source, fields, hunts)
    kind = fields.exact(stored_name(EVENT_TYPE, source.dialect))
    aggs: dict[str, Json] = {}
    if kind:
        types = {"types": {"terms": {"field": kind, "size": MOST_TYPES}}}
        aggs["indices"] = {"terms": {"field": "_index", "size": MOST_INDICES}, "aggs": types}
    if texts:
        aggs["long"] = {"filters": {"filters": {name: _too_long(name, fields) for name in texts}}}
    if new:
        aggs["new"] = {"filter": new}
    return {"size": 0, "track_total_hits": True, "query": {"bool": {"filter": list(filters)}}, "aggs": aggs}


def _census(answer: Json) -> Census:
    """Return what events one source has."""
    found = answer.get("aggregations", {})
    long = found.get("long", {}).get("buckets", {})
    short = frozenset(name for name, bucket in long.items() if not bucket["doc_count"])
    new = found["new"]["doc_count"] if "new" in found else 0
    return Census(int(answer["hits"]["total"]["value"]), new, _indices(found.get("indices")), short)


def _indices(found: Any) -> Places | None:
    """Return the indices of each event type; None if they are more than were asked for."""
    if found is None or found["sum_other_doc_count"]:
        return None
    indices: dict[str, list[str]] = {}
    for index in found["buckets"]:
        if index["types"]["sum_other_doc_count"]:
            return None
        for kind in index["types"]["buckets"]:
            indices.setdefault(str(kind["key"]), []).append(index["key"])
    return indices


def _texts(source: Source, fields: Fields, hunts: Sequence[Hunt]) -> list[str]:
    """Return the text fields that hunts search for patterns and that have a keyword beside them."""
    asked = (leaf.field for hunt in hunts for leaf in leaves(hunt.match) if isinstance(leaf, Matches | UnderDomain))
    names = sorted({stored_name(name, source.dialect) for name in asked})
    return [name for name in names if fields.types.get(name, frozenset()) & TEXT and _keywords(name, fields)]


def _keywords(name: str, fields: Fields) -> list[str]:
    """Return the keywords beside a text field."""
    return [variant for variant in fields.variants(name, KEYWORD) if variant != name]


def _too_long(name: str, fields: Fields) -> Json:
    """Return the filter for events with a value that is in the text field alone."""
    absent = [{"exists": {"field": keyword}} for keyword in _keywords(name, fields)]
    return {"bool": {"filter": [{"exists": {"field": name}}], "must_not": absent}}


def narrowed(asked: Asked, counted: Counted, known: Known) -> Asked:
    """Return the hunt asked only where there are events for it, of what they may have."""
    return replace(asked, questions=tuple(_narrowed(asked, counted, known)))


def _narrowed(asked: Asked, counted: Counted, known: Known) -> Iterator[Question]:
    """Yield the questions to sources that have events for the hunt."""
    for question in asked.questions:
        here = counted[question.source.pattern]
        where = here.where(question.hunt, question.source)
        if where:
            yield replace(known.shortened(question, here.short), where=where)
