"""All hunts: those of the content folder, and those of the user's folder, which add to them or override by id.

Promises: every problem of every file is reported; a broken hunt does not stop the others; read again, whatever is
broken is as it was before. Will not: run a hunt, or
judge its style and cases (`check.py` does).
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from connector.content import content_folder
from connector.documents import in_order, read_document
from connector.errors import ContentError, Problem, Refused
from connector.hunts.catalogue.format import read_hunt
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.source import Source
from connector.hunts.conditions.lists import Lists, ValueList, listed, policy_lists, read_lists
from connector.settings.model import Settings

LISTS = "lists"


@dataclass(frozen=True)
class Catalogue:
    """The hunts by name, the lists they use, and what is wrong in files that are not among them.

    `files` has the hunts by their file, and those, too, that the user's folder overrides.
    """

    sources: Mapping[str, Source]
    lists: Lists
    problems: tuple[Problem, ...] = ()
    files: Mapping[str, Source] = field(default_factory=dict)

    @property
    def hunts(self) -> tuple[Hunt, ...]:
        """Return the hunts in the order of family and name."""
        found = (source.hunt for source in self.sources.values())
        return tuple(sorted(found, key=lambda hunt: (hunt.family, hunt.name)))

    @property
    def active(self) -> tuple[Hunt, ...]:
        """Return the hunts that are not deprecated, in the same order."""
        return tuple(hunt for hunt in self.hunts if hunt.status != "deprecated")

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


NOTHING = Catalogue({}, {})


def load_catalogue(settings: Settings, folder: Path | None = None, last: Catalogue = NOTHING) -> Catalogue:
    """Return the hunts of the content folder (or of `folder`) and of the user's folder in the settings.

    A file that is broken now, or in a folder that cannot be read now, has the version that `last` has of it; of two
    hunts with one id or name that which `last` has stays.
    """
    roots = [folder or content_folder("queries"), *([settings.queries] if settings.queries else [])]
    problems: list[Problem] = []
    lists = policy_lists(settings)
    for root in roots:
        lists |= _lists(root, last, problems)
    found = [_read(root, lists, last.files, problems) for root in roots]
    by_id = {id: source for each in found for id, source in each.items()}
    sources = _by_name(by_id.values(), last.files, problems)
    left_out = {source.hunt.file for source in by_id.values()} - {source.hunt.file for source in sources.values()}
    read = {source.hunt.file: source for each in found for source in each.values()}
    files = {file: source for file, source in read.items() if file not in left_out}
    return Catalogue(sources, lists, tuple(in_order(problems)), files)


def load_file(path: Path, catalogue: Catalogue) -> Source:
    """Return the hunt of one file, read with the catalogue's lists; ContentError with every problem."""
    document = read_document(path)
    hunt, problems = read_hunt(document, path.resolve().parent.name, catalogue.lists)
    if hunt is None:
        raise ContentError(problems)
    return Source(hunt, document)


def _lists(root: Path, last: Catalogue, problems: list[Problem]) -> dict[str, ValueList]:
    """Return the lists of one folder by name; what is wrong is added to `problems`."""
    found, wrong = read_lists(root / LISTS)
    problems += wrong
    broken = {problem.file for problem in wrong} | (set() if root.is_dir() else {str(root)})
    kept = {old.name: old for old in last.lists.values() if old.file and lies_in(old.file, broken)}
    return kept | found


def lies_in(file: str, names: Collection[str]) -> bool:
    """Tell whether a file, or a folder around it, is among the names."""
    return file in names or any(str(folder) in names for folder in Path(file).parents)


def _read(root: Path, lists: Lists, before: Mapping[str, Source], problems: list[Problem]) -> dict[str, Source]:
    """Return the hunts of one folder by id, `before` is by file; what is wrong is added to `problems`."""
    wrong: list[Problem] = []
    read = [source for path in _files(root, wrong) if (source := _source(path, lists, wrong))]
    broken = {problem.file for problem in wrong}
    read += [old for file, old in before.items() if lies_in(file, broken)]
    problems += wrong
    found: dict[str, Source] = {}
    for source in sorted(read, key=lambda each: not _had_its_id(each, before)):
        hunt = source.hunt
        other = found.setdefault(hunt.id, source).hunt.file
        if other != hunt.file:
            words = f"id {hunt.id} is that of {other} too: give one a new UUID"
            problems.append(source.document.problem(("id",), words))
    for old in (before.get(source.hunt.file) for source in read if found[source.hunt.id] is not source):
        if old:
            found.setdefault(old.hunt.id, old)
    return found


def _source(path: Path, lists: Lists, problems: list[Problem]) -> Source | None:
    """Return the hunt of a file; None, and problems, if it is broken."""
    try:
        document = read_document(path)
    except ContentError as error:
        problems += error.problems
        return None
    hunt, wrong = read_hunt(document, path.parent.name, lists)
    problems += wrong
    return Source(hunt, document) if hunt else None


def _had_its_id(source: Source, before: Mapping[str, Source]) -> bool:
    """Tell whether the hunt of this file had the same id before."""
    old = before.get(source.hunt.file)
    return old is not None and old.hunt.id == source.hunt.id


def _files(root: Path, problems: list[Problem]) -> Iterator[Path]:
    """Yield the files of hunts, one folder a family; a folder that is not there or cannot be read is a problem."""
    if not root.is_dir():
        problems.append(Problem(str(root), 1, "is no folder: make it, or take `queries` out of the settings"))
        return
    for family in listed(root, problems):
        if family.name == LISTS or family.is_file():
            continue
        for path in listed(family, problems):
            if path.suffix == ".yaml":
                problems.append(Problem(str(path), 1, "is not read: name it .yml, as the other hunts are"))
            elif path.suffix == ".yml":
                yield path


def _by_name(sources: Iterable[Source], before: Mapping[str, Source], problems: list[Problem]) -> dict[str, Source]:
    """Return the hunts by name; the second of one name, those that were there before come first, is a problem."""
    named: dict[str, Source] = {}
    for source in sorted(sources, key=lambda each: each.hunt.file not in before):
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
