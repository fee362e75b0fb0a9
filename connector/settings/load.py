"""The settings read from files and environment: `hunts.yml`, and the `networks.yml` and `resolvers.yml` it leads to.

Promises: every problem of every file is reported at once as file:line; without any file the embedded engine and the
example organisation are the settings. Will not: connect to anything, or change a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from connector.documents import Document, in_order, read_document, schema_problems
from connector.errors import ContentError, Problem
from connector.settings.access import siem_of
from connector.settings.dashboards import dashboards_of
from connector.settings.files import Surroundings, without_secrets
from connector.settings.links import links_of
from connector.settings.model import Dialect, EvidenceSettings, Settings, SiemSettings, Source
from connector.settings.networks import networks_of
from connector.settings.part import Part
from connector.settings.receivers import receivers_of
from connector.settings.reputation import reputation_of
from connector.settings.resolvers import approved_of, exceptions_of
from connector.settings.service import service_of

FILE = "hunts.yml"
HERE = Path(__file__).parent
EXAMPLE = HERE / "example"


@dataclass(frozen=True)
class Reading:
    """What reading settings gave: they are to be used if there is no problem.

    `files` are all files and folders that have a say, be they there or not.
    """

    settings: Settings
    problems: tuple[Problem, ...]
    files: tuple[Path, ...]


def settings_file(given: Path | None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file to read: the given one, else that of HUNTS_CONFIG, else hunts.yml here, else None."""
    if given is not None:
        return given
    if named := environment.get("HUNTS_CONFIG"):
        return Path(named)
    return Path(FILE) if Path(FILE).is_file() else None


def load_settings(given: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of the file that `settings_file` finds; ContentError with all problems of all files."""
    reading = read_settings(given, environment)
    if reading.problems:
        raise ContentError(reading.problems)
    return reading.settings


def read_settings(given: Path | None = None, environment: Mapping[str, str] = os.environ) -> Reading:
    """Return what reading the file that `settings_file` finds gives, with all problems of all files."""
    file = settings_file(given, environment)
    problems: list[Problem] = []
    root = _read(file, "hunts", problems) if file else None
    around = Surroundings(file.parent if file else EXAMPLE, environment, [file or Path(FILE)])
    settings = _settings(root, around, problems)
    return Reading(settings, tuple(in_order(problems)), tuple(dict.fromkeys(around.named)))


def schema(name: str) -> Mapping[str, Any]:
    """Return the JSON Schema of `hunts`, `networks` or `resolvers`."""
    loaded: Mapping[str, Any] = json.loads(schema_file(name).read_text(encoding="utf-8"))
    return loaded


def schema_file(name: str) -> Path:
    """Return where the JSON Schema of `hunts`, `networks` or `resolvers` is, for editors."""
    return HERE / f"{name}.schema.json"


def _read(path: Path, name: str, problems: list[Problem]) -> Part:
    """Return the file's root, an empty one if the file is empty or cannot be read; add what its schema refuses."""
    try:
        document = read_document(path)
    except ContentError as error:
        problems.extend(error.problems)
        return Part(Document({}, str(path), {}), (), {})
    document = without_secrets(document, problems)
    if document.value is None:
        document = Document({}, document.file, {})
    problems.extend(schema_problems(document, schema(name)))
    return Part(document, (), document.value)


def _settings(root: Part | None, around: Surroundings, problems: list[Problem]) -> Settings:
    """Return the settings that the root of hunts.yml (None: no file) means."""
    hunts = root or Part(Document({}, FILE, {}), (), {})
    networks = _beside(hunts, "networks", around, problems)
    resolvers = _beside(hunts, "resolvers", around, problems)
    prefix = hunts.text("prefix") or Settings.prefix
    here = hunts.at("siem").value is None
    siem = SiemSettings() if here else siem_of(hunts.at("siem"), around, problems)
    return Settings(
        siem=siem,
        embedded=here,
        sources=_sources(hunts, prefix, problems) or Settings.sources,
        prefix=prefix,
        organisation=(networks.at("organisation").text("name") or "") if networks else "",
        networks=networks_of(networks, problems) if networks else (),
        approved=approved_of(resolvers, problems) if resolvers else (),
        exceptions=exceptions_of(resolvers, problems) if resolvers else (),
        receivers=receivers_of(hunts, around, problems),
        queries=around.path(hunts, "queries", problems, folder=True),
        links=links_of(hunts.at("links"), problems),
        evidence=_evidence(hunts.at("evidence"), around, problems),
        reputation=reputation_of(hunts.at("reputation"), around, problems),
        dashboards=dashboards_of(hunts.at("dashboards"), siem, around, problems),
        service=service_of(hunts.at("service"), problems),
        file=root.document.file if root else None,
    )


def _evidence(part: Part, around: Surroundings, problems: list[Problem]) -> EvidenceSettings:
    """Return where files and packets lie; a folder that is not there is added to `problems`."""
    folders = (around.path(part, key, problems, folder=True) for key in ("filestore", "captures"))
    return EvidenceSettings(*folders)


def _beside(hunts: Part, name: str, around: Surroundings, problems: list[Problem]) -> Part | None:
    """Return the root of networks.yml or resolvers.yml: the one named in hunts.yml, else the one beside it, if any."""
    path = around.path(hunts, name, problems)
    if hunts.at(name).value is None:
        beside = around.folder / f"{name}.yml"
        around.named.append(beside)
        path = beside if beside.is_file() else None
    return _read(path, name, problems) if path else None


def _sources(hunts: Part, prefix: str, problems: list[Problem]) -> tuple[Source, ...]:
    """Return the sources; a pattern that takes in our own indices, or stands twice, is added to `problems`."""
    found: list[Source] = []
    for part in hunts.items("sources"):
        pattern = part.text("pattern")
        if pattern is None:
            continue
        if fnmatchcase(f"{prefix}state", pattern):
            words = f"is {pattern!r}, which takes in our own indices {prefix}*: write a narrower one"
            problems.append(part.at("pattern").problem(words))
        if any(pattern == source.pattern for source in found):
            problems.append(part.at("pattern").problem(f"is {pattern!r}, as of a source above: keep one of them"))
        dialect: Dialect = "ecs" if part.text("dialect") == "ecs" else "eve"
        found.append(Source(pattern, dialect, part.text("time_field") or Source.time_field))
    return tuple(found)
