"""The ingest pipelines: the script of the content folder with its tables, and around it what keeps every event.

`<prefix>enrich` is the final pipeline. It runs `<prefix>enrich-script`, the one script; what that cannot read goes the
long way round: OpenSearch copies an event before a script sees it and cannot copy a whole number of more than 64 bits,
which SMB session ids are, so the known ones become text and the script has a second try. Last it runs `<prefix>tags`,
which holds the tag rules: installed empty, and changed by whoever makes a rule; where it is missing nothing is lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connector.content import content_folder
from connector.enrich.resolvers import RESOLVER_KINDS
from connector.enrich.sides import IN_FLOW_ORDER
from connector.enrich.tables import Tables

# newer Elasticsearch refuses a script over 64 KiB and a pipeline over 1 MiB
MAX_SOURCE = 30_000
MAX_PIPELINE = 900_000
NEEDLESS_BLANK = re.compile(r" *([-+*/%=<>!&|?:;,(){}\[\]]) *")
WIDE_NUMBERS = ("smb.session_id", "suricata.eve.smb.session_id")
WIDE_POINTS = ("dnp3.application.objects", "suricata.eve.dnp3.application.objects")


def enrich_pipelines(tables: Tables, prefix: str) -> dict[str, dict[str, Any]]:
    """Return name → body of the pipelines; `<prefix>enrich` is the one that event indices run last."""
    inner = f"{prefix}enrich-script"
    again = {"pipeline": {"name": inner, "tag": "again", "on_failure": _kept_as_it_was(tables)}}
    first = {"pipeline": {"name": inner, "tag": "enrich", "on_failure": [*_wide_numbers_as_text(), again]}}
    tags = {"pipeline": {"name": tags_name(prefix), "tag": "tags", "ignore_failure": True}}
    title = f"guided-hunts: names, networks, resolver policy ({tables.enriched})"
    return {
        inner: {"description": title, "processors": [{"script": enrich_script(tables)}]},
        f"{prefix}enrich": {"description": title, "processors": [first, tags]},
    }


def tags_name(prefix: str) -> str:
    """Return the name of the pipeline that holds the tag rules."""
    return f"{prefix}tags"


def enrich_script(tables: Tables) -> dict[str, Any]:
    """Return the script processor with its tables."""
    sets = {"in_flow_order": IN_FLOW_ORDER, "resolver_kinds": RESOLVER_KINDS}
    kinds = {name: dict.fromkeys(sorted(words), True) for name, words in sets.items()}
    return {"lang": "painless", "source": script_source(), "params": {**tables.params, **kinds}}


def script_source(folder: Path | None = None) -> str:
    """Return the ingest script without comments and without the blanks that only people need."""
    folder = folder or content_folder("ingest-pipelines")
    lines = (line.strip() for line in (folder / "enrich.painless").read_text(encoding="utf-8").splitlines())
    code = "\n".join(line for line in lines if line and not line.startswith("//"))
    parts = re.split(r'("[^"\n]*")', code)
    return "".join(part if part.startswith('"') else NEEDLESS_BLANK.sub(r"\1", part) for part in parts)


def _wide_numbers_as_text() -> list[dict[str, Any]]:
    """Return the processors that make text of the numbers known to need more than 64 bits."""
    point = {"convert": {"field": "_ingest._value.value", "type": "string", "ignore_missing": True}}
    points = {"foreach": {"field": "_ingest._value.points", "ignore_missing": True, "processor": point}}
    plain = [_forgiving("convert", field=field, type="string") for field in WIDE_NUMBERS]
    return plain + [_forgiving("foreach", field=field, processor=points) for field in WIDE_POINTS]


def _forgiving(kind: str, **options: Any) -> dict[str, Any]:
    """Return a processor that leaves the event alone where it does not fit."""
    return {kind: {**options, "ignore_missing": True, "ignore_failure": True}}


def _kept_as_it_was(tables: Tables) -> list[dict[str, Any]]:
    """Return the processors that mark an event the script cannot read; it has a time of arrival, so passes see it."""
    reason = "not enriched: {{ _ingest.on_failure_message }}"
    fields = {"hunt.error": reason, "hunt.enriched": tables.enriched}
    marks = [{"set": {"field": field, "value": value, "ignore_failure": True}} for field, value in fields.items()]
    arrival = {"field": "hunt.ingested", "value": "{{ _ingest.timestamp }}", "override": False, "ignore_failure": True}
    return [*marks, {"set": arrival}]


def pipeline_size(pipeline: Mapping[str, Any]) -> int:
    """Return the size of a pipeline body as JSON, in bytes."""
    return len(json.dumps(pipeline, ensure_ascii=False, separators=(",", ":")).encode())
