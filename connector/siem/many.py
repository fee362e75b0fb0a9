"""Many documents changed by compare-and-set, in few round trips.

Promises: a document that somebody else changes at the same time is read again and changed again. Will not: undo what is
written if a later document cannot be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.errors import Conflict
from connector.siem.client import Refusal, Siem, Stored
from connector.siem.wire import siem_error

Json = dict[str, Any]
Change = Callable[[str, Json | None], Json | None]
PORTION = 200  # documents read and written in one round trip
CHANGED = 409  # somebody else wrote first
TRIES = 8  # of a document that somebody else writes at the same time


@dataclass(frozen=True)
class Written:
    """How many documents were new, and how many have changed."""

    new: int = 0
    changed: int = 0

    def __add__(self, other: Written) -> Written:
        """Return the sum."""
        return Written(self.new + other.new, self.changed + other.changed)


def change_many(siem: Siem, index: str, ids: Sequence[str], change: Change) -> Written:
    """Return what was written of the documents with these ids.

    `change` is given an id and the source that is there, or None, and returns the new source, or None to leave it.
    SiemError if a document cannot be written; what is written then stays.
    """
    written = Written()
    for first in range(0, len(ids), PORTION):
        left: Sequence[str] = ids[first : first + PORTION]
        for _ in range(TRIES):
            done, left = _change(siem, index, left, change)
            written += done
            if not left:
                break
        else:
            which = f"{len(left)} documents, {left[0]} among them"
            raise Conflict(f"{index}: somebody else changed {which}, each time they were to be written")
    return written


def _change(siem: Siem, index: str, ids: Sequence[str], change: Change) -> tuple[Written, list[str]]:
    """Return what was written in one round trip, and what somebody else wrote first."""
    present = _present(siem, index, ids)
    wanted = {id: change(id, present[id].source if id in present else None) for id in ids}
    changed = {id: source for id, source in wanted.items() if source is not None}
    if not changed:
        return Written(), []
    refused = siem.bulk([line for id in changed for line in _lines(index, id, changed[id], present.get(id))])
    late = [refusal.id for refusal in refused if refusal.status == CHANGED]
    _check(index, refused)
    new = len(changed.keys() - present.keys() - set(late))
    return Written(new, len(changed) - len(late) - new), late


def _lines(index: str, id: str, source: Mapping[str, Any], replacing: Stored | None) -> Iterator[Mapping[str, Any]]:
    """Yield the lines of a bulk body that write a document if it still is what it was."""
    place = {"_index": index, "_id": id}
    if replacing is None:
        yield {"create": place}
    else:
        yield {"index": {**place, "if_seq_no": replacing.seq_no, "if_primary_term": replacing.primary_term}}
    yield source


def _present(siem: Siem, index: str, ids: Sequence[str]) -> dict[str, Stored]:
    """Return those of the documents that are there."""
    answer = siem.call("POST", f"/{index}/_mget", {"ids": ids})
    return {
        found["_id"]: Stored(found["_id"], found["_source"], found["_seq_no"], found["_primary_term"])
        for found in answer["docs"]
        if found.get("found")
    }


def _check(index: str, refused: Iterable[Refusal]) -> None:
    """Raise the error of a document that the engine refuses for another reason than that it has changed."""
    for refusal in refused:
        if refusal.status != CHANGED:
            body = {"error": {"reason": refusal.reason}}
            raise siem_error(refusal.status, f"writing {refusal.id} to {index}", body)
