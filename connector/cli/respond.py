"""`hunts tag`, `hunts untag` and `hunts tags`: what a hunt matches, marked on the events themselves."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from connector.cli import context
from connector.cli.catalogue import catalogue_of
from connector.cli.output import Printed, encoded, json_option, note, progress, rows, show
from connector.hunts.catalogue.hunt import Hunt
from connector.respond.tags.conditions import typed
from connector.respond.tags.extent import Extent
from connector.respond.tags.rules import SUPPRESS, Tag, rule_of
from connector.respond.tags.tag_list import Listed, listed_rules
from connector.respond.tags.tagging import Pace, Tagging, Untagging, preview_tag, tag, untag
from connector.settings.durations import duration
from connector.siem.update_task import Count, Failure

FAILURES_SHOWN = 5
TAGS: tuple[Tag, ...] = ("relevant", "informational", SUPPRESS)
EVER = timedelta.max


class Window(click.ParamType[timedelta]):
    """A length of time such as 24h or 7d."""

    name = "window"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the length of time; click's BadParameter if it is none."""
        found = value if isinstance(value, timedelta) else duration(str(value))
        return found if found else self.fail(f"{value!r} is no time: write it as 90s, 10m, 24h or 7d", param, ctx)


class Past(Window):
    """A length of time, or `all` of it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the length of time, EVER for all; click's BadParameter if it is none."""
        return EVER if value == "all" else super().convert(value, param, ctx)


