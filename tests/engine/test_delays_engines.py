"""What a lag must cover, measured on real engines."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from connector.errors import NotAllowed
from connector.siem.client import Siem
from connector.siem.delays import measured_delays
from connector.siem.wire import Wire
from tests.conftest import Place


def index_with(place: Place, name: str, interval: str | None, write: bool = True) -> str:
    """Make an index with that refresh interval, with an event in it; return its name."""
    index = f"{place.prefix}{name}"
    place.siem.call("PUT", f"/{index}", {"settings": {"refresh_interval": interval}} if interval else None)
    if write:
        assert place.siem.bulk([{"index": {"_index": index}}, {"n": 1}]) == []
    return index


class Telling:
    """A wire that refuses paths that have a text in them, and keeps what was asked."""

    def __init__(self, wire: Wire, refused: str = "nothing") -> None:
        self._wire, self._refused, self.asked = wire, refused, list[str]()

    def call(self, method: str, path: str, *more: Any) -> Any:
        """Carry the call, or refuse it as an engine does that this account may not ask."""
        self.asked.append(path)
        if self._refused in path:
            raise NotAllowed(f"{method} {path} was answered with 403: no permissions")
        return self._wire.call(method, path, *more)

    def close(self) -> None:
        """Leave the wire to the others."""


def test_the_longest_refresh_interval_is_seen_with_its_index(each_place: Place) -> None:
    index_with(each_place, "usual", None)
    slow = index_with(each_place, "slow", "30s")
    index_with(each_place, "idle", "300s", write=False)
    found = measured_delays(each_place.siem, f"{each_place.prefix}*,{each_place.prefix}none")
    assert found.refresh and (found.refresh.interval, found.refresh.index, found.refresh.never) == (30, slow, ())
    assert found.notes == ()
    assert found.refresh.takes is not None and found.needed > 30


def test_the_default_is_a_second(each_place: Place) -> None:
    usual = index_with(each_place, "usual", None)
    found = measured_delays(each_place.siem, usual)
    assert found.refresh and (found.refresh.interval, found.refresh.index) == (1, usual)


@pytest.mark.parametrize("interval", ["-1", "0s"])
def test_an_index_that_is_never_refreshed_is_named(each_place: Place, interval: str) -> None:
    """And it is the truth: a second later the event of the one that is refreshed is found, that one's is not."""
    usual, never = index_with(each_place, "usual", "100ms"), index_with(each_place, "never", interval)
    found = measured_delays(each_place.siem, f"{each_place.prefix}*")
    assert found.refresh and (found.refresh.never, found.refresh.index) == ((never,), usual)
    while each_place.siem.count(usual, {"match_all": {}}) == 0:
        time.sleep(0.05)
    assert each_place.siem.count(never, {"match_all": {}}) == 0


def test_no_index_has_no_refresh(each_place: Place) -> None:
    found = measured_delays(each_place.siem, f"{each_place.prefix}*")
    assert (found.refresh, found.notes) == (None, ("no index was written to lately",))


def test_clocks_of_one_machine_agree_and_one_that_is_off_is_seen(each_place: Place) -> None:
    clocks = measured_delays(each_place.siem, f"{each_place.prefix}*").clocks
    assert clocks and max(clocks.behind, clocks.ahead) <= clocks.uncertainty
    behind = measured_delays(each_place.siem, f"{each_place.prefix}*", lambda: time.time() + 7)
    assert behind.clocks and behind.clocks.behind == pytest.approx(7, abs=1) and behind.clocks.behind_node
    assert behind.needed > 6
    ahead = measured_delays(each_place.siem, f"{each_place.prefix}*", lambda: time.time() - 7)
    assert ahead.clocks and ahead.clocks.ahead == pytest.approx(7, abs=1) and ahead.clocks.ahead_node
    assert ahead.needed < 6


@contextmanager
def bulks_at_work(place: Place) -> Iterator[None]:
    """Keep bulks going, one after the other."""
    stop = threading.Event()
    lines: list[dict[str, Any]] = [{"index": {"_index": f"{place.prefix}busy"}}, {"text": "x" * 100}] * 5000

    def load() -> None:
        """Send bulks until told to stop."""
        while not stop.is_set():
            place.siem.bulk(lines)

    loader = threading.Thread(target=load)
    loader.start()
    yield
    stop.set()
    loader.join()


def test_a_bulk_at_work_is_seen_with_its_age(each_place: Place) -> None:
    with bulks_at_work(each_place):
        while True:
            found = measured_delays(each_place.siem, f"{each_place.prefix}*")
            if found.bulks and found.bulks.under_way:
                break
    assert found.needed >= found.bulks.under_way > 0


@pytest.mark.parametrize(("refused", "part"), [("/_settings/", "refresh"), ("_stats", "takes"), ("_tasks", "clocks")])
def test_what_this_account_may_not_ask_is_not_told_and_the_rest_is(each_place: Place, refused: str, part: str) -> None:
    slow = index_with(each_place, "slow", "30s")
    wire = Telling(each_place.siem._wire, refused)
    found = measured_delays(Siem(wire, each_place.siem.product), f"{each_place.prefix}*")
    there = {"refresh": found.refresh, "takes": found.refresh and found.refresh.takes, "clocks": found.clocks}
    assert (there.pop(part), found.notes[0].split(": ")[-1]) == (None, "no permissions")
    assert found.clocks or (found.refresh and found.refresh.index == slow)


def test_the_default_of_an_opensearch_cluster_is_seen(place: Place) -> None:
    """Which the engine follows, whatever it says of an index."""
    usual, key = index_with(place, "usual", None), "cluster.default.index.refresh_interval"
    place.siem.call("PUT", "/_cluster/settings", {"persistent": {key: "2500ms"}})
    try:
        found = measured_delays(place.siem, f"{place.prefix}*")
    finally:
        place.siem.call("PUT", "/_cluster/settings", {"persistent": {key: None}})
    assert found.refresh and (found.refresh.interval, found.refresh.index) == (2.5, usual)


def test_few_requests_whatever_there_is(each_place: Place) -> None:
    for n in range(5):
        index_with(each_place, str(n), f"{n + 1}s")
    wire = Telling(each_place.siem._wire)
    found = measured_delays(Siem(wire, each_place.siem.product), f"{each_place.prefix}*")
    assert found.refresh and found.refresh.interval == 5
    assert len(wire.asked) == (4 if each_place.siem.product.name == "OpenSearch" else 3)
