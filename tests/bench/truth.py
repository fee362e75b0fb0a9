"""What must have been found among the events that are stored, and how it differs from what was.

The reference are the predicates and groups of `connector.hunts` in plain Python over the events as the engine has them,
which share with passes neither queries nor windows nor state. What they cannot tell, whatever a finding has besides its
count, times and events, and hunts whose findings depend on when they were asked, is compared with passes that nobody
disturbed.

Promises: reads findings and events; writes under a prefix of its own only. Will not: ask an engine which event matches.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from connector.hunts.asking.asking import text_key
from connector.hunts.asking.groups import event_time, groups
from connector.hunts.asking.questions import Known
from connector.hunts.asking.tally import instant, kept_references
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import Beacon, Count, FirstSeen, Ratio, every_event
from connector.hunts.conditions.condition import All, query_only
from connector.hunts.passes.passes import Order, run_pass
from connector.settings.model import Settings
from connector.siem.client import Siem
from connector.siem.state import STATE_MAPPINGS

ONE, COUNTING, NEW, SHARE = "one event", "count, distinct, sum", "first seen", "ratio, beacon"
OF_WHEN = ("settled", "windows", "made", "updated")  # what a finding has of when and in which portions it was written
SHOWN = 5  # differences of a kind
Json = dict[str, Any]
Name = tuple[str, ...]  # of a finding: its hunt and the values of its group


def kind_of(hunt: Hunt) -> str:
    """Return which kind of needs a hunt has, as they are compared."""
    if every_event(hunt.needs):
        return ONE
    if isinstance(hunt.needs, FirstSeen):
        return NEW
    return SHARE if isinstance(hunt.needs, Ratio | Beacon) else COUNTING


@dataclass(frozen=True)
class Expected:
    """What a finding must say: how many events, the first and last time, and where the events it keeps are."""

    count: int
    first: str | None
    last: str | None
    events: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, events: Sequence[Mapping[str, Any]]) -> Expected:
        """Return what the finding of these events says."""
        times = [event_time(event) for event in events]
        references = ({"index": e["_index"], "id": e["_id"], "time": instant(event_time(e))} for e in events)
        kept = tuple((one["index"], one["id"]) for one in kept_references(references))
        return cls(len(events), instant(min(times)), instant(max(times)), kept)

    @classmethod
    def said(cls, finding: Json) -> Expected:
        """Return what a stored finding says."""
        events = tuple((one["index"], one["id"]) for one in finding["events"])
        return cls(finding["count"], finding["first"], finding["last"], events)


@dataclass
class Compared:
    """One kind of hunts: how many hunts have findings, how many findings and events in them, and what is wrong."""

    hunts: int = 0
    findings: int = 0
    events: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def differs(self, what: str, example: str) -> None:
        """Note a difference."""
        self.wrong[what] += 1
        if self.wrong[what] <= SHOWN:
            self.examples.append(f"{what}: {example}")


def stored_events(siem: Siem, settings: Settings) -> list[Json]:
    """Return all events with the index and the id they have."""
    siem.call("POST", f"/{settings.events}/_refresh")
    hits = siem.scan(settings.events, {"query": {"match_all": {}}}, page=5000)
    return [{**hit["_source"], "_index": hit["_index"], "_id": hit["_id"]} for hit in hits]


def found(siem: Siem, settings: Settings) -> dict[str, Json]:
    """Return all findings by id."""
    index = settings.state("findings")
    siem.call("POST", f"/{index}/_refresh")
    return {hit["_id"]: hit["_source"] for hit in siem.scan(index, {"query": {"match_all": {}}})}


def expected(hunts: Iterable[Hunt], events: Sequence[Json]) -> Iterator[tuple[Hunt, dict[Name, Expected]]]:
    """Yield each hunt that Python can judge with what it must find."""
    by_type: dict[str, list[Json]] = defaultdict(list)
    for event in events:
        by_type[event["event_type"]].append(event)
    for hunt in hunts:
        if hunt.not_set_up or query_only(hunt.condition):
            continue
        own = [event for kind in hunt.event_types for event in by_type[kind]]
        named = ((_name(hunt, group.values.values()), group.events) for group in groups(hunt, own))
        yield hunt, {name: Expected.of(members) for name, members in named}


def against_reference(
    hunts: Sequence[Hunt], events: Sequence[Json], findings: Mapping[str, Json]
) -> dict[str, Compared]:
    """Return for each kind of hunts how its findings differ from the reference.

    A share or a beacon has at least what the reference finds in all events, and no more than the group's events.
    """
    said: dict[str, dict[Name, Expected]] = defaultdict(dict)
    for one in findings.values():
        name = (one["hunt"]["name"], *(str(one["group"][field]) for field in one["group_by"]))
        said[name[0]][name] = Expected.said(one)
    compared: dict[str, Compared] = defaultdict(Compared)
    for hunt, truth in expected(hunts, events):
        kind, own = kind_of(hunt), said[hunt.name]
        into = compared[kind]
        into.hunts += bool(truth)
        into.findings += len(truth)
        into.events += sum(each.count for each in truth.values())
        if kind == SHARE:
            ((_, most),) = expected([_every(hunt)], events)
            _at_least(into, truth, most, own)
        else:
            _the_same(into, truth, own)
    return dict(compared)


def _the_same(into: Compared, truth: Mapping[Name, Expected], own: Mapping[Name, Expected]) -> None:
    """Note where findings are not those of the reference."""
    for name in sorted(truth.keys() | own.keys()):
        must, has = truth.get(name), own.get(name)
        if must is None:
            into.differs("too much", f"{name}: {has}")
        elif has is None:
            into.differs("missing", f"{name}: {must}")
        elif has.count != must.count:
            into.differs("count", f"{name}: {has.count} in place of {must.count}")
        elif has != must:
            into.differs("times or events", f"{name}: {has} in place of {must}")


def _at_least(
    into: Compared, truth: Mapping[Name, Expected], most: Mapping[Name, Expected], own: Mapping[Name, Expected]
) -> None:
    """Note where findings have less than the reference or more than there is; where they may have more, too."""
    for name in sorted(truth.keys() | own.keys()):
        least, has = truth[name].count if name in truth else 0, own[name].count if name in own else 0
        there = most[name].count if name in most else 0
        if has < least:
            into.differs("less than the reference", f"{name}: {has} in place of {least}")
        elif has > there:
            into.differs("more than there are events", f"{name}: {has} of {there}")
        elif has > least:
            into.differs("more than the reference (may be)", f"{name}: {has}, at the end {least} of {there}")


def _every(hunt: Hunt) -> Hunt:
    """Return the hunt for every single event that a share or a beacon may count."""
    match = All((hunt.match, hunt.needs.of)) if isinstance(hunt.needs, Ratio) else hunt.match
    return replace(hunt, match=match, needs=Count())


def _name(hunt: Hunt, values: Iterable[Any]) -> Name:
    """Return the name of a finding."""
    return (hunt.name, *map(str, text_key(values)))


def undisturbed(siem: Siem, settings: Settings, hunts: Sequence[Hunt], now: datetime) -> dict[str, Json]:
    """Return the findings by id of passes that nobody disturbs, in slots of ten minutes from the oldest event on."""
    own = replace(settings, prefix=f"undisturbed-{settings.prefix}")
    for name, properties in STATE_MAPPINGS.items():
        siem.call("PUT", f"/{own.state(name)}", {"mappings": {"dynamic": False, "properties": properties}})
    order, known = Order(hunts, timedelta()), Known()
    while True:
        done = run_pass(siem, own, order, lambda: now, lambda *_: None, known=known)
        if done.failed:
            raise SystemExit(f"an undisturbed pass failed: {done.failed[0]}")
        if not done.left_ms:
            return found(siem, own)


def against_undisturbed(
    hunts: Sequence[Hunt], findings: Mapping[str, Json], others: Mapping[str, Json]
) -> dict[str, Compared]:
    """Return for each kind of hunts how its findings differ, in anything, from those of undisturbed passes."""
    kinds = {hunt.id: kind_of(hunt) for hunt in hunts}
    compared: dict[str, Compared] = defaultdict(Compared)
    named: dict[str, set[str]] = defaultdict(set)
    for id in sorted(findings.keys() | others.keys()):
        has, must = findings.get(id), others.get(id)
        hunt = (has or must or {})["hunt"]
        into = compared[kinds[hunt["id"]]]
        named[kinds[hunt["id"]]].add(hunt["id"])
        into.findings += must is not None
        into.events += must["count"] if must else 0
        example = f"{hunt['name']} {list((has or must or {})['group'].values())}"
        if has is None or must is None:
            into.differs("missing" if must else "too much", f"{example}: {(has or must or {})['count']} events")
            continue
        for name in sorted((has.keys() | must.keys()) - set(OF_WHEN)):
            if has.get(name) != must.get(name):
                short = (str(each.get(name))[:200] for each in (has, must))
                into.differs(name, f"{example}: {' in place of '.join(short)}")
    for kind, ids in named.items():
        compared[kind].hunts = len(ids)
    return dict(compared)
