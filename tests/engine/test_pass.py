"""Passes on real engines: each event once, whatever kills, disturbs or delays them."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from made_events import CutWire, DisturbedWire, at_least, event, hunt, make_state, put_events, settings_in
from organisation import install_and_load, new_place, story_settings

from connector.errors import Conflict, NotThere, Refused, Unreachable
from connector.hunts.asking.groups import groups
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.conditions.condition import Equals, Lucene
from connector.hunts.passes.intervals import SLOT
from connector.hunts.passes.passes import Order, Pass, run_pass
from connector.settings.load import load_settings
from connector.settings.model import Settings
from connector.siem.client import Siem
from tests.conftest import Place

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CLIENTS = ("192.0.2.1", "192.0.2.2", "2001:db8::1")
HUNTS = (
    hunt(),
    hunt("by-name", group_by=("hunt.client.ip", "hostname_info.domain")),
    hunt("burst", needs=at_least(4)),
    hunt("many-names", needs=at_least(3, 30, "hostname_info.domain")),
)


def passing(siem: Siem, settings: Settings, end: int, *hunts: Hunt, broken: bool = False) -> Pass:
    """Return a pass over the events that came until `end` milliseconds."""
    order = Order(hunts or HUNTS, timedelta(), broken=broken)
    return run_pass(siem, settings, order, lambda: EPOCH + timedelta(milliseconds=end), lambda *_: None)


def found(siem: Siem, settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the findings by id, without what tells when and in which portions they were written."""
    own = ("settled", "windows", "made", "updated")
    hits = siem.scan(settings.state("findings"), {"query": {"match_all": {}}})
    return {hit["_id"]: {k: v for k, v in hit["_source"].items() if k not in own} for hit in hits}


def numbers(siem: Siem, settings: Settings) -> dict[tuple[str, ...], int]:
    """Return the count of each finding by hunt and group."""
    return {
        (f["hunt"]["name"], *(str(f["group"][name]) for name in f["group_by"])): f["count"]
        for f in found(siem, settings).values()
    }


def ledger(siem: Siem, settings: Settings) -> list[dict[str, Any]]:
    """Return the entries of the ledger in the order of time."""
    siem.call("POST", f"/{settings.state('runs')}/_refresh")
    body = {"query": {"term": {"kind": "pass"}}, "sort": [{"to": "asc"}]}
    return [hit["_source"] for hit in siem.scan(settings.state("runs"), body)]


def without_gaps(entries: list[dict[str, Any]]) -> bool:
    """Tell whether each window begins where the one before ends."""
    return all(entry["from"] == before["to"] for before, entry in itertools.pairwise(entries))


def watermark(siem: Siem, settings: Settings) -> Mapping[str, Any]:
    """Return how far passes are."""
    stored = siem.get(settings.state("state"), "pass")
    assert stored is not None
    value = {name: found for name, found in stored.source["value"].items() if name != "last"}
    return {"watermark": stored.source["watermark"], **value}


def random_events(seed: int, number: int = 250) -> list[dict[str, Any]]:
    """Return events of ten minutes that came in any order within 100 milliseconds."""
    chance = random.Random(seed)
    return [
        event(
            chance.choice((chance.uniform(0, 600), chance.gauss(300, 15))),
            chance.randint(1, 100),
            chance.choice((*CLIENTS, [CLIENTS[0], CLIENTS[2]])),
            f"{chance.choice('abcde')}.example",
        )
        for _ in range(number)
    ]


def expected(events: list[dict[str, Any]], *hunts: Hunt) -> dict[tuple[str, ...], int]:
    """Return what the Python reference finds among the events."""
    return {
        (each.name, *map(str, group.values.values())): len(group.events)
        for each in hunts or HUNTS
        for group in groups(each, events)
    }


@pytest.mark.parametrize("seed", range(3))
def test_findings_are_those_of_the_reference_whatever_the_rhythm(each_place: Place, seed: int) -> None:
    siem, settings = each_place.siem, settings_in(each_place)
    events = random_events(seed)
    put_events(each_place, events)
    ends = sorted(random.Random(seed).sample(range(1, 99), 6))
    assert [passing(siem, settings, end).failed for end in (*ends, 100)] == [()] * 7
    assert numbers(siem, settings) == expected(events)
    once = replace(settings, prefix=f"{settings.prefix}once-")
    make_state(siem, once)
    passing(siem, once, 100)
    assert found(siem, settings) == found(siem, once)
    entries = ledger(siem, settings)
    assert sum(entry["events"] for entry in entries) == len(events)
    assert without_gaps(entries)


