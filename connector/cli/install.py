"""`hunts plan|install|uninstall|backfill`: what the package puts into the SIEM, shown, done, undone, made up for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click

from connector.cli import context
from connector.cli.output import Printed, json_option, note, progress, rows, show
from connector.enrich.assets import build_assets
from connector.enrich.tables import build_tables
from connector.settings.durations import duration
from connector.siem.assets import Assets
from connector.siem.backfill import Backfilled, Window
from connector.siem.backfill import backfill as run_backfill
from connector.siem.install import plan as plan_install
from connector.siem.plan import Done, LeftOut, Plan, Step, carry_out, shown
from connector.siem.uninstall import uninstall_plan
from connector.siem.update_task import Count

NAMES_SHOWN = 3
LINES_SHOWN = 20


def _assets(ctx: context.Context) -> Assets:
    """Return what these settings install."""
    return build_assets(ctx.settings, build_tables(ctx.settings))


@click.command()
@json_option
@context.use
def plan(ctx: context.Context, as_json: bool) -> None:
    """Show what `hunts install` would create and change in the SIEM, and write nothing."""
    planned = plan_install(ctx.siem(), _assets(ctx))
    show(shown(planned), table=lambda _: _plan_tables(planned), as_json=as_json)


@click.command()
@json_option
@context.use
def install(ctx: context.Context, as_json: bool) -> None:
    """Put pipelines, templates, mappings and our own indices into the SIEM; again, it changes nothing.

    Nothing of the SIEM's is replaced: a field that is there keeps its type, a final pipeline its place. An index that
    is closed or read-only is left out and named.
    """
    planned = plan_install(ctx.siem(), _assets(ctx))
    done = carry_out(ctx.siem(), planned)
    show(_done(planned, done), table=lambda _: _done_tables(planned, done), as_json=as_json)


@click.command()
@click.option("--keep-state", is_flag=True, help="Keep findings, declarations, tag rules and the rest of our indices.")
@click.option("--yes", is_flag=True, help="Do not ask before our own indices are deleted.")
@json_option
@context.use
def uninstall(ctx: context.Context, keep_state: bool, yes: bool, as_json: bool) -> None:
    """Take everything of ours out of the SIEM; stored events stay as they are."""
    planned = uninstall_plan(ctx.siem(), _assets(ctx), keep_state)
    ours = [step.names[0] for step in planned.steps if (step.action, step.kind) == ("delete", "index")]
    if ours and not yes:
        click.confirm(f"Delete {', '.join(ours)} with all that is in them?", abort=True, err=True)
    done = carry_out(ctx.siem(), planned)
    show(_done(planned, done), table=lambda _: _done_tables(planned, done), as_json=as_json)


class When(click.ParamType[datetime]):
    """A date and time, or a time ago such as 7d."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment, in UTC where no zone is given; click's BadParameter if it is none."""
        if isinstance(value, datetime):
            return value
        if ago := duration(str(value)):
            return datetime.now(UTC) - ago
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time: write it as 2026-11-02, 2026-11-02T09:00:00Z or 7d (ago)", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.command()
@click.option("--since", type=When(), metavar="WHEN", help="Events from WHEN on: a date and time, or such as 7d ago.")
@click.option("--until", type=When(), metavar="WHEN", help="Events before WHEN.")
@click.option(
    "--requests-per-second",
    "rate",
    type=click.FloatRange(min=1),
    metavar="N",
    help="Enrich at most N events a second, so that others have the engine too.",
)
@json_option
@context.use
def backfill(
    ctx: context.Context, since: datetime | None, until: datetime | None, rate: float | None, as_json: bool
) -> None:
    """Enrich events that were stored before `hunts install`, or with older tables.

    Stopped at any moment and run again, the command goes on where it was. The exit code is 1 if events remain that
    could not be enriched.
    """
    with _told("enriching") as tell:
        result = run_backfill(
            ctx.siem(),
            _assets(ctx),
            ctx.settings.sources,
            Window(since, until),
            requests_per_second=rate,
            progress=tell,
        )
    show(result, table=_backfill_tables, as_json=as_json)
    if result.left:
        click.get_current_context().exit(1)


@contextmanager
def _told(what: str) -> Iterator[Callable[[Count], None]]:
    """Give a function that draws how far an update is."""
    with progress() as bar:
        task = bar.add_task(what, total=None)
        yield lambda count: bar.update(task, total=count.total, completed=count.updated + count.noops)


def _plan_tables(planned: Plan) -> Printed:
    """Return a plan as a table, then what a person should know."""
    if not planned.steps:
        return ["nothing to do: everything is in place", *_words(planned.left_out, planned)]
    cells = [(step.action, step.kind, _names(step), step.why) for step in planned.steps]
    return [rows(("", "what", "name", "why"), cells), *_differences(planned.steps), *_words(planned.left_out, planned)]


def _done_tables(planned: Plan, done: Done) -> Printed:
    """Return what was done as a table, then what a person should know."""
    if not done.steps:
        return ["nothing to do", *_words(done.left_out, planned)]
    cells = [(step.action, step.kind, _names(step), step.why) for step in done.steps]
    return [rows(("done", "what", "name", "why"), cells), *_words(done.left_out, planned)]


def _done(planned: Plan, done: Done) -> dict[str, Any]:
    """Return what was done as one serialisable object."""
    return shown(Plan(tuple(done.steps), tuple(done.left_out), planned.kept, planned.notes))


def _names(step: Step) -> str:
    """Return the names of a step, the first few of many indices."""
    few = ", ".join(step.names[:NAMES_SHOWN])
    more = len(step.names) - NAMES_SHOWN
    return f"{few} and {more:,} more" if more > 0 else few


def _differences(steps: Sequence[Step]) -> Iterator[str]:
    """Yield a line for each difference between what is there and what is wanted."""
    for step in steps:
        for one in step.differences:
            change = f": {one.now or 'nothing'} → {one.wanted or 'nothing'}" if one.now or one.wanted else ""
            yield f"{step.names[0]}: {one.at}{change}"


def _words(left_out: Sequence[LeftOut], planned: Plan) -> Iterator[str]:
    """Yield what is left out, what keeps its type, and the notes."""
    yield from (f"left out: {one.name}: {one.reason}" for one in left_out[:LINES_SHOWN])
    if len(left_out) > LINES_SHOWN:
        yield f"left out: {len(left_out) - LINES_SHOWN:,} more (--json lists all)"
    for kept in planned.kept:
        where = ", ".join(kept.where[:NAMES_SHOWN]) + (" and more" if len(kept.where) > NAMES_SHOWN else "")
        yield f"{kept.field.field} stays {kept.field.theirs} (ours would be {kept.field.ours}) in {where}"
    yield from planned.notes


def _backfill_tables(done: Backfilled) -> Printed:
    """Return what was enriched as a table, then what is left."""
    columns = ("pattern", "indices", "enriched", "conflicts", "failed", "left", "seconds")
    cells = [
        (part.pattern, part.indices, u.count.updated, u.count.conflicts, len(u.failures), u.left, u.seconds)
        for part in done.parts
        for u in (part.updated,)
    ]
    failures = [f"{f.index}/{f.id}: {f.reason}" for part in done.parts for f in part.updated.failures[:LINES_SHOWN]]
    if any(part.updated.taken_up for part in done.parts):
        note("a backfill that was under way was taken up")
    return [rows(columns, cells), *failures, *(f"left out: {one.name}: {one.reason}" for one in done.left_out)]
