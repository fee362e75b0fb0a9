"""`hunts host` and `hunts hosts`: who is behind an address, and the hosts behind a hunt's findings."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from connector.cli import context
from connector.cli.output import Printed, cell, json_option, note, plain, rows, show
from connector.cli.respond import WINDOW
from connector.cli.running import FORMULA, second
from connector.hosts.attributes import ATTRIBUTES, NUMBERS
from connector.hosts.build import Built, Order, build
from connector.hosts.listing import LIMIT, Host, Row, Rows, list_hosts, profile
from connector.hosts.shape import at
from connector.hunts.catalogue.catalogue import load_catalogue

SHOWN = 8  # values of a list in a table
SEEN = ("first_seen", "last_seen")


class _Hosts(click.Group):
    """A group that lists hosts unless the first word is one of its commands."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Return what is left of the arguments, `list` put before those that name no command."""
        named = bool(args) and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["list", *args])


@click.group(cls=_Hosts)
def hosts() -> None:
    """List hosts, or those that fit every FILTER: `hunts hosts [FILTER]...` is short for `hunts hosts list`.

    A FILTER is `attribute=value` (with * for anything), `attribute>=number`, `<=`, or the beginning of a name, user,
    role or department, or an address or a network. docs/hosts.md lists the attributes.
    """


@hosts.command(name="list")
@click.argument("filters", metavar="[FILTER]...", nargs=-1)
@click.option("--of", "hunt", metavar="HUNT", help="Hosts behind the findings of this hunt.")
@click.option("--since", type=WINDOW, metavar="WINDOW", help="Seen within WINDOW, such as 7d.")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, help="Hosts, last seen first.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the hosts as CSV.")
@json_option
@context.use
def list_(
    ctx: context.Context,
    /,
    *,
    filters: tuple[str, ...],
    hunt: str | None,
    since: timedelta | None,
    limit: int,
    as_csv: bool,
    as_json: bool,
) -> None:
    """List hosts, last seen first: all, or those that fit every FILTER.

    \b
    hunts hosts "domain controller"
    hunts hosts services.port=3389 --since 7d
    hunts hosts tls.ja4=t13d1515h2_8daaf6152771_de4a06bb82e3
    hunts hosts "services_count>=10" 10.10.0.0/16
    hunts hosts --of public-dns-queries
    """
    if as_csv and as_json:
        raise click.UsageError("--csv and --json are two forms: choose one")
    of = load_catalogue(ctx.settings).named(hunt) if hunt else None
    start = datetime.now(UTC) - since if since else None
    found = list_hosts(ctx.siem(), ctx.settings, filters, of=of, since=start, limit=limit)
    if as_csv:
        click.echo(_csv(found.hosts), nl=False)
    else:
        show(found, table=_hosts_table, as_json=as_json)


@hosts.command(name="build")
@click.option(
    "--since", type=WINDOW, metavar="WINDOW", help="Also events that came within WINDOW and are done already."
)
@click.option("--lag", type=WINDOW, default="60s", show_default=True, help="Events younger than that wait.")
@json_option
@context.use
def build_(ctx: context.Context, /, *, since: timedelta | None, lag: timedelta, as_json: bool) -> None:
    """Build profiles from the events that came since the last time; at first from all, or from those since WINDOW.

    The service does so after each pass. Stopped at any moment and run again, the profiles are the same.
    """
    now = datetime.now(UTC)
    order = Order(lag, since=now - since if since else None)

    def tell(done: Built) -> None:
        """Say how far it is, now and then."""
        if done.windows % 50 == 0:
            note(f"{done.windows} windows, up to {second(done.watermark)}")

    show(build(ctx.siem(), ctx.settings, order, now, tell), table=_built, as_json=as_json)


@click.command(name="host")
@click.argument("ip", metavar="IP")
@json_option
@context.use
def show_host(ctx: context.Context, /, *, ip: str, as_json: bool) -> None:
    """Show who is behind an address: names, users, roles, services, clients, findings, changes."""
    show(profile(ctx.siem(), ctx.settings, ip), table=_host_tables, as_json=as_json)


