"""What a pass does with what it is given: findings add up once, thresholds whatever the rhythm, and the state moves."""

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from connector.hunts.asking.asking import Hit, Window
from connector.hunts.asking.bursts import newly_taking_part
from connector.hunts.asking.spans import taking_part
from connector.hunts.asking.tally import NEWEST, OLDEST, VALUES, tallied
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.needs import Count, Distinct, FirstSeen, Sum
from connector.hunts.passes.findings import Addition, finding
from connector.hunts.passes.intervals import SLOT, joined, pieces, without
from connector.hunts.passes.parts import Turn
from connector.hunts.passes.todo import chosen, due
from connector.hunts.passes.watermark import CENSUS, State
from connector.settings.model import Settings

NOW = datetime(2026, 11, 3, tzinfo=UTC)
DAY = datetime(2026, 11, 2, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HUNT = load_catalogue(Settings()).named("public-dns-queries")
KEY = ("10.10.10.17", "8.8.8.8")


def hit(number: int, ingested: int = 1, **values: str) -> Hit:
    """Return an event that is `number` seconds into the day."""
    time = DAY + timedelta(seconds=number)
    return Hit("events", f"{number:06d}", time, ingested, (KEY,), {"hostname_info.host": f"host{number:06d}", **values})


def added(old: dict | None, start: int, *hits: Hit, end: int | None = None, old_until: int = 0) -> dict | None:
    """Return the finding after a window from `start` (100 long, if no end is given) has these events."""
    groups = tallied(HUNT, [(each, each.keys) for each in hits]).groups
    turn = Turn(start, start + 100 if end is None else end, start, old_until)
    return finding(old, Addition(HUNT, KEY, groups[KEY]), turn, NOW)


def test_a_window_done_again_adds_nothing_and_one_with_more_events_replaces_its_part() -> None:
    once = added(None, 100, hit(1), hit(2))
    assert once is not None
    assert once["count"] == 2
    assert added(once, 100, hit(1), hit(2)) is None
    more = added(once, 100, hit(1), hit(2), hit(3))
    assert more is not None
    assert (more["count"], more["last"], len(more["events"])) == (3, "2026-11-02T00:00:03.000Z", 3)


def test_windows_of_a_slot_become_one_that_is_replaced_as_a_whole() -> None:
    found = added(added(added(None, 100, hit(1)), 200, hit(2)), SLOT, hit(3), hit(4))
    assert found is not None
    assert {start: part["count"] for start, part in found["windows"].items()} == {"100": 2, str(SLOT): 2}
    again = added(found, 0, hit(1), hit(2), hit(5), end=SLOT)
    assert again is not None
    assert again["count"] == 5


def test_a_latecomer_changes_nothing_where_another_has_come_further() -> None:
    further = added(None, 100, hit(1), hit(2), end=300)
    assert added(further, 100, hit(1), end=200) is None
    assert added(further, 200, hit(2), end=300) is None


def test_what_is_old_is_settled_and_never_counted_again_but_what_came_before_it_may_be_added() -> None:
    found = added(added(None, SLOT, hit(1)), 3 * SLOT, hit(7), hit(8), old_until=2 * SLOT)
    assert found is not None
    assert (found["count"], found["settled"]["count"], list(found["windows"])) == (3, 1, [str(3 * SLOT)])
    assert added(found, SLOT, hit(1), hit(2)) is None
    before = added(found, 0, hit(0), end=SLOT)
    assert before is not None
    assert before["count"] == 4


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


@given(st.lists(st.integers(0, 400), min_size=1, max_size=200, unique=True), st.data())
def test_a_finding_is_the_same_in_whatever_windows_order_and_repetition_its_events_come(
    numbers: list[int], data: st.DataObject
) -> None:
    """Windows of a few slots, done as often as passes are killed, in any order, some again as a whole slot."""
    came = {number: data.draw(st.integers(1, 4 * SLOT)) for number in numbers}
    cuts = {*(SLOT * n for n in range(5)), *data.draw(st.sets(st.integers(0, 4 * SLOT), max_size=8))}
    windows = data.draw(st.permutations(list(itertools.pairwise(sorted(cuts)))))
    slots = [(SLOT * n, SLOT * (n + 1)) for n in range(4)]
    todo = [(w, data.draw(st.integers(1, 2))) for w in windows] + [(w, 1) for w in slots if data.draw(st.booleans())]
    old: dict | None = None
    left = set(windows)
    for (start, end), times in todo:
        for _ in range(times):
            own = [hit(number) for number in numbers if start < came[number] <= end]
            if own:
                groups = tallied(HUNT, [(each, each.keys) for each in own]).groups
                done = min([start, *(first for first, _ in left)])
                old = finding(old, Addition(HUNT, KEY, groups[KEY]), Turn(start, end, done, 0), NOW) or old
        left -= {(start, end)}
    whole = added(None, 0, *(hit(number) for number in sorted(numbers)), end=4 * SLOT)
    assert old is not None and whole is not None
    own_parts = ("settled", "windows", "updated", "made")
    assert {k: v for k, v in old.items() if k not in own_parts} == {
        k: v for k, v in whole.items() if k not in own_parts
    }


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
    state = State(100, 100, hunts=(HUNT.id, "other")).until(200, [HUNT.id, "other"], broken=False)
    assert state.missing == {CENSUS: ((100, 200),), HUNT.id: ((100, 200),), "other": ((100, 200),)}
    state = state.less({CENSUS: [(100, 200)], "other": [(100, 200)]}, {}).until(300, [HUNT.id, "other"], broken=False)
    assert (state.of(HUNT.id), state.of("other")) == (((100, 300),), ((200, 300),))
    assert (state.done_until(HUNT.id), state.done_until("other"), state.done_until("no such")) == (100, 200, 300)


def test_a_hunt_whose_file_is_broken_for_a_while_misses_nothing_and_a_deleted_one_is_forgotten() -> None:
    state = State(100, 100, hunts=(HUNT.id, "other"))
    broken = state.until(200, ["other"], broken=True).until(300, ["other"], broken=True)
    assert broken.of(HUNT.id) == ((100, 300),)
    deleted = state.until(200, ["other"], broken=False)
    assert (deleted.of(HUNT.id), deleted.hunts) == ((), ("other",))


stretches = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda p: (min(p), max(p))), max_size=8)


