"""A line of an EVE file as the engine stores it: which index, which id, which bytes; or why it is no event.

Promises: the bytes of the line stay as they are, `@timestamp` is put in front; where a key stands twice no value is
lost; the same line at the same place of a
file has the same id, so that loading a file twice stores nothing twice. Will not: touch the network or a file.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Literal, NoReturn

Period = Literal["day", "year"]
STEM = "logstash-"
DAYS_AT_MOST = 100
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:?\d\d)")
_TYPE = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")
_DAY = re.compile(rb'"timestamp" *: *"(\d{4}-\d\d-\d\d)')


@dataclass(frozen=True, slots=True)
class Layout:
    """How index names are made: `<stem><event_type>-<date>`, the date that of the day or the year."""

    stem: str = STEM
    period: Period = "day"

    @property
    def pattern(self) -> str:
        """Return the pattern of all indices of loaded lines."""
        return f"{self.stem}*"

    @property
    def rejected(self) -> str:
        """Return the index of lines that are no events."""
        return f"{self.stem}rejected"

    def index(self, kind: str, moment: str) -> str:
        """Return the index of an event of a type and a time as `utc` returns it."""
        date = moment[:10].replace("-", ".") if self.period == "day" else moment[:4]
        return f"{self.stem}{kind}-{date}"


@dataclass(frozen=True, slots=True)
class Placed:
    """An event: its index, its id and its bytes."""

    index: str
    id: str
    source: bytes


@dataclass(frozen=True, slots=True)
class Odd:
    """A line that is no event, with its id and why: a kind that can be counted, and the detail."""

    id: str
    kind: str
    detail: str = ""


def read_line(line: bytes, number: int, layout: Layout) -> Placed | Odd:
    """Return what a line (without blanks around it) of a file is; `number` counts the file's lines from 1."""
    id = line_id(line, number)
    try:
        event = _decode(line.decode())
    except (ValueError, RecursionError) as error:
        return Odd(id, "not JSON", str(error)[:200])
    if not isinstance(event, dict):
        return Odd(id, "not a JSON object", f"a {type(event).__name__}")
    kind, time = event.get("event_type"), event.get("timestamp", event.get("@timestamp"))
    moment = utc(time) if isinstance(time, str) else None
    if moment is None:
        return Odd(id, "no timestamp") if time is None else Odd(id, "odd timestamp", repr(time)[:200])
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        return Odd(id, "no event_type") if kind is None else Odd(id, "odd event_type", repr(kind)[:200])
    return Placed(
        layout.index(kind, moment),
        id,
        line if "@timestamp" in event else b'{"@timestamp":"%b",%b' % (moment.encode(), line[1:]),
    )


def once(event: Placed) -> Placed:
    """Return the event with every key once: equal values become one, different ones a list."""
    return replace(event, source=json.dumps(json.loads(event.source, object_pairs_hook=_joined)).encode())


def _joined(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs of an object as a mapping that loses no value."""
    values: dict[str, list[Any]] = {}
    for key, value in pairs:
        known = values.setdefault(key, [])
        if value not in known:
            known.append(value)
    return {key: known[0] if len(known) == 1 else known for key, known in values.items()}


def line_id(line: bytes, number: int) -> str:
    """Return the document id of a line: 20 letters from its bytes and its number.

    The number is part of it because one file can hold the same line several times, and each of them is an event.
    """
    return urlsafe_b64encode(blake2b(line, digest_size=15, salt=number.to_bytes(16, "big")).digest()).decode()


def utc(text: str) -> str | None:
    """Return a timestamp with zone as `YYYY-MM-DDTHH:MM:SS.ffffffZ` in UTC, or None; digits after the sixth fall away.

    Suricata writes six digits and `+0000`, and seven or ten where the capture's clock overflowed.
    """
    found = _TIME.fullmatch(text)
    second = _utc_second(found[1], found[3]) if found else None
    return f"{second}.{(found[2] or '')[:6]:0<6}Z" if found and second else None


@lru_cache(maxsize=4096)
def _utc_second(local: str, zone: str) -> str | None:
    """Return a local time in UTC, to the second; None if there is no such time."""
    try:
        moment = datetime.fromisoformat(local + zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.isoformat()[:19]


def days_in(chunk: bytes) -> set[bytes]:
    """Return the dates (`YYYY-MM-DD`) of the timestamps in a piece of an EVE file."""
    return set(_DAY.findall(chunk))


def _refuse(constant: str) -> NoReturn:
    """Refuse what Python's JSON reader takes and JSON has not."""
    raise ValueError(f"{constant} is no JSON")


_decode: Any = json.JSONDecoder(parse_constant=_refuse).decode
