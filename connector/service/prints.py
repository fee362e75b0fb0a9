"""Fingerprints of files: whether one was written, replaced, emptied or made readable, without reading it.

Promises: two or three microseconds a file; a folder that cannot be read has a fingerprint of its own; hidden files,
which editors make and remove all the time, have none. Will not: see a write within the same tick of the file system's
clock as the one before (4 ms), unless the size changes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from stat import S_ISDIR

SUFFIXES = (".yml", ".yaml", ".txt")

Print = tuple[int, ...]  # of a file its size, times and number; of a folder what it is; else the number of the error
Prints = Mapping[str, Print]


def fingerprints(files: Iterable[Path], folders: Iterable[Path]) -> Prints:
    """Return the fingerprint of each file, and of what folders of hunts hold, by its path."""
    found = {str(path): _print(str(path)) for path in files}
    for root in map(str, folders):
        for family in _entries(root, found):
            if family.is_dir():
                for entry in _entries(family.path, found):
                    if entry.name.endswith(SUFFIXES):
                        found[entry.path] = _print(entry.path)
    return found


def emptied(file: str, before: Prints, now: Prints) -> bool:
    """Tell whether a file that held something holds nothing now."""
    return _size(before.get(file, ())) > 0 and _size(now.get(file, ())) == 0


def _print(path: str) -> Print:
    """Return the fingerprint of a file or folder, be it there or not."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a Path takes longer than the call
    except OSError as error:
        return (error.errno or -1,)
    if S_ISDIR(found.st_mode):
        return (found.st_dev, found.st_ino)
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _size(found: Print) -> int:
    """Return the size of a file by its fingerprint, -1 if it is none."""
    return found[0] if len(found) == 4 else -1


def _entries(folder: str, found: dict[str, Print]) -> Iterator[os.DirEntry[str]]:
    """Yield what a folder holds, hidden files aside; one that cannot be read is added to what is found."""
    try:
        with os.scandir(folder) as entries:
            yield from (entry for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        found[folder] = (error.errno or -1,)
