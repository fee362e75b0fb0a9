"""The ledger: what each pass did, and how many events each slot of time had when hunts were asked about it.

Promises: doing a pass again writes its entry again; a slot's number is that of the events which hunts were asked about,
never more, so that an event the SIEM shows later is missed by `audit.py`. Will not: ask for events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connector.hunts.asking.asking import Window
from connector.hunts.asking.questions import Json
from connector.hunts.passes.intervals import SLOT
from connector.hunts.passes.parts import Turn, every_part, with_part
from connector.siem.client import Siem

PASS, SLOT_KIND = "pass", "slot"
LIMIT = 10_000


@dataclass(frozen=True)
class Ledger:
    """The index of the ledger."""

    siem: Siem
    index: str

    def enter(self, kind: str, window: Window, entry: Mapping[str, object], *, first: bool) -> None:
        """Write what a pass of a kind over a window did; `first`: it was the first to count the window's events.

        What was live when it was cut off may be catching up when it is done again, and it is still the same entry.
        """
        body = {"kind": PASS, "pass": kind, "from": window.start, "to": window.end, **entry}
        self.siem.call("PUT", f"/{self.index}/_doc/{'first' if first else kind}-{window.start}", body)

    def count(self, turn: Turn, events: int) -> None:
        """Write how many events a window has, in place of what its slot says of it."""
        slot = turn.start // SLOT * SLOT

        def edit(old: Json | None) -> Json:
            """Return the slot with the window's number."""
            own = {"events": events} if events else None
            kept = with_part(old or {}, turn, own, _sum)
            if kept is None:
                return old or self._slot(slot, {"settled": None, "windows": {}})
            return self._slot(slot, kept)

        self.siem.change(self.index, f"{SLOT_KIND}-{slot}", edit)

    def counted(self, start: int, end: int) -> dict[int, int]:
        """Return how many events each slot of a time has, by its start; nothing for slots without any."""
        self.siem.call("POST", f"/{self.index}/_refresh")
        slots = {"range": {"from": {"gte": start, "lt": end, "format": "epoch_millis"}}}
        query = {"bool": {"filter": [{"term": {"kind": SLOT_KIND}}, slots]}}
        hits = self.siem.scan(self.index, {"query": query, "_source": ["from", "events"]})
        return {int(hit["_source"]["from"]): int(hit["_source"]["events"]) for hit in hits}

    def newest(self, number: int) -> tuple[Json, ...]:
        """Return the entries of the newest passes, the newest first."""
        body = {"query": {"term": {"kind": PASS}}, "sort": [{"started": "desc"}], "size": number}
        return tuple(hit["_source"] for hit in self.siem.search(self.index, body)["hits"]["hits"])

    def forget(self, before: int) -> int:
        """Delete what is older than a moment; return how many entries."""
        query = {"range": {"to": {"lt": before, "format": "epoch_millis"}}}
        path = f"/{self.index}/_delete_by_query"
        return int(self.siem.call("POST", path, {"query": query}, conflicts="proceed")["deleted"])

    @staticmethod
    def _slot(start: int, kept: Json) -> Json:
        """Return the document of a slot."""
        return {"kind": SLOT_KIND, "from": start, "to": start + SLOT, **_sum(every_part(kept)), **kept}


def _sum(parts: Iterable[Json]) -> Json:
    """Return the number of events of all parts together."""
    return {"events": sum(part["events"] for part in parts)}
