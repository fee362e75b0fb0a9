"""Made-up assets and a picture of a cluster's state, for the tests of installing and of tasks."""

from typing import Any

from connector.errors import NotThere
from connector.siem.assets import Assets
from connector.siem.client import Siem

SCREEN = {"type": "keyword", "doc_values": False, "fields": {"keyword": {"type": "keyword", "ignore_above": 8191}}}
MARK = (
    "ctx.n = ctx.n == null ? 1 : ctx.n + 1; ctx.hunt = ['enriched': params.e, 'ingested': System.currentTimeMillis()];"
)


def made_up(prefix: str, enriched: str = "v1") -> Assets:
    """Return small assets of every kind: two pipelines, a few event fields, two own indices."""
    mark = {"script": {"lang": "painless", "source": MARK, "params": {"e": enriched}}}
    return Assets(
        pipelines={
            f"{prefix}part": {"description": f"part {enriched}", "processors": [mark]},
            f"{prefix}enrich": {"description": "all", "processors": [{"pipeline": {"name": f"{prefix}part"}}]},
        },
        final_pipeline=f"{prefix}enrich",
        event_properties={
            "hostname_info": {"properties": {"host": SCREEN, "domain": SCREEN}},
            "alert": {"properties": {"tag": SCREEN}},
            "hunt": {
                "properties": {
                    "ingested": {"type": "date", "format": "epoch_millis||strict_date_optional_time"},
                    "enriched": {"type": "keyword", "ignore_above": 8191},
                    "unreadable": {"type": "object", "enabled": False},
                    "labels": {"type": "short", "ignore_malformed": True, "doc_values": False},
                }
            },
        },
        patterns=(f"{prefix}logs-*",),
        state={
            f"{prefix}state": {
                "kind": {"type": "keyword"},
                "task": {"type": "keyword"},
                "value": {"type": "object", "enabled": False},
            },
            f"{prefix}findings": {"count": {"type": "long"}, "group": {"type": "object", "dynamic": True}},
        },
        prefix=prefix,
        enriched=enriched,
    )


def picture(siem: Siem, prefix: str) -> dict[str, Any]:
    """Return everything installing may touch under a prefix: templates, pipelines, the settings of indices."""
    kept: dict[str, Any] = {}
    for path in ("_ingest/pipeline", "_template", "_index_template", "_component_template"):
        try:
            found = siem.call("GET", f"/{path}/{prefix}*")
        except NotThere:
            found = {}
        kept[path] = {key: by_name(value) for key, value in found.items()}
    indices = siem.call("GET", f"/{prefix}*/_settings", expand_wildcards="all", allow_no_indices=True)
    return kept | {"settings": indices}


def by_name(value: Any) -> Any:
    """Return a list of named templates in order of name, anything else as it is."""
    return sorted(value, key=lambda item: item["name"]) if isinstance(value, list) else value


def records(siem: Siem, prefix: str) -> list[str]:
    """Return what the engine's records of ended tasks say of indices under a prefix."""
    hits = siem.scan(".tasks", {"query": {"match_all": {}}})
    found = [str(hit["_source"]["task"].get("description")) for hit in hits]
    return [description for description in found if prefix in description]
