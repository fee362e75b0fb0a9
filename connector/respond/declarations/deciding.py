"""What people decide about a declaration: its status, who has it, how far it is, and what they have to say.

Promises: each decision is an entry of the history with who, when and why, written by compare-and-set; the same one
again changes nothing; receivers are told of all but comments. Will not: change the evidence, or send anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from connector.errors import Refused
from connector.hunts.asking.tally import instant
from connector.respond.declarations.declaration import PHASES, STATUSES, moved, revised, with_entry
from connector.respond.declarations.declare import queue_pending, queue_revision
from connector.settings.model import Settings
from connector.siem.client import Siem

Json = dict[str, Any]
What = Literal["status", "assign", "phase", "comment"]
WHATS: tuple[What, ...] = get_args(What)
LONGEST_COMMENT, LONGEST_NAME = 10_000, 200


@dataclass(frozen=True)
class Decision:
    """A decision: the new status, assignee or phase, and why; a comment is only the why."""

    what: What
    value: str
    by: str
    comment: str = ""


def decide(siem: Siem, settings: Settings, id: str, decision: Decision, now: datetime) -> Json:
    """Return the declaration with the decision, written and queued for the receivers; Refused if it cannot be."""
    check(decision)

    def edit(current: Json | None) -> Json:
        """Return the stored declaration with the decision."""
        if current is None:
            raise Refused(f"there is no declaration {id}: `hunts declarations` lists them")
        return decided(current, decision, now)

    queue_revision(siem, settings, id, now)  # of a program that was stopped: the next revision hides it
    siem.change(settings.state("declarations"), id, edit)
    queue_pending(siem, settings, now)
    stored = siem.get(settings.state("declarations"), id)
    return stored.source if stored else {}


def check(decision: Decision) -> None:
    """Raise Refused if the decision is none that can be made, and say which can."""
    known = {"status": STATUSES, "phase": PHASES}.get(decision.what)
    if known and decision.value not in known:
        raise Refused(f"{decision.value!r} is no {decision.what} of a declaration: it is one of {', '.join(known)}")
    if decision.what == "assign" and not 0 < len(decision.value) <= LONGEST_NAME:
        raise Refused(f"name who has it, in up to {LONGEST_NAME} characters: hunts declaration ID assign NAME")
    if decision.what == "comment" and not decision.comment:
        raise Refused('there is nothing to note: hunts declaration ID comment "what there is to say"')
    if len(decision.comment) > LONGEST_COMMENT:
        raise Refused(f"a comment has up to {LONGEST_COMMENT:,} characters, this one has {len(decision.comment):,}")


def decided(document: Json, decision: Decision, at: datetime) -> Json:
    """Return a declaration with a decision that was checked; the same document if it says nothing new."""
    change = _change(document, decision, at)
    entry: Json = {"by": decision.by, "what": decision.what, "comment": decision.comment}
    entry |= {} if decision.what == "comment" else {"value": decision.value}
    if document | change != document:
        return revised(document | change, entry | {"from": _now(document, decision.what)}, at)
    if not decision.comment or _is_said(document, entry):
        return document
    entry |= {"at": instant(at), **{key: document[key] for key in ("phase", "count", "revision")}}
    return document | {"updated": instant(at), "history": with_entry(document["history"], entry)}


def _is_said(document: Json, entry: Json) -> bool:
    """Tell whether a decision was made already since there was new evidence, as before a program was stopped."""
    for old in reversed(document["history"]):
        if old["what"] not in WHATS:
            return False
        if all(old.get(key) == value for key, value in entry.items()):
            return True
    return False


def _now(document: Json, what: What) -> str:
    """Return what a decision changes as it is now."""
    return str(document[{"assign": "assigned"}.get(what, what)])


def _change(document: Json, decision: Decision, at: datetime) -> Json:
    """Return the fields that a decision sets."""
    if decision.what == "assign":
        return {"status": "assigned", "assigned": decision.value}
    if decision.what == "phase":
        return moved(document, decision.value, decision.by, at)
    if decision.what == "comment":
        return {}
    holder = document["assigned"]
    holder = "" if decision.value == "new" else holder or decision.by if decision.value == "assigned" else holder
    return {"status": decision.value, "assigned": holder}
