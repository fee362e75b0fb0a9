"""The node that goes on when the command that started it has ended: `hunts engine start`, `stop` and `status`.

Promises: one node a folder; it runs until it is stopped or the machine is; one that died is told from one that runs, by
number and birth of its process. Will not: start it again by itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from connector.embedded.account import unprivileged_account
from connector.embedded.download import Progress, no_progress
from connector.embedded.folder import Node, NodeFolder
from connector.embedded.node import HEAP, check_folder, detached, prepared, ready
from connector.embedded.places import alone_in, data_folder
from connector.embedded.process import end
from connector.embedded.products import DEFAULT
from connector.errors import EngineError

PORT = 9200
STOP_SECONDS = 30.0


@dataclass(frozen=True)
class Status:
    """What runs in a folder, if anything does, and what there is to say about it."""

    running: bool
    folder: Path
    log: Path
    node: Node | None
    remark: str


def started(
    *,
    data: Path | None = None,
    port: int = PORT,
    heap: str = HEAP,
    distribution: str = DEFAULT,
    progress: Progress = no_progress,
    environ: Mapping[str, str] = os.environ,
) -> Status:
    """Start a node that goes on, and return its status when it is ready; the same node if it runs there already.

    EngineError if it cannot be fetched or started, or if another one runs in the folder.
    """
    folder = NodeFolder(data or data_folder(environ))
    check_folder(folder, unprivileged_account())
    folder.claim()
    with alone_in(folder.path):
        present = folder.running()
        if present is not None and (present.port, present.engine) == (port, distribution):
            return _status(folder, present, "it was running already")
        start = prepared(folder, port=port, heap=heap, distribution=distribution, progress=progress, environ=environ)
        process, node = detached(start), None
        try:
            folder.remember(process.pid, start.engine)
            node = ready(process, start)
        finally:
            if node is None:
                process.kill()
                process.wait()
    return _status(folder, node, "it goes on until `hunts engine stop`")


def status(data: Path | None = None, environ: Mapping[str, str] = os.environ) -> Status:
    """Return what runs in the folder."""
    folder = NodeFolder(data or data_folder(environ))
    node = folder.running()
    if node is not None:
        return _status(folder, node, "")
    if (alive := folder.alive()) is not None:
        return _status(folder, None, f"one is starting, or hangs: process {alive.pid}")
    if (last := folder.last()) is not None:
        return _status(folder, None, f"the one started at {last.since:%Y-%m-%d %H:%M} UTC has ended, see its log")
    return _status(folder, None, "no engine is running here")


def stopped(data: Path | None = None, environ: Mapping[str, str] = os.environ) -> Status:
    """Stop the node in the folder and return the status after it; EngineError if it does not end or is not ours."""
    folder = NodeFolder(data or data_folder(environ))
    alive = folder.alive()
    if alive is None:
        remark = status(data, environ).remark
    else:
        end(alive.pid, alive.birth, STOP_SECONDS)
        remark = "stopped"
    try:
        folder.forget()
    except PermissionError as error:
        raise EngineError(f"{folder.path} belongs to another account: run this as that account or as root") from error
    return _status(folder, None, remark)


def _status(folder: NodeFolder, node: Node | None, remark: str) -> Status:
    """Return the status of a folder."""
    return Status(node is not None, folder.path, folder.output, node, remark)
