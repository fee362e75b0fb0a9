"""Sends a portion of a file's lines to the engine: events to their index, the rest to that of rejected lines.

Promises: when `send` returns, every item is stored, now or before; a busy engine is asked again, for those items only.
Raises rather than take a failure of the engine (no shards left, no rights, a blocked index) for a bad event.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import stamina

from connector.errors import Overloaded, Rejected
from connector.siem.client import Refusal, Siem
from connector.siem.eve import Layout, Odd, Placed, once
from connector.siem.event_template import REJECTED_INDEX

BUSY = (429, 502, 503, 504)
ALREADY = 409
# what an answer must hold: with a status for each item, positions stay as they were sent
ANSWER = "errors,items.*.status,items.*.error.reason,items.*.error.caused_by.reason"
DUPLICATE = re.compile(r"Duplicate (field|Object property|key)", re.IGNORECASE)
NOT_THE_EVENT = re.compile(r"maximum (\w+ )?shards open|blocked by|pipeline with id \[.*\] does not exist")


@dataclass(frozen=True, slots=True)
class Item:
    """A line on its way: its number in the file, its bytes, and what it was read as."""

    number: int
    line: bytes
    read: Placed | Odd


@dataclass(frozen=True, slots=True)
class Rejection:
    """A line stored as rejected: its number, the kind of reason, and the detail."""

    number: int
    kind: str
    detail: str


@dataclass(frozen=True)
class Sent:
    """What became of a portion."""

    stored: int
    already: int
    rejected: tuple[Rejection, ...]


def send(siem: Siem, file: str, layout: Layout, items: Sequence[Item]) -> Sent:
    """Return what became of the items of a file, all of them stored; SiemError if the engine fails."""
    events = [(item, item.read) for item in items if isinstance(item.read, Placed)]
    refused = _refused(siem, [placed for _, placed in events])
    already = sum(refusal.status == ALREADY for refusal in refused.values())
    rejections = [Rejection(i.number, i.read.kind, i.read.detail) for i in items if isinstance(i.read, Odd)]
    for position, refusal in refused.items():
        if refusal.status != ALREADY:
            item, placed = events[position]
            _check_blame(refusal, file, item, placed.index)
            rejections.append(Rejection(item.number, "refused by the engine", refusal.reason.split("\n")[0]))
    rejections.sort(key=lambda rejection: rejection.number)
    _store_rejected(siem, file, layout.rejected, items, rejections)
    return Sent(len(events) - len(refused), already, tuple(rejections))


def _refused(siem: Siem, events: Sequence[Placed]) -> dict[int, Refusal]:
    """Create the events; return the refusals by position.

    An event with a key twice, which engines refuse (Suricata 6 writes `community_id` so), goes again with it once.
    """
    refused = _create(siem, events)
    twice = [position for position, refusal in refused.items() if DUPLICATE.search(refusal.reason)]
    again = _create(siem, [once(events[position]) for position in twice])
    for n, position in enumerate(twice):
        del refused[position]
        if n in again:
            refused[position] = again[n]
    return refused


def _create(siem: Siem, documents: Sequence[Placed]) -> dict[int, Refusal]:
    """Create the documents; return the refusals by position."""
    refused: dict[int, Refusal] = {}
    left = list(enumerate(documents))
    for attempt in stamina.retry_context(on=Overloaded, attempts=10, timeout=180, wait_initial=0.5, wait_max=20):
        with attempt:
            answers = siem.bulk(b"".join(_lines(document) for _, document in left), filter_path=ANSWER) if left else []
            final = {left[r.position][0]: r for r in answers if not _is_busy(r)}
            left = [left[r.position] for r in answers if _is_busy(r)]
            refused |= final
            if left:
                raise Overloaded(f"the engine has no capacity for {len(left)} of {len(documents)} documents")
    return refused


def _is_busy(refusal: Refusal) -> bool:
    """Tell whether the same document may be taken later; a blocked index says 429 too and is not."""
    return refusal.status in BUSY and not NOT_THE_EVENT.search(refusal.reason)


def _lines(document: Placed) -> bytes:
    """Return the two lines of a bulk body that create the document."""
    action = f'{{"create":{{"_index":"{document.index}","_id":"{document.id}"}}}}\n'
    return b"%b%b\n" % (action.encode(), document.source)


def _check_blame(refusal: Refusal, file: str, item: Item, index: str) -> None:
    """Raise Rejected if the refusal is not the event's fault."""
    if refusal.status != 400 or NOT_THE_EVENT.search(refusal.reason):
        raise Rejected(
            f"{file}:{item.number}: the engine takes no event for the index {index} ({refusal.status}): "
            f"{refusal.reason}; make room or correct that, then load again: nothing is stored twice"
        )


def _store_rejected(siem: Siem, file: str, index: str, items: Sequence[Item], rejections: Sequence[Rejection]) -> None:
    """Store the raw lines with their reasons."""
    if not rejections:
        return
    if not siem.exists(f"/{index}"):
        _make_index(siem, index)
    by_number = {item.number: item for item in items}
    documents = [_document(file, index, by_number[rejection.number], rejection) for rejection in rejections]
    for position, refusal in _create(siem, documents).items():
        if refusal.status != ALREADY:
            where = f"{file}:{rejections[position].number}"
            raise Rejected(f"{where}: cannot be stored in {index} ({refusal.status}): {refusal.reason}")


def _make_index(siem: Siem, index: str) -> None:
    """Make the index of rejected lines, unless another thread just did."""
    try:
        siem.call("PUT", f"/{index}", REJECTED_INDEX)
    except Rejected:
        if not siem.exists(f"/{index}"):
            raise


def _document(file: str, index: str, item: Item, rejection: Rejection) -> Placed:
    """Return a rejected line as a document; bytes that are no UTF-8 are written as escapes."""
    source: Mapping[str, Any] = {
        "@timestamp": datetime.now(UTC).isoformat(),
        "event_type": "rejected",
        "message": item.line.decode(errors="backslashreplace"),
        "hunt": {"error": f"{rejection.kind}: {rejection.detail}"},
        "log": {"file": {"path": file, "line": item.number}},
    }
    return Placed(index, item.read.id, json.dumps(source).encode())
