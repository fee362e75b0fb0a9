"""`hunts serve` as a process on a real engine: whatever happens to it, in the end each event has counted once."""

import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from serving import CLIENTS, HUNTS, Ground, Process, Stream, eventually, hunt_file, installation, new_ground, now_ms

from connector.embedded.node import running_node
from connector.errors import Conflict
from connector.hunts.passes.audit import replay
from connector.settings.model import SiemSettings
from connector.siem.client import Siem
from tests.conftest import Place
from tests.engine.made_events import event
from tests.engine.organisation import new_place

MINUTE = 60_000
STOP_SECONDS = 10  # however slow the machine is
KILLS = 8


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an installation without hunts."""
    return installation(tmp_path_factory.mktemp("installed"))


@pytest.fixture
def ground(opensearch: str, installed: Path, tmp_path: Path) -> Iterator[Ground]:
    """Return a new ground."""
    with new_place(opensearch) as place, new_ground(place, tmp_path, installed) as made:
        yield made


@pytest.fixture
def stream(ground: Ground) -> Iterator[Stream]:
    """Return a stream of events that has begun."""
    stream = Stream(ground)
    stream.start()
    yield stream
    stream.end()


def passes_more(ground: Ground, process: Process, number: int = 2) -> None:
    """Return when a process has made so many more passes, and passes have come to some moment: without events, none."""
    before = len(process.said("pass"))
    process.await_said("pass", "", before + number)
    eventually(lambda: ground.state("pass"))


def settled(ground: Ground, stream: Stream) -> list[dict[str, Any]]:
    """Return all events of a stream that has ended, each of them found once and no time left out."""
    events = stream.end()
    ground.await_found(events, *HUNTS)
    ground.await_watermark(now_ms())
    (covered,) = ground.covered()
    assert covered[0] < events[0]["hunt"]["ingested"] and events[-1]["hunt"]["ingested"] <= covered[1]
    return events


def late(chance: random.Random, *minutes: int) -> list[dict[str, Any]]:
    """Return events that were first written so many minutes ago, a few of each."""
    stamps = [now_ms() - ago * MINUTE for ago in minutes for _ in range(5)]
    return [event(chance.uniform(0, 300), came, chance.choice(CLIENTS), "late.example") for came in stamps]


def test_a_stream_is_found_once_over_a_change_of_services(ground: Ground, stream: Stream) -> None:
    first, second = ground.serve().active(), ground.serve()
    second.await_said("lease", f"standing by: the active service is process {first.pid}")
    assert '"role": "active"' in first.asked("readyz")[1] and '"role": "standby"' in second.asked("readyz")[1]
    passes_more(ground, first, 5)
    assert first.stop(STOP_SECONDS) == 0
    assert first.said("stop") and not first.said("trouble")
    passes_more(ground, second.active(), 3)
    assert second.stop(STOP_SECONDS) == 0
    assert ground.state("lease")["value"]["holder"] is None and ground.term() == 2
    third = ground.serve().active()
    assert not third.said("lease", "standing by"), "it had to wait"
    events = settled(ground, stream)
    assert len(events) > 50 and not third.said("trouble")


def test_late_events_are_found_by_the_audit_also_across_a_kill(ground: Ground) -> None:
    chance = random.Random(3)
    events = late(chance, 90)
    ground.put(events)
    service = ground.serve().active()
    ground.await_found(events)
    ground.await_watermark(now_ms())
    written = late(chance, 5, 20, 60)
    ground.put(written)
    ground.await_found(events := events + written)
    assert sum(int(text.split()[0]) for text in service.said("audit", "events came late")) == len(written)
    # what a search does not see before it is told to, when passes have long gone on
    ground.hold("logs-2")
    hidden = late(chance, 0)
    ground.put(hidden, "logs-2", refresh=False)
    ground.await_watermark(now_ms())
    service.kill()
    written = late(chance, 5, 20, 60)
    ground.put(written)
    ground.siem.call("POST", f"/{ground.place.prefix}logs-2/_refresh")
    assert ground.found() == ground.expected(events)
    again = ground.serve().active()
    ground.await_found(events + hidden + written)
    assert again.said("audit", f"{len(hidden + written)} events came late")


def test_killed_at_any_moment_no_count_is_off_by_one(ground: Ground, stream: Stream) -> None:
    chance, cut_off = random.Random(), 0
    for _ in range(KILLS):
        service = ground.serve().active()
        passes_more(ground, service, 1)
        time.sleep(chance.uniform(0, 1.0))
        if chance.random() < 0.7:  # in the midst of a pass
            eventually(lambda: ground.state("pass")["value"]["token"])
        service.kill()
        cut_off += bool(ground.state("pass")["value"]["token"])
        # what the others would wait for: `test_lease_engines.py` has them wait
        ground.siem.call("DELETE", f"/{ground.settings.state('state')}/_doc/lease")
    ground.serve()
    settled(ground, stream)
    assert cut_off, "no kill hit a pass"


def test_one_that_is_stopped_past_its_lease_and_woken_stands_by(ground: Ground, stream: Stream) -> None:
    first, second = ground.serve().active(), ground.serve()
    second.await_said("lease", "standing by")
    terms = [ground.term()]
    eventually(lambda: ground.state("pass").get("value", {}).get("token"))  # in the midst of a pass
    first.signal(signal.SIGSTOP)
    passes_more(ground, second.active())
    terms.append(ground.term())
    first.signal(signal.SIGCONT)
    first.await_said("lease", "the lease is lost")
    first.await_said("lease", f"standing by: the active service is process {second.pid}")
    before = len(first.said("pass"))
    passes_more(ground, second)
    assert len(first.said("pass")) == before and ground.state("lease")["value"]["holder"]["pid"] == second.pid
    second.stop()
    passes_more(ground, first)
    terms.append(ground.term())
    assert terms == sorted(set(terms)), "a term came twice"
    settled(ground, stream)


def test_hunts_and_settings_are_taken_over_while_it_runs(ground: Ground, stream: Stream) -> None:
    service = ground.serve().active()
    text = hunt_file("added", "{hunt.client.ip: 192.0.2.1}")

    def count() -> int:
        """Return the count of the finding of the hunt that is added."""
        return ground.found().get(("added", CLIENTS[0]), 0)

    file = ground.write("added", text)
    first = eventually(count)
    file.write_text(text[: len(text) // 2], encoding="utf-8")
    service.await_said("reload", f"{file}:")
    done = ground.hunts("status")
    assert done.returncode == 1 and f"broken: {file}:" in done.stdout
    assert service.metric("content_problems") > 0 and service.metric("last_reload_successful") == 0
    assert '"status": "ready"' in service.asked("readyz")[1]
    eventually(lambda: count() > first)
    file.write_text(text, encoding="utf-8")
    eventually(lambda: service.metric("content_problems") == 0)
    settings = service.settings.read_text(encoding="utf-8")
    service.settings.write_text(settings + "  every: 2s\n", encoding="utf-8")  # a key that stands twice
    service.await_said("reload", f"{service.settings}:")
    passes_more(ground, service)
    service.settings.write_text(settings, encoding="utf-8")
    eventually(lambda: service.metric("content_problems") == 0)
    file.unlink()
    service.await_said("reload", "added is not there any more")
    before = count()
    passes_more(ground, service, 3)
    assert count() == before and not service.said("trouble")
    settled(ground, stream)
    assert "added" not in {hunt["name"] for hunt in ground.json("status")["hunts"]}


def test_what_cannot_be_asked_is_named_and_the_others_run(ground: Ground, stream: Stream) -> None:
    settings = ground.folder / "hunts.yml"
    text = settings.read_text(encoding="utf-8").replace("sources: [", "sources: [{pattern: no-such-index}, ")
    settings.write_text(text, encoding="utf-8")
    broken = ground.write("broken", HUNTS["asked"][:200])
    refused = {"not-lucene": '{lucene: "hunt.dns.message:[query TO"}', "no-regex": '{hunt.dns.message: {regex: "(q"}}'}
    for name, member in {**refused, "no-field": "{nothing.like.it: x}"}.items():
        ground.write(name, hunt_file(name, member))
    service = ground.serve().active()
    for name in refused:
        service.await_said("hunt", f"{name} failed")
    service.await_said("pass", "no event of no-such-index is enriched")
    assert service.said("reload", f"{broken}:")
    ground.await_found(stream.end(), *HUNTS)
    status = ground.json("status", code=1)
    hunts = {hunt["name"]: hunt for hunt in status["hunts"]}
    assert any(f"{broken}:" in problem for problem in status["problems"])
    assert {name for name, hunt in hunts.items() if hunt["error"]} == {*refused}
    assert "Failed to parse query" in hunts["not-lucene"]["error"]
    assert hunts["no-field"]["trouble"] == "no such field nothing.like.it"
    assert all(hunts[name]["asked"] for name in HUNTS)
    done = ground.hunts("gaps", "--json")
    assert done.returncode == 0 and f"left out: {broken}:" in done.stderr
    for name in refused:
        assert f'"it failed: counting {name} was answered with 400' in done.stdout
    for name in refused:
        ground.write(name, hunt_file(name))
    eventually(lambda: not any(ground.state("pass")["value"]["missing"].get(hunts[name]["id"]) for name in refused))
    wanted = {key[1:]: number for key, number in ground.found().items() if key[0] == "asked"}
    for name in refused:
        assert {key[1:]: number for key, number in ground.found().items() if key[0] == name} == wanted


def test_a_fault_that_nobody_foresaw_is_said_and_tried_again(ground: Ground) -> None:
    events = late(random.Random(5), 1)
    ground.put(events)
    service = ground.serve().active()
    ground.await_found(events)
    # a mapping that takes the stamp for any number: what comes back of it cannot be read
    wrong = late(random.Random(6), 0)
    ground.put(wrong, "logs-2")
    service.await_said("hunt", "asked failed: it is asked again a fault of guided-hunts: ValueError")
    ground.siem.call("DELETE", f"/{ground.place.prefix}logs-2")
    more = late(random.Random(7), 0)
    ground.put(more)
    ground.await_found(events + more)
    assert not service.said("trouble")
    index = ground.settings.state("state")
    stored = ground.siem.get(index, "pass")
    ground.siem.call("PUT", f"/{index}/_doc/pass", {**stored.source, "value": {}})
    service.await_said("trouble", "since")
    assert service.asked("readyz")[0] == 503
    ground.siem.call("PUT", f"/{index}/_doc/pass", stored.source)
    service.await_said("lease", "is the active one now", 2)
    passes_more(ground, service)
    ground.await_found(events + more)


class Engine:
    """An engine of one's own that can be stopped and started again, with its data and on its port."""

    def __init__(self, folder: Path) -> None:
        """Start it."""
        self._folder, self._running, self._port = folder, ExitStack(), 0
        self.start()

    def start(self) -> None:
        """Start it."""
        node = self._running.enter_context(running_node(data=self._folder, port=self._port, heap="512m"))
        self.url, self._port = node.url, node.port

    def stop(self) -> None:
        """Stop it."""
        self._running.close()


