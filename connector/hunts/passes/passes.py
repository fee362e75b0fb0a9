"""A pass: hunts over events that nobody has looked at yet, in one slot of time, once.

    1. the watermark moves to now - lag; everybody has the time since then to look at (`watermark.py`)
    2. of that and what is still missing from before, the newest or the oldest slot is taken, and who is due in it
    3. the events are counted, then all hunts in one round trip that brings what each needs first; the few that match
       more are paged, and what windows add to findings is written together
    4. what is done is no longer missing

Promises: killed anywhere and done again, the end is the same; of two passes at the same time one stops, or both write
the same. A hunt that fails keeps what it has to look at; the others go on. A hunt that is new begins at the watermark:
`run.py` looks at the past, `audit.replay` has passes do so. Will not: wait for anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from connector.errors import HuntsError, NotThere, Refused, SiemError
from connector.hunts.asking.asking import FATAL, Answer, Progress, Window, counted, total
from connector.hunts.asking.census import census, everywhere, narrowed
from connector.hunts.asking.mapped import INGESTED, Mapped
from connector.hunts.asking.members import Place, of_window, window_opening
from connector.hunts.asking.questions import Asked, Json, Known
from connector.hunts.asking.tally import instant, tallied, told
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import every_event
from connector.hunts.passes.findings import Addition, clear, write
from connector.hunts.passes.intervals import slot_of
from connector.hunts.passes.intervals import total as length
from connector.hunts.passes.ledger import Ledger
from connector.hunts.passes.parts import Turn
from connector.hunts.passes.todo import AGAIN, LIVE, Kind, Todo, chosen, due, skipping
from connector.hunts.passes.watermark import CENSUS, State, Taken, move, read_state, take, write_state
from connector.settings.model import Settings
from connector.siem.client import Siem

LAG = timedelta(seconds=60)
KEEP = timedelta(hours=24)
TOGETHER = 1000  # findings held until they are written, be they of one hunt or of many
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class HuntPass:
    """What one hunt found in its window: events that match, those that count in findings, and those findings.

    `trouble` says why it may have found nothing: fields that are not there, lists that are empty, only learning yet.
    `error` says why it failed. `took_ms` is what the engine and we worked on it.
    """

    id: str
    name: str
    severity: str
    start: datetime
    end: datetime
    matching: int = 0
    hits: int = 0
    findings: int = 0
    new: int = 0
    took_ms: int = 0
    trouble: str = ""
    error: str | None = None


@dataclass(frozen=True)
class Pass:
    """The result of a pass over (start, end]; `events` are all events of that window, whatever hunts say of them.

    `kind` is live, catch-up or again (`todo.py`); `redone` says that a pass before this was cut off. `left_ms` is what
    is still to be looked at, by `left_hunts` of those that are due now, each by itself at most: another pass does more
    of it. Without an enriched event there is no window.
    """

    start: datetime | None = None
    end: datetime | None = None
    watermark: datetime | None = None
    kind: Kind = LIVE
    redone: bool = False
    events: int = 0
    took_ms: int = 0
    left_ms: int = 0
    left_hunts: int = 0
    hunts: tuple[HuntPass, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[HuntPass, ...]:
        """Return the hunts that failed."""
        return tuple(hunt for hunt in self.hunts if hunt.error)


@dataclass(frozen=True)
class Order:
    """What a pass is to do: hunts, up to how long ago, and for the very first one since how long ago (None: ever).

    `broken` says that files of hunts are broken, so that a hunt that is not here may be in one. `newest` takes the
    newest slot with anything to do in place of the oldest. `scheduled` leaves out hunts whose schedule does not ask for
    them yet. `leave` are ids of hunts that another pass is for. `keep` is how long a window can be done again. Without
    `further` the watermark stays where it is.
    """

    hunts: Sequence[Hunt]
    lag: timedelta = LAG
    since: timedelta | None = None
    broken: bool = False
    newest: bool = False
    scheduled: bool = False
    leave: frozenset[str] = frozenset()
    keep: timedelta = KEEP
    further: bool = True


def run_pass(
    siem: Siem,
    settings: Settings,
    order: Order,
    clock: Callable[[], datetime],
    progress: Progress,
    *,
    known: Known | None = None,
) -> Pass:
    """Return what the next slot has; `clock` gives the time in UTC, `known` is what is kept from pass to pass.

    Conflict if another pass is at work, Refused if `since` comes too late, NotThere if our own indices are not
    installed, other SiemErrors if the engine fails altogether: what was begun is then done again by the next pass.
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
    end = _milliseconds(began - order.lag) if order.further else state.watermark
    grown = state.until(end, [hunt.id for hunt in order.hunts], order.broken)
    grown, todo = _todo(siem, settings, order, grown, began)
    if not todo:
        if stored and grown.missing != state.missing:  # a time in which no event came is looked at, too
            write_state(siem, index, grown, stored, began)
        at = _moment(grown.watermark)
        return Pass(at, at, at, notes=notes)
    mine = take(siem, index, grown, stored, began)
    desk = _Desk(Place(siem, settings.state("seen")), settings.state("findings"), progress, mine.state, order.keep)
    known.learn(siem, settings, order.hunts)  # again: what the window has may have come with a new mapping
    result = _pass(replace(desk, redone=bool(state.token)), known, todo)
    ledger = Ledger(siem, settings.state("runs"))
    if todo.census:
        ledger.count(desk.turn(CENSUS, todo.census), result.events)
    then = _after(mine, todo, result, began)
    result = replace(_left(result, order, then, began), kind=todo.kind, redone=bool(state.token), notes=notes)
    first = todo.census is not None and todo.kind != AGAIN
    ledger.enter(todo.kind, todo.census or todo.whole, _entry(result, began), first=first)
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
        at = _milliseconds(now - since)
        return State(at, at)
    oldest = _oldest(siem, settings, {"match_all": {}})
    return None if oldest is None else State(oldest - 1, 0)


