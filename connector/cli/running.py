"""`hunts run` and `hunts pass`: hunts asked once, and all hunts asked of what is new."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.progress import TaskID

from connector.cli import context
from connector.cli.lookup import of_declarations
from connector.cli.outbox import NOW_ONLY, check_failed, delivery_tables
from connector.cli.output import Printed, encoded, json_option, note, progress, rows, show
from connector.hunts.asking.run import LIMIT, HuntRun, Run, Span, run_hunts
from connector.hunts.catalogue.catalogue import Catalogue, load_catalogue
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.passes.listing import about
from connector.hunts.passes.passes import HuntPass, Order, Pass
from connector.respond.deliveries.delivering import World, deliver_for
from connector.respond.outcomes import HuntOutcome, pass_and_outcomes
from connector.respond.reputation.of_declarations import told as looked_up
from connector.respond.tags.keeping import Kept
from connector.service.status import check_no_service
from connector.settings.durations import duration_or_zero

ALL = "all"
FEW = 5  # hunts that are told of one by one, whatever they found
NAMED = 6  # hunts named for one reason
PRINTED = 30  # rows of a table of groups or events; the other forms have all
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_duration(_: click.Context, __: click.Parameter, value: str | None) -> timedelta | None:
    """Return the time that an option such as 10m means; 0s is none."""
    found = duration_or_zero(value or "")
    if value is not None and found is None:
        raise click.BadParameter(f"{value!r} is no time: write it as 90s, 10m, 24h or 7d")
    return found


def as_moment(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    """Return the date and time of an option in ISO 8601; without a zone in UTC."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        form = "write it as 2026-11-02 or 2026-11-02T09:00:00Z"
        raise click.BadParameter(f"{value!r} is no date and time: {form}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.command()
@click.argument("names", nargs=-1, required=True)
@click.option(
    "--since", callback=as_duration, metavar="TIME", help="Events of the last TIME, such as 24h (the default)."
)
@click.option(
    "--from", "start", callback=as_moment, metavar="WHEN", help="Events from WHEN on, as 2026-11-02T09:00:00Z."
)
@click.option("--to", "end", callback=as_moment, metavar="WHEN", help="Events before WHEN.")
@click.option("--all-time", is_flag=True, help="Events of any time.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="Groups and events a hunt.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the events as CSV.")
@json_option
@context.use
def run(ctx: context.Context, /, names: tuple[str, ...], limit: int, as_csv: bool, as_json: bool, **when: Any) -> None:
    """Ask hunts once of the events of a time; NAMES are names, titles or ids, or `all`.

    Nothing is written. The exit code is 1 if a hunt failed. In CSV a value that a spreadsheet would take for a formula
    has an apostrophe in front.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv and --json are two forms: choose one")
    span = _span(datetime.now(UTC), **when)
    catalogue = load_catalogue(ctx.settings)
    hunts = selected(catalogue, names)
    with told() as telling:
        result = run_hunts(ctx.siem(), ctx.settings, hunts, span, progress=telling, limit=limit)
    if as_csv:
        click.echo(_csv(hunts, result), nl=False)
    else:
        show(result, table=_run_tables, as_json=as_json)
    leave_if(result.failed)


def _span(now: datetime, since: timedelta | None, start: datetime | None, end: datetime | None, all_time: bool) -> Span:
    """Return the time to look at; click's UsageError if the options contradict each other."""
    if sum((since is not None, start is not None or end is not None, all_time)) > 1:
        raise click.UsageError("choose one of --since, --from with --to, and --all-time")
    if all_time or start or end:
        return Span(start, end)
    return Span(now - (since or timedelta(hours=24)), None)


def selected(catalogue: Catalogue, names: Sequence[str]) -> tuple[Hunt, ...]:
    """Return the hunts of these names; `all` are those that are not deprecated. Refused if there is no such hunt."""
    tell_problems(catalogue)
    if ALL in names:
        return catalogue.active
    return tuple({hunt.id: hunt for hunt in map(catalogue.named, names)}.values())


def tell_problems(catalogue: Catalogue) -> None:
    """Say which files of hunts are broken and left out."""
    for problem in catalogue.problems:
        note(f"left out: {problem}")


@contextmanager
def told() -> Iterator[Callable[[str, int, int], None]]:
    """Show how far each hunt is, for the length of a with statement."""
    with progress() as bar:
        tasks: dict[str, TaskID] = {}

        def tell(name: str, done: int, of: int) -> None:
            """Move the hunt's bar."""
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=of)
            bar.update(tasks[name], completed=done)

        yield tell


def leave_if(failed: bool) -> None:
    """Leave with exit code 1 if a hunt failed."""
    if failed:
        click.get_current_context().exit(1)


def _run_tables(result: Run) -> Printed:
    """Return an overview, the groups of each hunt that found something, and of a single hunt its events."""
    columns = ("hunt", "severity", "result", "events that match", "in findings", "findings")
    few = len(result.hunts) <= FEW
    cells = [
        (h.name, h.severity, h.error or h.status, h.matching, h.hits, len(h.groups) + h.groups_left_out)
        for h in result.hunts
        if few or h.groups or h.error
    ]
    parts: list[Any] = [rows(columns, cells), f"of {result.events:,} events"]
    parts += [] if few else _by_reason((h.status, h.name) for h in result.hunts if not h.groups and not h.error)
    if not result.events:
        parts.append("no event lies in that time: --since, --from and --to choose another, --all-time looks at all")
    for hunt in result.hunts:
        limits = hunt.limits if few or hunt.groups else ()
        parts += [*_groups_table(hunt), *(f"{hunt.name}: {limit}" for limit in limits)]
    return [*parts, *(_events_table(result.hunts[0]) if len(result.hunts) == 1 else ())]


def _by_reason(hunts: Iterable[tuple[str, str]]) -> list[str]:
    """Return a line for each reason with the hunts it is true of; they come as reason and name."""
    named: dict[str, list[str]] = {}
    for reason, name in hunts:
        named.setdefault(reason, []).append(name)
    lines = []
    for reason, names in sorted(named.items(), key=lambda one: -len(one[1])):
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        lines.append(f"{reason}: {', '.join(names[:NAMED])}{more}")
    return lines


def _groups_table(hunt: HuntRun) -> list[Any]:
    """Return the largest groups of a hunt and how many more there are; nothing if there are none."""
    if not hunt.groups:
        return []
    names = list(hunt.groups[0].group)
    cells = [
        (
            *group.group.values(),
            group.count,
            second(group.first),
            second(group.last),
            about(group.group, group.values, "department"),
        )
        for group in hunt.groups[:PRINTED]
    ]
    table = rows((*names, "events", "first", "last", "department"), cells, hunt.title)
    return [table, *_more(len(hunt.groups) + hunt.groups_left_out, len(cells), "findings")]


def _events_table(hunt: HuntRun) -> list[Any]:
    """Return the newest events of a hunt and how many more there are; nothing if there are none."""
    if not hunt.events:
        return []
    newest = hunt.events[-PRINTED:]
    names = list(dict.fromkeys(name for event in newest for name in event.shown))
    cells = [(second(event.time), *(event.shown.get(name) for name in names)) for event in newest]
    return [rows(("time", *names), cells, "events"), *_more(hunt.hits, len(cells), "events, older ones")]


def second(moment: datetime | str | None) -> str | None:
    """Return a moment to the second, as people read it."""
    return f"{encoded(moment)[:19]}Z" if moment else None


def _more(number: int, printed: int, what: str) -> list[str]:
    """Return a line that says how many are not printed; nothing if all are."""
    return [f"… and {number - printed:,} more {what}: --json and --csv have them"] if number > printed else []


def _csv(hunts: Sequence[Hunt], result: Run) -> str:
    """Return all events as CSV: hunt, index, id, time and the fields of the hunts."""
    names = list(dict.fromkeys(name for hunt in hunts for name in hunt.fields))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("hunt", "index", "id", "time", *names))
    for hunt in result.hunts:
        for event in hunt.events:
            shown = (event.shown.get(name) for name in names)
            writer.writerow(map(_csv_cell, (hunt.name, event.index, event.id, event.time, *shown)))
        if hunt.events_left_out:
            note(f"{hunt.name}: {hunt.events_left_out:,} older events are left out: --limit takes more")
        if hunt.error or not hunt.hits:
            note(f"{hunt.name}: {hunt.error or hunt.status}")
    return text.getvalue()


