"""Evidence kept with a declaration, so that it is there when the events are not any more.

Promises: one document a declaration, under its id, written by compare-and-set; what was kept is never lost to what is
gathered later; a declaration whose evidence is still to be kept says so (`evidence_due`), so that a program that was
stopped is made up for by the next one. Will not: keep what a document has no room for (`merging.fitting`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from connector.errors import Conflict, NotThere, Rejected
from connector.respond.evidence.gather import gather
from connector.respond.evidence.links import links_of
from connector.respond.evidence.merging import fitting, merged
from connector.respond.evidence.model import Evidence, Subject
from connector.respond.evidence.reading import told
from connector.respond.evidence.subject import declaration_subject
from connector.settings.model import Settings
from connector.siem.client import Siem

Json = dict[str, Any]
INDEX = "evidence"
DUE = "evidence_due"
MOST_DUE = 1000
PATIENCE = timedelta(seconds=10)  # of one call; what is due then is kept by the next one


def evidence_of(siem: Siem, settings: Settings, subject: Subject, now: datetime) -> Evidence:
    """Return the evidence as the events say now, for a declaration with what was kept. Raises SiemError."""
    found = gather(siem, settings, subject, now)
    kept = kept_evidence(siem, settings, subject.id) if subject.kind == "declaration" else None
    if kept is None:
        return found
    both = merged(kept, found)
    return replace(both, links=links_of(settings.links, both))


def kept_evidence(siem: Siem, settings: Settings, declaration: str) -> Evidence | None:
    """Return the evidence that was kept with a declaration, None if there is none."""
    stored = siem.get(settings.state(INDEX), declaration)
    return Evidence.read(stored.source["kept"]) if stored else None


def keep_due(
    siem: Siem,
    settings: Settings,
    now: datetime,
    patience: timedelta = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Return of how many declarations the evidence is still to be kept, after keeping that of some for a while.

    0 without doing anything if this installation has no index for it yet. Raises SiemError.
    """
    if not siem.exists(f"/{settings.state(INDEX)}"):
        return 0
    index, until = settings.state("declarations"), clock() + patience.total_seconds()
    siem.call("POST", f"/{index}/_refresh")
    body = {"query": {"term": {DUE: True}}, "size": MOST_DUE, "sort": [{"updated": "asc"}], "_source": False}
    due = [hit["_id"] for hit in siem.search(index, body)["hits"]["hits"]]
    refused = 0
    for done, id in enumerate(due):
        if clock() >= until:
            return len(due) - done + refused
        try:
            keep(siem, settings, id, now)
        except Rejected:  # of one declaration; the others' evidence is kept
            refused += 1
    return refused


def keep(siem: Siem, settings: Settings, declaration: str, now: datetime) -> None:
    """Keep the evidence of a declaration as it is now, and note that it is done. Raises SiemError.

    Where it has changed in between, what is new in it stays due.
    """
    index = settings.state("declarations")
    stored = siem.get(index, declaration)
    if stored is None:
        return
    found = gather(siem, settings, declaration_subject(declaration, stored.source), now)
    try:
        siem.change(settings.state(INDEX), declaration, lambda current: _document(declaration, current, found, now))
    except Rejected:  # no room after all: without the events as they are stored
        bare = replace(found, events=tuple(replace(event, source={}) for event in found.events), others=None)
        siem.change(settings.state(INDEX), declaration, lambda current: _document(declaration, current, bare, now))
    try:
        siem.put(index, declaration, stored.source | {DUE: False}, stored)
    except (Conflict, NotThere):
        return


def _document(declaration: str, current: Json | None, found: Evidence, now: datetime) -> Json:
    """Return the document with what is kept; the same one if nothing in it is new."""
    before = Evidence.read(current["kept"]) if current else None
    both = fitting(merged(before, found) if before else found)
    if before and replace(both, made=before.made, notes=before.notes) == before:
        return current or {}
    kept = replace(both, frozen=told(now)).document
    return {"declaration": declaration, "kept_at": told(now), "kept": kept}
