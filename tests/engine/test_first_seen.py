"""What was never seen before, on real engines: what passes remember, and what they find for the first time."""

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from connector.errors import Unreachable
from connector.hunts.asking.groups import groups
from connector.hunts.asking.run import Span, run_hunts
from connector.hunts.catalogue.needs import Beacon, FirstSeen, Ratio, Sum
from connector.hunts.conditions.condition import Equals
from connector.hunts.passes.listing import list_findings
from connector.hunts.passes.passes import Order, run_pass
from connector.siem.client import Siem
from tests.conftest import Place
from tests.engine.made_events import DAY, CutWire, event, hunt, put_events, settings_in

DOMAIN = ("hostname_info.domain",)
NEW = FirstSeen(DOMAIN, learning=timedelta(days=2), memory=timedelta(days=5), window=timedelta(hours=6))
HOURS = 3600


def clock(came: int):
    """Return a clock that shows the milliseconds since 1970."""
    return lambda: DAY.replace(year=1970, month=1, day=1, hour=0) + timedelta(milliseconds=came)


def passes(place: Place, settings, hunts, *ends: int) -> None:
    """Make passes that end at these milliseconds."""
    for end in ends:
        place.siem.call("POST", f"/{settings.events}/_refresh")
        run_pass(place.siem, settings, Order(hunts, lag=timedelta(0)), clock(end), lambda *_: None)


def found(place: Place, settings) -> dict[str, int]:
    """Return the number of events of each finding by its domain."""
    return {str(each.group[DOMAIN[0]]): each.count for each in list_findings(place.siem, settings).findings}


def fortnight() -> list[dict]:
    """Return events of 14 days: some domains daily, some new, one that comes back after it was forgotten."""
    dice = random.Random(7)
    events = []
    for hour in range(0, 14 * 24, 3):
        names = [f"daily{n}.example" for n in range(4)]
        names += [f"new{hour // 24}.example"] if dice.random() < 0.4 else []
        names += ["rare.example"] if hour in (0, 3, 200, 203, 210) else []
        events += [event(hour * HOURS + n, came=hour + 1, domain=name) for n, name in enumerate(names)]
    return events


@pytest.mark.parametrize("step", [400, 100, 24])
def test_passes_find_what_the_reference_finds_whatever_their_rhythm(each_place: Place, step: int) -> None:
    settings, events = settings_in(each_place), fortnight()
    put_events(each_place, events)
    asked = hunt(needs=NEW, group_by=DOMAIN)
    passes(each_place, settings, [asked], *range(step, 401, step))
    expected = {str(g.values[DOMAIN[0]]): len(g.events) for g in groups(asked, events)}
    assert found(each_place, settings) == expected and "rare.example" in expected
    (run,) = run_hunts(each_place.siem, settings, [asked], Span(), progress=lambda *_: None).hunts
    assert {g.group[DOMAIN[0]]: g.count for g in run.groups} == expected


def test_a_pass_that_is_killed_anywhere_and_done_again_finds_the_same(place: Place) -> None:
    settings, events = settings_in(place), fortnight()
    put_events(place, events)
    asked = hunt(needs=NEW, group_by=DOMAIN)
    expected = Counter({str(g.values[DOMAIN[0]]): len(g.events) for g in groups(asked, events)})
    for calls in range(1, 200):
        wire = CutWire(place.siem._wire, calls, answered=calls % 2 == 0)
        siem = Siem(wire, place.siem.product)
        try:
            run_pass(siem, settings, Order([asked], lag=timedelta(0)), clock(400), lambda *_: None)
        except Unreachable:
            continue
        break
    else:
        pytest.fail("the pass was never whole")
    place.siem.call("POST", f"/{settings.state('findings')}/_refresh")
    assert found(place, settings) == expected


def test_what_is_long_past_is_deleted_and_changes_no_answer(place: Place) -> None:
    settings = settings_in(place)
    asked = hunt(needs=NEW, group_by=DOMAIN)
    noon = round(DAY.timestamp()) * 1000

    def came(day: int, *domains: str) -> list[dict]:
        """Return events of a day, written on that day."""
        return [event(day * 24 * HOURS + n, noon + day * 86_400_000, domain=name) for n, name in enumerate(domains)]

    days = [came(0, "old.example", "gone.example"), *(came(day, "daily.example") for day in range(1, 14))]
    days.append(came(14, "old.example"))
    for day, events in enumerate(days):
        put_events(place, events)
        passes(place, settings, [asked], noon + day * 86_400_000 + 1)
        place.siem.call("POST", f"/{settings.state('seen')}/_refresh")
    query = {"query": {"exists": {"field": "value"}}}
    left = [hit["_source"]["streaks"] for hit in place.siem.scan(settings.state("seen"), query)]
    assert len(left) == 2 and all(len(streaks) == 1 for streaks in left)
    everything = [each for events in days for each in events]
    expected = {str(g.values[DOMAIN[0]]): len(g.events) for g in groups(asked, everything)}
    assert found(place, settings) == expected and expected["old.example"] == 1


