"""What the events of a window say of hosts, asked of the engine as aggregations: no event is ever read.

A window with many events is asked in parts, some addresses after others: then a host is complete when its part is, and
what is held at a time is bounded. What names a host in another field than that of client or server comes before them.

Promises: each question goes only to the indices that have events for it; however many hosts and values there are, pages
bring them all. Will not: tell of addresses outside of the organisation, whose number nobody bounds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, NamedTuple

from connector.enrich.dialects import stored_name, stored_text
from connector.hosts.attributes import ATTRIBUTES, CLIENT, NUMBERS, SERVER, Number, Origin
from connector.hosts.facts import Times
from connector.hosts.reading import LONGEST, Value, address, pointed, read
from connector.hunts.asking.asking import Window
from connector.hunts.asking.census import census
from connector.hunts.asking.mapped import EVENT_TYPE, Mapped, check_apart, named_fields
from connector.hunts.conditions.fields import Fields
from connector.hunts.conditions.host_fields import profile_id
from connector.settings.model import Settings, Source
from connector.siem.client import Siem
from connector.siem.wire import siem_error

Json = dict[str, Any]
Inside = Callable[[str], bool]
PAGE = 10_000  # buckets of a page
TOGETHER = 8  # searches of one round trip
PART = 200_000  # events of the hosts that are asked for at a time, as far as they are several
BUSY = 429  # the status of a search that an engine has no memory or no room for now
SIDES = (CLIENT, SERVER)
NAMED_ONLY = ("reverse", "hunt.dns.ips")  # to be named is not to be seen
TENANT = "tenant_id"
MAPPED_V4 = 0xFFFF << 32  # where IPv4 lies among addresses, for an engine
MANY_INDICES = 2000  # characters of index names in an address


class Found(NamedTuple):
    """One thing that a window says of a host: a value of a list, or a number, or only when it was seen."""

    ip: str
    path: str
    value: Value = ()
    times: Times = (0, 0)
    number: int = 0
    seen: bool = True
    tenant: str = ""

    @property
    def host(self) -> str:
        """Return the id of the host's profile."""
        return profile_id(self.ip, self.tenant)


@dataclass(frozen=True)
class Part:
    """Addresses from one on and below another, in an engine's order; without one there is no end on that side."""

    first: str | None = None
    below: str | None = None

    def filters(self, name: str) -> list[Json]:
        """Return the filter for events whose field has such an address; none if all have."""
        ends = {word: value for word, value in (("gte", self.first), ("lt", self.below)) if value is not None}
        return [{"range": {name: ends}}] if ends else []


EVERYONE = Part()


@dataclass(frozen=True)
class _Question:
    """One aggregation: where, over which events, by which fields, and what its buckets mean."""

    index: str
    filters: Sequence[Json]
    sources: Sequence[Json]
    inner: Json
    told: Callable[[Mapping[str, Any]], Iterator[Found]]

    def body(self, after: Json | None = None) -> Json:
        """Return the search for a page; a further one looks only at events that can have what comes after."""
        page = {"size": PAGE, "sources": list(self.sources), **({"after": after} if after else {})}
        left = [{"range": {self.sources[0]["k0"]["terms"]["field"]: {"gte": after["k0"]}}}] if after else []
        query = {"bool": {"filter": [*self.filters, *left]}}
        aggs = {"hosts": {"composite": page, "aggs": self.inner}}
        return {"size": 0, "track_total_hits": False, "query": query, "aggs": aggs}


def host_fields(siem: Siem, settings: Settings) -> Mapped:
    """Return each source with how the fields that profiles need are mapped; Refused if two sources share an index."""
    check_apart(siem, settings.sources)
    names = {name.rstrip("?") for each in ATTRIBUTES for origin in each.origins for name in _names(origin)}
    names |= {name for number in NUMBERS for name in (number.sums, number.of, *number.where) if name}
    names |= {"hunt.client.scope", "hunt.server.scope", TENANT}
    return tuple((source, named_fields(siem, source, names)) for source in settings.sources)


