"""A pass: every hunt over the events first written since the last pass, once.

    1. take the window (watermark, now - lag], or the one that a pass before this did not finish
    2. count for all hunts in one round trip, page those that match, write what the window adds to findings
    3. write the ledger entry
    4. move the watermark

Promises: killed anywhere and done again, the end is the same; of two passes at the same time one stops, or both write
the same. A hunt that fails keeps its own place and has its window again at the next pass; the others go on. A hunt
that is new begins at the watermark: `run.py` looks at the past. Will not: keep a schedule, or see an event of an
earlier window that the engine made visible only later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from connector.errors import NotThere, Refused, SiemError
from connector.hunts.asking import FATAL, Progress, Window, counts, total
from connector.hunts.census import census, narrowed
from connector.hunts.findings import Addition, write
from connector.hunts.hunt import Hunt
from connector.hunts.mapped import INGESTED, Mapped
from connector.hunts.members import Place, of_window
from connector.hunts.questions import Asked, Json, Known
from connector.hunts.tally import instant, tallied, told
from connector.hunts.watermark import State, move, read_state, take
from connector.settings.model import Settings
from connector.siem.client import Siem

LAG = timedelta(seconds=60)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class HuntPass:
    """What one hunt found in its window: events that match, those that count in findings, and those findings.

    `trouble` says why it may have found nothing: fields that are not there, lists that are empty, only learning yet.
    `error` says why it failed.
    """

    id: str
    name: str
    severity: str
    start: datetime
    matching: int = 0
    hits: int = 0
    findings: int = 0
    new: int = 0
    trouble: str = ""
    error: str | None = None


@dataclass(frozen=True)
class Pass:
    """The result of a pass over (start, end]; `events` are all events of that window, whatever hunts say of them.

    `redone` says that a pass before this did not finish the window. Without an enriched event there is no window.
    """

    start: datetime | None = None
    end: datetime | None = None
    redone: bool = False
    events: int = 0
    took_ms: int = 0
    hunts: tuple[HuntPass, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[HuntPass, ...]:
        """Return the hunts that failed."""
        return tuple(hunt for hunt in self.hunts if hunt.error)


@dataclass(frozen=True)
class Order:
    """What a pass is to do: hunts, up to how long ago, and for the very first one since how long ago (None: ever).

    `broken` says that files of hunts are broken, so that a hunt that is not here may be in one.
    """

    hunts: Sequence[Hunt]
    lag: timedelta = LAG
    since: timedelta | None = None
    broken: bool = False


def run_pass(
    siem: Siem,
    settings: Settings,
    order: Order,
    clock: Callable[[], datetime],
    progress: Progress,
    *,
    known: Known | None = None,
) -> Pass:
    """Return what the next window has; `clock` gives the time in UTC, `known` is what is kept from pass to pass.

    Conflict if another pass is at work, Refused if `since` comes too late, NotThere if our own indices are not
    installed, other SiemErrors if the engine fails altogether: the window is then taken up by the next pass.
    """
    _check_installed(siem, settings)
    began, index = clock(), settings.state("state")
    known = known or Known()
    known.learn(siem, settings, order.hunts)
    notes = tuple(_not_enriched(known.mapped))
    found = read_state(siem, index)
    if found and order.since:
        raise Refused(f"passes have come to {_moment(found[0].watermark)}: `since` is for the first one")
    state, stored = found or (_first(siem, settings, order.since, began), None)
    if state is None:
        return Pass(notes=notes)
    end = _milliseconds(began - order.lag)
    if state.plan is None and end <= state.watermark:
        return Pass(_moment(state.watermark), _moment(state.watermark), notes=notes)
    mine = take(siem, index, (state, stored), end, began)
    window = mine.window
    desk = _Desk(Place(siem, settings.state("seen")), settings.state("findings"), progress)
    known.learn(siem, settings, order.hunts)  # again: what the window has may have come with a new mapping
    result = _pass(desk, known, [mine.state.window(hunt, window.end) for hunt in order.hunts], window)
    result = replace(result, redone=state.plan is not None, notes=notes)
    _enter(siem, settings, result, window, began)
    then = mine.state.after(window.end, [h.id for h in result.failed], [h.id for h in order.hunts], order.broken)
    move(siem, index, mine, then, clock())
    return result


def _check_installed(siem: Siem, settings: Settings) -> None:
    """Raise NotThere if one of our own indices is not there."""
    names = [settings.state(name) for name in ("findings", "runs", "state", "seen")]
    path, uuid = f"/{','.join(names)}/_settings", "*.settings.index.uuid"
    there = siem.call("GET", path, ignore_unavailable=True, filter_path=uuid)
    for name in (name for name in names if name not in there):
        raise NotThere(f"there is no index {name}: run `hunts install` first")


def _not_enriched(sources: Mapped) -> Iterator[str]:
    """Yield a note for each source that no pass sees an event of."""
    for source, fields in sources:
        if not fields.has(INGESTED):
            yield f"no event of {source.pattern} is enriched, so no pass sees one: `hunts plan` shows what is missing"


def _first(siem: Siem, settings: Settings, since: timedelta | None, now: datetime) -> State | None:
    """Return the state before the first pass: just before the oldest event; None if there is none."""
    if since:
        return State(_milliseconds(now - since))
    oldest = {"size": 0, "aggs": {"oldest": {"min": {"field": INGESTED}}}}
    value = siem.search(settings.events, oldest).get("aggregations", {}).get("oldest", {}).get("value")
    return None if value is None else State(int(value) - 1)


def _pass(desk: _Desk, known: Known, windows: Sequence[Window], whole: Window) -> Pass:
    """Return what the hunts have, each in its window, their findings written; `whole` is the window of the pass."""
    started = time.monotonic()
    siem = desk.place.siem
    there = census(siem, known.mapped, [each.hunt for each in known.asked], lambda _: [whole.filter])
    own = list(zip(known.asked, windows, strict=True))
    narrow = [narrowed(each, there, known) if window == whole else each for each, window in own]
    asking = [(q, [window.filter]) for each, window in zip(narrow, windows, strict=True) for q in each.questions]
    counted = iter(counts(siem, asking))
    numbers = [[next(counted) for _ in each.questions] for each in narrow]
    done = tuple(map(desk.hunt_pass, known.asked, narrow, windows, numbers))
    if any(hunt.findings for hunt in done):
        siem.call("POST", f"/{desk.findings}/_refresh")
    took = round((time.monotonic() - started) * 1000)
    events = sum(each.events for each in there.values())
    return Pass(_moment(whole.start), _moment(whole.end), events=events, took_ms=took, hunts=done)


@dataclass(frozen=True)
class _Desk:
    """Where the hunts of one pass do their work."""

    place: Place
    findings: str
    progress: Progress

    def hunt_pass(self, asked: Asked, narrow: Asked, window: Window, numbers: Sequence[int | SiemError]) -> HuntPass:
        """Return what one hunt has in its window, its findings written, given how many events match.

        `narrow` is the hunt where the window's events are.
        """
        hunt, matching = asked.hunt, total(numbers)
        result = HuntPass(hunt.id, hunt.name, hunt.severity, _moment(window.start), trouble=asked.trouble)
        if isinstance(matching, SiemError):
            return replace(result, error=str(matching))
        if not matching:
            return result
        try:
            counting = of_window(self.place, asked, narrow, window, numbers)
            found = tallied(hunt, told(counting.events, hunt.name, matching, self.progress))
            additions = [Addition(hunt, key, group) for key, group in found.groups.items()]
            written = write(self.place.siem, self.findings, additions, window.start, datetime.now(UTC))
        except FATAL:
            raise
        except SiemError as error:
            return replace(result, matching=matching, error=str(error))
        result = replace(result, matching=matching, hits=found.hits, findings=len(additions), new=written.new)
        return replace(result, trouble=counting.note or result.trouble)


def _enter(siem: Siem, settings: Settings, result: Pass, window: Window, began: datetime) -> None:
    """Write the ledger entry of a window; doing the window again writes it again."""
    entry: Json = {
        "from": window.start,
        "to": window.end,
        "started": instant(began),
        "took_ms": result.took_ms,
        "events": result.events,
        "hunts": len(result.hunts),
        "hits": sum(hunt.hits for hunt in result.hunts),
        "findings": sum(hunt.findings for hunt in result.hunts),
        "errors": [{"hunt": hunt.name, "error": hunt.error} for hunt in result.failed],
    }
    siem.call("PUT", f"/{settings.state('runs')}/_doc/pass-{window.start}-{window.end}", entry)


def _milliseconds(moment: datetime) -> int:
    """Return a moment as epoch milliseconds, rounded down."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _moment(milliseconds: int) -> datetime:
    """Return epoch milliseconds as a moment."""
    return EPOCH + timedelta(milliseconds=milliseconds)
