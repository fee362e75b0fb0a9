"""Packet captures read record by record: pcap (micro- or nanoseconds, any byte order) and pcapng, plain, gzip or xz.

Promises: a capture of any size is read in little memory; what is handed out are the bytes of the file itself, so that
what is cut out keeps its times, lengths and interfaces to the last digit; a file that ends in the middle of a record,
or is damaged, is read up to there. Will not: look into a packet.

Written here, because it is small and must copy records as they are: of the libraries dpkt reads the first interface of
a pcapng file only and writes no packet's original length, python-pcapng reads no pcap.
"""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import BinaryIO, NamedTuple

from connector.errors import Refused

LARGEST = 16 * 1024 * 1024  # of a record or block; snapshot lengths are 262,144 at most
NANOSECONDS = 1_000_000_000
MAGICS = {
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
SECTION = b"\x0a\x0d\x0d\x0a"
ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
INTERFACE, OLD_PACKET, SIMPLE_PACKET, PACKET = 1, 2, 3, 6
RESOLUTION, OFFSET = 9, 14  # options of an interface
SHORTEST_SECTION = 28
UNKNOWN_LENGTH = b"\xff" * 8
GZIP, XZ = b"\x1f\x8b", b"\xfd7"


Stream = BinaryIO | gzip.GzipFile | lzma.LZMAFile


class Record(NamedTuple):
    """A part of a capture as it lies in the file.

    Of a packet: when (nanoseconds since 1970, None where the file does not tell), the link type, and its bytes. What
    has no packet (`data` is None) belongs before the packets: headers and interfaces.
    """

    raw: bytes
    data: bytes | None = None
    time: int | None = None
    linktype: int = -1


@dataclass
class Reading:
    """A capture that is being read; `is_whole` tells at the end whether it ended where a record ends."""

    path: Path
    is_whole: bool = False

    def records(self) -> Iterator[Record]:
        """Yield the parts of the capture in their order; Refused if it is none, OSError if it cannot be read."""
        with self._opened() as stream:
            try:
                start = stream.read(4)
                if start in MAGICS:
                    yield from self._pcap(stream, start)
                elif start == SECTION:
                    yield from self._pcapng(stream, start)
                else:
                    raise Refused(f"{self.path} is neither a pcap nor a pcapng file")
            except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile):
                return  # cut off while it was packed

    def _opened(self) -> Stream:
        """Return the file opened, unpacked if it is packed."""
        with self.path.open("rb") as plain:
            start = plain.read(2)
        if start == GZIP:
            return gzip.GzipFile(self.path)
        return lzma.LZMAFile(self.path) if start == XZ else self.path.open("rb")

    def _pcap(self, stream: Stream, start: bytes) -> Iterator[Record]:
        """Yield the header and the packets of a pcap file."""
        order, unit = MAGICS[start]
        header = start + stream.read(20)
        if len(header) < 24:
            return
        (linktype,) = Struct(f"{order}I").unpack_from(header, 20)
        yield Record(header)
        form = Struct(f"{order}IIII")
        while head := stream.read(16):
            if len(head) < 16:
                return
            seconds, fraction, length, _ = form.unpack(head)
            data = stream.read(length) if length <= LARGEST else b""
            if len(data) < length:
                return
            yield Record(head + data, data, seconds * NANOSECONDS + fraction * unit, linktype & 0xFFFF)
        self.is_whole = True

    def _pcapng(self, stream: Stream, start: bytes) -> Iterator[Record]:
        """Yield the sections, interfaces and packets of a pcapng file."""
        section = _Section("<")
        head = start
        while head:
            more = stream.read(8) if head == SECTION else stream.read(4)
            if len(head) + len(more) < 8:
                return
            if head == SECTION:
                section = _Section(ORDERS.get(more[4:8], ""))
            if not section.order:
                return
            (length,) = Struct(f"{section.order}I").unpack_from(more)
            least = SHORTEST_SECTION if head == SECTION else 12
            if length % 4 or not least <= length <= LARGEST:
                return
            block = head + more + stream.read(length - len(head) - len(more))
            if len(block) < length:
                return
            if record := section.record(block):
                yield record
            head = stream.read(4)
            if 0 < len(head) < 4:
                return
        self.is_whole = True


class _Interface(NamedTuple):
    """An interface of a section: link type, ticks a second, seconds to add."""

    linktype: int
    ticks: int
    offset: int


class _Section:
    """A section of a pcapng file as it is read: byte order ("" for none) and interfaces."""

    def __init__(self, order: str) -> None:
        """Begin without interfaces."""
        self.order = order
        self._interfaces: list[_Interface] = []

    def record(self, block: bytes) -> Record | None:
        """Return a block as a part of the capture; None for blocks that need not be kept."""
        if block[:4] == SECTION:
            return Record(block[:16] + UNKNOWN_LENGTH + block[24:])  # it is shorter once packets are left out
        (kind,) = self._form("I").unpack_from(block)
        if kind == INTERFACE:
            self._interfaces.append(self._interface(block))
            return Record(block)
        if kind == PACKET and len(block) >= 32:
            number, high, low, length = self._form("IIII").unpack_from(block, 8)
            return self._packet(block, number, high << 32 | low, 28, length)
        if kind == OLD_PACKET and len(block) >= 32:
            number, _, high, low, length = self._form("HHIII").unpack_from(block, 8)
            return self._packet(block, number, high << 32 | low, 28, length)
        if kind == SIMPLE_PACKET and len(block) >= 16:
            (length,) = self._form("I").unpack_from(block, 8)
            return self._packet(block, 0, None, 12, length)
        return None

    def _form(self, letters: str) -> Struct:
        """Return how numbers of the section are laid out."""
        return Struct(self.order + letters)

    def _packet(self, block: bytes, number: int, ticks: int | None, start: int, length: int) -> Record | None:
        """Return the packet of a block; None if there is no such interface."""
        if number >= len(self._interfaces):
            return None
        interface = self._interfaces[number]
        data = block[start : min(start + length, len(block) - 4)]
        time = None if ticks is None else ticks * NANOSECONDS // interface.ticks + interface.offset * NANOSECONDS
        return Record(block, data, time, interface.linktype)

    def _interface(self, block: bytes) -> _Interface:
        """Return the interface of its block."""
        (linktype,) = self._form("H").unpack_from(block, 8)
        ticks, offset, at = 1_000_000, 0, 16
        while at + 4 <= len(block) - 4:
            code, length = self._form("HH").unpack_from(block, at)
            value = block[at + 4 : at + 4 + length]
            if code == RESOLUTION and value:
                ticks = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** (value[0] & 0x7F)
            elif code == OFFSET and len(value) == 8:
                (offset,) = self._form("q").unpack(value)
            at += 4 + (length + 3) // 4 * 4
        return _Interface(linktype, ticks, offset)
