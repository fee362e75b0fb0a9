"""The Painless matcher answers as the predicate does, on values that no mapping has bent: real engines, no index.

Random conditions over random events of any shape, every spelling of addresses and near misses of them, numbers as
text, values meant to make a matcher slow, and the hunts we ship over the events of a story.
"""

from __future__ import annotations

import gzip
import json
import random
import secrets
import time
from collections.abc import Iterator, Sequence
from ipaddress import IPv6Address, ip_network
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_conditions import addresses, bounds, cidrs, conditions, events, patterns, several, short_texts, some, words
from painless_answers import matching_pipeline, painless_finds

from connector.enrich.dialects import stored_name
from connector.enrich.reference import enrich
from connector.errors import Refused
from connector.hunts.asking.profiles import with_hosts
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.checking.cases import NOW, example_settings, example_tables
from connector.hunts.conditions import condition as c
from connector.hunts.conditions.painless import compile_painless, event_types
from connector.hunts.conditions.pattern import HOW, Pattern
from connector.hunts.conditions.predicate import predicate
from connector.settings.model import Dialect, SiemSettings
from connector.siem.client import Siem
from tests.conftest import clean

EXAMPLES, EVENTS, CONDITIONS = 100, 20, 20
STORY_EVENTS, BATCH = 3000, 500
KEYS = ("a", "b", "c", "a.b", "b.c", "a.b.c", "src_ip", "hunt", "dns", "ips", "hunt.dns", "dns.ips", "a.", "", "ab")
FIELDS = ("a", "b", "c", "a.b", "a.b.c", "src_ip", "hunt.dns.ips")

numeric_texts = st.text("0189+-.eE", max_size=7)
scalars = st.one_of(
    short_texts,
    words,
    addresses,
    numeric_texts,
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-3, 60),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 53.0, 1e15, 1e16, 1e22, 1e23, 0.0001, 0.00001, 5e-324, 1.5]),
    st.booleans(),
)
values = st.recursive(
    several(scalars),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)),
    max_leaves=5,
)
any_events = st.dictionaries(st.sampled_from(KEYS), values, max_size=4)
any_fields = st.sampled_from(FIELDS)
domains = st.sampled_from(["b", "A.b", "ab.b", "😀.b", "日本", "*", "0"])
any_leaves = st.one_of(
    st.builds(c.Equals, any_fields, some(scalars)),
    st.builds(c.InNetwork, any_fields, some(cidrs)),
    st.builds(c.UnderDomain, any_fields, some(domains)),
    st.builds(c.Matches, any_fields, some(patterns | st.builds(Pattern, st.sampled_from(HOW), numeric_texts))),
    st.builds(c.Compares, any_fields, gte=bounds),
    st.builds(c.Compares, any_fields, gt=bounds, lte=bounds | st.floats(allow_nan=False, allow_infinity=False)),
    st.builds(c.Compares, any_fields, lt=bounds),
    st.builds(c.Exists, any_fields),
)
groups = st.builds(
    lambda kind, members: kind(members),
    st.sampled_from([c.All, c.Any, c.None_]),
    st.lists(any_leaves, max_size=3).map(tuple),
)
any_conditions = st.one_of(any_leaves, groups, st.builds(lambda a, b: c.All((a, b)), groups, groups))
by_the_dozen = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module", params=["opensearch", "elasticsearch7"])
def siem(request: pytest.FixtureRequest) -> Iterator[Siem]:
    """Return each engine in turn; nothing is stored in it."""
    with Siem.connect(SiemSettings(urls=(request.getfixturevalue(request.param),))) as siem:
        yield siem


def check(
    siem: Siem, batch: Sequence[dict[str, Any]], asked: Sequence[c.Condition], dialect: Dialect = "eve"
) -> list[set[int]]:
    """Return for each condition the events that match; fails where the engine and the predicate differ."""
    answers = painless_finds(siem, batch, asked, dialect)
    for one, found in zip(asked, answers, strict=True):
        test = predicate(one, dialect)
        expected = {position for position, event in enumerate(batch) if test(event)}
        different = {position: batch[position] for position in sorted(found ^ expected)[:3]}
        assert not different, f"{one}\nPainless {sorted(found)}, predicate {sorted(expected)}\n{json.dumps(different)}"
    return answers


def lists_of(strategy: st.SearchStrategy[Any], size: int) -> st.SearchStrategy[list[Any]]:
    """Return lists of that size."""
    return st.lists(strategy, min_size=size, max_size=size)


@by_the_dozen
@given(batch=lists_of(any_events, EVENTS), asked=lists_of(any_conditions, CONDITIONS))
def test_events_of_any_shape(siem, batch, asked):
    check(siem, batch, asked)