@given(stretches, stretches)
def test_stretches_are_sets_of_moments(some: list[tuple[int, int]], gone: list[tuple[int, int]]) -> None:
    def moments(found: Iterable[tuple[int, int]]) -> set[int]:
        """Return the moments of stretches."""
        return {moment for start, end in found for moment in range(start + 1, end + 1)}

    left = without(joined(some), gone)
    assert moments(left) == moments(some) - moments(gone)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(left))
    assert list(pieces(((5, 2 * SLOT + 1),))) == [(5, SLOT), (SLOT, 2 * SLOT), (2 * SLOT, 2 * SLOT + 1)]


COUNTING = replace(HUNT, id="counting", needs=Count(3, timedelta(minutes=5)))
CRON = replace(COUNTING, id="cron", schedule="0 6 * * *")
MINUTE = 60_000


def test_a_hunt_that_counts_waits_for_its_schedule_and_misses_nothing() -> None:
    lag, everybody = timedelta(seconds=60), [HUNT, COUNTING, CRON]
    state = State(0, 0)
    asked: dict[str, list[tuple[int, int]]] = {each.id: [] for each in everybody}
    for minute in range(1, 24 * 60 + 1):
        now = EPOCH + timedelta(minutes=minute + 1)
        state = state.until(minute * MINUTE, [each.id for each in everybody], broken=False)
        while todo := chosen(state, [each for each in everybody if due(each, state, lag, now)], newest=minute % 2 == 0):
            gone = {hunt.id: [(window.start, window.end)] for hunt, window in todo.windows}
            for hunt, window in todo.windows:
                asked[hunt.id].append((window.start, window.end))
            state = state.less(
                {**gone, **({CENSUS: [(todo.census.start, todo.census.end)]} if todo.census else {})}, {}
            )
    assert len(asked[HUNT.id]) == 24 * 60
    assert len(asked["counting"]) == 24 * 12
    assert joined(asked["cron"]) == ((0, 6 * 60 * MINUTE - MINUTE),)
    for own in asked.values():
        assert sum(end - start for start, end in own) == joined(own)[0][1]  # no moment twice, none left out


def test_a_hunt_that_remembers_looks_at_the_past_in_order() -> None:
    first_seen = replace(HUNT, id="new", needs=FirstSeen(("hunt.client.ip",)))
    state = State(0, 0).until(3 * SLOT, [HUNT.id, "new"], broken=False)
    newest = chosen(state, [HUNT, first_seen], newest=True)
    assert [(hunt.id, window.start) for hunt, window in newest.windows] == [(HUNT.id, 2 * SLOT)]
    oldest = chosen(state, [HUNT, first_seen], newest=False)
    assert [(hunt.id, window.start) for hunt, window in oldest.windows] == [(HUNT.id, 0), ("new", 0)]


def test_what_is_to_be_done_costs_no_more_for_a_hundred_thousand_years_without_a_pass() -> None:
    end = 100_000 * 365 * 86_400_000 + 5
    state = State(end, 0, {CENSUS: ((0, end),), HUNT.id: ((0, end),)})
    assert chosen(state, [HUNT], newest=False).whole == Window(0, 600_000)
    assert chosen(state, [HUNT], newest=True).whole == Window(end - 5, end)
