"""Building profiles: windows of events that nobody has looked at yet, each asked once and merged into the hosts.

    watermark   up to where profiles have come, in a document of our state index
    open        the window in hand: if the builder is killed, exactly that window is done again
    counted     the stretches of time whose windows are done, those of the past that was done later as well

Promises: killed anywhere and done again, the profiles are the same: values merge by earliest and latest time, and the
numbers of a window replace those it had (`hunts/passes/parts.py`). What a window costs depends on its events and its
hosts. Will not: wait for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.content import content_folder
from connector.enrich.addresses import address_book, parse_address
from connector.errors import NotThere
from connector.hosts.attributes import BY_PATH
from connector.hosts.changes import changed
from connector.hosts.facts import Count, Facts, limited, merged, summed
from connector.hosts.gather import Found, Inside, gather, host_fields
from connector.hosts.shape import EPOCH, shaped
from connector.hunts.asking.asking import Window
from connector.hunts.asking.mapped import INGESTED, Mapped
from connector.hunts.asking.tally import instant
from connector.hunts.conditions.host_fields import ip_and_tenant
from connector.hunts.passes.intervals import SLOT, Stretch, joined
from connector.hunts.passes.parts import Turn, every_part
from connector.settings.model import Settings
from connector.siem.client import Siem
from connector.siem.many import Written, change_many

Json = dict[str, Any]
DOCUMENT = "hosts"  # the id of what says how far profiles are, and its kind
KEEP = 3_600_000  # milliseconds after which a window's numbers cannot be done again
AT_ONCE = 1_000_000  # values held until they are written, however many a part has
LAG = timedelta(seconds=60)


@dataclass
class Built:
    """What was done: windows, hosts written (each time), those that are new; how far profiles have come."""

    windows: int = 0
    hosts: int = 0
    new: int = 0
    watermark: datetime | None = None
    left_ms: int = 0


@dataclass(frozen=True)
class Order:
    """What to build: up to how long ago, since when (None: where it stopped), windows of how many milliseconds.

    The very first build begins at `begin` (None: with the oldest event). With `most` it stops after so many windows.
    """

    lag: timedelta = LAG
    since: datetime | None = None
    begin: datetime | None = None
    step: int = SLOT
    most: int | None = None


@dataclass(frozen=True)
class _State:
    """How far profiles are: the watermark (None: not begun), the window in hand, what is counted."""

    mark: int | None
    open: Window | None
    counted: tuple[Stretch, ...]


def build(
    siem: Siem, settings: Settings, order: Order, now: datetime, progress: Callable[[Built], None] = lambda _: None
) -> Built:
    """Return what was built. NotThere if our indices are not installed, other SiemErrors if the engine fails."""
    index = settings.state("hosts")
    if not siem.exists(f"/{index}/_settings"):
        raise NotThere(f"there is no index {index}: run `hunts install` first")
    desk, built = _Desk(siem, settings, host_fields(siem, settings), _inside(settings)), Built()
    until = _milliseconds(now - order.lag)
    place = _aligned(_milliseconds(order.since), SLOT) if order.since else None
    while order.most is None or built.windows < order.most:
        again = _again(siem, settings, order.step, place) if place is not None else None
        before, place = place, again.end if again else None
        window = again or _next(siem, settings, until, order)
        if window is None:
            break
        hosts, new = _do(desk, window)
        _note(siem, settings, (before if again and before is not None else window.start, window.end), again is None)
        mark = _state(siem, settings).mark or 0
        built.windows, built.hosts, built.new = built.windows + 1, built.hosts + hosts, built.new + new
        built.watermark = EPOCH + timedelta(milliseconds=mark)
        built.left_ms = max(0, until - (window.end if again else mark))
        progress(built)
    siem.call("POST", f"/{index}/_refresh")
    return built


def _again(siem: Siem, settings: Settings, step: int, place: int) -> Window | None:
    """Return the next window after a moment that was done before and is to be done again, None if there is none."""
    mark = _state(siem, settings).mark or 0
    first = _oldest(siem, settings, place, mark) if place < mark else None
    if first is None:
        return None
    start = max(place, _aligned(first - 1, step))
    return Window(start, min(mark, start - start % step + step))


def _next(siem: Siem, settings: Settings, until: int, order: Order) -> Window | None:
    """Return the next window that is new, or in hand, None if there is none; it is noted as in hand."""
    state = _state(siem, settings)
    if state.open:
        return state.open
    mark, begin = state.mark, order.since or order.begin
    after = mark if mark is not None or begin is None else _milliseconds(begin)
    first = _oldest(siem, settings, after, until)
    if first is None:
        if mark is not None and until > mark:
            _note(siem, settings, (mark, until), True)
        return None
    slot = _aligned(first - 1, order.step)
    start = slot if mark is None else max(mark, slot)
    window = Window(start, min(until, start - start % order.step + order.step))
    _note(siem, settings, (start if mark is None else mark, start), True, window)
    return window


def _aligned(moment: int, step: int) -> int:
    """Return the moment at or before another at which a window may begin."""
    return moment - moment % min(step, SLOT)


def _oldest(siem: Siem, settings: Settings, after: int | None, until: int) -> int | None:
    """Return when the first event came after a watermark and until a moment, None if none did."""
    query = Window(0, until).until if after is None else Window(after, until).filter
    body = {"size": 0, "query": query, "aggs": {"oldest": {"min": {"field": INGESTED}}}}
    value = siem.search(settings.events, body).get("aggregations", {}).get("oldest", {}).get("value")
    return None if value is None else int(value)


def _state(siem: Siem, settings: Settings) -> _State:
    """Return how far profiles are."""
    stored = siem.get(settings.state("state"), DOCUMENT)
    if stored is None:
        return _State(None, None, ())
    value = stored.source["value"]
    counted = tuple((start, end) for start, end in value.get("counted", ()))
    return _State(int(stored.source["watermark"]), Window(*value["open"]) if value["open"] else None, counted)


def _note(siem: Siem, settings: Settings, counted: Stretch, moves: bool, window: Window | None = None) -> None:
    """Write what is counted now; if it `moves` the watermark, that is at its end, and a window may be in hand."""

    def edit(source: Json | None) -> Json:
        """Return the document with that."""
        value: Json = source["value"] if source else {"open": None}
        stretches = [(start, end) for start, end in value.get("counted", ())]
        mark = int(source["watermark"]) if source else counted[1]
        opened = value["open"]
        if moves:
            mark, opened = max(mark, counted[1]), [window.start, window.end] if window else None
        value = {"open": opened, "counted": [list(one) for one in joined([*stretches, counted])]}
        return {"kind": DOCUMENT, "watermark": mark, "updated": instant(datetime.now(UTC)), "value": value}

    siem.change(settings.state("state"), DOCUMENT, edit)


@dataclass
class _Held:
    """What a window says of hosts until it is written."""

    lists: dict[str, Facts] = field(default_factory=dict)
    numbers: dict[str, Facts] = field(default_factory=dict)
    values: int = 0

    def take(self, found: Found) -> None:
        """Add one thing."""
        if not found.path or found.value:
            facts = self.lists.setdefault(found.host, Facts())
            if found.seen:
                facts.saw(found.times)
            if found.value:
                facts.note(found.path, found.value, found.times)
                self.values += 1
                own, most = facts.lists[found.path], BY_PATH[found.path].most
                if len(own) > 20 * most:  # beyond that not even what was let go is told apart
                    limited(own, 15 * most)
        else:
            facts = self.numbers.setdefault(found.host, Facts())
            facts.numbers[found.path] = facts.numbers.get(found.path, 0) + found.number

    def join(self, other: _Held) -> None:
        """Take from another what it holds of hosts that are here."""
        for id in [id for id in other.lists if id in self.lists]:
            self.lists[id].add(other.lists.pop(id))

    def found(self) -> dict[str, Facts]:
        """Return lists and numbers together."""
        both = {id: self.lists.get(id) or Facts() for id in {*self.lists, *self.numbers}}
        for id, facts in self.numbers.items():
            both[id].numbers = facts.numbers
        return both


@dataclass(frozen=True)
class _Desk:
    """Where one build does its work."""

    siem: Siem
    settings: Settings
    mapped: Mapped
    inside: Inside
    made: set[str] = field(default_factory=set)  # hosts whose profile is of the window in hand


def _do(desk: _Desk, window: Window) -> tuple[int, int]:
    """Do one window; return hosts, and those that are new."""
    state = _state(desk.siem, desk.settings)
    desk.made.clear()
    done = max(state.mark or 0, window.end)
    count = Count(Turn(window.start, window.end, done, done - KEEP), state.counted)
    parts = gather(desk.siem, desk.mapped, window, desk.inside)
    written, hosts = Written(), set[str]()
    named = _Held()
    written += _take(desk, named, next(parts))
    for part in parts:
        held = _Held()
        written += _take(desk, held, part)
        held.join(named)
        found = held.found()
        hosts |= found.keys()
        written += _write(desk, found, count)
    rest = named.found()
    return len(hosts | rest.keys()), (written + _write(desk, rest, count)).new


def _take(desk: _Desk, held: _Held, said: Iterable[Found]) -> Written:
    """Return what was written while everything that is said is taken: values, if they are too many to be held."""
    written = Written()
    for found in said:
        held.take(found)
        if held.values >= AT_ONCE:
            written += _write(desk, held.lists, None)
            held.lists, held.values = {ip: Facts() for ip in held.lists}, 0
    return written


def _write(desk: _Desk, found: Mapping[str, Facts], count: Count | None) -> Written:
    """Return what was written of the hosts, whose facts are added; with a count the numbers are the window's."""
    now = instant(datetime.now(UTC))

    def change(id: str, source: Json | None) -> Json | None:
        """Return the document with the facts, None if they change nothing."""
        facts = found[id]
        kept = merged(source and source["kept"], facts)
        before = {"settled": source["settled"], "windows": source["windows"]} if source else _nothing()
        own = {"numbers": facts.numbers} if facts.numbers else None
        parts = count.parts(before, own) if count and (own or source) else before
        if source and (kept, parts) == (source["kept"], before):
            return None
        host = shaped(kept, summed(every_part(parts))["numbers"])
        if source is None:
            desk.made.add(id)
        changes = [] if id in desk.made else changed(source, host)
        ip, tenant = ip_and_tenant(id)
        whose = {"ip": ip, "tenant": tenant} if tenant else {"ip": ip}
        return {**whose, "host_id": host, "changes": changes, "kept": kept, **parts, "updated": now}

    return change_many(desk.siem, desk.settings.state("hosts"), sorted(found), change)


def _nothing() -> Json:
    """Return the parts of a host without any."""
    return {"settled": None, "windows": {}}


def _inside(settings: Settings) -> Inside:
    """Return what tells whether an address is the organisation's."""
    book, known = address_book(settings, content_folder("ingest-pipelines") / "tables"), dict[str, bool]()

    def inside(text: str) -> bool:
        """Tell whether the address is one of a host inside."""
        if text not in known:
            if len(known) > 1_000_000:
                known.clear()
            found = parse_address(text)
            known[text] = found is not None and book.about(found).scope == "internal"
        return known[text]

    return inside


def _milliseconds(moment: datetime) -> int:
    """Return a moment as epoch milliseconds, rounded down."""
    return (moment - EPOCH) // timedelta(milliseconds=1)
