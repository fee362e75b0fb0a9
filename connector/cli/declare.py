"""`hunts declare` and the declarations that come of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from connector.cli import context
from connector.cli.outbox import NOW_ONLY, check_failed, delivery_tables
from connector.cli.output import Printed, cell, json_option, progress, rows, show
from connector.cli.respond import WINDOW, named_hunt, person
from connector.respond.declaration import PHASES, Verdict
from connector.respond.declare import Declared, declare, stored_declaration, stored_declarations
from connector.respond.delivering import World, deliver_for
from connector.respond.outbox import deliveries

Json = dict[str, Any]
SHOWN_EVENTS = 20


@click.command(name="declare")
@click.argument("hunt")
@click.option("--threat", required=True, help="What it is, in a few words; with the asset it names the declaration.")
@click.option("--phase", required=True, type=click.Choice(PHASES), help="How far it is on the kill chain.")
@click.option("--asset", required=True, metavar="FIELD", help="Whom it concerns: a field such as hunt.client.ip.")
@click.option("--explain", default="", help="Why you declare it; receivers are told.")
@click.option("--since", type=WINDOW, metavar="WINDOW", help="Events of the last WINDOW, such as 30d. Default: all.")
@json_option
@context.use
def declare_events(
    ctx: context.Context, /, *, hunt: str, since: timedelta | None, asset: str, as_json: bool, **said: str
) -> None:
    """Declare what HUNT matched: one declaration for each value of the asset's FIELD, with its evidence.

    Done again, it adds new evidence to the same declarations. Each receiver in the settings is told of what is new, at
    once; what does not arrive is sent again by `hunts deliver`. The exit code is 7 if a delivery has failed for good.
    """
    now = datetime.now(UTC)
    found = named_hunt(ctx, hunt)
    verdict = Verdict(said["threat"], said["phase"], asset, person(), said["explain"])
    with progress() as bar:
        task = bar.add_task(found.name, total=None)
        start = now - since if since else None
        done = declare(
            ctx.siem(),
            ctx.settings,
            found,
            verdict,
            since=start,
            now=now,
            progress=lambda events: bar.update(task, completed=events),
        )
    sent = deliver_for(ctx.siem(), ctx.settings, World(), NOW_ONLY)
    show({"declared": done, "deliveries": sent}, table=_declared_tables, as_json=as_json)
    check_failed(sent)


def _declared_tables(result: Json) -> Printed:
    """Return what was declared and delivered as tables."""
    done: Declared = result["declared"]
    words = f"{done.threat}, {done.phase}: {len(done.declarations)} declarations, {done.events:,} events of {done.hunt}"
    cells = [(one.asset, one.department, one.count, one.first, one.last, one.what, one.id) for one in done.declarations]
    columns = [done.asset_field, "department", "events", "first", "last", "", "declaration"]
    parts: list[Any] = [words, rows(columns, cells)]
    if done.without_asset:
        parts.append(f"{done.without_asset:,} events have no {done.asset_field} and are in no declaration")
    parts += [f"note: {limit}" for limit in done.limits]
    return [*parts, *delivery_tables(result["deliveries"])]


@click.command(name="declarations")
@json_option
@context.use
def list_declarations(ctx: context.Context, /, as_json: bool) -> None:
    """List the declarations, the latest first."""
    found = [_summary(id, document) for id, document in stored_declarations(ctx.siem(), ctx.settings)]
    show(found, table=_declarations_table, as_json=as_json)


def _summary(id: str, document: Json) -> Json:
    """Return a declaration without its evidence and history."""
    names = (
        "threat",
        "kind",
        "phase",
        "status",
        "asset",
        "count",
        "first",
        "last",
        "by",
        "made",
        "updated",
        "revision",
    )
    return {"id": id, **{name: document[name] for name in names}, "hunts": [hunt["name"] for hunt in document["hunts"]]}


def _declarations_table(found: list[Json]) -> Printed:
    """Return declarations as a table."""
    columns = ["threat", "asset", "department", "phase", "status", "events", "first", "last", "hunts", "declaration"]
    cells = [
        (
            one["threat"],
            one["asset"]["value"],
            one["asset"]["department"],
            *(one[name] for name in ("phase", "status", "count", "first", "last", "hunts", "id")),
        )
        for one in found
    ]
    return rows(columns, cells) if cells else "no declarations yet: `hunts declare` makes them"


@click.command(name="declaration")
@click.argument("id")
@json_option
@context.use
def show_declaration(ctx: context.Context, /, id: str, as_json: bool) -> None:
    """Show one declaration with its evidence, history and deliveries."""
    document = stored_declaration(ctx.siem(), ctx.settings, id)
    sent = deliveries(ctx.siem(), ctx.settings, id)
    show({"id": id, **document, "deliveries": sent}, table=_declaration_page, as_json=as_json)


def _declaration_page(found: Json) -> Printed:
    """Return a declaration as text and tables."""
    asset = found["asset"]
    facts = [
        ("threat", found["threat"]),
        ("asset", f"{asset['value']} ({asset['field']})"),
        ("department", asset["department"]),
        *((name, found[name]) for name in ("kind", "phase", "status", "explanation", "count", "first", "last")),
        ("declared", f"{found['made']} by {found['by']}, revision {found['revision']} of {found['updated']}"),
    ]
    parts: list[Any] = [f"declaration {found['id']}", *(f"{name}: {cell(value)}" for name, value in facts), ""]
    for item in found["evidence"].values():
        parts += _evidence_tables(item)
    history = [[entry[name] for name in ("at", "what", "by", "hunt", "phase", "count")] for entry in found["history"]]
    parts.append(rows(["at", "what", "by", "hunt", "phase", "events"], history, "history"))
    return [*parts, *delivery_tables(found["deliveries"])]


def _evidence_tables(item: Json) -> list[Any]:
    """Return the evidence of one hunt as tables."""
    name = item["hunt"]["title"]
    fields = list(dict.fromkeys(key for event in item["references"] for key in event["shown"]))
    cells = [[event["time"], *(event["shown"].get(key) for key in fields)] for event in item["references"]]
    groups = [[*group["values"].values(), group["count"]] for group in item["groups"]]
    heads = list(item["groups"][0]["values"]) if item["groups"] else []
    left = item["events_left_out"] + max(len(cells) - SHOWN_EVENTS, 0)
    tables = [
        rows([*heads, "events"], groups, f"{name}: {item['count']:,} events"),
        rows(["time", *fields], cells[:SHOWN_EVENTS], "events"),
    ]
    return [*tables, f"{left:,} more events are not shown; --json has those that are kept"] if left else tables