def gather(siem: Siem, mapped: Mapped, window: Window, inside: Inside) -> Iterator[Iterator[Found]]:
    """Yield all that the events of a window say of hosts: what names them elsewhere, then all else, part by part.

    `inside` tells whose addresses are the organisation's. SiemError if the engine fails.
    """
    events = census(siem, mapped, (), lambda _: [window.filter])
    asking = [
        _Asking(source, fields, events[source.pattern].indices, window)
        for source, fields in mapped
        if events[source.pattern].events
    ]
    number = sum(found.events for found in events.values())
    yield _answers(siem, [question for each in asking for question in each.named()], inside)
    for part in _parts(siem, asking, number):
        yield _answers(siem, [question for each in asking for question in each.questions(part)], inside)


def _parts(siem: Siem, asking: Sequence[_Asking], number: int) -> Iterator[Part]:
    """Yield the parts that a window with so many events is asked in."""
    if number <= PART:
        yield EVERYONE
        return
    counts: Counter[int] = Counter()
    counting = [question for each in asking for side in SIDES for question in each.of_side(side, EVERYONE, bare=True)]
    for found in _answers(siem, counting, lambda _: True):
        counts[_place(found.ip)] += found.number
    held, first = 0, None
    for place in sorted(counts):
        if held and held + counts[place] > PART:
            below = _at_place(place)
            yield Part(first, below)
            held, first = 0, below
        held += counts[place]
    yield Part(first)


def _place(ip: str) -> int:
    """Return where an address is in an engine's order."""
    found = ip_address(ip)
    return int(found) + MAPPED_V4 if found.version == 4 else int(found)


def _at_place(place: int) -> str:
    """Return the address at a place."""
    return str(IPv4Address(place - MAPPED_V4) if place >> 32 == MAPPED_V4 >> 32 else IPv6Address(place))


def _answers(siem: Siem, questions: Sequence[_Question], inside: Inside) -> Iterator[Found]:
    """Yield what the answers to questions say of hosts inside."""
    for start in range(0, len(questions), TOGETHER):
        some = questions[start : start + TOGETHER]
        answers = siem.msearch([(question.index, question.body()) for question in some])
        for question, answer in zip(some, answers, strict=True):
            for bucket in _buckets(siem, question, answer):
                for found in question.told(bucket):
                    if inside(found.ip):
                        yield found


def _buckets(siem: Siem, question: _Question, answer: Json) -> Iterator[Json]:
    """Yield every bucket of a question; `answer` is its first page."""
    if "error" in answer and answer.get("status") == BUSY:
        answer = siem.search(question.index, question.body())  # by itself, and again while the engine is busy
    if "error" in answer:
        raise siem_error(answer.get("status", 0), f"asking {question.index} of hosts", answer)
    while True:
        page = answer.get("aggregations", {}).get("hosts", {"buckets": []})
        yield from page["buckets"]
        if len(page["buckets"]) < PAGE:
            return
        answer = siem.search(question.index, question.body(page["after_key"]))


