"""Dashboards as saved objects of the 7.10 generation, which both products import; pure.

Promises: what an object refers to is among the objects; the id of an object follows from the prefix, the dialect and
the ids in the source, so that a later build replaces it and nothing else; the same source gives the same bytes. Will
not: name a version later than both products know: an import of that is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.dashboards.kuery import asked, written
from connector.dashboards.model import EVENTS, TIME_FIELDS, Clause, Dashboard, Panel, Search, Source
from connector.dashboards.names import TIME, column, exact
from connector.dashboards.vega import vega_state
from connector.dashboards.visual import ui_state, vis_state
from connector.hunts.catalogue.hunt import Hunt
from connector.settings.model import Dialect, Settings

Json = dict[str, Any]
# the last migration of each type that OpenSearch Dashboards and Kibana 7.10 share
MIGRATIONS = {"index-pattern": "7.6.0", "search": "7.9.3", "visualization": "7.9.3", "dashboard": "7.9.3"}
INDEX_REF = "kibanaSavedObjectMeta.searchSourceJSON.index"
COLUMNS = 48
GUIDE = "guide"
ALWAYS = "-always"
GUIDE_HEIGHT = 9
OVERVIEW = "hunting-overview"
MARK = "Hunts: "  # what the titles of all begin with, but for index patterns


@dataclass(frozen=True)
class Events:
    """Events of one kind: their index pattern, how they lie in it, and what the SIEM calls the keyword of a text."""

    pattern: str
    dialect: Dialect = "eve"
    time_field: str = TIME
    subfield: str = "keyword"

    @property
    def mark(self) -> str:
        """Return what ids have of it: nothing for events as Suricata writes them."""
        time = "" if self.time_field == TIME else re.sub(r"[^a-z0-9]+", "-", self.time_field.lower()).strip("-") + "-"
        return ("" if self.dialect == "eve" else f"{self.dialect}-") + time

    @property
    def suffix(self) -> str:
        """Return what titles have of it."""
        return f" ({self.mark.strip('-')})" if self.mark else ""


def events_of(settings: Settings, subfield: str = "keyword") -> tuple[Events, ...]:
    """Return the events of the settings' sources; those that lie alike are one, with all their patterns."""
    alike: dict[tuple[Dialect, str], list[str]] = {}
    for source in settings.sources:
        alike.setdefault((source.dialect, source.time_field), []).append(source.pattern)
    return tuple(Events(",".join(found), *key, subfield) for key, found in alike.items())


def saved_objects(source: Source, hunts: Mapping[str, Hunt], prefix: str, events: Sequence[Events]) -> tuple[Json, ...]:
    """Return the saved objects of all dashboards and searches, what is referred to before what refers to it."""
    found: dict[tuple[str, str], Json] = {}
    for each in events:
        maker = _Maker(source, hunts, prefix, each)
        found |= {(one["type"], one["id"]): one for one in maker.objects()}
    order = list(MIGRATIONS)
    return tuple(sorted(found.values(), key=lambda one: order.index(one["type"])))


@dataclass(frozen=True)
class Page:
    """A dashboard of the source as saved objects: its id, and those of what its panels show, in order."""

    dashboard: Dashboard
    id: str
    shown: tuple[tuple[str, str], ...]


def pages(source: Source, hunts: Mapping[str, Hunt], prefix: str, events: Sequence[Events]) -> tuple[Page, ...]:
    """Return every dashboard for events of each kind, those of our own indices once."""
    found: dict[str, Page] = {}
    for each in events:
        for page in _Maker(source, hunts, prefix, each).pages():
            found.setdefault(page.id, page)
    return tuple(found.values())


def ndjson(objects: Sequence[Json]) -> str:
    """Return the objects as the file that both products import."""
    return "".join(json.dumps(one, ensure_ascii=False, sort_keys=True) + "\n" for one in objects)


