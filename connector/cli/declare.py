"""`hunts declare` and `hunts undeclare`: what a hunt matched becomes declarations, now and from now on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from connector.cli import context
from connector.cli.lookup import of_declarations
from connector.cli.outbox import NOW_ONLY, check_failed, delivery_tables
from connector.cli.output import Printed, json_option, progress, rows, show
from connector.cli.respond import WINDOW, named_hunt, person
from connector.hunts.catalogue.hunt import Kind
from connector.respond.declarations.declaration import KINDS, PHASES, Verdict
from connector.respond.declarations.declare import Declared, declare
from connector.respond.declarations.declare_rules import DeclareRule, stop
from connector.respond.deliveries.delivering import World, deliver_for
from connector.respond.reputation.of_declarations import told

Json = dict[str, Any]


@click.command(name="declare")
@click.argument("hunt")
@click.option("--threat", required=True, help="What it is, in a few words; with the asset it names the declaration.")
@click.option("--family", default="", help="What the threat belongs to. Default: the family of the hunt.")
@click.option("--phase", required=True, type=click.Choice(PHASES), help="How far it is on the kill chain.")
@click.option("--kind", type=click.Choice(KINDS), help="A compromise or a violation of policy. Default: as the hunts.")
@click.option("--asset", required=True, metavar="FIELD", help="Whom it concerns: an address, user or mail field.")
@click.option("--offender", default="", metavar="FIELD", help="The other side. Default: that of the asset's field.")
@click.option("--explain", default="", help="Why you declare it; receivers are told.")
@click.option("--since", type=WINDOW, metavar="WINDOW", help="Events of the last WINDOW, such as 30d. Default: all.")
@click.option("--future", is_flag=True, help="Declare later events, too, until `hunts undeclare`.")
@json_option
@context.use
def declare_events(
    ctx: context.Context,
    /,
    *,
    hunt: str,
    since: timedelta | None,
    asset: str,
    kind: Kind | None,
    future: bool,
    as_json: bool,
    **said: str,
) -> None:
    """Declare what HUNT matched: one declaration for each value of the asset's FIELD, with its evidence.

    Done again, it adds new evidence to the same declarations. With --future each pass does it again when the hunt has
    found more; there need not be events yet. More of what was fixed opens it again; more of a false positive is noted,
    and nobody is told. Each receiver in the settings is told of what is new, at once; what does not arrive is sent
    again by `hunts deliver`. The exit code is 7 if a delivery has failed for good.

    \b
    hunts declare dns-tunnel-txt --threat "DNS tunnel" --phase command_and_control --asset hunt.client.ip --future
    """
    now = datetime.now(UTC)
    found = named_hunt(ctx, hunt)
    verdict = Verdict(
        threat=said["threat"],
        phase=said["phase"],
        asset_field=asset,
        by=person(),
        explanation=said["explain"],
        family=said["family"],
        kind=kind,
        offender_field=said["offender"],
        future=future,
    )
    with progress() as bar:
        task = bar.add_task(found.name, total=None)
        done = declare(
            ctx.siem(),
            ctx.settings,
            found,
            verdict,
            since=now - since if since else None,
            now=now,
            progress=lambda events: bar.update(task, completed=events),
        )
    sent = deliver_for(ctx.siem(), ctx.settings, World(), NOW_ONLY)
    known = of_declarations(ctx)
    result = {"declared": done, "deliveries": sent, "reputation": [one.document for one in known]}
    show(result, table=lambda of: [*_declared_tables(of), *([told(known)] if known else [])], as_json=as_json)
    check_failed(sent)


def _declared_tables(result: Json) -> list[Any]:
    """Return what was declared and delivered as tables."""
    done: Declared = result["declared"]
    words = f"{done.threat}, {done.phase}: {len(done.declarations)} declarations, {done.events:,} events of {done.hunt}"
    cells = [
        (one.asset, one.department, one.count, one.first, one.last, one.status, one.what, one.id)
        for one in done.declarations
    ]
    columns = [done.asset_field, "department", "events", "first", "last", "status", "", "declaration"]
    parts: list[Any] = [words, *([rows(columns, cells)] if cells else [])]
    if done.without_asset:
        parts.append(f"{done.without_asset:,} events have no {done.asset_field} and are in no declaration")
    if done.rule:
        parts.append(f"later events are declared, too, by the rule {done.rule}, until: hunts undeclare {done.hunt}")
    parts += [f"note: {limit}" for limit in done.limits]
    return [*parts, *delivery_tables(result["deliveries"])]


@click.command(name="undeclare")
@click.argument("hunt")
@click.option("--threat", help="Only the rule of this threat. Default: all of the hunt.")
@json_option
@context.use
def undeclare(ctx: context.Context, /, hunt: str, threat: str | None, as_json: bool) -> None:
    """Stop declaring later events of HUNT, as `hunts declare --future` began it.

    The declarations stay as they are: close one with `hunts declaration ID status fixed` or `false-positive`. What the
    file of a hunt declares by its `outcome` ends when that is taken out of the file.
    """
    stopped = stop(ctx.siem(), ctx.settings, hunt, threat, by=person(), now=datetime.now(UTC))
    show(stopped, table=_stopped_lines, as_json=as_json)


def _stopped_lines(stopped: tuple[DeclareRule, ...]) -> Printed:
    """Return which rules were stopped."""
    lines = [
        f"later events of {rule.hunt.name} are not declared as {rule.verdict.threat!r} any more (rule {rule.id})"
        for rule in stopped
    ]
    return lines or ["no rule of it was active"]
