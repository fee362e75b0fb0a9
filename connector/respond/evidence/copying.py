"""Copies the files and the packets of evidence into a folder.

Promises: nothing an event says names a path: files are found in the filestore by their SHA-256, captures by the last
part of a name in the folder of captures; what is copied has been hashed as it was written; a file that is there with
other content is never written over; a copy that is cut off leaves no file under the final name. Will not: run or unpack
what it copies.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePosixPath, PureWindowsPath
from tempfile import mkstemp
from typing import BinaryIO

from connector.errors import Refused
from connector.respond.evidence.model import Capture, Evidence, File, Flow
from connector.respond.evidence.packets import Cut, Progress, cut_out
from connector.respond.evidence.records import SHA256

PORTION = 1 << 20
PRIVATE = 0o700
CUT_OFF = "the capture is damaged, or ends in the middle of a packet: it was read up to there"
COPIED, THERE = "copied", "is there already"
Flows = Sequence[tuple[Flow, Capture]]


@dataclass(frozen=True)
class Copied:
    """What became of one thing to copy: what it is, from where, to where (None: nowhere), and in words what was done.

    `packets` is the number of packets of a cut, None for a file; `by_flow` those of each flow. `note` says what the
    copy lacks.
    """

    what: str
    source: str
    target: str | None
    status: str
    sha256: str | None = None
    size: int | None = None
    packets: int | None = None
    by_flow: Mapping[int, int] = field(default_factory=dict)
    note: str = ""

    @property
    def is_done(self) -> bool:
        """Tell whether the copy is in its place."""
        return self.status in (COPIED, THERE)


def copy_files(evidence: Evidence, filestore: Path, folder: Path) -> tuple[Copied, ...]:
    """Return what became of the files of the evidence, each once; OSError if the folder cannot be written to."""
    each = {file.sha256: file for file in evidence.files if SHA256.fullmatch(file.sha256)}
    _made(folder)
    return tuple(_copy(file, filestore, folder) for file in each.values())


def _copy(file: File, filestore: Path, folder: Path) -> Copied:
    """Return what became of one file."""
    source = filestore / file.sha256[:2] / file.sha256
    what = f"file {file.name}" if file.name else f"file {file.sha256}"
    try:
        with _regular(source) as stream, _placed(folder / file.sha256) as place:
            for portion in iter(lambda: stream.read(PORTION), b""):
                place.write(portion)
            if place.sha256 != file.sha256:
                return Copied(what, str(source), None, f"holds something else: its SHA-256 is {place.sha256}")
            status = place.keep()
    except FileNotFoundError:
        return Copied(what, str(source), None, "is not in the filestore")
    except (Refused, PermissionError) as error:
        return Copied(what, str(source), None, _reason(error))
    return Copied(what, str(source), str(folder / file.sha256), status, place.sha256, place.size)


def cut_packets(
    evidence: Evidence, captures: Path, folder: Path, progress: Progress = lambda read, taken: None
) -> tuple[Copied, ...]:
    """Return what became of the packets of the evidence's flows: of each capture one file that has them all.

    `captures` is a capture, or the folder in which those are that the events name. OSError if the folder cannot be
    written to; Refused if there is no such file or folder.
    """
    flows = {flow.number: flow for flow in evidence.flows}
    asked = [(flows[capture.flow], capture) for capture in evidence.captures if capture.flow in flows]
    _made(folder)
    found = _captures(captures, asked)
    if not found:
        named = dict.fromkeys(filter(None, (last_part(name) for one in evidence.captures for name in one.files)))
        words = f"the events name {', '.join(list(named)[:5])}" if named else "the events name none"
        return (
            Copied(f"packets of {len(asked)} flows", str(captures), None, f"no capture of these is there: {words}"),
        )
    return tuple(_cut(path, some, folder, progress) for path, some in found)


def _captures(captures: Path, asked: Flows) -> list[tuple[Path, Flows]]:
    """Return the captures to read, each with the flows whose packets are in it."""
    if not captures.is_dir():
        if not captures.is_file():
            raise Refused(f"there is no capture {captures}")
        return [(captures, asked)]
    named = dict.fromkeys(name for _, capture in asked for file in capture.files if (name := last_part(file)))
    found = [captures / name for name in named if (captures / name).is_file()]
    return [(path, [one for one in asked if path.name in map(last_part, one[1].files)]) for path in found]


def last_part(name: str) -> str:
    """Return the last part of a path that an event names, if it can be a file's name; empty if not."""
    last = PureWindowsPath(PurePosixPath(name).name).name
    return last if last.isprintable() and last not in ("", ".", "..") and len(last.encode()) <= 255 else ""


