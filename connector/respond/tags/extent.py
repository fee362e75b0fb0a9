"""Which events a rule is for, of those that match its condition: past ones, future ones, and until when.

Past events are chosen by their own time, future ones by when the SIEM first wrote them (`hunt.ingested`): an event that
is written again later, as by another rule, does not become a new one.

Promises: a query and `at_write.py` choose the same. Will not: look at a condition.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.hunts.asking.mapped import INGESTED
from connector.settings.model import Source

Json = dict[str, Any]


@dataclass(frozen=True)
class Extent:
    """Past events since a time (None: all), future events that come from `start` on (None: all), until `expires`."""

    past: bool = True
    since: datetime | None = None
    future: bool = False
    start: datetime | None = None
    expires: datetime | None = None

    @classmethod
    def wanted(
        cls, now: datetime, past: bool, since: datetime | None, future: bool, expires: datetime | None = None
    ) -> Extent:
        """Return the extent of a new rule: where all past events are meant, no event is too old to be a future one."""
        return cls(past, since, future, None if past and since is None else now if future else None, expires)

    @classmethod
    def read(cls, stored: Json) -> Extent:
        """Return what is stored; a rule without it is of the time when rules were for past events only."""
        times = {key: _moment(stored.get(key)) for key in ("since", "start", "expires")}
        return cls(past=stored.get("past", True), future=stored.get("future", False), **times)

    @property
    def document(self) -> Json:
        """Return the extent as it is stored."""
        times = {key: value.isoformat() for key in ("since", "start", "expires") if (value := getattr(self, key))}
        return {"past": self.past, "future": self.future, **times}

    def joined(self, newer: Extent) -> Extent:
        """Return what both are for; when it ends is the newer's word."""
        sinces = [each.since for each in (self, newer) if each.past]
        since = None if None in sinces else min((moment for moment in sinces if moment), default=None)
        starts = [each.start for each in (self, newer) if each.future]
        start = None if None in starts else min((moment for moment in starts if moment), default=None)
        past, future = self.past or newer.past, self.future or newer.future
        return Extent(past, since, future, None if past and since is None else start, newer.expires)

    def ended(self, now: datetime) -> bool:
        """Return whether its date is past."""
        return self.expires is not None and self.expires <= now

    def filters(self, sources: Iterable[Source]) -> list[Json]:
        """Return the filters for its events, in sources with their own fields for the time."""
        found: list[Json] = []
        times = {source.time_field for source in sources}
        either = [_from(field, self.since) for field in sorted(times)] if self.past and self.since else []
        either += [_from(INGESTED, self.start)] if self.future and self.start else []
        if either and not (self.past and self.since is None) and not (self.future and self.start is None):
            found.append({"bool": {"should": either, "minimum_should_match": 1}})
        if self.expires:
            found.append({"bool": {"must_not": [_from(INGESTED, self.expires)]}})
        return found


PAST = Extent()  # all past events, and no other


def _from(field: str, moment: datetime) -> Json:
    """Return the filter for times of a field from a moment on."""
    return {"range": {field: {"gte": milliseconds(moment), "format": "epoch_millis"}}}


def milliseconds(moment: datetime) -> int:
    """Return a moment in milliseconds since 1970."""
    return round(moment.timestamp() * 1000)


def _moment(text: str | None) -> datetime | None:
    """Return a stored moment."""
    return datetime.fromisoformat(text) if text else None
