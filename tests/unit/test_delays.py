"""What a lag must cover, told from answers of engines: the sum, who is slowest, and what is not known."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from connector.siem.delays import Answers, Delays, delays, seconds

MIDDLE = 1_795_766_188.0
MINUTE_MS = 60_000


def settings(**intervals: str | None) -> dict[str, Any]:
    """Return the answer for indices with these refresh intervals; None is the engine's default."""
    return {
        name: {"settings": {"index": {"refresh_interval": interval}}}
        if interval
        else {"defaults": {"index": {"refresh_interval": "1s"}}}
        for name, interval in intervals.items()
    }


def written(docs: int = 5, unflushed: int = 5, age: int = 0, **more: Any) -> dict[str, Any]:
    """Return the stats of an index."""
    log = {"uncommitted_operations": unflushed, "earliest_last_modified_age": age}
    refresh = {"external_total": 4, "external_total_time_in_millis": 100}
    return {"total": {"indexing": {"index_total": docs}, "translog": log, "refresh": refresh, **more}}


def stats(**indices: dict[str, Any]) -> dict[str, Any]:
    """Return the answer for the stats of these indices."""
    return {"indices": indices}


def node(name: str, ahead_ms: int, *bulks_ms: int, roles: tuple[str, ...] = ("data", "ingest")) -> dict[str, Any]:
    """Return a node's part of the list of tasks: how far its clock is ahead, and since when bulks are at work."""
    began = round(MIDDLE * 1000) + ahead_ms
    listing = {"action": "cluster:monitor/tasks/lists[n]", "start_time_in_millis": began, "running_time_in_nanos": 9}
    earlier = {**listing, "start_time_in_millis": began - 50_000}
    bulks = [
        {"action": "indices:data/write/bulk", "start_time_in_millis": began - ms, "running_time_in_nanos": ms * 10**6}
        for ms in bulks_ms
    ]
    return {"name": name, "roles": roles, "tasks": dict(enumerate((listing, earlier, *bulks)))}


def tasks(*nodes: dict[str, Any]) -> dict[str, Any]:
    """Return the answer for the tasks of these nodes."""
    return {"nodes": dict(enumerate(nodes))}


def told(
    settings: dict[str, Any] | None = None,
    stats: dict[str, Any] | None = None,
    tasks: dict[str, Any] | None = None,
    cluster: dict[str, Any] | None = None,
) -> Delays:
    """Return the delays of answers; telling of tasks took 20 milliseconds."""
    return delays(Answers(cluster, settings, stats, tasks, MIDDLE - 0.01, MIDDLE + 0.01))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        *(("30s", 30), ("1M", 60), ("500ms", 0.5), ("2h", 7200), ("1d", 86400), ("5micros", 5e-6), ("7nanos", 7e-9)),
        *(("-1", -1), ("0", 0), ("0s", 0)),
    ],
)
def test_times_are_read_as_engines_write_them(written: str, expected: float) -> None:
    assert seconds(written) == pytest.approx(expected)


def test_the_longest_interval_of_those_written_to_lately_counts_and_is_named() -> None:
    stale, opened = written(unflushed=0, age=61 * MINUTE_MS), written(docs=0, unflushed=0)
    found = told(
        settings(a=None, b="30s", c="5s", stale="1h", opened="2h", gone="3h"),
        stats(a=written(), b=written(unflushed=0, age=59 * MINUTE_MS), c=written(), stale=stale, opened=opened),
    )
    assert found.refresh and (found.refresh.interval, found.refresh.index) == (30, "b")
    assert found.refresh.takes == pytest.approx(0.025)
    assert found.needed == pytest.approx(30.025)


def test_an_old_log_with_writes_that_are_not_flushed_is_written_to() -> None:
    found = told(settings(a="30s"), stats(a=written(unflushed=1, age=999 * MINUTE_MS)))
    assert found.refresh and found.refresh.index == "a"


