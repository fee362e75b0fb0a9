"""Hunts and settings while the service runs: what is edited is taken over, what is broken stays as it was.

Promises: a look at files that have not changed takes some milliseconds; no broken edit, file that is just being written
or folder that is away for a moment takes a hunt out of force, and each is told; a hunt whose file is deleted is gone.
Will not: take over a setting that needs a restart (it is named), or watch the hunts that came with the package.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from connector.content import PACKAGE, content_folder
from connector.errors import ContentError, Problem
from connector.hunts.catalogue.catalogue import NOTHING, Catalogue, lies_in, load_catalogue
from connector.hunts.catalogue.hunt import Hunt
from connector.service.prints import Prints, emptied, fingerprints
from connector.settings.load import Reading, read_settings, settings_file
from connector.settings.model import Settings

REST = 0.25  # seconds that files must not have changed: many editors empty a file before they write it
RESTS = 8
AT_START = ("lease", "listen", "searches_at_once", "requests_per_second")  # what of `service` is used at the start only


@dataclass(frozen=True)
class Loaded:
    """What is in force: the settings, and the hunts that are not deprecated.

    `problems` is all that is wrong in files now, as `file:line: message`, with what becomes of it. `broken` says that
    files of hunts are, so that a hunt that is not here may be in one. `restart` names the settings that have changed
    and keep their old value until a restart. `notes` is what the operator is to do now, told once.
    """

    settings: Settings
    hunts: tuple[Hunt, ...] = ()
    problems: tuple[str, ...] = ()
    broken: bool = False
    restart: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)


class Watched:
    """The files of settings and hunts; `loaded` is what of them is in force, and is replaced as a whole."""

    def __init__(
        self,
        given: Path | None,
        environment: Mapping[str, str] = os.environ,
        folder: Path | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Load the settings file given (or found), and the hunts of `folder` in place of those of the package.

        ContentError if the settings are wrong: there is nothing yet to go on with.
        """
        self._given, self._environment, self._pause = given, environment, pause
        self._folder = folder or content_folder("queries")
        self._file = settings_file(given, environment)
        reading = read_settings(self._file, environment)
        if reading.problems:
            raise ContentError(reading.problems)
        self.loaded = Loaded(reading.settings)
        self._files, self._catalogue = reading.files, NOTHING
        self._seen = self._good = self._prints()
        self._load()

    def look(self) -> bool:
        """Return whether what is in force, or what is wrong, is another than at the last look; take it over."""
        if self._prints() == self._seen:
            return False
        self._seen = self._rested()
        before = self.loaded
        self._load()
        return self.loaded != before

    def _prints(self) -> Prints:
        """Return the fingerprints of all files that have a say."""
        ours = () if self._folder.is_relative_to(PACKAGE) else (self._folder,)
        theirs = self.loaded.settings.queries
        return fingerprints(self._files, (*ours, theirs) if theirs else ours)

    def _rested(self) -> Prints:
        """Return the fingerprints once they have not changed for a moment; the last ones if they never rest."""
        found = self._prints()
        for _ in range(RESTS):
            self._pause(REST)
            before, found = found, self._prints()
            if found == before:
                break
        return found

    def _load(self) -> None:
        """Read everything again. A file that changes meanwhile has another fingerprint than seen at the next look."""
        settings, restart, said = self._settings()
        try:
            self._catalogue = load_catalogue(settings, self._folder, self._catalogue)
            unread = []
        except OSError as error:
            unread = [f"{_unreadable(error)} (all hunts stay as they were)"]
        broken = [*unread, *_told(self._catalogue)]
        notes = tuple(_notes(self.loaded.settings, settings))
        self.loaded = Loaded(settings, self._catalogue.active, (*said, *broken), bool(broken), restart, notes)

    def _settings(self) -> tuple[Settings, tuple[str, ...], list[str]]:
        """Return the settings to go on with, which need a restart, and what is wrong."""
        now = self.loaded
        try:
            self._file = self._file or settings_file(self._given, self._environment)
            reading = read_settings(self._file, self._environment)
            self._files = reading.files
            wrong = [*reading.problems, *self._emptied(reading)]
        except OSError as error:
            wrong = [_unreadable(error)]
        if wrong:
            return now.settings, now.restart, [f"{problem} (all settings stay as they were)" for problem in wrong]
        self._good = self._seen
        return *_without_restart(now.settings, reading.settings), []

    def _emptied(self, reading: Reading) -> Iterator[Problem]:
        """Yield a problem for each file that has lost all it held: a full disk does that, and hardly anybody."""
        for file in map(str, reading.files):
            if emptied(file, self._good, self._seen):
                yield Problem(file, 1, "has become empty: if that is meant, write a comment into it (#)")


def _without_restart(now: Settings, new: Settings) -> tuple[Settings, tuple[str, ...]]:
    """Return the new settings with the old value of what needs a restart, and the names of what of that differs."""
    old = {name: getattr(now.service, name) for name in AT_START}
    kept = replace(new, siem=now.siem, embedded=now.embedded, prefix=now.prefix, service=replace(new.service, **old))
    differs = {"siem": (kept.siem, kept.embedded) != (new.siem, new.embedded), "prefix": kept.prefix != new.prefix}
    differs |= {f"service.{name}": value != getattr(new.service, name) for name, value in old.items()}
    return kept, tuple(name for name, so in differs.items() if so)


def _notes(old: Settings, new: Settings) -> Iterator[str]:
    """Yield what is to be done about changes that others than the service must know of."""
    changed = {
        "networks.yml": (old.organisation, old.networks) != (new.organisation, new.networks),
        "resolvers.yml": (old.approved, old.exceptions) != (new.approved, new.exceptions),
        "sources": old.sources != new.sources,
    }
    for name, so in changed.items():
        if so:
            yield f"{name} changed: `hunts install` puts it into the ingest pipeline"


def _told(catalogue: Catalogue) -> list[str]:
    """Return what is wrong in files of hunts, and what is in force of each."""
    files = [*catalogue.files, *(values.file for values in catalogue.lists.values())]
    fates = {True: "it stays as it was read before", False: "it is left out"}
    return [f"{each} ({fates[any(lies_in(file, (each.file,)) for file in files)]})" for each in catalogue.problems]


def _unreadable(error: OSError) -> Problem:
    """Return the problem of a file that cannot even be looked for."""
    return Problem(str(error.filename or "?"), 1, f"cannot be read: {error.strerror or error}")
