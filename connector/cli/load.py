"""`hunts load FILE…`: EVE files into the search engine, to try hunts on."""

from __future__ import annotations

import click
from rich.progress import TaskID

from connector.cli import context
from connector.cli.output import Printed, json_option, progress, rows, show
from connector.siem.eve import Layout
from connector.siem.load import Loaded, load_files


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@json_option
@context.use
def load(ctx: context.Context, files: tuple[str, ...], as_json: bool) -> None:
    """Load EVE files (JSON lines, plain or gzip; - for standard input) as logstash-<event_type>-YYYY.MM.dd.

    Loading a file again stores nothing twice. A line that is no event, or that the search engine refuses, is stored
    in logstash-rejected with the reason. The exit code is 0 when every line is stored, in either place.
    """
    with progress() as bar:
        tasks: dict[str, TaskID] = {}

        def note(file: str, position: int, size: int | None) -> None:
            """Move the file's bar."""
            if file not in tasks:
                tasks[file] = bar.add_task(file, total=size)
            bar.update(tasks[file], completed=position)

        loaded = load_files(ctx.siem(), files, ctx.settings.prefix, note)
    show(loaded, table=_table, as_json=as_json)


def _table(loaded: Loaded) -> Printed:
    """Return the files as a table, then what needs a word."""
    columns = ("file", "lines", "blank", "stored", "already there", "rejected", "indices by", "seconds")
    cells = [
        (f.file, f.lines, f.blank, f.stored, f.already, f.rejected.total(), f.period, f.seconds) for f in loaded.files
    ]
    words = [f"{sum(f.stored for f in loaded.files):,} events stored, {loaded.events_per_second:,} a second"]
    for file in loaded.files:
        words += [
            f"{count:,} lines of {file.file} are in {Layout().rejected}: {why}" for why, count in file.rejected.items()
        ]
        words += [f"  {example}" for example in file.examples[:5]]
    if loaded.template:
        words.append(f"no template of the SIEM was there for these indices: {loaded.template} is in place")
    return [rows(columns, cells), *words]
