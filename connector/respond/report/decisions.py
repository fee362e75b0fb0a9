"""What was decided about the asset of a report: declarations with their history, tag rules, and what was delivered.

Promises: read as they are stored, entries of older versions among them; the newest are kept where there are too many.
Will not: write anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from connector.errors import NotThere
from connector.respond.deliveries.outbox import deliveries
from connector.respond.report.model import Decision, Sent
from connector.respond.report.texts import shown, told
from connector.respond.tags.rules import TagRule, stored_rules
from connector.settings.model import Settings
from connector.siem.client import Siem

Json = dict[str, Any]
Declarations = Sequence[tuple[str, Mapping[str, Any]]]
MOST_DECLARATIONS = 20
MOST = 100


def declarations_of(siem: Siem, settings: Settings, assets: Iterable[str], id: str) -> Declarations:
    """Return the declarations of some assets, and the one of that id, each with its id, the latest first."""
    index = settings.state("declarations")
    try:
        siem.call("POST", f"/{index}/_refresh")
    except NotThere:
        return ()
    values = sorted({*assets})
    each: list[Json] = [{"terms": {"asset.value": values}}, {"ids": {"values": [id]}}]
    query = {"bool": {"should": each, "minimum_should_match": 1}}
    body = {"query": query, "sort": [{"updated": "desc"}], "size": MOST_DECLARATIONS}
    return [(hit["_id"], hit["_source"]) for hit in siem.search(index, body)["hits"]["hits"]]


def decisions_of(
    siem: Siem, settings: Settings, declared: Declarations, hunts: Iterable[str]
) -> tuple[tuple[Decision, ...], int]:
    """Return what was decided in declarations and about hunts (by id), the oldest first, and how many are left out."""
    found = [one for _, document in declared for one in _of_declaration(document)]
    wanted = {*hunts}
    try:
        rules = [rule for rule in stored_rules(siem, settings) if rule.hunt.id in wanted]
    except NotThere:
        rules = []
    found += [one for rule in rules for one in _of_rule(rule)]
    found.sort(key=lambda one: one.at or "")
    return tuple(found[-MOST:]), max(0, len(found) - MOST)


def deliveries_of(siem: Siem, settings: Settings, declared: Declarations) -> tuple[tuple[Sent, ...], int]:
    """Return the deliveries of declarations, the newest first, and how many are not here."""
    try:
        found = [each for id, _ in declared for each in deliveries(siem, settings, id)]
    except NotThere:
        return (), 0
    sent = [
        Sent(one.made, one.receiver, one.event, one.status, one.attempts, shown(one.last_word), one.id) for one in found
    ]
    sent.sort(key=lambda one: one.made, reverse=True)
    return tuple(sent[:MOST]), max(0, len(sent) - MOST)


def _of_declaration(document: Mapping[str, Any]) -> Iterator[Decision]:
    """Yield the entries of a declaration's history."""
    for entry in document.get("history", ()):
        yield _decision(entry, document["threat"], _said(entry))


def _said(entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield what an entry of a declaration's history says: the change, the comment, the evidence."""
    if value := entry.get("value") or entry.get("status"):
        before = entry.get("from")
        yield f"{before} → {value}" if before and before != value else str(value)
    if comment := entry.get("comment"):
        yield str(comment)
    if hunt := entry.get("hunt"):
        yield f"{entry.get('phase')}, with {entry.get('count') or 0:,} events; by the hunt {hunt}"
    if entry.get("since") and entry.get("times"):
        yield f"the last of {entry['times']} times since {told(entry['since'])}"


def _of_rule(rule: TagRule) -> Iterator[Decision]:
    """Yield what was done with a tag rule."""
    first = True
    for entry in rule.history or ({"at": rule.made.isoformat(), "by": rule.by, "what": "made"},):
        words = [rule.comment] if first and rule.comment else []
        words += [f"{entry[name]:,} events {name}" for name in ("tagged", "untagged") if entry.get(name)]
        what = f"{entry.get('what', 'tagged')}: {rule.tag}"
        yield _decision({**entry, "what": what, "by": entry.get("by") or rule.by}, rule.hunt.title, words)
        first = False


def _decision(entry: Mapping[str, Any], of: str, words: Iterable[str]) -> Decision:
    """Return one entry of a history as a decision."""
    at = entry.get("at")
    said = shown("; ".join(words), 1000)
    return Decision(str(at) if at else None, shown(entry.get("by")), shown(entry.get("what")), shown(of), said)
