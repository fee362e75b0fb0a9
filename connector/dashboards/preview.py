"""All dashboards as one HTML page that stands alone, drawn from the answers to the searches they send.

Promises: each panel shows what its saved object asks for, or says why there is nothing; a panel whose search is refused
says so and the others are there; every value, whoever wrote it, is one line of visible, escaped text. Will not: need a
script, a request or anything else from outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from connector.dashboards.asked import Asked, Row, Span, asked, rows
from connector.dashboards.building import Build
from connector.dashboards.drawn import LINE, labels, measured, picture
from connector.dashboards.model import Measure, Panel
from connector.dashboards.objects import Page, grid
from connector.respond.report.texts import clock, moment, shown
from connector.siem.client import Siem

SHOWN_ROWS = 10
LONGEST = 120  # letters of a cell
TIMES = ("@timestamp", "first", "last", "made", "started", "updated", "from", "to", "next")
TEMPLATE, STYLE = "preview.html.j2", "preview.css"
Json = dict[str, Any]


@dataclass(frozen=True)
class Grid:
    """A table: its columns, of which the last `numbers` are numbers, its rows, and how many are not shown."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int
    numbers: int


@dataclass(frozen=True)
class Card:
    """A panel as the page has it: one of a picture, a number or a table, or why there is nothing."""

    title: str
    kind: str
    width: int
    height: int
    picture: Markup | None = None
    number: str = ""
    table: Grid | None = None
    why: str = ""
    failed: bool = False


@dataclass(frozen=True)
class Section:
    """A dashboard as the page has it."""

    id: str
    title: str
    about: str
    span: str
    guide: Markup
    hunts: tuple[str, ...]
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Shown:
    """How much a panel shows: documents its search found, rows or buckets, and why there is nothing."""

    dashboard: str
    panel: str
    kind: str
    documents: int
    rows: int
    why: str


@dataclass(frozen=True)
class Previewed:
    """How much each panel shows."""

    siem: str
    panels: tuple[Shown, ...]


@dataclass(frozen=True)
class _Asked:
    """A panel of a page, with its object and its search."""

    page: Page
    panel: Panel
    one: Json
    span: Span
    search: Asked
    empty: str


def preview(siem: Siem, made: Build, past: timedelta | None, end: datetime) -> tuple[str, Previewed]:
    """Return the page of all dashboards up to a time, and how much each panel shows. Raises SiemError.

    `past` is how far back; None is as each dashboard has it. All searches go in one round trip.
    """
    wanted = [each for page in made.pages for each in _wanted(made, page, past, end)]
    answers = siem.msearch([(each.search.index, each.search.body) for each in wanted])
    cards: dict[str, list[Card]] = {}
    told: list[Shown] = []
    for each, answer in zip(wanted, answers, strict=True):
        card, count = _card(each, answer)
        cards.setdefault(each.page.id, []).append(card)
        documents = 0 if card.failed else int(answer["hits"]["total"]["value"])
        title = str(made.by_key["dashboard", each.page.id]["attributes"]["title"])
        told.append(Shown(title, each.panel.title, each.panel.kind, documents, count, card.why))
    page = _template().render(
        sections=[_section(made, one, cards.get(one.id, []), past, end) for one in made.pages],
        siem=str(siem.product),
        made=clock(end),
        style=Markup(_read(STYLE)),  # noqa: S704 - a file of ours
        line=LINE,
    )
    return page, Previewed(str(siem.product), tuple(told))


def _wanted(made: Build, page: Page, past: timedelta | None, end: datetime) -> Iterator[_Asked]:
    """Yield the panels of a page with their searches."""
    span = Span(end - (past or timedelta(days=page.dashboard.days)), end)
    for panel, key in zip(page.dashboard.panels, page.shown, strict=True):
        one = made.by_key[key]
        search = asked(made.by_key, one, span)
        if search is not None:
            empty = made.source.searches[panel.search].empty if panel.search else panel.empty
            yield _Asked(page, panel, one, span, search, empty)


