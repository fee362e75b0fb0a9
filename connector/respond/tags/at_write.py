"""The ingest pipeline of the tag rules: events are tagged while they are written, before anybody can read them.

`<prefix>tags` is called at the end of the final pipeline. It has one constant script, so an engine compiles it once
however many rules there are; the rules are its params, grouped by event type, so an event is asked only what can match.

Promises: what the script cannot do keeps no event out of the SIEM (`hunt.error` says it); the same rules make the same
pipeline; a rule that cannot stand in it is named, with the reason. Will not: send anything.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from connector.enrich.assets import empty_tags_pipeline
from connector.enrich.pipeline import MAX_PIPELINE
from connector.errors import Refused
from connector.hunts.conditions.painless import compile_painless, event_types
from connector.respond.tags.extent import Extent, milliseconds
from connector.respond.tags.retag import functions
from connector.respond.tags.rules import TagRule
from connector.settings.model import Dialect

SEVERAL_EVENTS = "it needs more than one event"
TOO_MANY = "the pipeline is full"

Json = dict[str, Any]


@dataclass(frozen=True)
class AtWrite:
    """The pipeline's body, the rules in it, and those that cannot be, with the reason."""

    body: Json
    rules: frozenset[str]
    unable: Mapping[str, str]

    @property
    def description(self) -> str:
        """Return what tells this pipeline from that of other rules."""
        return str(self.body["description"])


def tags_pipeline(rules: Iterable[TagRule], dialects: Collection[Dialect], now: datetime) -> AtWrite:
    """Return the pipeline for those of the rules that are for future events and have not come to their date."""
    wanted = [rule for rule in rules if rule.active and rule.tags and rule.extent.future and not rule.extent.ended(now)]
    unable: dict[str, str] = {}
    made: dict[str, dict[Dialect, Json]] = {}
    types: dict[str, tuple[str, ...] | None] = {}
    left = MAX_PIPELINE - len(script_source())
    for rule in sorted(wanted, key=lambda each: (each.made, each.id)):
        if reason := refusal_of(rule):
            unable[rule.id] = reason
            continue
        entries: dict[Dialect, Json] = {dialect: _entry(rule, dialect) for dialect in sorted(set(dialects))}
        types[rule.id] = event_types(rule.condition)
        size = sum(len(json.dumps(each)) for each in entries.values())
        if size > left:
            unable[rule.id] = TOO_MANY
            continue
        left -= size
        made[rule.id] = entries
    forms = {dialect: _form([(each[dialect], types[id]) for id, each in made.items()]) for dialect in sorted(dialects)}
    return AtWrite(_body({"dialects": forms}) if made else empty_tags_pipeline(), frozenset(made), unable)


def refusal_of(rule: TagRule) -> str:
    """Return why a rule cannot be answered while an event is written; empty if it can."""
    if not rule.one_event:
        return SEVERAL_EVENTS
    try:
        compile_painless(rule.condition, "eve")
    except Refused as error:
        return str(error)
    return ""


def script_source() -> str:
    """Return the script without comments."""
    return "\n".join(functions(f"{name}.painless") for name in ("match", "tags", "tag-rules"))


def _entry(rule: TagRule, dialect: Dialect) -> Json:
    """Return a rule as the script takes it."""
    return {"id": rule.id, "node": compile_painless(rule.condition, dialect), **_times(rule.extent)}


def _times(extent: Extent) -> Json:
    """Return from and until when an event must come, in milliseconds."""
    times = {"from": extent.start, "until": extent.expires}
    return {name: milliseconds(moment) for name, moment in times.items() if moment}


def _form(entries: Sequence[tuple[Json, tuple[str, ...] | None]]) -> Json:
    """Return the rules of a dialect, and which of them events of each type are asked."""
    named = sorted({kind for _, kinds in entries for kind in kinds or ()})
    return {
        "rules": [entry for entry, _ in entries],
        "types": {kind: _asking(entries, kind) for kind in named},
        "others": _asking(entries, None),
        "all": list(range(len(entries))),
    }


def _asking(entries: Sequence[tuple[Json, tuple[str, ...] | None]], kind: str | None) -> list[int]:
    """Return the positions of the rules that can match events of a type (None: of one that no rule names)."""
    return [position for position, (_, kinds) in enumerate(entries) if kinds is None or kind in kinds]


def _body(params: Json) -> Json:
    """Return the pipeline with its rules; its description changes with them."""
    script = {"lang": "painless", "source": script_source(), "params": params}
    digest = sha256(json.dumps(script, sort_keys=True).encode()).hexdigest()[:16]
    failed = {"append": {"field": "hunt.error", "value": "not tagged: {{ _ingest.on_failure_message }}"}}
    return {
        "description": f"guided-hunts: tag rules {digest}",
        "processors": [{"script": script}],
        "on_failure": [failed],
    }