def _oldest(siem: Siem, settings: Settings, query: Json) -> int | None:
    """Return when the first of the events came that match a query, None if none does."""
    body = {"size": 0, "query": query, "aggs": {"oldest": {"min": {"field": INGESTED}}}}
    value = siem.search(settings.events, body).get("aggregations", {}).get("oldest", {}).get("value")
    return None if value is None else int(value)


def _todo(siem: Siem, settings: Settings, order: Order, state: State, now: datetime) -> tuple[State, Todo]:
    """Return what is to be done now, and the state without slots at the beginning in which no event came."""
    able = _able(order, state, now)
    if not order.newest and (gap := skipping(state, able)):
        oldest = _oldest(siem, settings, Window(*gap).filter)
        empty = gap[1] if oldest is None else slot_of((oldest - 1, oldest))
        state = state.less({id: [(gap[0], empty)] for id in state.missing}, {})
    return state, chosen(state, able, newest=order.newest)


def _able(order: Order, state: State, now: datetime) -> list[Hunt]:
    """Return the hunts that are due."""
    there = [hunt for hunt in order.hunts if hunt.id not in order.leave]
    return [hunt for hunt in there if not order.scheduled or due(hunt, state, order.lag, now)]


def _left(result: Pass, order: Order, state: State, now: datetime) -> Pass:
    """Return the result with what is left to do by those that are due."""
    waiting = [length(state.of(id)) for id in (CENSUS, *(hunt.id for hunt in _able(order, state, now)))]
    hunts = sum(1 for left in waiting[1:] if left)
    return replace(result, left_ms=max(waiting), left_hunts=hunts, watermark=_moment(state.watermark))


def _after(mine: Taken, todo: Todo, result: Pass, began: datetime) -> State:
    """Return the state when a pass is done: hunts that failed have their windows still to look at."""
    failed = {hunt.id for hunt in result.failed}
    gone = {hunt.id: [(window.start, window.end)] for hunt, window in todo.windows if hunt.id not in failed}
    if todo.census:
        gone[CENSUS] = [(todo.census.start, todo.census.end)]
    return mine.state.less(gone, {hunt.id: _last(hunt, began) for hunt in result.hunts})


def _last(hunt: HuntPass, began: datetime) -> Json:
    """Return what the state says of a hunt that was asked, for people."""
    said = {
        name: getattr(hunt, name) for name in ("matching", "hits", "findings", "new", "took_ms", "trouble", "error")
    }
    return {"at": instant(began), **{name: value for name, value in said.items() if value}}


def _pass(desk: _Desk, known: Known, todo: Todo) -> Pass:
    """Return what the hunts have, each in its window, their findings written."""
    started = time.monotonic()
    siem, whole = desk.place.siem, todo.whole
    by_id = {each.hunt.id: each for each in known.asked}
    own = [(by_id[hunt.id], window) for hunt, window in todo.windows]
    new = todo.census.filter if todo.census else None
    there = census(siem, known.mapped, [each.hunt for each, _ in own], lambda _: [whole.filter], new)
    narrow = [narrowed(each, there, known) for each, _ in own]
    ever = everywhere(siem, known.mapped, there, known)
    asking = [(q, [window.filter]) for each, (_, window) in zip(narrow, own, strict=True) for q in each.questions]
    answers = iter(counted(siem, asking, window_opening))
    answered = [[next(answers) for _ in each.questions] for each in narrow]
    hunted = (
        desk.hunted(narrowed(each, ever, known), window, less, found)
        for (each, window), less, found in zip(own, narrow, answered, strict=True)
    )
    done = tuple(desk.written(hunted))
    if any(hunt.findings for hunt in done):
        siem.call("POST", f"/{desk.findings}/_refresh")
    took = round((time.monotonic() - started) * 1000)
    events = sum(each.new if todo.census else each.events for each in there.values())
    return Pass(_moment(whole.start), _moment(whole.end), events=events, took_ms=took, hunts=done)