def _csv_cell(value: object) -> str:
    """Return a value as CSV text; a spreadsheet would run what begins like a formula, so that gets an apostrophe."""
    found = encoded(value)
    text = "; ".join(map(str, found)) if isinstance(found, list) else "" if found is None else str(found)
    return f"'{text}" if text.startswith(FORMULA) else text


@click.command(name="pass")
@click.option(
    "--lag", callback=as_duration, metavar="TIME", help="Leave events of the last TIME to the next pass. [service.lag]"
)
@click.option(
    "--since", callback=as_duration, metavar="TIME", help="The first pass begins TIME ago, not at the oldest event."
)
@json_option
@context.use
def pass_(ctx: context.Context, lag: timedelta | None, since: timedelta | None, as_json: bool) -> None:
    """Ask all hunts of the events that came since the last pass, and write findings.

    Then hunts with an outcome tag and declare what they found, and receivers are told of that, and of findings that are
    new if their settings say so. A pass that was stopped is done again first. With --lag 0s events of this moment are
    included, if the engine shows them already. The exit code is 1 if a hunt or an outcome failed: the next pass does it
    again.
    """
    catalogue = load_catalogue(ctx.settings)
    tell_problems(catalogue)
    check_no_service(ctx.siem(), ctx.settings, _now())
    lag = ctx.settings.service.lag if lag is None else lag
    order = Order(catalogue.active, lag, since, broken=bool(catalogue.problems))
    with told() as telling:
        done = pass_and_outcomes(ctx.siem(), ctx.settings, order, _now, telling)
    declares = any(hunt.outcome.threat for hunt in order.hunts) or any(each.threat for each in done.outcomes)
    tells = any("finding" in receiver.events for receiver in ctx.settings.receivers)
    sent = deliver_for(ctx.siem(), ctx.settings, World(), NOW_ONLY) if declares or tells else ()
    known = of_declarations(ctx)
    of_pass = {"passes": done.passes, "outcomes": done.outcomes, "tags": done.tags, "deliveries": sent}
    result = {**of_pass, "reputation": [one.document for one in known]}
    show(result, table=lambda of: [*pass_tables(of), *([looked_up(known)] if known else [])], as_json=as_json)
    leave_if(done.failed)
    check_failed(sent)


