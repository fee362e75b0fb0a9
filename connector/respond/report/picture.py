"""The timeline as a picture: SVG that stands in a page, drawn by nobody else; pure.

A lane for each kind of event, in it a row for each step of the thread with its number; single events are shapes, many
are a band. Behind them, in grey, all events of the host. What a shape means is said by its lane, its form and its
title, and never by its colour alone. Promises: no text can end the element that it stands in; the number of elements is
bounded, whatever the number of events. Will not: need a script, a font or anything else from outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from xml.etree.ElementTree import Element, SubElement, tostring

from connector.respond.report.model import Lane, Mark, Stretch, Timeline
from connector.respond.report.texts import clock, shown
from connector.respond.report.timeline import DECISIONS, span_of

WIDTH, LEFT, RIGHT, TOP, FOOT = 1000, 190, 18, 30, 26
PLOT = WIDTH - LEFT - RIGHT
ROW, PAD = 24, 10
MOST_ROWS, MOST_MARKS = 6, 60
APART = 5.0  # pixels between single shapes; closer ones are many
BADGE = 22  # pixels before a row for its number
MOST_TICKS = 9
MINUTE, HOUR, DAY = 60, 3600, 86400
STEPS = (
    *(MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE),
    *(HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 91 * DAY, 364 * DAY),
)
DIAMOND, TRIANGLE, SQUARE = "M0-6 6 0 0 6-6 0Z", "M0-6 6 5H-6Z", "M-5-5H5V5H-5Z"
SHAPES = {
    "dns": "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0-5 0Z",
    "alerts": TRIANGLE,
    "web": SQUARE,
    "files": DIAMOND,
    "beacons": "M-2-7H2V7H-2Z",
    "other": "M-5-2H-2V-5H2V-2H5V2H2V5H-2V2H-5Z",
    DECISIONS: "M-1 8V-8H8L5-4 8 0H1V8Z",
}


@dataclass(frozen=True)
class _Scale:
    """From a time to its place."""

    start: datetime
    end: datetime

    def x(self, text: str) -> float:
        """Return the place of a time."""
        return self.at(datetime.fromisoformat(text))

    def at(self, moment: datetime) -> float:
        """Return the place of a moment."""
        return round(LEFT + PLOT * ((moment - self.start) / (self.end - self.start)), 1)


@dataclass
class _Row:
    """A row of a lane: its steps, and as far as it is taken."""

    stretches: list[Stretch]
    end: float


def picture(timeline: Timeline) -> str:
    """Return the picture of a timeline as an SVG element for a page."""
    scale = _Scale(*span_of(timeline))
    rows = [_rows(lane, scale) for lane in timeline.lanes]
    heights = [PAD * 2 + ROW * max(1, len(each)) for each in rows]
    height = TOP + sum(heights) + FOOT
    names = {"aria-labelledby": "timeline-title timeline-desc", "role": "img", "class": "timeline"}
    svg = Element("svg", {**names, "viewBox": f"0 0 {WIDTH} {height}", "preserveAspectRatio": "xMidYMid meet"})
    SubElement(svg, "title", {"id": "timeline-title"}).text = "What happened when, times in UTC"
    SubElement(svg, "desc", {"id": "timeline-desc"}).text = described(timeline)
    _axis(svg, scale, height)
    top = TOP
    for number, (lane, own, tall) in enumerate(zip(timeline.lanes, rows, heights, strict=True)):
        _lane(_Place(svg, scale, top, tall), timeline, lane, own, number)
        top += tall
    return tostring(svg, encoding="unicode")


def described(timeline: Timeline) -> str:
    """Return the picture in words."""
    start, end = span_of(timeline)
    parts = [f"From {clock(start)} to {clock(end)}."]
    for lane in timeline.lanes:
        steps = [f"step {one.number} from {_short(one.start)} to {_short(one.end)}" for one in lane.stretches]
        steps = steps or [f"{mark.words} at {_short(mark.at)}" for mark in lane.marks]
        parts.append(f"{lane.title}: {', '.join(steps) or 'nothing in this time'}.")
    return shown(" ".join(parts), 2000)


@dataclass(frozen=True)
class _Place:
    """Where a lane is drawn."""

    svg: Element
    scale: _Scale
    top: int
    tall: int

    @property
    def bottom(self) -> int:
        """Return where it ends."""
        return self.top + self.tall

    def row(self, number: int) -> int:
        """Return the middle of a row."""
        return self.top + PAD + ROW * number + ROW // 2


def _rows(lane: Lane, scale: _Scale) -> list[_Row]:
    """Return the steps of a lane in rows, so that none covers another; what is too much is in the last row."""
    rows: list[_Row] = []
    for stretch in sorted(lane.stretches, key=lambda one: (one.start, one.number)):
        begin, end = scale.x(stretch.start) - BADGE, scale.x(stretch.end) + BADGE / 2
        row = next((each for each in rows if each.end <= begin), None)
        if row is None and len(rows) < MOST_ROWS:
            row = _Row([], end)
            rows.append(row)
        row = row or rows[-1]
        row.stretches.append(stretch)
        row.end = max(row.end, end)
    return rows


def _axis(svg: Element, scale: _Scale, height: int) -> None:
    """Draw the times above and below, and a line through the lanes at each."""
    step = _step(scale.end - scale.start)
    before = None
    group = SubElement(svg, "g", {"class": "axis"})
    form, zone = ("%d %b", f"{scale.start:%Y}, UTC") if scale.start.year == scale.end.year else ("%Y-%m-%d", "UTC")
    for at in _ticks(scale, step):
        x = scale.at(at)
        SubElement(group, "line", {"x1": _n(x), "x2": _n(x), "y1": str(TOP), "y2": str(height - FOOT)})
        day = at.strftime(form)
        text = day if step >= DAY else at.strftime("%H:%M") if day == before else at.strftime("%d %b %H:%M")
        before = day
        for y in (TOP - 9, height - FOOT + 16):
            SubElement(group, "text", {"x": _n(x), "y": str(y), "text-anchor": "middle"}).text = text
    for y in (TOP - 9, height - FOOT + 16):
        SubElement(group, "text", {"x": "4", "y": str(y), "class": "zone"}).text = zone


def _step(length: timedelta) -> int:
    """Return the seconds between two times on the axis."""
    return next((step for step in STEPS if length.total_seconds() / step <= MOST_TICKS), _decade(length))


def _decade(length: timedelta) -> int:
    """Return the seconds between two times of a length of many years."""
    return int(length.total_seconds() / MOST_TICKS) + 1


def _ticks(scale: _Scale, step: int) -> Iterator[datetime]:
    """Yield the times on the axis, whole multiples of the step since 1970, where they have room."""
    second = -(-int(scale.start.timestamp()) // step) * step
    while second <= scale.end.timestamp():
        at = datetime.fromtimestamp(second, UTC)
        if LEFT + 20 <= scale.at(at) <= WIDTH - 20:
            yield at
        second += step


def _lane(place: _Place, timeline: Timeline, lane: Lane, rows: Sequence[_Row], number: int) -> None:
    """Draw a lane: its ground, its name, the host's events, and its steps."""
    group = SubElement(place.svg, "g", {"class": f"lane {lane.name}"})
    ground = {"x": "0", "y": str(place.top), "width": str(WIDTH), "height": str(place.tall)}
    SubElement(group, "rect", {**ground, "class": f"ground{' odd' if number % 2 else ''}"})
    behind = timeline.activity.lanes.get(lane.name, ()) if timeline.activity else ()
    name = SubElement(group, "text", {"x": "10", "y": str(place.top + PAD + 12), "class": "name"})
    name.text = shown(lane.title)
    note = SubElement(group, "text", {"x": "10", "y": str(place.top + PAD + 28), "class": "note"})
    note.text = _note(lane, sum(one.events for one in behind))
    if timeline.activity:
        _behind(group, place, timeline.activity.seconds, [(one.start, one.events) for one in behind])
    inner = _Place(group, place.scale, place.top, place.tall)
    if lane.name == DECISIONS:
        _decisions(inner, timeline, lane)
    by_number: dict[int | None, list[Mark]] = {}
    for mark in lane.marks:
        by_number.setdefault(mark.number, []).append(mark)
    for position, row in enumerate(rows):
        for stretch in row.stretches:
            _step_of(inner, lane.name, position, stretch, by_number.get(stretch.number, []))


