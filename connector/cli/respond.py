"""`hunts tag`, `hunts untag` and `hunts tags`: what a hunt matched, marked on the events themselves."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from connector.cli import context
from connector.cli.catalogue import catalogue_of
from connector.cli.output import Printed, json_option, note, progress, rows, show
from connector.hunts.hunt import Hunt
from connector.respond.rules import Tag, TagRule, rule_of, stored_rules
from connector.respond.tagging import Pace, Tagging, Untagging, preview_tag, tag, untag
from connector.settings.durations import duration
from connector.siem.update_task import Count, Failure

FAILURES_SHOWN = 5


class Window(click.ParamType[timedelta]):
    """A length of time such as 24h or 7d."""

    name = "window"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the length of time; click's BadParameter if it is none."""
        found = value if isinstance(value, timedelta) else duration(str(value))
        return found if found else self.fail(f"{value!r} is no time: write it as 90s, 10m, 24h or 7d", param, ctx)


WINDOW = Window()
pace_option = click.option(
    "--requests-per-second",
    "rate",
    type=click.FloatRange(min=1),
    metavar="N",
    help="Change at most N events a second, so that others have the engine too.",
)


def person() -> str:
    """Return who is at the terminal, for the record of who decided what."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name
        return "unknown"


def named_hunt(ctx: context.Context, name: str) -> Hunt:
    """Return the hunt of that name, title or id; Refused if there is none."""
    return catalogue_of(ctx).named(name)


@click.command(name="tag")
@click.argument("hunt")
@click.argument("tag_", metavar="relevant|informational", type=click.Choice(["relevant", "informational"]))
@click.option("--past", type=WINDOW, metavar="WINDOW", help="Events of the last WINDOW, such as 7d. Default: all.")
@click.option("--preview", is_flag=True, help="Count what would be tagged, and write nothing.")
@click.option("--comment", default="", help="Why; it is kept with the rule.")
@pace_option
@json_option
@context.use
def tag_events(
    ctx: context.Context,
    /,
    *,
    hunt: str,
    tag_: Tag,
    past: timedelta | None,
    rate: float | None,
    preview: bool,
    comment: str,
    as_json: bool,
) -> None:
    """Tag all past events that HUNT matches, so that every tool that reads them can filter on it.

    Of a hunt that needs more than one event these are the events that take part. An event that several hunts tag is
    relevant if one of them says so. Stopped at any moment and run again, the command goes on where it was. The other
    tag, or the same after the hunt was edited, replaces the rule before. `hunts untag HUNT` undoes it exactly.
    """
    now = datetime.now(UTC)
    found = named_hunt(ctx, hunt)
    rule = rule_of(found, tag_, person(), now, comment)
    since = now - past if past else None
    if preview:
        result = preview_tag(ctx.siem(), ctx.settings, found, rule, since)
    else:
        with _told(found.name) as tell:
            pace = Pace(rate)
            result = tag(ctx.siem(), ctx.settings, found, rule, since=since, pace=pace, progress=tell)
    show(result, table=_tagging_lines, as_json=as_json)
    _leave(result.left)


def _tagging_lines(done: Tagging) -> Printed:
    """Return what tagging did, or would do, in words."""
    of = f"{done.matching:,} events match {done.hunt}"
    if done.preview:
        lines = [f"{of}: {done.tagged:,} would be tagged {done.tag}, {done.already:,} are by this rule already"]
    else:
        lines = [f"{of}: {done.tagged:,} tagged {done.tag} now, {done.already:,} were by this rule already"]
    lines += [f"rule {done.rule}"]
    lines += [f"it {'would replace' if done.preview else 'replaces'} {rule}" for rule in done.replaced]
    if done.untagged:
        lost = "would lose" if done.preview else "lost"
        lines.append(f"{done.untagged:,} events {lost} the rule before, which they do not match any more")
    lines += [f"note: {limit}" for limit in done.limits]
    lines += _failure_lines(done.failures, done.left)
    if not done.preview and done.tagged:
        lines.append(f"{done.seconds:g} s; undo it with: hunts untag {done.hunt}")
    return "\n".join(lines)


@click.command(name="untag")
@click.argument("hunt")
@pace_option
@json_option
@context.use
def untag_events(ctx: context.Context, /, hunt: str, rate: float | None, as_json: bool) -> None:
    """Take HUNT's tag off all events; what other hunts or other products tagged stays as they tagged it."""
    with _told(hunt) as tell:
        now = datetime.now(UTC)
        done = untag(ctx.siem(), ctx.settings, hunt, by=person(), now=now, pace=Pace(rate), progress=tell)
    show(done, table=_untagging_lines, as_json=as_json)
    _leave(done.left)


def _untagging_lines(done: Untagging) -> Printed:
    """Return what untagging did, in words."""
    removed = [f"rule {rule} is removed" for rule in done.rules] or ["no rule of it was active"]
    lines = [f"{done.untagged:,} events of {done.hunt} untagged", *removed]
    return "\n".join([*lines, *_failure_lines(done.failures, done.left)])


@click.command(name="tags")
@json_option
@context.use
def list_tags(ctx: context.Context, /, as_json: bool) -> None:
    """List the rules that tag events, those that were replaced or removed among them."""
    show(stored_rules(ctx.siem(), ctx.settings), table=_rules_table, as_json=as_json)


def _rules_table(rules: tuple[TagRule, ...]) -> Printed:
    """Return the rules as a table."""
    cells = [(r.hunt.name, r.tag, r.status, r.by, r.made, _tagged(r), r.comment, r.id) for r in rules]
    columns = ["hunt", "tag", "status", "by", "made", "tagged", "comment", "rule"]
    return rows(columns, cells) if cells else "no rules yet: `hunts tag HUNT relevant` makes one"


def _tagged(rule: TagRule) -> int:
    """Return how many events a rule has tagged in all."""
    return sum(int(entry.get("tagged", 0)) for entry in rule.history)


def _failure_lines(failures: tuple[Failure, ...], left: int) -> list[str]:
    """Return what could not be written, in words."""
    if not left and not failures:
        return []
    some = [f"  {one.index} {one.id}: {one.reason}" for one in failures[:FAILURES_SHOWN]]
    more = [f"  and {len(failures) - FAILURES_SHOWN} more"] if len(failures) > FAILURES_SHOWN else []
    return [f"{left + len(failures):,} events or indices could not be changed; run the same again:", *some, *more]


@contextmanager
def _told(name: str) -> Iterator[Callable[[Count], None]]:
    """Show how far an update is, for the length of a with statement."""
    with progress() as bar:
        task = bar.add_task(name, total=None)

        def tell(count: Count) -> None:
            """Move the bar."""
            bar.update(task, completed=count.updated + count.noops, total=count.total)

        yield tell


def _leave(left: int) -> None:
    """Leave with 1 if events are left that could not be changed."""
    if left:
        note("not all events could be changed")
        click.get_current_context().exit(1)
