"""`hunts tables refresh`: the enrichment's tables, built anew and compared."""

from __future__ import annotations

import click

from connector.cli import context
from connector.cli.output import Printed, json_option, rows, show
from connector.enrich.refresh import Refreshed, refresh_tables

SHOWN = 200


@click.group()
def tables() -> None:
    """Work with the tables the enrichment looks things up in: suffixes, resolvers, networks, policy."""


@tables.command()
@click.option("--dry-run", is_flag=True, help="Only print the difference.")
@json_option
@context.use
def refresh(ctx: context.Context, dry_run: bool, as_json: bool) -> None:
    """Build the tables anew from the installed lists and your files, print the difference, put them into the SIEM.

    Newer suffixes come with a newer publicsuffixlist (pip install -U publicsuffixlist), newer resolvers with a newer
    guided-hunts. Events enriched before keep the old answers until `hunts backfill`.
    """
    show(refresh_tables(ctx.siem(), ctx.settings, write=not dry_run), table=_table, as_json=as_json)


def _table(result: Refreshed) -> Printed:
    """Return the changes, bounded, and one line of what was done."""
    if not result.changes:
        return f"the tables in the SIEM are up to date ({result.after})"
    shown = rows(("table", "key", "change"), [(c.table, c.key, c.change) for c in result.changes[:SHOWN]])
    left = len(result.changes) - SHOWN
    more = [f"and {left:,} more changes: --json prints all"] if left > 0 else []
    done = (
        "the SIEM has the new tables; `hunts backfill` enriches older events"
        if result.written
        else "nothing was changed"
    )
    return [shown, *more, f"{result.before} → {result.after}: {done}"]
