"""What a pass does with what it is given: findings add up once, thresholds whatever the rhythm, and the state moves."""

import itertools
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from connector.hunts.asking import Hit, Window
from connector.hunts.bursts import newly_taking_part
from connector.hunts.catalogue import load_catalogue
from connector.hunts.findings import Addition, finding
from connector.hunts.needs import Count, Distinct, Sum
from connector.hunts.spans import taking_part
from connector.hunts.tally import NEWEST, OLDEST, VALUES, tallied
from connector.hunts.watermark import State
from connector.settings.model import Settings

NOW = datetime(2026, 11, 3, tzinfo=UTC)
DAY = datetime(2026, 11, 2, tzinfo=UTC)
HUNT = load_catalogue(Settings()).named("public-dns-queries")
KEY = ("10.10.10.17", "8.8.8.8")


def hit(number: int, ingested: int = 1, **values: str) -> Hit:
    """Return an event that is `number` seconds into the day."""
    time = DAY + timedelta(seconds=number)
    return Hit("events", f"{number:06d}", time, ingested, (KEY,), {"hostname_info.host": f"host{number:06d}", **values})


def added(old: dict | None, start: int, *hits: Hit) -> dict | None:
    """Return the finding after a window that begins at `start` and has these events."""
    groups = tallied(HUNT, [(each, each.keys) for each in hits]).groups
    return finding(old, Addition(HUNT, KEY, groups[KEY]), start, NOW)


def test_a_window_done_again_adds_nothing_and_one_with_more_events_replaces_its_part() -> None:
    once = added(None, 100, hit(1), hit(2))
    assert once is not None
    assert once["count"] == 2
    assert added(once, 100, hit(1), hit(2)) is None
    more = added(once, 100, hit(1), hit(2), hit(3))
    assert more is not None
    assert (more["count"], more["last"], len(more["events"])) == (3, "2026-11-02T00:00:03.000Z", 3)


def test_later_windows_settle_earlier_ones_and_a_latecomer_changes_nothing() -> None:
    once = added(None, 100, hit(5))
    twice = added(once, 200, hit(7), hit(8))
    assert twice is not None
    assert (twice["count"], twice["first"], list(twice["windows"])) == (3, "2026-11-02T00:00:05.000Z", ["200"])
    assert added(twice, 100, hit(5), hit(6)) is None


def test_what_others_wrote_on_a_finding_stays() -> None:
    once = added(None, 100, hit(1))
    assert once is not None
    assert once["status"] == "open"
    closed = {**once, "status": "closed", "tag": "informational", "comment": "known device"}
    twice = added(closed, 200, hit(2))
    assert twice is not None
    assert (twice["status"], twice["tag"], twice["comment"]) == ("closed", "informational", "known device")


def test_a_finding_of_many_events_keeps_the_oldest_and_newest_and_counts_the_others() -> None:
    found = added(None, 100, *(hit(number) for number in range(3000)))
    assert found is not None
    ids = [event["id"] for event in found["events"]]
    assert ids == [f"{n:06d}" for n in (*range(OLDEST), *range(3000 - NEWEST, 3000))]
    assert found["events_not_kept"] == 3000 - OLDEST - NEWEST
    assert len(found["values"]["hostname_info.host"]) == VALUES
    assert found["cut"] == ["hostname_info.host"]


@given(st.lists(st.integers(0, 400), min_size=1, max_size=400, unique=True), st.data())
def test_a_finding_is_the_same_however_its_events_come(numbers: list[int], data: st.DataObject) -> None:
    events = [hit(number) for number in numbers]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=4)))
    old: dict | None = None
    for start, (first, last) in enumerate(itertools.pairwise([0, *cuts, len(events)])):
        for _ in range(data.draw(st.integers(1, 3))):  # as often as the pass is killed
            if events[first:last]:
                old = added(old, start, *events[first:last]) or old
    whole = added(None, 0, *sorted(events, key=lambda event: event.id))
    assert old is not None and whole is not None
    own = ("settled", "windows", "updated", "made")
    assert {k: v for k, v in old.items() if k not in own} == {k: v for k, v in whole.items() if k not in own}


