"""The office day of the shared material in a real engine, enriched by the real pipeline, to test write-back on."""

import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from conftest import Place

from connector.enrich.assets import build_assets
from connector.enrich.tables import build_tables
from connector.hunts.checking.cases import example_settings
from connector.settings.model import Settings, Source
from connector.siem.client import Siem
from connector.siem.eve import Layout
from connector.siem.event_template import put_if_needed
from connector.siem.install import STATE_SETTINGS, install, plan
from connector.siem.load import load_files
from connector.siem.state import STATE_MAPPINGS


def settings_of(place: Place, **more: Any) -> Settings:
    """Return settings of the example organisation that keep everything in the place."""
    source = Source(f"{stem_of(place)}*", "eve", "@timestamp")
    return replace(example_settings(), sources=(source,), prefix=place.prefix, **more)


def put_template(place: Place) -> None:
    """Put the template of loaded events for the place's indices."""
    put_if_needed(place.siem, place.prefix, Layout(stem_of(place)))


def stem_of(place: Place) -> str:
    """Return what the names of the place's event indices begin with."""
    return f"{place.prefix}logstash-"


def install_all(place: Place, settings: Settings) -> None:
    """Install the pipelines, the fields and our own indices."""
    install(place.siem, plan(place.siem, build_assets(settings, build_tables(settings))))


def install_state(place: Place, settings: Settings, *names: str) -> None:
    """Make some of our own indices, and nothing else."""
    for name in names:
        body = {"settings": STATE_SETTINGS, "mappings": {"dynamic": False, "properties": STATE_MAPPINGS[name]}}
        place.siem.call("PUT", f"/{settings.state(name)}", body)


def load_lines(place: Place, file: Path) -> Settings:
    """Return the settings of a place that holds the events of a file, enriched."""
    settings = settings_of(place)
    put_template(place)
    install_all(place, settings)
    (loaded,) = load_files(place.siem, [str(file)], place.prefix, lambda *_: None, stem_of(place)).files
    assert loaded.stored == loaded.lines
    return settings


def some_of_the_story(shared: Path, folder: Path, *kinds: str) -> Path:
    """Return a file with the office day's events of some types."""
    marks = [f'"event_type":"{kind}"'.encode() for kind in kinds]
    with gzip.open(shared / "story" / "eve-suricata8.json.gz") as file:
        lines = [line for line in file if any(mark in line for mark in marks)]
    (folder / "events.json").write_bytes(b"".join(lines))
    return folder / "events.json"


def sources(siem: Siem, index: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the source of every document of an index pattern by index and id, as it is stored now."""
    siem.call("POST", f"/{index}/_refresh")
    return {(hit["_index"], hit["_id"]): hit["_source"] for hit in _all(siem, index)}


def _all(siem: Siem, index: str) -> Iterator[dict[str, Any]]:
    """Yield every hit of an index pattern."""
    return siem.scan(index, {"query": {"match_all": {}}}, 5000)
