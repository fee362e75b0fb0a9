"""Tag rules: who gave which hunt which tag, when, why, for which events and with what condition; one document each.

The id is made of the hunt's name, a digest of what the rule asks, and the tag. So a hunt that was edited, or is given
another tag, has another rule, which replaces the one before. A rule that was replaced or removed stays as a record.

`unsettled` is when a rule was changed last, until a pass has looked for events that were on their way meanwhile.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal, cast

from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import every_event
from connector.hunts.conditions.condition import All, Condition, None_
from connector.hunts.conditions.condition import Any as Any_
from connector.respond.tags.extent import PAST, Extent
from connector.respond.tags.written import read_back, written
from connector.settings.model import Settings
from connector.siem.client import Siem

Tag = Literal["relevant", "informational", "suppress"]
Status = Literal["active", "replaced", "removed"]
Json = dict[str, Any]
DIGEST = 10
MOST_RULES = 10_000
SUPPRESS: Tag = "suppress"
OUTCOME = "outcome"  # who tags where a hunt does so by itself


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
    """One rule: `rule` is what it asks, as values; `history` says what was done, when, by whom and to how many.

    `extent` says which events it is for. A rule to suppress is on no event: passes leave out what it matches.
    """

    id: str
    hunt: HuntName
    tag: Tag
    status: Status
    by: str
    made: datetime
    comment: str
    rule: Json
    history: tuple[Json, ...] = ()
    extent: Extent = PAST
    unsettled: datetime | None = None

    @property
    def active(self) -> bool:
        """Return whether it was neither replaced nor removed; its date may be past."""
        return self.status == "active"

    @property
    def tags(self) -> bool:
        """Return whether it stands on events."""
        return self.tag != SUPPRESS

    @property
    def one_event(self) -> bool:
        """Return whether its condition alone decides, event by event."""
        return "needs" not in self.rule

    @property
    def condition(self) -> Condition:
        """Return what it asks of an event."""
        return read_back(self.rule["match"], self.id)

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
            "extent": self.extent.document,
            "unsettled": self.unsettled.isoformat() if self.unsettled else None,
        }


def rule_of(  # noqa: PLR0917 - who, what, when and why of one decision
    hunt: Hunt, tag: Tag, by: str, now: datetime, comment: str, extent: Extent = PAST
) -> TagRule:
    """Return the rule that gives the events of a hunt a tag; the same hunt and tag have the same id."""
    asked = asked_by(hunt)
    digest = sha256(json.dumps([hunt.id, asked], sort_keys=True).encode()).hexdigest()[:DIGEST]
    id = f"{hunt.name}.{digest}.{tag}"
    return TagRule(id, HuntName.of(hunt), tag, "active", by, now, comment, asked, extent=extent)


def asked_by(hunt: Hunt) -> Json:
    """Return what a hunt asks, as values that do not change when the hunt does."""
    condition = hunt.condition
    group = condition if isinstance(condition, All | Any_ | None_) else All((condition,))
    asked: Json = {"match": written(group)}
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
    return _found(siem, settings, {"term": {"hunt.id": hunt_id}} if hunt_id else {"match_all": {}})


def open_rules(siem: Siem, settings: Settings) -> tuple[TagRule, ...]:
    """Return the rules that are active or not settled yet, the oldest first; none where no rule can be."""
    either: list[Json] = [{"term": {"status": "active"}}, {"exists": {"field": "unsettled"}}]
    return _found(siem, settings, {"bool": {"should": either}})


def _found(siem: Siem, settings: Settings, query: Json) -> tuple[TagRule, ...]:
    """Return the rules of a query, the oldest first."""
    index = settings.state("tag-rules")
    siem.call("POST", f"/{index}/_refresh", ignore_unavailable=True)
    sort = [{"made": {"order": "asc", "unmapped_type": "date"}}]
    answer = siem.search(index, {"size": MOST_RULES, "query": query, "sort": sort})
    return tuple(_read(hit["_id"], hit["_source"]) for hit in answer["hits"]["hits"])


def rules_called(siem: Siem, settings: Settings, name: str) -> list[TagRule]:
    """Return all rules of the hunt (or condition) of that name, title or id, or that has a rule of that id."""
    every = stored_rules(siem, settings)
    called = {rule.hunt.id for rule in every if name in (rule.id, *asdict(rule.hunt).values())}
    return [rule for rule in every if rule.hunt.id in called]


def store(siem: Siem, settings: Settings, rule: TagRule) -> TagRule | None:
    """Return a rule as it is written, active; of one that is there much is kept.

    Its history; while it is active its maker, unless that is an outcome and a person comes, and the events it is for.
    A rule of an outcome is not written over one that was removed: None.
    """
    by_outcome = rule.by == OUTCOME

    def edit(now: Json | None) -> Json:
        """Return the rule as it is to be stored in place of the one that is there."""
        if now is None:
            return replace(rule, unsettled=None if by_outcome else rule.made).document
        old = _read(rule.id, now)
        if by_outcome and old.status == "removed":
            return now
        new = replace(rule, history=old.history, comment=rule.comment or old.comment, unsettled=rule.made)
        if old.active:
            new = replace(new, extent=old.extent.joined(rule.extent))
            new = new if old.by == OUTCOME else replace(new, by=old.by, made=old.made)
        if by_outcome:
            new = replace(new, unsettled=old.unsettled)
        return new.document

    stored = _read(rule.id, siem.change(settings.state("tag-rules"), rule.id, edit))
    return stored if stored.active else None


def end(siem: Siem, settings: Settings, rule: TagRule, done: Json, now: datetime) -> None:
    """End an active rule: `what` was done (replaced, removed) is its status from now on. It is to be settled then."""

    def edit(found: Json | None) -> Json:
        """Return the stored rule as it is after its end."""
        document = found or rule.document
        history = [*document["history"], done]
        return document | {"status": done["what"], "history": history, "unsettled": now.isoformat()}

    siem.change(settings.state("tag-rules"), rule.id, edit)


def note(siem: Siem, settings: Settings, rule: TagRule, done: Json) -> None:
    """Add what was done to a rule's history, whatever has become of the rule meanwhile."""

    def edit(now: Json | None) -> Json:
        """Return the stored rule with one more entry in its history."""
        document = now or rule.document
        return document | {"history": [*document["history"], done]}

    siem.change(settings.state("tag-rules"), rule.id, edit)


def settle(siem: Siem, settings: Settings, rule: TagRule, since: datetime | None) -> None:
    """Set since when a rule is not settled (None: it is), if nobody has changed it since it was read."""

    def edit(now: Json | None) -> Json:
        """Return the stored rule, settled."""
        if now is None or _read(rule.id, now).unsettled != rule.unsettled:
            return now or rule.document
        return now | {"unsettled": since.isoformat() if since else None}

    siem.change(settings.state("tag-rules"), rule.id, edit)


def _read(id: str, source: Json) -> TagRule:
    """Return the rule of a stored document."""
    fields = {key: source[key] for key in ("tag", "status", "by", "comment", "rule")}
    made, unsettled = datetime.fromisoformat(source["made"]), source.get("unsettled")
    return TagRule(
        id=id,
        hunt=HuntName(**source["hunt"]),
        made=made,
        history=tuple(source["history"]),
        extent=Extent.read(source.get("extent", {})),
        unsettled=datetime.fromisoformat(unsettled) if unsettled else None,
        **fields,
    )
