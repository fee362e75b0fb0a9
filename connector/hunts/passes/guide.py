"""The guide of a hunt, run from a finding: each step's search with the finding's values filled in.

Promises: a `$field` becomes all values that the finding has for the field, and a step of which it has none is not
asked; a field of which a finding keeps only some values is named; a step that fails carries its error and the others go
on. Will not: decide which way an answer leans, or write anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from connector.errors import Refused
from connector.hunts.asking.looking import Search, Seen, look
from connector.hunts.catalogue.catalogue import Catalogue
from connector.hunts.catalogue.hunt import Hunt, Step
from connector.hunts.catalogue.view import condition_lines
from connector.hunts.conditions import condition as c
from connector.hunts.passes.listing import Finding
from connector.settings.model import Settings
from connector.siem.client import Siem

LIMIT = 20
NOT_ASKED = "not asked"

Values = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Answer:
    """One step of a guide: the question, what was looked for, what was seen, and what the answer would say.

    `filled` has the values put in for each `$field`; `looked_for` is the condition in words. The events looked at are
    those of [start, end), of which None is open.
    """

    number: int
    ask: str
    event_types: tuple[str, ...]
    looked_for: tuple[str, ...]
    filled: Values
    start: datetime | None
    end: datetime | None
    count_by: tuple[str, ...]
    show: tuple[str, ...]
    seen: Seen
    lean_relevant: str
    lean_informational: str


@dataclass(frozen=True)
class Guided:
    """The steps of a guide as they were asked from a finding."""

    finding: Finding
    steps: tuple[Answer, ...]

    @property
    def failed(self) -> bool:
        """Tell whether a step has failed."""
        return any(step.seen.error for step in self.steps)


def finding_values(finding: Finding) -> dict[str, Sequence[str]]:
    """Return the values of a finding by field: of a field it is grouped by the one it is for, else all it keeps."""
    grouped = {name: [value] if value is not None else [] for name, value in finding.group.items()}
    return {**finding.values, **grouped}


def unbound(condition: c.Condition, values: Values) -> tuple[str, ...]:
    """Return the fields named by `$field` that have no value."""
    return tuple(name for name in c.references(condition) if not values.get(name))


def bound(condition: c.Condition, values: Values) -> c.Condition:
    """Return the condition with all values of the field in place of each `$field`.

    One without a value stays as it is, so that no compiler takes the condition.
    """

    def filled(value: c.Scalar | c.Reference) -> Iterable[c.Scalar | c.Reference]:
        """Return what takes the place of one value."""
        return values.get(value.field) or [value] if isinstance(value, c.Reference) else [value]

    def with_values(leaf: c.Leaf) -> c.Condition:
        """Return a leaf with its values filled in."""
        if not isinstance(leaf, c.Equals):
            return leaf
        return replace(leaf, values=tuple(dict.fromkeys(each for value in leaf.values for each in filled(value))))

    return c.mapped(condition, with_values)


def hunt_of(finding: Finding, catalogue: Catalogue) -> Hunt:
    """Return the hunt behind a finding, by its id; Refused if it is not in the catalogue."""
    for hunt in catalogue.hunts:
        if hunt.id == finding.hunt_id:
            return hunt
    broken = "; `hunts check` says what is wrong in the files that are left out" if catalogue.problems else ""
    raise Refused(
        f"the finding {finding.id} is of the hunt {finding.hunt} (id {finding.hunt_id}), which is not in the catalogue "
        f"any more, so there is no guide: put its file back into your `queries` folder{broken}"
    )


def guide(
    siem: Siem, settings: Settings, hunt: Hunt, finding: Finding, *, step: int | None = None, limit: int = LIMIT
) -> Guided:
    """Return the guide's steps, or the one of that number (from 1), asked with the values of the finding.

    Of each step at most `limit` combinations and events. Refused if there is no such step or no index with events.
    """
    if step is not None and not 1 <= step <= len(hunt.guide):
        raise Refused(f"the guide of {hunt.name} has the steps 1 to {len(hunt.guide)}: there is no step {step}")
    numbered = [(n, one) for n, one in enumerate(hunt.guide, 1) if step in (None, n)]
    values = finding_values(finding)
    asked = [one for _, one in numbered if _not_asked(one, values) is None]
    seen = iter(look(siem, settings, [_search(hunt, one, finding, values) for one in asked], limit) if asked else ())
    answers = (_answer(number, one, finding, values, _not_asked(one, values) or next(seen)) for number, one in numbered)
    return Guided(finding, tuple(answers))


def _search(hunt: Hunt, step: Step, finding: Finding, values: Values) -> Search:
    """Return a step as a search: the hunt with the step's question in place of its own."""
    own = step.look
    match = bound(own.match, values)
    asked = replace(hunt, event_types=own.event_types, match=match, group_by=own.count_by, show=own.show)
    return Search(asked, *_time(step, finding))


def _time(step: Step, finding: Finding) -> tuple[datetime | None, datetime | None]:
    """Return the time a step looks at: its window before the first event of the finding until as long after the last.

    Open on both ends if the finding's events have no time.
    """
    first, last = (datetime.fromisoformat(at) if at else None for at in (finding.first, finding.last))
    return first and first - step.look.window, last and last + step.look.window


def _not_asked(step: Step, values: Values) -> Seen | None:
    """Return the result of a step that cannot be asked, as the finding lacks a value or a list has none; else None."""
    if lacking := unbound(step.look.match, values):
        return Seen(f"{NOT_ASKED}: the finding has no value for {', '.join(lacking)}")
    empty = c.empty_lists(step.look.match)
    return Seen(f"{NOT_ASKED}: not set up, as the list {', '.join(empty)} is empty") if empty else None


def _answer(number: int, step: Step, finding: Finding, values: Values, seen: Seen) -> Answer:
    """Return one step with what was seen."""
    own = step.look
    start, end = _time(step, finding)
    filled = {name: tuple(values.get(name, ())) for name in c.references(own.match)}
    cut = [
        f"the finding keeps only some values of {name}: the {len(filled[name])} here were looked for"
        for name in filled
        if name in finding.cut and name not in finding.group
    ]
    timeless = [] if start and end else ["the finding's events have no time, so events of any time were looked at"]
    return Answer(
        number=number,
        ask=step.ask,
        event_types=own.event_types,
        looked_for=tuple(condition_lines(bound(own.match, values))),
        filled=filled,
        start=start,
        end=end,
        count_by=own.count_by,
        show=own.show,
        seen=seen if seen.status.startswith(NOT_ASKED) else replace(seen, notes=(*cut, *timeless, *seen.notes)),
        lean_relevant=step.lean_relevant,
        lean_informational=step.lean_informational,
    )
