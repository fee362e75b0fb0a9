"""What windows add up to, kept by window, so that a window done again replaces exactly its own part.

    settled   the sum of parts that are too old to be done again; `times` says of which
    windows   the part of each window by its start, with its `end`; those of a slot that is over become one

Promises: pure; a window counts once however often it is done and in whatever order windows come; whoever is late with a
window that another has done further changes nothing. Times are epoch milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connector.hunts.passes.intervals import SLOT, joined

Json = dict[str, Any]
Sum = Callable[[Iterable[Json]], Json]  # of parts
END, TIMES = "end", "times"
MOST_TIMES = 500  # of what is settled; beyond that the oldest become one, with what lies between them


@dataclass(frozen=True)
class Turn:
    """The window (start, end] that is done now; before `done` nothing is missing, before `old` nothing comes again."""

    start: int
    end: int
    done: int
    old: int


def with_part(kept: Mapping[str, Any], turn: Turn, own: Json | None, add: Sum) -> Json | None:
    """Return `settled` and `windows` with what the window has now, in place of what it had; None if it comes too late.

    Without a part of its own the window has nothing any more.
    """
    settled, parts = kept.get("settled"), kept.get("windows", {})
    if settled and any(start < turn.end and turn.start < end for start, end in settled[TIMES]):
        return None
    replaced = [start for start, part in parts.items() if int(start) < turn.end and turn.start < part[END]]
    if any(int(start) < turn.start or turn.end < parts[start][END] for start in replaced):
        return None
    parts = {start: part for start, part in parts.items() if start not in replaced}
    if own:
        parts[str(turn.start)] = {**own, END: turn.end}
    return _compact(settled, parts, turn, add)


def every_part(kept: Json) -> list[Json]:
    """Return every part there is, the settled ones as one."""
    return [*([kept["settled"]] if kept["settled"] else []), *kept["windows"].values()]


def _compact(settled: Json | None, parts: Mapping[str, Json], turn: Turn, add: Sum) -> Json:
    """Return the parts made fewer, as far as none of their windows is missing."""
    slots: dict[int, list[str]] = {}
    windows: dict[str, Json] = {}
    for start in sorted(parts, key=int):
        part = parts[start]
        if part[END] > turn.done:
            windows[start] = part
        elif part[END] <= turn.old:
            settled = _settled(settled, int(start), part, add)
        else:
            slots.setdefault(int(start) // SLOT, []).append(start)
    for own in slots.values():
        windows[own[0]] = {**add(parts[start] for start in own), END: parts[own[-1]][END]}
    return {"settled": settled, "windows": windows}


def _settled(settled: Json | None, start: int, part: Json, add: Sum) -> Json:
    """Return the settled parts with one more."""
    before = [settled] if settled else []
    times = joined([*(tuple(time) for one in before for time in one[TIMES]), (start, part[END])])
    oldest = max(0, len(times) - MOST_TIMES)
    times = ((times[0][0], times[oldest][1]), *times[oldest + 1 :])
    return {**add([*before, part]), TIMES: [list(time) for time in times]}
