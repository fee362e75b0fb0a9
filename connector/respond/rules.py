"""Tag rules: who gave which hunt which tag, when, why, and with what condition; one document each.

The id is made of the hunt's name, a digest of what the rule asks, and the tag. So a hunt that was edited, or is given
the other tag, has another rule, which replaces the one before. A rule that was replaced or removed stays as a record.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal, cast

from connector.hunts.condition import Condition
from connector.hunts.hunt import Hunt
from connector.hunts.needs import every_event
from connector.respond.written import written
from connector.settings.model import Settings
from connector.siem.client import Siem

Tag = Literal["relevant", "informational"]
Status = Literal["active", "replaced", "removed"]
Json = dict[str, Any]
DIGEST = 10
MOST_RULES = 10_000


@dataclass(frozen=True)
class HuntName:
    """A hunt as the documents we write name it."""

    id: str
    name: str
    title: str

    @classmethod
    def of(cls, hunt: Hunt) -> HuntName:
        """Return the names of a hunt."""
        return cls(hunt.id, hunt.name, hunt.title)

    @property
    def document(self) -> Json:
        """Return the names as they are stored."""
        return {"id": self.id, "name": self.name, "title": self.title}


@dataclass(frozen=True)
class TagRule:
    """One rule: `rule` is what it asks, as values; `history` says what was done, when, by whom and to how many."""

    id: str
    hunt: HuntName
    tag: Tag
    status: Status
    by: str
    made: datetime
    comment: str
    rule: Json
    history: tuple[Json, ...] = ()

    @property
    def document(self) -> Json:
        """Return the rule as it is stored."""
        made = {"by": self.by, "made": self.made.isoformat(), "comment": self.comment}
        return {
            "hunt": self.hunt.document,
            "tag": self.tag,
            "status": self.status,
            **made,
            "rule": self.rule,
            "history": list(self.history),
        }


def rule_of(hunt: Hunt, tag: Tag, by: str, now: datetime, comment: str) -> TagRule:
    """Return the rule that gives the events of a hunt a tag; the same hunt and tag have the same id."""
    asked = asked_by(hunt)
    digest = sha256(json.dumps([hunt.id, asked], sort_keys=True).encode()).hexdigest()[:DIGEST]
    return TagRule(f"{hunt.name}.{digest}.{tag}", HuntName.of(hunt), tag, "active", by, now, comment, asked)


def asked_by(hunt: Hunt) -> Json:
    """Return what a hunt asks, as values that do not change when the hunt does."""
    asked: Json = {"match": written(hunt.condition)}
    if not every_event(hunt.needs):
        asked["group_by"] = list(hunt.group_by)
        asked["needs"] = {"kind": type(hunt.needs).__name__, **{k: _plain(v) for k, v in vars(hunt.needs).items()}}
    return asked


def _plain(value: object) -> object:
    """Return what a hunt needs as JSON has it: times in seconds, conditions as they are written."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, tuple):
        return list(value)
    return value if value is None or isinstance(value, str | int | float) else written(cast(Condition, value))


def stored_rules(siem: Siem, settings: Settings, hunt_id: str | None = None) -> tuple[TagRule, ...]:
    """Return the rules of a hunt, or all, those that are not active any more among them; the oldest first."""
    index = settings.state("tag-rules")
    siem.call("POST", f"/{index}/_refresh")
    query: Json = {"term": {"hunt.id": hunt_id}} if hunt_id else {"match_all": {}}
    answer = siem.search(index, {"size": MOST_RULES, "query": query, "sort": [{"made": "asc"}]})
    return tuple(_read(hit["_id"], hit["_source"]) for hit in answer["hits"]["hits"])


def rules_called(siem: Siem, settings: Settings, name: str) -> list[TagRule]:
    """Return the rules of the hunt of that name, title or id, be the hunt in the catalogue or not."""
    called = {rule.hunt.id for rule in stored_rules(siem, settings) if name in asdict(rule.hunt).values()}
    return [rule for id in called for rule in stored_rules(siem, settings, id)]


def store(siem: Siem, settings: Settings, rule: TagRule) -> None:
    """Write a rule as active; one that is there keeps its history and, while it is active, its maker and comment."""

    def edit(now: Json | None) -> Json:
        """Return the rule as it is to be stored in place of the one that is there."""
        if now is None:
            return rule.document
        kept = {"history": now["history"]} | (
            {"by": now["by"], "made": now["made"]} if now["status"] == "active" else {}
        )
        return rule.document | kept | ({} if rule.comment else {"comment": now["comment"]})

    siem.change(settings.state("tag-rules"), rule.id, edit)


def note(siem: Siem, settings: Settings, rule: TagRule, status: Status, done: Json) -> None:
    """Set a rule's status and add what was done to its history."""

    def edit(now: Json | None) -> Json:
        """Return the stored rule with one more entry in its history."""
        document = now or rule.document
        return document | {"status": status, "history": [*document["history"], done]}

    siem.change(settings.state("tag-rules"), rule.id, edit)


def _read(id: str, source: Json) -> TagRule:
    """Return the rule of a stored document."""
    fields = {key: source[key] for key in ("tag", "status", "by", "comment", "rule")}
    made = datetime.fromisoformat(source["made"])
    return TagRule(id=id, hunt=HuntName(**source["hunt"]), made=made, history=tuple(source["history"]), **fields)
