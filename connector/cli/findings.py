"""`hunts findings`: what the passes found."""

from __future__ import annotations

import click

from connector.cli import context
from connector.cli.output import Printed, json_option, rows, show
from connector.cli.running import second
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.passes.listing import LIMIT, Counted, Findings, count_findings, list_findings

SHORT = 8  # characters of an id: `hunts guide` takes the beginning


@click.command()
@click.argument("name", metavar="[HUNT]", required=False)
@click.option("--by", metavar="FIELD", help="Count by the values of a field, such as hunt.client.department.")
@click.option("--events", is_flag=True, help="With --json: the findings' references to events too.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="Findings, newest first.")
@json_option
@context.use
def findings(
    ctx: context.Context, /, *, name: str | None, by: str | None, events: bool, limit: int, as_json: bool
) -> None:
    """List what the passes found: of one HUNT, or of all."""
    catalogue = load_catalogue(ctx.settings)
    hunt = catalogue.named(name) if name else None
    if by:
        show(count_findings(ctx.siem(), ctx.settings, by, hunt), table=_by_table, as_json=as_json)
    else:
        found = list_findings(ctx.siem(), ctx.settings, hunt, limit=limit, events=events)
        show(found, table=_findings_table, as_json=as_json)


def _findings_table(found: Findings) -> Printed:
    """Return the findings as a table, and how many are left out."""
    columns = ("finding", "hunt", "severity", "status", "group", "events", "first", "last", "department or network")
    cells = [
        (
            *(f.id[:SHORT], f.hunt, f.severity, f.status, ", ".join(value or "none" for value in f.group.values())),
            *(f.count, second(f.first), second(f.last), f.department or f.network),
        )
        for f in found.findings
    ]
    if not cells:
        return "no findings: `hunts pass` looks for them"
    more = [f"… and {found.left_out:,} older findings: --limit takes more"] if found.left_out else []
    return [rows(columns, cells), *more]


def _by_table(found: Counted) -> Printed:
    """Return the values as a table."""
    cells = [
        (row.value or "none", row.findings, row.count, second(row.first), second(row.last), row.hunts)
        for row in found.values
    ]
    table = rows((found.field, "findings", "events", "first", "last", "hunts"), cells)
    more = f"{found.cut:,} findings have more values than they keep: they are missing under those"
    return [table, more] if found.cut else table
