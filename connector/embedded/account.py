"""The account an engine runs as: the caller's own, or an unprivileged one when the caller is root.

Promises: an engine never runs as root (it would refuse to). Will not: make an account; read access lists, only modes.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from connector.errors import EngineError

CANDIDATES = ("nobody", "daemon", "bin")


@dataclass(frozen=True)
class Account:
    """An account of this machine, by name and numbers."""

    name: str
    uid: int
    gid: int


def unprivileged_account(candidates: Sequence[str] = CANDIDATES) -> Account | None:
    """Return the account to become when this process is root, or None when it is not; EngineError if there is none."""
    if os.geteuid() != 0:
        return None
    for name in candidates:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise EngineError(f"no account to run the engine as (looked for {', '.join(candidates)}): run hunts as a user")


def closed_folder(path: Path, account: Account | None) -> Path | None:
    """Return the first folder on the way to the path that the account cannot enter, or None if it can enter all."""
    if account is None:
        return None
    parents = reversed(path.absolute().parents)
    return next((folder for folder in parents if folder.exists() and not _may_enter(folder, account)), None)


def _may_enter(folder: Path, account: Account) -> bool:
    """Tell whether the mode of a folder lets the account through."""
    entry = folder.stat()
    if entry.st_uid == account.uid:
        return bool(entry.st_mode & 0o100)
    return bool(entry.st_mode & (0o010 if entry.st_gid == account.gid else 0o001))


def check_reachable(path: Path, account: Account | None, remedy: str) -> None:
    """Raise EngineError if the account cannot get to the path; the remedy says what to do instead."""
    closed = closed_folder(path, account)
    if closed is not None and account is not None:
        raise EngineError(f"{path}: the account {account.name}, which runs the engine, cannot enter {closed}: {remedy}")
