"""`hunts engine start|stop|status`: a search engine on this machine, for trying the hunts out."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from connector.cli.output import Printed, json_option, note, progress, rows, show
from connector.embedded import background
from connector.embedded.download import Progress
from connector.embedded.node import HEAP, lasting, running_node
from connector.embedded.places import data_folder
from connector.embedded.products import DEFAULT, DISTRIBUTIONS

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Folder for its data, log and state. Without it: {data_folder()}.",
)


@click.group()
def engine() -> None:
    """Start and stop a search engine on this machine, for trying things out.

    It listens on 127.0.0.1 only and asks for no password. Its files are downloaded at the first start.
    """


@engine.command()
@click.option("--port", default=background.PORT, show_default=True, help="Port on 127.0.0.1; 0 is any free one.")
@click.option("--heap", default=HEAP, show_default=True, help="Memory for it, as 512m or 1g.")
@click.option(
    "--distribution", type=click.Choice(list(DISTRIBUTIONS)), default=DEFAULT, show_default=True, help="Which engine."
)
@click.option("--foreground", is_flag=True, help="Stay here; it stops with Ctrl-C or with this process.")
@data_option
@json_option
def start(*, port: int, heap: str, distribution: str, foreground: bool, data: Path | None, as_json: bool) -> None:
    """Start the engine; it goes on until `hunts engine stop`, and starts again with the data it had."""
    wanted: dict[str, Any] = {"data": data, "port": port, "heap": heap, "distribution": distribution}
    note(f"starting {distribution}")
    if foreground:
        _stay(wanted, as_json)
        return
    with download_bar() as fetching:
        found = background.started(**wanted, progress=fetching)
    show(found, table=_table, as_json=as_json)


@engine.command()
@data_option
@json_option
def stop(data: Path | None, as_json: bool) -> None:
    """Stop the engine; its data stays."""
    show(background.stopped(data), table=_table, as_json=as_json)


@engine.command()
@data_option
@json_option
def status(data: Path | None, as_json: bool) -> None:
    """Say whether the engine runs, and where."""
    show(background.status(data), table=_table, as_json=as_json)


@contextmanager
def download_bar() -> Iterator[Progress]:
    """Hand out a function to tell a download's progress to; the bar is drawn at the first call, in megabytes."""
    with progress() as display:
        yield _drawing(display.add_task, display.update)


def _drawing(add: Callable[..., Any], update: Callable[..., None]) -> Progress:
    """Return the function that draws: the first call makes the bar."""
    tasks: list[Any] = []

    def draw(done: int, total: int) -> None:
        if not tasks:
            tasks.append(add("fetching the engine (MB)", total=total >> 20))
        update(tasks[0], completed=done >> 20)

    return draw


def _stay(wanted: dict[str, Any], as_json: bool) -> None:
    """Run the engine until Ctrl-C or until it is stopped from elsewhere."""
    folder = wanted["data"] or data_folder()
    with download_bar() as fetching, running_node(**wanted | {"data": folder}, progress=fetching) as node:
        show(background.status(folder), table=_table, as_json=as_json)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins with it ignored
        note("Ctrl-C stops it")
        try:
            lasting(node)
        except KeyboardInterrupt:
            note("stopping")


def _table(found: background.Status) -> Printed:
    """Return a status as a table."""
    cells: list[tuple[str, object]] = [("running", found.running)]
    if found.node is not None:
        node = found.node
        cells += [("url", node.url), ("engine", node.engine), ("process", str(node.pid)), ("since", node.since)]
    cells += [("data", found.folder), ("log", found.log)]
    if found.remark:
        cells.append(("remark", found.remark))
    return rows(["", ""], cells)
