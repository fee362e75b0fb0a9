"""`connector/README.md` names every folder of the package, in the order in which they may import."""

import re
import tomllib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "connector"
CHAPTERS = re.split(r"^## (\w+)/$", (PACKAGE / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
TABLES = {"": CHAPTERS[0], **dict(zip(CHAPTERS[1::2], CHAPTERS[2::2], strict=True))}


def named(chapter: str) -> list[str]:
    """Return the folders and modules of a table, in its order."""
    cells = re.findall(r"^\| (`.+?) \|", TABLES[chapter], re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(.+?)`", cell)]


def layers(chapter: str) -> list[set[str]]:
    """Return the layers of the import contract of a folder, the highest first."""
    contracts = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    container = f"connector.{chapter}".rstrip(".")
    (own,) = [each for each in contracts["contracts"] if each["containers"] == [container]]
    return [set(layer.split(" | ")) for layer in own["layers"]]


@pytest.mark.parametrize("chapter", TABLES)
def test_every_folder_is_named(chapter: str) -> None:
    there = [path for path in (PACKAGE / chapter).iterdir() if path.suffix == ".py" or path.is_dir()]
    there = [path for path in there if not path.name.startswith("__")]
    assert sorted(named(chapter)) == sorted(path.name + "/" * path.is_dir() for path in there)


@pytest.mark.parametrize("chapter", TABLES)
def test_they_stand_in_the_order_of_the_contract(chapter: str) -> None:
    place = {name: number for number, layer in enumerate(layers(chapter)) for name in layer}
    places = [place[name.removesuffix("/").removesuffix(".py")] for name in named(chapter)]
    assert places == sorted(places) and len(places) == len(place)
