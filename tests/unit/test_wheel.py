"""The wheel holds everything that the installed package reads."""

import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

REPOSITORY = Path(__file__).parents[2]
CONTENT = ("queries", "ingest-pipelines", "dashboards")


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Return the names of the files in a wheel built now."""
    folder = tmp_path_factory.mktemp("wheel")
    [wheel] = WheelBuilder(str(REPOSITORY)).build(directory=str(folder))
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.parametrize("folder", CONTENT)
def test_content_folders_are_in_the_wheel(inside: set[str], folder: str) -> None:
    files = [path.relative_to(REPOSITORY) for path in (REPOSITORY / folder).rglob("*") if path.is_file()]
    assert files and {f"connector/content/{path.as_posix()}" for path in files} <= inside


def test_everything_of_the_package_is_in_the_wheel(inside: set[str]) -> None:
    files = [path.relative_to(REPOSITORY) for path in (REPOSITORY / "connector").rglob("*") if path.is_file()]
    wanted = {path.as_posix() for path in files if "__pycache__" not in path.parts}
    assert wanted <= inside
    assert {"connector/demo/office-day/eve-suricata8.json.gz", "connector/py.typed"} <= inside


def test_tests_are_not_in_the_wheel(inside: set[str]) -> None:
    assert not [name for name in inside if name.startswith("tests/")]
