"""How a result is printed: one serialisable object, as a table for people or as JSON for programs.

Promises: `show` is the only way a command prints its result; whatever text an event brings reaches the terminal as
plain text (see `safe.py`), because the one console here reads no markup and escapes every string. Will not: compute.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from connector.cli.safe import plain

__all__ = ["console", "encoded", "json_option", "note", "plain", "progress", "rows", "show"]

T = TypeVar("T")
Printed = RenderableType | Sequence[RenderableType]
WIDE = 200
AS_TEXT = (IPv4Address, IPv6Address, IPv4Network, IPv6Network, Path)

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


class _Console(Console):
    """A console to which every string is plain text: no markup, no emoji names, no control characters."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the string as text, its control characters shown as escapes."""
        return super().render_str(plain(text, limit=None, lines=True), **options)


def console(err: bool = False) -> Console:
    """Return a console on stdout (or stderr); where it is no terminal lines are cut late, for `grep` and files."""
    file = sys.stderr if err else sys.stdout
    width = None if file.isatty() or "COLUMNS" in os.environ else WIDE
    return _Console(file=file, width=width, markup=False, emoji=False, highlight=False)


def show(result: T, *, table: Callable[[T], Printed], as_json: bool) -> None:
    """Print a result on stdout: as JSON, or as what `table` makes of it (text, a `rows` table, or a list of them)."""
    if as_json:
        click.echo(json.dumps(encoded(result), indent=2, allow_nan=False))
        return
    printed = table(result)
    out = console()
    parts = printed if isinstance(printed, Sequence) and not isinstance(printed, str) else [printed]
    for index, part in enumerate(parts):
        if index and isinstance(part, Table):
            out.print()
        out.print(part)


def rows(columns: Sequence[str], cells: Iterable[Sequence[object]], title: str | None = None) -> Table:
    """Return a table of plain cells; numbers stand right, None is empty, dates are ISO 8601 in UTC."""
    body = [list(row) for row in cells]
    heading = Text(plain(title), style="bold", no_wrap=True, overflow="ignore") if title else None
    table = Table(title=heading, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, name in enumerate(columns):
        numeric = bool(body) and all(type(row[index]) in (int, float) for row in body)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in body:
        table.add_row(*map(cell, row))
    return table


def cell(value: object) -> str:
    """Return a value as one plain line: lists with commas, yes and no, dates as in JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return plain(", ".join(str(encoded(item)) for item in value))
    return plain(encoded(value))


def note(text: object) -> None:
    """Print a line for the person at the terminal, on stderr: what is being done, what comes next."""
    click.echo(plain(text, limit=2000, lines=True), err=True)


def progress() -> Progress:
    """Return a progress display on stderr, to use in a with statement; nothing is drawn where stderr is no terminal."""
    out = console(err=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=out, transient=True, disable=not out.is_terminal)


def encoded(value: object) -> Any:
    """Return the value in JSON's own types: dates ISO 8601 in UTC, addresses and paths as text, sets in order.

    TypeError for what has no such form, a date and time without time zone among them.
    """
    if value is None or (isinstance(value, bool | int | float | str) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return encoded(value.value)
    if isinstance(value, datetime):
        return _utc(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, AS_TEXT):
        return str(value)
    return _encoded_many(value)


def _encoded_many(value: object) -> Any:
    """Return what holds other values, encoded."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encoded(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(encoded(key)): encoded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encoded(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(encoded, value), key=str)
    raise TypeError(f"a result cannot hold a {type(value).__name__}")


def _utc(moment: datetime) -> str:
    """Return the moment as ISO 8601 in UTC, with a Z."""
    if moment.tzinfo is None:
        raise TypeError(f"the time {moment} has no time zone")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
