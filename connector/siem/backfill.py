"""Backfilling: enriches events that were stored before the pipeline was, or with older tables.

Promises: only events whose `hunt.enriched` is missing or old are touched, so it can be broken off and run again; each
event runs the pipeline once; the SIEM's own default pipelines do not run again. Will not: touch indices that are closed
or read-only, or whose mapping lacks our fields; they are named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from connector.errors import Refused
from connector.settings.model import Source
from connector.siem.assets import Assets
from connector.siem.client import Json, Siem
from connector.siem.foreign import NONE, calls
from connector.siem.install import pipeline_steps
from connector.siem.plan import LeftOut
from connector.siem.present import Index, Present, read_indices, read_present
from connector.siem.tasks import NO_PIPELINE, Progress, Updated, run_update

FIELD = "hunt.enriched"
MAPPED = "*.mappings.properties.hunt.properties.enriched"


@dataclass(frozen=True)
class Part:
    """The events of one index pattern that were enriched in the same way."""

    pattern: str
    indices: int
    updated: Updated


@dataclass(frozen=True)
class Backfilled:
    """What was enriched, and which indices were left out."""

    enriched: str
    parts: tuple[Part, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def left(self) -> int:
        """Return how many events still lack the enrichment."""
        return sum(part.updated.left + len(part.updated.failures) for part in self.parts)


@dataclass(frozen=True)
class Window:
    """The events to enrich, by their own time; None: no bound. `end` itself is outside."""

    since: datetime | None = None
    until: datetime | None = None


def backfill(
    siem: Siem,
    assets: Assets,
    sources: Sequence[Source],
    window: Window,
    *,
    requests_per_second: float | None,
    progress: Progress,
) -> Backfilled:
    """Return what was enriched; Refused if the pipeline in the SIEM is not the one of these assets."""
    present = read_present(siem, assets)
    if list(pipeline_steps(present, assets)) or not present.state:
        raise Refused("the pipeline in the SIEM is not the one of these settings: run `hunts install`, then backfill")
    parts: list[Part] = []
    left_out: list[LeftOut] = []
    for source in sources:
        indices = read_indices(siem, (source.pattern,), MAPPED)
        reasons = {name: _reason(index, present, assets) for name, index in indices.items()}
        left_out += [LeftOut(name, reason) for name, reason in reasons.items() if reason]
        usable = [index for name, index in indices.items() if not reasons[name]]
        for pipeline, names in _by_pipeline(usable, assets):
            body = {"query": _query(source, names, window, assets)}
            updated = run_update(
                siem,
                f"{assets.prefix}state",
                _name(source, pipeline, window),
                source.pattern,
                body,
                requests_per_second=requests_per_second,
                progress=progress,
                pipeline=pipeline,
            )
            parts.append(Part(source.pattern, len(names), updated))
    return Backfilled(assets.enriched, tuple(parts), tuple(left_out))


def _by_pipeline(usable: Sequence[Index], assets: Assets) -> Iterator[tuple[str, list[str]]]:
    """Yield the pipeline to ask for, with the indices: none where a final pipeline runs anyway, ours elsewhere."""
    runs = [index.name for index in usable if index.final_pipeline not in NONE]
    others = [index.name for index in usable if index.final_pipeline in NONE]
    if runs:
        yield NO_PIPELINE, runs
    if others:
        yield assets.final_pipeline, others


def _reason(index: Index, present: Present, assets: Assets) -> str | None:
    """Return why an index is not touched, or None."""
    if index.out:
        return index.out
    if not index.properties:
        return "its mapping lacks our fields: run `hunts install`"
    final = index.final_pipeline
    if final in NONE or final == assets.final_pipeline or calls(present.pipelines, str(final), assets.final_pipeline):
        return None
    return f"its final pipeline {final} does not call ours: `hunts plan` says how"


def _query(source: Source, names: Sequence[str], window: Window, assets: Assets) -> Json:
    """Return the query of the events that lack the present enrichment."""
    bounds = {"gte": window.since, "lt": window.until}
    times = {bound: moment.isoformat() for bound, moment in bounds.items() if moment}
    filters: list[Json] = [{"terms": {"_index": list(names)}}]
    if times:
        filters.append({"range": {source.time_field: times}})
    return {"bool": {"filter": filters, "must_not": [{"term": {FIELD: assets.enriched}}]}}


def _name(source: Source, pipeline: str, window: Window) -> str:
    """Return the name of the work: the same command run again takes up what is under way."""
    bounds = (moment.isoformat() if moment else "" for moment in (window.since, window.until))
    return "/".join(("backfill", source.pattern, pipeline, *bounds))
