"""From the settings to saved objects, as files or into OpenSearch Dashboards and Kibana.

Promises: what a file holds can be imported by itself; importing again changes nothing but what the source changed.
Will not: delete objects of an earlier build.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from connector.dashboards.model import Source
from connector.dashboards.objects import Page, events_of, ndjson, pages, saved_objects
from connector.dashboards.reading import read_source
from connector.hunts.catalogue import load_catalogue
from connector.settings.model import DashboardsSettings, Settings
from connector.siem.saved_objects import Failed, SavedObjects

Json = dict[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True)
class Build:
    """The source, its dashboards as objects, and all objects made of it."""

    source: Source
    pages: tuple[Page, ...]
    objects: tuple[Json, ...]

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
    """What an import came to: where, how many objects were taken, left as they were, and refused."""

    desk: str
    url: str
    objects: int
    taken: int
    kept: int
    failed: tuple[Failed, ...]
    dashboards: tuple[str, ...]


def build(settings: Settings, own: Path | None = None, subfield: str = "keyword") -> Build:
    """Return the build of the settings; ContentError with every problem of every file."""
    catalogue = load_catalogue(settings)
    hunts = {hunt.name: hunt for hunt in catalogue.hunts}
    source = read_source(hunts.keys(), own)
    events = events_of(settings, subfield)
    found = pages(source, hunts, settings.prefix, events)
    return Build(source, found, saved_objects(source, hunts, settings.prefix, events))


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


def install(made: Build, where: DashboardsSettings, overwrite: bool) -> Installed:
    """Return what importing all objects came to; Refused or SiemError if nothing could be imported."""
    with SavedObjects(where) as desk:
        done = desk.put(made.ndjson, overwrite)
    kept = [failed for failed in done.failed if failed.is_conflict and not overwrite]
    titles = tuple(str(one["attributes"]["title"]) for one in made.dashboards)
    refused = tuple(failed for failed in done.failed if failed not in kept)
    return Installed(str(done.desk), where.url, len(made.objects), done.taken, len(kept), refused, titles)
