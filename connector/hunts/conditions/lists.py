"""Named lists of values that hunts refer to with `in_list` and `in_network`: text files with a dated source.

A file `lists/<name>.txt` opens with `# about:`, `# source:`, `# licence:` and `# date:`, then has one value a line;
text after ` # ` is a comment. One with `# fill: yes` is the operator's to fill and may be empty: hunts that need it say
so then. Promises: every problem as file:line, no value twice. Will not: fetch anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from connector.errors import Problem
from connector.settings.model import Settings

HEADER = ("about", "source", "licence", "date")
FILL = "fill"


@dataclass(frozen=True)
class ValueList:
    """A list: what it holds, where its values are from, under which licence, of which day, the values, and its file."""

    name: str
    about: str
    source: str
    licence: str
    date: str
    values: tuple[str, ...]
    file: str = ""


Lists = Mapping[str, ValueList]


def read_lists(folder: Path) -> tuple[dict[str, ValueList], list[Problem]]:
    """Return the lists of a folder by name, without those that are wrong, and all problems."""
    found, problems = {}, list[Problem]()
    for path in listed(folder, problems) if folder.exists() else ():
        if path.suffix != ".txt":
            continue
        wrong: list[Problem] = []
        read = read_list(path, wrong)
        problems += wrong
        if not wrong:
            found[read.name] = read
    return found, problems


def listed(folder: Path, problems: list[Problem]) -> list[Path]:
    """Return what a folder holds, hidden files aside, in order; that it cannot be read is added to `problems`."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        problems.append(Problem(str(folder), 1, f"cannot be read: {error.strerror}"))
        return []


def read_list(path: Path, problems: list[Problem]) -> ValueList:
    """Return one list; what is wrong is added to `problems`."""
    head: dict[str, str] = {}
    seen: dict[str, int] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(str(path), 1, f"cannot be read: {error}"))
        lines = []
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            key, _, value = line[1:].partition(":")
            head.setdefault(key.strip(), value.strip())
        elif value := line.partition(" # ")[0].strip():
            if value in seen:
                problems.append(Problem(str(path), number, f"{value} stands in line {seen[value]} already: drop one"))
            seen.setdefault(value, number)
    problems += _head_problems(path, head, bool(seen))
    about, source, licence, day = (head.get(key, "") for key in HEADER)
    return ValueList(path.stem, about, source, licence, day, tuple(seen), str(path))


def _head_problems(path: Path, head: Mapping[str, str], has_values: bool) -> Iterable[Problem]:
    """Yield what is wrong with the lines that say what the list is."""
    for key in HEADER:
        if not head.get(key):
            yield Problem(str(path), 1, f"the list does not say its {key}: begin the file with a line '# {key}: …'")
    try:
        date.fromisoformat(head.get("date") or "2000-01-01")
    except ValueError:
        yield Problem(str(path), 1, f"the date {head['date']!r} is no day: write it as YYYY-MM-DD")
    if head.get(FILL) not in (None, "yes"):
        yield Problem(str(path), 1, f"says fill: {head[FILL]}: write yes if the operator fills it, else drop the line")
    if not has_values and FILL not in head:
        yield Problem(str(path), 1, "the list is empty: add values, one a line")


def policy_lists(settings: Settings) -> dict[str, ValueList]:
    """Return the lists that the operator's own policy makes: `approved-resolvers`, their addresses and prefixes."""
    networks = [net for resolver in settings.approved for net in resolver.addresses]
    values = tuple(str(net.network_address) if net.num_addresses == 1 else str(net) for net in networks)
    about = "the resolvers that the resolver policy approves"
    return {"approved-resolvers": ValueList("approved-resolvers", about, "settings", "the operator's own", "", values)}
