"""Which declarations are asked for; pure.

Promises: names count in any case and every spelling of an address. Will not: search.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.hunts.asking.tally import instant
from connector.respond.declarations.asset import asset_key
from connector.respond.declarations.declaration import folded

Json = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What declarations must have to be asked for; what is None, or empty, does not matter."""

    statuses: tuple[str, ...] = ()
    kind: str | None = None
    phase: str | None = None
    threat: str | None = None
    family: str | None = None
    asset: str | None = None
    offender: str | None = None
    department: str | None = None
    assigned: str | None = None
    hunt: str | None = None
    since: datetime | None = None

    def fits(self, document: Json) -> bool:
        """Tell whether a declaration is asked for; names count in any case, a part of the threat's is enough."""
        hunts = {name.casefold() for hunt in document["hunts"] for name in hunt.values()}
        return all(
            (
                not self.statuses or document["status"] in self.statuses,
                all(wanted in (None, document[name]) for name, wanted in (("kind", self.kind), ("phase", self.phase))),
                folded(self.threat or "") in folded(document["threat"]),
                self.family is None or folded(self.family) == folded(document["family"]),
                self.asset is None or asset_key(self.asset) == asset_key(document["asset"]["value"]),
                self.offender is None or asset_key(self.offender) in map(asset_key, document["offender"]["value"]),
                self.department is None or self.department in document["asset"]["department"],
                self.assigned is None or self.assigned.casefold() == document["assigned"].casefold(),
                self.hunt is None or self.hunt.casefold() in hunts,
                self.since is None or (document["last"] or "") >= str(instant(self.since)),
            )
        )


ALL = Wanted()
