"""Building profiles: windows of events that nobody has looked at yet, each asked once and merged into the hosts.

    watermark   up to where profiles have come, in a document of our state index
    open        the window in hand: if the builder is killed, exactly that window is done again

Promises: killed anywhere and done again, the profiles are the same: values merge by earliest and latest time, and the
numbers of a window replace those it had (`hunts/parts.py`). What a window costs depends on its events and its hosts.
Will not: wait for anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.content import content_folder
from connector.enrich.addresses import address_book, parse_address
from connector.errors import NotThere
from connector.hosts.attributes import BY_PATH
from connector.hosts.changes import changed
from connector.hosts.facts import Facts, limited, merged, summed
from connector.hosts.gather import Found, Inside, gather, host_fields
from connector.hosts.shape import EPOCH, shaped
from connector.hunts.asking import Window
from connector.hunts.intervals import SLOT
from connector.hunts.mapped import INGESTED, Mapped
from connector.hunts.parts import Turn, every_part, with_part
from connector.hunts.tally import instant
from connector.settings.model import Settings
from connector.siem.client import Siem
from connector.siem.many import Written, change_many

Json = dict[str, Any]
DOCUMENT = "hosts"  # the id of what says how far profiles are, and its kind
KEEP = 24 * 3_600_000  # milliseconds after which a window's numbers cannot be done again
AT_ONCE = 200_000  # values held until they are written
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
        place = again.end if again else None
        window = again or _next(siem, settings, until, order)
        if window is None:
            break
        hosts, new = _do(desk, window, again=again is not None)
        mark = _watermark(siem, settings)
        built.windows, built.hosts, built.new = built.windows + 1, built.hosts + hosts, built.new + new
        built.watermark = EPOCH + timedelta(milliseconds=mark)
        built.left_ms = max(0, until - (window.end if again else mark))
        progress(built)
    siem.call("POST", f"/{index}/_refresh")
    return built


def _again(siem: Siem, settings: Settings, step: int, place: int) -> Window | None:
    """Return the next window after a moment that was done before and is to be done again, None if there is none."""
    mark = _watermark(siem, settings)
    first = _oldest(siem, settings, place, mark) if place < mark else None
    if first is None:
        return None
    start = max(place, _aligned(first - 1, step))
    return Window(start, min(mark, start - start % step + step))


def _next(siem: Siem, settings: Settings, until: int, order: Order) -> Window | None:
    """Return the next window that is new, or in hand, None if there is none; it is noted as in hand."""
    state = siem.get(settings.state("state"), DOCUMENT)
    if state and state.source["value"]["open"]:
        return Window(*state.source["value"]["open"])
    begin = order.since or order.begin
    mark = int(state.source["watermark"]) if state else None
    after = mark if mark is not None or begin is None else _milliseconds(begin)
    first = _oldest(siem, settings, after, until)
    if first is None:
        if mark is not None and until > mark:
            _move(siem, settings, until, None)
        return None
    slot = _aligned(first - 1, order.step)
    start = slot if mark is None else max(mark, slot)
    window = Window(start, min(until, start - start % order.step + order.step))
    _move(siem, settings, start, window)
    return window


def _aligned(moment: int, step: int) -> int:
    """Return the moment at or before another at which a window may begin."""
    return moment - moment % min(step, SLOT)


def _oldest(siem: Siem, settings: Settings, after: int | None, until: int) -> int | None:
    """Return when the first event came after a watermark and until a moment, None if none did."""
    query = Window(after or 0, until).filter  # no time before 1970: Elasticsearch 7 cannot read one
    body = {"size": 0, "query": query, "aggs": {"oldest": {"min": {"field": INGESTED}}}}
    value = siem.search(settings.events, body).get("aggregations", {}).get("oldest", {}).get("value")
    return None if value is None else int(value)


def _watermark(siem: Siem, settings: Settings) -> int:
    """Return up to where profiles have come, 0 if they have not begun."""
    state = siem.get(settings.state("state"), DOCUMENT)
    return int(state.source["watermark"]) if state else 0


def _move(siem: Siem, settings: Settings, mark: int, window: Window | None) -> None:
    """Write how far profiles are and which window is in hand; a watermark never goes back."""

    def edit(source: Json | None) -> Json:
        """Return the document with that."""
        before = int(source["watermark"]) if source else mark
        opened = [window.start, window.end] if window else None
        updated = instant(datetime.now(UTC))
        return {"kind": DOCUMENT, "watermark": max(before, mark), "updated": updated, "value": {"open": opened}}

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
            facts = self.lists.setdefault(found.ip, Facts())
            if found.seen:
                facts.saw(found.times)
            if found.value:
                facts.note(found.path, found.value, found.times)
                self.values += 1
                own, most = facts.lists[found.path], BY_PATH[found.path].most
                if len(own) > 20 * most:  # beyond that not even what was let go is told apart
                    limited(own, 15 * most)
        else:
            facts = self.numbers.setdefault(found.ip, Facts())
            facts.numbers[found.path] = facts.numbers.get(found.path, 0) + found.number


@dataclass(frozen=True)
class _Desk:
    """Where one build does its work."""

    siem: Siem
    settings: Settings
    mapped: Mapped
    inside: Inside


def _do(desk: _Desk, window: Window, *, again: bool) -> tuple[int, int]:
    """Do one window, move the watermark behind it unless it was done before; return hosts, and those that are new."""
    siem, settings = desk.siem, desk.settings
    held, written, hosts = _Held(), Written(), set[str]()
    for found in gather(siem, desk.mapped, window, desk.inside):
        held.take(found)
        if held.values >= AT_ONCE:
            hosts |= held.lists.keys()
            written += _write(siem, settings, held.lists, None)
            held.lists, held.values = {}, 0
    done = max(_watermark(siem, settings), window.end)
    both = {ip: held.lists.get(ip, Facts()) for ip in {*held.lists, *held.numbers}}
    for ip, facts in held.numbers.items():
        both[ip].numbers = facts.numbers
    written += _write(siem, settings, both, Turn(window.start, window.end, done, done - KEEP))
    if not again:
        _move(siem, settings, window.end, None)
    return len(hosts | both.keys()), written.new


def _write(siem: Siem, settings: Settings, found: dict[str, Facts], turn: Turn | None) -> Written:
    """Return what was written of the hosts, whose facts are added; with a turn the numbers are the window's."""
    now = instant(datetime.now(UTC))

    def change(ip: str, source: Json | None) -> Json | None:
        """Return the document with the facts, None if they change nothing."""
        kept = merged(source and source["kept"], found[ip])
        parts = {"settled": source["settled"], "windows": source["windows"]} if source else _nothing()
        if turn:
            own = {"numbers": found[ip].numbers} if found[ip].numbers else None
            replaced = with_part(parts, turn, own, summed) if own or source else None
            parts = parts if replaced is None else replaced
        host = shaped(kept, summed(every_part(parts))["numbers"])
        if source and (kept, parts) == (source["kept"], {"settled": source["settled"], "windows": source["windows"]}):
            return None
        changes = changed(source, host)
        return {"ip": ip, "host_id": host, "changes": changes, "kept": kept, **parts, "updated": now}

    return change_many(siem, settings.state("hosts"), sorted(found), change)


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
