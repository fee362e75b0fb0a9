"""A condition that is no hunt, to be asked and tagged like one: typed by a person, or kept in a rule.

Will not: count, group, or be found in the catalogue.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from connector.documents import Document, parse_document, schema_problems
from connector.errors import ContentError, Refused
from connector.hunts.catalogue.format import hunt_schema
from connector.hunts.catalogue.hunt import Hunt, Outcome
from connector.hunts.catalogue.needs import Count
from connector.hunts.conditions.condition import Condition
from connector.hunts.conditions.lists import Lists
from connector.hunts.conditions.reading import GROUPS, Reader
from connector.respond.tags.rules import HuntName, TagRule, rule_of
from connector.respond.tags.written import written
from connector.settings.part import Part

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LONGEST_NAME = 80
Json = dict[str, Any]


@dataclass(frozen=True)
class Asking(Hunt):
    """A hunt that is nothing but its condition, of events of any type."""

    @property
    def condition(self) -> Condition:
        """Return the condition."""
        return self.match

    @classmethod
    def called(cls, name: HuntName, match: Condition) -> Asking:
        """Return a condition under a name."""
        return cls(
            id=name.id,
            name=name.name,
            family="",
            title=name.title,
            status="stable",
            severity="informational",
            kind="policy",
            tags=(),
            references=(),
            hypothesis="",
            rationale="",
            event_types=(),
            match=match,
            group_by=(),
            needs=Count(),
            show=(),
            guide=(),
            false_positives=(),
            blind_spots=(),
            cases=(),
            schedule=None,
            outcome=Outcome(),
            written={},
        )


def typed(text: str, name: str | None, lists: Lists, hunts: Sequence[Hunt]) -> Asking:
    """Return a condition that a person typed, in YAML or JSON, in the form of a hunt's `match` or as fields and values.

    Without a name it gets one from what it asks. ContentError if it is wrong, Refused if the name is one of a hunt.
    """
    condition = _read(parse_document(text, "--where"), lists)
    name = name or f"where-{sha256(json.dumps(written(condition), sort_keys=True).encode()).hexdigest()[:8]}"
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise Refused(f"{name!r} is no name for a rule: write it with a to z, digits and -, such as lab-scanners")
    if any(name in (hunt.name, hunt.id) for hunt in hunts):
        raise Refused(f"{name} is a hunt: give the condition another --name")
    return Asking.called(HuntName(f"where:{name}", name, " ".join(text.split())[:200]), condition)


def asked_of(rule: TagRule, hunts: Sequence[Hunt]) -> Hunt | None:
    """Return what a rule asks as something that can be asked: its hunt, if that asks the same still, or its condition.

    None if it needs more than one event and no hunt asks the same.
    """
    for hunt in hunts:
        if hunt.id == rule.hunt.id and rule_of(hunt, rule.tag, "", rule.made, "").id == rule.id:
            return hunt
    return Asking.called(rule.hunt, rule.condition) if rule.one_event else None


def _read(document: Document, lists: Lists) -> Condition:
    """Return the condition of a document; ContentError with all that is wrong."""
    value = document.value
    if isinstance(value, dict) and value and not GROUPS.keys() & value.keys():
        value = {"all": [{key: asked} for key, asked in value.items()]}
    document = Document(value, document.file, {})
    schema = hunt_schema()
    problems = schema_problems(document, {"$ref": "#/$defs/group", "$defs": schema["$defs"]})
    reader = Reader(lists)
    condition = reader.group(Part(document, (), value)) if not problems else None
    if condition is None or reader.problems:
        raise ContentError([*problems, *reader.problems])
    return condition
