"""Updates as tasks on real engines: followed, throttled, taken up, started anew, and the same end after every kill."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Place
from engine.made_up import made_up, records

from connector.embedded.node import running_node
from connector.errors import NotThere, Rejected
from connector.settings.model import SiemSettings
from connector.siem.client import Siem
from connector.siem.install import install, plan
from connector.siem.tasks import Updated, run_update, stop_update
from connector.siem.update_task import Count, Work, running_tasks

EVENTS = 4000
# counts up on purpose: a document that is updated twice shows
SCRIPT = {"source": "ctx._source.done = ctx._source.done == null ? 1 : ctx._source.done + 1"}
BODY = {"query": {"bool": {"must_not": [{"exists": {"field": "done"}}]}}, "script": SCRIPT}
CLIENT = """
import json, sys
from connector.settings.model import SiemSettings
from connector.siem.client import Siem
from connector.siem.tasks import run_update
url, prefix, body = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
with Siem.connect(SiemSettings(urls=(url,))) as siem:
    print("starting", flush=True)
    done = run_update(siem, f"{prefix}state", "mark", f"{prefix}logs-*", body, requests_per_second=2000)
print(done.count.updated, done.left)
"""


@pytest.fixture
def filled(each_place: Place) -> Iterator[Place]:
    """Return a place with our state index and events in two indices, none of them updated."""
    siem, prefix = each_place.siem, each_place.prefix
    install(siem, plan(siem, made_up(prefix)))
    siem.call("DELETE", f"/_template/{prefix}events")
    fill(each_place)
    yield each_place


def fill(place: Place, events: int = EVENTS) -> None:
    """Write numbered events into two indices."""
    lines: list[dict[str, object]] = []
    for number in range(events):
        lines += [{"index": {"_index": f"{place.prefix}logs-{number % 2}", "_id": str(number)}}, {"n": number}]
    assert not place.siem.bulk(lines, refresh=True)


def run(place: Place, **more: object) -> Updated:
    """Run the update of the tests."""
    return run_update(place.siem, f"{place.prefix}state", "mark", f"{place.prefix}logs-*", BODY, **more)


def marks(place: Place) -> dict[int, int]:
    """Return how many events were updated how often."""
    counts: dict[int, int] = {}
    for hit in place.siem.scan(f"{place.prefix}logs-*", {"query": {"match_all": {}}}):
        times = hit["_source"].get("done", 0)
        counts[times] = counts.get(times, 0) + 1
    return counts


def running(place: Place) -> int:
    """Return how many tasks of this place run."""
    mark = Work(place.siem, f"{place.prefix}state", "mark").mark
    tasks = place.siem.call("GET", "/_tasks", actions="*update/byquery", detailed=True, group_by="none")["tasks"]
    return sum(t["headers"].get("X-Opaque-Id") == mark and "parent_task_id" not in t for t in tasks)


@contextmanager
def any_number_of_compilations(siem: Siem) -> Iterator[None]:
    """Take the limit off how often the engine compiles a script."""
    setting = "script.context.update.max_compilations_rate"
    siem.call("PUT", "/_cluster/settings", {"transient": {setting: "unlimited"}})
    try:
        yield
    finally:
        siem.call("PUT", "/_cluster/settings", {"transient": {setting: None}})


def test_all_are_updated_once_and_nothing_is_left_of_the_task(filled: Place) -> None:
    """Counts are right, progress grows to the end, note and record are gone, and again there is nothing to do."""
    seen: list[Count] = []
    done = run(filled, progress=seen.append)
    assert (done.count, done.left, done.failures, done.rounds) == (Count(EVENTS, EVENTS, 0, 0), 0, [], 1)
    assert marks(filled) == {1: EVENTS}
    assert all(count.total == EVENTS for count in seen)
    assert filled.siem.get(f"{filled.prefix}state", "task-mark") is None
    assert records(filled.siem, filled.prefix) == []
    assert run(filled).rounds == 0


def test_it_is_throttled_and_tells_how_far_it_is(filled: Place) -> None:
    """With two slices and a pace the numbers grow while it runs."""
    seen: list[int] = []
    done = run(filled, requests_per_second=2000, progress=lambda count: seen.append(count.updated))
    assert done.seconds > 1
    assert seen == sorted(seen) and len({n for n in seen if 0 < n < EVENTS}) >= 2


def test_many_indices_go_in_portions(each_place: Place) -> None:
    """More indices than one call can name, among them one that is read-only: it is named, all others are done."""
    siem, prefix = each_place.siem, each_place.prefix
    install(siem, plan(siem, made_up(prefix)))
    siem.call("DELETE", f"/_template/{prefix}events")
    names = [f"{prefix}logs-{number}-{'x' * 60}" for number in range(60)]
    siem.bulk([line for name in names for line in ({"index": {"_index": name, "_id": "1"}}, {"n": 1})], refresh=True)
    siem.call("PUT", f"/{names[7]}/_settings", {"index.blocks.write": True})
    done = run(each_place)
    assert [(failure.index, failure.id) for failure in done.failures] == [(names[7], "*")]
    assert (done.count.updated, done.left) == (59, 1) and done.rounds > 1


def test_documents_that_fail_do_not_stop_the_others(filled: Place) -> None:
    """The engine gives up at the first failure; we go on without it and name each with its reason."""
    siem, prefix = filled.siem, filled.prefix
    source = SCRIPT["source"] + "; if (ctx._source.n % 500 == 3) { ctx._source.n = ['a': 1] }"
    body = {**BODY, "script": {"source": source}}
    done = run_update(siem, f"{prefix}state", "mark", f"{prefix}logs-*", body)
    bad = {str(number) for number in range(EVENTS) if number % 500 == 3}
    assert {failure.id for failure in done.failures} == bad
    assert all(failure.index == f"{prefix}logs-1" and failure.reason for failure in done.failures)
    assert marks(filled) == {0: len(bad), 1: EVENTS - len(bad)}
    assert done.left == 0  # but those that failed, which are reported


def test_events_written_in_between_are_tried_again(filled: Place) -> None:
    """A version conflict makes another round, until none matches."""
    index = f"{filled.prefix}logs-0"
    lines: list[dict[str, object]] = []
    for n in range(0, EVENTS, 2):
        lines += [{"update": {"_index": index, "_id": str(n), "retry_on_conflict": 9}}, {"doc": {"x": 1}}]

    def disturb(count: Count) -> None:
        """Change, once, events that the task has read and not written yet."""
        if lines:
            assert not filled.siem.bulk(lines)
            lines.clear()

    done = run(filled, requests_per_second=1500, slices=1, progress=disturb)
    assert done.count.conflicts > 0 and done.rounds > 1
    assert done.left == 0 and marks(filled) == {1: EVENTS}
    assert filled.siem.count(index, {"term": {"x": 1}}) == EVENTS // 2


def test_an_update_the_engine_cannot_run_is_an_error(filled: Place) -> None:
    """A script that does not compile is told with the engine's reason; so is a missing state index."""
    body = {**BODY, "script": {"source": "no such thing"}}
    with pytest.raises(Rejected, match="mark could not run"):
        run_update(filled.siem, f"{filled.prefix}state", "mark", f"{filled.prefix}logs-*", body)
    with pytest.raises(NotThere, match="hunts install"):
        run_update(filled.siem, f"{filled.prefix}none", "mark", f"{filled.prefix}logs-*", BODY)


