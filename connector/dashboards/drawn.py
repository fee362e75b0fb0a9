"""Panels as SVG that stands in a page, drawn from the rows that their searches come to; pure.

Promises: what a colour says is said in words, too, in a legend, a label or a title; no text can end the element that it
stands in; the number of elements is bounded by the size of a panel. Will not: need a script, a font or anything else
from outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, tostring

from connector.dashboards.asked import Row, Span
from connector.dashboards.model import Measure, Panel
from connector.dashboards.vega import age_words
from connector.dashboards.visual import BLUE, COLOURS, PALETTE, SEVERITIES, VERMILION, measure_label
from connector.respond.report.texts import shown

COLUMN, LINE = 26, 22  # pixels of the grid of a dashboard
HEAD = 46  # of a card, for its title
PAD, LEGEND, FOOT = 8, 22, 24
LEAST, HEAT_FOOT = 17, 130  # pixels of a row, and of the names below a field of tiles
TICK_STEPS = (60, 300, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000)
MOST_SERIES = 8
LETTER = 7.0  # pixels of one at the size of labels
SHADES = 5
NAMES = 146  # pixels that names beside bars may have even in a narrow panel


def picture(panel: Panel, rows: Sequence[Row], span: Span) -> str:
    """Return the SVG of a panel that is a timeline, bars, heat or an age; rows must not be empty."""
    wide, tall = panel.width * COLUMN - 24, panel.height * LINE - HEAD
    if panel.kind != "timeline":  # what does not fit makes the picture longer, as it makes the dashboard's panel scroll
        tall = max(tall, len({row.keys[0] for row in rows}) * LEAST + (HEAT_FOOT if panel.kind == "heat" else LEGEND))
    attributes = {"viewBox": f"0 0 {wide} {tall}", "role": "img", "class": panel.kind, "aria-label": shown(panel.title)}
    svg = Element("svg", attributes)
    if panel.kind == "timeline":
        _timeline(svg, panel, rows, span, (wide, tall))
    elif panel.kind == "bars":
        _bars(svg, panel, rows, (wide, tall))
    elif panel.kind == "age":
        _ages(svg, panel, rows, span.end, (wide, tall))
    else:
        _heat(svg, panel, rows, (wide, tall))
    return tostring(svg, encoding="unicode")


def measured(value: float | None, measure: Measure) -> str:
    """Return a value as people read it: times to the second, whole numbers with commas."""
    if value is None:
        return "–"
    if measure.kind in ("newest", "oldest"):
        return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def _timeline(svg: Element, panel: Panel, rows: Sequence[Row], span: Span, size: tuple[int, int]) -> None:
    """Draw bars over time, those of one moment on each other."""
    wide, tall = size
    totals = _totals(rows, 1 if panel.by else None)
    series = list(totals)[:MOST_SERIES]
    top = _legend(svg, series, wide) if panel.by else PAD
    stacks: dict[str, dict[str, float]] = {}
    for row in rows:
        stacks.setdefault(row.keys[0], {})[row.keys[1] if panel.by else ""] = row.values[0] or 0
    most = max(sum(stack.get(name, 0) for name in series) for stack in stacks.values()) or 1
    left = PAD + LETTER * len(f"{most:,.0f}") + 6
    plot = (left, float(top), wide - left - PAD, float(tall - top - FOOT))
    _levels(svg, plot, most)
    _times(svg, plot, span)
    length = (span.end - span.start).total_seconds()
    bar = max(1.5, plot[2] * span.interval / length - 1)
    for key, stack in stacks.items():
        at = datetime.fromisoformat(key)
        x = plot[0] + plot[2] * (at - span.start).total_seconds() / length
        y = plot[1] + plot[3]
        start, end = max(x, plot[0]), min(x + bar, plot[0] + plot[2])
        for number, name in enumerate(series):
            if not stack.get(name) or end <= start:
                continue
            high = plot[3] * stack[name] / most
            y -= high
            said = f"{at:%Y-%m-%d %H:%M}{', ' + name if name else ''}: {stack[name]:,.0f}"
            _rect(svg, (start, y, end - start, max(high, 0.8)), _colour(name, number), said)


def _levels(svg: Element, plot: tuple[float, float, float, float], most: float) -> None:
    """Draw the lines of zero, half and all, with their numbers."""
    x, y, wide, tall = plot
    for part in (0, 0.5, 1) if most > 1 else (0, 1):
        at = y + tall * (1 - part)
        SubElement(svg, "line", {"x1": _n(x), "x2": _n(x + wide), "y1": _n(at), "y2": _n(at), "class": "level"})
        if part != 0.5 or most >= 4:
            _text(svg, f"{most * part:,.0f}", x - 5, at + 4, "end")


def _times(svg: Element, plot: tuple[float, float, float, float], span: Span) -> None:
    """Draw the times below."""
    x, y, wide, tall = plot
    length = (span.end - span.start).total_seconds()
    step = next((each for each in TICK_STEPS if length / each <= max(2, wide / 90)), TICK_STEPS[-1])
    second = -(-int(span.start.timestamp()) // step) * step
    while second <= span.end.timestamp():
        at = datetime.fromtimestamp(second, UTC)
        place = x + wide * (at - span.start).total_seconds() / length
        if x + 20 <= place <= x + wide - 20:
            words = f"{at:%d %b}" if step >= 86400 or at.hour + at.minute == 0 else f"{at:%H:%M}"
            _text(svg, words, place, y + tall + 16, "middle")
            SubElement(svg, "line", {"x1": _n(place), "x2": _n(place), "y1": _n(y + tall), "y2": _n(y + tall + 4)})
        second += step


def _bars(svg: Element, panel: Panel, rows: Sequence[Row], size: tuple[int, int]) -> None:
    """Draw lying bars, the longest first, each with its name and its number."""
    wide, tall = size
    grouped = len(panel.by) > 1
    stacks: dict[str, list[Row]] = {}
    for row in rows:
        stacks.setdefault(row.keys[0], []).append(row)
    series = list(_totals(rows, 1))[:MOST_SERIES] if grouped else []
    top = _legend(svg, series, wide) if grouped else PAD
    names = list(stacks)[: max(1, int((tall - top) // 15))]
    sums = {name: sum(row.values[0] or 0 for row in stacks[name]) for name in names}
    most = max(sums.values()) or 1
    left = min(max(wide * 0.42, NAMES), 14 + LETTER * max(len(shown(name)) for name in names))
    right = 12 + LETTER * len(f"{most:,.0f}")
    step = min(30.0, (tall - top - PAD) / len(names))
    for number, name in enumerate(names):
        y = top + step * number
        _text(svg, _cut(name, left - 10), left - 6, y + step / 2 + 4, "end", said=shown(name))
        x = left
        shares = [row for row in stacks[name] if not grouped or row.keys[1] in series]
        for row in sorted(shares, key=lambda each: series.index(each.keys[1])) if grouped else shares:
            part = row.keys[1] if grouped else ""
            long = (wide - left - right) * (row.values[0] or 0) / most
            colour = _colour(part, series.index(part)) if grouped else _colour(name, 0, PALETTE[0])
            said = f"{name}{', ' + part if part else ''}: {measured(row.values[0], panel.measures[0])}"
            _rect(svg, (x, y + step * 0.14, max(long, 0.8), step * 0.72), colour, said)
            x += long
        _text(svg, measured(sums[name], panel.measures[0]), x + 5, y + step / 2 + 4, "start")


def _ages(svg: Element, panel: Panel, rows: Sequence[Row], now: datetime, size: tuple[int, int]) -> None:
    """Draw a lying bar for how long ago each was, with its age in words."""
    wide, tall = size
    ages = {row.keys[0]: max(0.0, now.timestamp() - (row.values[0] or 0) / 1000) / 60 for row in rows}
    most = max(*ages.values(), 1.0)
    left = min(wide * 0.42, 14 + LETTER * max(len(shown(name)) for name in ages))
    right = 12 + LETTER * max(len(age_words(minutes, panel.late_after)) for minutes in ages.values())
    step = min(34.0, (tall - 2 * PAD) / len(ages))
    for number, (name, minutes) in enumerate(ages.items()):
        y, words = PAD + step * number, age_words(minutes, panel.late_after)
        _text(svg, _cut(name, left - 10), left - 6, y + step / 2 + 4, "end", said=shown(name))
        long = max((wide - left - right) * minutes / most, 0.8)
        colour = VERMILION if minutes > panel.late_after else BLUE
        _rect(svg, (left, y + step * 0.14, long, step * 0.72), colour, f"{name}: {words}")
        _text(svg, words, left + long + 5, y + step / 2 + 4, "start")


def _heat(svg: Element, panel: Panel, rows: Sequence[Row], size: tuple[int, int]) -> None:
    """Draw a field of tiles: darker is more, and each has its number."""
    wide, tall = size
    across = list(_totals(rows, 1))[: max(2, wide // 44)]
    foot = min(HEAT_FOOT - PAD, 22 + LETTER * 0.62 * max(len(shown(name)) for name in across))
    down = list(_totals(rows, 0))[: max(2, int((tall - foot - PAD) // 15))]
    left = min(wide * 0.34, 14 + LETTER * max(len(shown(name)) for name in down))
    tile, step = (wide - left - PAD) / len(across), min(34.0, (tall - foot - PAD) / len(down))
    values = {(row.keys[0], row.keys[1]): row.values[0] or 0 for row in rows}
    most = max(values.values()) or 1
    for number, name in enumerate(down):
        _text(svg, _cut(name, left - 10), left - 6, PAD + step * (number + 0.5) + 4, "end", said=shown(name))
    bottom = PAD + step * len(down)
    for number, name in enumerate(across):
        x, y = left + tile * (number + 0.5), bottom + 12
        if LETTER * len(shown(name)) < tile:
            _text(svg, shown(name), x, y + 4, "middle")
            continue
        room = min(foot / 0.62, x / 0.8)
        _text(svg, _cut(name, room), x, y, "end", said=shown(name)).set("transform", f"rotate(-38 {_n(x)} {_n(y)})")
    for row_number, one in enumerate(down):
        for column, other in enumerate(across):
            place = (left + tile * column + 1, PAD + step * row_number + 1, tile - 2, step - 2)
            value = values.get((one, other))
            said = f"{one}, {other}: {value or 0:,.0f}"
            shade = 0 if not value else max(1, round(SHADES * (value / most) ** 0.5))
            _rect(svg, place, "", said).set("class", f"shade-{shade}")
            if value and tile > LETTER * len(f"{value:,.0f}") + 2 and step > 13:
                x, y = place[0] + place[2] / 2, place[1] + place[3] / 2 + 4
                _text(svg, f"{value:,.0f}", x, y, "middle").set("class", f"on-{shade}")


def _totals(rows: Sequence[Row], key: int | None) -> Mapping[str, float]:
    """Return the sum for each value of a key (None: one for all), most first."""
    found: dict[str, float] = {}
    for row in rows:
        name = "" if key is None else row.keys[key]
        found[name] = found.get(name, 0) + (row.values[0] or 0)
    if found.keys() <= set(SEVERITIES):
        return {name: found[name] for name in SEVERITIES if name in found}
    return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))


def _legend(svg: Element, series: Sequence[str], wide: int) -> int:
    """Draw what each colour is, in lines, and return where they end."""
    x, y = PAD, 4
    for number, name in enumerate(series):
        words = _cut(name, 180)
        needs = 32 + (LETTER + 0.8) * len(words)
        if x + needs > wide and x > PAD:
            x, y = PAD, y + LEGEND - 4
        _rect(svg, (x, y, 11, 11), _colour(name, number), shown(name))
        _text(svg, words, x + 16, y + 10, "start")
        x += int(needs)
    return y + LEGEND + 2


def _colour(name: str, number: int, other: str = "") -> str:
    """Return the colour of a value: its own, or that of its place."""
    return COLOURS.get(name) or other or PALETTE[number % len(PALETTE)]


def _rect(svg: Element, place: tuple[float, float, float, float], colour: str, said: str) -> Element:
    """Draw a rectangle whose title says what it is."""
    x, y, wide, tall = (_n(each) for each in place)
    rect = SubElement(svg, "rect", {"x": x, "y": y, "width": wide, "height": tall})
    if colour:
        rect.set("fill", colour)
    SubElement(rect, "title").text = shown(said)
    return rect


def _text(svg: Element, words: str, x: float, y: float, anchor: str = "start", *, said: str = "") -> Element:
    """Write a text; `said` is its whole, if it was cut."""
    text = SubElement(svg, "text", {"x": _n(x), "y": _n(y), "text-anchor": anchor})
    text.text = words
    if said and said != words:
        SubElement(text, "title").text = said
    return text


def _cut(words: str, wide: float) -> str:
    """Return as much of a text as has room."""
    safe, most = shown(words), max(3, int(wide / LETTER))
    return safe if len(safe) <= most else safe[: most - 1] + "…"


def _n(value: float) -> str:
    """Return a number as short as SVG takes it."""
    return f"{value:.1f}".removesuffix(".0")


def labels(panel: Panel) -> tuple[str, ...]:
    """Return the names of a table's columns: the fields, then the measures."""
    return (*panel.labels, *(measure_label(each, panel.unit) for each in panel.measures))