def as_date(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    """Return the date and time of an option in ISO 8601; without a zone in UTC."""
    try:
        moment = datetime.fromisoformat(value) if value else None
    except ValueError:
        form = "write it as 2027-01-31 or 2027-01-31T18:00:00Z"
        raise click.BadParameter(f"{value!r} is no date: {form}") from None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


WINDOW, PAST = Window(), Past()
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
@click.argument("words", nargs=-1, metavar="HUNT relevant|informational|suppress")
@click.option("--where", metavar="CONDITION", help="A condition in place of HUNT: YAML or JSON, as a hunt's match.")
@click.option("--name", help="What to call the CONDITION, to change or untag it by.")
@click.option("--past", type=PAST, metavar="WINDOW", help="Past events of the last WINDOW, such as 7d, or `all`.")
@click.option("--future", is_flag=True, help="Events that come from now on.")
@click.option("--expires", callback=as_date, metavar="DATE", help="Events that come before DATE only, as 2027-01-31.")
@click.option("--preview", is_flag=True, help="Count what would be tagged, and write nothing.")
@click.option("--comment", default="", help="Why; it is kept with the rule.")
@pace_option
@json_option
@context.use
def tag_events(
    ctx: context.Context,
    /,
    *,
    words: tuple[str, ...],
    where: str | None,
    name: str | None,
    rate: float | None,
    preview: bool,
    comment: str,
    as_json: bool,
    **when: Any,
) -> None:
    """Tag all events that HUNT matches, so that every tool that reads them can filter on it.

    \b
        hunts tag public-dns-queries relevant
        hunts tag public-dns-queries informational --past 30d
        hunts tag --where '{src_ip: 192.0.2.7, event_type: dns}' suppress --expires 2027-01-31

    Without --past and --future all past events and all future ones; with one of them only these. Future events have
    the tag as soon as anybody can read them; where only a search can tell (lucene, regex, what is asked of hosts, more
    than one event), the next pass tags them, and this command says so. `suppress` tags nothing: passes leave these
    events out of all findings.

    Of a hunt that needs more than one event these are the events that take part. An event that several hunts tag is
    relevant if one of them says so. Stopped at any moment and run again, the command goes on where it was. Another
    tag, or the same after the hunt was edited, replaces the rule before. `hunts untag HUNT` undoes it exactly.
    """
    hunt, wanted = _asked(ctx, words, where, name)
    now = datetime.now(UTC)
    rule = rule_of(hunt, wanted, person(), now, comment, _extent(now, wanted, **when))
    if preview:
        result = preview_tag(ctx.siem(), ctx.settings, hunt, rule)
    else:
        with _told(hunt.name) as tell:
            result = tag(ctx.siem(), ctx.settings, hunt, rule, pace=Pace(rate), progress=tell)
    show(result, table=_tagging_lines, as_json=as_json)
    _leave(result.left)


def _asked(ctx: context.Context, words: tuple[str, ...], where: str | None, name: str | None) -> tuple[Hunt, Tag]:
    """Return what is to be tagged and how; click's UsageError if the words say neither."""
    *named, last = words or ("",)
    wanted = next((tag for tag in TAGS if tag == last), None)
    if wanted is None or len(named) != (0 if where else 1):
        words_wanted = "a tag, and no hunt beside --where" if where else "a hunt and a tag"
        raise click.UsageError(f"give {words_wanted}: the tags are {', '.join(TAGS)}")
    if name and not where:
        raise click.UsageError("--name is for a condition given with --where: a hunt has its own")
    if not where:
        return named_hunt(ctx, named[0]), wanted
    catalogue = catalogue_of(ctx)
    return typed(where, name, catalogue.lists, catalogue.hunts), wanted


def _extent(now: datetime, wanted: Tag, past: timedelta | None, future: bool, expires: datetime | None) -> Extent:
    """Return which events are meant; click's UsageError if that cannot be."""
    both = past is None and not future
    if wanted == SUPPRESS and not both:
        raise click.UsageError("suppress is for events of any age: leave --past and --future out")
    if expires and past is not None and not future:
        raise click.UsageError("--expires is for future events: add --future")
    since = now - past if past is not None and past != EVER else None
    return Extent.wanted(now, both or past is not None, since, both or future, expires)


def _tagging_lines(done: Tagging) -> Printed:
    """Return what tagging did, or would do, in words."""
    lines = [_matching_line(done), f"rule {done.rule}"]
    lines += [f"it {'would replace' if done.preview else 'replaces'} {rule}" for rule in done.replaced]
    if done.untagged:
        lost = "would lose" if done.preview else "lost"
        lines.append(f"{done.untagged:,} events {lost} the rule before, which they do not match any more")
    lines += [_future_line(done)] if done.extent.future and done.tag != SUPPRESS else []
    lines += [f"it ends on {encoded(done.extent.expires)}"] if done.extent.expires else []
    lines += [f"note: {limit}" for limit in done.limits]
    lines += _failure_lines(done.failures, done.left)
    if not done.preview:
        lines.append(f"{done.seconds:g} s; undo it with: hunts untag {done.hunt}")
    return "\n".join(lines)


def _matching_line(done: Tagging) -> str:
    """Return how many events there are now, and what becomes of them."""
    of = f"{done.matching:,} events match {done.hunt}"
    if done.tag == SUPPRESS:
        leave = "would leave" if done.preview else "leave"
        return f"{of}: they stay, and passes {leave} such events out of all findings"
    if done.preview:
        return f"{of}: {done.tagged:,} would be tagged {done.tag}, {done.already:,} are by this rule already"
    return f"{of}: {done.tagged:,} tagged {done.tag} now, {done.already:,} were by this rule already"


def _future_line(done: Tagging) -> str:
    """Return how future events are tagged."""
    how = f"by the next pass after they come: {done.by_pass}" if done.by_pass else "while they are written"
    return f"future events {'would be' if done.preview else 'are'} tagged {how}"


@click.command(name="untag")
@click.argument("hunt")
@pace_option
@json_option
@context.use
def untag_events(ctx: context.Context, /, hunt: str, rate: float | None, as_json: bool) -> None:
    """Take HUNT's tag off all events, and give it to none that comes; HUNT may be a rule's name or id, too.

    What other hunts or other products tagged stays as they tagged it. What was suppressed is found again from now on.
    """
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
    """List the rules that tag or suppress events: who, when, for how long, and how many events carry each now.

    Those that were replaced or removed are among them. `matched` is what there was when somebody tagged last.
    """
    show(listed_rules(ctx.siem(), ctx.settings, datetime.now(UTC)), table=_rules_table, as_json=as_json)


def _rules_table(rules: tuple[Listed, ...]) -> Printed:
    """Return the rules as a table, and what is to be said of some."""
    if not rules:
        return "no rules yet: `hunts tag HUNT relevant` makes one"
    cells = [
        (r.hunt.name, r.tag, r.status, r.matched, r.tagged, _past(r), r.future, r.extent.expires, r.by, r.made, r.rule)
        for r in rules
    ]
    columns = ("hunt", "tag", "status", "matched", "tagged", "past", "future", "expires", "by", "made", "rule")
    lines = [f"{r.rule}: {r.comment}" for r in rules if r.comment and r.status == "active"]
    lines += [f"{r.rule}: by passes, as {r.by_pass}" for r in rules if r.by_pass]
    waiting = [r.rule for r in rules if not r.settled]
    late = "the next pass looks once more for events that were on their way when these rules changed"
    return [rows(columns, cells), *lines, *([f"{late}: {', '.join(waiting)}"] if waiting else [])]


def _past(rule: Listed) -> str:
    """Return which past events a rule is for."""
    if rule.tag == SUPPRESS or not rule.extent.past:
        return ""
    return f"since {encoded(rule.extent.since)}" if rule.extent.since else "all"


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
