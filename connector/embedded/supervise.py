"""Stands between a node and the process it belongs to: when that process is gone, however it went, so is the node.

A program of its own, started by path with the standard library only: `supervise.py ORDER`, the order in JSON, standard
input a pipe whose other end the owner holds. Promises: the node ends when that pipe closes or when this process is
asked to end, and a temporary folder is removed after an owner that is gone. Will not: import the package, or start
anything again.
"""

import json
import select
import shutil
import signal
import subprocess
import sys
from typing import Any

PATIENCE_SECONDS = 20
POLL_SECONDS = 0.2


def supervised(order: dict[str, Any]) -> int:
    """Run the order's command until it ends or its owner does; return its exit code (128 + signal if by one).

    `command`, `cwd`, `env` and `account` (uid and gid, or null) are the node's, `remove` is a folder or null.
    """
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    account: dict[str, Any] = {}
    if order["account"]:
        account = {"user": order["account"][0], "group": order["account"][1], "extra_groups": []}
    node = subprocess.Popen(order["command"], cwd=order["cwd"], env=order["env"], stdin=subprocess.DEVNULL, **account)
    owner_is_gone = False
    while node.poll() is None and not asked and not owner_is_gone:
        owner_is_gone = _pipe_is_closed()
    _end(node)
    if owner_is_gone and order["remove"]:
        shutil.rmtree(order["remove"], ignore_errors=True)
    return node.returncode if node.returncode >= 0 else 128 - node.returncode


def _pipe_is_closed() -> bool:
    """Wait a moment and tell whether the owner's end of the pipe is closed."""
    readable, _, _ = select.select([sys.stdin], [], [], POLL_SECONDS)
    return bool(readable)


def _end(node: subprocess.Popen[bytes]) -> None:
    """End the node: asked first, made to after a while."""
    node.terminate()
    try:
        node.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        node.kill()
        node.wait()


if __name__ == "__main__":
    sys.exit(supervised(json.loads(sys.argv[1])))