@dataclass(frozen=True)
class _Maker:
    """Makes the objects for events of one kind."""

    source: Source
    hunts: Mapping[str, Hunt]
    prefix: str
    events: Events

    def objects(self) -> Iterator[Json]:
        """Yield all objects; those of our own indices are the same for events of any kind."""
        for of in (EVENTS, *TIME_FIELDS):
            yield self._index_pattern(of, self._time(of))
        always = {panel.of for each in self.source.dashboards for panel in each.panels if panel.always}
        for of in sorted(always):
            yield self._index_pattern(of, None)
        for search in self.source.searches.values():
            yield self._search(search)
        for dashboard in self.source.dashboards:
            yield self._guide(dashboard)
            for panel in dashboard.panels:
                if panel.kind != "search":
                    yield self._visualization(dashboard, panel)
            yield self._dashboard(dashboard)

    def pages(self) -> Iterator[Page]:
        """Yield the dashboards."""
        for one in self.source.dashboards:
            shown = [(self._kind(panel), self._panel_id(one, panel)) for panel in one.panels]
            yield Page(one, self._id(self._of(one), one.id), tuple(shown))

    def _kind(self, panel: Panel) -> str:
        """Return the type of the object that a panel shows."""
        return "search" if panel.kind == "search" else "visualization"

    def _id(self, of: str, name: str) -> str:
        """Return the id of what is of events or of an own index."""
        return f"{self.prefix}{self.events.mark if of == EVENTS else ''}{name}"

    def _of(self, dashboard: Dashboard) -> str:
        """Return whether a dashboard has events on it: what its ids go by."""
        shown = [self.source.searches[p.search].of if p.kind == "search" else p.of for p in dashboard.panels]
        return EVENTS if EVENTS in shown else shown[0]

    def _title(self, of: str, title: str) -> str:
        """Return the title of what is of events or of an own index."""
        return f"{MARK}{title}{self.events.suffix if of == EVENTS else ''}"

    def _index_pattern(self, of: str, time: str | None) -> Json:
        """Return the index pattern of events or of an own index; its fields are read by whoever opens it."""
        title = self.events.pattern if of == EVENTS else f"{self.prefix}{of}"
        attributes = {"title": title, "fields": "[]"} | ({"timeFieldName": time} if time else {})
        return _object("index-pattern", self._pattern_id(of, time is None), attributes, [])

    def _pattern_id(self, of: str, always: bool) -> str:
        """Return the id of an index pattern: with a time field, or of all there is."""
        return self._id(of, f"{of}{ALWAYS if always and self._time(of) else ''}")

    def _time(self, of: str) -> str | None:
        """Return the time field, None if there is none."""
        return self.events.time_field if of == EVENTS else TIME_FIELDS[of]

    def _exact(self, field: str, of: str) -> str:
        """Return the stored name to count by and compare with."""
        if field == TIME and of == EVENTS:
            return self.events.time_field
        return exact(field, of, self.events.dialect, self.events.subfield)

    def _asked_of(self, of: str, where: Sequence[Clause], always: bool = False, **more: Any) -> tuple[Json, list[Json]]:
        """Return what is searched, with the reference it makes."""
        query = {"query": written(where, lambda field: self._exact(field, of)), "language": "kuery"}
        searched = {"query": query, "filter": [], "indexRefName": INDEX_REF, **more}
        reference = {"name": INDEX_REF, "type": "index-pattern", "id": self._pattern_id(of, always)}
        return {"searchSourceJSON": _packed(searched)}, [reference]

    def _search(self, search: Search) -> Json:
        """Return a saved search."""
        meta, references = self._asked_of(search.of, search.where, highlightAll=True, version=True)
        attributes = {
            "title": self._title(search.of, search.title),
            "description": search.about,
            "hits": 0,
            "columns": [column(field, search.of, self.events.dialect) for field in search.columns],
            "sort": [[time, "desc"]] if (time := search.newest or self._time(search.of)) else [],
            "version": 1,
            "kibanaSavedObjectMeta": meta,
        }
        return _object("search", self._id(search.of, f"search-{search.id}"), attributes, references)

    def _visualization(self, dashboard: Dashboard, panel: Panel) -> Json:
        """Return the visualisation of a panel."""
        if panel.kind == "age":
            return self._age(dashboard, panel)
        meta, references = self._asked_of(panel.of, panel.where, panel.always)
        state = vis_state(panel, self._time(panel.of) or "", lambda field: self._exact(field, panel.of))
        attributes = {
            "title": self._title(panel.of, f"{dashboard.title}: {panel.title}"),
            "description": panel.empty,
            "visState": _packed(state),
            "uiStateJSON": _packed(ui_state(panel)),
            "version": 1,
            "kibanaSavedObjectMeta": meta,
        }
        return _object("visualization", self._panel_id(dashboard, panel), attributes, references)

    def _age(self, dashboard: Dashboard, panel: Panel) -> Json:
        """Return the visualisation of an age, which says in itself what it asks for."""
        filters = asked(written(panel.where, lambda field: self._exact(field, panel.of)))
        attributes = {
            "title": self._title(panel.of, f"{dashboard.title}: {panel.title}"),
            "description": panel.empty,
            "visState": _packed(vega_state(panel, f"{self.prefix}{panel.of}", filters)),
            "uiStateJSON": "{}",
            "version": 1,
            "kibanaSavedObjectMeta": {"searchSourceJSON": _packed({"query": _nothing(), "filter": []})},
        }
        return _object("visualization", self._panel_id(dashboard, panel), attributes, [])

    def _panel_id(self, dashboard: Dashboard, panel: Panel) -> str:
        """Return the id of what a panel shows."""
        if panel.kind == "search":
            return self._id(self.source.searches[panel.search].of, f"search-{panel.search}")
        return self._id(panel.of, f"{dashboard.id}-{panel.id}")

    def _guide(self, dashboard: Dashboard) -> Json:
        """Return the guide panel, in Markdown."""
        state = {
            "title": f"Guide: {dashboard.title}",
            "type": "markdown",
            "params": {"fontSize": 12, "openLinksInNewTab": False, "markdown": self._markdown(dashboard)},
            "aggs": [],
        }
        attributes = {
            "title": self._title(self._of(dashboard), f"{dashboard.title}: guide"),
            "description": "",
            "visState": _packed(state),
            "uiStateJSON": "{}",
            "version": 1,
            "kibanaSavedObjectMeta": {"searchSourceJSON": _packed({"query": _nothing(), "filter": []})},
        }
        return _object("visualization", self._guide_id(dashboard), attributes, [])

    def _guide_id(self, dashboard: Dashboard) -> str:
        """Return the id of a dashboard's guide."""
        return self._id(self._of(dashboard), f"{dashboard.id}-{GUIDE}")

    def _markdown(self, dashboard: Dashboard) -> str:
        """Return the guide's text: what to look for, and the hunts with a link to their findings."""
        overview = next((one for one in self.source.dashboards if one.id == OVERVIEW), None)
        lines = [dashboard.guide.strip()]
        if dashboard.hunts:
            lines += ["", "**Hunts:**", ""]
        for name in dashboard.hunts:
            hunt = self.hunts[name]
            title = f"**{hunt.title}**"
            if overview:
                place = self._id(self._of(overview), overview.id)
                title = f"[{hunt.title}](#/view/{place}?_a=(query:(language:kuery,query:'hunt.name:%22{name}%22')))"
            lines.append(f"- {title} · `hunts show {name}`")
        return "\n".join(lines) + "\n"

    def _dashboard(self, dashboard: Dashboard) -> Json:
        """Return the dashboard: where each panel stands, and what it refers to."""
        shown = [("visualization", self._guide_id(dashboard))]
        shown += [(self._kind(panel), self._panel_id(dashboard, panel)) for panel in dashboard.panels]
        titles = [dashboard.title, *(panel.title for panel in dashboard.panels)]
        panels = [
            {
                "version": MIGRATIONS["dashboard"],
                "gridData": {**place, "i": str(number)},
                "panelIndex": str(number),
                "embeddableConfig": {"title": "What to look for" if number == 0 else title},
                "title": "What to look for" if number == 0 else title,
                "panelRefName": f"panel_{number}",
            }
            for number, (place, title) in enumerate(zip(grid(dashboard), titles, strict=True))
        ]
        references = [{"name": f"panel_{number}", "type": kind, "id": id} for number, (kind, id) in enumerate(shown)]
        attributes = {
            "title": self._title(self._of(dashboard), dashboard.title),
            "description": dashboard.about,
            "hits": 0,
            "panelsJSON": _packed(panels),
            "optionsJSON": _packed({"useMargins": True, "hidePanelTitles": False}),
            "version": 1,
            "timeRestore": True,
            "timeFrom": f"now-{dashboard.days}d",
            "timeTo": "now",
            "refreshInterval": {"pause": True, "value": 0},
            "kibanaSavedObjectMeta": {"searchSourceJSON": _packed({"query": _nothing(), "filter": []})},
        }
        return _object("dashboard", self._id(self._of(dashboard), dashboard.id), attributes, references)


def grid(dashboard: Dashboard) -> list[dict[str, int]]:
    """Return where the guide and then each panel stand: in rows from left to right, a row as high as its highest."""
    places = [{"x": 0, "y": 0, "w": COLUMNS, "h": GUIDE_HEIGHT}]
    row: list[dict[str, int]] = []
    x, y = 0, GUIDE_HEIGHT
    for panel in dashboard.panels:
        if x + panel.width > COLUMNS:
            x, y = 0, y + _level(row)
            row = []
        place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
        row.append(place)
        places.append(place)
        x += panel.width
    _level(row)
    return places


def _level(row: Sequence[dict[str, int]]) -> int:
    """Make all of a row as high as its highest, and return that height."""
    height = max((place["h"] for place in row), default=0)
    for place in row:
        place["h"] = height
    return height


def _object(kind: str, id: str, attributes: Json, references: list[Json]) -> Json:
    """Return a saved object."""
    version = {kind: MIGRATIONS[kind]}
    return {"id": id, "type": kind, "attributes": attributes, "references": references, "migrationVersion": version}


def _nothing() -> Json:
    """Return the query that asks for everything."""
    return {"query": "", "language": "kuery"}


def _packed(value: object) -> str:
    """Return JSON inside of JSON, as saved objects have it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
