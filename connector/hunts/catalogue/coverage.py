"""What the hunts cover: ATT&CK tactics and techniques, event types, families, kinds and severities.

Promises: every hunt counts under each of its techniques, and once under each tactic; a technique that
`queries/attack.csv` does not know is there without a name. Will not: say how well a technique is covered.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from connector.content import content_folder
from connector.hunts.catalogue.hunt import Hunt

PREFIX = "attack."
GRAVEST = ("critical", "high", "medium", "low", "informational")


@dataclass(frozen=True)
class Known:
    """What ATT&CK says of a technique: its name, below that of the technique it belongs to, and its tactics."""

    name: str
    tactics: tuple[str, ...]


@dataclass(frozen=True)
class Covered:
    """One value, such as an event type, and the hunts it has."""

    value: str
    number: int
    hunts: tuple[str, ...]


@dataclass(frozen=True)
class Technique:
    """One ATT&CK technique and the hunts that name it; without name and tactics if it is not known here."""

    id: str
    name: str
    tactics: tuple[str, ...]
    number: int
    hunts: tuple[str, ...]


@dataclass(frozen=True)
class Coverage:
    """What a number of hunts cover, of each kind of value those with most hunts first.

    `tactics` are those of the techniques and those a hunt names itself. `without_technique` names the hunts with no
    technique.
    """

    hunts: int
    tactics: tuple[Covered, ...]
    techniques: tuple[Technique, ...]
    event_types: tuple[Covered, ...]
    families: tuple[Covered, ...]
    kinds: tuple[Covered, ...]
    severities: tuple[Covered, ...]
    without_technique: tuple[str, ...]


def known_techniques(folder: Path | None = None) -> dict[str, Known]:
    """Return the techniques of `attack.csv` in the content folder of hunts (or in `folder`), by id."""
    path = (folder or content_folder("queries")) / "attack.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return {row["id"]: Known(row["name"], tuple(row["tactics"].split())) for row in csv.DictReader(file)}


def coverage(hunts: Iterable[Hunt], known: Mapping[str, Known]) -> Coverage:
    """Return what the hunts cover; `known` names the techniques."""
    hunts = tuple(hunts)
    severities = _covered(hunts, lambda hunt: [hunt.severity])
    return Coverage(
        hunts=len(hunts),
        tactics=_covered(hunts, lambda hunt: _tactics(hunt, known)),
        techniques=tuple(_technique(one, known) for one in _covered(hunts, _techniques)),
        event_types=_covered(hunts, lambda hunt: hunt.event_types),
        families=_covered(hunts, lambda hunt: [hunt.family]),
        kinds=_covered(hunts, lambda hunt: [hunt.kind]),
        severities=tuple(sorted(severities, key=lambda one: GRAVEST.index(one.value))),
        without_technique=tuple(hunt.name for hunt in hunts if not _techniques(hunt)),
    )


def _covered(hunts: Iterable[Hunt], values: Callable[[Hunt], Iterable[str]]) -> tuple[Covered, ...]:
    """Return the values of the hunts, each with its hunts, those with most hunts first."""
    names: dict[str, list[str]] = {}
    for hunt in hunts:
        for value in dict.fromkeys(values(hunt)):
            names.setdefault(value, []).append(hunt.name)
    found = (Covered(value, len(own), tuple(sorted(own))) for value, own in names.items())
    return tuple(sorted(found, key=lambda one: (-one.number, one.value)))


def _words(hunt: Hunt) -> list[str]:
    """Return the ATT&CK tags of a hunt without what they begin with: `t1071.004`, `exfiltration`."""
    return [tag.removeprefix(PREFIX) for tag in hunt.tags if tag.startswith(PREFIX)]


def _techniques(hunt: Hunt) -> list[str]:
    """Return the ids of the techniques a hunt names."""
    return [word.upper() for word in _words(hunt) if word[1:2].isdigit()]


def _tactics(hunt: Hunt, known: Mapping[str, Known]) -> list[str]:
    """Return the tactics a hunt names, and those of its techniques."""
    named = [word for word in _words(hunt) if not word[1:2].isdigit()]
    return [*named, *(tactic for id in _techniques(hunt) if id in known for tactic in known[id].tactics)]


def _technique(one: Covered, known: Mapping[str, Known]) -> Technique:
    """Return a technique with what is known of it."""
    said = known.get(one.value, Known("", ()))
    return Technique(one.value, said.name, said.tactics, one.number, one.hunts)
