"""Processes of this machine by number: is the one that was started still the one that has the number, and end it.

Promises: a number that was given to another process is never taken for ours. Will not: start one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from connector.errors import EngineError

POLL_SECONDS = 0.05


def birth_of(pid: int) -> str | None:
    """Return when the process of that number began, in the system's own notation, or None if there is none.

    From `/proc/PID/stat` (proc(5), field 22), or from `ps` where there is no such file. A zombie has ended.
    """
    if Path("/proc/self/stat").exists():
        try:
            state, *fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:
            return None
        return None if state == "Z" else fields[18]
    said = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return said.stdout.strip() or None


def end(pid: int, birth: str, patience: float) -> None:
    """End the process of that number and birth: asked, then made to after `patience` seconds. EngineError if not."""
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        if _ended_after(number, pid, birth, seconds):
            return
    raise EngineError(f"the process {pid} does not end: look at it with `ps -fp {pid}`")


def _ended_after(number: signal.Signals, pid: int, birth: str, seconds: float) -> bool:
    """Send a signal and tell whether the process ended in that time."""
    if birth_of(pid) != birth:
        return True
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return True
    except PermissionError:
        raise EngineError(
            f"the process {pid} belongs to another account: run this as that account or as root"
        ) from None
    deadline = time.monotonic() + seconds
    while birth_of(pid) == birth:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
