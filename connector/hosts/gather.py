"""What the events of a window say of hosts, asked of the engine as aggregations: no event is ever read.

Promises: each question goes only to the indices that have events for it; however many hosts and values there are, pages
bring them all. Will not: tell of addresses outside of the organisation, whose number nobody bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.enrich.dialects import stored_name, stored_text
from connector.hosts.attributes import ATTRIBUTES, CLIENT, NUMBERS, SERVER, Number, Origin
from connector.hosts.facts import Times
from connector.hosts.reading import Value, address, pointed, read
from connector.hunts.asking import Window
from connector.hunts.census import census
from connector.hunts.fields import Fields
from connector.hunts.mapped import EVENT_TYPE, Mapped, check_apart, named_fields
from connector.settings.model import Settings, Source
from connector.siem.client import Siem
from connector.siem.wire import siem_error

Json = dict[str, Any]
Inside = Callable[[str], bool]
FIRST, PAGE = 1000, 20_000  # buckets of the first page, and of further ones: each page looks at all events again
TOGETHER = 8  # searches of one round trip
BUSY = 429  # the status of a search that an engine has no memory or no room for now
SIDES = (CLIENT, SERVER)
NAMED_ONLY = ("reverse", "hunt.dns.ips")  # to be named is not to be seen
MANY_INDICES = 2000  # characters of index names in an address


@dataclass(frozen=True)
class Found:
    """One thing that a window says of a host: a value of a list, or a number, or only when it was seen."""

    ip: str
    path: str
    value: Value = ()
    times: Times = (0, 0)
    number: int = 0
    seen: bool = True


@dataclass(frozen=True)
class _Question:
    """One aggregation: where, over which events, by which fields, and what its buckets mean."""

    index: str
    query: Json
    sources: Sequence[Json]
    inner: Json
    told: Callable[[Mapping[str, Any]], Iterator[Found]]

    def body(self, size: int, after: Json | None = None) -> Json:
        """Return the search for a page."""
        page = {"size": size, "sources": list(self.sources), **({"after": after} if after else {})}
        aggs = {"hosts": {"composite": page, "aggs": self.inner}}
        return {"size": 0, "track_total_hits": False, "query": self.query, "aggs": aggs}


def host_fields(siem: Siem, settings: Settings) -> Mapped:
    """Return each source with how the fields that profiles need are mapped; Refused if two sources share an index."""
    check_apart(siem, settings.sources)
    names = {name.rstrip("?") for each in ATTRIBUTES for origin in each.origins for name in _names(origin)}
    names |= {name for number in NUMBERS for name in (number.sums, number.of, *number.where) if name}
    names |= {"hunt.client.scope", "hunt.server.scope"}
    return tuple((source, named_fields(siem, source, names)) for source in settings.sources)


def gather(siem: Siem, mapped: Mapped, window: Window, inside: Inside) -> Iterator[Found]:
    """Yield all that the events of a window say of hosts; `inside` tells whose addresses are the organisation's.

    SiemError if the engine fails.
    """
    events = census(siem, mapped, (), lambda _: [window.filter])
    questions = [
        question
        for source, fields in mapped
        if events[source.pattern].events
        for question in _questions(source, fields, events[source.pattern].indices, window)
    ]
    for start in range(0, len(questions), TOGETHER):
        some = questions[start : start + TOGETHER]
        answers = siem.msearch([(question.index, question.body(FIRST)) for question in some])
        for question, answer in zip(some, answers, strict=True):
            for bucket in _buckets(siem, question, answer):
                yield from (found for found in question.told(bucket) if inside(found.ip))


def _buckets(siem: Siem, question: _Question, answer: Json) -> Iterator[Json]:
    """Yield every bucket of a question; `answer` is its first page."""
    if "error" in answer and answer.get("status") == BUSY:
        answer = siem.search(question.index, question.body(FIRST))  # by itself, and again while the engine is busy
    if "error" in answer:
        raise siem_error(answer.get("status", 0), f"asking {question.index} of hosts", answer)
    size = FIRST
    while True:
        page = answer.get("aggregations", {}).get("hosts", {"buckets": []})
        yield from page["buckets"]
        if len(page["buckets"]) < size:
            return
        size = PAGE
        answer = siem.search(question.index, question.body(PAGE, page["after_key"]))


def _questions(
    source: Source, fields: Fields, indices: Mapping[str, Sequence[str]] | None, window: Window
) -> Iterator[_Question]:
    """Yield the aggregations that a source needs for a window."""
    asking = _Asking(source, fields, indices, window)
    for attribute in ATTRIBUTES:
        for origin in attribute.origins:
            yield from asking.of_origin(attribute.path, origin)
    for number in NUMBERS:
        yield from asking.of_number(number)
    for side in SIDES:
        yield from asking.of_side(side)


@dataclass(frozen=True)
class _Asking:
    """What is needed to make the questions to one source."""

    source: Source
    fields: Fields
    indices: Mapping[str, Sequence[str]] | None
    window: Window

    def of_origin(self, path: str, origin: Origin) -> Iterator[_Question]:
        """Yield the question for the values of an origin, if the source has its fields."""
        names = _names(origin)[: len(origin.fields) + (origin.of != "reverse")]
        sources = self._sources(names)
        if sources is None or not (index := self._where(origin.events)):
            return

        def told(bucket: Mapping[str, Any]) -> Iterator[Found]:
            """Yield the value of a bucket, if it is one."""
            key = [str(bucket["key"][f"k{n}"] if bucket["key"][f"k{n}"] is not None else "") for n in range(len(names))]
            ip = pointed(key[0]) if origin.of == "reverse" else address(key[0])
            value = read(origin.read, key[1:])
            times = _times(bucket)
            if ip and value and times:
                marked = (*value, origin.mark) if origin.mark else value
                yield Found(ip, path, marked, times, seen=origin.of not in NAMED_ONLY)

        query = self._query(origin.events, origin.of, origin.where)
        yield _Question(index, query, sources, self._span, told)

    def of_number(self, number: Number) -> Iterator[_Question]:
        """Yield the question for a number, if the source has its fields."""
        sources, index = self._sources([number.of]), self._where(number.events)
        summed = self.fields.exact(stored_name(number.sums, self.source.dialect)) if number.sums else None
        if sources is None or not index or (number.sums and not summed):
            return
        inner = {"sum": {"sum": {"field": summed}}} if summed else {}

        def told(bucket: Mapping[str, Any]) -> Iterator[Found]:
            """Yield the number of a bucket."""
            ip, value = address(bucket["key"]["k0"]), bucket["sum"]["value"] if summed else bucket["doc_count"]
            if ip and value:
                yield Found(ip, number.path, number=int(value), seen=False)

        yield _Question(index, self._query(number.events, number.of, number.where), sources, inner, told)

    def of_side(self, side: str) -> Iterator[_Question]:
        """Yield the question when hosts were seen on one side, in events of any type."""
        sources = self._sources([side])
        if sources is None:
            return

        def told(bucket: Mapping[str, Any]) -> Iterator[Found]:
            """Yield when a host was seen."""
            ip, times = address(bucket["key"]["k0"]), _times(bucket)
            if ip and times:
                yield Found(ip, "", times=times)

        yield _Question(self.source.pattern, self._query((), side, {}), sources, self._span, told)

    @property
    def _span(self) -> Json:
        """Return the aggregations for the first and the last time."""
        name = self.source.time_field
        return {"first": {"min": {"field": name}}, "last": {"max": {"field": name}}}

    def _sources(self, names: Iterable[str]) -> list[Json] | None:
        """Return the composite's sources for fields; None if the source lacks one that must be there."""
        sources: list[Json] = []
        for n, name in enumerate(names):
            stored = self.fields.exact(stored_name(name.rstrip("?"), self.source.dialect))
            if stored is None:
                return None
            terms: Json = {"field": stored, **({"missing_bucket": True} if name.endswith("?") else {})}
            sources.append({f"k{n}": {"terms": terms}})
        return sources

    def _where(self, kinds: Sequence[str]) -> str:
        """Return the indices that have events of these types in the window, joined by commas; empty if none has."""
        if self.indices is None:
            return self.source.pattern
        names = ",".join(sorted({index for kind in kinds for index in self.indices.get(kind, ())}))
        return names if len(names) <= MANY_INDICES else self.source.pattern

    def _query(self, kinds: Sequence[str], of: str, where: Mapping[str, Sequence[str]]) -> Json:
        """Return the query for events of some types in the window that fit further conditions."""
        filters = [self.window.filter]
        if kinds:
            filters.append({"terms": {self._exact(EVENT_TYPE): list(kinds)}})
        if of in SIDES:
            filters.append({"term": {self._exact(of.removesuffix("ip") + "scope"): "internal"}})
        filters += [self._is_one(name, texts) for name, texts in where.items()]
        return {"bool": {"filter": filters}}

    def _is_one(self, name: str, texts: Sequence[str]) -> Json:
        """Return the filter for events whose field is one of the texts, or begins so."""
        stored, own = self._exact(name), [stored_text(name, text, self.source.dialect) for text in texts]
        if own[0].endswith("*"):
            return {"prefix": {stored: own[0][:-1]}}
        return {"terms": {stored: own}}

    def _exact(self, name: str) -> str:
        """Return the stored name to compare a field by."""
        stored = stored_name(name, self.source.dialect)
        return self.fields.exact(stored) or stored


def _names(origin: Origin) -> tuple[str, ...]:
    """Return the fields of an origin's aggregation, that of the address first, and those of its conditions."""
    own = origin.fields if origin.of == "reverse" else (origin.of, *origin.fields)
    return (*own, *origin.where)


def _times(bucket: Mapping[str, Any]) -> Times | None:
    """Return the first and the last time of a bucket; None if no event of it has a time."""
    first, last = bucket["first"]["value"], bucket["last"]["value"]
    return None if first is None else (int(first), int(last))