def _note(lane: Lane, behind: int) -> str:
    """Return what is said under the name of a lane."""
    if lane.name == DECISIONS:
        return _number(lane.events, "decision")
    every = f", {behind:,} of the host" if behind else ""
    return f"{lane.events:,} found{every}" if lane.stretches else f"nothing found{every}"


def _number(count: int, what: str) -> str:
    """Return a number of things."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _behind(group: Element, place: _Place, seconds: int, bins: Sequence[tuple[str, int]]) -> None:
    """Draw all events of the host in a lane as bars, the square root of their number high."""
    most = max((events for _, events in bins), default=0)
    path = []
    wide = max(1.0, PLOT * seconds / (place.scale.end - place.scale.start).total_seconds() - 0.6)
    for start, events in bins:
        left = max(place.scale.x(start), float(LEFT))
        right = min(place.scale.x(start) + wide, float(WIDTH - RIGHT))
        if right > left:
            tall = (place.tall - 6) * (events / most) ** 0.5
            path.append(f"M{_n(left)} {place.bottom - 1}V{_n(place.bottom - 1 - tall)}H{_n(right)}V{place.bottom - 1}Z")
    if path:
        bars = SubElement(group, "path", {"d": "".join(path), "class": "behind"})
        SubElement(bars, "title").text = f"all events of the host, at most {most:,} in {_length(seconds)}"


def _step_of(place: _Place, name: str, row: int, stretch: Stretch, marks: Sequence[Mark]) -> None:
    """Draw a step: its number, its time, and its events as shapes, or as a band if they are many."""
    y = place.row(row)
    start, end = place.scale.x(stretch.start), place.scale.x(stretch.end)
    group = SubElement(place.svg, "g", {"class": "step"})
    said = f"step {stretch.number}: {marks[0].words if marks else ''}, {_number(stretch.events, 'event')}"
    SubElement(group, "title").text = shown(f"{said}, {_short(stretch.start)} to {_short(stretch.end)}")
    if _many(stretch, marks, end - start):
        band = {"x": _n(start), "y": str(y - 9), "width": _n(max(end - start, 3)), "height": "18", "rx": "3"}
        SubElement(group, "rect", {**band, "class": "band"})
        words = _number(stretch.events, "event")
        if end - start > 9 * len(words):
            label = {"x": _n((start + end) / 2), "y": str(y + 5), "text-anchor": "middle", "class": "inside"}
            SubElement(group, "text", label).text = words
    else:
        SubElement(group, "line", {"x1": _n(start), "x2": _n(end), "y1": str(y), "y2": str(y), "class": "reach"})
        for mark in marks:
            _shape(group, name, place.scale.x(mark.at), y, f"{_short(mark.at)}: {mark.words}")
    aside = "" if stretch.tied else " aside"
    SubElement(group, "circle", {"cx": _n(start - 15), "cy": str(y), "r": "9", "class": f"badge{aside}"})
    number = {"x": _n(start - 15), "y": str(y + 4), "text-anchor": "middle", "class": f"number{aside}"}
    SubElement(group, "text", number).text = str(stretch.number)


def _many(stretch: Stretch, marks: Sequence[Mark], wide: float) -> bool:
    """Tell whether a step has more events than can be told apart, or than are known one by one."""
    return stretch.events > len(marks) or len(marks) > MOST_MARKS or (len(marks) > 12 and wide / len(marks) < APART)


def _decisions(place: _Place, timeline: Timeline, lane: Lane) -> None:
    """Draw the decisions of the time as flags, and name those before and after it at the edges."""
    y = place.row(0)
    for mark in lane.marks[-MOST_MARKS:]:
        _shape(place.svg, DECISIONS, place.scale.x(mark.at), y, f"{_short(mark.at)}: {mark.words}")
    for marks, x, anchor, arrow in (
        (timeline.before, LEFT + 4, "start", "◀ {}"),
        (timeline.after, WIDTH - RIGHT, "end", "{} ▶"),
    ):
        if marks:
            first = marks[0]
            more = f", and {len(marks) - 1} more" if len(marks) > 1 else ""
            words = arrow.format(f"{clock(datetime.fromisoformat(first.at))[:16]} UTC: {shown(first.words, 60)}{more}")
            label = {"x": str(x), "y": str(y + 5), "text-anchor": anchor, "class": "beyond"}
            SubElement(place.svg, "text", label).text = words


def _shape(group: Element, name: str, x: float, y: int, words: str) -> None:
    """Draw one event or decision."""
    form = {"d": SHAPES[name], "transform": f"translate({_n(x)} {y})", "class": "mark"}
    SubElement(SubElement(group, "path", form), "title").text = shown(words)


def _short(text: str) -> str:
    """Return a time as a picture names it."""
    return clock(datetime.fromisoformat(text))


def _length(seconds: int) -> str:
    """Return a length of time in words."""
    for size, word in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if seconds % size == 0:
            return f"a {word}" if seconds == size and word != "hour" else _number(seconds // size, word)
    return _number(seconds, "second")


def _n(number: float) -> str:
    """Return a number as short as it can be written."""
    return f"{number:.1f}".removesuffix(".0")
