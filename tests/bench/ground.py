"""The ground of the benches: an engine with the enrichment and events, and the windows and hits in them.

Promises: a window of `Loading` has exactly the events that were loaded into it.
"""

from __future__ import annotations

import gzip
import math
import random
import re
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain, cycle, islice
from pathlib import Path

import yaml

from connector.enrich.assets import build_assets
from connector.enrich.tables import build_tables
from connector.hunts.asking.asking import Window, counted
from connector.hunts.asking.mapped import mapped
from connector.hunts.asking.members import Place, of_window, window_opening
from connector.hunts.asking.questions import Asked, asked
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import every_event
from connector.settings.load import load_settings
from connector.settings.model import Settings
from connector.siem.client import Siem
from connector.siem.eve import line_id
from connector.siem.install import install, plan
from connector.siem.load import load_files

SHARED = Path(__file__).parents[3] / "shared"
DAY = date(2026, 11, 2)
HITS = 1000
STAMP = re.compile(rb'("timestamp" *: *")\d{4}-\d\d-\d\d')
Pairs = dict[str, set[tuple[str, str]]]  # by hunt, where its hits are


def say(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr, flush=True)


def settings_in(folder: Path, url: str, **more: object) -> Settings:
    """Return settings for the engine at that url and the story's organisation, their files written to the folder."""
    for file in ("networks.yml", "resolvers.yml"):
        shutil.copy(SHARED / "story" / file, folder)
    (folder / "hunts.yml").write_text(yaml.safe_dump({"siem": {"url": url}, **more}), encoding="utf-8")
    return load_settings(folder / "hunts.yml", {})


def installed(siem: Siem, settings: Settings) -> None:
    """Put the enrichment and our own indices into the engine."""
    install(siem, plan(siem, build_assets(settings, build_tables(settings))))


@dataclass(frozen=True)
class Ground:
    """A search engine with events, the hunts that have something to ask there, and the windows to ask."""

    siem: Siem
    settings: Settings
    hunts: tuple[Hunt, ...]
    windows: Mapping[str, Window]
    left_out: Mapping[str, tuple[str, ...]]

    def asked(self) -> tuple[Asked, ...]:
        """Return the hunts with their questions."""
        return asked(mapped(self.siem, self.settings, self.hunts), self.hunts)


def lines_of(pattern: str, day: date) -> list[bytes]:
    """Return the events of the shared files as lines, all of that day; a line without a time is left out."""
    found = [line for file in sorted(SHARED.glob(pattern)) for line in gzip.decompress(file.read_bytes()).splitlines()]
    return [line for old in found if (line := dated(old.strip(), day)) is not None]


def dated(line: bytes, day: date) -> bytes | None:
    """Return an event with its time on another day, None if it has no time."""
    made, number = STAMP.subn(rb"\g<1>" + day.isoformat().encode(), line, count=1)
    return made if number else None


def prepared(siem: Siem, settings: Settings, folder: Path, events: int, window: int, spread: bool) -> Ground:
    """Return the ground, all events loaded; the last two portions are the windows."""
    installed(siem, settings)
    every = load_catalogue(settings).hunts
    single = [hunt for hunt in every if every_event(hunt.needs)]
    loading = Loading(siem, settings, folder)
    story = lines_of("story/eve-suricata8.json.gz", DAY)
    whole = loading.load(story)
    loading.load(lines_of("eve/suricata8-*.json.gz", DAY - timedelta(days=3)))
    weeks = 0
    while loading.stored < events:
        weeks += 1
        loading.load([line for old in story if (line := dated(old, DAY - timedelta(weeks=weeks)))])
    able = [each for each in asked(mapped(siem, settings, single), single) if each.questions]
    by_line = hits_by_line(story, hits(siem, able, whole))
    ordinary = [line for number, line in enumerate(story) if number not in by_line]
    chosen = random.Random(1)
    found = [story[number] for number in chosen_hits(by_line, spread, chosen)]
    windows = {"quiet": loading.load(chosen.sample(ordinary, window))}
    windows["hits"] = loading.load([*found, *chosen.sample(ordinary, max(0, window - len(found)))])
    names = {"threshold": [h.name for h in every if not every_event(h.needs)]}
    names["no field to ask"] = [h.name for h in single if h.id not in {each.hunt.id for each in able}]
    left_out = {why: tuple(which) for why, which in names.items()}
    say(f"{loading.stored} events, {len(able)} hunts")
    return Ground(siem, settings, tuple(each.hunt for each in able), windows, left_out)


