"""Where the embedded engine keeps things: assembled engines in a cache folder, its data in a data folder.

Promises: the XDG base directories; for root the system's own (`/var/cache`, `/var/lib`), because the engine then runs
as an account that cannot enter root's home. Will not: know what is in them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from connector.errors import EngineError

NAME = "guided-hunts"
MARGIN = 16 << 20


def cache_folder(environ: Mapping[str, str] = os.environ, root: bool | None = None) -> Path:
    """Return the folder for what can be fetched again: `$XDG_CACHE_HOME`, `~/.cache` or `/var/cache`."""
    return _base(environ, "XDG_CACHE_HOME", ".cache", "/var/cache", root)


def data_folder(environ: Mapping[str, str] = os.environ, root: bool | None = None) -> Path:
    """Return the folder of the one node that is started without `--data`: its indices, log and state file."""
    return _base(environ, "XDG_DATA_HOME", ".local/share", "/var/lib", root) / "node"


def _base(environ: Mapping[str, str], variable: str, below_home: str, for_root: str, root: bool | None) -> Path:
    """Return our folder below the base directory; a relative one in the variable is ignored, as XDG says."""
    if Path(environ.get(variable, "")).is_absolute():
        return Path(environ[variable]) / NAME
    if os.geteuid() == 0 if root is None else root:
        return Path(for_root) / NAME
    return Path(environ.get("HOME") or Path.home()) / below_home / NAME


@contextmanager
def writing_below(folder: Path) -> Iterator[None]:
    """Turn what the system says about a folder (full, read only, not ours) into an EngineError that names it."""
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        raise EngineError(
            f"{where}: {error.strerror or error}: free some space or choose another folder "
            f"(--data for the engine's data, XDG_CACHE_HOME for its program files; in use: {folder})"
        ) from error


def make_folder(folder: Path) -> None:
    """Make the folder and what is missing above it, open for everybody to read whatever the umask is."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(exist_ok=True)
        missing.chmod(0o755)


def check_room(folder: Path, needed: int, remedy: str) -> None:
    """Raise EngineError if the disk of the folder, which exists, has no room for that many bytes and a margin."""
    free = shutil.disk_usage(folder).free
    if free < needed + MARGIN:
        raise EngineError(
            f"disk full: {needed >> 20} MB are needed in {folder} and {free >> 20} MB are free: "
            f"free some space or choose another disk with {remedy}"
        )


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make the folder, and keep other processes that do the same out of it until the with statement ends."""
    with writing_below(folder):
        make_folder(folder)
        lock = (folder / ".lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
