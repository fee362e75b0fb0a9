"""One condition, two compilers, one answer: random conditions over random events on a real search engine.

The mapping has every kind of field that events have: ours (lean keywords), the SIEM's own (text with a keyword),
addresses with a keyword below them, whole numbers, fractions and booleans. Event values are what Suricata writes and
what breaks things: arrays, nothing at all, every spelling of IPv6, wildcard characters, other scripts, numbers as text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.hunts import condition as c
from connector.hunts.fields import Fields
from connector.hunts.pattern import HOW, Pattern
from connector.hunts.predicate import predicate
from connector.hunts.query import compile_query
from connector.siem.client import Siem

EXAMPLES, EVENTS, CONDITIONS = 100, 12, 12
LIMIT = {"type": "keyword", "ignore_above": 256}
LEAN = {"type": "keyword", "ignore_above": 8191, "doc_values": False}
MAPPING = {
    "settings": {"index.mapping.ignore_malformed": True, "number_of_shards": 1, "number_of_replicas": 0},
    "mappings": {
        "dynamic": False,
        "properties": {
            "batch": {"type": "long"},
            "number": {"type": "long"},
            "hostname_info": {"properties": {"host": {**LEAN, "fields": {"keyword": LIMIT}}}},
            "http": {"properties": {"url": {"type": "text", "norms": False, "fields": {"keyword": LIMIT}}}},
            "hunt": {
                "properties": {
                    "client": {"properties": {"ip": {"type": "ip", "ignore_malformed": True}, "role": LIMIT}},
                    "name": {"properties": {"parents": LEAN, "entropy": {"type": "double", "doc_values": False}}},
                    "dns": {"properties": {"ips": {"type": "ip"}, "private_answer": {"type": "boolean"}}},
                }
            },
            "src_ip": {"type": "ip", "fields": {"keyword": LIMIT}},
            "dest_port": {"type": "long"},
            "flow": {"properties": {"pkts_toclient": {"type": "long", "doc_values": False}}},
        },
    },
}
TEXTS = ("hostname_info.host", "http.url", "hunt.client.role", "hunt.name.parents")
ADDRESSES = ("hunt.client.ip", "hunt.dns.ips", "src_ip")
NUMBERS = ("dest_port", "flow.pkts_toclient")

characters = st.sampled_from("aAbBzZ019.*?\\-_/: \n\"'%äÄßſKİ€日😀[](){}$^|+~@#&<>")
short_texts = st.text(characters, max_size=6)
words = st.sampled_from(
    [
        "",
        "a",
        "A",
        "ab.b",
        "AB.B",
        "b",
        "a*b",
        "a?b",
        "a\\b",
        "53",
        "053",
        "-1",
        "true",
        "False",
        "null",
        "日本",
        "x" * 300,
    ]
)
texts = st.one_of(short_texts, words)
addresses = st.sampled_from(
    [
        *("10.0.0.0", "10.0.0.1", "10.0.0.255", "10.0.1.0", "9.255.255.255", "255.255.255.255", "0.0.0.0"),
        *("::ffff:10.0.0.1", "::ffff:0a00:0001", "0000:0000:0000:0000:0000:ffff:0a00:0001"),
        *("2001:db8::1", "2001:0db8:0000:0000:0000:0000:0000:0001", "2001:DB8::1", "2001:db8:0:1::", "::", "::1"),
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ]
)
cidrs = st.sampled_from(
    [
        *("10.0.0.0/24", "10.0.0.0/8", "10.0.0.0/31", "10.0.0.1/32", "0.0.0.0/0", "255.255.255.255/32", "10.0.1.0/24"),
        *("2001:db8::/32", "2001:db8::/64", "2001:db8::1/128", "::/0", "::/96", "::ffff:0:0/96", "8000::/1", "::1/128"),
    ]
).map(ip_network)
whole = st.integers(-3, 3) | st.sampled_from([53, 443, 65535, 2**53])
numbers_as_stored = whole | whole.map(str)


def several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return one value, a list of values, a list in a list, null, or none in a list."""
    return st.one_of(
        values,
        st.lists(values, max_size=3),
        st.just(None),
        st.just([]),
        st.just([None]),
        values.map(lambda v: [[v], None]),
    )


PARTS: dict[str, st.SearchStrategy[Any]] = {
    "hostname_info.host": several(texts | whole),
    "http.url": several(texts),
    "hunt.client.role": several(texts | whole | st.booleans() | st.just(1.5)),
    "hunt.name.parents": several(texts),
    "hunt.client.ip": several(addresses | st.sampled_from(["no address", ""])),
    "hunt.dns.ips": several(addresses),
    "src_ip": several(addresses | st.just("10.0.0.1x")),
    "dest_port": several(numbers_as_stored),
    "flow.pkts_toclient": several(numbers_as_stored),
    "hunt.name.entropy": several(st.sampled_from([0, 0.5, 3.25, "3.25", 4.0, -0.5])),
    "hunt.dns.private_answer": several(st.booleans() | st.sampled_from(["true", "false"])),
}


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """Return an event with some of the fields, each nested or with dots in its keys."""
    event: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(sorted(PARTS)), unique=True, max_size=6)):
        value = draw(PARTS[name])
        if draw(st.booleans()):
            event[name] = value
        else:
            _put(event, name.split("."), value)
    return event