def test_a_task_that_failed_and_hangs_is_an_error_and_not_taken_up(filled: Place) -> None:
    """Engines never end a task whose slices fail with one exception: told as any other, and out of the way."""
    siem, prefix = filled.siem, filled.prefix
    long = " ".join(f"int a{i} = {i}; ctx._source.a{i} = a{i};" for i in range(700))
    body = {**BODY, "script": {"source": f"{long} no such thing"}}
    with any_number_of_compilations(siem):
        for _ in range(20):  # a matter of threads: two slices wait for one compilation
            with pytest.raises(Rejected, match="mark could not run: compile error"):
                run_update(siem, f"{prefix}state", "mark", f"{prefix}logs-*", body, slices=10)
            if running(filled):
                break
    assert not stop_update(siem, f"{prefix}state", "mark") and not running_tasks(siem, f"{prefix}state/")
    assert not run(filled).taken_up
    assert marks(filled) == {1: EVENTS}


def test_a_second_client_follows_the_first_ones_task(filled: Place) -> None:
    """No second task is started; the pace is the second client's."""
    work = Work(filled.siem, f"{filled.prefix}state", "mark")
    work.start([f"{filled.prefix}logs-0", f"{filled.prefix}logs-1"], BODY, 20, 2, "_none")
    started = time.monotonic()
    done = run(filled)
    assert done.taken_up and time.monotonic() - started < 60
    assert (marks(filled), running(filled)) == ({1: EVENTS}, 0)


