"""Random conditions and random events, for the tests that compare the compilers of a condition.

Event values are what Suricata writes and what breaks things: arrays, nothing at all, every spelling of IPv6, wildcard
characters, other scripts, numbers as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

from hypothesis import strategies as st

from connector.hunts.conditions import condition as c
from connector.hunts.conditions.pattern import HOW, Pattern

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
    # a keyword of 256 characters and no text beside it: a search cannot know a longer value, and roles are never longer
    "hunt.client.role": several(texts.filter(lambda t: len(t) <= 256) | whole | st.booleans() | st.just(1.5)),
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