@dataclass(frozen=True)
class _Hunted:
    """What one hunt has in its window: the result, what is to be added to findings, and whether others lose a part."""

    result: HuntPass
    turn: Turn
    additions: tuple[Addition, ...] = ()
    clear: bool = False

    def failed(self, error: str) -> _Hunted:
        """Return the same for a hunt that has failed: nothing of it is written."""
        return _Hunted(replace(self.result, error=error, hits=0, findings=0), self.turn)


@dataclass(frozen=True)
class _Desk:
    """Where the hunts of one pass do their work."""

    place: Place
    findings: str
    progress: Progress
    state: State
    keep: timedelta
    redone: bool = False

    def turn(self, id: str, window: Window) -> Turn:
        """Return what writing the part of a hunt's window needs to know."""
        old = self.state.watermark - self.keep // timedelta(milliseconds=1)
        return Turn(window.start, window.end, self.state.done_until(id), old)

    def hunted(self, asked: Asked, window: Window, narrow: Asked, answers: Sequence[Answer]) -> _Hunted:
        """Return what one hunt has in its window, given how many events match and what came with that.

        `narrow` is the hunt where the window's events are.
        """
        started = time.monotonic()
        hunt, matching = asked.hunt, total(answer.number for answer in answers)
        times = (_moment(window.start), _moment(window.end))
        took = max((answer.took for answer in answers), default=0)
        result = HuntPass(hunt.id, hunt.name, hunt.severity, *times, took_ms=took, trouble=asked.trouble)
        turn = self.turn(hunt.id, window)
        if isinstance(matching, SiemError):
            return _Hunted(replace(result, error=str(matching)), turn)
        again = self.redone or self.state.is_again(hunt.id, (window.start, window.end))
        found = _Hunted(replace(result, matching=matching), turn, clear=again and not every_event(hunt.needs))
        try:
            found = self._found(found, asked, narrow, window, answers) if matching else found
        except FATAL:
            raise
        except HuntsError as error:
            found = found.failed(str(error))
        except Exception as error:  # whatever an event brings out in us: the other hunts are to go on
            found = found.failed(f"a fault of guided-hunts: {type(error).__name__}: {error}")
        took += round((time.monotonic() - started) * 1000)
        return replace(found, result=replace(found.result, took_ms=took))

    def _found(
        self, hunted: _Hunted, asked: Asked, narrow: Asked, window: Window, answers: Sequence[Answer]
    ) -> _Hunted:
        """Return what the window adds to the hunt's findings."""
        hunt, result = asked.hunt, hunted.result
        counting = of_window(self.place, asked, narrow, window, answers)
        found = tallied(hunt, told(counting.events, hunt.name, result.matching, self.progress))
        additions = tuple(Addition(hunt, key, group) for key, group in found.groups.items())
        result = replace(result, hits=found.hits, findings=len(additions), trouble=counting.note or result.trouble)
        return replace(hunted, result=result, additions=additions)

    def written(self, hunted: Iterable[_Hunted]) -> Iterator[HuntPass]:
        """Yield the results of hunts, their findings written, those of many hunts together."""
        waiting, number = list[_Hunted](), 0
        for one in hunted:
            waiting.append(one)
            number += len(one.additions)
            if number >= TOGETHER:
                yield from self._written(waiting)
                waiting, number = [], 0
        yield from self._written(waiting)

    def _written(self, hunted: Sequence[_Hunted]) -> list[HuntPass]:
        """Return the results, the findings written; if that fails, each hunt's by themselves, so that one fails."""
        try:
            return self._write(hunted)
        except FATAL:
            raise
        except SiemError as error:
            if len(hunted) == 1:
                return [hunted[0].failed(str(error)).result]
        return [result for one in hunted for result in self._written([one])]

    def _write(self, hunted: Sequence[_Hunted]) -> list[HuntPass]:
        """Return the results, the findings written; SiemError if one cannot be."""
        siem, now = self.place.siem, datetime.now(UTC)
        additions = [(addition, one.turn) for one in hunted for addition in one.additions]
        new = write(siem, self.findings, additions, now)
        turns = {one.result.id: one.turn for one in hunted if one.clear}
        if turns:
            clear(siem, self.findings, turns, kept=[addition.id for addition, _ in additions], now=now)
        return [replace(one.result, new=new[one.result.id]) for one in hunted]


def _entry(result: Pass, began: datetime) -> Mapping[str, object]:
    """Return the ledger entry of a pass; doing the window again writes it again."""
    return {
        "started": instant(began),
        "took_ms": result.took_ms,
        "events": result.events,
        "hunts": len(result.hunts),
        "hits": sum(hunt.hits for hunt in result.hunts),
        "findings": sum(hunt.findings for hunt in result.hunts),
        "errors": [{"hunt": hunt.name, "error": hunt.error} for hunt in result.failed],
    }


def _milliseconds(moment: datetime) -> int:
    """Return a moment as epoch milliseconds, rounded down."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _moment(milliseconds: int) -> datetime:
    """Return epoch milliseconds as a moment."""
    return EPOCH + timedelta(milliseconds=milliseconds)
