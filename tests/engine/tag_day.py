"""Events of a place as tests of tags see them, and what they must be by the predicate: the reference in Python."""

import copy
import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from conftest import Place
from engine.respond_story import sources, stem_of

from connector.hunts.asking.groups import groups
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import Count, every_event
from connector.hunts.conditions.address import network
from connector.hunts.conditions.condition import (
    All,
    Compares,
    Condition,
    Equals,
    Exists,
    InNetwork,
    Matches,
    None_,
    UnderDomain,
)
from connector.hunts.conditions.condition import Any as AnyOf
from connector.hunts.conditions.pattern import Pattern
from connector.hunts.conditions.predicate import predicate
from connector.respond.tags.changes import AT_ONCE
from connector.respond.tags.extent import PAST, Extent
from connector.respond.tags.rules import Tag, TagRule, rule_of
from connector.respond.tags.tagging import Pace, Tagging, tag, untag
from connector.settings.model import Settings, Source
from connector.siem.client import Siem

Key = tuple[str, str]
Events = dict[Key, dict[str, Any]]
OURS = ("tag", "tag_rules", "tagged")
BOTH = Extent(future=True)
BASE = load_catalogue(Settings()).named("public-dns-queries")


@dataclass(frozen=True)
class Day:
    """The office day in one engine."""

    place: Place
    settings: Settings

    @property
    def siem(self) -> Siem:
        return self.place.siem

    @property
    def pattern(self) -> str:
        return self.settings.events

    def events(self) -> Events:
        """Return every event as it is stored now."""
        return sources(self.siem, self.pattern)

    def only(self, kind: str) -> "Day":
        """Return the day with events of one type only, for tests that need no others."""
        source = Source(f"{self.place.prefix}logstash-{kind}-*", "eve", "@timestamp")
        return Day(self.place, replace(self.settings, sources=(source,)))

    def tag(self, hunt: Hunt, wanted: Tag, since: datetime | None = None, pace: Pace = AT_ONCE) -> Tagging:
        """Tag past events."""
        return self.give(hunt, wanted, Extent(since=since), pace)

    def give(self, hunt: Hunt, wanted: Tag, extent: Extent = BOTH, pace: Pace = AT_ONCE) -> Tagging:
        """Tag events, past and future ones if nothing else is said."""
        return tag(self.siem, self.settings, hunt, self.rule(hunt, wanted, extent), pace=pace)

    def rule(self, hunt: Hunt, wanted: Tag, extent: Extent = PAST) -> TagRule:
        return rule_of(hunt, wanted, "ana", datetime.now(UTC), "because", extent)

    def untag(self, hunt: Hunt) -> int:
        return untag(self.siem, self.settings, hunt.name, by="bo", now=datetime.now(UTC)).untagged


def made_hunt(name: str, match: Condition, *types: str) -> Hunt:
    """Return a hunt of ours: all events of the types that match."""
    id = str(uuid5(NAMESPACE_URL, name))
    return replace(BASE, id=id, name=name, title=name, event_types=types, match=match, needs=Count(), show=())


def matched(hunt: Hunt, events: Events) -> set[Key]:
    """Return the events of the hunt by the predicate and, where it has a threshold, by the Python meaning of that."""
    if every_event(hunt.needs):
        matches = predicate(hunt.condition)
        return {key for key, event in events.items() if matches(event)}
    keys = {id(event): key for key, event in events.items()}
    return {keys[id(event)] for group in groups(hunt, events.values()) for event in group.events}


def expected(events: Events, rules: Iterable[tuple[TagRule, set[Key]]]) -> Events:
    """Return the events as they must be with the rules on those of theirs, the time of tagging aside."""
    out = copy.deepcopy(events)
    on: dict[Key, list[str]] = {}
    for rule, keys in rules:
        for key in keys:
            on.setdefault(key, []).append(rule.id)
    for key, ids in on.items():
        tags = {id.rsplit(".", 1)[1] for id in ids}
        alert = out[key].get("alert") if out[key]["event_type"] == "alert" else None
        foreign = alert.get("tag") if alert else None
        others = {foreign} if isinstance(foreign, str) else set()
        strongest = "relevant" if "relevant" in tags | others else "informational"
        out[key]["hunt"] |= {"tag": strongest, "tag_rules": sorted([*(f"elsewhere.{tag}" for tag in others), *ids])}
        if alert is not None and not isinstance(foreign, list):
            alert["tag"] = strongest
    return out


def seen(events: Events) -> Events:
    """Return the events without the time of tagging, their rules in order."""
    for event in events.values():
        event["hunt"].pop("tagged", None)
        if "tag_rules" in event["hunt"]:
            event["hunt"]["tag_rules"] = sorted(event["hunt"]["tag_rules"])
    return events


# ---- made-up traffic, and rules that overlap on it

