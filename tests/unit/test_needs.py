"""What a finding needs beyond a number of events: shares, sums, regular gaps, new values; and when a hunt is asked."""

import itertools
import statistics
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.hunts.asking.novelty import Novelty, end_of_day, with_times, within
from connector.hunts.asking.spans import measure, taking_part
from connector.hunts.catalogue.needs import LONGEST_GAP, SHORTEST_GAP, Beacon, FirstSeen, Ratio, Sum
from connector.hunts.catalogue.schedule import next_run, schedule_problem
from connector.hunts.conditions.condition import Equals

START = datetime(2026, 11, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY_MS = 86_400_000


def at(*seconds: float) -> list[tuple[datetime, tuple[bool, ...]]]:
    """Return events at these seconds."""
    return [(START + timedelta(seconds=second), ()) for second in seconds]


def flagged(text: str) -> list[tuple[datetime, tuple[bool, ...]]]:
    """Return an event a minute for each character; `x` matches the condition of a share."""
    return [(START + timedelta(minutes=n), (char == "x",)) for n, char in enumerate(text)]


@pytest.mark.parametrize(
    ("events", "part"),
    [
        ("xxxx", [0, 1, 2, 3]),
        ("xxx", []),  # too few for a share
        ("xx.xx", [0, 1, 3, 4]),
        ("x.x.x.x.", []),
        ("........xxxx", [8, 9, 10, 11]),
    ],
)
def test_the_events_of_a_share_are_those_that_match(events, part):
    needs = Ratio(Equals("a", (1,)), 0.75, 4, timedelta(minutes=4))
    assert taking_part(needs, flagged(events)) == part


def test_what_counts_of_an_event():
    event = {"flow": {"bytes": [10, "20", None, "x"]}, "a": 1}
    assert measure(Sum("flow.bytes", 1, HOUR), "eve")(event) == (10.0, 20.0)
    assert measure(Ratio(Equals("a", (1,)), 0.5, 2, HOUR), "eve")(event) == (True,)
    assert measure(Beacon(4, 0.1, HOUR), "eve")(event) == ()


BEACON = Beacon(5, 0.2, timedelta(hours=6))


@pytest.mark.parametrize(
    ("seconds", "whole"),
    [
        ((0, 60, 120, 180, 240), True),
        ((0, 60, 120, 180), False),  # too few
        ((0, 55, 118, 180, 237, 300), True),  # a little jitter
        ((0, 10, 200, 230, 900, 960, 3000), False),  # as people browse
        ((0, 5, 10, 15, 20, 25), False),  # gaps below ten seconds are one burst
        ((0, 1, 60, 61, 120, 121, 180, 181, 240, 241), True),  # two connections each time
        ((0, 60, 120, 180, 240, 10_000), True),  # one long absence among them
    ],
)
def test_regular_gaps_are_a_beacon(seconds, whole):
    assert taking_part(BEACON, at(*seconds)) == (list(range(len(seconds))) if whole else [])


def regular(times: list[int], needs: Beacon) -> bool:
    """Return whether times are regular, straight from the definition."""
    gaps = [timedelta(seconds=b - a) for a, b in itertools.pairwise(times)]
    gaps = [gap for gap in gaps if SHORTEST_GAP <= gap <= LONGEST_GAP]
    if len(gaps) < needs.n - 1:
        return False
    middle = statistics.median(gaps)
    near = [gap for gap in gaps if middle * (1 - needs.jitter) <= gap <= middle * (1 + needs.jitter)]
    return 2 * len(near) >= len(gaps)


@given(st.lists(st.integers(0, 400), min_size=1, max_size=30), st.sampled_from([0.0, 0.1, 0.3]))
def test_a_beacon_is_found_in_whichever_span_has_it(gaps, jitter):
    needs = Beacon(4, jitter, timedelta(seconds=600))
    times = [sum(gaps[:n]) for n in range(len(gaps))]
    part = set()
    for last, end in enumerate(times):
        first = next(n for n, time in enumerate(times) if end - time <= 600)
        if regular(times[first : last + 1], needs):
            part.update(range(first, last + 1))
    assert set(taking_part(needs, at(*times))) == part


NEW = FirstSeen(("a",), memory=timedelta(days=10), learning=timedelta(0))


def days(*numbers: float) -> list[tuple[int, int]]:
    """Return moments as times in which a value appeared."""
    return [(round(n * DAY_MS), round(n * DAY_MS)) for n in numbers]


def test_a_value_is_new_again_after_it_was_forgotten():
    streaks = with_times(NEW, (), days(0.5, 3, 10, 30, 40.9))
    assert streaks == ((DAY_MS // 2, end_of_day(10 * DAY_MS)), (30 * DAY_MS, end_of_day(round(40.9 * DAY_MS))))
    spans = Novelty(NEW, 0).new(streaks)
    assert [within(round(day * DAY_MS), spans) for day in (0.4, 0.5, 1.4, 1.5, 10, 30, 30.9, 31)] == [
        *(False, True, True, False),
        *(False, True, True, False),
    ]


def test_a_hunt_only_learns_at_first():
    needs = FirstSeen(("a",))
    assert Novelty(needs, 0).new(with_times(needs, (), days(13.9))) == []
    assert Novelty(needs, 0).new(with_times(needs, (), days(14))) == [(14 * DAY_MS, 15 * DAY_MS)]


@given(st.lists(st.lists(st.integers(0, 100), max_size=6), max_size=5), st.randoms())
def test_streaks_are_the_same_however_the_times_come(portions, random):
    whole = with_times(NEW, (), days(*(n for portion in portions for n in portion)))
    random.shuffle(portions)
    streaks = ()
    for portion in portions:
        for _ in range(random.choice([1, 1, 2])):  # as often as a pass is killed
            streaks = with_times(NEW, streaks, days(*portion))
    assert streaks == whole


@pytest.mark.parametrize(
    ("schedule", "last", "then"),
    [
        (None, "2026-11-02T08:00", "2026-11-02T08:05"),
        ("90s", "2026-11-02T08:00", "2026-11-02T08:01:30"),
        ("0 6 * * 1-5", "2026-10-30T06:00", "2026-11-02T06:00"),
        ("30 2 * * *", "2026-03-28T02:30", "2026-03-29T03:00"),  # the half hour is not there that night
        ("30 2 * * *", "2026-10-24T02:30", "2026-10-25T02:30"),  # and is there twice that one
    ],
)
def test_when_a_hunt_is_asked_again(schedule, last, then):
    zone = ZoneInfo("Europe/Berlin")
    assert next_run(schedule, datetime.fromisoformat(last).replace(tzinfo=zone)) == datetime.fromisoformat(
        then
    ).replace(tzinfo=zone)


def test_what_is_no_schedule_is_named():
    assert schedule_problem("5m") is None and schedule_problem("*/5 * * * *") is None
    assert "'hourly', which is neither a time such as 5m nor a cron line" in (schedule_problem("hourly") or "")