def _put(event: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Put a value where the path leads, through mappings."""
    *holders, leaf = path
    for holder in holders:
        event = event.setdefault(holder, {})
    event[leaf] = value


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Return one to three different values."""
    return st.lists(values, min_size=1, max_size=3, unique=True).map(tuple)


# values longer than a keyword takes are another test: a pattern of several words finds them by its words
patterns = st.builds(Pattern, st.sampled_from(HOW), st.one_of(short_texts, words).filter(lambda t: 0 < len(t) < 20))
bounds = st.sampled_from([-1, 0, 0.25, 1, 2.5, 3, 53, 443, 2**53])
leaves = st.one_of(
    st.builds(c.Equals, st.sampled_from(TEXTS), some(texts.filter(lambda t: len(t) < 20))),
    st.builds(c.Equals, st.sampled_from(TEXTS), some(whole.map(str) | st.sampled_from(["true", "1.5"]))),
    st.builds(c.Equals, st.sampled_from(TEXTS), some(whole)),
    st.builds(c.Equals, st.sampled_from(ADDRESSES), some(addresses)),
    st.builds(c.Equals, st.sampled_from(NUMBERS), some(whole | whole.map(str) | st.sampled_from(["", "x", "1e2"]))),
    st.builds(c.Equals, st.just("hunt.dns.private_answer"), some(st.booleans() | st.sampled_from(["true", "no"]))),
    st.builds(c.InNetwork, st.sampled_from(ADDRESSES), some(cidrs)),
    st.builds(c.UnderDomain, st.sampled_from(TEXTS), some(st.sampled_from(["b", "a.b", "ab.b", "a*b", "日本", "z"]))),
    st.builds(c.Matches, st.sampled_from(TEXTS), some(patterns)),
    st.builds(c.Compares, st.sampled_from((*NUMBERS, "hunt.name.entropy")), gte=bounds),
    st.builds(c.Compares, st.sampled_from((*NUMBERS, "hunt.name.entropy")), gt=bounds, lte=bounds),
    st.builds(c.Compares, st.sampled_from((*NUMBERS, "hunt.name.entropy")), lt=bounds),
    st.builds(c.Exists, st.sampled_from((*sorted(PARTS), "hunt.name", "flow", "http"))),
)
conditions: st.SearchStrategy[c.Condition] = st.recursive(
    leaves,
    lambda parts: st.builds(
        lambda kind, members: kind(members),
        st.sampled_from([c.All, c.Any, c.None_]),
        st.lists(parts, min_size=1, max_size=3).map(tuple),
    ),
    max_leaves=6,
)


@dataclass
class Bench:
    """An index with the mapping, how its fields look from outside, and how many batches went in."""

    siem: Siem
    index: str
    fields: Fields
    batches: int = field(default=0)

    def store(self, batch: Sequence[dict[str, Any]]) -> int:
        """Index the events under a new batch number and return it."""
        self.batches += 1
        lines: list[dict[str, Any]] = []
        for number, event in enumerate(batch):
            lines += [{"index": {"_index": self.index}}, {**event, "batch": self.batches, "number": number}]
        assert self.siem.bulk(lines, refresh=True) == []
        return self.batches

    def found(self, batch: int, asked: Sequence[c.Condition]) -> list[set[int]]:
        """Return the numbers of the events of a batch that each condition's query finds."""
        searches = []
        for one in asked:
            query = {"bool": {"filter": [{"term": {"batch": batch}}, compile_query(one, self.fields, "eve").query]}}
            searches.append((self.index, {"size": EVENTS, "_source": ["number"], "query": query}))
        answers = self.siem.msearch(searches)
        for one, answer in zip(asked, answers, strict=True):
            assert "error" not in answer, (one, answer)
        return [{hit["_source"]["number"] for hit in answer["hits"]["hits"]} for answer in answers]


@pytest.fixture(scope="module")
def bench(each_module_place) -> Bench:
    siem, index = each_module_place.siem, f"{each_module_place.prefix}compilers"
    siem.call("PUT", f"/{index}", MAPPING)
    return Bench(siem, index, Fields.from_caps(siem.call("GET", f"/{index}/_field_caps", fields="*")))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    batch=st.lists(events(), min_size=EVENTS, max_size=EVENTS),
    asked=st.lists(conditions, min_size=CONDITIONS, max_size=CONDITIONS),
)
def test_query_and_predicate_agree(bench, batch, asked):
    number = bench.store(batch)
    for one, found in zip(asked, bench.found(number, asked), strict=True):
        test = predicate(one)
        expected = {position for position, event in enumerate(batch) if test(event)}
        different = {position: batch[position] for position in found ^ expected}
        assert not different, (
            f"{one}\nquery finds {sorted(found)}, predicate {sorted(expected)}\n{json.dumps(different)}"
        )
