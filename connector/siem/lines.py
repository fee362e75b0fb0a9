"""The lines of an EVE file: plain or gzip (told by its first bytes, not its name), or of standard input.

Promises: bounded memory; a damaged file is a ContentError with file and line, after all whole lines before the damage
were given. Will not: look into a line.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from connector.errors import ContentError, Problem

STDIN = "-"
LINE_BYTES = 50_000_000
CHUNK_BYTES = 1 << 20
GZIP = b"\x1f\x8b"
DAMAGE = (OSError, EOFError, zlib.error)  # reading gzip raises any of them


class LineFile:
    """An open file; use it in a with statement. `size` is None for standard input."""

    def __init__(self, file: str) -> None:
        """Open a path, or standard input for `-`; ContentError if that fails."""
        self.file = file
        self.number = 0
        try:
            self._raw: IO[bytes] = sys.stdin.buffer if file == STDIN else Path(file).open("rb")  # noqa: SIM115
            self.size = None if file == STDIN else Path(file).stat().st_size
            first: bytes = cast(Any, self._raw).peek(2)[:2]
        except OSError as error:
            raise ContentError([Problem(file, 1, f"cannot be read: {error.strerror}")]) from error
        self._plain = cast(IO[bytes], gzip.GzipFile(fileobj=self._raw) if first == GZIP else self._raw)

    def __enter__(self) -> LineFile:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what was opened here."""
        if self.file != STDIN:
            self._raw.close()

    @property
    def position(self) -> int:
        """Return how many bytes of the file are read, compressed ones of a gzip file; 0 of standard input."""
        return self._raw.tell() if self.size is not None else 0

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield each line's number, from 1, and its bytes without blanks around them."""
        while line := self._read(self._plain.readline, LINE_BYTES):
            self.number += 1
            if len(line) == LINE_BYTES:
                raise self._problem(f"the line is longer than {LINE_BYTES:,} bytes: this is no EVE file")
            yield self.number, line.strip()

    def chunks(self) -> Iterator[bytes]:
        """Yield the text in pieces, without regard to lines."""
        while chunk := self._read(self._plain.read, CHUNK_BYTES):
            yield chunk

    def _read(self, read: Callable[[int], bytes], limit: int) -> bytes:
        """Return what is read; ContentError if the file is damaged there."""
        try:
            return read(limit)
        except DAMAGE as error:
            raise self._problem(f"cannot be read further after {self.number:,} lines: {error}") from error

    def _problem(self, message: str) -> ContentError:
        """Return the error at the present line."""
        return ContentError([Problem(self.file, max(self.number, 1), message)])
