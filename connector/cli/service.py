"""`hunts serve` runs by itself; `hunts status`, `hunts gaps` and `hunts replay` show and mend what it does."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from connector.cli import context
from connector.cli.output import Printed, json_option, note, rows, show
from connector.cli.running import as_moment, leave_if, pass_tables, second, selected, tell_problems, told
from connector.hunts.asking.questions import Json
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.passes.audit import replay as hunts_again
from connector.hunts.passes.passes import EPOCH, Order
from connector.respond.outcomes import pass_and_outcomes
from connector.service.health import Health, HealthServer
from connector.service.logs import log_to
from connector.service.metrics import Metrics
from connector.service.reload import Watched
from connector.service.serve import Service, Stopped
from connector.service.status import Gap, HuntStatus, Status, active_service, gaps, status

ALL = "all"
FEW = 6  # hunts named
MILLISECOND = timedelta(milliseconds=1)
PRINTED = 20  # hunts that are well, in the table
SHORTEST_SILENCE = timedelta(minutes=5)
MANY_TURNS = 10  # without a sign of life, or behind: then something is wrong


@click.command()
@context.use
def serve(ctx: context.Context, /) -> None:
    """Make passes, audits and deliveries by itself, until it is stopped.

    Start it on as many machines as you like: one is active, the others stand by and take over. It writes a line of JSON
    (ECS) for whatever it does to stderr, and answers /metrics, /healthz and /readyz at the address of service.listen.
    Files of hunts and settings may be edited while it runs. SIGTERM and Ctrl-C stop it at once: nothing is lost.
    """
    watched = Watched(ctx.settings_file)
    settings = watched.loaded.settings.service
    logger, metrics = log_to(sys.stderr), Metrics()
    late = MANY_TURNS * settings.every
    health = Health(beats_within=max(late, SHORTEST_SILENCE), watermark_within=settings.lag + late)
    service = Service(watched, ctx.connect, logger, metrics, health, threading.Event())
    with ExitStack() as around:
        if settings.listen:
            around.enter_context(HealthServer(settings.listen, health, metrics.registry, logger))
        around.enter_context(_stopping(service))
        service.run()


@contextmanager
def _stopping(service: Service) -> Iterator[None]:
    """Have SIGTERM and Ctrl-C stop the service for the length of a with statement, and end the statement quietly."""

    def stop(*_: object) -> None:
        """Stop at once; whoever asks again waits for that."""
        for one in asked:
            signal.signal(one, signal.SIG_IGN)
        service.stop.set()
        raise Stopped

    asked = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(one, stop) for one in asked]
    with suppress(Stopped):
        yield
    for one, handler in zip(asked, before, strict=True):
        signal.signal(one, handler)


@click.command(name="status")
@json_option
@context.use
def show_status(ctx: context.Context, /, as_json: bool) -> None:
    """Show the service, the last passes, what the lag must cover, and how each hunt is.

    The exit code is 1 if a hunt fails or a file is broken.
    """
    catalogue = load_catalogue(ctx.settings)
    found = status(ctx.siem(), ctx.settings, catalogue.active, map(str, catalogue.problems), datetime.now(UTC))
    show(found, table=_status_tables, as_json=as_json)
    leave_if(bool(found.failing or found.problems))


def _status_tables(found: Status) -> Printed:
    """Return the service, passes, delays, broken files and hunts, those in trouble first."""
    parts: list[Any] = [_service_line(found), _watermark_line(found), *_gap_line(found), *_delay_lines(found)]
    bare = f"{found.not_enriched:,} events of the last day are not enriched, so no pass sees them"
    parts += [f"{bare}: `hunts backfill --since 1d`"] if found.not_enriched else []
    parts += [f"broken: {problem}" for problem in found.problems]
    parts += ["a service that runs goes on with what it read of them before"] if found.problems else []
    columns = ("last passes", "kind", "from", "to", "events", "hits", "seconds", "failed")
    parts += [rows(columns, map(_pass_row, found.passes))] if found.passes else []
    return [*parts, *_hunt_tables(found.hunts, len(found.failing))]


def _pass_row(entry: Json) -> tuple[object, ...]:
    """Return the cells of one pass, as the ledger has it."""
    times = (second(entry["started"]), entry["pass"], second(_of(entry["from"])), second(_of(entry["to"])))
    failed = ", ".join(error["hunt"] for error in entry["errors"])
    return (*times, entry["events"], entry["hits"], entry["took_ms"] / 1000, failed)


def _hunt_tables(hunts: Sequence[HuntStatus], failing: int) -> list[Any]:
    """Return the hunts that fail and those that had most when last asked, and how the others are."""
    ordered = sorted(hunts, key=lambda hunt: (not hunt.error, -hunt.hits, hunt.name))
    shown = [hunt for hunt in ordered if hunt.error or hunt.hits][: max(PRINTED, failing)]
    others = ordered[len(shown) :]
    columns = ("hunt", "last asked", "has looked up to", "behind", "hits", "new", "seconds", "trouble")
    counts = {
        "are well": sum(1 for hunt in others if hunt.asked and not hunt.trouble),
        "may find nothing, as fields or lists of theirs are not there": sum(1 for hunt in others if hunt.trouble),
        "were not asked yet": sum(1 for hunt in others if not hunt.asked),
    }
    lines = [
        f"{number} {'more ' * bool(shown)}hunts {how}: --json has them" for how, number in counts.items() if number
    ]
    return [*([rows(columns, map(_hunt_row, shown))] if shown else []), *lines]


def _of(milliseconds: int) -> datetime:
    """Return epoch milliseconds of the ledger as a moment."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def _hunt_row(hunt: HuntStatus) -> tuple[object, ...]:
    """Return the cells of one hunt."""
    times = (second(hunt.asked), second(hunt.upto), _time(hunt.behind_s))
    return (hunt.name, *times, hunt.hits, hunt.new, hunt.took_ms / 1000, hunt.error or hunt.trouble)