def test_another_group_and_another_hunt_have_another_id() -> None:
    tally = tallied(HUNT, [(hit(1), (KEY,))]).groups[KEY]
    ids = [
        Addition(hunt, key, tally).id
        for hunt in (HUNT, replace(HUNT, id="another"), replace(HUNT, group_by=("hunt.client.ip", "hunt.server.ip")))
        for key in (KEY, (KEY[1], KEY[0]), (KEY[0], None), (None, KEY[1]))
    ]
    assert len(set(ids)) == len(ids)
    assert Addition(HUNT, KEY, tally).id == ids[0]


TEN = timedelta(seconds=10)
thresholds = st.integers(2, 5).flatmap(
    lambda n: st.sampled_from([Count(n, TEN), Distinct("x", n, TEN), Sum("x", 2 * n, TEN)])
)
timed_events = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 6), st.integers(0, 4)), min_size=1, max_size=40
)  # time, when it came, value


def brute_force(needs: Count | Distinct | Sum, timed: list[tuple[datetime, tuple[int, ...]]]) -> set[int]:
    """Return the positions that lie in some span that reaches the threshold, by trying all spans."""
    part: set[int] = set()
    for first, last in itertools.combinations_with_replacement(range(len(timed)), 2):
        inside = range(first, last + 1)
        values = [value for n in inside for value in timed[n][1]]
        amount = {Count: len(inside), Distinct: len(set(values)), Sum: sum(values)}[type(needs)]
        if timed[last][0] - timed[first][0] <= TEN and amount >= needs.n:
            part.update(inside)
    return part


@given(thresholds, timed_events)
def test_an_event_takes_part_if_some_span_with_it_reaches_the_threshold(
    needs: Count | Distinct | Sum, events: list[tuple[int, int, int]]
) -> None:
    timed = sorted((DAY + timedelta(seconds=time), (value,)) for time, _, value in events)
    part = taking_part(needs, timed)
    assert sorted(set(part)) == part
    assert set(part) == brute_force(needs, timed)


@given(thresholds, timed_events, st.sets(st.integers(1, 6)))
def test_a_threshold_counts_each_event_once_whatever_the_rhythm_of_passes(
    needs: Count | Distinct | Sum, events: list[tuple[int, int, int]], ends: set[int]
) -> None:
    hits = sorted(
        (replace(hit(time, came), id=str(n), measured=(value,)) for n, (time, came, value) in enumerate(events)),
        key=lambda each: (each.time, each.id),
    )
    counted: Counter[str] = Counter()
    for start, end in itertools.pairwise([0, *sorted(ends), 7]):
        there = [each for each in hits if each.ingested <= end]
        counted.update(each.id for each in newly_taking_part(needs, there, start))
    whole = taking_part(needs, [(each.time or NOW, each.measured) for each in hits])
    assert counted == Counter(hits[position].id for position in whole)


def test_a_hunt_that_failed_has_its_window_again_and_the_others_go_on() -> None:
    other = replace(HUNT, id="other")
    state = State(100, hunts=(HUNT.id, other.id)).after(200, [HUNT.id], [HUNT.id, other.id], broken=False)
    assert state.watermark == 200
    assert (state.window(HUNT, 300), state.window(other, 300)) == (Window(100, 300), Window(200, 300))
    again = state.after(300, [HUNT.id], [HUNT.id, other.id], broken=False)
    assert again.window(HUNT, 400) == Window(100, 400)
    healed = again.after(400, [], [HUNT.id, other.id], broken=False)
    assert healed.window(HUNT, 500) == Window(400, 500)


def test_a_hunt_whose_file_is_broken_for_a_while_misses_nothing_and_a_deleted_one_is_forgotten() -> None:
    state = State(100, hunts=(HUNT.id, "other"))
    broken = state.after(200, [], ["other"], broken=True).after(300, [], ["other"], broken=True)
    assert broken.window(HUNT, 400) == Window(100, 400)
    deleted = state.after(200, [], ["other"], broken=False)
    assert deleted.window(HUNT, 300) == Window(200, 300)
    assert deleted.hunts == ("other",)
