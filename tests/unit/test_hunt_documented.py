"""Every key of a hunt is described in its schema and in queries/README.md, whose example is a hunt that works."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from connector.documents import parse_document
from connector.hunts.catalogue.format import hunt_schema, read_hunt
from connector.hunts.catalogue.source import Source
from connector.hunts.checking.cases import judge
from connector.hunts.checking.lint import lint

README = (Path(__file__).parents[2] / "queries" / "README.md").read_text(encoding="utf-8")


def keys(part: dict, place: str = "") -> Iterator[tuple[str, dict]]:
    """Yield every key of a schema by its place, `cases[].name`, with what the schema says of it."""
    for name, below in part.get("properties", {}).items():
        yield f"{place}{name}", below
        yield from keys(below, f"{place}{name}.")
        yield from keys(below.get("items", {}), f"{place}{name}[].")
    for name, below in part.get("$defs", {}).items():
        yield from keys(below, f"{name}.")
        yield from keys(below.get("items", {}), f"{name}[].")


def described(said: dict) -> str:
    """Return the description of a key, or that of the definition it refers to."""
    if "description" in said:
        return said["description"]
    return hunt_schema()["$defs"][said["$ref"].rpartition("/")[2]].get("description", "")


@pytest.mark.parametrize(("place", "said"), list(keys(hunt_schema())), ids=lambda v: v if isinstance(v, str) else "")
def test_every_key_is_described(place, said):
    assert len(described(said)) > 6, f"hunt.schema.json does not describe {place}"
    row = re.search(rf"^\| `{re.escape(place)}` \| (.+) \|$", README, re.MULTILINE)
    assert row, f"queries/README.md has no row for {place}"
    for word in said.get("enum", []):
        assert f"`{word}`" in row[1], f"queries/README.md does not name {word} at {place}"


def test_the_readme_describes_no_key_that_is_not_there():
    rows = re.findall(r"^\| `([a-z_.\[\]]+)` \|", README, re.MULTILINE)
    assert sorted(rows) == sorted(place for place, _ in keys(hunt_schema()))


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(dict(hunt_schema()))


def test_the_example_is_a_hunt_without_a_fault():
    example = re.search(r"```yaml\n(.+?)```", README, re.DOTALL)
    document = parse_document(example[1], "queries/policy/example-hunt.yml")
    hunt, problems = read_hunt(document, "policy", {})
    assert problems == []
    assert lint(Source(hunt, document)) == []
    assert [verdict.differences for verdict in judge(hunt)] == [(), ()]
