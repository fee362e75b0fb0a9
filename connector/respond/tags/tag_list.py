"""The tag rules as people list them: what each is for, how it comes to events, and how many carry it now.

Promises: counts are of this moment, one search a source; a rule whose date is past says so. Will not: write.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector.hunts.conditions.condition import Equals
from connector.hunts.conditions.query import compile_query
from connector.respond.matches import check_state
from connector.respond.tags.extent import Extent
from connector.respond.tags.publishing import how_published
from connector.respond.tags.retag import RULES_FIELD
from connector.respond.tags.rules import HuntName, Tag, TagRule, stored_rules
from connector.respond.tags.selecting import rule_fields
from connector.settings.model import Settings, Source
from connector.siem.client import Siem

AT_ONCE = 200  # rules counted in one search
ENDED = "ended"
Json = dict[str, Any]


@dataclass(frozen=True)
class Listed:
    """A rule: `status` is active, ended (its date is past), replaced or removed; `matched` and `tagged` count events.

    `matched` is what it matched when somebody tagged with it last, `tagged` how many events carry it now. `future` says
    how future events get it, and `by_pass` why passes have to do that. `settled`: a pass has looked, since the rule was
    changed, for events that were on their way then.
    """

    rule: str
    hunt: HuntName
    tag: Tag
    status: str
    extent: Extent
    future: str
    by_pass: str
    matched: int | None
    tagged: int
    settled: bool
    by: str
    made: datetime
    comment: str
    asks: Json
    history: tuple[Json, ...]


def listed_rules(siem: Siem, settings: Settings, now: datetime) -> tuple[Listed, ...]:
    """Return all rules, the oldest first; NotThere if our own indices are not installed."""
    check_state(siem, settings, "tag-rules")
    rules = stored_rules(siem, settings)
    on = [rule.id for rule in rules if rule.tags]
    counts = _carried(siem, settings, on)
    published, by_pass = how_published(siem, settings, now)
    return tuple(
        Listed(
            rule=rule.id,
            hunt=rule.hunt,
            tag=rule.tag,
            status=ENDED if rule.active and rule.extent.ended(now) else rule.status,
            extent=rule.extent,
            future=_future(rule, published, now),
            by_pass=by_pass.get(rule.id, ""),
            matched=_matched(rule),
            tagged=counts.get(rule.id, 0),
            settled=rule.unsettled is None,
            by=rule.by,
            made=rule.made,
            comment=rule.comment,
            asks=rule.rule,
            history=rule.history,
        )
        for rule in rules
    )


def _future(rule: TagRule, published: frozenset[str], now: datetime) -> str:
    """Return how future events get the rule; empty if they do not."""
    if not rule.active or rule.extent.ended(now):
        return ""
    if not rule.tags:
        return "left out of findings"
    if not rule.extent.future:
        return ""
    return "as they are written" if rule.id in published else "by passes"


def _matched(rule: TagRule) -> int | None:
    """Return how many events it matched when somebody tagged with it last; None if nobody has come to that."""
    numbers = [entry["matching"] for entry in rule.history if "matching" in entry]
    return int(numbers[-1]) if numbers else None


def _carried(siem: Siem, settings: Settings, rules: Sequence[str]) -> dict[str, int]:
    """Return how many events carry each of the rules."""
    counts: dict[str, int] = {}
    for source in settings.sources if rules else ():
        siem.call("POST", f"/{source.pattern}/_refresh", ignore_unavailable=True, allow_no_indices=True)
        for rule, count in _of_source(siem, source, rules):
            counts[rule] = counts.get(rule, 0) + count
    return counts


def _of_source(siem: Siem, source: Source, rules: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield each rule with how many events of a source carry it."""
    fields = rule_fields(siem, source.pattern)
    for start in range(0, len(rules), AT_ONCE):
        some = rules[start : start + AT_ONCE]
        asked = {rule: compile_query(Equals(RULES_FIELD, (rule,)), fields, source.dialect).query for rule in some}
        body = {"size": 0, "aggs": {"rules": {"filters": {"filters": asked}}}}
        buckets = siem.search(source.pattern, body).get("aggregations", {}).get("rules", {}).get("buckets", {})
        yield from ((rule, bucket["doc_count"]) for rule, bucket in buckets.items())
