"""Strict YAML: what is refused, at which line, and in which words."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.documents import Document, parse_document, read_document, schema_problems
from connector.errors import ContentError


def refused(text: str) -> list[tuple[int, str]]:
    with pytest.raises(ContentError) as caught:
        parse_document(text, "x.yml")
    return [(problem.line, problem.message) for problem in caught.value.problems]


def said(text: str, schema: dict) -> list[tuple[int, str]]:
    return [(problem.line, problem.message) for problem in schema_problems(parse_document(text, "x.yml"), schema)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("# nothing", None),
        ("yes", "yes"),
        ("No", "No"),
        ("on", "on"),
        ("True", "True"),
        ("2026-11-02", "2026-11-02"),
        ("2026-11-02T09:12:00Z", "2026-11-02T09:12:00Z"),
        ("12:30:45", "12:30:45"),
        ("0x1f", "0x1f"),
        ("0777", "0777"),
        ("1_000", "1_000"),
        ("-12", -12),
        ("0", 0),
        ("1.5", 1.5),
        ("1.5e3", 1500.0),
        (".inf", ".inf"),
        ("'5'", "5"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("fd00::/8", "fd00::/8"),
        ("::1", "::1"),
        ('"\\ud83d\\ude00"', "😀"),
        ("[a, [b]]", ["a", ["b"]]),
        ("\ufeffkey: value", {"key": "value"}),
        ("a: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
    ],
)
def test_scalars_are_those_of_json(text: str, value: object) -> None:
    read = parse_document(text, "x.yml").value
    assert read == value
    assert type(read) is type(value)


LETTERS = st.characters(exclude_categories=["Cs"])
TEXT = st.text(LETTERS)
KEY = st.text(LETTERS, max_size=80)  # escaped it may be twelve times as long, and a key in YAML has 1,024 at most
SCALARS = st.booleans() | st.integers() | st.none() | TEXT


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEY, inner)))
def test_json_is_read_as_json(value: object) -> None:
    assert parse_document(json.dumps(value), "x.yml").value == value


def test_every_place_has_its_line_and_an_unknown_place_that_of_the_nearest() -> None:
    document = parse_document("a:\n  - b: 1\n    c:\n      - 2\n      - 3\n", "x.yml")
    assert document.line(()) == 1
    assert document.line(("a",)) == 1
    assert document.line(("a", 0)) == 2
    assert document.line(("a", 0, "c")) == 3
    assert document.line(("a", 0, "c", 1)) == 5
    assert document.line(("a", 0, "missing", "deeper")) == 2
    assert str(document.problem(("a", 0, "c", 1), "is odd")) == "x.yml:5: is odd"


def test_an_empty_document_has_a_first_line() -> None:
    assert Document(None, "x.yml", {}).line(("a",)) == 1


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "the key a stands twice in one mapping: keep one of them"),
        ("x:\n  - {a: 1, a: 2}\n", 2, "the key a stands twice"),
        ("a: 1\n1: 2\n", 2, "the key 1 is not text: put it in quotes"),
        ("true: 2\n", 1, "the key true is not text: put it in quotes"),
        ("a:\n\tb: 1\n", 2, "not valid YAML: a tab cannot indent: use spaces"),
        ("a: 1\n b: 2\n", 2, "not valid YAML: a second colon in one line"),
        ("a: b: c\n", 1, "put the value in quotes, or correct the indentation"),
        ("a: [1, 2\nb: 3\n", 2, "not valid YAML: while parsing a flow sequence"),
        ("a: 'open\n", 2, "not valid YAML: while scanning a quoted scalar found unexpected end of stream"),
        ("a: 1\n---\nb: 2\n", 2, "expected a single document"),
        ("a: 1\nb: \x07\n", 2, "not valid YAML: the character U+0007 is not allowed: remove it"),
        ("a: !!python/object:os.system {}\n", 1, "not valid YAML"),
        ("a: &x [*x]\n", 1, "not valid YAML: it is nested too deeply, or in itself"),
        ("[" * 5000, 1, "not valid YAML: it is nested too deeply"),
        ('a: "\\ud83d"\n', 1, "not valid YAML: half of a character"),
        ("a: @b\n", 1, "not valid YAML: while scanning for the next token"),
    ],
)
def test_what_is_no_strict_yaml_is_refused(text: str, line: int, words: str) -> None:
    problems = refused(text)
    assert len(problems) == 1
    assert problems[0][0] == line
    assert words in problems[0][1]
    assert "\n" not in problems[0][1]


def test_every_repeated_key_is_reported() -> None:
    assert [line for line, _ in refused("a: 1\na: 2\nb:\n  c: 1\n  c: 2\n")] == [2, 5]


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match=r"none\.yml:1: cannot be read: No such file or directory"):
        read_document(tmp_path / "none.yml")
    with pytest.raises(ContentError, match=r":1: cannot be read: Is a directory"):
        read_document(tmp_path)


def test_a_file_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_bytes("a: 1\nb: caf\xe9\n".encode("latin-1"))
    with pytest.raises(ContentError, match=r"x\.yml:2: is not UTF-8 text: save the file as UTF-8"):
        read_document(tmp_path / "x.yml")


def test_a_file_may_start_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_document(tmp_path / "x.yml").value == {"a": 1}


def of(**properties: object) -> dict:
    return {"type": "object", "additionalProperties": False, "properties": properties}


@pytest.mark.parametrize(
    ("text", "schema", "problem"),
    [
        ("a: 1", of(a={"type": "string"}), "a must be text, not 1"),
        ("a: yes", of(a={"type": "boolean"}), "a must be true or false, not 'yes'"),
        ("a: true", of(a={"type": "integer"}), "a must be a whole number, not true"),
        ("a: 1.5", of(a={"type": "integer"}), "a must be a whole number, not 1.5"),
        ("a:", of(a={"type": "array"}), "a must be a list, not empty"),
        ("", of(), "the file must be a mapping, not empty"),
        ("a: x", of(a={"type": ["array", "null"]}), "a must be a list or nothing, not 'x'"),
        ("a: c", of(a={"enum": ["a", "b"]}), "a is 'c'; allowed: a, b"),
        ("a: c", of(a={"const": "b"}), "a is 'c'; allowed: b"),
        ("a: C", of(a={"pattern": "^c", "description": "lower case"}), "another form than allowed (lower case)"),
        ("a: ''", of(a={"minLength": 1}), "a must not be empty"),
        ("a: []", of(a={"minItems": 1}), "a needs at least 1 item"),
        ("a: [1]", of(a={"minItems": 2}), "a needs at least 2 items"),
        ("a: {}", of(a={"minProperties": 1}), "a needs at least 1 key"),
        ("a: [1, 1]", of(a={"uniqueItems": True}), "a has the same item twice"),
        ("a: 0", of(a={"minimum": 1}), "a must be 1 or more, not 0"),
        ("a: 9", of(a={"maximum": 8}), "a must be 8 or less, not 9"),
        ("a: 1", of(a={"anyOf": [{"type": "string"}, {"type": "array"}]}), "a must be text or a list, not 1"),
        ("{}", {"required": ["a"]}, "the file lacks the key a"),
        ("{}", {"required": ["a", "b"]}, "the file lacks the key a, b"),
        ("{}", {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, "the file needs one of the keys a, b"),
        ("{}", {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, "the file needs at least one of the keys a, b"),
        ("a: 1\nb: 1", {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, "the file needs one of the keys a, b"),
        ("wndow: 1", of(window={}), "unknown key wndow in the file; did you mean window?"),
        ("zzz: 1", of(window={}, lag={}), "unknown key zzz in the file; known keys: lag, window"),
        ("a: 7", of(a={"not": {"type": "integer"}}), "a: 7 should not be valid under"),
    ],
)
def test_each_rule_is_said_in_plain_words(text: str, schema: dict, problem: str) -> None:
    found = said(text, schema)
    assert len(found) == 1, found
    assert problem in found[0][1]


def test_each_unknown_key_has_its_own_line() -> None:
    assert [line for line, _ in said("a: 1\nx: 2\nb:\n  y: 3\nz: 4\n", of(a={}, b=of()))] == [2, 4, 5]


def test_keys_that_match_a_pattern_are_known() -> None:
    schema = {"patternProperties": {"^hunt\\.": {}}, "additionalProperties": False}
    assert said("hunt.x: 1\n", schema) == []
    assert said("hunt.x: 1\nother: 2\n", schema) == [(2, "unknown key other in the file; known keys: ")]


def test_of_alternatives_the_one_that_fits_best_is_reported() -> None:
    leaf = {"anyOf": [{"type": "string"}, of(any_of={"type": "array"}), {"type": "array", "items": {"type": "string"}}]}
    assert said("a:\n  any_of: 1\n", of(a=leaf)) == [(2, "a.any_of must be a list, not 1")]
    assert said("a:\n  - x\n  - 2\n", of(a=leaf)) == [(3, "a[1] must be text, not 2")]


def test_a_long_value_is_cut() -> None:
    assert len(said(f"a: {'x' * 500}", of(a={"type": "integer"}))[0][1]) < 120