def test_an_engine_that_is_down_is_waited_for(installed: Path, open_folder: Path, tmp_path: Path) -> None:
    with ExitStack() as around:
        engine = Engine(open_folder)
        around.callback(engine.stop)
        siem = around.enter_context(Siem.connect(SiemSettings((engine.url,))))
        ground = around.enter_context(new_ground(Place(siem, "t-", engine.url), tmp_path, installed))
        stream = Stream(ground)
        stream.start()
        service = ground.serve().active()
        passes_more(ground, service)
        assert service.asked("readyz")[0] == 200
        engine.stop()
        service.await_said("trouble", "no answer from the search engine")
        status, answer = service.asked("readyz")
        assert status == 503 and "no answer from the search engine" in answer
        assert service.asked("healthz")[0] == 200 and service.metric("engine_reachable") == 0
        engine.start()
        service.await_said("lease", "is the active one now", 2)
        passes_more(ground, service)
        settled(ground, stream)
        assert service.asked("readyz")[0] == 200 and service.metric("engine_reachable") == 1


def test_gaps_are_listed_and_replays_fill_them(ground: Ground) -> None:
    chance = random.Random(4)
    events = late(chance, 50, 30)
    ground.put(events)
    past = f"{datetime.now(UTC) - timedelta(minutes=70):%Y-%m-%dT%H:%M:%SZ}"
    assert ground.json("gaps") == []
    done = ground.hunts("replay", "--from", past)
    assert done.returncode == 6 and "no pass was made yet" in done.stderr
    assert ground.hunts("pass", "--lag", "0s").returncode == 0
    assert ground.found() == ground.expected(events)
    ground.write("added", hunt_file("added"))
    ground.put(more := late(chance, 20))  # behind the back of passes
    ground.json("pass")
    assert ground.found() == {k: n for k, n in ground.expected(events).items() if k[0] != "added"}
    (gap,) = eventually(lambda: ground.json("gaps"))
    assert gap["why"] == "no pass has come so far" and {*gap["hunts"]} == {*HUNTS, "added"}
    assert ground.json("replay", "--from", past).keys() == {"passes", "outcomes", "tags", "deliveries"}
    events += more
    assert ground.found() == ground.expected(events)
    service = ground.serve().active()
    passes_more(ground, service)
    eventually(lambda: ground.json("gaps") == [])
    done = ground.hunts("pass")
    assert done.returncode == 6 and f"process {service.pid}" in done.stderr
    ground.write("later", hunt_file("later"))
    service.await_said("reload", "7 hunts are in force")
    passes_more(ground, service)
    done = ground.hunts("replay", "later", "--from", past)
    assert done.returncode == 0 and f"process {service.pid}" in done.stderr
    ground.await_found(events)


def test_a_replay_in_the_midst_of_a_pass_does_not_stop_the_service(ground: Ground, stream: Stream) -> None:
    service = ground.serve().active()
    passes_more(ground, service, 1)
    while not service.said("pass", "turn is done again"):
        eventually(lambda: ground.state("pass")["value"]["token"])
        with suppress(Conflict):
            replay(ground.siem, ground.settings, ground.asking(), (now_ms() - MINUTE, now_ms()), datetime.now(UTC))
    settled(ground, stream)
    assert not service.said("trouble")
