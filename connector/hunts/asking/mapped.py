"""How the event sources are mapped, asked of the engine again only when something in the cluster has changed.

Promises: a service that keeps one `Mappings` over its passes sees a new index or field at the next pass. Will not:
trust an engine that does not tell its version: there, mappings are asked for each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from connector.enrich.dialects import stored_name
from connector.errors import NotAllowed, Refused
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import needed_fields
from connector.hunts.conditions.condition import field_names
from connector.hunts.conditions.fields import Fields
from connector.settings.model import Settings, Source
from connector.siem.client import Siem

Json = dict[str, Any]
INGESTED = "hunt.ingested"
EVENT_TYPE = "event_type"
URL_NAMES = 40  # field names one GET carries: engines take 4,096 bytes of address
Mapped = tuple[tuple[Source, Fields], ...]


class Mappings:
    """The mappings of the sources, kept as long as they are the engine's."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._known: object = None
        self._mapped: Mapped = ()
        self._hunts: Sequence[Hunt] = ()  # held, so that no other hunt gets the identity of one of them

    def of(self, siem: Siem, settings: Settings, hunts: Sequence[Hunt]) -> Mapped:
        """Return each source with how the fields that the hunts name are mapped; the same object until that changes.

        Refused if an index belongs to two sources: its events would count twice.
        """
        known = (_version(siem), settings.sources, [id(hunt) for hunt in hunts])
        if known[0] is None or known != self._known:
            self._mapped = mapped(siem, settings, hunts)
            self._known, self._hunts = known, hunts
        return self._mapped


def mapped(siem: Siem, settings: Settings, hunts: Sequence[Hunt]) -> Mapped:
    """Return each source with how the fields that the hunts name are mapped now.

    Refused if an index belongs to two sources: its events would count twice.
    """
    check_apart(siem, settings.sources)
    return tuple((source, source_fields(siem, source, hunts)) for source in settings.sources)


def check_apart(siem: Siem, sources: Sequence[Source]) -> None:
    """Raise Refused if an index belongs to two sources."""
    owners: dict[str, str] = {}
    for source in sources if len(sources) > 1 else ():
        for index in _caps(siem, source, INGESTED)["indices"]:
            if index in owners:
                both = f"{owners[index]} and {source.pattern}"
                raise Refused(f"the index {index} belongs to two sources, {both}: change a pattern in `sources`")
            owners[index] = source.pattern


def source_fields(siem: Siem, source: Source, hunts: Sequence[Hunt]) -> Fields:
    """Return how the fields that the hunts name are mapped in a source; empty if no index is there."""
    named = {n for hunt in hunts for n in (*field_names(hunt.condition), *hunt.fields, *needed_fields(hunt.needs))}
    return named_fields(siem, source, named)


def named_fields(siem: Siem, source: Source, names: Iterable[str]) -> Fields:
    """Return how fields, named as in EVE, are mapped in a source; empty if no index is there."""
    named = {*names, EVENT_TYPE, INGESTED}
    stored = sorted({stored_name(name, source.dialect) for name in named} | {source.time_field})
    found: Json = {}
    for start in range(0, len(stored), URL_NAMES):
        names = ",".join(f"{name}*" for name in stored[start : start + URL_NAMES])  # * for the sub-fields
        found |= _caps(siem, source, names)["fields"]
    return Fields.from_caps({"fields": found})


def _caps(siem: Siem, source: Source, fields: str) -> Json:
    """Return how fields are mapped in a source, and its indices."""
    path = f"/{source.pattern}/_field_caps"
    found: Json = siem.call("GET", path, fields=fields, ignore_unavailable=True, allow_no_indices=True)
    return found


def _version(siem: Siem) -> object:
    """Return what changes whenever an index or a mapping does; None if we may not know it."""
    try:
        return siem.call("GET", "/_cluster/state/version").get("state_uuid")
    except NotAllowed:
        return None
