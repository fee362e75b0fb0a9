"""`hunts declarations` and `hunts declaration`: what was declared, and what people decide about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from connector.cli import context
from connector.cli.outbox import NOW_ONLY, check_failed, delivery_tables
from connector.cli.output import Printed, cell, json_option, rows, show
from connector.cli.respond import WINDOW, person
from connector.respond.declarations.deciding import WHATS, Decision, What, decide
from connector.respond.declarations.declaration import KINDS, PHASES, STATUSES
from connector.respond.declarations.declare import stored_declaration, stored_declarations
from connector.respond.declarations.declare_rules import DeclareRule, declare_rules
from connector.respond.declarations.wanted import Wanted
from connector.respond.deliveries.delivering import World, deliver_for
from connector.respond.deliveries.outbox import Delivery, deliveries

Json = dict[str, Any]
SHOWN_EVENTS = 20
OPEN = ("new", "assigned")
LISTED = (
    *("threat", "family", "kind", "phase", "status", "assigned", "asset", "offender", "count", "first", "last"),
    *("by", "made", "updated", "revision"),
)


@click.command(name="declarations")
@click.option("--status", "statuses", multiple=True, type=click.Choice(STATUSES), help="With this status; repeatable.")
@click.option("--open", "is_open", is_flag=True, help="New or assigned.")
@click.option("--threat", metavar="TEXT", help="With TEXT in the threat.")
@click.option("--family", metavar="NAME", help="Of this family.")
@click.option("--kind", type=click.Choice(KINDS), help="Of this kind.")
@click.option("--phase", type=click.Choice(PHASES), help="In this phase.")
@click.option("--asset", metavar="VALUE", help="Of this address, user or mail address.")
@click.option("--offender", metavar="VALUE", help="With this on the other side.")
@click.option("--department", metavar="NAME", help="Of this department.")
@click.option("--assigned", metavar="NAME", help="That this person has.")
@click.option("--hunt", metavar="NAME", help="With evidence of this hunt.")
@click.option("--since", type=WINDOW, metavar="WINDOW", help="Last seen within WINDOW, such as 7d.")
@click.option("--rules", is_flag=True, help="List the rules that declare later events instead.")
@json_option
@context.use
def list_declarations(
    ctx: context.Context,
    /,
    *,
    statuses: tuple[str, ...],
    is_open: bool,
    since: timedelta | None,
    rules: bool,
    as_json: bool,
    **wanted: str | None,
) -> None:
    """List the declarations, the latest first; all, or those that have everything that is asked for."""
    if rules:
        show(declare_rules(ctx.siem(), ctx.settings), table=_rules_table, as_json=as_json)
        return
    start = datetime.now(UTC) - since if since else None
    asked = Wanted(statuses=(*statuses, *(OPEN if is_open else ())), since=start, **wanted)
    found = [_summary(id, document) for id, document in stored_declarations(ctx.siem(), ctx.settings, asked)]
    none = "no declarations yet: `hunts declare` makes them" if asked == Wanted() else "no declaration has all of that"
    show(found, table=lambda those: _declarations_table(those) if those else none, as_json=as_json)


def _summary(id: str, document: Json) -> Json:
    """Return a declaration without its evidence and history."""
    hunts = [hunt["name"] for hunt in document["hunts"]]
    return {"id": id, **{name: document[name] for name in LISTED}, "hunts": hunts}


def _declarations_table(found: list[Json]) -> Printed:
    """Return declarations as a table."""
    names = ("phase", "status", "assigned", "count", "first", "last", "hunts", "id")
    columns = ["threat", "asset", "department", *names[:3], "events", "first", "last", "hunts", "declaration"]
    cells = [
        (one["threat"], one["asset"]["value"], one["asset"]["department"], *(one[name] for name in names))
        for one in found
    ]
    return rows(columns, cells)


def _rules_table(found: tuple[DeclareRule, ...]) -> Printed:
    """Return the rules that declare later events as a table."""
    columns = ["hunt", "threat", "phase", "asset", "since", "status", "by", "made", "rule"]
    cells = [
        (
            *(rule.hunt.name, rule.verdict.threat, rule.verdict.phase, rule.verdict.asset_field),
            *(rule.since, rule.status, rule.verdict.by, rule.made, rule.id),
        )
        for rule in found
    ]
    return rows(columns, cells) if cells else "no rules yet: `hunts declare HUNT --future` makes one"


@click.command(name="declaration")
@click.argument("id")
@click.argument("what", required=False, type=click.Choice(WHATS), metavar="[status|assign|phase|comment]")
@click.argument("value", required=False, default="")
@click.option("--comment", default="", help="Why; it is kept in the history.")
@json_option
@context.use
def show_declaration(
    ctx: context.Context, /, *, id: str, what: What | None, value: str, comment: str, as_json: bool
) -> None:
    """Show one declaration with its evidence, history and deliveries; or decide something about it.

    A decision is kept in the history with who, when and why. Receivers are told of all but comments, at once. The exit
    code is 7 if a delivery has failed for good.

    \b
    hunts declaration ID
    hunts declaration ID assign ana
    hunts declaration ID phase actions_on_objectives --comment "it copies files now"
    hunts declaration ID status fixed --comment "reinstalled, ticket 4711"
    hunts declaration ID comment "the user was on holiday that week"

    A status is new, assigned, fixed or false-positive. When the hunt finds more of what is fixed, it is new again; more
    of a false positive is noted, and nobody is told.
    """
    sent: tuple[Delivery, ...] = ()
    if what:
        words = {"comment": comment or value} if what == "comment" else {"comment": comment}
        decision = Decision(what, "" if what == "comment" else value, person(), **words)
        decide(ctx.siem(), ctx.settings, id, decision, datetime.now(UTC))
        sent = deliver_for(ctx.siem(), ctx.settings, World(), NOW_ONLY)
    document = stored_declaration(ctx.siem(), ctx.settings, id)
    of_this = deliveries(ctx.siem(), ctx.settings, id)
    show({"id": id, **document, "deliveries": of_this}, table=_declaration_page, as_json=as_json)
    check_failed(sent)


def _declaration_page(found: Json) -> Printed:
    """Return a declaration as text and tables."""
    asset, offender = found["asset"], found["offender"]
    other = f"{cell(offender['value'])} ({cell(offender['field'])})" if offender["value"] else None
    status = f"{found['status']}, {found['assigned']} has it" if found["assigned"] else found["status"]
    facts = [
        ("threat", found["threat"]),
        ("family", found["family"]),
        ("asset", f"{asset['value']} ({asset['kind']}, {asset['field']})"),
        ("department", asset["department"]),
        ("offender", other),
        ("status", status),
        *((name, found[name]) for name in ("kind", "phase", "explanation", "count", "first", "last")),
        ("declared", f"{found['made']} by {found['by']}, revision {found['revision']} of {found['updated']}"),
    ]
    parts: list[Any] = [f"declaration {found['id']}", *(f"{name}: {cell(value)}" for name, value in facts if value), ""]
    if found["reputation"]:
        known = [[one["value"], one["verdict"], one["words"]] for one in found["reputation"]]
        parts.append(rows(["value", "verdict", "what is known"], known, "reputation"))
    for item in found["evidence"].values():
        parts += _evidence_tables(item)
    columns = ["at", "what", "by", "hunt", "phase", "events", "comment"]
    parts.append(rows(columns, [_entry_cells(entry) for entry in found["history"]], "history"))
    return [*parts, *delivery_tables(found["deliveries"])]


def _entry_cells(entry: Json) -> list[Any]:
    """Return an entry of the history as cells."""
    what = entry["what"]
    if what == "reopened":
        what = "reopened, as there is more"
    elif "value" in entry:
        what = f"{what} {entry['value']}" + (f" (was {entry['from']})" if entry.get("from") else "")
    elif "times" in entry:
        what = f"{what}, {entry['times']} times since {entry['since']}"
    return [entry["at"], what, *(entry.get(name) for name in ("by", "hunt", "phase", "count", "comment"))]


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
