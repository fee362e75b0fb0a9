"""Backfilling on real engines: old events are enriched once, whatever runs their pipeline, killed or not."""

import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import Place
from engine.made_up import made_up, records

from connector.errors import Refused
from connector.settings.model import Source
from connector.siem.assets import Assets
from connector.siem.backfill import Backfilled, Window, backfill
from connector.siem.install import install, plan
from connector.siem.plan import Step
from connector.siem.uninstall import uninstall, uninstall_plan

EVENTS = 1500
ALL = Window()
CLIENT = """
import sys
from connector.settings.model import SiemSettings, Source
from connector.siem.backfill import Window, backfill
from connector.siem.client import Siem
sys.path.insert(0, "tests")
from engine.made_up import made_up, records
url, prefix = sys.argv[1:]
with Siem.connect(SiemSettings(urls=(url,))) as siem:
    print("starting", flush=True)
    sources = (Source(f"{prefix}logs-*"),)
    done = backfill(siem, made_up(prefix), sources, Window(), requests_per_second=1500, progress=lambda count: None)
print(done.left)
"""


def store(place: Place, index: str, events: int = EVENTS) -> None:
    """Write events of two days that no pipeline sees."""
    lines: list[dict[str, object]] = []
    for n in range(events):
        lines += [
            {"index": {"_index": f"{place.prefix}{index}", "_id": str(n)}},
            {"@timestamp": f"2026-01-0{1 + n % 2}T00:00:00Z", "number": n},
        ]
    assert not place.siem.bulk(lines, refresh=True)


def run(place: Place, assets: Assets | None = None, window: Window = ALL) -> Backfilled:
    """Backfill the place."""
    sources = (Source(f"{place.prefix}logs-*"),)
    assets = assets or made_up(place.prefix)
    return backfill(place.siem, assets, sources, window, requests_per_second=None, progress=lambda count: None)


def times_enriched(place: Place) -> dict[int, int]:
    """Return how many events ran the pipeline how often."""
    counts: dict[int, int] = {}
    for hit in place.siem.scan(f"{place.prefix}logs-*", {"query": {"match_all": {}}}):
        times = hit["_source"].get("n", 0)
        counts[times] = counts.get(times, 0) + 1
    return counts


def test_old_events_are_enriched_once(each_place: Place) -> None:
    """Events from before the installation; again there is nothing to do, and with new tables all is done anew."""
    store(each_place, "logs-a")
    install(each_place.siem, plan(each_place.siem, made_up(each_place.prefix)))
    done = run(each_place)
    assert [(part.indices, part.updated.count.updated) for part in done.parts] == [(1, EVENTS)] and done.left == 0
    assert times_enriched(each_place) == {1: EVENTS}
    assert run(each_place).parts[0].updated.count.updated == 0
    newer = made_up(each_place.prefix, "v2")
    with pytest.raises(Refused, match="hunts install"):
        run(each_place, newer)
    install(each_place.siem, plan(each_place.siem, newer))
    assert run(each_place, newer).left == 0
    assert times_enriched(each_place) == {2: EVENTS}
    uninstall(each_place.siem, newer)
    assert records(each_place.siem, each_place.prefix) == []
    assert each_place.siem.count(".tasks", {"match_all": {}}) or not each_place.siem.exists("/.tasks")


def test_every_kind_of_index_runs_the_pipeline_once(each_place: Place) -> None:
    """With our final pipeline, with one that calls ours, with none; theirs that is default does not run again."""
    siem, prefix = each_place.siem, each_place.prefix
    theirs = {"processors": [{"pipeline": {"name": f"{prefix}enrich", "ignore_failure": True}}]}
    siem.call("PUT", f"/_ingest/pipeline/{prefix}theirs", theirs)
    siem.call("PUT", f"/_ingest/pipeline/{prefix}default", {"processors": [{"set": {"field": "default", "value": 1}}]})
    for index in ("logs-ours", "logs-calls", "logs-none", "logs-shut"):
        store(each_place, index, 10)
    siem.call("PUT", f"/{prefix}logs-calls/_settings", {"index.final_pipeline": f"{prefix}theirs"})
    siem.call("PUT", f"/{prefix}logs-ours/_settings", {"index.default_pipeline": f"{prefix}default"})
    siem.call("POST", f"/{prefix}logs-shut/_close")
    install(siem, plan(siem, made_up(prefix)))
    siem.call("PUT", f"/{prefix}logs-none/_settings", {"index.final_pipeline": None})
    done = run(each_place)
    assert done.left == 0 and [one.name for one in done.left_out] == [f"{prefix}logs-shut"]
    assert times_enriched(each_place) == {1: 30}
    assert siem.count(f"{prefix}logs-*", {"exists": {"field": "default"}}) == 0


def test_only_the_window(each_place: Place) -> None:
    """Bounds are on the events' own time, the end outside."""
    store(each_place, "logs-a", 10)
    install(each_place.siem, plan(each_place.siem, made_up(each_place.prefix)))
    run(each_place, window=Window(until=datetime(2026, 1, 2, tzinfo=UTC)))
    assert times_enriched(each_place) == {0: 5, 1: 5}
    run(each_place, window=Window(since=datetime(2026, 1, 2, tzinfo=UTC)))
    assert times_enriched(each_place) == {1: 10}


def test_killed_at_any_moment_and_run_again(each_place: Place) -> None:
    """A client killed at random moments: in the end every event ran the pipeline once."""
    store(each_place, "logs-a")
    store(each_place, "logs-b")
    install(each_place.siem, plan(each_place.siem, made_up(each_place.prefix)))
    command = [sys.executable, "-c", CLIENT, each_place.url, each_place.prefix]
    moments = random.Random(7)
    for _ in range(4):
        client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        assert client.stdout.readline() == "starting\n"
        time.sleep(moments.uniform(0, 0.8))
        os.kill(client.pid, signal.SIGKILL)
        client.wait()
        client.stdout.close()
    last = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert last.stdout.split()[-1] == "0"
    assert times_enriched(each_place) == {1: 2 * EVENTS}


def test_uninstalling_stops_a_backfill(each_place: Place) -> None:
    """A backfill whose client is gone runs on in the engine until it is done or we are uninstalled."""
    store(each_place, "logs-a")
    install(each_place.siem, plan(each_place.siem, made_up(each_place.prefix)))
    command = [sys.executable, "-c", CLIENT.replace("1500", "100"), each_place.url, each_place.prefix]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    client.stdout.readline()
    while not (found := [s for s in _steps(each_place) if s.kind == "task"]):
        time.sleep(0.1)
    os.kill(client.pid, signal.SIGKILL)
    client.wait()
    client.stdout.close()
    done = uninstall(each_place.siem, made_up(each_place.prefix))
    assert found[0].names[0] in [step.names[0] for step in done.steps]
    assert not [step for step in _steps(each_place) if step.kind == "task"]
    assert records(each_place.siem, each_place.prefix) == []


def _steps(place: Place) -> tuple[Step, ...]:
    """Return what uninstalling would do."""
    return uninstall_plan(place.siem, made_up(place.prefix)).steps
