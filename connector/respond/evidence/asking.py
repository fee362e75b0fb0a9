"""Searches for events around a subject, in all sources, whichever dialect each is in.

Promises: every search is bounded and tells how many match; what a source cannot answer, as its fields are mapped, is
noted. Will not: know what the events are for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import quote

from connector.enrich.dialects import stored_name
from connector.hunts.asking.questions import during
from connector.hunts.conditions.address import is_address_field, plain_address
from connector.hunts.conditions.condition import Condition, scalar_text
from connector.hunts.conditions.fields import Fields
from connector.hunts.conditions.query import compile_query
from connector.respond.evidence.reading import Found, moment
from connector.settings.model import Settings, Source
from connector.siem.client import Siem

Json = dict[str, Any]
PAGE = 500  # events of one answer; each can be large
# what is large and nobody reads: the packets are in the capture, and printable copies stand beside the others
BASE64 = ("payload", "packet", "http.http_request_body", "http.http_response_body")
COMMONEST = 20  # values of a field that are counted
# the fields that evidence is searched and counted by
ASKED = (
    *("event_type", "flow_id", "community_id", "src_ip", "dest_ip", "src_port", "alert.signature", "fileinfo.stored"),
    *("dhcp.assigned_ip", "dhcp.client_mac", "dhcp.hostname", "krb5.cname", "smb.ntlmssp.user", "smb.ntlmssp.host"),
    *("http.http_user_agent", "hostname_info.host", "hunt.dns.ips", "hunt.dns.message", "hunt.client.ip"),
    *("hunt.client.department", "hunt.client.network", "hunt.client.role", "hunt.server.ip"),
)


@dataclass(frozen=True)
class Span:
    """The time [start, end) of a search; None is open."""

    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class Some:
    """Events that match, and how many do."""

    events: tuple[Found, ...]
    count: int


@dataclass(frozen=True)
class Counts:
    """What a search counts: the events, the first and last time, and by field the most frequent values."""

    events: int
    first: datetime | None
    last: datetime | None
    values: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Desk:
    """Where searches are made: the sources and how they are mapped. `notes` collects what they cannot answer."""

    siem: Siem
    sources: tuple[tuple[Source, Fields], ...]
    notes: dict[str, None] = field(default_factory=dict)

    @classmethod
    def open(cls, siem: Siem, settings: Settings) -> Desk:
        """Return the desk for the sources as they are mapped now."""
        return cls(siem, tuple((source, _fields(siem, source)) for source in settings.sources))

    def at(self, index: str, id: str) -> Found | None:
        """Return the event of that id in that index, if it is one of a source; None otherwise."""
        return next(iter(self.named([(index, id)]).events), None)

    def named(self, places: Sequence[tuple[str, str]]) -> Some:
        """Return the events of these indices and ids that are in the sources."""
        wanted, found = set(places), list[Found]()
        for start in range(0, len(places), PAGE):
            some = places[start : start + PAGE]
            both = {"ids": {"values": [id for _, id in some]}}, {"terms": {"_index": sorted({i for i, _ in some})}}
            for source, _ in self.sources:
                hits = self.siem.scan(source.pattern, {**_shown(source), "query": {"bool": {"filter": [*both]}}}, PAGE)
                found += [each for hit in hits if (each := _found(hit, source)).place in wanted]
        single = {event.place: event for event in found}
        return Some(tuple(single.values()), len(single))

    def some(self, condition: Condition, span: Span, most: int, newest_only: bool = False) -> Some:
        """Return up to `most` events in the order of time: the oldest and the newest half, or only the newest."""
        found: list[Found] = []
        count = 0
        for source, query in self._queries(condition, span):
            number = self.siem.count(source.pattern, query)
            count += number
            if newest_only or number > most:
                found += self._ordered(source, query, "desc", most if newest_only else most // 2)
            if not newest_only and number:
                found += self._ordered(source, query, "asc", most if number <= most else most // 2)
        each = sorted({event.place: event for event in found}.values(), key=age)
        if newest_only:
            return Some(tuple(each[-most:]), count)
        kept = each if len(each) <= most else [*each[: most // 2], *each[len(each) - most // 2 :]]
        return Some(tuple(kept), count)

    def counts(self, condition: Condition, span: Span, *names: str, size: int = COMMONEST) -> Counts:
        """Return how many events match, from when to when, and the most frequent values of each field."""
        total = Counts(0, None, None, {})
        values: dict[str, Counter[str]] = {name: Counter() for name in names}
        for source, query in self._queries(condition, span):
            aggs, exact = _aggregations(source, self._mapping(source), names, size)
            answer = self.siem.search(
                source.pattern, {"size": 0, "track_total_hits": True, "query": query, "aggs": aggs}
            )
            found = answer.get("aggregations")
            if not found:  # there is no index
                continue
            total = _together(total, int(answer["hits"]["total"]["value"]), found)
            for name in exact:
                for text, number in _buckets(found[f"by.{name}"], name):
                    values[name][text] += number
        ordered = {name: dict(counter.most_common(size)) for name, counter in values.items()}
        return replace(total, values=ordered)

    def timed(self, condition: Condition, span: Span, name: str, size: int) -> dict[str, Counts]:
        """Return the most frequent values of a field, each with how many events have it, from when to when."""
        found: dict[str, Counts] = {}
        for source, query in self._queries(condition, span):
            exact = self._mapping(source).exact(stored_name(name, source.dialect))
            if exact is None:
                continue
            aggs = {"by": {"terms": {"field": exact, "size": size}, "aggs": _first_and_last(source)}}
            answer = self.siem.search(source.pattern, {"size": 0, "query": query, "aggs": aggs})
            for bucket in answer.get("aggregations", {}).get("by", {}).get("buckets", ()):
                text = scalar_text(bucket["key"]) or ""
                found[text] = _together(found.get(text), int(bucket["doc_count"]), bucket)
        ordered = sorted(found.items(), key=lambda one: (-one[1].events, one[0]))
        return dict(ordered[:size])

    def newest_by(self, condition: Condition, span: Span, name: str, values: int, each: int) -> tuple[Found, ...]:
        """Return the newest `each` events of the `values` most frequent values of a field."""
        found: list[Found] = []
        for source, query in self._queries(condition, span):
            exact = self._mapping(source).exact(stored_name(name, source.dialect))
            if exact is None:
                continue
            hits = {"top_hits": {"size": each, **_shown(source), "sort": [_by_time(source, "desc")]}}
            aggs = {"by": {"terms": {"field": exact, "size": values}, "aggs": {"hits": hits}}}
            answer = self.siem.search(source.pattern, {"size": 0, "query": query, "aggs": aggs})
            for bucket in answer.get("aggregations", {}).get("by", {}).get("buckets", ()):
                found += [_found(hit, source) for hit in bucket["hits"]["hits"]["hits"]]
        return tuple(sorted(found, key=age, reverse=True))

    def has(self, name: str) -> bool:
        """Tell whether a source has the field."""
        return any(fields.has(stored_name(name, source.dialect)) for source, fields in self.sources)

    def _queries(self, condition: Condition, span: Span) -> Iterator[tuple[Source, Json]]:
        """Yield the query for each source that can answer."""
        for source, fields in self.sources:
            compiled = compile_query(condition, fields, source.dialect)
            self.notes.update(dict.fromkeys(f"{source.pattern}: {note}" for note in compiled.unfit))
            if compiled.answerable:
                yield source, {"bool": {"filter": [compiled.query, *during(source, span.start, span.end)]}}

    def _mapping(self, source: Source) -> Fields:
        """Return how a source is mapped."""
        return next(fields for each, fields in self.sources if each is source)

    def _ordered(self, source: Source, query: Json, order: str, most: int) -> list[Found]:
        """Return the first events of a source in an order of time."""
        body = {**_shown(source), "query": query, "sort": [_by_time(source, order)]}
        return [_found(hit, source) for hit in islice(self.siem.scan(source.pattern, body, min(PAGE, most)), most)]


def age(event: Found) -> tuple[str, str, str]:
    """Return what puts events in the order of time."""
    return event.time.isoformat() if event.time else "", event.index, event.id


def _fields(siem: Siem, source: Source) -> Fields:
    """Return how the fields that evidence is searched by are mapped in a source."""
    found: Json = {}
    stored = sorted({f"{stored_name(name, source.dialect)}*" for name in ASKED} | {source.time_field})
    for start in range(0, len(stored), COMMONEST):
        names = ",".join(stored[start : start + COMMONEST])
        path = f"/{quote(source.pattern, safe=',*-')}/_field_caps"
        found |= siem.call("GET", path, fields=names, ignore_unavailable=True, allow_no_indices=True)["fields"]
    return Fields.from_caps({"fields": found})


def _shown(source: Source) -> Json:
    """Return what a search is given with each event: its time, and all of it but packets and bodies in base64."""
    time = {"field": source.time_field, "format": "strict_date_optional_time"}
    return {"docvalue_fields": [time], "_source": {"excludes": [stored_name(name, source.dialect) for name in BASE64]}}


def _by_time(source: Source, order: str) -> Json:
    """Return the sort by time."""
    return {source.time_field: {"order": order, "unmapped_type": "date"}}


def _found(hit: Json, source: Source) -> Found:
    """Return a hit of the engine as an event; its own time to the microsecond is taken if it is the engine's."""
    event: Json = hit.get("_source", {})
    stamp = hit.get("fields", {}).get(source.time_field) or [None]
    found = Found(hit["_index"], hit["_id"], moment(stamp[0]), event, source.dialect)
    own = found.moment("timestamp")
    near = own is not None and found.time is not None and abs((own - found.time).total_seconds()) < 0.002
    return replace(found, time=own) if near or found.time is None else found


