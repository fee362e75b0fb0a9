"""How far passes are, in one document of our state index, changed by compare-and-set only.

Promises: a window is written down before it is begun and is the same when it is taken up again; the watermark moves
only from a window that is done, and only for whoever has it. Will not: run a hunt. Times are epoch milliseconds.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from connector.errors import Conflict
from connector.hunts.asking import Window
from connector.hunts.hunt import Hunt
from connector.hunts.questions import Json
from connector.hunts.tally import instant
from connector.siem.client import Siem, Stored

DOCUMENT = "pass"  # its id, and its kind


@dataclass(frozen=True)
class Plan:
    """A window that is being done; `token` is of whoever has it in hand."""

    window: Window
    token: str


@dataclass(frozen=True)
class State:
    """The watermark, the window in hand, and where the next window of each hunt that is behind begins, by its id.

    `hunts` are the ids of the hunts of the last pass.
    """

    watermark: int
    plan: Plan | None = None
    behind: Mapping[str, int] = field(default_factory=dict)
    hunts: tuple[str, ...] = ()

    def window(self, hunt: Hunt, end: int) -> Window:
        """Return the window of a hunt: since the watermark, or since the hunt's own last good one."""
        return Window(self.behind.get(hunt.id, self.watermark), end)

    def after(self, end: int, failed: Iterable[str], known: Iterable[str], broken: bool) -> State:
        """Return the state when the window is done: hunts that failed stay where they were.

        So do hunts of an earlier pass that are not among the known ones while some file of hunts is broken: it may be
        theirs. If none is, they were deleted and are forgotten.
        """
        ids = tuple(known)
        absent = tuple(id for id in dict.fromkeys((*self.hunts, *self.behind)) if id not in ids) if broken else ()
        behind = {id: self.behind.get(id, self.watermark) for id in (*failed, *absent)}
        return State(end, None, behind, (*ids, *absent))


Found = tuple[State, Stored | None]  # how far passes are, and the document that says so, if there is one


def read_state(siem: Siem, index: str) -> tuple[State, Stored] | None:
    """Return how far passes are, and the document that says so; None if there was no pass."""
    stored = siem.get(index, DOCUMENT)
    return (_state(stored.source), stored) if stored else None


@dataclass(frozen=True)
class Taken:
    """A window in hand: how far passes are, the window, and the document that says so."""

    state: State
    window: Window
    stored: Stored


def take(siem: Siem, index: str, found: Found, end: int, now: datetime) -> Taken:
    """Return a window taken in hand: the one that was not finished, or a new one up to `end`.

    Conflict if another pass has taken it first.
    """
    state, stored = found
    window = state.plan.window if state.plan else Window(state.watermark, end)
    mine = replace(state, plan=Plan(window, secrets.token_hex(8)))
    try:
        written = siem.put(index, DOCUMENT, _source(mine, now), stored)
    except Conflict as error:
        raise Conflict("another pass has just begun: this one stops and has changed nothing") from error
    return Taken(mine, window, written)


def move(siem: Siem, index: str, mine: Taken, then: State, now: datetime) -> None:
    """Move on from the window in hand; Conflict if another pass has taken it up meanwhile."""
    try:
        siem.put(index, DOCUMENT, _source(then, now), mine.stored)
    except Conflict as error:
        raise Conflict(
            "another pass has taken up the same window while this one did it: both write the same findings, and the "
            "other one moves the watermark"
        ) from error


def _state(source: Json) -> State:
    """Return the state that a document says."""
    value: Mapping[str, Any] = source["value"]
    plan = value["plan"] and Plan(Window(value["plan"]["start"], value["plan"]["end"]), value["plan"]["token"])
    return State(source["watermark"], plan, value["behind"], tuple(value["hunts"]))


def _source(state: State, now: datetime) -> Json:
    """Return the document for a state."""
    plan = state.plan and {"start": state.plan.window.start, "end": state.plan.window.end, "token": state.plan.token}
    value = {"plan": plan, "behind": dict(state.behind), "hunts": list(state.hunts)}
    return {"kind": DOCUMENT, "watermark": state.watermark, "updated": instant(now), "value": value}