@pytest.mark.parametrize("answered", [True, False])
def test_cut_off_after_any_call_and_done_again_the_end_is_the_same(place: Place, answered: bool) -> None:
    siem, settings = place.siem, settings_in(place)
    events = random_events(7, 120)
    put_events(place, events)
    whole = replace(settings, prefix=f"{settings.prefix}whole-")
    make_state(siem, whole)
    passing(siem, whole, 100)
    cuts, calls = 0, 1
    while True:
        try:
            passing(Siem(CutWire(siem._wire, calls, answered), siem.product), settings, 100)
            break
        except Unreachable:
            cuts, calls = cuts + 1, calls + 1
    assert cuts > 20
    siem.call("POST", f"/{settings.state('findings')}/_refresh")
    assert found(siem, settings) == found(siem, whole)
    assert numbers(siem, settings) == expected(events)
    assert watermark(siem, settings) == watermark(siem, whole)
    assert len(ledger(siem, settings)) == 1


def test_cut_off_and_done_again_much_later_it_has_one_entry_in_the_ledger(place: Place) -> None:
    siem, settings = place.siem, settings_in(place)
    put_events(place, random_events(7, 120))
    calls = 0
    while True:
        calls += 1
        own = replace(settings, prefix=f"{settings.prefix}{calls}-")
        make_state(siem, own)
        try:
            passing(Siem(CutWire(siem._wire, calls, True), siem.product), own, 100, HUNTS[0])
        except Unreachable:
            while passing(siem, own, 100 + 2 * SLOT, HUNTS[0]).left_ms:
                pass
            entries = ledger(siem, own)
            assert sum(entry["events"] for entry in entries) == 120 and without_gaps(entries), calls
        else:
            break
    assert calls > 10


@pytest.mark.parametrize("call", [9, 13, 17, 21])
def test_a_pass_that_wakes_up_late_changes_nothing(place: Place, call: int) -> None:
    siem, settings = place.siem, settings_in(place)
    put_events(place, random_events(1, 60))

    def others() -> None:
        """Do the same window, and two more with further events."""
        assert passing(siem, settings, 100).redone
        put_events(place, [event(700 + n, 150 + n, CLIENTS[0]) for n in range(9)])
        passing(siem, settings, 155)
        passing(siem, settings, 200)

    sleeper = Siem(DisturbedWire(siem._wire, call, others), siem.product)
    with pytest.raises(Conflict, match="another pass has taken up the same window"):
        passing(sleeper, settings, 100)
    events = [hit["_source"] for hit in siem.scan(settings.events, {"query": {"match_all": {}}})]
    siem.call("POST", f"/{settings.state('findings')}/_refresh")
    assert numbers(siem, settings) == expected(events)
    assert watermark(siem, settings)["watermark"] == 200


def test_of_two_passes_that_begin_at_once_one_stops(place: Place) -> None:
    siem, settings = place.siem, settings_in(place)
    events = random_events(2, 60)
    put_events(place, events)
    passing(siem, settings, 10)
    second = Siem(DisturbedWire(siem._wire, 5, lambda: passing(siem, settings, 100)), siem.product)
    with pytest.raises(Conflict, match="another pass has just begun: this one stops and has changed nothing"):
        passing(second, settings, 100)
    assert numbers(siem, settings) == expected(events)


def test_a_hunt_that_fails_is_named_and_catches_up_when_it_is_mended(each_place: Place) -> None:
    siem, settings = each_place.siem, settings_in(each_place)
    events = random_events(3, 60)
    put_events(each_place, events)
    broken = hunt("mended", Lucene("hunt.dns.message:((("))
    done = passing(siem, settings, 50, HUNTS[0], broken)
    assert [(each.name, bool(each.error)) for each in done.hunts] == [("asked", False), ("mended", True)]
    (entry,) = ledger(siem, settings)
    assert [error["hunt"] for error in entry["errors"]] == ["mended"]
    assert watermark(siem, settings)["missing"] == {"mended": [[4, 50]]}  # the first event came at 5
    passing(siem, settings, 100, HUNTS[0], hunt("mended"))
    assert numbers(siem, settings) == expected(events, HUNTS[0], hunt("mended"))
    assert watermark(siem, settings)["missing"] == {}


def test_a_hunt_whose_file_is_broken_for_a_while_misses_nothing(place: Place) -> None:
    siem, settings = place.siem, settings_in(place)
    events = random_events(4, 60)
    put_events(place, events)
    passing(siem, settings, 20)
    passing(siem, settings, 60, *HUNTS[:2], broken=True)
    passing(siem, settings, 100)
    assert numbers(siem, settings) == expected(events)


def test_a_hunt_on_a_field_that_no_index_has_says_so(each_place: Place) -> None:
    siem, settings = each_place.siem, settings_in(each_place)
    put_events(each_place, [event(1)])
    done = passing(siem, settings, 100, hunt("absent", Equals("tls.sni", ("x",))))
    assert [(each.trouble, each.error) for each in done.hunts] == [("no such field tls.sni", None)]


def test_nothing_is_begun_without_our_indices_or_without_events(place: Place) -> None:
    siem, settings = place.siem, settings_in(place)
    with pytest.raises(NotThere, match="run `hunts install` first"):
        passing(siem, replace(settings, prefix=f"{place.prefix}other-"), 100)
    assert passing(siem, settings, 100).start is None
    assert siem.get(settings.state("state"), "pass") is None


