"""`hunts settings check|show` and `hunts init`: the operator's settings, looked at and started."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from connector.cli import context
from connector.cli.output import Printed, json_option, plain, rows, show
from connector.errors import ContentError
from connector.settings.load import settings_file
from connector.settings.start import start_files
from connector.settings.view import Check, checked, shown

RECEIVER = ["name", "kind", "host", "events", "messages_per_minute", "secret", "authorization", "template"]


@click.group()
def settings() -> None:
    """Check and show the settings."""


@settings.command()
@json_option
@context.use
def check(ctx: context.Context, as_json: bool) -> None:
    """Say what is wrong in the settings, all of it at once."""
    try:
        show(checked(ctx.settings, datetime.now(UTC).date()), table=_check_table, as_json=as_json)
    except ContentError as error:
        if not as_json:
            raise
        file = settings_file(ctx.settings_file)
        show(Check(str(file) if file else None, error.problems), table=_check_table, as_json=True)
        click.get_current_context().exit(error.exit_code)


def _check_table(found: Check) -> Printed:
    """Return the check as lines."""
    counts = ", ".join(f"{name} {count}" for name, count in (found.counts or {}).items())
    lines = [f"{found.file or 'no settings file: the built-in example'}: no problems ({counts})"]
    if found.other_roles:
        lines.append(f"roles that no hunt we ship knows: {', '.join(found.other_roles)}")
    if found.ended:
        lines.append(f"exceptions that have ended: {found.ended}")
    return "\n".join(lines)


@settings.command(name="show")
@json_option
@context.use
def show_settings(ctx: context.Context, as_json: bool) -> None:
    """Print the settings in force; a secret only as set or not set."""
    show(shown(ctx.settings), table=_settings_tables, as_json=as_json)


def _settings_tables(found: dict[str, Any]) -> Printed:
    """Return the settings as one table a topic; topics with nothing in them are left out."""
    siem = found["siem"]
    top = [("file", found["file"] or "none"), ("prefix", found["prefix"]), ("queries", found["queries"])]
    top += [(f"siem {name}", value) for name, value in siem.items()]
    top += [(f"{part} {name}", value) for part in ("reputation", "service") for name, value in found[part].items()]
    top += [(f"evidence {name}", getattr(found["evidence"], name)) for name in ("filestore", "captures")]
    tables: list[Any] = [
        rows(["setting", "value"], top),
        _of("sources", ["pattern", "dialect", "time_field"], found["sources"]),
        _of(f"networks of {plain(found['organisation'])}", ["path", "cidrs", "department", "role"], found["networks"]),
        _of("approved resolvers", ["name", "addresses", "upstreams", "may_recurse"], found["approved"]),
        _of("exceptions", ["client", "resolver", "protocol", "until", "owner", "reason"], found["exceptions"]),
        _of("receivers", RECEIVER, found["receivers"]),
        _of("links", ["name", "of", "url"], found["links"]),
    ]
    return [table for table in tables if table.row_count]


def _of(title: str, names: list[str], values: Any) -> Any:
    """Return a table of values, one a row, with the named attributes or keys as columns."""
    cells = [[value[name] if isinstance(value, dict) else getattr(value, name) for name in names] for value in values]
    return rows([name.replace("_", " ") for name in names], cells, title)


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@json_option
def init(folder: Path, as_json: bool) -> None:
    """Write commented settings files to start from into FOLDER (default: here)."""
    show({"written": start_files(folder)}, table=_written, as_json=as_json)


def _written(result: dict[str, list[Path]]) -> Printed:
    """Return the files written, and what comes next."""
    *_, last = result["written"]
    files = [f"wrote {plain(path, limit=None)}" for path in result["written"]]
    return "\n".join([*files, f"edit them, then: hunts --settings {plain(last.with_name('hunts.yml'))} settings check"])
