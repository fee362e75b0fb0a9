"""Every key that a settings file can have is described in its schema, in docs/settings.md and in what `init` writes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from connector.documents import parse_document, schema_problems
from connector.settings.load import EXAMPLE, load_settings, schema
from connector.settings.networks import ROLES, SYNONYMS

DOCS = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
NAMES = ("hunts", "networks", "resolvers")


def keys(part: dict, place: str = "") -> Iterator[tuple[str, dict]]:
    """Yield every key of a schema by its place, `sources[].pattern`, with what the schema says of it."""
    for name, below in part.get("properties", {}).items():
        yield f"{place}{name}", below
        yield from keys(below, f"{place}{name}.")
        yield from keys(below.get("items", {}), f"{place}{name}[].")
    for name, below in part.get("$defs", {}).items():
        yield from keys(below, f"{name}.")


def all_keys() -> list[tuple[str, str, dict]]:
    return [(file, place, said) for file in NAMES for place, said in keys(schema(file))]


@pytest.mark.parametrize(
    ("file", "place", "said"), all_keys(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_key_is_described_in_its_schema_and_in_the_documentation(file, place, said):
    assert len(said.get("description", "")) > 10, f"{file}.schema.json does not describe {place}"
    row = re.search(rf"^\| `{re.escape(place)}` \| (.+) \|$", DOCS, re.MULTILINE)
    assert row, f"docs/settings.md has no row for {place}"
    for word in said.get("enum", []):
        assert f"`{word}`" in row[1], f"docs/settings.md does not name {word} at {place}"


def test_the_documentation_describes_no_key_that_is_not_there():
    rows = re.findall(r"^\| `([a-z_.\[\]]+)` \|", DOCS, re.MULTILINE)
    assert sorted(rows) == sorted(place for _, place, _ in all_keys())


def test_roles_and_environment_variables_are_documented():
    for word in (*ROLES, *SYNONYMS, *SYNONYMS.values(), "HUNTS_CONFIG", "HUNTS_PASSWORD", "HUNTS_API_KEY"):
        assert f"`{word}`" in DOCS


@pytest.mark.parametrize("name", NAMES)
def test_the_schemas_are_schemas(name):
    Draft202012Validator.check_schema(dict(schema(name)))


def uncommented(text: str) -> str:
    """Return the file with its examples switched on: the comments that hold a key, an item, or more of one."""
    names = "siem|sources|prefix|networks|resolvers|receiver_networks|"
    names += "receivers|queries|links|evidence|reputation|dashboards|service"
    return re.sub(rf"^# (?=({names}):| )", "", text, flags=re.MULTILINE)


def test_the_commented_file_shows_every_key_and_is_right_when_uncommented():
    text = (EXAMPLE / "hunts.yml").read_text(encoding="utf-8")
    for place, _ in keys(schema("hunts")):
        assert re.search(rf"\b{place.rpartition('.')[2]}\b", text), f"example/hunts.yml does not show {place}"
    document = parse_document(uncommented(text), "hunts.yml")
    assert set(document.value) == set(schema("hunts")["properties"])
    siem = document.value["siem"]
    assert siem.pop("api_key_file"), "shown as the alternative to username"
    assert schema_problems(document, schema("hunts")) == []


def test_the_commented_file_as_it_is_means_the_defaults(tmp_path):
    (tmp_path / "hunts.yml").write_bytes((EXAMPLE / "hunts.yml").read_bytes())
    assert load_settings(tmp_path / "hunts.yml", {}).embedded
