"""All hunts: those of the content folder, and those of the user's folder, which add to them or override by id.

Promises: every problem of every file is reported; a broken hunt does not stop the others. Will not: run a hunt, or
judge its style and cases (`check.py` does).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from connector.content import content_folder
from connector.documents import in_order, read_document
from connector.errors import ContentError, Problem, Refused
from connector.hunts.format import read_hunt
from connector.hunts.hunt import Hunt
from connector.hunts.lists import Lists, policy_lists, read_lists
from connector.hunts.source import Source
from connector.settings.model import Settings

LISTS = "lists"


@dataclass(frozen=True)
class Catalogue:
    """The hunts by name, the lists they use, and what is wrong in files that are not among them."""

    sources: Mapping[str, Source]
    lists: Lists
    problems: tuple[Problem, ...] = ()

    @property
    def hunts(self) -> tuple[Hunt, ...]:
        """Return the hunts in the order of family and name."""
        found = (source.hunt for source in self.sources.values())
        return tuple(sorted(found, key=lambda hunt: (hunt.family, hunt.name)))

    def named(self, name: str) -> Hunt:
        """Return the hunt of that name, title or id; Refused, with the names nearest to it, if there is none."""
        for hunt in self.hunts:
            if name in (hunt.name, hunt.id) or name.casefold() == hunt.title.casefold():
                return hunt
        near = difflib.get_close_matches(name, list(self.sources), 3)
        meant = f"did you mean {' or '.join(near)}?" if near else "`hunts list` prints all of them"
        raise Refused(f"there is no hunt named {name!r}: {meant}")

    def found(self, words: Iterable[str]) -> tuple[Hunt, ...]:
        """Return the hunts that have every word, or phrase, in name, title, family, kind, tags or hypothesis."""
        wanted = [" ".join(word.casefold().split()) for word in words]
        return tuple(hunt for hunt in self.hunts if all(word in _text(hunt) for word in wanted))


def load_catalogue(settings: Settings, folder: Path | None = None) -> Catalogue:
    """Return the hunts of the content folder (or of `folder`) and of the user's folder in the settings."""
    roots = [folder or content_folder("queries"), *([settings.queries] if settings.queries else [])]
    problems: list[Problem] = []
    lists = policy_lists(settings)
    for root in roots:
        found, wrong = read_lists(root / LISTS)
        lists |= found
        problems += wrong
    by_id: dict[str, Source] = {}
    for root in roots:
        by_id |= _read(root, lists, problems)
    return Catalogue(_by_name(by_id.values(), problems), lists, tuple(in_order(problems)))


def load_file(path: Path, catalogue: Catalogue) -> Source:
    """Return the hunt of one file, read with the catalogue's lists; ContentError with every problem."""
    document = read_document(path)
    hunt, problems = read_hunt(document, path.resolve().parent.name, catalogue.lists)
    if hunt is None:
        raise ContentError(problems)
    return Source(hunt, document)


def _read(root: Path, lists: Lists, problems: list[Problem]) -> dict[str, Source]:
    """Return the hunts of one folder by id; what is wrong is added to `problems`."""
    found: dict[str, Source] = {}
    for path in _files(root, problems):
        try:
            document = read_document(path)
        except ContentError as error:
            problems += error.problems
            continue
        hunt, wrong = read_hunt(document, path.parent.name, lists)
        problems += wrong
        if hunt and hunt.id in found:
            other = found[hunt.id].hunt.file
            problems.append(document.problem(("id",), f"id {hunt.id} is that of {other} too: give one a new UUID"))
        elif hunt:
            found[hunt.id] = Source(hunt, document)
    return found


def _files(root: Path, problems: list[Problem]) -> Iterator[Path]:
    """Yield the files of hunts, one folder a family; a folder that is not there is a problem."""
    if not root.is_dir():
        problems.append(Problem(str(root), 1, "is no folder: make it, or take `queries` out of the settings"))
        return
    for path in sorted(root.glob("*/*.y*ml")):
        if path.suffix == ".yaml":
            problems.append(Problem(str(path), 1, "is not read: name it .yml, as the other hunts are"))
        elif path.parent.name != LISTS:
            yield path


def _by_name(sources: Iterable[Source], problems: list[Problem]) -> dict[str, Source]:
    """Return the hunts by name; the second of one name is a problem."""
    named: dict[str, Source] = {}
    for source in sources:
        name = source.hunt.name
        if name in named:
            words = f"name {name} is that of {named[name].hunt.file} too: rename one, or give both the same id"
            problems.append(source.document.problem(("name",), words))
        else:
            named[name] = source
    return named


def _text(hunt: Hunt) -> str:
    """Return all the text of a hunt that is searched for words, in one case."""
    parts = (hunt.name, hunt.name.replace("-", " "), hunt.title, hunt.family, hunt.kind, *hunt.tags, hunt.hypothesis)
    return " | ".join(parts).casefold()
