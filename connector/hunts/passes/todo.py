"""What a pass is to do, as a pure function of hunts, how far they are, and now.

Promises: the events are always counted with or before the hunts that are asked about them; a hunt that remembers what
it saw looks at the past in order. Will not: ask an engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from connector.hunts.asking.asking import Window
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import FirstSeen, every_event
from connector.hunts.catalogue.schedule import next_run
from connector.hunts.passes.intervals import SLOT, Stretch, Stretches, pieces, slot_of
from connector.hunts.passes.watermark import CENSUS, State

Kind = Literal["live", "catch-up", "again"]
LIVE: Kind = "live"
CATCH_UP: Kind = "catch-up"
AGAIN: Kind = "again"
EMPTY = 2 * SLOT  # a stretch that may be without events is looked through for the first one if it is this long


@dataclass(frozen=True)
class Todo:
    """The windows of hunts in one slot, and that of the events to be counted, if any are.

    `kind` says which: live windows, those that were missed, or those that are looked at again.
    """

    windows: tuple[tuple[Hunt, Window], ...] = ()
    census: Window | None = None
    kind: Kind = LIVE

    def __bool__(self) -> bool:
        """Return whether there is anything to do."""
        return bool(self.windows or self.census)

    @property
    def whole(self) -> Window:
        """Return the window that has all of them."""
        every = [*(window for _, window in self.windows), *([self.census] if self.census else [])]
        return Window(min(window.start for window in every), max(window.end for window in every))


def due(hunt: Hunt, state: State, lag: timedelta, now: datetime) -> bool:
    """Return whether a hunt's schedule asks for it: some of what it has to look at is as old as that."""
    missing = state.of(hunt.id)
    if hunt.schedule is None and every_event(hunt.needs):
        return bool(missing)
    return bool(missing) and next_run(hunt.schedule, _moment(missing[0][0]) + lag) <= now


def chosen(state: State, able: Sequence[Hunt], *, newest: bool) -> Todo:
    """Return what is to be done in the newest or oldest slot of those in which one of the able hunts has anything."""
    own = {hunt.id: _piece(state.of(hunt.id), newest and not isinstance(hunt.needs, FirstSeen)) for hunt in able}
    own[CENSUS] = _piece(state.of(CENSUS), newest)
    slots = {slot_of(piece) for piece in own.values() if piece}
    if not slots:
        return Todo()
    slot = max(slots) if newest else min(slots)
    here = {id: Window(*piece) for id, piece in own.items() if piece and slot_of(piece) == slot}
    windows = tuple((hunt, here[hunt.id]) for hunt in able if hunt.id in here)
    return Todo(windows, here.get(CENSUS), _kind(state, windows, here.get(CENSUS)))


def _piece(stretches: Stretches, newest: bool) -> Stretch | None:
    """Return the newest or oldest piece of stretches that lies in one slot, None if there is nothing."""
    if not stretches:
        return None
    if not newest:
        return next(pieces(stretches[:1]))
    start, end = stretches[-1]
    return max(start, slot_of((end - 1, end))), end


def _kind(state: State, windows: Iterable[tuple[Hunt, Window]], counted: Window | None) -> Kind:
    """Return which kind of windows these are."""
    every = [*((hunt.id, window) for hunt, window in windows), *([(CENSUS, counted)] if counted else [])]
    if any(state.is_again(id, (window.start, window.end)) for id, window in every):
        return AGAIN
    return LIVE if any(window.end == state.watermark for _, window in every) else CATCH_UP


def skipping(state: State, able: Iterable[Hunt]) -> Stretch | None:
    """Return the oldest stretch that somebody has to look at, if it is so long that events may be few in it."""
    first = [found[0] for id in (CENSUS, *(hunt.id for hunt in able)) if (found := state.of(id))]
    oldest = min(first, default=(0, 0))
    return oldest if oldest[1] - oldest[0] > EMPTY else None


def _moment(milliseconds: int) -> datetime:
    """Return epoch milliseconds as a moment."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
