"""The audit and replays on real engines: whatever comes late is found, once, as if it had come in time."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from made_events import CutWire, at_least, event, hunt, make_state, put_events, settings_in

from connector.errors import Refused, Unreachable
from connector.hunts.asking.groups import groups
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import FirstSeen
from connector.hunts.passes.audit import Audit, audit, replay
from connector.hunts.passes.intervals import SLOT
from connector.hunts.passes.passes import Order, Pass, run_pass
from connector.settings.model import Settings
from connector.siem.client import Siem
from tests.conftest import Place

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = 60_000
CLIENTS = ("192.0.2.1", "192.0.2.2", "2001:db8::1")
HUNTS = (
    hunt(),
    hunt("burst", needs=at_least(4)),
    hunt("many-names", needs=at_least(3, 30, "hostname_info.domain")),
)
NEW = hunt("new-name", needs=FirstSeen(("hostname_info.domain",), learning=timedelta(minutes=1)))


def at(moment: int) -> datetime:
    """Return epoch milliseconds as a moment."""
    return EPOCH + timedelta(milliseconds=moment)


def passes(siem: Siem, settings: Settings, end: int, *hunts: Hunt, newest: bool = False) -> list[Pass]:
    """Return the passes that are made until nothing is left to look at up to `end` milliseconds."""
    done: list[Pass] = []
    while not done or done[-1].left_ms:
        order = Order(hunts or HUNTS, timedelta(), newest=newest)
        done.append(run_pass(siem, settings, order, lambda: at(end), lambda *_: None))
    assert [hunt for each in done for hunt in each.failed] == []
    return done


def audited(siem: Siem, settings: Settings, end: int, *hunts: Hunt) -> Audit:
    """Return an audit of the last day, at `end` milliseconds."""
    return audit(siem, settings, hunts or HUNTS, timedelta(hours=24), at(end))


def numbers(siem: Siem, settings: Settings) -> dict[tuple[str, ...], int]:
    """Return the count of each finding by hunt and group."""
    siem.call("POST", f"/{settings.state('findings')}/_refresh")
    found = [hit["_source"] for hit in siem.scan(settings.state("findings"), {"query": {"match_all": {}}})]
    return {(f["hunt"]["name"], *(str(f["group"][name]) for name in f["group_by"])): f["count"] for f in found}


def expected(events: list[dict[str, Any]], *hunts: Hunt) -> dict[tuple[str, ...], int]:
    """Return what the Python reference finds among the events."""
    return {
        (each.name, *map(str, group.values.values())): len(group.events)
        for each in hunts or HUNTS
        for group in groups(each, events)
    }


def some_events(chance: random.Random, number: int, came: tuple[int, int]) -> list[dict[str, Any]]:
    """Return events that happened within ten minutes and came between two moments."""
    return [
        event(chance.uniform(0, 600), chance.randint(*came), chance.choice(CLIENTS), f"{chance.choice('abc')}.example")
        for _ in range(number)
    ]


@pytest.mark.parametrize("seed", range(2))
def test_events_written_late_are_found_once(each_place: Place, seed: int) -> None:
    siem, settings, chance = each_place.siem, settings_in(each_place), random.Random(seed)
    events = some_events(chance, 60, (1, 90 * MINUTE))
    put_events(each_place, events)
    for minute in (1, 17, 18, 40, 61, 90):
        passes(siem, settings, minute * MINUTE)
    assert numbers(siem, settings) == expected(events)
    for ago in (5, 20, 60):
        late = some_events(chance, 5, ((90 - ago) * MINUTE, (90 - ago) * MINUTE + 999))
        put_events(each_place, late)
        events += late
    passes(siem, settings, 91 * MINUTE)
    assert numbers(siem, settings) != expected(events)
    found = audited(siem, settings, 91 * MINUTE)
    assert found.late == 15
    assert [(one.start, one.present - one.counted) for one in found.grown] == [
        (30 * MINUTE, 5),
        (70 * MINUTE, 5),
        (80 * MINUTE, 5),
    ]
    assert passes(siem, settings, 92 * MINUTE)[0].kind == "again"
    assert numbers(siem, settings) == expected(events)
    assert audited(siem, settings, 92 * MINUTE).grown == ()
    assert passes(siem, settings, 92 * MINUTE)[0].start == at(92 * MINUTE)


def test_events_shown_late_are_found_once(each_place: Place) -> None:
    siem, settings = each_place.siem, settings_in(each_place)
    shown = [event(n, 5 * MINUTE, CLIENTS[0]) for n in range(3)]
    put_events(each_place, shown)
    index = siem.search(settings.events, {})["hits"]["hits"][0]["_index"]
    siem.call("PUT", f"/{index}/_settings", {"index": {"refresh_interval": "-1"}})
    hidden = [event(10 + n, 5 * MINUTE, CLIENTS[0]) for n in range(3)]
    siem.bulk([line for one in hidden for line in ({"index": {"_index": index}}, one)])
    passes(siem, settings, 6 * MINUTE)
    assert numbers(siem, settings) == expected(shown)
    assert audited(siem, settings, 6 * MINUTE).grown == ()
    siem.call("POST", f"/{index}/_refresh")
    assert audited(siem, settings, 7 * MINUTE).late == 3
    passes(siem, settings, 7 * MINUTE)
    assert numbers(siem, settings) == expected(shown + hidden)


def test_a_value_that_was_new_earlier_than_thought_is_new_once(place: Place) -> None:
    """The late event is the first of its value: what came after is new no longer from then on, a day later."""
    siem, settings = place.siem, settings_in(place)
    day = 86_400
    put_events(place, [event(0, 1, CLIENTS[0], "known.example")])
    seen = (2 * day + 3600, 3 * day + 1800)  # within a day
    put_events(place, [event(second, 5 * MINUTE, CLIENTS[0], "x.example") for second in seen])
    passes(siem, settings, 6 * MINUTE, NEW)
    assert numbers(siem, settings) == {("new-name", CLIENTS[0]): 2}
    put_events(place, [event(day * 2, 5 * MINUTE, CLIENTS[1], "x.example")])
    assert audited(siem, settings, 7 * MINUTE, NEW).late == 1
    passes(siem, settings, 7 * MINUTE, NEW)
    once = settings_again(place, settings)
    passes(siem, once, 7 * MINUTE, NEW)
    assert numbers(siem, settings) == numbers(siem, once) == {("new-name", c): 1 for c in CLIENTS[:2]}


def settings_again(place: Place, settings: Settings) -> Settings:
    """Return the same settings with a state of their own, as if nothing had been done yet."""
    again = replace(settings, prefix=f"{settings.prefix}again-")
    make_state(place.siem, again)
    return again


def test_cut_off_after_any_call_the_audit_still_finds_all(place: Place) -> None:
    siem, settings, chance = place.siem, settings_in(place), random.Random(5)
    events = some_events(chance, 40, (1, 30 * MINUTE))
    put_events(place, events)
    passes(siem, settings, 30 * MINUTE)
    late = some_events(chance, 6, (1, 30 * MINUTE))
    put_events(place, late)
    calls = 0
    while True:
        calls += 1
        try:
            cut = Siem(CutWire(siem._wire, calls, True), siem.product)
            audited(cut, settings, 31 * MINUTE)
            passes(cut, settings, 31 * MINUTE)
            break
        except Unreachable:
            continue
    assert calls > 10
    assert numbers(siem, settings) == expected(events + late)


def test_events_that_were_deleted_hide_none_that_come_late(place: Place) -> None:
    siem, settings, chance = place.siem, settings_in(place), random.Random(6)
    events = some_events(chance, 40, (1, SLOT))
    put_events(place, events)
    passes(siem, settings, SLOT, HUNTS[0])
    gone = {"query": {"term": {"hunt.client.ip": CLIENTS[0]}}}
    siem.call("POST", f"/{settings.events}/_delete_by_query", gone, refresh=True)
    assert audited(siem, settings, SLOT).grown == ()
    late = [event(1, 77, CLIENTS[1])]
    put_events(place, late)
    assert audited(siem, settings, SLOT).late == 1
    passes(siem, settings, SLOT + 1, HUNTS[0])
    assert numbers(siem, settings) == expected(events + late, HUNTS[0])


def test_a_new_hunt_looks_at_the_past_if_it_is_told_to(each_place: Place) -> None:
    siem, settings, chance = each_place.siem, settings_in(each_place), random.Random(7)
    events = some_events(chance, 60, (1, 45 * MINUTE))
    put_events(each_place, events)
    with pytest.raises(Refused, match="no pass was made yet"):
        replay(siem, settings, HUNTS, (0, MINUTE), at(MINUTE))
    passes(siem, settings, 45 * MINUTE, HUNTS[0])
    passes(siem, settings, 46 * MINUTE)
    assert numbers(siem, settings) == expected(events, HUNTS[0])
    assert replay(siem, settings, HUNTS[1:], (MINUTE, 41 * MINUTE), at(46 * MINUTE)) == (0, 46 * MINUTE)
    passes(siem, settings, 47 * MINUTE)
    assert numbers(siem, settings) == expected(events)


def test_newest_first_ends_the_same(place: Place) -> None:
    siem, settings, chance = place.siem, settings_in(place), random.Random(8)
    put_events(place, [event(1, 1, CLIENTS[0])])
    everybody = (*HUNTS, NEW)
    passes(siem, settings, MINUTE, *everybody)
    put_events(place, some_events(chance, 80, (2 * MINUTE, 70 * MINUTE)))
    done = passes(siem, settings, 75 * MINUTE, *everybody, newest=True)
    assert [each.end for each in done][:2] == [at(75 * MINUTE), at(70 * MINUTE)]
    once = settings_again(place, settings)
    passes(siem, once, 75 * MINUTE, *everybody)
    assert numbers(siem, settings) == numbers(siem, once)