def _cut(path: Path, flows: Flows, folder: Path, progress: Progress) -> Copied:
    """Return what became of the packets in one capture."""
    what, target = f"packets of {len(flows)} flows", folder / f"packets-{_stem(path)}"
    try:
        with _placed(target) as place:
            done = cut_out(path, flows, place, progress)
            if not done.taken:
                return Copied(what, str(path), None, _none(done), packets=0)
            status = place.keep()
    except (Refused, PermissionError) as error:
        return Copied(what, str(path), None, _reason(error))
    note = "" if done.is_whole else CUT_OFF
    counts = dict(sorted(done.by_flow.items()))
    return Copied(what, str(path), str(target), status, place.sha256, place.size, done.taken, counts, note)


def _none(done: Cut) -> str:
    """Return the words for a capture that has no packet of the flows."""
    return f"has none of them among {done.read:,} packets" + ("" if done.is_whole else f"; {CUT_OFF}")


def _stem(path: Path) -> str:
    """Return the name of a capture, without the end that says how it is packed."""
    return path.stem if path.suffix in (".gz", ".xz") else path.name


def _reason(error: Exception) -> str:
    """Return why something was not copied."""
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)


def _made(folder: Path) -> None:
    """Make the folder, for its owner alone, if it is not there."""
    folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)


@contextmanager
def _regular(path: Path) -> Iterator[BinaryIO]:
    """Hand out a file opened; Refused if it is a link or no plain file."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if path.is_symlink():
            raise Refused("is a link, which is not followed") from error
        raise
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise Refused("is no plain file")
    with open(number, "rb") as stream:  # noqa: PTH123 - it is a number
        yield stream


class _Place:
    """A file on its way to its place: hashed as it is written, and put there at the end."""

    def __init__(self, stream: BinaryIO, name: str, target: Path) -> None:
        """Begin with nothing written; `name` is that of the file until it is kept."""
        self._stream, self._name, self._target = stream, name, target
        self._hash = sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of what was written."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> int:
        """Write, and return how much."""
        self._hash.update(data)
        self.size += len(data)
        return self._stream.write(data)

    def keep(self) -> str:
        """Put the file in its place and return what was done; Refused if something else is there."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        try:
            os.link(self._name, self._target, follow_symlinks=False)
        except FileExistsError:
            if self._target.is_file() and not self._target.is_symlink() and _hashed(self._target) == self.sha256:
                return THERE
            raise Refused(f"{self._target} is there with other content: it is left as it is") from None
        except OSError:  # a file system without links
            self._claim()
        return COPIED

    def _claim(self) -> None:
        """Take the name, if nobody has, and move the file there."""
        try:
            self._target.open("xb").close()
        except FileExistsError:
            raise Refused(f"{self._target} is there: it is left as it is") from None
        Path(self._name).replace(self._target)


@contextmanager
def _placed(target: Path) -> Iterator[_Place]:
    """Hand out a file to write that has no name of its own until it is kept."""
    number, name = mkstemp(dir=target.parent, prefix=".part-")
    try:
        with open(number, "wb") as stream:  # noqa: PTH123 - it is a number
            yield _Place(stream, name, target)
    finally:
        with suppress(FileNotFoundError):
            Path(name).unlink()


def _hashed(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = sha256()
    with path.open("rb") as stream:
        for portion in iter(lambda: stream.read(PORTION), b""):
            digest.update(portion)
    return digest.hexdigest()
