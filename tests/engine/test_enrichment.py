"""The ingest script equals the Python reference on every event, and no event is lost because of it, on real engines."""

import copy
import csv
import gzip
import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from connector.enrich.fields import event_properties
from connector.enrich.pipeline import MAX_PIPELINE, MAX_SOURCE, enrich_pipelines, pipeline_size, script_source
from connector.enrich.reference import enrich
from connector.enrich.tables import Tables, build_tables
from connector.settings.load import load_settings
from connector.siem.client import Siem
from connector.siem.event_template import TEMPLATE
from tests.conftest import Place

NOW = datetime(2026, 11, 3, tzinfo=UTC)
WIDE = 2**63
SHAPES = json.loads((Path(__file__).parents[1] / "data" / "malformed_events.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Return the tables of the example organisation."""
    return build_tables(load_settings(None, {}))


def prepare(place: Place, tables: Tables, dynamic: bool = True) -> str:
    """Install pipelines and an index of the load template's form that runs them last; return the index's name.

    Not dynamic: only our fields are mapped, so that malformed events cannot refuse one another, only we could.
    """
    for name, body in enrich_pipelines(tables, place.prefix).items():
        place.siem.call("PUT", f"/_ingest/pipeline/{name}", body)
    body = copy.deepcopy({key: TEMPLATE[key] for key in ("mappings", "settings")})
    if not dynamic:
        body["mappings"] = {"dynamic": False, "properties": {}}
    merge(body["mappings"]["properties"], event_properties())
    body["settings"]["index.final_pipeline"] = f"{place.prefix}enrich"
    place.siem.call("PUT", f"/{place.prefix}events", body)
    return f"{place.prefix}events"


def merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    """Merge nested mapping properties."""
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


def stored_events(
    siem: Siem, index: str, events: Iterable[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Index the events and yield each with what is stored; fails if one is refused or missing."""
    position = 0
    remaining = iter(events)
    while batch := list(islice(remaining, 2000)):
        lines: list[dict[str, Any]] = []
        for offset, event in enumerate(batch):
            lines += [{"index": {"_index": index, "_id": str(position + offset)}}, event]
        assert siem.bulk(lines) == []
        ids = [str(position + offset) for offset in range(len(batch))]
        for event, found in zip(batch, siem.call("POST", f"/{index}/_mget", {"ids": ids})["docs"], strict=True):
            yield event, found["_source"]
        position += len(batch)


def comparable(value: Any) -> Any:
    """Return a value with whole numbers of more than 64 bits, and what stands beside them in DNP3, as text."""
    if isinstance(value, dict):
        return {k: str(v) if k == "value" and isinstance(v, int | float) else comparable(v) for k, v in value.items()}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and value >= WIDE else value


def without_arrival(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event without the moment it arrived."""
    told: dict[str, Any] = comparable(event)
    assert told["hunt"].pop("ingested")
    return told


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def check_file(place: Place, tables: Tables, path: Path) -> None:
    """Fail at the first event where script and reference differ."""
    index = prepare(place, tables)
    count = 0
    for event, stored in stored_events(place.siem, index, read_lines(path)):
        count += 1
        assert without_arrival(stored) == without_arrival(enrich(event, tables, NOW)), f"{path.name}:{count}"
    place.siem.call("POST", f"/{index}/_refresh")
    assert place.siem.count(index, {"match_all": {}}) == count


EVERY = [
    "office-s6-dnsv1",
    "office-s6",
    "office-s7",
    "office-s8-dnsv2",
    "office-s8",
    "suricata7-arkime",
    "suricata8-arkime",
]
LARGE = ["suricata6-verify", "suricata7-verify", "suricata7-zeek", "suricata8-verify", "suricata8-zeek"]


@pytest.mark.parametrize("name", EVERY)
def test_script_equals_reference(each_place: Place, tables: Tables, shared: Path, name: str) -> None:
    check_file(each_place, tables, shared / "eve" / f"{name}.json.gz")


@pytest.mark.parametrize("name", LARGE)
def test_script_equals_reference_on_large_files(place: Place, tables: Tables, shared: Path, name: str) -> None:
    check_file(place, tables, shared / "eve" / f"{name}.json.gz")


@pytest.mark.parametrize("name", ["eve-suricata7", "eve-suricata8"])
def test_script_equals_reference_on_the_story(place: Place, tables: Tables, shared: Path, name: str) -> None:
    check_file(place, tables, shared / "story" / f"{name}.json.gz")


def every_name() -> list[str]:
    """Return the suffix list's own vectors and our tricky names."""
    text = resources.files("publicsuffixlist").joinpath("test_psl.txt").read_text(encoding="utf-8")
    path = Path(__file__).parents[1] / "data" / "tricky_names_expected.csv"
    with path.open(encoding="utf-8") as rows:
        tricky = [row["input"] for row in csv.DictReader(rows)]
    return re.findall(r"^checkPublicSuffix\('([^']*)'", text, re.M) + tricky


def test_names_in_the_script(each_place: Place, tables: Tables) -> None:
    names = every_name()
    index = prepare(each_place, tables)
    events = [{"event_type": "dns", "dns": {"type": "query", "rrname": name, "rrtype": "A"}} for name in names]
    events += [{"event_type": "tls", "tls": {"sni": name}} for name in names]
    events += [{"event_type": "http", "http": {"hostname": name, "http_refer": f"http://{name}/"}} for name in names]
    for event, stored in stored_events(each_place.siem, index, events):
        assert without_arrival(stored) == without_arrival(enrich(event, tables, NOW)), event


def test_malformed_events_are_kept_and_marked(each_place: Place, tables: Tables) -> None:
    index = prepare(each_place, tables, dynamic=False)
    count = 0
    for event, stored in stored_events(each_place.siem, index, SHAPES):
        count += 1
        assert without_arrival(stored) == without_arrival(enrich(event, tables, NOW)), event
    each_place.siem.call("POST", f"/{index}/_refresh")
    assert each_place.siem.count(index, {"match_all": {}}) == count == len(SHAPES)


def test_enriching_again_changes_nothing(each_place: Place, tables: Tables) -> None:
    index = prepare(each_place, tables, dynamic=False)
    before = dict(enumerate(stored for _, stored in stored_events(each_place.siem, index, SHAPES)))
    each_place.siem.call("POST", f"/{index}/_refresh")
    answer = each_place.siem.call("POST", f"/{index}/_update_by_query", refresh=True)
    assert answer["updated"] == len(SHAPES) and not answer["failures"]
    ids = [str(number) for number in before]
    after = [found["_source"] for found in each_place.siem.call("POST", f"/{index}/_mget", {"ids": ids})["docs"]]
    for number, found in enumerate(after):
        unreadable = before[number]["hunt"].get("unreadable") or before[number]["hunt"].get("error")
        if not unreadable:
            assert found == before[number]
        assert found["hunt"]["ingested"] == before[number]["hunt"]["ingested"]


def test_an_event_written_again_is_left_as_it_is_unless_tables_are_new_or_it_has_an_error(
    place: Place, tables: Tables
) -> None:
    index = prepare(place, tables)
    done = {"enriched": tables.enriched, "ingested": 5, "client": {"ip": "192.0.2.7"}}
    others = [{"enriched": "0-old"}, {"ingested": None}, {"error": "not enriched: a reason"}]
    event = {"event_type": "dns", "src_ip": "10.0.0.1", "dns": {"type": "query", "rrname": "a.example"}}
    events = [{**event, "hunt": {**done, **other}} for other in ({}, *others)]
    clients = []
    for given, stored in stored_events(place.siem, index, events):
        assert without_arrival(stored) == without_arrival(enrich(given, tables, NOW))
        clients.append(stored["hunt"]["client"]["ip"])
    assert clients == ["192.0.2.7", "10.0.0.1", "10.0.0.1", "10.0.0.1"]


def test_a_wide_number_of_unknown_place_leaves_the_event_as_it_was(place: Place, tables: Tables) -> None:
    index = prepare(place, tables)
    event = {"event_type": "dns", "custom": {"wide": 2**70}}
    [(_, stored)] = stored_events(place.siem, index, [event])
    hunt = stored.pop("hunt")
    assert stored == event
    assert hunt["error"].startswith("not enriched: ") and hunt["ingested"] and hunt["enriched"] == tables.enriched


def test_sizes_stay_below_the_engines_limits(tables: Tables) -> None:
    assert len(script_source()) < MAX_SOURCE
    assert all(pipeline_size(body) < MAX_PIPELINE for body in enrich_pipelines(tables, "hunts-").values())