def _aggregations(source: Source, fields: Fields, names: Iterable[str], size: int) -> tuple[Json, list[str]]:
    """Return the aggregations of a count, and those of the fields that can be counted by."""
    aggs = _first_and_last(source)
    exact = []
    for name in names:
        if stored := fields.exact(stored_name(name, source.dialect)):
            aggs[f"by.{name}"] = {"terms": {"field": stored, "size": size}}
            exact.append(name)
    return aggs, exact


def _first_and_last(source: Source) -> Json:
    """Return the aggregations for the time of the first and the last event."""
    time = {"field": source.time_field, "format": "strict_date_optional_time"}
    return {"first": {"min": time}, "last": {"max": time}}


def _together(before: Counts | None, events: int, found: Json) -> Counts:
    """Return counts with those of another source, or of the first one, added."""
    times = [at for name in ("first", "last") if (at := moment(found[name].get("value_as_string")))]
    if before:
        events += before.events
        times += [at for at in (before.first, before.last) if at]
    return Counts(events, min(times, default=None), max(times, default=None), {})


def _buckets(aggregation: Json, name: str) -> Iterator[tuple[str, int]]:
    """Yield value and number of an aggregation, addresses as people write them."""
    for bucket in aggregation["buckets"]:
        text = scalar_text(bucket.get("key_as_string", bucket["key"])) or ""
        yield (plain_address(text) if is_address_field(name) else text), int(bucket["doc_count"])
