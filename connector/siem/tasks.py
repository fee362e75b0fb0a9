"""Update-by-query over any number of indices: throttled, followed, and taken up again by whoever comes next.

Promises: a client that is killed at any moment and runs again finds the task that still runs and follows that one,
instead of starting a second; when it is gone it starts anew. An event that somebody else wrote in between is tried
again; one that fails does not stop the others and is reported with its index and id. The query must select only what is
not done yet: then the end is the same however often the work was broken off. Will not: choose events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from connector.errors import NotThere, Rejected
from connector.siem.client import Json, Siem
from connector.siem.present import read_indices
from connector.siem.update_task import GONE, WHOLE_INDEX, Count, Failure, Outcome, Work

IDLE_ROUNDS = 5
FAILURES = 1000
INDICES_AT_ONCE = 100  # each holds a scroll a slice open, of 500 the engine has
NAMES_BYTES = 3000  # engines take a request line of 4 KB
NO_PIPELINE = "_none"
LENIENT: dict[str, Any] = {"ignore_unavailable": True, "allow_no_indices": True}
Progress = Callable[[Count], None]


@dataclass
class Updated:
    """What came of an update: the counts, what failed, how many documents match still, and how it went.

    `taken_up`: a task that was running already was followed to its end. `rounds`: tasks it took.
    """

    count: Count = field(default_factory=Count)
    failures: list[Failure] = field(default_factory=list)
    left: int = 0
    rounds: int = 0
    taken_up: bool = False
    seconds: float = 0.0


def run_update(
    siem: Siem,
    state_index: str,
    name: str,
    index: str,
    body: Json,
    *,
    requests_per_second: float | None = None,
    slices: int = 2,
    progress: Progress = lambda count: None,
    pipeline: str = NO_PIPELINE,
) -> Updated:
    """Return what came of updating the documents of `index` (names, patterns) that the body's `query` matches.

    The name says what the work is: the same name is the same work. `pipeline` is an ingest pipeline to run; by default
    none is but the final pipeline of the index. `requests_per_second` throttles (documents a second), None does not.
    NotThere if the state index is missing, Rejected if the engine cannot run the update at all.
    """
    if not siem.exists(f"/{state_index}"):
        raise NotThere(f"the index {state_index}, where updates are noted, is missing: run `hunts install`")
    started = time.monotonic()
    work = Work(siem, state_index, name)
    update = _Update(work, index, body, requests_per_second, slices, pipeline, progress)
    update.take_up()
    while update.go_on():
        pass
    work.forget()
    done = update.done
    done.left = siem.count(index, update.query())
    done.seconds = round(time.monotonic() - started, 3)
    return done


def stop_update(siem: Siem, state_index: str, name: str) -> bool:
    """Return whether work of that name was under way; it is stopped then, half done."""
    work = Work(siem, state_index, name)
    task = work.found()
    if task:
        work.cancel(task)
        work.follow(task, lambda count: None)
    work.forget()
    return task is not None


@dataclass
class _Update:
    """An update under way: what is asked, and what is done so far."""

    work: Work
    index: str
    body: Json
    throttle: float | None
    slices: int
    pipeline: str
    progress: Progress
    done: Updated = field(default_factory=Updated)
    finished: set[str] = field(default_factory=set)
    idle: int = 0
    total: int = 0

    def query(self) -> Json:
        """Return the query, without the documents that failed already."""
        ids = sorted({failure.id for failure in self.done.failures} - {WHOLE_INDEX})
        return {"bool": {"filter": [self.body["query"]], "must_not": [{"ids": {"values": ids}}] if ids else []}}

    def take_up(self) -> None:
        """Follow the task of this work that is there already, if one is."""
        task = self.work.found()
        if task is None:
            return
        self.done.taken_up = True
        try:
            self.work.rethrottle(task, self.throttle)
        except NotThere:
            self.idle = 0  # it has ended: its result is read below
        try:
            self._add(self.work.follow(task, self._tell))
        except Rejected:
            self._add(GONE)  # what stopped it then, such as the engine's end, is told below if it is still so

    def go_on(self) -> bool:
        """Do one round; return whether there is another."""
        indices = self._indices()
        if not indices or self.idle >= IDLE_ROUNDS or len(self.done.failures) >= FAILURES:
            return False
        body = {**self.body, "query": self.query()}
        task = self.work.start(indices, body, self.throttle, self.slices, self.pipeline)
        outcome = self._add(self.work.follow(task, self._tell))
        if outcome.is_whole:
            self.finished.update(indices)
        return True

    def _add(self, outcome: Outcome) -> Outcome:
        """Add the end of a task."""
        self.done.rounds += 1
        self.done.count += outcome.count
        self.done.failures += outcome.failures
        self.idle = 0 if outcome.count.updated or outcome.is_whole else self.idle + 1
        return outcome

    def _tell(self, count: Count) -> None:
        """Report progress over all tasks."""
        sum_ = self.done.count + count
        self.progress(replace(sum_, total=max(self.total, sum_.total)))

    def _indices(self) -> list[str]:
        """Return indices with documents to update, as many as one task takes."""
        self.work.siem.call("POST", f"/{quote(self.index, safe=',*-')}/_refresh", **LENIENT)
        aggregation = {"indices": {"terms": {"field": "_index", "size": 10_000}}}
        answer = self.work.siem.search(self.index, {"size": 0, "query": self.query(), "aggs": aggregation})
        buckets = answer.get("aggregations", {}).get("indices", {}).get("buckets", [])
        matching = {bucket["key"]: bucket["doc_count"] for bucket in buckets if bucket["key"] not in self.finished}
        self.total = max(self.total, self.done.count.total + sum(matching.values()))
        names = sorted(matching)
        while names:
            portion = _portion(names)
            if writable := self._writable(portion):
                return writable
            names = names[len(portion) :]
        return []

    def _writable(self, names: Sequence[str]) -> list[str]:
        """Return those of the indices that can be written; the others have failed as a whole."""
        blocked = {name: found.out for name, found in read_indices(self.work.siem, names, "none").items() if found.out}
        self.done.failures += [Failure(name, WHOLE_INDEX, reason) for name, reason in blocked.items()]
        self.finished |= blocked.keys()
        return [name for name in names if name not in blocked]


def _portion(names: Collection[str]) -> list[str]:
    """Return the first of the names, as many as one call takes."""
    portion: list[str] = []
    size = 0
    for name in names:
        size += len(name) + 1
        if size > NAMES_BYTES or len(portion) >= INDICES_AT_ONCE:
            break
        portion.append(name)
    return portion