def _built(done: Built) -> str:
    """Return what was built as a line."""
    if done.windows == 0:
        return "nothing new: profiles are up to date"
    hosts_done = f"{done.hosts:,} profiles updated, {done.new:,} of them new"
    return f"{done.windows:,} windows up to {second(done.watermark)}: {hosts_done}"


def _hosts_table(found: Rows) -> Printed:
    """Return hosts as a table, and how many are left out."""
    if not found.hosts:
        return "no such hosts: `hunts hosts build` builds profiles, `hunts hosts --help` says how to filter"
    counted = any(row.findings is not None for row in found.hosts)
    columns = ("ip", "name", "user", "role", "department", "resolver", "service", "last seen")
    cells = [
        (
            *(row.ip, row.name, _few(row.user), _few(row.role), _few(row.department), _few(row.resolver)),
            *(_few(row.service), second(row.last_seen)),
            *((row.findings, row.hits) if counted else ()),
        )
        for row in found.hosts
    ]
    more = [f"… and {found.left_out:,} more hosts: --limit takes more"] if found.left_out else []
    return [rows((*columns, *(("findings", "events") if counted else ())), cells), *more]


def _host_tables(host: Host) -> Printed:
    """Return a profile as tables."""
    own = host.host_id
    lists = [
        (path, at(own, f"{path}_count"), _few([_entry(entry) for entry in entries]), *_span(entries))
        for path in ("roles", *(a.path for a in ATTRIBUTES if not a.path.startswith("services")))
        if (entries := at(own, path))
    ]
    services = [
        (f"{one['proto']}/{one['port']}", _few([_entry(value) for value in one["values"]]), *_span(one["values"]))
        for one in own["services"]
    ]
    numbers = [(path, at(own, path)) for path in dict.fromkeys(n.path for n in NUMBERS) if at(own, path)]
    found = [(f["hunt"]["name"], f["hunt"]["severity"], f["status"], f["count"], *_times(f)) for f in host.findings]
    declared = [(d["threat"], d["phase"], d["status"], d["count"], *_times(d)) for d in host.declarations]
    changes = [(one["what"], one["value"], second(one["time"])) for one in host.changes]
    seen = f"seen {second(own.get('first_seen'))} to {second(own.get('last_seen'))}"
    parts: list[Any] = [plain(f"{host.ip}: {seen}"), rows(("attribute", "number", "values", "first", "last"), lists)]
    tables = (
        (("service", "seen there", "first", "last"), services, "services"),
        (("number", "value"), numbers, "numbers"),
        (("hunt", "severity", "status", "events", "first", "last"), found, "findings"),
        (("threat", "phase", "status", "events", "first", "last"), declared, "declarations"),
        (("what", "value", "since"), changes, "changes"),
    )
    return [*parts, *(rows(columns, cells, title) for columns, cells, title in tables if cells)]


def _entry(entry: Mapping[str, Any]) -> str:
    """Return an entry of a list as text, without its times."""
    first, *others = (cell(value) for key, value in entry.items() if key not in (*SEEN, "rule"))
    others = [text for text in others if text]
    return f"{first} ({'; '.join(others)})" if others else first


def _few(values: Sequence[str]) -> str:
    """Return the first values, and how many more there are."""
    more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return ", ".join(values[:SHOWN]) + more


def _span(entries: Sequence[Mapping[str, Any]]) -> tuple[str | None, str | None]:
    """Return the first and the last time of entries."""
    return second(min(one["first_seen"] for one in entries)), second(max(one["last_seen"] for one in entries))


def _times(found: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the first and the last time of a finding or a declaration."""
    return second(found["first"]), second(found["last"])


def _csv(found: Sequence[Row]) -> str:
    """Return hosts as CSV; a value that a spreadsheet would take for a formula has a quote before it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([field.name for field in fields(Row)])
    for row in found:
        values = [cell(value) for value in asdict(row).values()]
        writer.writerow([f"'{value}" if value.startswith(FORMULA) else value for value in values])
    return text.getvalue()
