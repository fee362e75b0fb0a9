"""The lock of a distribution: every jar it is made of, with its Maven coordinates, place, size and sha256.

Promises: what a lock names is all there is; nobody but a maintainer resolves anything (`relock.py`). Will not: fetch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LOCKS = Path(__file__).parent / "locks"


@dataclass(frozen=True)
class LockedFile:
    """One jar: coordinates `group:artifact:version[:classifier]`, its place below the home folder, bytes, sha256."""

    artifact: str
    to: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Lock:
    """All files of a distribution, and the class of each module by the module's folder."""

    name: str
    files: tuple[LockedFile, ...]
    modules: Mapping[str, str]

    @property
    def key(self) -> str:
        """Return a name that changes with the content: what the home folder is called."""
        text = json.dumps(asdict(self), sort_keys=True)
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def lock_named(name: str, folder: Path = LOCKS) -> Lock:
    """Return the lock of the distribution of that name."""
    return parsed(json.loads((folder / f"{name}.json").read_text("utf-8")))


def parsed(document: Mapping[str, Any]) -> Lock:
    """Return the lock in a decoded JSON document."""
    files = tuple(LockedFile(**entry) for entry in document["files"])
    return Lock(document["name"], files, dict(document["modules"]))


def written(lock: Lock) -> str:
    """Return the lock as JSON text, in one order, so that a change reads as a difference."""
    files = [asdict(file) for file in sorted(lock.files, key=lambda file: file.to)]
    document = {"name": lock.name, "modules": dict(sorted(lock.modules.items())), "files": files}
    return json.dumps(document, indent=1) + "\n"
