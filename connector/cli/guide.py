"""`hunts guide`: the questions of a hunt's guide, asked from a finding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from connector.cli import context
from connector.cli.catalogue import catalogue_of
from connector.cli.output import Printed, json_option, plain, rows, show
from connector.cli.running import second
from connector.hunts.asking.looking import Seen
from connector.hunts.passes.guide import LIMIT, Answer, Guided, guide, hunt_of
from connector.hunts.passes.listing import find_finding

MOST = 10_000  # hits one answer of an engine takes
LINE = 500


@click.command(name="guide")
@click.argument("finding")
@click.option("--step", type=click.IntRange(1), metavar="N", help="Only step N; `hunts show HUNT` lists the steps.")
@click.option(
    "--limit", type=click.IntRange(1, MOST), default=LIMIT, show_default=True, help="Rows a step; more are numbered."
)
@json_option
@context.use
def guide_finding(ctx: context.Context, /, finding: str, step: int | None, limit: int, as_json: bool) -> None:
    """Ask the questions of a hunt's guide with the values of FINDING filled in.

    FINDING is an id that `hunts findings` lists, or as much of its beginning as no other finding has. Each step looks
    from its window before the finding's first event until its window after the last one. Read each answer beside the
    two lines under it: which answer speaks for a true finding, and which for a harmless one.

    Nothing is written. The exit code is 1 if a step failed.
    """
    found = find_finding(ctx.siem(), ctx.settings, finding)
    hunt = hunt_of(found, catalogue_of(ctx))
    result = guide(ctx.siem(), ctx.settings, hunt, found, step=step, limit=limit)
    show(result, table=_tables, as_json=as_json)
    if result.failed:
        click.get_current_context().exit(1)


def _tables(result: Guided) -> Printed:
    """Return the finding in two lines, and each step with its answer."""
    finding = result.finding
    group = ", ".join(f"{name} {value or 'none'}" for name, value in finding.group.items())
    when = f"{finding.count:,} events from {second(finding.first)} to {second(finding.last)}"
    parts: list[Any] = [plain(f"{finding.title}: {group}", LINE), f"{when}, finding {finding.id}"]
    for step in result.steps:
        parts += ["", plain(f"Step {step.number}: {step.ask}", LINE), *_looked_for(step), *_answer(step), *_leans(step)]
    return parts


def _looked_for(step: Answer) -> list[str]:
    """Return what a step looks for; the values are those of events, so each line stays one line."""
    time = f"from {second(step.start)} to {second(step.end)}" if step.start and step.end else "of any time"
    kinds = ", ".join(step.event_types)
    return [f"  {kinds} events {time}:", *(f"    {plain(line, LINE)}" for line in step.looked_for)]


def _answer(step: Answer) -> list[Any]:
    """Return what a step saw: tables, how much more there is, and what the answer lacks."""
    seen = step.seen
    words = f"{seen.events:,} events" if seen.events else seen.error or seen.status
    notes = [note for note in seen.notes if note != seen.status]
    return [f"  {plain(words, LINE)}", *_counts(step, seen), *_newest(step, seen), *(f"  note: {n}" for n in notes)]


def _counts(step: Answer, seen: Seen) -> list[Any]:
    """Return the combinations of values with most events, and how many more there are."""
    if not seen.combinations:
        return []
    cells = [(*("none" if v is None else v for v in c.values.values()), c.events) for c in seen.combinations]
    return [rows((*step.count_by, "events"), cells), *_more(seen.combinations_left_out, "combinations")]


def _newest(step: Answer, seen: Seen) -> list[Any]:
    """Return the newest events, and how many older ones there are."""
    if not seen.newest:
        return []
    cells = [(second(event.time), *(event.shown.get(name) for name in step.show)) for event in seen.newest]
    return [rows(("time", *step.show), cells), *_more(seen.newest_left_out, "older events")]


def _more(number: int, what: str) -> Sequence[str]:
    """Return a line that says how many are not printed; nothing if all are."""
    return [f"… and {number:,} more {what}: --limit takes more"] if number else []


def _leans(step: Answer) -> list[str]:
    """Return which answer leans which way."""
    return [f"  relevant: {step.lean_relevant}", f"  informational: {step.lean_informational}"]