@dataclass(frozen=True)
class _Asking:
    """What is needed to make the questions to one source."""

    source: Source
    fields: Fields
    indices: Mapping[str, Sequence[str]] | None
    window: Window

    def named(self) -> Iterator[_Question]:
        """Yield the questions for what names hosts in other fields than those of client and server."""
        for attribute in ATTRIBUTES:
            for origin in attribute.origins:
                if origin.of not in SIDES:
                    yield from self._of_origin(attribute.path, origin, EVERYONE)

    def questions(self, part: Part) -> Iterator[_Question]:
        """Yield all other questions about the hosts of a part."""
        for attribute in ATTRIBUTES:
            for origin in attribute.origins:
                if origin.of in SIDES:
                    yield from self._of_origin(attribute.path, origin, part)
        for kinds, side in dict.fromkeys((number.events, number.of) for number in NUMBERS):
            yield from self._of_numbers(kinds, side, part)
        for side in SIDES:
            yield from self.of_side(side, part)

    def _of_origin(self, path: str, origin: Origin, part: Part) -> Iterator[_Question]:
        """Yield the question for the values of an origin, if the source has its fields."""
        names = _names(origin)[: len(origin.fields) + (origin.of != "reverse")]
        sources, index = self._sources(names), self._where(origin.events)
        if sources is None or not index:
            return

        keys, seen = [f"k{n}" for n in range(len(names))], origin.of not in NAMED_ONLY
        optional = sum(name.endswith("?") for name in names)
        whose: Callable[[str], str | None] = pointed if origin.of == "reverse" else address

        def told(bucket: Mapping[str, Any]) -> Iterator[Found]:
            """Yield the value of a bucket, if it is one."""
            own = bucket["key"]
            key = ["" if own[name] is None else str(own[name]) for name in keys]
            ip, value, times = whose(key[0]), read(origin.read, key[1:], optional), _times(bucket)
            if ip and value and times:
                marked = (*value, origin.mark) if origin.mark else value
                yield Found(ip, path, marked, times, 0, seen, _tenant(bucket))

        filters = self._filters(origin.events, origin.of, part)
        filters += [self._is_one(name, texts) for name, texts in origin.where.items()]
        yield _Question(index, filters, sources, self._span, told)

    def _of_numbers(self, kinds: Sequence[str], side: str, part: Part) -> Iterator[_Question]:
        """Yield the question for all numbers over events of some types on a side, if the source has the fields."""
        sources, index = self._sources([side]), self._where(kinds)
        own = {
            f"n{n}": (number, counting)
            for n, number in enumerate(NUMBERS)
            if (number.events, number.of) == (kinds, side) and (counting := self._counting(number)) is not None
        }
        if sources is None or not index or not own:
            return

        def told(bucket: Mapping[str, Any]) -> Iterator[Found]:
            """Yield the numbers of a bucket."""
            ip = address(bucket["key"]["k0"])
            for name, (number, _) in own.items():
                found = bucket.get(name, bucket)
                value = found["value"] if "value" in found else found["doc_count"]
                if ip and value:
                    yield Found(ip, number.path, number=int(value), seen=False, tenant=_tenant(bucket))

        inner = {name: each for name, (_, each) in own.items() if each}
        yield _Question(index, self._filters(kinds, side, part), sources, inner, told)

    def _counting(self, number: Number) -> Json | None:
        """Return the aggregation inside of a host's bucket for a number, empty for that of its events.

        None if the source lacks the field.
        """
        if number.where:
            return {"filter": {"bool": {"filter": [self._is_one(name, texts) for name, texts in number.where.items()]}}}
        if not number.sums:
            return {}
        stored = self.fields.exact(stored_name(number.sums, self.source.dialect))
        return {"sum": {"field": stored}} if stored else None

    def of_side(self, side: str, part: Part, *, bare: bool = False) -> Iterator[_Question]:
        """Yield the question when hosts were seen on one side, in events of any type; `bare`: only in how many."""
        sources = self._sources([side])
        if sources is None:
            return

        def told(bucket: Mapping[str, Any]) -> Iterator[Found]:
            """Yield when a host was seen, and the number of its events."""
            ip, times = address(bucket["key"]["k0"]), (0, 0) if bare else _times(bucket)
            if ip and times:
                yield Found(ip, "", times=times, number=bucket["doc_count"], tenant=_tenant(bucket))

        inner = {} if bare else self._span
        yield _Question(self.source.pattern, self._filters((), side, part), sources, inner, told)

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
        if tenant := self.fields.exact(stored_name(TENANT, self.source.dialect)):
            sources.append({"tenant": {"terms": {"field": tenant, "missing_bucket": True}}})
        return sources

    def _where(self, kinds: Sequence[str]) -> str:
        """Return the indices that have events of these types in the window, joined by commas; empty if none has."""
        if self.indices is None:
            return self.source.pattern
        names = ",".join(sorted({index for kind in kinds for index in self.indices.get(kind, ())}))
        return names if len(names) <= MANY_INDICES else self.source.pattern

    def _filters(self, kinds: Sequence[str], of: str, part: Part) -> list[Json]:
        """Return the filters for events of some types in the window, on a side those of a part's hosts."""
        filters = [self.window.filter]
        if kinds:
            filters.append({"terms": {self._exact(EVENT_TYPE): list(kinds)}})
        if of in SIDES:
            filters.append({"term": {self._exact(of.removesuffix("ip") + "scope"): "internal"}})
            filters += part.filters(self._exact(of))
        return filters

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


def _tenant(bucket: Mapping[str, Any]) -> str:
    """Return the tenant of a bucket, empty if its events say none."""
    tenant = bucket["key"].get("tenant")
    return "" if tenant is None else str(tenant)[:LONGEST]
