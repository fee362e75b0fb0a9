"""`hunts report`: what a finding or a declaration comes to, as one page that stands alone, or as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from connector.cli import context
from connector.cli.output import Printed, encoded, json_option, plain, show
from connector.respond.evidence.frozen import evidence_of
from connector.respond.evidence.subject import subject_of
from connector.respond.report.build import report_of
from connector.respond.report.model import Report
from connector.respond.report.page import page

STDOUT = Path("-")
DIGITS = 12  # of an id in the name of a file


@dataclass(frozen=True)
class Written:
    """Where a report was written, how large it is, and what it says in a few words."""

    file: str
    bytes: int
    what: str
    severity: str
    steps: int
    todo: tuple[str, ...]


@click.command(name="report")
@click.argument("subject", metavar="ID")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write, - for stdout. Default: report-ID.html in this folder, stdout for --json.",
)
@json_option
@context.use
def report(ctx: context.Context, /, *, subject: str, out: Path | None, as_json: bool) -> None:
    """Write the incident report of a finding, a declaration or an event.

    ID is the id of a finding or a declaration, or as much of its beginning as no other has; an event is INDEX/ID. The
    report is one HTML file that needs no network and has no script: what, who, when and how bad, a timeline, the thread
    of all findings on the same host, what to do next, the evidence, the answers of the hunt's guide, and what was
    decided. It prints as it is. With --json the same report is one JSON object, with all events of its evidence.

    Nothing is written into the SIEM. A file of that name is written over.
    """
    now = datetime.now(UTC)
    wanted = subject_of(ctx.siem(), ctx.settings, subject)
    found = report_of(ctx.siem(), ctx.settings, evidence_of(ctx.siem(), ctx.settings, wanted, now), now)
    if as_json and out is None:
        show(found, table=lambda _: "", as_json=True)
        return
    text = json.dumps(encoded(found), indent=2, allow_nan=False) + "\n" if as_json else page(found)
    if out == STDOUT:
        sys.stdout.write(text)
        return
    file = out or Path(f"report-{_name(found)}.html")
    file.write_text(text, encoding="utf-8")
    show(_written(found, file, len(text.encode())), table=_lines, as_json=False)


def _name(found: Report) -> str:
    """Return what the file of a report is named by: of an event, whose id is anything, its letters and digits."""
    return (
        "".join(char for char in found.id.rpartition("/")[2] if char.isascii() and char.isalnum())[:DIGITS] or "event"
    )


def _written(found: Report, file: Path, size: int) -> Written:
    """Return what was written."""
    todo = tuple(one.do for one in found.todo)
    return Written(str(file), size, found.title, found.summary.severity, len(found.thread.steps), todo)


def _lines(done: Written) -> Printed:
    """Return what was written in words."""
    grave = f", the gravest {done.severity}" if done.severity else ""
    lines = [f"{plain(done.what)}: {done.steps} steps{grave}", *(f"  to do: {plain(one)}" for one in done.todo)]
    return "\n".join([*lines, f"written to {done.file} ({done.bytes:,} bytes)"])
