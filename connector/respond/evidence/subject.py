"""Finds what evidence is wanted for: a finding, a declaration or an event, by its id or the beginning of one.

Promises: an event is only read from the sources; an id that could be several things is refused, and they are named.
Will not: write anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from connector.errors import Refused
from connector.hunts.asking.tally import kept_references
from connector.respond.evidence.asking import Desk
from connector.respond.evidence.model import Reference, Subject
from connector.respond.evidence.reading import told, words
from connector.settings.model import Settings
from connector.siem.client import Siem, Stored

Json = dict[str, Any]
MOST_REFERENCES = 1000
NAMED = 3
IDS = 10_000


def subject_of(siem: Siem, settings: Settings, text: str) -> Subject:
    """Return the finding or declaration whose id is, or begins with, a text; or the event of `INDEX/ID`.

    Refused if there is none, or there are several.
    """
    if "/" in text:
        return _event(siem, settings, text)
    found = {
        kind: _beginning(siem, settings.state(kind), text) if text else [] for kind in ("findings", "declarations")
    }
    every = [(kind, id) for kind, ids in found.items() for id in ids]
    exact = [one for one in every if one[1] == text]
    if len(exact or every) > 1:
        named = ", ".join(f"{id} ({kind})" for kind, id in every[:NAMED])
        more = f" and {len(every) - NAMED} more" if len(every) > NAMED else ""
        raise Refused(f"{len(every)} ids begin with {text}: {named}{more}: give more of it")
    if not every:
        words = "`hunts findings` and `hunts declarations` list them; an event is given as INDEX/ID"
        raise Refused(f"there is no finding and no declaration whose id begins with {text}: {words}")
    kind, id = (exact or every)[0]
    stored = siem.get(settings.state(kind), id)
    if stored is None:
        raise Refused(f"{id} was deleted just now")
    return _finding(stored) if kind == "findings" else declaration_subject(stored.id, stored.source)


def _beginning(siem: Siem, index: str, text: str) -> list[str]:
    """Return the ids of an index that begin with a text; that id alone if there is one, in a list."""
    if siem.get(index, text):
        return [text]
    hits = siem.scan(index, {"query": {"match_all": {}}, "_source": False}, IDS)
    return sorted(hit["_id"] for hit in hits if hit["_id"].startswith(text))


def _event(siem: Siem, settings: Settings, text: str) -> Subject:
    """Return the event of `INDEX/ID`."""
    index, id = text.split("/", 1)
    found = Desk.open(siem, settings).at(index, id) if index and id else None
    if found is None:
        raise Refused(f"there is no event {text} in {settings.events}: give it as INDEX/ID, as `--json` prints them")
    about: dict[str, str | None] = {}
    if sides := found.sides:
        about = {"hunt.client.ip": sides[0][0], "hunt.server.ip": sides[1][0]}
    at = told(found.time)
    place = Reference(found.index, found.id, at)
    return Subject("event", text, f"{found.kind}: {words(found)}", about, 1, at, at, (place,))


def _finding(stored: Stored) -> Subject:
    """Return a finding as a subject."""
    source = stored.source
    group = {name: source["group"].get(name) for name in source["group_by"]}
    return Subject(
        kind="finding",
        id=stored.id,
        title=source["hunt"]["title"],
        about=group,
        count=source["count"],
        first=source["first"],
        last=source["last"],
        references=_references(source.get("events", ())),
    )


def declaration_subject(id: str, document: Json) -> Subject:
    """Return a declaration as a subject."""
    asset = document["asset"]
    held = [item for evidence in document["evidence"].values() for item in evidence["references"]]
    return Subject(
        kind="declaration",
        id=id,
        title=f"{document['threat']}: {asset['value']}",
        about={asset["field"]: asset["value"]},
        count=document["count"],
        first=document["first"],
        last=document["last"],
        references=_references(held),
    )


def _references(held: Iterable[Json]) -> tuple[Reference, ...]:
    """Return the events that are looked at, each once, in the order of time."""
    each = {(one["index"], one["id"]): one for one in held}
    every = sorted(each.values(), key=lambda one: (one["time"] or "", one["index"], one["id"]))
    kept = every if len(every) <= MOST_REFERENCES else kept_references(every)
    return tuple(Reference(one["index"], one["id"], one["time"]) for one in kept)