def test_indices_that_are_never_refreshed_are_named_and_are_not_the_longest() -> None:
    found = told(settings(a="-1", b="10s", c="0s", d="-1"), stats(a=written(), b=written(), c=written()))
    assert found.refresh and (found.refresh.never, found.refresh.interval) == (("a", "c"), 10)
    assert [note for note in found.notes if "a is never refreshed" in note]
    alone = told(settings(a="-1"), stats(a=written()))
    assert alone.refresh and (alone.refresh.interval, alone.refresh.index) == (0, None)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ({"defaults": "1s"}, 1),
        ({"defaults": "8s"}, 8),
        ({"persistent": "9s", "defaults": "1s"}, 9),
        ({"transient": "4s", "persistent": "9s"}, 4),
    ],
)
def test_the_default_that_a_cluster_was_given_counts_where_an_index_has_none(
    levels: dict[str, str], expected: float
) -> None:
    cluster = {
        level: {"cluster": {"default": {"index": {"refresh_interval": interval}}}} for level, interval in levels.items()
    }
    found = told(settings(a=None, b="3s"), stats(a=written()), cluster=cluster)
    assert found.refresh and found.refresh.interval == expected
    own = told(settings(b="3s"), stats(b=written()), cluster=cluster)
    assert own.refresh and own.refresh.interval == 3


def test_without_stats_every_index_counts_and_a_note_says_so() -> None:
    found = told(settings(a="2s", b=None))
    assert found.refresh and (found.refresh.interval, found.refresh.index, found.refresh.takes) == (2, "a", None)
    assert ["is not known" in note for note in found.notes] == [True]


def test_nothing_written_to_has_no_refresh_and_says_so() -> None:
    found = told(settings(a="30s"), {})
    assert (found.refresh, found.needed) == (None, 0)
    assert found.notes == ("no index was written to lately",)


def test_bulks_are_the_slowest_index_or_the_oldest_at_work_whichever_is_longer() -> None:
    slow, quick = written(bulk={"avg_time_in_millis": 700}), written(bulk={"avg_time_in_millis": 20})
    both = told(None, stats(a=quick, b=slow), tasks(node("n1", 0, 200, 900), node("n2", 0)))
    assert both.bulks and (both.bulks.average, both.bulks.under_way) == (0.7, 0.9)
    assert both.needed == pytest.approx(0.9 + 0.011)
    assert told(None, stats(a=slow)).needed == 0.7
    idle = told(None, stats(a=written()), tasks(node("n1", 0)))
    assert idle.bulks and (idle.bulks.average, idle.bulks.under_way) == (None, 0)
    assert told(None, stats(a=written())).bulks is None


def test_clocks_are_told_with_their_nodes_and_how_sure_that_is() -> None:
    """The clock of a node without pipelines stamps nothing; one that is ahead makes nothing late."""
    found = told(None, None, tasks(node("n1", -250), node("n2", 40), node("n3", -900, roles=("data",))))
    clocks = found.clocks
    assert clocks and (clocks.behind_node, clocks.ahead_node) == ("n1", "n2")
    assert (clocks.behind, clocks.ahead, clocks.apart) == pytest.approx((0.25, 0.04, 0.29))
    assert clocks.uncertainty == pytest.approx(0.011)
    assert found.needed == pytest.approx(0.261)
    ahead = told(None, None, tasks(node("n1", 500), node("n2", 600))).clocks
    assert ahead and (ahead.behind, ahead.behind_node, ahead.ahead_node) == (0, None, "n2")


def test_the_parts_add_up_and_are_plain_json() -> None:
    found = told(settings(a="3s"), stats(a=written(bulk={"avg_time_in_millis": 100})), tasks(node("n1", -200)))
    assert found.needed == pytest.approx(3 + 0.025 + 0.1 + 0.2 + 0.011)
    assert json.loads(json.dumps(asdict(found)))["refresh"]["index"] == "a"


def test_nothing_told_is_nothing_claimed() -> None:
    found = delays(Answers(None, None, None, None, 0, 0), ("GET /_tasks was answered with 403",))
    assert (found.refresh, found.bulks, found.clocks, found.needed) == (None, None, None, 0)
    assert found.notes == ("GET /_tasks was answered with 403",)
