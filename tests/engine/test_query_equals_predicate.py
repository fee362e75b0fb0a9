"""One condition, three compilers, one answer: random conditions over random events on a real search engine.

The mapping has every kind of field that events have: ours (lean keywords), the SIEM's own (text with a keyword),
addresses with a keyword below them, whole numbers, fractions and booleans. Values that a mapping cannot hold, or a
keyword of 256 characters cannot, are for test_painless_equals_predicate.py, where no mapping is between the two.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_conditions import conditions, events
from painless_answers import painless_finds

from connector.hunts.conditions import condition as c
from connector.hunts.conditions.fields import Fields
from connector.hunts.conditions.predicate import predicate
from connector.hunts.conditions.query import compile_query
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
def test_query_painless_and_predicate_agree(bench, batch, asked):
    number = bench.store(batch)
    written = painless_finds(bench.siem, batch, asked)
    for one, found, tagged in zip(asked, bench.found(number, asked), written, strict=True):
        test = predicate(one)
        expected = {position for position, event in enumerate(batch) if test(event)}
        different = {position: batch[position] for position in found ^ expected | tagged ^ expected}
        assert not different, (
            f"{one}\nquery finds {sorted(found)}, Painless {sorted(tagged)}, predicate {sorted(expected)}\n"
            f"{json.dumps(different)}"
        )