def test_a_source_whose_events_are_not_enriched_is_named(place: Place) -> None:
    settings = settings_in(place)
    place.siem.call("PUT", f"/{place.prefix}bare-1")
    with_bare = replace(
        settings, sources=(*settings.sources, replace(settings.sources[0], pattern=f"{place.prefix}bare-*"))
    )
    put_events(place, [event(1)])
    done = passing(place.siem, with_bare, 100)
    assert done.events == 1
    assert [note for note in done.notes if f"{place.prefix}bare-*" in note]


def test_since_is_for_the_first_pass(place: Place) -> None:
    siem, settings = place.siem, settings_in(place)
    put_events(place, [event(1, 1_000), event(2, 9_000)])

    def order(end: int) -> Pass:
        what = Order(HUNTS, timedelta(), timedelta(seconds=5))
        return run_pass(siem, settings, what, lambda: EPOCH + timedelta(milliseconds=end), lambda *_: None)

    assert order(10_000).events == 1
    with pytest.raises(Refused, match="passes have come to"):
        order(20_000)


def test_status_and_notes_of_people_stay(place: Place) -> None:
    siem, settings = place.siem, settings_in(place)
    put_events(place, [event(1, 1), event(2, 50)])
    passing(siem, settings, 10, HUNTS[0])
    (id,) = found(siem, settings)
    siem.change(settings.state("findings"), id, lambda old: {**(old or {}), "status": "closed", "tag": "informational"})
    passing(siem, settings, 100, HUNTS[0])
    (finding,) = found(siem, settings).values()
    assert (finding["status"], finding["tag"], finding["count"]) == ("closed", "informational", 2)


class Passes:
    """`hunts pass` as often as asked, each in a process of its own, forked from one that has imported everything."""

    WORKER = """
import os, sys
import connector.cli.running, connector.hunts.checking.cases, connector.settings.load, connector.siem.client
for file in sys.stdin:
    process = os.fork()
    if process == 0:
        os.dup2(2, 1)
        os._exit(connector.cli.run(["--settings", file.strip(), "pass", "--lag", "0s"]))
    print(process, flush=True)
    sys.stdin.readline()
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""

    def __init__(self) -> None:
        """Start the process that forks."""
        self.seconds = 0.0
        command = [sys.executable, "-c", self.WORKER]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._worker = subprocess.Popen(command, text=True, bufsize=1, **pipes)  # type: ignore[call-overload]

    def one(self, settings: Settings, kill_after: float | None = None) -> int:
        """Return the exit code of a pass; of one that is killed after so many seconds it is -9."""
        self._worker.stdin.write(f"{settings.file}\n")
        process, began = int(self._worker.stdout.readline()), time.monotonic()
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(process, signal.SIGKILL)
        self._worker.stdin.write("wait\n")
        code = int(self._worker.stdout.readline())
        self.seconds = time.monotonic() - began
        return code

    def end(self) -> None:
        """End the process that forks."""
        self._worker.stdin.close()
        self._worker.wait()


def test_killed_at_any_moment_and_done_again_the_end_is_the_same(opensearch: str, shared: Path, tmp_path: Path) -> None:
    with new_place(opensearch) as place:
        siem, undisturbed = place.siem, story_settings(place, tmp_path, shared)
        install_and_load(siem, undisturbed, shared / "story" / "eve-suricata8.json.gz")
        passes = Passes()
        assert passes.one(undisturbed) == 0
        seconds = passes.seconds
        whole, events = found(siem, undisturbed), siem.count(undisturbed.events, {"match_all": {}})
        chance, kills, rounds = random.Random(20), 0, 0
        while kills < 20:
            rounds += 1
            settings = with_prefix(undisturbed, f"{place.prefix}{rounds}-")
            make_state(siem, settings)
            kills += kill_passes(siem, settings, passes, seconds, chance)
            assert found(siem, settings) == whole
            entries = ledger(siem, settings)
            assert sum(entry["events"] for entry in entries) == events
            assert without_gaps(entries)
            assert watermark(siem, settings)["watermark"] == entries[-1]["to"]
            assert watermark(siem, settings)["token"] == ""
        passes.end()


def with_prefix(settings: Settings, prefix: str) -> Settings:
    """Return the settings of a copy of the file with another prefix."""
    file = Path(settings.file or "")
    copy = file.with_name("killed.yml")
    lines = file.read_text(encoding="utf-8").replace(f"prefix: {settings.prefix}", f"prefix: {prefix}")
    copy.write_text(lines, encoding="utf-8")
    return load_settings(copy, {})


def kill_passes(siem: Siem, settings: Settings, passes: Passes, seconds: float, chance: random.Random) -> int:
    """Kill passes at any moment until one has done its work, then let one end; return how many left work behind."""
    unfinished = 0
    for _ in range(25):
        passes.one(settings, kill_after=chance.uniform(0, seconds))
        state = siem.get(settings.state("state"), "pass")
        if state and state.source["value"]["token"] == "":
            break
        unfinished += state is not None
    assert passes.one(settings) == 0
    return unfinished
