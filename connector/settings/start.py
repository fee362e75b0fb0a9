"""Settings files to start from: commented copies of the example, with the schema comment that editors complete by.

Promises: all three files are written, or none; a file that is there is never touched. Will not: ask questions.
"""

from __future__ import annotations

from pathlib import Path

from connector.errors import Refused
from connector.settings.load import EXAMPLE, schema_file

NAMES = ("hunts", "networks", "resolvers")
EXAMPLE_NOTE = "# This is the example organisation: put your own in its place.\n"


def start_files(folder: Path) -> list[Path]:
    """Return the settings files written into the folder, which is made if needed; Refused if one is there already."""
    paths = [folder / f"{name}.yml" for name in NAMES]
    there = [str(path) for path in paths if path.exists()]
    if there:
        raise Refused(f"nothing was written, as there already is {', '.join(there)}: name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in zip(NAMES, paths, strict=True):
        with path.open("x", encoding="utf-8") as file:
            file.write(_content(name))
    return paths


def _content(name: str) -> str:
    """Return what one settings file starts as."""
    schema = f"# yaml-language-server: $schema={schema_file(name).as_uri()}\n"
    note = "" if name == "hunts" else EXAMPLE_NOTE
    return schema + note + (EXAMPLE / f"{name}.yml").read_text(encoding="utf-8")
