"""Starts a node: a search engine in one process, on loopback, with its data in one folder.

Promises: a node of `running_node` ends with the with statement and with the process that holds it, even if that one is
killed; a node that does not come up is ended, and the error has the last lines it wrote. Will not: listen anywhere but
on 127.0.0.1, or run as root.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from connector.embedded.account import Account, check_reachable, unprivileged_account
from connector.embedded.assemble import assembled
from connector.embedded.download import Progress, no_progress
from connector.embedded.folder import LOOPBACK, Node, NodeFolder
from connector.embedded.java import java_for
from connector.embedded.places import alone_in, cache_folder
from connector.embedded.products import DEFAULT, Distribution, distribution_named
from connector.errors import EngineError

HEAP = "1g"
READY_SECONDS = 120.0
POLL_SECONDS = 0.05
STOP_SECONDS = 40.0
SUPERVISOR = Path(__file__).with_name("supervise.py")
# nothing of the caller's environment reaches the engine: no secrets, and no Java options of another program
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class Start:
    """What is needed to start a node: everything is fetched and checked."""

    engine: Distribution
    folder: NodeFolder
    command: tuple[str, ...]
    home: Path
    account: Account | None


@contextmanager
def running_node(
    *,
    data: Path | None = None,
    port: int = 0,
    heap: str = HEAP,
    distribution: str = DEFAULT,
    progress: Progress = no_progress,
    environ: Mapping[str, str] = os.environ,
) -> Iterator[Node]:
    """Run a node for the length of a with statement, and hand it out when it is ready for work.

    Without `data` it has a folder of its own that is removed at the end; port 0 is any free one. EngineError if it
    cannot be fetched or started.
    """
    folder = NodeFolder(_temporary() if data is None else data)
    try:
        start = prepared(folder, port=port, heap=heap, distribution=distribution, progress=progress, environ=environ)
        process = supervised(start, temporary=data is None)
        try:
            folder.remember(process.pid, start.engine)
            yield ready(process, start)
        finally:
            stop(process)
            folder.forget()
    finally:
        if data is None:
            folder.remove()


def _temporary() -> Path:
    """Return a new folder for a node that is gone afterwards; the engine's account has to enter it."""
    folder = Path(tempfile.mkdtemp(prefix="guided-hunts-"))
    folder.chmod(0o755)
    return folder


def prepared(
    folder: NodeFolder, *, port: int, heap: str, distribution: str, progress: Progress, environ: Mapping[str, str]
) -> Start:
    """Return all that is needed to start a node in the folder; EngineError says what is in the way."""
    engine, account, cache = distribution_named(distribution), unprivileged_account(), cache_folder(environ)
    check_heap(heap)
    check_port(port)
    if (present := folder.alive()) is not None:
        raise EngineError(
            f"{present.engine} runs already in {folder.path} (process {present.pid}): "
            "stop it with `hunts engine stop`, or choose another folder with --data"
        )
    check_reachable(cache / engine.name, account, "set XDG_CACHE_HOME to a folder that is open to it, as /var/cache")
    check_folder(folder, account)
    with alone_in(cache):
        java = java_for(engine, cache, account, environ)
        home = assembled(engine, cache, progress)
    folder.prepare(engine, port, account)
    return Start(engine, folder, command(engine, java.program, home, folder, heap), home, account)


def command(engine: Distribution, java: Path, home: Path, folder: NodeFolder, heap: str) -> tuple[str, ...]:
    """Return the command line that is a node."""
    prefix = engine.property_prefix
    policy = (f"-Djava.security.policy={folder.config / 'java.policy'}",) if engine.permits else ()
    return (
        *(str(java), f"-Xms{heap}", f"-Xmx{heap}", *engine.options, *policy),
        *(f"-Djava.io.tmpdir={folder.tmp}", f"-D{prefix}.path.home={home}", f"-D{prefix}.path.conf={folder.config}"),
        *("-cp", f"{home}/lib/*", engine.main_class),
    )


def check_folder(folder: NodeFolder, account: Account | None) -> None:
    """Raise EngineError if the account that will run the engine cannot get to its folder."""
    check_reachable(folder.indices, account, "choose a folder that is open to it with --data, as one in /var/lib")


def check_heap(heap: str) -> None:
    """Raise EngineError if the heap is not written as Java wants it."""
    if not re.fullmatch(r"[1-9]\d*[mg]", heap):
        raise EngineError(f"the heap {heap!r} is not a size: write it as 512m or 1g")


def check_port(port: int) -> None:
    """Raise EngineError if nothing can listen on the port; 0 is any."""
    if not 0 <= port <= 65535:
        raise EngineError(f"there is no port {port}: choose one from 1 to 65535, or 0 for any free one")
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except PermissionError:
            raise EngineError(f"port {port} is reserved for root: choose one above 1023 with --port") from None
        except OSError:
            raise EngineError(
                f"port {port} on {LOOPBACK} is taken: choose another with --port, or stop what listens there"
            ) from None


def detached(start: Start) -> subprocess.Popen[bytes]:
    """Start a node that goes on when this process ends, and return its process."""
    account = start.account
    with start.folder.output.open("wb") as output:
        try:
            return subprocess.Popen(
                start.command,
                cwd=start.home,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
            )
        except OSError as error:
            became = f" as {account.name}" if account else ""
            raise EngineError(f"{start.command[0]} cannot be started{became}: {error.strerror}") from error


def supervised(start: Start, temporary: bool) -> subprocess.Popen[bytes]:
    """Start a node that ends when this process does, and return its supervisor."""
    order = {
        "command": start.command,
        "cwd": str(start.home),
        "env": ENVIRONMENT,
        "account": [start.account.uid, start.account.gid] if start.account else None,
        "remove": str(start.folder.path) if temporary else None,
    }
    with start.folder.output.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(SUPERVISOR), json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a supervised node by closing the pipe that keeps it alive, and wait for it."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def ready(process: subprocess.Popen[bytes], start: Start, patience: float = READY_SECONDS) -> Node:
    """Return the node once it answers and its indices are there; EngineError if it dies or takes too long."""
    deadline = time.monotonic() + patience
    while not _answers(start.folder):
        if process.poll() is not None:
            raise EngineError(_failure(f"died while starting (exit code {process.returncode})", start))
        if time.monotonic() > deadline:
            raise EngineError(_failure(f"was not ready after {patience:.0f} seconds", start))
        time.sleep(POLL_SECONDS)
    node = start.folder.running()
    if node is None:
        raise EngineError(_failure("ended as soon as it was ready", start))
    return node


def lasting(node: Node) -> None:
    """Return when the node has ended."""
    folder = NodeFolder(node.folder)
    while folder.alive() is not None:
        time.sleep(0.5)


def _answers(folder: NodeFolder) -> bool:
    """Tell whether the node in the folder answers and its indices can be used."""
    port = folder.port()
    if port is None:
        return False
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/_cluster/health?wait_for_status=yellow&timeout=4s")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _failure(what: str, start: Start) -> str:
    """Return the message for a start that failed, with the last lines of the engine's log."""
    said = start.folder.last_words()
    return f"{start.engine.title} {start.engine.version} {what}; its last lines:\n{said}"
