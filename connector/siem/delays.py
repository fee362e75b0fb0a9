"""What lies between the stamp an event gets when the engine takes it and the moment a search sees it, as measured.

An event is stamped by the clock of the node that runs its pipeline, waits for the rest of its bulk, and then for a
refresh. A pass looks at what was stamped up to a lag ago, and misses for now what has taken longer than the lag.

Promises: three requests (OpenSearch: four), whose answers are small however many indices there are; what the engine
does not tell, or this account may not ask, is None with a note. Will not: write, or remember. Of bulks it sees those
that are at work at this moment, so the worst of many measurements says more than one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from connector.errors import NotAllowed, Rejected
from connector.siem.client import Json, Param, Siem

LATELY_MS = 3_600_000
LENIENT: dict[str, Param] = {"ignore_unavailable": True, "allow_no_indices": True}
INTERVAL = "index.refresh_interval"
SETTINGS = (f"*.settings.{INTERVAL}", f"*.defaults.{INTERVAL}")
LEVELS = ("transient", "persistent", "defaults")  # the first that is set counts
CLUSTER = "cluster.default.index.refresh_interval"
STATS = (
    *("indexing.index_total", "translog.uncommitted_operations", "translog.earliest_last_modified_age"),
    *("refresh.external_total", "refresh.external_total_time_in_millis", "bulk.avg_time_in_millis"),
)
LISTING = "cluster:monitor/tasks/lists[n]"  # a list of tasks is itself a task on each node, begun by that node's clock
BULK = "indices:data/write/bulk"
TASKS = ("name", "roles", "tasks.*.action", "tasks.*.start_time_in_millis", "tasks.*.running_time_in_nanos")
# as engines write times; longer endings first, as "ms" ends in "s"
UNITS = {"nanos": 1e-9, "micros": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Refresh:
    """Of the indices that were written to lately: the longest refresh interval, and whose it is.

    With the default, an index that nobody searched for a while is refreshed by the next search, so
    that holds as well. `takes` is what a refresh itself takes on average in the slowest of them. `never` are those that
    no search sees the new events of until somebody asks for a refresh: no lag covers them, and they are not in
    `interval`.
    """

    interval: float
    index: str | None
    takes: float | None
    never: tuple[str, ...]


@dataclass(frozen=True)
class Bulks:
    """How long bulks take: on average in the slowest index, and since when the oldest of all at work now is.

    OpenSearch and Elasticsearch 7.10 tell no average.
    """

    average: float | None
    under_way: float | None


@dataclass(frozen=True)
class Clocks:
    """How far the clocks of nodes that run pipelines are from ours: the one furthest behind, the one furthest ahead.

    0 and no node if there is none. `apart` is between the furthest two of them. `uncertainty` is how wrong each of
    these may be, either way: half the time that the question took.
    """

    behind: float
    behind_node: str | None
    ahead: float
    ahead_node: str | None
    apart: float
    uncertainty: float


@dataclass(frozen=True)
class Delays:
    """The delays, all in seconds; None is not told, and `notes` say why.

    `needed` is what a lag must cover: interval and refresh, the longer of both times of bulks, and what the hindmost
    clock may be behind. A clock ahead is not in it, as what that one stamps is looked at later and not missed.
    """

    refresh: Refresh | None
    bulks: Bulks | None
    clocks: Clocks | None
    needed: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answers:
    """What the engine answered (None: it refused), and our clock before and after it told of its tasks.

    `cluster` has the default interval that OpenSearch can be given for all indices; others have none.
    """

    cluster: Json | None
    settings: Json | None
    stats: Json | None
    tasks: Json | None
    before: float
    after: float


def measured_delays(siem: Siem, patterns: str, clock: Callable[[], float] = time.time) -> Delays:
    """Return the delays of the indices of `patterns` (names and patterns with commas between).

    `clock` tells our time in epoch seconds. Unreachable or Overloaded if the engine does not answer.
    """
    where, refused = quote(patterns, safe=",*-"), list[str]()

    def asked(path: str, filters: tuple[str, ...], **params: Param) -> Json | None:
        """Return the parts of an answer that the filters name, or None if the engine refuses it."""
        try:
            answer: Json = siem.call("GET", path, None, filter_path=",".join(filters), **params)
        except (NotAllowed, Rejected) as error:
            refused.append(str(error))
            return None
        return answer

    # where it is set, OpenSearch goes by it and the defaults of an index say another
    asks_cluster = siem.product.name == "OpenSearch"
    filters = tuple(f"{level}.{CLUSTER}" for level in LEVELS)
    cluster = asked("/_cluster/settings", filters, include_defaults=True) if asks_cluster else None
    settings = asked(f"/{where}/_settings/{INTERVAL}", SETTINGS, include_defaults=True, **LENIENT)
    # named parts are cheaper, but what tells no bulks (OpenSearch, Elasticsearch 7.10) refuses to be asked for them
    parts = "" if siem.product.official_client else "/indexing,translog,refresh"
    stats = asked(f"/{where}/_stats{parts}", tuple(f"indices.*.total.{name}" for name in STATS), **LENIENT)
    before = clock()
    tasks = asked("/_tasks", tuple(f"nodes.*.{name}" for name in TASKS), actions=f"{LISTING},{BULK}")
    return delays(Answers(cluster, settings, stats, tasks, before, clock()), tuple(refused))


def delays(answers: Answers, notes: tuple[str, ...] = ()) -> Delays:
    """Return the delays that the answers tell; the notes given are kept."""
    written = None if answers.stats is None else _written_lately(answers.stats)
    refresh, bulks, clocks = _refresh(answers, written), _bulks(written, answers.tasks), _clocks(answers)
    if written is None and refresh:
        notes += ("which indices were written to lately is not known, so all of them count",)
    elif not written and written is not None:
        notes += ("no index was written to lately",)
    if refresh:
        notes += tuple(f"{name} is never refreshed: searches do not see its new events" for name in refresh.never)
    needed = [refresh.interval, refresh.takes or 0] if refresh else []
    needed += [max(bulks.average or 0, bulks.under_way or 0)] if bulks else []
    needed += [clocks.behind + clocks.uncertainty] if clocks else []
    return Delays(refresh, bulks, clocks, sum(needed), notes)


def _written_lately(stats: Json) -> dict[str, Json]:
    """Return the stats of each index that was written to within about an hour.

    What an engine keeps in its log after a flush is older than that in no index that is written to; counting writes
    since the start tells an index that was only opened since.
    """
    totals = {name: index["total"] for name, index in stats.get("indices", {}).items()}
    return {name: total for name, total in totals.items() if total["indexing"]["index_total"] and _fresh(total)}


def _fresh(total: Json) -> bool:
    """Tell whether the log of an index has operations that are not flushed, or was changed lately."""
    log = total["translog"]
    return bool(log["uncommitted_operations"]) or log["earliest_last_modified_age"] < LATELY_MS


def _refresh(answers: Answers, written: Mapping[str, Json] | None) -> Refresh | None:
    """Return how the indices that were written to are refreshed (all, if that is not known); None if none is."""
    told = {name: interval for name, interval in _intervals(answers) if written is None or name in written}
    if not told:
        return None
    never = tuple(sorted(name for name, interval in told.items() if interval <= 0))
    longest = max((name for name in sorted(told) if name not in never), key=told.__getitem__, default=None)
    takes = max((_average_refresh(total) for total in (written or {}).values()), default=None)
    return Refresh(told[longest] if longest else 0.0, longest, takes, never)


def _intervals(answers: Answers) -> Iterator[tuple[str, float]]:
    """Yield each index with its refresh interval in seconds: its own, the cluster's, or the engine's default."""
    cluster = [level for name in LEVELS if (level := (answers.cluster or {}).get(name))]
    default = cluster[0]["cluster"]["default"]["index"]["refresh_interval"] if cluster else None
    for name, told in (answers.settings or {}).items():
        own = told.get("settings", {}).get("index", {}).get("refresh_interval")
        yield name, seconds(own or default or told["defaults"]["index"]["refresh_interval"])


def seconds(time_value: str) -> float:
    """Return a time as engines write it (`30s`, `500ms`) in seconds; the ones without a unit are `-1` and `0`."""
    text = time_value.strip().lower()
    unit = next((unit for unit in UNITS if text.endswith(unit)), "")
    return float(text.removesuffix(unit)) * UNITS.get(unit, 1.0)


def _average_refresh(total: Json) -> float:
    """Return what a refresh of an index took on average, in seconds."""
    refresh = total["refresh"]
    return float(refresh["external_total_time_in_millis"] / 1000 / max(refresh["external_total"], 1))


def _bulks(written: Mapping[str, Json] | None, tasks: Json | None) -> Bulks | None:
    """Return how long bulks take; None if nothing tells."""
    averages = [total["bulk"]["avg_time_in_millis"] / 1000 for total in (written or {}).values() if "bulk" in total]
    average = max(averages, default=None)
    if tasks is None:
        return None if average is None else Bulks(average, None)
    running = [task["running_time_in_nanos"] for node in _nodes(tasks) for task in _of_kind(node, BULK)]
    return Bulks(average, max(running, default=0) / 1e9)


def _clocks(answers: Answers) -> Clocks | None:
    """Return how the nodes' clocks compare with ours; None if no node tells its time."""
    middle = (answers.before + answers.after) / 2
    ahead = sorted(
        (max(task["start_time_in_millis"] for task in listing) / 1000 - middle, str(node["name"]))
        for node in _nodes(answers.tasks or {})
        if "ingest" in node["roles"] and (listing := _of_kind(node, LISTING))
    )
    if not ahead:
        return None
    (least, hindmost), (most, foremost) = ahead[0], ahead[-1]
    return Clocks(
        behind=max(-least, 0.0),
        behind_node=hindmost if least < 0 else None,
        ahead=max(most, 0.0),
        ahead_node=foremost if most > 0 else None,
        apart=most - least,
        uncertainty=(answers.after - answers.before) / 2 + 0.001,  # nodes tell whole milliseconds
    )


def _nodes(tasks: Json) -> list[Json]:
    """Return the nodes that told their tasks."""
    return list(tasks.get("nodes", {}).values())


def _of_kind(node: Json, action: str) -> list[Json]:
    """Return the node's tasks of that action."""
    return [task for task in node.get("tasks", {}).values() if task["action"] == action]
