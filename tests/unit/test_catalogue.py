"""Which hunts there are: ours and the user's, found by words, with every problem of every file."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from connector.enrich.addresses import parse_address, read_table
from connector.errors import Refused
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.checking.cases import example_settings
from connector.hunts.checking.check import check

REPOSITORY = Path(__file__).parents[2]
HUNT = (REPOSITORY / "tests" / "bad" / "hunts" / "title-word.yml").read_text(encoding="utf-8")
HEAD = "# about: a\n# source: b\n# licence: c\n# date: 2026-11-24\n"


def put(folder: Path, name: str, text: str = HUNT, **values: str) -> Path:
    """Write a hunt with some top-level values replaced; return its path."""
    text = text.replace("name: title-word", f"name: {Path(name).stem}")
    for key, value in values.items():
        text = re.sub(rf"^{key}: .*$", f"{key}: {value}", text, flags=re.MULTILINE)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def catalogue(folder: Path, user: Path | None = None):
    return load_catalogue(replace(example_settings(), queries=user), folder)


FAMILIES = {"policy", "dns", "tls", "http", "files", "smb", "auth", "flow", "alerts", "hosts", "c2"}
# written by the rules' authors, by one vendor's sensors (docs of Stamus Networks), or if Suricata is told to log it
FROM_RULES = ("alert.metadata.", "alert.lateral", "metadata.flowbits", "http.authorization", "http.server")
PROVIDERS = "small-dns-providers"


def test_what_we_ship_is_right_through_and_through():
    shipped = load_catalogue(example_settings())
    checked = check(shipped)
    assert [str(problem) for problem in checked.problems] == []
    assert checked.hunts == len(shipped.hunts) >= 12 and checked.not_judged == 0
    assert {hunt.family for hunt in shipped.hunts} <= FAMILIES


def test_every_hunt_we_ship_can_be_found_by_its_words():
    shipped = load_catalogue(example_settings())
    assert [h.title for h in shipped.found(["public dns queries"])] == ["Policy: Public DNS queries"]
    assert [h.name for h in shipped.found(["TUNNEL", "over txt"])] == ["dns-tunnel-txt"]
    assert "dga-nxdomain-burst" in {h.name for h in shipped.found(["attack.t1568.002"])}
    assert len(shipped.found([])) == len(shipped.hunts)
    assert shipped.found(["nothing of the sort"]) == ()


def test_a_hunt_is_named_by_name_title_or_id():
    shipped = load_catalogue(example_settings())
    hunt = shipped.named("public-dns-queries")
    assert shipped.named(hunt.id) is hunt and shipped.named("policy: public DNS queries") is hunt
    with pytest.raises(Refused, match="did you mean public-dns-queries"):
        shipped.named("pulbic-dns-queries")
    with pytest.raises(Refused, match="`hunts list` prints all"):
        shipped.named("x")


def test_the_users_folder_adds_and_overrides_by_id(tmp_path):
    ours, user = tmp_path / "ours", tmp_path / "user"
    put(ours, "policy/one.yml")
    put(user, "policy/two.yml", id="11111111-1111-4111-8111-111111111111")
    put(user, "mine/renamed.yml", severity="high")
    found = catalogue(ours, user)
    assert found.problems == ()
    assert [(h.family, h.name, h.severity) for h in found.hunts] == [
        ("mine", "renamed", "high"),
        ("policy", "two", "low"),
    ]


def test_a_broken_hunt_does_not_stop_the_others_and_every_problem_is_told(tmp_path):
    put(tmp_path, "policy/good.yml")
    put(tmp_path, "policy/broken.yml", severity="mild", id="x")
    put(tmp_path, "policy/twice.yml", text="id: a\nid: b\n")
    put(tmp_path, "dns/same-id.yml")
    put(tmp_path, "dns/other.yaml")
    put(tmp_path, "lists/empty.txt", HEAD)
    put(tmp_path, "lists/bare.txt", "x\ny\nx\n")
    found = catalogue(tmp_path)
    assert [hunt.name for hunt in found.hunts] == ["same-id"]
    said = "\n".join(map(str, found.problems))
    for words in (
        "broken.yml:2: id is 'x'",
        "severity is 'mild'",
        "twice.yml:2: the key id stands twice",
        "good.yml:2: id ",
        "other.yaml:1: is not read: name it .yml",
        "empty.txt:1: the list is empty",
        "bare.txt:1: the list does not say its source",
        "bare.txt:3: x stands in line 1 already",
    ):
        assert words in said, said


def test_a_broken_override_leaves_ours_in_place(tmp_path):
    ours, user = tmp_path / "ours", tmp_path / "user"
    put(ours, "policy/one.yml")
    put(user, "policy/one.yml", severity="mild")
    found = catalogue(ours, user)
    assert [hunt.severity for hunt in found.hunts] == ["low"] and len(found.problems) == 1


def test_two_hunts_of_one_name_are_a_problem(tmp_path):
    put(tmp_path, "dns/one.yml")
    put(tmp_path, "policy/one.yml", id="11111111-1111-4111-8111-111111111111")
    found = catalogue(tmp_path)
    assert len(found.hunts) == 1 and "name one is that of" in str(found.problems[0])


def test_a_users_list_replaces_ours_and_the_policy_makes_one(tmp_path):
    ours, user = tmp_path / "ours", tmp_path / "user"
    put(ours, "lists/names.txt", f"{HEAD}a.example # the first\n\nb.example\n")
    put(user, "lists/names.txt", f"{HEAD}c.example\n")
    assert catalogue(ours).lists["names"].values == ("a.example", "b.example")
    found = catalogue(ours, user)
    assert found.lists["names"].values == ("c.example",)
    assert found.lists["approved-resolvers"].values == ("10.0.0.53", "10.0.0.54", "10.0.0.10")


@pytest.mark.parametrize("path", sorted((REPOSITORY / "queries" / "lists").glob("*.txt")), ids=lambda path: path.stem)
def test_a_list_has_names_in_lower_case_or_addresses_or_providers_as_the_events_have_them(path):
    values = load_catalogue(example_settings()).lists[path.stem].values
    if path.stem == PROVIDERS:
        rows = read_table(REPOSITORY / "ingest-pipelines" / "tables" / "public_resolvers.csv")
        assert set(values) <= {row["provider"] for row in rows}
        return
    endings = r"[a-z0-9-]+" if path.stem == "low-reputation-tlds" else r"[a-z0-9.-]+\.[a-z0-9-]+"
    for value in values:
        assert parse_address(value.partition("/")[0]) or re.fullmatch(endings, value), value


def test_the_native_fields_that_hunts_name_are_written_by_suricata(shared):
    import json

    from connector.enrich.dialects import OURS
    from connector.hunts.checking.lint import named_fields

    known = {
        name
        for version in (6, 7, 8)
        for name in json.loads(
            (shared / "suricata" / f"field-types-suricata{version}.json").read_text(encoding="utf-8")
        )
    }
    schema = json.loads((shared / "suricata" / "schema-suricata-8.0.6.json").read_text(encoding="utf-8"))
    known |= set(schema_fields(schema, schema, ""))
    shipped = load_catalogue(example_settings()).hunts
    named = {name for hunt in shipped for _, name in named_fields(hunt) if not name.startswith((*OURS, *FROM_RULES))}
    assert sorted(name for name in named if name not in known) == []


def schema_fields(node, root, name):
    """Yield the dotted names of a JSON Schema's properties, through references and items."""
    while "$ref" in node:
        target = root
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    if name:
        yield name
    for key, value in node.get("properties", {}).items():
        yield from schema_fields(value, root, f"{name}.{key}" if name else key)
    if isinstance(node.get("items"), dict):
        yield from schema_fields(node["items"], root, name)