def test_what_is_long_past_is_looked_for_once_a_day(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, noon = settings_in(place), round(DAY.timestamp()) * 1000
    asked, deletions, call = hunt(needs=NEW, group_by=DOMAIN), [], place.siem._wire.call

    def watched(method: str, path: str, *more: object) -> object:
        """Carry a call, and note it if it deletes."""
        deletions.extend([path] if path.endswith("_delete_by_query") else [])
        return call(method, path, *more)

    monkeypatch.setattr(place.siem._wire, "call", watched)
    for hour, day in ((0, 0), (1, 0), (2, 0), (24, 1), (25, 1)):
        came = noon + hour * HOURS * 1000
        put_events(place, [event(hour * HOURS, came, domain=f"{hour}.example")])
        passes(place, settings, [asked], came + 1)
        assert len(deletions) == day + 1


def test_a_hunt_says_that_it_only_learns(each_place: Place) -> None:
    settings = settings_in(each_place)
    put_events(each_place, [event(1), event(2, domain="b.example")])
    asked = hunt(needs=FirstSeen(DOMAIN))
    (run,) = run_hunts(each_place.siem, settings, [asked], Span(), progress=lambda *_: None).hunts
    assert run.status == "still learning: what is new counts from 2026-11-16 on" and run.matching == 2
    done = run_pass(each_place.siem, settings, Order([asked], lag=timedelta(0)), clock(9), lambda *_: None)
    assert done.hunts[0].trouble == run.status


def test_a_value_of_several_fields_and_sources(place: Place) -> None:
    settings = settings_in(place, "logs", "more")
    pair = hunt(needs=replace(NEW, value=("hunt.client.ip", *DOMAIN), learning=timedelta(0)), group_by=DOMAIN)
    old = [event(0, domain="a.example"), event(1, client="192.0.2.2", domain="b.example")]
    put_events(place, old, "logs")
    later = [
        event(10 * HOURS, client=["192.0.2.1", "192.0.2.2"], domain="a.example"),
        event(9 * HOURS, domain="c.example"),
    ]
    put_events(place, later, "more")
    passes(place, settings, [pair], 5)
    assert found(place, settings) == {"a.example": 2, "b.example": 1, "c.example": 1}


def test_sums_shares_and_beacons_are_as_in_the_reference(each_place: Place) -> None:
    settings = settings_in(each_place)
    minute = timedelta(minutes=1)
    events = [event(60 * n + n % 3, client="192.0.2.1", domain=f"d{n % 2}") for n in range(20)]
    events += [event(n * n * 7, client="192.0.2.2", domain="d1") for n in range(20)]
    for n, each in enumerate(events):
        each["hunt"]["name"] = {"subdomain_length": n % 7}
    put_events(each_place, events)
    hunts = [
        hunt("sum", needs=Sum("hunt.name.subdomain_length", 20, 10 * minute)),
        hunt("share", needs=Ratio(Equals(DOMAIN[0], ("d1",)), 0.9, 5, 20 * minute)),
        hunt("beacon", needs=Beacon(10, 0.1, 30 * minute)),
    ]
    runs = run_hunts(each_place.siem, settings, hunts, Span(), progress=lambda *_: None).hunts
    for asked, run in zip(hunts, runs, strict=True):
        expected = {g.values["hunt.client.ip"]: len(g.events) for g in groups(asked, events)}
        assert {g.group["hunt.client.ip"]: g.count for g in run.groups} == expected, asked.name
        assert expected
    assert {g.group["hunt.client.ip"] for g in runs[2].groups} == {"192.0.2.1"}


def test_a_hunt_on_an_empty_list_is_not_set_up(each_place: Place) -> None:
    settings = settings_in(each_place)
    put_events(each_place, [event(1)])
    asked = hunt("lacking", Equals("hostname_info.domain", (), "own-domains"))
    (run,) = run_hunts(each_place.siem, settings, [asked], Span(), progress=lambda *_: None).hunts
    assert run.status == "not set up: the list own-domains is empty"
    done = run_pass(each_place.siem, settings, Order([asked], lag=timedelta(0)), clock(9), lambda *_: None)
    assert done.hunts[0].trouble == run.status
