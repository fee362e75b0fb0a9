"""How a receiver stands: how many messages it had in the last minute, and until when it is left alone after failures.

One document a receiver, in the state index, changed by compare-and-set: all programs share it. Promises: no more
messages a minute than the receiver may have; after a failure nobody sends it anything else before the pause is over.
Will not: know a delivery.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from connector.hunts.asking.tally import instant
from connector.respond.deliveries.decision import Again, Step, pause_after
from connector.settings.model import Receiver, Settings
from connector.siem.client import Siem

Json = dict[str, Any]
KIND = "receiver"
MINUTE = timedelta(minutes=1)
LONGEST_REST = timedelta(minutes=15)  # one that is up again is found out about that soon


@dataclass(frozen=True)
class Standing:
    """When messages were sent in the last minute, how often in a row that failed, and until when it rests."""

    sent: tuple[str, ...] = ()
    failures: int = 0
    until: str | None = None

    def room(self, receiver: Receiver, now: datetime) -> int:
        """Return how many messages the receiver may have now; none while it rests."""
        return 0 if self._rests(now) else max(receiver.messages_per_minute - len(self._recent(now)), 0)

    def free_at(self, receiver: Receiver, now: datetime) -> datetime:
        """Return when it may have the next message, now if it may at once."""
        recent = self._recent(now)
        full = len(recent) >= receiver.messages_per_minute
        room = datetime.fromisoformat(recent[-receiver.messages_per_minute]) + MINUTE if full else now
        return max(room, datetime.fromisoformat(self.until)) if self.until and self._rests(now) else room

    def with_message(self, now: datetime) -> Standing:
        """Return how it stands with one message more."""
        return Standing((*self._recent(now), str(instant(now))), self.failures, self.until)

    def after(self, step: Step, now: datetime, chance: float) -> Standing:
        """Return how it stands after an attempt: it rests longer with each failure in a row, or as long as it says."""
        if not isinstance(step, Again):
            return Standing(self.sent)
        pause = max(min(pause_after(self.failures + 1, chance), LONGEST_REST), step.asked)
        return Standing(self.sent, self.failures + 1, instant(now + pause))

    def _rests(self, now: datetime) -> bool:
        """Tell whether it is to be left alone."""
        return self.until is not None and self.until > str(instant(now))

    def _recent(self, now: datetime) -> tuple[str, ...]:
        """Return when messages were sent in the last minute; a clock that was set back forgets those to come."""
        start, end = str(instant(now - MINUTE)), str(instant(now))
        return tuple(at for at in self.sent if start < at <= end)


def standing(siem: Siem, settings: Settings, receiver: Receiver) -> Standing:
    """Return how a receiver stands."""
    stored = siem.get(settings.state("state"), _id(receiver))
    return _read(stored.source) if stored else Standing()


def spend(siem: Siem, settings: Settings, receiver: Receiver, now: datetime) -> bool:
    """Return whether the receiver may have a message now; if so it is counted."""
    spent = False

    def edit(current: Json | None) -> Json:
        """Return the document with a message more, if there is room."""
        nonlocal spent
        before = _read(current) if current else Standing()
        spent = before.room(receiver, now) > 0
        return _document(before.with_message(now) if spent else before, now)

    siem.change(settings.state("state"), _id(receiver), edit)
    return spent


def give_back(siem: Siem, settings: Settings, receiver: Receiver, now: datetime) -> None:
    """Count a message less: it was not sent, as somebody else had it first."""

    def edit(current: Json | None) -> Json:
        """Return the document without the newest message."""
        before = _read(current) if current else Standing()
        return _document(replace(before, sent=before.sent[:-1]), now)

    siem.change(settings.state("state"), _id(receiver), edit)


def note(siem: Siem, settings: Settings, receiver: Receiver, step: Step, *, now: datetime, chance: float) -> None:
    """Note what came of an attempt."""

    def edit(current: Json | None) -> Json:
        """Return the document after the attempt; the same one if nothing is to be said."""
        before = _read(current) if current else Standing()
        after = before.after(step, now, chance)
        return current if current and after == before else _document(after, now)

    siem.change(settings.state("state"), _id(receiver), edit)


def wake(siem: Siem, settings: Settings, receiver: Receiver, now: datetime) -> None:
    """Let a receiver that rests be sent to at once."""

    def edit(current: Json | None) -> Json:
        """Return the document without a rest."""
        before = _read(current) if current else Standing()
        return _document(Standing(before.sent), now)

    siem.change(settings.state("state"), _id(receiver), edit)


def _id(receiver: Receiver) -> str:
    """Return the id of a receiver's document."""
    return f"{KIND}-{receiver.name}"


def _read(source: Json) -> Standing:
    """Return the standing of a stored document."""
    value = source["value"]
    return Standing(tuple(value["sent"]), value["failures"], value["until"])


def _document(found: Standing, now: datetime) -> Json:
    """Return a standing as it is stored."""
    return {"kind": KIND, "updated": instant(now), "value": {**asdict(found), "sent": list(found.sent)}}