def test_a_task_without_note_is_found_by_its_mark(filled: Place) -> None:
    """Killed between the start and the note: the engine knows whose task it is."""
    work = Work(filled.siem, f"{filled.prefix}state", "mark")
    task = work.start([f"{filled.prefix}logs-0"], BODY, 500, 1, "_none")
    work.forget()
    assert work.found() == task
    assert run(filled).taken_up
    assert marks(filled) == {1: EVENTS}


def test_the_result_of_a_task_that_ended_unseen_is_read(filled: Place) -> None:
    """Killed before the end: the next run counts what was done meanwhile."""
    work = Work(filled.siem, f"{filled.prefix}state", "mark")
    work.start([f"{filled.prefix}logs-0", f"{filled.prefix}logs-1"], BODY, None, 2, "_none")
    while running(filled):
        time.sleep(0.1)
    done = run(filled)
    assert done.taken_up and done.count.updated == EVENTS


def test_a_task_that_is_gone_is_started_anew(filled: Place) -> None:
    """A note of a task that the engine does not know (it was restarted) does not mislead."""
    note = {"kind": "task", "task": "gone:1", "updated": "2026-01-01T00:00:00Z"}
    filled.siem.call("PUT", f"/{filled.prefix}state/_doc/task-mark", note)
    done = run(filled)
    assert not done.taken_up and done.count.updated == EVENTS


def test_an_error_of_an_earlier_task_is_not_that_of_this_one(filled: Place) -> None:
    """The script of a client before did not compile: ours is run all the same."""
    work = Work(filled.siem, f"{filled.prefix}state", "mark")
    work.start([f"{filled.prefix}logs-0"], {**BODY, "script": {"source": "no such thing"}}, None, 1, "_none")
    while running(filled):
        time.sleep(0.1)
    assert run(filled).count.updated == EVENTS


def test_stopping(filled: Place) -> None:
    """A running task is stopped and forgotten; where none runs, that is said."""
    work = Work(filled.siem, f"{filled.prefix}state", "mark")
    work.start([f"{filled.prefix}logs-0"], BODY, 50, 1, "_none")
    assert stop_update(filled.siem, f"{filled.prefix}state", "mark")
    assert running(filled) == 0 and marks(filled).get(0, 0) > 0
    assert not stop_update(filled.siem, f"{filled.prefix}state", "mark")


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_any_moment_and_run_again(filled: Place, seed: int) -> None:
    """A client killed three times at random moments: in the end every event is updated once, as if undisturbed."""
    command = [sys.executable, "-c", CLIENT, filled.url, filled.prefix, json.dumps(BODY)]
    moments = random.Random(seed)
    for _ in range(3):
        client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        assert client.stdout.readline() == "starting\n"
        time.sleep(moments.uniform(0, 0.6))
        os.kill(client.pid, signal.SIGKILL)
        client.wait()
        client.stdout.close()
        assert running(filled) <= 1
    last = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert last.stdout.split()[-1] == "0"
    assert (marks(filled), running(filled)) == ({1: EVENTS}, 0)
    assert filled.siem.get(f"{filled.prefix}state", "task-mark") is None


@pytest.fixture
def node_folder() -> Iterator[Path]:
    """Return a folder that the engine's own account can enter, which pytest's are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name) / "node"


def test_an_engine_that_dies_in_the_middle(node_folder: Path) -> None:
    """The engine is restarted while an update runs: the next run starts anew and the end is the same."""
    with running_node(data=node_folder, heap="512m") as node, connected(node.url) as siem:
        place = Place(siem, "d-", node.url)
        install(siem, plan(siem, made_up("d-")))
        siem.call("DELETE", "/_template/d-events")
        fill(place)
        Work(siem, "d-state", "mark").start(["d-logs-0", "d-logs-1"], BODY, 500, 2, "_none")
        while 1 not in marks(place):
            time.sleep(0.2)
            siem.call("POST", "/d-logs-*/_refresh")
    with running_node(data=node_folder, heap="512m") as node, connected(node.url) as siem:
        place = Place(siem, "d-", node.url)
        siem.call("GET", "/_cluster/health", wait_for_status="yellow")
        assert 0 < marks(place)[1] < EVENTS
        assert run(place).left == 0
        assert marks(place) == {1: EVENTS}


def connected(url: str) -> Siem:
    """Return the engine at the url."""
    return Siem.connect(SiemSettings(urls=(url,)))
