"""Every check has a twin that only it objects to, says what to do, and none objects to what we ship."""

from pathlib import Path

import pytest

from connector.documents import read_document
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.format import read_hunt
from connector.hunts.catalogue.source import Source
from connector.hunts.checking.cases import example_settings, judge
from connector.hunts.checking.lint import LINTS, lint

BAD = Path(__file__).parents[1] / "bad" / "hunts"


def twin(name: str) -> Source:
    document = read_document(BAD / f"{name}.yml")
    hunt, problems = read_hunt(document, "policy", {})
    assert problems == []
    return Source(hunt, document)


@pytest.mark.parametrize("name", [check.name for check in LINTS])
def test_a_check_objects_to_its_twin_and_nothing_else_does(name):
    problems = lint(twin(name))
    assert problems and all(problem.message.endswith(f"[{name}]") for problem in problems)
    assert all(problem.file.endswith(f"{name}.yml") and problem.line > 1 for problem in problems)


def test_every_twin_has_a_check():
    assert sorted(path.stem for path in BAD.glob("*.yml")) == sorted(check.name for check in LINTS)


@pytest.mark.parametrize("name", [check.name for check in LINTS])
def test_a_twin_is_wrong_in_style_only(name):
    assert all(verdict.passed for verdict in judge(twin(name).hunt))


def test_a_finding_is_named_at_its_line_with_what_to_do():
    (problem,) = lint(twin("countable"))
    written = (BAD / "countable.yml").read_text(encoding="utf-8").splitlines()
    assert "count_by: [hunt.name.parents]" in written[problem.line - 1]
    assert "cannot count by hunt.name.parents: use a field of the type" in problem.message


def test_what_we_ship_is_without_objection():
    catalogue = load_catalogue(example_settings())
    assert [str(p) for source in catalogue.sources.values() for p in lint(source)] == []
