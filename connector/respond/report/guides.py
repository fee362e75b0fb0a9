"""The guides of the hunts that a report is about, asked from their findings.

Promises: a guide that cannot be asked is said in words, and the others are there. Will not: write anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from connector.errors import ContentError, Refused, Rejected
from connector.hunts.asking.looking import Seen
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.passes.guide import Answer as Asked
from connector.hunts.passes.guide import guide, hunt_of
from connector.hunts.passes.listing import Finding, find_finding
from connector.respond.report.model import SEVERITIES, Answer, Guide, Step, Table
from connector.respond.report.texts import clock, shown, written
from connector.settings.model import Settings
from connector.siem.client import Siem

MOST_GUIDES = 4
GRAVE = ("high", "critical")
ROWS = 8


def guides_of(siem: Siem, settings: Settings, steps: Iterable[Step]) -> tuple[tuple[Guide, ...], tuple[str, ...]]:
    """Return the guides of the subject's findings and of grave ones tied to them, and in words what was not asked.

    Of each hunt the finding with most events is asked from. Raises Unreachable.
    """
    chosen: dict[str, Step] = {}
    mine = [
        step for step in steps if step.kind == "finding" and (step.subject or (step.tied and step.severity in GRAVE))
    ]
    for step in sorted(
        mine, key=lambda step: (not step.subject, -SEVERITIES.index(step.severity), -step.events, step.id)
    ):
        chosen.setdefault(step.hunt, step)
    limits = [f"the guide of {step.title} was not asked" for step in list(chosen.values())[MOST_GUIDES:]]
    guides: list[Guide] = []
    if not chosen:
        return (), ()
    try:
        catalogue = load_catalogue(settings)
    except ContentError as error:
        return (), (f"no guide could be asked: {error}",)
    for step in list(chosen.values())[:MOST_GUIDES]:
        try:
            finding = find_finding(siem, settings, step.id)
            asked = guide(siem, settings, hunt_of(finding, catalogue), finding, limit=ROWS)
        except (Refused, Rejected) as error:
            limits.append(f"the guide of {step.title} could not be asked: {error}")
            continue
        guides.append(Guide(finding.id, finding.title, _about(finding), tuple(map(_answer, asked.steps))))
    return tuple(guides), tuple(limits)


def _about(finding: Finding) -> str:
    """Return the values that a finding is grouped by, in a line."""
    return shown(", ".join(f"{name} {value if value is not None else 'none'}" for name, value in finding.group.items()))


def _answer(asked: Asked) -> Answer:
    """Return a step of a guide with its answer."""
    seen = asked.seen
    return Answer(
        number=asked.number,
        ask=asked.ask,
        start=written(asked.start) if asked.start else None,
        end=written(asked.end) if asked.end else None,
        looked_for=tuple(shown(line, 500) for line in asked.looked_for),
        said=f"{seen.events:,} events" if seen.events else shown(seen.error or seen.status),
        tables=tuple(_tables(asked, seen)),
        notes=tuple(shown(note) for note in seen.notes if note != seen.status),
        lean_relevant=asked.lean_relevant,
        lean_informational=asked.lean_informational,
        failed=seen.error is not None,
    )


def _tables(asked: Asked, seen: Seen) -> Iterator[Table]:
    """Yield the combinations of values with most events, and the newest events."""
    if seen.combinations:
        rows = [_row([*("none" if v is None else v for v in c.values.values()), c.events]) for c in seen.combinations]
        yield Table((*asked.count_by, "events"), tuple(rows), seen.combinations_left_out)
    if seen.newest:
        rows = [
            _row([clock(one.time) if one.time else None, *(one.shown.get(name) for name in asked.show)])
            for one in seen.newest
        ]
        yield Table(("time", *asked.show), tuple(rows), seen.newest_left_out)


def _row(cells: Sequence[Any]) -> tuple[str, ...]:
    """Return a row as texts."""
    return tuple(shown(cell) for cell in cells)
