"""From the settings to saved objects, as files or into OpenSearch Dashboards and Kibana.

Promises: what a file holds can be imported by itself; importing again changes nothing but what the source changed; what
an earlier build left is told. Will not: remove that without being asked, or what somebody else's dashboard shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from connector.dashboards.left import PATTERN, TYPES, Left, left_over
from connector.dashboards.model import Source
from connector.dashboards.objects import Page, events_of, ndjson, pages, saved_objects
from connector.dashboards.reading import read_source
from connector.errors import Refused, SiemError
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.settings.model import DashboardsSettings, Settings
from connector.siem.saved_objects import Failed, SavedObjects

Json = dict[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True)
class Build:
    """The source, its dashboards as objects, and all objects made of it, whose ids begin with the prefix."""

    source: Source
    pages: tuple[Page, ...]
    objects: tuple[Json, ...]
    prefix: str

    @cached_property
    def by_key(self) -> Mapping[Key, Json]:
        """Return the objects by type and id."""
        return {(one["type"], one["id"]): one for one in self.objects}

    @property
    def dashboards(self) -> tuple[Json, ...]:
        """Return the dashboards among the objects."""
        return tuple(one for one in self.objects if one["type"] == "dashboard")

    @property
    def ndjson(self) -> str:
        """Return all objects as one file."""
        return ndjson(self.objects)

    def needed(self, one: Json) -> tuple[Json, ...]:
        """Return an object and all that it refers to, in the order of all objects; KeyError if one is not there."""
        found: dict[Key, None] = {}
        left = [(one["type"], one["id"])]
        while left:
            key = left.pop()
            if key not in found:
                found[key] = None
                left += [(each["type"], each["id"]) for each in self.by_key[key]["references"]]
        return tuple(each for key, each in self.by_key.items() if key in found)


@dataclass(frozen=True)
class File:
    """One file of a build."""

    title: str
    file: str
    panels: int
    objects: int


@dataclass(frozen=True)
class Built:
    """What a build wrote, and how many objects there are in all."""

    files: tuple[File, ...]
    objects: int


@dataclass(frozen=True)
class Installed:
    """What an import came to: where, how many objects were taken, left as they were, and refused.

    `left` is what earlier builds left there; `not_looked` says why it is not known.
    """

    desk: str
    url: str
    objects: int
    taken: int
    kept: int
    failed: tuple[Failed, ...]
    dashboards: tuple[str, ...]
    left: tuple[Left, ...] = ()
    not_looked: str = ""


def build(settings: Settings, own: Path | None = None, subfield: str = "keyword") -> Build:
    """Return the build of the settings; ContentError with every problem of every file."""
    catalogue = load_catalogue(settings)
    hunts = {hunt.name: hunt for hunt in catalogue.hunts}
    source = read_source(hunts.keys(), own)
    events = events_of(settings, subfield)
    found = pages(source, hunts, settings.prefix, events)
    return Build(source, found, saved_objects(source, hunts, settings.prefix, events), settings.prefix)


def write(made: Build, folder: Path) -> Built:
    """Write a file for each dashboard and one of all objects, and return what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for dashboard in made.dashboards:
        needed = made.needed(dashboard)
        file = folder / f"{dashboard['id']}.ndjson"
        file.write_text(ndjson(needed), encoding="utf-8")
        panels = sum(1 for each in needed if each["type"] in ("visualization", "search"))
        files.append(File(dashboard["attributes"]["title"], str(file), panels, len(needed)))
    every = folder / "all.ndjson"
    every.write_text(made.ndjson, encoding="utf-8")
    panels = sum(1 for each in made.objects if each["type"] in ("visualization", "search"))
    files.append(File("all of them", str(every), panels, len(made.objects)))
    return Built(tuple(files), len(made.objects))


def install(made: Build, where: DashboardsSettings, overwrite: bool, prune: bool = False) -> Installed:
    """Return what importing all objects came to; Refused or SiemError if nothing could be imported.

    With `prune` what earlier builds left is removed, but for what others still show.
    """
    left: tuple[Left, ...] = ()
    not_looked = ""
    with SavedObjects(where) as desk:
        done = desk.put(made.ndjson, overwrite)
        try:
            left = _left(made, desk, prune)
        except (Refused, SiemError) as error:  # what was imported is in all the same
            not_looked = str(error)
    kept = [failed for failed in done.failed if failed.is_conflict and not overwrite]
    titles = tuple(str(one["attributes"]["title"]) for one in made.dashboards)
    refused = tuple(failed for failed in done.failed if failed not in kept)
    return Installed(
        str(done.desk), where.url, len(made.objects), done.taken, len(kept), refused, titles, left, not_looked
    )


def _left(made: Build, desk: SavedObjects, prune: bool) -> tuple[Left, ...]:
    """Return what earlier builds left, removed if that is asked for. Raises SiemError."""
    found = []
    for one, left in left_over(desk.held((PATTERN, *TYPES)), made.by_key.keys(), made.prefix):
        goes = prune and not left.used_by
        if goes:
            desk.remove(one)
        found.append(replace(left, removed=goes))
    return tuple(found)
