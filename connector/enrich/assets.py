"""What the enrichment puts into the SIEM, for these settings."""

from __future__ import annotations

from typing import Any

from connector.enrich.fields import event_properties
from connector.enrich.pipeline import enrich_pipelines, tags_name
from connector.enrich.tables import Tables
from connector.settings.model import Settings
from connector.siem.assets import Assets
from connector.siem.state import STATE_MAPPINGS


def build_assets(settings: Settings, tables: Tables) -> Assets:
    """Return everything that `hunts install` installs; nothing is sent."""
    return Assets(
        pipelines={tags_name(settings.prefix): empty_tags_pipeline(), **enrich_pipelines(tables, settings.prefix)},
        kept_as_they_are=frozenset({tags_name(settings.prefix)}),
        final_pipeline=f"{settings.prefix}enrich",
        event_properties=event_properties(),
        patterns=tuple(source.pattern for source in settings.sources),
        state={settings.state(name): properties for name, properties in STATE_MAPPINGS.items()},
        prefix=settings.prefix,
        enriched=tables.enriched,
    )


def empty_tags_pipeline() -> dict[str, Any]:
    """Return the pipeline of the tag rules while there is none."""
    return {"description": "guided-hunts: no tag rules", "processors": []}