def _now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def pass_tables(result: dict[str, Any]) -> list[Any]:
    """Return what each pass did: a line, and the hunts that found something; then what keeps hunts quiet, once."""
    parts: list[Any] = []
    for each in result["passes"]:
        parts.append(_pass_line(each))
        cells = [
            (h.name, h.severity, h.matching, h.hits, h.findings, h.new, h.error or h.trouble)
            for h in each.hunts
            if _has_row(h)
        ]
        columns = ("hunt", "severity", "events that match", "in findings", "findings", "new", "trouble")
        parts += [rows(columns, cells)] if cells else []
        if few := sum(1 for h in each.hunts if h.matching and not _has_row(h)):
            parts.append(f"{few} more hunts have events that match and do not make a finding: --json has them")
    parts += dict.fromkeys(note for each in result["passes"] for note in each.notes)
    hunts = [hunt for each in result["passes"] for hunt in each.hunts]
    parts += _by_reason(dict.fromkeys((h.trouble, h.name) for h in hunts if h.trouble and not _has_row(h)))
    told = (*_outcome_tables(result["outcomes"]), *_tag_tables(result.get("tags", ())))
    return [*parts, *told, *delivery_tables(result["deliveries"])]


def _has_row(hunt: HuntPass) -> bool:
    """Tell whether a hunt of a pass has a row of its own: it found something, or failed."""
    return bool(hunt.hits or hunt.error)


def _tag_tables(kept: Sequence[Kept]) -> list[Any]:
    """Return what was due for tag rules as a table, or nothing."""
    cells = [(one.hunt, one.tag, one.why, one.tagged, one.untagged, one.error) for one in kept]
    columns = ("tag rule of", "tag", "why", "events tagged", "untagged", "trouble")
    return [rows(columns, cells)] if cells else []


def _outcome_tables(outcomes: Sequence[HuntOutcome]) -> list[Any]:
    """Return what outcomes did as a table, or nothing."""
    cells = [(o.name, o.tag, o.tagged, o.threat, o.declared, o.updated, o.error or o.left) for o in outcomes]
    columns = ("outcome of", "tag", "events tagged", "threat", "declared", "updated", "trouble")
    return [rows(columns, cells)] if cells else []


def _pass_line(done: Pass) -> str:
    """Return a pass in one line."""
    if done.start is None or done.end is None:
        return "no event is enriched yet: nothing to do"
    if done.start == done.end:
        return f"nothing new since {encoded(done.end)}"
    again = ", begun by a pass that did not end" if done.redone else ""
    return f"{encoded(done.start)} to {encoded(done.end)}{again}: {done.events:,} events, {len(done.hunts)} hunts"
