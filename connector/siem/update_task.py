"""One update-by-query task of the engine: started under a name, found again, followed to its end, its record removed.

Promises: the engine keeps our mark on the task and our state index its id, so it is found as long as it runs, and its
result afterwards. Will not: decide what to update, or start a second round.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from connector.errors import NotAllowed, NotThere, Rejected
from connector.siem.client import Json, Siem

ACTION = "indices:data/write/update/byquery"
POLL_SECONDS = (0.05, 1.0)
HUNG_SECONDS = 5.0
RECORDS = ".tasks"
WHOLE_INDEX = "*"
CANCELLED = "task_cancelled_exception"
FAST_SCROLL, SLOW_SCROLL = 5000, 1000


@dataclass(frozen=True)
class Count:
    """How far an update is: of `total` documents so many were updated, needed nothing, or were in conflict."""

    total: int = 0
    updated: int = 0
    noops: int = 0
    conflicts: int = 0

    def __add__(self, other: Count) -> Count:
        """Return the sum."""
        return Count(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Count)))


@dataclass(frozen=True)
class Failure:
    """A document that could not be updated (id `*`: a whole index), and the reason."""

    index: str
    id: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """The end of a task: its count and failures, and whether it did all it was started for, without a conflict."""

    count: Count
    failures: tuple[Failure, ...]
    is_whole: bool


GONE = Outcome(Count(), (), is_whole=False)


@dataclass(frozen=True)
class Work:
    """A named piece of work: the same name is the same work."""

    siem: Siem
    state_index: str
    name: str

    @property
    def mark(self) -> str:
        """Return the mark of its task; headers are ASCII."""
        return quote(f"{self.state_index}/{self.name}/")

    @property
    def note(self) -> str:
        """Return the path of the document that holds the task's id."""
        return f"/{self.state_index}/_doc/{quote(self.note_id, safe='')}"

    @property
    def note_id(self) -> str:
        """Return the id of that document."""
        return f"task-{self.name}"

    def start(self, indices: Sequence[str], body: Json, throttle: float | None, slices: int, pipeline: str) -> str:
        """Return the id of a task that updates documents of the indices, at most `throttle` a second."""
        options: dict[str, Any] = {
            "wait_for_completion": False,
            "conflicts": "proceed",
            "refresh": True,
            "slices": slices,
            "scroll_size": FAST_SCROLL if throttle is None else max(1, min(SLOW_SCROLL, int(throttle))),
            "requests_per_second": -1 if throttle is None else throttle,
            "pipeline": pipeline,
        }
        path = f"/{quote(','.join(indices), safe=',')}/_update_by_query"
        task: str = self.siem.call_marked(self.mark, "POST", path, body, **options)["task"]
        now = datetime.now(UTC).isoformat()
        self.siem.call("PUT", self.note, {"kind": "task", "task": task, "updated": now})
        return task

    def found(self) -> str | None:
        """Return the id of the task that does this work now, or did it and left a result nobody read; or None."""
        if running := running_tasks(self.siem, self.mark):
            return running[0]
        stored = self.siem.get(self.state_index, self.note_id)
        task_id = stored.source["task"] if stored else None
        return task_id if task_id and self.siem.exists(f"/_tasks/{task_id}") else None

    def rethrottle(self, task: str, throttle: float | None) -> None:
        """Give a running task another pace."""
        pace = -1 if throttle is None else throttle
        self.siem.call("POST", f"/_update_by_query/{task}/_rethrottle", requests_per_second=pace)

    def cancel(self, task: str) -> None:
        """Ask the engine to stop a task."""
        try:
            self.siem.call("POST", f"/_tasks/{task}/_cancel")
        except NotThere:
            return  # it has just ended

    def follow(self, task: str, progress: Callable[[Count], None]) -> Outcome:
        """Return the end of a task, once it is there; GONE if the engine knows nothing of it any more.

        Rejected if the task could not run. Then it may also hang: slices that fail with one and the same exception,
        such as of a compilation both waited for, keep the engine from ending their task until its node is restarted.
        """
        pause, longest = POLL_SECONDS
        seen = time.monotonic()
        try:
            while not (answer := self.siem.call("GET", f"/_tasks/{task}"))["completed"]:
                status = answer["task"]["status"]
                if not (error := _slice_error(status)):
                    seen = time.monotonic()
                elif time.monotonic() - seen > HUNG_SECONDS:
                    self.forget()
                    raise _not_run(error, self.name)
                progress(self._count(task, status))
                time.sleep(pause)
                pause = min(pause * 1.5, longest)
        except NotThere:
            return GONE
        self._remove_record(task)
        return _outcome(answer, self.name)

    def forget(self) -> None:
        """Remove the note."""
        try:
            self.siem.call("DELETE", self.note)
        except NotThere:
            return

    def _count(self, task: str, status: Mapping[str, Any]) -> Count:
        """Return how far a task is; the engine adds up only slices that have ended."""
        count = _count(status)
        if None not in _slices(status):
            return count
        options: dict[str, Any] = {"actions": ACTION, "parent_task_id": task, "detailed": True, "group_by": "none"}
        children = self.siem.call("GET", "/_tasks", **options)["tasks"]
        return sum((_count(child["status"]) for child in children), count)

    def _remove_record(self, task: str) -> None:
        """Remove the engine's own record of an ended task, where that is allowed."""
        try:
            self.siem.call("DELETE", f"/{RECORDS}/_doc/{task}", refresh=True)
        except (NotThere, NotAllowed, Rejected):
            return