DOMAINS = ("corp.example", "cdn.example.org", "example.net", "mail.example.org", "tunnel.example")
CLIENTS = ("10.1.0.5", "10.1.0.6", "10.2.0.7", "2001:db8::7", "192.0.2.9", "198.51.100.3")
AGENTS = ("curl/8.5", "Mozilla/5.0 (X11)", "python-requests/2.31", "")
OTHERS = (None, None, None, "relevant", "informational", "custom", ["relevant", "x"])  # tags of another product


def traffic(count: int, seed: int) -> list[dict[str, Any]]:
    """Return so many raw events of five types, always the same for a seed."""
    chance = random.Random(seed)
    return [_raw(chance, number) for number in range(count)]


def _raw(chance: random.Random, number: int) -> dict[str, Any]:
    """Return one raw event."""
    kind = chance.choice(("dns", "dns", "tls", "http", "flow", "alert"))
    moment = datetime(2026, 11, 2, 8, tzinfo=UTC) + timedelta(seconds=number % 86_400)
    name = f"{chance.choice(('www', 'a', 'x' * 30))}.{chance.choice(DOMAINS)}"
    event: dict[str, Any] = {
        "@timestamp": moment.isoformat(),
        "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%S.%f+0000"),
        "event_type": kind,
        "src_ip": chance.choice(CLIENTS),
        "src_port": chance.randrange(1024, 65_536),
        "dest_ip": chance.choice(("9.9.9.9", "203.0.113.1", "10.0.0.53")),
        "dest_port": chance.choice((53, 80, 443, 8443)),
        "proto": chance.choice(("TCP", "UDP")),
    }
    if kind == "dns":
        event["dns"] = {"type": "query", "rrname": name, "rrtype": chance.choice(("A", "TXT"))}
    elif kind == "tls":
        event["tls"] = {"sni": name, "version": chance.choice(("TLS 1.2", "TLS 1.3"))}
    elif kind == "http":
        event["http"] = {"hostname": name, "url": f"/{number % 7}.exe", "http_user_agent": chance.choice(AGENTS)}
    elif kind == "alert":
        event["alert"] = {"signature_id": 1 + number % 5, "severity": 1 + number % 3}
        other = chance.choice(OTHERS)
        event["alert"] |= {"tag": other} if other else {}
    return event


def rules_that_overlap() -> list[tuple[Hunt, Tag]]:
    """Return twenty conditions that can be answered at write time, most of them on the same events."""
    internal = InNetwork("hunt.client.ip", (network("10.0.0.0/8"), network("2001:db8::/32")))
    conditions: list[tuple[Condition, tuple[str, ...]]] = [
        (All(()), ("alert",)),
        (Compares("alert.signature_id", gte=3), ("alert",)),
        (Equals("alert.severity", (1,)), ("alert", "dns")),
        (UnderDomain("hostname_info.host", ("example.org",)), ("dns", "tls", "http")),
        (UnderDomain("hostname_info.host", ("tunnel.example", "corp.example")), ("dns",)),
        (Equals("dns.rrtype", ("TXT",)), ("dns",)),
        (internal, ("dns", "flow")),
        (None_((internal,)), ("dns", "tls", "http", "flow", "alert")),
        (Equals("src_ip", ("2001:0db8:0000:0000:0000:0000:0000:0007",)), ("dns", "tls", "alert")),
        (Equals("dest_port", (443, 8443)), ("tls", "http", "flow")),
        (Compares("dest_port", lt=100), ("flow", "alert", "http")),
        (Matches("http.http_user_agent", (Pattern("prefix", "CURL"), Pattern("contains", "requests"))), ("http",)),
        (Matches("http.url", (Pattern("wildcard", "/?.EXE"),)), ("http",)),
        (AnyOf((Equals("http.url", ("/3.exe",)), Equals("dest_ip", ("9.9.9.9",)))), ("http", "dns")),
        (Exists("tls.version"), ("tls", "flow")),
        (All((Exists("hunt.name"), None_((Equals("tls.version", ("TLS 1.3",)),)))), ("tls", "dns")),
        (Equals("hunt.resolver.verdict", ("public",)), ("dns",)),
        (Compares("hunt.name.longest_label", gte=30), ("dns", "tls", "http")),
        (Equals("proto", ("UDP",)), ("flow", "dns")),
        (Equals("hunt.client.scope", ("external",)), ("alert", "flow", "tls")),
    ]
    tags: list[Tag] = ["relevant", "informational", "informational"]
    return [(made_hunt(f"rule-{n}", match, *types), tags[n % 3]) for n, (match, types) in enumerate(conditions)]


def write(place: Place, events: Iterable[dict[str, Any]], first: int = 0) -> None:
    """Write raw events, their ids numbered, as the SIEM's own bulk loads do; nothing may be refused."""
    lines: list[dict[str, Any]] = []
    for number, event in enumerate(events, first):
        index = f"{stem_of(place)}{event['event_type']}-1"
        lines += [{"index": {"_index": index, "_id": str(number)}}, event]
    for start in range(0, len(lines), 4000):
        assert place.siem.bulk(lines[start : start + 4000]) == []
    place.siem.call("POST", f"/{stem_of(place)}*/_refresh")
