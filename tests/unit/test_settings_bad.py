"""Each file of tests/bad/settings is wrong in the lines that say so: `# expect: words`, several joined by ` && `."""

import re
from pathlib import Path

import pytest

from connector.errors import ContentError
from connector.settings.load import load_settings

BAD = Path(__file__).parent.parent / "bad" / "settings"
FILES = sorted(BAD.glob("*.yml"))


def expected(file: Path) -> list[tuple[int, str]]:
    found = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if comment := re.search(r"# expect: (.*)$", line):
            found += [(number, words) for words in comment[1].split(" && ")]
    return found


def problems_of(file: Path, folder: Path) -> list[tuple[int, str]]:
    """Put the file where settings of its kind lie, read them, and return its problems."""
    name = f"{file.name.split('-')[0]}.yml"
    place = folder / "settings"
    place.mkdir()
    (folder / "password").write_text("do-not-repeat-me\n")
    (place / "hunts.yml").write_text("")
    (place / name).write_bytes(file.read_bytes())
    with pytest.raises(ContentError) as caught:
        load_settings(place / "hunts.yml", {})
    assert all(problem.file == str(place / name) for problem in caught.value.problems)
    return [(problem.line, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_problem_is_reported_at_its_line_in_plain_words(file: Path, tmp_path: Path) -> None:
    found, wanted = problems_of(file, tmp_path), expected(file)
    assert wanted, "the file says what is wrong with it"
    unmet = [(line, words) for line, words in wanted if not any(n == line and words in said for n, said in found)]
    assert not unmet, f"not said: {unmet}\nsaid: {found}"
    assert len(found) == len(wanted), found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_message_repeats_a_secret(file: Path, tmp_path: Path) -> None:
    assert "do-not-repeat-me" not in str(problems_of(file, tmp_path))


def test_the_problems_of_all_three_files_come_at_once(tmp_path: Path) -> None:
    for name, bad in (("hunts", "hunts-prefix"), ("networks", "networks-twice"), ("resolvers", "resolvers-approved")):
        (tmp_path / f"{name}.yml").write_bytes((BAD / f"{bad}.yml").read_bytes())
    with pytest.raises(ContentError) as caught:
        load_settings(tmp_path / "hunts.yml", {})
    assert {Path(problem.file).name for problem in caught.value.problems} == {
        "hunts.yml",
        "networks.yml",
        "resolvers.yml",
    }
    assert str(tmp_path / "hunts.yml") + ":1: prefix is '-hunts'" in str(caught.value)
