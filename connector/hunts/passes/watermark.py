"""How far passes are, in one document of our state index, changed by compare-and-set only.

    watermark   up to where passes have come
    missing     what each hunt has still to look at before that, by its id; and under CENSUS what is still to be counted
    again       what of that has been looked at before
    last        what each hunt had when it was last asked, for people

Promises: a stretch is missing from the moment the watermark passes it until the hunt has done it, so that whatever is
cut off is done again, and a hunt that fails, waits for its schedule or was switched off by a broken file loses nothing.
Will not: run a hunt. Times are epoch milliseconds.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from connector.errors import Conflict
from connector.hunts.asking.questions import Json
from connector.hunts.asking.tally import instant
from connector.hunts.passes.intervals import Stretch, Stretches, joined, without
from connector.siem.client import Siem, Stored

DOCUMENT = "pass"  # its id, and its kind
CENSUS = ""  # in place of a hunt's id: the events themselves, counted for the audit


@dataclass(frozen=True)
class State:
    """How far passes are; `since` is where they began, `token` is of the pass at work, if one is or was cut off."""

    watermark: int
    since: int
    missing: Mapping[str, Stretches] = field(default_factory=dict)
    again: Mapping[str, Stretches] = field(default_factory=dict)
    hunts: tuple[str, ...] = ()
    last: Mapping[str, Json] = field(default_factory=dict)
    token: str = ""

    def of(self, id: str) -> Stretches:
        """Return what a hunt has still to look at, in order."""
        return self.missing.get(id, ())

    def done_until(self, id: str) -> int:
        """Return the moment before which a hunt has nothing to look at."""
        return self.of(id)[0][0] if self.of(id) else self.watermark

    def until(self, end: int, known: Iterable[str], broken: bool) -> State:
        """Return the state when the watermark moves on to `end`: everybody has that to look at.

        Hunts of before that are not among the known ones were deleted and are forgotten; while some file of hunts is
        broken it may be theirs, and they are kept. A hunt that is new begins at the watermark.
        """
        ids = list(dict.fromkeys(known))
        ids += [id for id in self.hunts if broken and id not in ids]
        fresh: Stretches = ((self.watermark, end),) if end > self.watermark else ()
        everybody = (CENSUS, *ids)
        missing = _some({id: joined((*self.of(id), *fresh)) for id in everybody})
        again = {id: self.again[id] for id in everybody if id in self.again}
        last = {id: self.last[id] for id in ids if id in self.last}
        return State(max(end, self.watermark), self.since, missing, again, tuple(ids), last, self.token)

    def with_again(self, ids: Iterable[str], stretch: Stretch) -> State:
        """Return the state when these hunts have a stretch to look at again."""
        ids = list(ids)
        more = [
            {**old, **{id: joined((*old.get(id, ()), stretch)) for id in ids}} for old in (self.missing, self.again)
        ]
        return replace(self, missing=more[0], again=more[1])

    def is_again(self, id: str, stretch: Stretch) -> bool:
        """Return whether a hunt has looked at some of a stretch before."""
        return any(start < stretch[1] and stretch[0] < end for start, end in self.again.get(id, ()))

    def less(self, gone: Mapping[str, Iterable[Stretch]], last: Mapping[str, Json]) -> State:
        """Return the state when stretches are done, and what the hunts had."""
        left = [
            _some({id: without(old, gone.get(id, ())) for id, old in stretches.items()})
            for stretches in (self.missing, self.again)
        ]
        return replace(self, missing=left[0], again=left[1], last={**self.last, **last})


def _some(stretches: Mapping[str, Stretches]) -> dict[str, Stretches]:
    """Return the stretches of those who have any."""
    return {id: found for id, found in stretches.items() if found}


@dataclass(frozen=True)
class Taken:
    """Passes in hand: how far they are, and the document that says so."""

    state: State
    stored: Stored


def read_state(siem: Siem, index: str) -> tuple[State, Stored] | None:
    """Return how far passes are, and the document that says so; None if there was no pass."""
    stored = siem.get(index, DOCUMENT)
    return (_state(stored.source), stored) if stored else None


def take(siem: Siem, index: str, state: State, stored: Stored | None, now: datetime) -> Taken:
    """Return passes taken in hand in this state; Conflict if another pass has taken them first."""
    mine = replace(state, token=secrets.token_hex(8))
    try:
        return Taken(mine, siem.put(index, DOCUMENT, _source(mine, now), stored))
    except Conflict as error:
        raise Conflict("another pass has just begun: this one stops and has changed nothing") from error


def write_state(siem: Siem, index: str, state: State, stored: Stored, now: datetime) -> None:
    """Write another state in place of the one that was read; Conflict if a pass has changed it meanwhile."""
    siem.put(index, DOCUMENT, _source(state, now), stored)


def move(siem: Siem, index: str, mine: Taken, then: State, now: datetime) -> None:
    """Write what is done; Conflict if another pass has taken over meanwhile."""
    try:
        siem.put(index, DOCUMENT, _source(replace(then, token=""), now), mine.stored)
    except Conflict as error:
        raise Conflict(
            "another pass has taken up the same window while this one did it: both write the same findings, and the "
            "other one moves the watermark"
        ) from error


def _state(source: Json) -> State:
    """Return the state that a document says."""
    value: Mapping[str, Any] = source["value"]
    return State(
        watermark=source["watermark"],
        since=value["since"],
        missing=_read(value["missing"]),
        again=_read(value["again"]),
        hunts=tuple(value["hunts"]),
        last=value["last"],
        token=value["token"],
    )


def _read(found: Mapping[str, Iterable[Iterable[int]]]) -> dict[str, Stretches]:
    """Return stretches as a document has them."""
    return {id: tuple((start, end) for start, end in stretches) for id, stretches in found.items()}


def _source(state: State, now: datetime) -> Json:
    """Return the document for a state."""
    value = {
        "since": state.since,
        "missing": state.missing,
        "again": state.again,
        "hunts": list(state.hunts),
        "last": dict(state.last),
        "token": state.token,
    }
    return {"kind": DOCUMENT, "watermark": state.watermark, "updated": instant(now), "value": value}
