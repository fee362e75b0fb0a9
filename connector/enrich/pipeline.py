"""The ingest pipeline: the script of the content folder with its tables, and the mapping of the fields it writes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connector.content import content_folder
from connector.enrich.sides import IN_FLOW_ORDER
from connector.enrich.resolvers import RESOLVER_KINDS
from connector.enrich.tables import Tables

# the public limits of newer Elasticsearch: a script of 64 KB, a cluster-state document of 1 MiB
MAX_SOURCE = 30_000
MAX_PIPELINE = 900_000
NEEDLESS_BLANK = re.compile(r" *([-+*/%=<>!&|?:;,(){}\[\]]) *")


def script_source(folder: Path | None = None) -> str:
    """Return the ingest script without comments and without the blanks that only people need."""
    folder = folder or content_folder("ingest-pipelines")
    lines = (line.strip() for line in (folder / "enrich.painless").read_text(encoding="utf-8").splitlines())
    code = "\n".join(line for line in lines if line and not line.startswith("//"))
    parts = re.split(r'("[^"\n]*")', code)
    return "".join(part if part.startswith('"') else NEEDLESS_BLANK.sub(r"\1", part) for part in parts)


def enrich_pipeline(tables: Tables) -> dict[str, Any]:
    """Return the body of the final pipeline.

    A failure of the script leaves the event as it was, plus `hunt.error` and the time it came, so that passes see it.
    """
    params = {
        **tables.params,
        "in_flow_order": sorted(IN_FLOW_ORDER),
        "resolver_kinds": sorted(RESOLVER_KINDS),
    }
    script = {"lang": "painless", "source": script_source(), "params": params}
    return {
        "description": f"guided-hunts: names, networks, resolver policy ({tables.enriched})",
        "processors": [{"script": {**script, "tag": "enrich", "on_failure": [_keep_failed(tables)]}}],
    }


def _keep_failed(tables: Tables) -> dict[str, Any]:
    """Return the processor that marks an event the script could not read."""
    source = (
        "Object old = ctx.get('hunt'); Map hunt = old instanceof Map ? (Map) old : new HashMap();"
        "if (hunt.get('ingested') == null) { hunt.put('ingested', System.currentTimeMillis()); }"
        "hunt.put('enriched', params.enriched); hunt.put('error', ['the enrichment script failed']); ctx.put('hunt', hunt);"
    )
    return {"script": {"lang": "painless", "source": source, "params": {"enriched": tables.enriched}}}


def pipeline_size(pipeline: Mapping[str, Any]) -> int:
    """Return the size of a pipeline body as JSON, in bytes."""
    return len(json.dumps(pipeline, ensure_ascii=False, separators=(",", ":")).encode())