def running_tasks(siem: Siem, mark: str) -> list[str]:
    """Return the ids of the running updates whose mark begins so, without those that failed and hang."""
    options: dict[str, Any] = {"actions": ACTION, "detailed": True, "group_by": "none"}
    return [
        f"{task['node']}:{task['id']}"
        for task in siem.call("GET", "/_tasks", **options)["tasks"]
        if task.get("headers", {}).get("X-Opaque-Id", "").startswith(mark)
        and "parent_task_id" not in task
        and not _slice_error(task.get("status") or {})
    ]


def _slices(status: Mapping[str, Any]) -> Sequence[Json | None]:
    """Return the ends of a task's slices, None for one that runs."""
    found: Sequence[Json | None] = status.get("slices") or []
    return found


def _slice_error(status: Mapping[str, Any]) -> Json | None:
    """Return the error of a slice, if all of a task's slices have ended and one failed."""
    ends = _slices(status)
    return None if None in ends else next((end for end in ends if end and "total" not in end), None)


def _not_run(error: Json, name: str) -> Rejected:
    """Return what to raise for a task that ended with an error."""
    cause = (error.get("caused_by") or {}).get("reason") or ""
    return Rejected(f"the update {name} could not run: {error.get('reason')} {cause}".strip())


def _count(status: Mapping[str, Any]) -> Count:
    """Return the count of a task's status or response."""
    return Count(status["total"], status["updated"], status["noops"], status["version_conflicts"])


def _outcome(answer: Json, name: str) -> Outcome:
    """Return the end of a task from the engine's record of it; Rejected if it could not run at all."""
    if error := answer.get("error"):
        if CANCELLED in json.dumps(error):  # while it searched: what it wrote until then is not told
            return GONE
        raise _not_run(error, name)
    response = answer["response"]
    failures = tuple(_failures(response["failures"], name))
    stopped = bool(response.get("canceled") or response.get("timed_out"))
    count = _count(response)
    return Outcome(count, failures, is_whole=not (failures or stopped or count.conflicts))


def _failures(found: Sequence[Json], name: str) -> Iterator[Failure]:
    """Yield the documents that failed; Rejected if it is the search that did."""
    for failure in found:
        cause = failure.get("cause") or failure.get("reason") or {}
        inner = (cause.get("caused_by") or {}).get("reason")
        reason = ": ".join(str(part) for part in (cause.get("reason"), inner) if part)[:500]
        if "id" not in failure and CANCELLED in json.dumps(cause):
            continue
        if "id" not in failure:
            raise Rejected(f"the update {name} could not search {failure.get('index')}: {reason}")
        yield Failure(failure["index"], failure["id"], reason)