def _service_line(found: Status) -> str:
    """Return which service is active."""
    one = found.service
    if one is None:
        return "no service is active: `hunts serve` starts one"
    renewed = f"it renewed its lease {_time((found.now - one.renewed).total_seconds())} ago"
    where = f"process {one.pid} on {one.host} ({one.version}), active since {second(one.since)}"
    return f"{where}: {renewed}" + (", which is too long: it is gone, or cannot reach the SIEM" if one.silent else "")


def _watermark_line(found: Status) -> str:
    """Return up to when passes have come."""
    if found.watermark is None or found.age_s is None:
        return "no pass was made yet"
    return f"passes have come to {second(found.watermark)}, {_time(found.age_s)} ago"


def _gap_line(found: Status) -> list[str]:
    """Return a line on what hunts have not looked at, if there is any."""
    names = {name for gap in found.gaps for name in gap.hunts}
    longest = max((gap.end - gap.start for gap in found.gaps), default=timedelta()).total_seconds()
    return [f"{len(names)} hunts have not looked at up to {_time(longest)}: `hunts gaps` says why"] if names else []


def _delay_lines(found: Status) -> list[str]:
    """Return what the lag must cover, as measured."""
    delays, parts = found.delays, []
    if delays.refresh:
        parts.append(f"refresh {delays.refresh.interval:g} s ({delays.refresh.index or 'nothing was written lately'})")
    if delays.bulks and (delays.bulks.average or delays.bulks.under_way):
        parts.append(f"bulks {max(delays.bulks.average or 0, delays.bulks.under_way or 0):.2f} s")
    if delays.clocks:
        clocks = delays.clocks
        parts.append(f"clocks of nodes {clocks.behind:.2f} s behind to {clocks.ahead:.2f} s ahead of this one")
    enough = "covers" if found.lag_s >= delays.needed else "is too short for"
    line = f"the lag of {found.lag_s:g} s {enough} the {delays.needed:.2f} s measured: {', '.join(parts)}"
    return [line, *delays.notes]


def _time(seconds: float) -> str:
    """Return a time as people say it."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


@click.command(name="gaps")
@json_option
@context.use
def show_gaps(ctx: context.Context, /, as_json: bool) -> None:
    """List the times that hunts have not looked at, though they should have, and why.

    A service works on them by itself, and so does `hunts pass`; a hunt that fails has to be mended first.
    """
    catalogue = load_catalogue(ctx.settings)
    tell_problems(catalogue)
    found = gaps(ctx.siem(), ctx.settings, catalogue.active, bool(catalogue.problems), datetime.now(UTC))
    show(found, table=_gap_tables, as_json=as_json)


def _gap_tables(found: Sequence[Gap]) -> Printed:
    """Return the gaps as a table."""
    if not found:
        return "no gaps: every hunt has looked at all that its schedule asks for"
    cells = [
        (second(gap.start), second(gap.end), _time((gap.end - gap.start).total_seconds()), _named(gap.hunts), gap.why)
        for gap in found
    ]
    return rows(("after", "until", "long", "hunts", "why"), cells)


def _named(names: Sequence[str]) -> str:
    """Return a few names, and how many more there are."""
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more


@click.command(name="replay")
@click.argument("names", nargs=-1)
@click.option("--from", "start", callback=as_moment, metavar="WHEN", required=True, help="As 2026-11-02T09:00:00Z.")
@click.option("--to", "end", callback=as_moment, metavar="WHEN", help="Default: as far as passes have come.")
@json_option
@context.use
def replay(
    ctx: context.Context, /, names: tuple[str, ...], start: datetime, end: datetime | None, as_json: bool
) -> None:
    """Have hunts look at a time again, or for the first time; NAMES are hunts, without any all of them.

    The time is when events came into the SIEM (hunt.ingested). Each event still counts once: what was found in that
    time is found anew in its place. A service does it in its next turn; without one it is done here.
    """
    catalogue = load_catalogue(ctx.settings)
    hunts = selected(catalogue, names or (ALL,))
    siem, now = ctx.siem(), datetime.now(UTC)
    stretch = ((start - EPOCH) // MILLISECOND, ((end or now) - EPOCH) // MILLISECOND)
    whole = [_of(moment) for moment in hunts_again(siem, ctx.settings, hunts, stretch, now)]
    note(f"{len(hunts)} hunts look again at {second(whole[0])} to {second(whole[1])}")
    active = active_service(siem, ctx.settings, now)
    if active and not active.silent:
        note(f"process {active.pid} on {active.host} does it in its next turns: `hunts gaps` shows what is left")
        return
    order = Order(catalogue.active, ctx.settings.service.lag, broken=bool(catalogue.problems))
    with told() as telling:
        done = pass_and_outcomes(siem, ctx.settings, order, lambda: datetime.now(UTC), telling)
    result = {"passes": done.passes, "outcomes": done.outcomes, "tags": done.tags, "deliveries": ()}
    show(result, table=pass_tables, as_json=as_json)
    leave_if(done.failed)