@by_the_dozen
@given(batch=lists_of(events(), EVENTS), asked=lists_of(conditions, CONDITIONS))
def test_events_of_elastic_agent(siem, batch, asked):
    check(siem, [as_stored(event) for event in batch], asked, "ecs")


def as_stored(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event of the generator with its values at the places of the other dialect."""
    placed: dict[str, Any] = {}
    for key, value in event.items():
        placed[stored_name(key, "ecs") if "." in key or not isinstance(value, dict) else key] = value
    return placed


def spelled(chance: random.Random) -> str:
    """Return an address in one of its spellings, or a near miss: one character more, less or other."""
    number = chance.choice([0, 0xFFFF << 32, 0x20010DB8 << 96, chance.getrandbits(128)])
    number |= chance.choice([0, 1, chance.getrandbits(32), chance.getrandbits(16) << 64])
    address = IPv6Address(number)
    hextets = [hextet.lstrip("0") or "0" for hextet in address.exploded.split(":")]
    octets = ".".join(str(octet) for octet in address.packed[12:])
    text = chance.choice(
        [
            *(address.compressed, address.exploded, address.exploded.upper(), ":".join(hextets), octets),
            *(":".join([*hextets[:6], octets]), f"::{octets}", f"{':'.join(hextets[:3])}::{hextets[7]}"),
        ]
    )
    at = chance.randrange(len(text))
    octet = chance.choice(["256", "300", "01", "00", ""])
    near = [
        octets.replace(octets.split(".")[1], octet),
        text[:at] + text[at + 1 :],
        text[:at] + chance.choice("0f:.%g ") + text[at + chance.randrange(2) :],
    ]
    return chance.choice([text, text, *near])


def test_addresses_in_every_spelling(siem):
    chance = random.Random(4)
    batch = [{"src_ip": spelled(chance)} for _ in range(4000)]
    some_of_them = [spelled(chance) for _ in range(200)]
    nets = [ip_network((chance.getrandbits(128), length), strict=False) for length in range(0, 129, 8)]
    nets += [ip_network((chance.getrandbits(32), length), strict=False) for length in range(33)]
    nets += [ip_network("::/90"), ip_network("::ffff:0:0/97"), ip_network("2001:db8::/33"), ip_network("2001:db8::/31")]
    asked = [c.Exists("src_ip"), c.Equals("src_ip", tuple(some_of_them)), c.InNetwork("src_ip", tuple(nets))]
    there, equal, inside = check(siem, batch, [*asked, *(c.InNetwork("src_ip", (net,)) for net in nets)])[:3]
    assert 1000 < len(there) < len(batch) and equal and inside


def test_patterns_that_nearly_fit(siem):
    chance = random.Random(7)
    texts = ["".join(chance.choices("aAzZ.\u212aÄß😀\ud83d", k=chance.randrange(5))) for _ in range(400)]
    texts = [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts]
    made = [Pattern(how, "".join(chance.choices("aAzZ.kä😀??**", k=chance.randrange(1, 6)))) for how in HOW * 100]
    answers = check(siem, [{"a": text} for text in texts], [c.Matches("a", (pattern,)) for pattern in made])
    assert sum(map(len, answers)) > 1000


def test_every_short_text_that_may_be_a_number(siem):
    texts = ["".join(characters) for size in range(6) for characters in product("07.e+-", repeat=size)]
    zero, some_number = check(
        siem, [{"a": text} for text in texts], [c.Compares("a", gte=0, lte=0), c.Compares("a", gt=-1e300)]
    )
    assert zero and some_number > zero


def test_numbers_as_text(siem):
    chance = random.Random(5)
    numbers = [chance.uniform(-1, 1) * 10.0 ** chance.randrange(-12, 25) for _ in range(150)]
    numbers += [2.0**power for power in range(-1074, 1024, 13)] + [5e-324, 2.2250738585072014e-308, 1e23, 9e15, 2.0**53]
    texts = [c.scalar_text(number) for number in numbers]
    answers = check(siem, [{"a": number} for number in numbers], [c.Equals("a", (text,)) for text in texts])
    assert all(position in found for position, found in enumerate(answers))


def test_whole_numbers_of_more_than_64_bits(siem):
    if siem.product.name == "OpenSearch":
        pytest.skip("OpenSearch copies an event before a script sees it, and cannot copy such a number")
    asked = [c.Equals("a", (str(2**64),)), c.Compares("a", gt=0), c.Matches("a", (Pattern("suffix", "616"),))]
    name = f"t{secrets.token_hex(4)}-wide"
    try:  # a simulation would copy the event
        siem.call("PUT", f"/_ingest/pipeline/{name}", matching_pipeline(asked))
        siem.call("PUT", f"/{name}", {"mappings": {"dynamic": False}})
        siem.call("PUT", f"/{name}/_doc/1", {"a": 2**64}, pipeline=name)
        assert siem.call("GET", f"/{name}/_doc/1")["_source"]["matching"] == [0, 1, 2]
    finally:
        clean(siem, name)


def test_values_meant_to_be_slow(siem):
    """A loop of Painless ends in an error after a million turns: these values are longer."""
    long = "a" * 1_200_000
    batch = [{"a": long}, {"a": f"{long}B"}, {"a": f"😀{long}"}, {"a": "9" * 1_200_000}, {"a": "." * 1_200_000}]
    wildcards = [
        "*a*a*a*a*a*b",
        "*a?a*a?a*a?a*b",
        "?" * 20 + "*b",
        "*" * 20,
        "*?b",
        "a" * 40 + "*?a?",
        "*aaaaaaaaaaaab?",
    ]
    asked = [c.Matches("a", (Pattern("wildcard", text),)) for text in wildcards]
    asked += [c.Matches("a", (Pattern(how, "aaab"),)) for how in HOW]
    asked += [c.UnderDomain("a", ("b", "a.b")), c.Compares("a", gt=5), c.Exists("src_ip"), c.Equals("a", (long,))]
    start = time.monotonic()
    answers = painless_finds(siem, batch, asked)
    assert time.monotonic() - start < 10
    assert answers == [
        {1},
        {1},
        {1},
        {0, 1, 2, 3, 4},
        {1},
        {0, 1},
        set(),
        set(),
        {1},
        {1},
        set(),
        set(),
        {3},
        set(),
        {0},
    ]


# what profiles say, for hunts that ask it
HOSTS = {"10.0.0.10": {"roles": ["domain controller"]}, "10.0.0.8": {"roles": ["http proxy", "database"]}}


@pytest.fixture(scope="module")
def shipped():
    return [with_hosts(hunt, HOSTS) for hunt in load_catalogue(example_settings()).hunts]


def test_every_hunt_compiles_or_says_that_only_a_search_can_answer(shipped):
    for hunt in shipped:
        words_of_search = c.query_only(hunt.condition)
        if words_of_search:
            with pytest.raises(Refused, match=words_of_search[0]):
                compile_painless(hunt.condition, "eve")
        else:
            node = compile_painless(hunt.condition, "eve")
            assert node["parts"][0]["path"] == [["event_type"]], f"{hunt.name} does not ask for the event type first"
            assert json.loads(json.dumps(node)) == node
            assert event_types(hunt.condition) == hunt.event_types


def test_hunts_over_the_story(siem, shipped, shared):
    conditions_of_hunts = [hunt.condition for hunt in shipped if not c.query_only(hunt.condition)]
    with gzip.open(shared / "story" / "eve-suricata8.json.gz", "rt", encoding="utf-8") as lines:
        sample = random.Random(6).sample(lines.readlines(), STORY_EVENTS)
    story = [enrich(json.loads(line), example_tables(), NOW) for line in sample]
    found = 0
    for start in range(0, len(story), BATCH):
        found += sum(map(len, check(siem, story[start : start + BATCH], conditions_of_hunts)))
    assert found > STORY_EVENTS / 100


@pytest.mark.parametrize("leaf", [c.Regex("http.url", "a+"), c.Lucene("a:b")])
def test_what_only_a_search_can_answer_is_refused(leaf):
    with pytest.raises(Refused, match=f"{type(leaf).__name__.lower()} can only be answered by a search"):
        compile_painless(c.All((c.Exists("http"), leaf)), "eve")


def test_references_have_no_value_yet():
    with pytest.raises(Refused, match=r"\$src_ip has no value yet"):
        compile_painless(c.None_((c.Equals("src_ip", (c.Reference("src_ip"),)),)), "eve")


def test_event_types_of_a_condition():
    dns, tls, name = c.Equals("event_type", ("dns",)), c.Equals("event_type", ("tls", "quic")), c.Exists("hunt.name")
    assert event_types(c.All((name, c.All((tls,))))) == ("tls", "quic")
    assert event_types(dns) == ("dns",)
    assert event_types(c.Any((dns, name))) is None
    assert event_types(c.None_((dns,))) is None


def test_cheap_parts_stand_first():
    pattern = c.Matches("http.url", (Pattern("contains", "x"),))
    group = c.Any((pattern, c.Exists("http")))
    node = compile_painless(
        c.All((group, pattern, c.Equals("dest_port", (53,)), c.Equals("event_type", ("dns",)))), "ecs"
    )
    assert [part["is"] for part in node["parts"]] == ["text", "text", "pattern", "any"]
    assert node["parts"][0]["values"] == ["dns"] and node["parts"][1]["values"] == ["53"]
