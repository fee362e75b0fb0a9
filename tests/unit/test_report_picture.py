"""The timeline: which time it shows, what is on which lane, and that it stays a picture whatever there is to show."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from made_reports import FIRST, LAST, beacon, step

from connector.respond.report.activity import BINS, width
from connector.respond.report.model import Activity, Bin, Decision
from connector.respond.report.picture import LEFT, MOST_MARKS, RIGHT, WIDTH, described, picture
from connector.respond.report.texts import moment, written
from connector.respond.report.timeline import span_of, timeline_of, with_activity


def drawn(steps, decisions=(), activity=None) -> ElementTree.Element:
    """Return the picture of some steps, read as XML."""
    timeline = timeline_of(steps, decisions)
    return ElementTree.fromstring(picture(with_activity(timeline, activity) if activity else timeline))


def texts(svg: ElementTree.Element) -> list[str]:
    """Return what is written in a picture."""
    return [one.text for one in svg.iter("text")]


def places(svg: ElementTree.Element, kind: str) -> list[float]:
    """Return where the shapes of a lane are."""
    (lane,) = [group for group in svg.iter("g") if group.get("class") == f"lane {kind}"]
    marks = [one for one in lane.iter("path") if one.get("class") == "mark"]
    return [float(re.match(r"translate\((\S+)", one.get("transform"))[1]) for one in marks]


def times(count: int, gap: timedelta) -> tuple[str, ...]:
    """Return times that are as far apart."""
    return tuple(written(datetime(2026, 11, 2, 9, tzinfo=UTC) + number * gap) for number in range(count))


def test_each_kind_of_step_has_a_lane_and_the_events_are_in_the_order_of_time() -> None:
    svg = drawn((step(1), beacon(), step(3, lane="files", events=1, times=(LAST,), first=LAST)))
    assert [text for text in texts(svg) if text in ("DNS and resolvers", "Files", "Command and control")] == [
        "DNS and resolvers",
        "Files",
        "Command and control",
    ]
    first, last = places(svg, "dns")
    assert LEFT < first < last < WIDTH - RIGHT
    assert places(svg, "files") == [last]
    assert {"1", "2", "3"} <= {*texts(svg)}


def test_many_events_are_a_band_and_few_are_shapes() -> None:
    assert places(drawn((beacon(),)), "beacons") == []  # more events than are known one by one
    assert "120 events" in texts(drawn((beacon(),)))
    close = times(40, timedelta(minutes=1))
    spread = times(12, timedelta(hours=1))
    both = (
        step(1, events=40, times=close, first=close[0], last=close[-1]),
        step(2, times=(LAST,), first=LAST, events=1),
    )
    assert len(places(drawn(both), "dns")) == 1
    lone = step(1, events=12, times=spread, first=spread[0], last=spread[-1])
    assert len(places(drawn((lone,)), "dns")) == 12


def test_the_number_of_elements_is_bounded_whatever_there_is() -> None:
    long = times(5000, timedelta(seconds=7))
    steps = tuple(step(n, events=5000, times=long, first=long[0], last=long[-1]) for n in range(1, 31))
    decisions = tuple(Decision(at, "ana", "declared", "x", "") for at in long)
    bins = tuple(Bin(at, 3) for at in long)
    svg = drawn(steps, decisions, Activity(60, {"dns": bins, "web": bins}))
    assert len([*svg.iter()]) < 30 * 8 + 3 * MOST_MARKS + 200
    assert {*map(str, range(1, 31))} <= {*texts(svg)}


def test_steps_that_overlap_are_in_rows_of_their_own() -> None:
    svg = drawn((step(1), step(2), step(3)))
    badges = [(one.get("cx"), one.get("cy")) for one in svg.iter("circle")]
    assert len({*badges}) == 3


def test_decisions_of_another_time_are_named_at_the_edges_and_do_not_stretch_it() -> None:
    early, inside, late = "2025-01-01T00:00:00Z", "2026-11-02T12:00:00Z", "2027-05-01T00:00:00+02:00"
    decisions = [
        Decision(at, "ana", what, "x", "") for at, what in ((early, "tagged"), (inside, "declared"), (late, "fixed"))
    ]
    plain, svg = timeline_of((step(1),), ()), drawn((step(1),), decisions)
    assert span_of(timeline_of((step(1),), decisions)) == span_of(plain)
    assert len(places(svg, "decisions")) == 1
    assert "◀ 2025-01-01 00:00 UTC: tagged by ana" in texts(svg)
    assert "2027-04-30 22:00 UTC: fixed by ana ▶" in texts(svg)


def test_the_hosts_events_are_behind_and_a_kind_without_steps_has_a_lane() -> None:
    svg = drawn((step(1),), (), Activity(600, {"dns": (Bin("2026-11-02T10:00:00.000Z", 9),), "web": (Bin(FIRST, 4),)}))
    assert "2 found, 9 of the host" in texts(svg)
    assert "nothing found, 4 of the host" in texts(svg)
    behind = [one for one in svg.iter("path") if one.get("class") == "behind"]
    assert len(behind) == 2
    xs = [float(number) for one in behind for number in re.findall(r"[MH](\d+(?:\.\d+)?)", one.get("d"))]
    assert min(xs) >= LEFT
    assert max(xs) <= WIDTH - RIGHT


@pytest.mark.parametrize("length", [0, 1, 90, 3600, 86400 * 40, 86400 * 365 * 30])
def test_the_axis_has_a_few_times_whatever_the_length(length: int) -> None:
    start = datetime(2026, 2, 27, 23, 59, 59, tzinfo=UTC)
    both = (written(start), written(start + timedelta(seconds=length)))
    svg = drawn((step(1, times=both, first=both[0], last=both[1]),))
    (axis,) = [group for group in svg.iter("g") if group.get("class") == "axis"]
    lines = [float(line.get("x1")) for line in axis.iter("line")]
    assert 1 <= len(lines) <= 10
    assert lines == sorted(lines)
    assert width(timedelta(seconds=length)) * BINS >= length
    one_year = length < 86400 * 300
    assert ("2026, UTC" if one_year else "UTC") in texts(svg)
    assert one_year or any(re.fullmatch(r"20\d\d-\d\d-\d\d", text) for text in texts(svg))


def test_without_a_time_there_is_no_picture_and_a_time_that_is_none_is_left_out() -> None:
    assert timeline_of((step(1, first=None, last=None, times=()),), ()) is None
    assert timeline_of((), ()) is None
    odd = step(1, first="yesterday", last="9999-99-99", times=("", FIRST, "\u202e"))
    assert [mark.at for lane in timeline_of((odd,), ()).lanes for mark in lane.marks] == [FIRST]


def test_the_picture_in_words_names_each_step_with_its_time_and_zone() -> None:
    timeline = timeline_of((step(1), beacon()), [Decision(LAST, "ana", "declared", "x", "")])
    words = described(timeline)
    assert "DNS and resolvers: step 1 from 2026-11-02 09:12:07 UTC to 2026-11-02 15:58:21 UTC." in words
    assert "Decisions: declared by ana at 2026-11-02 15:58:21 UTC." in words


def test_a_step_that_does_not_hang_together_has_a_hollow_number() -> None:
    svg = drawn((step(1), step(2, tied=False)))
    assert [one.get("class") for one in svg.iter("circle")] == ["badge", "badge aside"]


def test_a_time_without_a_zone_is_taken_as_utc() -> None:
    assert moment("2026-11-02T09:12:07") == moment("2026-11-02T10:12:07+01:00")
    assert replace(step(1)).first == FIRST
