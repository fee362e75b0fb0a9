"""`hunts tables refresh`: the tables built anew from the installed lists and the operator's files, and what differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from connector.enrich.pipeline import enrich_pipelines
from connector.enrich.tables import build_tables, table_difference
from connector.errors import NotThere, Refused
from connector.settings.model import Settings
from connector.siem.client import Siem


@dataclass(frozen=True)
class TableChange:
    """One difference: the table, the key in it (empty: the table as a whole) and what happened to it."""

    table: str
    key: str
    change: str


@dataclass(frozen=True)
class Refreshed:
    """Table versions before and after, what differs, and whether the SIEM has the new ones now."""

    before: str
    after: str
    changes: tuple[TableChange, ...]
    written: bool


def refresh_tables(siem: Siem, settings: Settings, write: bool) -> Refreshed:
    """Return how the tables in the SIEM differ from new ones, and with `write` put those in place.

    Refused if nothing is installed. Events enriched before keep the old answers until `hunts backfill`.
    """
    before = installed_params(siem, settings)
    tables = build_tables(settings)
    bodies = enrich_pipelines(tables, settings.prefix)
    after = bodies[f"{settings.prefix}enrich-script"]["processors"][0]["script"]["params"]
    changes = tuple(TableChange(*change) for change in table_difference(before, after))
    if write and changes:
        for name, body in bodies.items():
            siem.call("PUT", f"/_ingest/pipeline/{name}", body)
    return Refreshed(str(before["enriched"]), tables.enriched, changes, write and bool(changes))


def installed_params(siem: Siem, settings: Settings) -> dict[str, Any]:
    """Return the tables of the installed ingest script; Refused if it is not there."""
    name = f"{settings.prefix}enrich-script"
    try:
        body = siem.call("GET", f"/_ingest/pipeline/{name}")[name]
    except NotThere as error:
        raise Refused(f"the pipeline {name} is not in the SIEM: run `hunts install` first") from error
    params: dict[str, Any] = body["processors"][0]["script"]["params"]
    return params
