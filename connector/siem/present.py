"""What is in the SIEM that installing has to know: pipelines, templates, event indices, our own indices.

Promises: reads only; of mappings only the parts where our fields lie. Will not: judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from connector.errors import NotThere
from connector.siem.assets import Assets
from connector.siem.client import Siem
from connector.siem.mappings import branches

Json = dict[str, Any]
SETTINGS = ("final_pipeline", "blocks", "verified_before_close", "uuid")
BLOCKS = ("read_only", "read_only_allow_delete", "metadata", "write")


@dataclass(frozen=True)
class Index:
    """An index: whether it can be written, its final pipeline, and its mapping as far as it was asked for."""

    name: str
    closed: bool
    block: str | None
    final_pipeline: str | None
    mapping: Json

    @property
    def out(self) -> str | None:
        """Return why the index cannot be changed, or None."""
        return "closed" if self.closed else f"read-only (index.blocks.{self.block})" if self.block else None

    @property
    def properties(self) -> Json:
        """Return the properties of the mapping."""
        properties: Json = self.mapping.get("properties", {})
        return properties


@dataclass(frozen=True)
class Present:
    """Everything by name; the templates as the engine returns them."""

    pipelines: Mapping[str, Json]
    composable: Mapping[str, Json]
    components: Mapping[str, Json]
    legacy: Mapping[str, Json]
    events: Mapping[str, Index]
    state: Mapping[str, Index]


def read_present(siem: Siem, assets: Assets) -> Present:
    """Return what is there now."""
    return Present(
        pipelines=_named(siem, "/_ingest/pipeline"),
        composable={t["name"]: t["index_template"] for t in _listed(siem, "index_template")},
        components={t["name"]: t["component_template"] for t in _listed(siem, "component_template")},
        legacy=_named(siem, "/_template"),
        events=read_indices(siem, assets.patterns, ",".join(branches(assets.event_properties))),
        state=read_indices(siem, tuple(assets.state), "*.mappings"),
    )


def _named(siem: Siem, path: str) -> Json:
    """Return what a path lists by name; engines say 404 where there is nothing."""
    try:
        answer: Json = siem.call("GET", path)
    except NotThere:
        return {}
    return answer


def _listed(siem: Siem, kind: str) -> list[Json]:
    """Return the composable or component templates."""
    answer: list[Json] = siem.call("GET", f"/_{kind}")[f"{kind}s"]
    return answer


def read_indices(siem: Siem, patterns: Sequence[str], mapping: str) -> dict[str, Index]:
    """Return the indices that the patterns match, open or closed, by name; `mapping` is a `filter_path`."""
    path = "/" + quote(",".join(patterns), safe=",*-")
    options: dict[str, Any] = {"expand_wildcards": "all", "ignore_unavailable": True, "allow_no_indices": True}
    filters = ",".join(f"*.settings.index.{name}" for name in SETTINGS)
    settings: Json = siem.call("GET", f"{path}/_settings", filter_path=filters, **options)
    mappings: Json = siem.call("GET", f"{path}/_mapping", filter_path=mapping, **options)
    return {
        name: _index(name, found["settings"]["index"], mappings.get(name, {}).get("mappings", {}))
        for name, found in sorted(settings.items())
    }


def _index(name: str, settings: Json, mapping: Json) -> Index:
    """Return an index from its settings and mapping."""
    blocks = settings.get("blocks", {})
    block = next((block for block in BLOCKS if blocks.get(block) == "true"), None)
    closed = settings.get("verified_before_close") == "true"
    return Index(name, closed, block, settings.get("final_pipeline"), mapping)
