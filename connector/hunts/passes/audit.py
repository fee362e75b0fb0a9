"""The audit: finds windows that have more events now than when hunts were asked about them, and has them done again.

The SIEM may show an event later than the lag of passes covers: a long refresh, a bulk that waits, a wrong clock.
Promises: one round trip over the whole time; an event that came late is in the findings after the next pass; done
again or cut off at any moment it changes nothing. Will not: ask a hunt, or look further back than windows can be done
again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from connector.errors import Refused
from connector.hunts.asking.asking import Window
from connector.hunts.asking.mapped import INGESTED
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import every_event
from connector.hunts.passes.intervals import SLOT, Stretch, whole_slots
from connector.hunts.passes.ledger import Ledger
from connector.hunts.passes.parts import Turn
from connector.hunts.passes.watermark import CENSUS, State, read_state, write_state
from connector.settings.model import Settings
from connector.siem.client import Siem
from connector.siem.wire import siem_error

MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Grown:
    """A slot of time, (start, end] in epoch milliseconds: its events hunts were asked about, and those there are."""

    start: int
    end: int
    counted: int
    present: int


@dataclass(frozen=True)
class Audit:
    """How many slots were looked at, and which have more events than hunts were asked about: they are done again."""

    slots: int = 0
    grown: tuple[Grown, ...] = ()

    @property
    def late(self) -> int:
        """Return how many events came late."""
        return sum(slot.present - slot.counted for slot in self.grown)


def audit(siem: Siem, settings: Settings, hunts: Sequence[Hunt], back: timedelta, now: datetime) -> Audit:
    """Return what a recount of the slots back to so long ago shows; what has grown is missing from then on.

    Conflict if a pass is at work meanwhile: nothing is changed then. SiemError if the engine cannot count.
    """
    index = settings.state("state")
    found = read_state(siem, index)
    if found is None:
        return Audit()
    state, stored = found
    start = max(state.since, _slot(state.watermark - back // MILLISECOND))
    ledger = Ledger(siem, settings.state("runs"))
    counted = ledger.counted(_slot(start), state.watermark)
    present = _present(siem, settings, Window(start, state.watermark))
    open_slots = {slot for first, end in state.of(CENSUS) for slot in range(_slot(first), end, SLOT)}
    grown = []
    for slot in sorted((counted.keys() | present.keys()) - open_slots):
        one = Grown(max(slot, start), min(slot + SLOT, state.watermark), counted.get(slot, 0), present.get(slot, 0))
        if one.present > one.counted:
            grown.append(one)
        elif one.present < one.counted:
            ledger.count(Turn(one.start, one.end, state.watermark, 0), one.present)
    if grown:
        then = _again(state, hunts, [(one.start, one.end) for one in grown])
        write_state(siem, index, then, stored, now)
    return Audit(len(range(_slot(start), state.watermark, SLOT)), tuple(grown))


def replay(siem: Siem, settings: Settings, hunts: Sequence[Hunt], stretch: Stretch, now: datetime) -> Stretch:
    """Have hunts look at a time again, or for the first time; return the whole slots that passes do it in.

    Refused if there was no pass yet, or if the time is not over for passes; Conflict if a pass is at work.
    """
    index = settings.state("state")
    found = read_state(siem, index)
    if found is None:
        raise Refused("no pass was made yet: `hunts pass` begins at the oldest event")
    state, stored = found
    whole = whole_slots(stretch, state.watermark)
    if whole[0] >= whole[1]:
        raise Refused("passes have not come so far yet: there is nothing to do again")
    then = _again(replace(state, since=min(state.since, whole[0])), hunts, [whole])
    write_state(siem, index, then, stored, now)
    return whole


def _again(state: State, hunts: Sequence[Hunt], stretches: Iterable[Stretch]) -> State:
    """Return the state when hunts have stretches to look at again.

    One that needs more than an event looks at all that follows as well: what came late may be what others lacked.
    """
    for start, end in stretches:
        single = [hunt.id for hunt in hunts if every_event(hunt.needs)]
        several = [hunt.id for hunt in hunts if not every_event(hunt.needs)]
        state = state.with_again([CENSUS, *single], (start, end)).with_again(several, (start, state.watermark))
    return state


def _present(siem: Siem, settings: Settings, window: Window) -> dict[int, int]:
    """Return how many events each slot of a window has now, by its start; nothing for slots without any."""
    slots = {"field": INGESTED, "fixed_interval": f"{SLOT}ms", "offset": "1ms", "min_doc_count": 1}
    body = {"size": 0, "query": window.filter, "aggs": {"slots": {"date_histogram": slots}}}
    found: dict[int, int] = {}
    for answer in siem.msearch([(source.pattern, body) for source in settings.sources]):
        if "error" in answer:
            raise siem_error(int(answer.get("status", 400)), "counting events again", answer)
        for bucket in answer.get("aggregations", {}).get("slots", {}).get("buckets", ()):
            slot = int(bucket["key"]) - 1
            found[slot] = found.get(slot, 0) + int(bucket["doc_count"])
    return found


def _slot(moment: int) -> int:
    """Return where the slot of a moment begins, as a start that is not included."""
    return moment - moment % SLOT