class Loading:
    """Loads portions of events, each into a window of its own."""

    def __init__(self, siem: Siem, settings: Settings, folder: Path) -> None:
        """Write the files to the folder."""
        self._siem, self._settings, self._file = siem, settings, folder / "events.json"
        self._first = 0
        self.stored = 0

    def load(self, lines: Sequence[bytes]) -> Window:
        """Return the window that has exactly these events.

        Blank lines come first, because an event's id comes from its line and its number: the same event is new again.
        """
        start = _boundary()
        self._file.write_bytes(b"\n" * self._first + b"\n".join(lines) + b"\n")
        self._first += len(lines)
        (loaded,) = load_files(self._siem, [str(self._file)], self._settings.prefix, lambda *_: None).files
        self.stored += loaded.stored
        window = Window(start, _boundary())
        if self._siem.count(self._settings.events, window.filter) != loaded.stored:
            raise SystemExit(f"the window has not the {loaded.stored} events that were stored: {loaded}")
        return window


def _boundary() -> int:
    """Return the next whole second as epoch milliseconds, once it is over; elastalert cuts `unix_ms` to seconds."""
    second = math.floor(time.time()) + 1
    time.sleep(second - time.time() + 0.05)
    return second * 1000


def hits(siem: Siem, able: Sequence[Asked], window: Window) -> Pairs:
    """Return where the hits of each hunt are, counted and paged as a pass does it."""
    asking = [(question, [window.filter]) for each in able for question in each.questions]
    answers = iter(counted(siem, asking, window_opening))
    found: Pairs = {}
    for each in able:
        own = [next(answers) for _ in each.questions]
        matching = any(answer.number for answer in own)
        paged = of_window(Place(siem, ""), each, each, window, own).events if matching else ()
        found[each.hunt.name] = {(hit.index, hit.id) for hit, _ in paged}
    return found


def hits_by_line(lines: Sequence[bytes], found: Pairs) -> dict[int, list[str]]:
    """Return the numbers of the lines (the first loaded) that have hits, each with the hunts."""
    hunts: dict[str, list[str]] = defaultdict(list)
    for hunt, places in found.items():
        for _, id in places:
            hunts[id].append(hunt)
    numbers = {line_id(line, number): number - 1 for number, line in enumerate(lines, 1)}
    return {numbers[id]: names for id, names in hunts.items()}


def chosen_hits(by_line: Mapping[int, Sequence[str]], spread: bool, chosen: random.Random) -> list[int]:
    """Return numbers of lines that have 1,000 hits together; a line comes again where there are not enough."""
    turns = _lines_by_hunt(by_line) if spread else [list(by_line)]
    for turn in turns:
        chosen.shuffle(turn)
    picked: list[int] = []
    left = HITS
    for number in islice(chain.from_iterable(zip(*map(cycle, turns), strict=True)), 100 * HITS):
        if len(by_line[number]) <= left:
            picked.append(number)
            left -= len(by_line[number])
        if not left:
            return picked
    raise SystemExit(f"{left} of {HITS} hits cannot be made of the story")


def _lines_by_hunt(by_line: Mapping[int, Sequence[str]]) -> list[list[int]]:
    """Return the lines of each hunt that has any."""
    lines: dict[str, list[int]] = defaultdict(list)
    for number, hunts in by_line.items():
        for hunt in hunts:
            lines[hunt].append(number)
    return list(lines.values())
