"""Puts the tag rules into the ingest pipeline, as often as it takes until both say the same.

Promises: of two who change rules at the same time the one that writes last reads the rules after that, so none is
left out; whoever is killed before is made up for by the next who calls this, as each pass does. Will not: install
anything: where events do not come through our pipeline, rules are left to passes, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.enrich.pipeline import tags_name
from connector.errors import NotThere
from connector.respond.tags.at_write import AtWrite, tags_pipeline
from connector.respond.tags.rules import open_rules
from connector.settings.model import Settings
from connector.siem.client import Siem

NOT_INSTALLED = "events do not run this version's pipeline: `hunts install` puts it there"
NOT_YET = "the pipeline is not written yet: the next pass does that"
CALLED = "*.description,*.processors.pipeline.name"
Json = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """The rules that tag while events are written, those of which were not in the pipeline before, and the others.

    `by_pass` has those that passes do in place of it, each with the reason.
    """

    rules: frozenset[str]
    added: frozenset[str]
    by_pass: Mapping[str, str]


def publish(siem: Siem, settings: Settings, now: datetime) -> Published:
    """Return how the rules that are for future events are tagged now, with the pipeline as it has to be."""
    added: frozenset[str] = frozenset()
    while True:
        wanted = wanted_pipeline(siem, settings, now)
        found = _descriptions(siem, settings)
        if found is None:
            missing = dict.fromkeys(wanted.rules, NOT_INSTALLED)
            return Published(frozenset(), frozenset(), {**wanted.unable, **missing})
        if found == wanted.description:
            return Published(wanted.rules, added & wanted.rules, wanted.unable)
        added |= wanted.rules - _rules_in(siem, settings)
        siem.call("PUT", f"/_ingest/pipeline/{tags_name(settings.prefix)}", wanted.body)


def how_published(siem: Siem, settings: Settings, now: datetime) -> tuple[frozenset[str], Mapping[str, str]]:
    """Return the rules that the pipeline has now, and those that passes do, with the reason; nothing is written."""
    wanted = wanted_pipeline(siem, settings, now)
    runs = _descriptions(siem, settings) is not None
    there = _rules_in(siem, settings) if runs else frozenset()
    missing = dict.fromkeys(wanted.rules - there, NOT_YET if runs else NOT_INSTALLED)
    return there, {**wanted.unable, **missing}


def wanted_pipeline(siem: Siem, settings: Settings, now: datetime) -> AtWrite:
    """Return the pipeline as the rules have it now."""
    return tags_pipeline(open_rules(siem, settings), {source.dialect for source in settings.sources}, now)


def _descriptions(siem: Siem, settings: Settings) -> str | None:
    """Return what the pipeline of the rules says of itself, empty if it is missing; None if events do not run it."""
    tags, final = tags_name(settings.prefix), f"{settings.prefix}enrich"
    try:
        found: Json = siem.call("GET", f"/_ingest/pipeline/{settings.prefix}*", filter_path=CALLED)
    except NotThere:
        return None
    called = [each.get("pipeline", {}).get("name") for each in found.get(final, {}).get("processors", [])]
    if tags not in called:
        return None
    return str(found.get(tags, {}).get("description", ""))


def _rules_in(siem: Siem, settings: Settings) -> frozenset[str]:
    """Return the rules that are in the pipeline now."""
    name = tags_name(settings.prefix)
    try:
        found: Json = siem.call("GET", f"/_ingest/pipeline/{name}", filter_path="*.processors.script.params")
    except NotThere:
        return frozenset()
    scripts = [each.get("script", {}) for each in found.get(name, {}).get("processors", [])]
    forms = [form for script in scripts for form in script.get("params", {}).get("dialects", {}).values()]
    return frozenset(rule["id"] for form in forms for rule in form["rules"])
