"""Loads EVE files into a search engine, in the layout SELKS uses: `logstash-<event_type>-YYYY.MM.dd`.

Promises: every line that is not blank is stored, as an event or, with the reason, as a document of
`logstash-rejected`; loading a file again stores nothing twice, because ids come from the lines and documents are only
created, never replaced (so tags and enrichment stay). Memory is bounded: a few bodies of 5 MB. An engine that is busy
is asked again. Will not: enrich; the engine's own pipelines do.

A file with events of more than 100 days (captures from everywhere) goes into indices by year, or their number would
exhaust a cluster's shards. Standard input cannot be looked through before and always goes by day.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from connector.errors import ContentError
from connector.siem.client import Siem
from connector.siem.eve import DAYS_AT_MOST, STEM, Layout, Period, days_in, read_line
from connector.siem.event_template import put_if_needed
from connector.siem.lines import STDIN, LineFile
from connector.siem.sending import Item, Sent, send

WORKERS = 2
BODY_BYTES = 5_000_000
BODY_EVENTS = 5_000
EXAMPLES = 20

# called with the file, how many of its bytes are read (compressed ones of a gzip file), and of how many (None: stdin)
Progress = Callable[[str, int, int | None], None]


@dataclass
class FileLoaded:
    """What became of one file: lines = blank + stored + already + rejected; `examples` are some of the rejected."""

    file: str
    period: Period
    lines: int = 0
    blank: int = 0
    stored: int = 0
    already: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Loaded:
    """What became of all files, and the name of the template put for them, if one was."""

    files: tuple[FileLoaded, ...]
    template: str | None
    seconds: float
    events_per_second: int


def load_files(siem: Siem, files: Sequence[str], prefix: str, progress: Progress, stem: str = STEM) -> Loaded:
    """Return what became of the files (paths, plain or gzip; `-` is standard input), loaded one after the other.

    `prefix` begins the name of a template of ours, `stem` the names of the indices. ContentError if a file cannot be
    read, SiemError if the engine fails. Run again after either: what is stored already is skipped.
    """
    started = time.monotonic()
    template = put_if_needed(siem, prefix, Layout(stem))
    with ThreadPoolExecutor(WORKERS) as pool:
        done = tuple(_load_file(siem, pool, file, Layout(stem, _period(file)), progress) for file in files)
    siem.call("POST", f"/{Layout(stem).pattern}/_refresh", ignore_unavailable=True, allow_no_indices=True)
    seconds = time.monotonic() - started
    return Loaded(done, template, round(seconds, 3), round(sum(f.stored for f in done) / seconds))


def _load_file(siem: Siem, pool: ThreadPoolExecutor, file: str, layout: Layout, progress: Progress) -> FileLoaded:
    """Return what became of one file; the pool sends while this thread reads."""
    started = time.monotonic()
    loaded = FileLoaded(file, layout.period)
    under_way: deque[Future[Sent]] = deque()
    with LineFile(file) as lines:
        try:
            for items in _batches(lines, layout, loaded):
                under_way.append(pool.submit(send, siem, file, layout, items))
                progress(file, lines.position, lines.size)
                if len(under_way) > WORKERS:
                    _note(loaded, under_way.popleft().result())
            progress(file, lines.position, lines.size)
        finally:  # an error, of the file or of another portion, does not break these off
            for future in under_way:
                _note(loaded, future.result())
    loaded.seconds = round(time.monotonic() - started, 3)
    return loaded


def _period(file: str) -> Period:
    """Return whether the file's events go into indices by day or by year."""
    days: set[bytes] = set()
    if file != STDIN:
        with LineFile(file) as lines, suppress(ContentError):  # loading tells of damage
            for chunk in lines.chunks():
                days |= days_in(chunk)
    return "day" if len(days) <= DAYS_AT_MOST else "year"


def _batches(lines: LineFile, layout: Layout, loaded: FileLoaded) -> Iterator[list[Item]]:
    """Yield the file's lines in portions of one bulk body, counting lines and blanks."""
    items: list[Item] = []
    size = 0
    try:
        for number, line in lines.lines():
            loaded.lines = number
            if not line:
                loaded.blank += 1
                continue
            items.append(Item(number, line, read_line(line, number, layout)))
            size += len(line)
            if size >= BODY_BYTES or len(items) >= BODY_EVENTS:
                yield items
                items, size = [], 0
    except ContentError:  # a damaged file: what stands before the damage is loaded
        yield items
        raise
    if items:
        yield items


def _note(loaded: FileLoaded, sent: Sent) -> None:
    """Add what became of one portion."""
    loaded.stored += sent.stored
    loaded.already += sent.already
    for rejection in sent.rejected:
        loaded.rejected[rejection.kind] += 1
        if len(loaded.examples) < EXAMPLES:
            loaded.examples.append(f"{loaded.file}:{rejection.number}: {rejection.kind}: {rejection.detail}")
