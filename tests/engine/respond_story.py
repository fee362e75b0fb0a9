"""The office day of the shared material in a real engine, enriched by the real pipeline, to test write-back on."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from conftest import Place

from connector.enrich.assets import build_assets
from connector.enrich.tables import build_tables
from connector.hunts.cases import example_settings
from connector.settings.model import Settings, Source
from connector.siem.client import Siem
from connector.siem.eve import Placed, read_line
from connector.siem.event_template import TEMPLATE
from connector.siem.install import STATE_SETTINGS, install, plan
from connector.siem.state import STATE_MAPPINGS

PORTION = 5000


def settings_of(place: Place, **more: Any) -> Settings:
    """Return settings of the example organisation that keep everything in the place."""
    source = Source(f"{place.prefix}logstash-*", "eve", "@timestamp")
    return replace(example_settings(), sources=(source,), prefix=place.prefix, **more)


def put_template(place: Place) -> None:
    """Put the template of loaded events for the place's indices."""
    body = TEMPLATE | {"index_patterns": [f"{place.prefix}logstash-*"]}
    place.siem.call("PUT", f"/_template/{place.prefix}loaded", body)


def install_all(place: Place, settings: Settings) -> None:
    """Install the pipelines, the fields and our own indices."""
    install(place.siem, plan(place.siem, build_assets(settings, build_tables(settings))))


def install_state(place: Place, settings: Settings) -> None:
    """Make our own indices only."""
    for name, properties in STATE_MAPPINGS.items():
        body = {"settings": STATE_SETTINGS, "mappings": {"dynamic": False, "properties": properties}}
        place.siem.call("PUT", f"/{settings.state(name)}", body)


def load_story(place: Place, shared: Path) -> Settings:
    """Return the settings of a place that holds the office day, enriched."""
    settings = settings_of(place)
    put_template(place)
    install_all(place, settings)
    with gzip.open(shared / "story" / "eve-suricata8.json.gz") as file:
        load(place, [line.strip() for line in file])
    return settings


def load(place: Place, lines: list[bytes]) -> None:
    """Store the lines of an EVE file as events."""
    for start in range(0, len(lines), PORTION):
        events = [read_line(line, number, "day") for number, line in enumerate(lines[start : start + PORTION], start)]
        body = b"".join(_lines(place, event) for event in events if isinstance(event, Placed))
        assert place.siem.bulk(body) == []
    place.siem.call("POST", f"/{place.prefix}logstash-*/_refresh")


def _lines(place: Place, event: Placed) -> bytes:
    """Return the two lines of a bulk body for an event."""
    action = {"create": {"_index": place.prefix + event.index, "_id": event.id}}
    return json.dumps(action).encode() + b"\n" + event.source + b"\n"


def sources(siem: Siem, index: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the source of every document of an index pattern by index and id, as it is stored now."""
    siem.call("POST", f"/{index}/_refresh")
    return {(hit["_index"], hit["_id"]): hit["_source"] for hit in _all(siem, index)}


def _all(siem: Siem, index: str) -> Iterator[dict[str, Any]]:
    """Yield every hit of an index pattern."""
    return siem.scan(index, {"query": {"match_all": {}}}, 5000)