def _card(each: _Asked, answer: Json) -> tuple[Card, int]:
    """Return a panel with its picture, number or table, and how many rows that has."""
    place = _places(each.page)[each.panel.id]
    card = Card(each.panel.title, each.panel.kind, place["w"], place["h"])
    if "error" in answer:
        return replace(card, why="the search engine refused the search of this panel", failed=True), 0
    if each.panel.kind == "search":
        hits = answer["hits"]["hits"]
        why = "" if hits else each.empty
        return replace(card, table=_hits(each.one, answer) if hits else None, why=why), len(hits)
    found = rows(each.one, answer)
    nothing = not answer["hits"]["total"]["value"] or not found
    if each.panel.kind == "number":
        value = found[0].values[0] if found else None
        return replace(card, number=measured(value, each.panel.measures[0]), why=each.empty if nothing else ""), len(
            found
        )
    if nothing:
        return replace(card, why=each.empty), 0
    if each.panel.kind == "table":
        return replace(card, table=_table(each.panel, found)), len(found)
    drawn = Markup(picture(_placed(each.panel, place), found, each.span))  # noqa: S704 - made of elements
    return replace(card, picture=drawn), len(found)


def _places(page: Page) -> Mapping[str, Mapping[str, int]]:
    """Return where each panel stands."""
    return {panel.id: place for panel, place in zip(page.dashboard.panels, grid(page.dashboard)[1:], strict=True)}


def _placed(panel: Panel, place: Mapping[str, int]) -> Panel:
    """Return a panel as large as its row makes it."""
    return replace(panel, width=place["w"], height=place["h"])


def _table(panel: Panel, found: Sequence[Row]) -> Grid:
    """Return the rows of a panel as a table."""
    cells = [
        (
            *map(shown, row.keys),
            *(measured(value, each) for value, each in zip(row.values, panel.measures, strict=True)),
        )
        for row in found[:SHOWN_ROWS]
    ]
    return Grid(labels(panel), tuple(cells), len(found) - len(cells), len(panel.measures))


def _hits(one: Json, answer: Json) -> Grid:
    """Return the documents of a saved search as a table."""
    attributes = one["attributes"]
    columns = list(dict.fromkeys([*(field for field, _ in attributes["sort"]), *attributes["columns"]]))
    hits = answer["hits"]["hits"][:SHOWN_ROWS]
    cells = [tuple(_told(_value(hit["_source"], column), column) for column in columns) for hit in hits]
    return Grid(tuple(columns), tuple(cells), int(answer["hits"]["total"]["value"]) - len(cells), 0)


def _told(value: object, column: str) -> str:
    """Return a value of a document as a cell has it: of the columns of times a time, to the second."""
    if column not in TIMES:
        return shown(value, LONGEST)
    if isinstance(value, int):
        return measured(value, Measure("newest"))
    found = moment(str(value)) if value else None
    return f"{found:%Y-%m-%d %H:%M:%S}" if found else shown(value, LONGEST)


def _value(source: object, name: str) -> object:
    """Return the value of a field in a document, whose names may have dots in them; of a list, those of its items."""
    if isinstance(source, list):
        return [found for item in source if (found := _value(item, name)) is not None] or None
    if not isinstance(source, Mapping):
        return None
    if name in source:
        return source[name]
    head, _, rest = name.partition(".")
    while rest:
        if head in source and (found := _value(source[head], rest)) is not None:
            return found
        more, _, rest = rest.partition(".")
        head = f"{head}.{more}"
    return None


def _section(made: Build, page: Page, cards: Sequence[Card], past: timedelta | None, end: datetime) -> Section:
    """Return a dashboard as the page has it."""
    attributes = made.by_key["dashboard", page.id]["attributes"]
    start = end - (past or timedelta(days=page.dashboard.days))
    span = f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    return Section(
        page.id,
        str(attributes["title"]),
        page.dashboard.about,
        span,
        _marked(page.dashboard.guide),
        page.dashboard.hunts,
        tuple(cards),
    )


def _marked(text: str) -> Markup:
    """Return the Markdown of a guide, as far as guides use it: bold, slanted, code."""
    safe = str(escape(" ".join(text.split())))
    for mark, tag in ((r"\*\*(.+?)\*\*", "strong"), (r"\*(.+?)\*", "em"), (r"`(.+?)`", "code")):
        safe = re.sub(mark, rf"<{tag}>\1</{tag}>", safe)
    return Markup(safe)  # noqa: S704 - escaped above


@cache
def _template() -> Template:
    """Return the template, read once."""
    environment = Environment(
        loader=FunctionLoader(_read), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(TEMPLATE)


def _read(name: str) -> str:
    """Return the text of a file beside this one."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
