"""Strict YAML with the line of every value, and JSON Schema checks that answer in plain words.

Promises: duplicate keys and keys that are no text are refused; only true and false are booleans; dates stay text;
every problem has file:line and all of them are collected. Will not: write YAML, or know what any file means.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from connector.errors import ContentError, Problem

Place = tuple[str | int, ...]
TEXT_TAG = "tag:yaml.org,2002:str"
TYPE_NAMES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


class _FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML with the scalars of JSON, read ten times as fast where PyYAML came with libyaml; its errors say less."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - the library's own shape


class _Loader(yaml.SafeLoader):
    """YAML with the scalars of JSON: no dates, no yes and no, no base-60 numbers."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - the library's own shape

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        """Return the scalar with the escapes of JSON joined: it writes a rare character as two halves."""
        node = super().compose_scalar_node(anchor)
        try:
            node.value = node.value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise yaml.composer.ComposerError(None, None, "half of a character", node.start_mark) from None
        return node


for _tag, _pattern, _first in (
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
    ("bool", r"^(?:true|false)$", list("tf")),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
    ("float", r"^[-+]?[0-9]+\.[0-9]+(?:[eE][-+]?[0-9]+)?$", list("-+0123456789")),
):
    for _loader in (_Loader, _FastLoader):
        _loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


@dataclass(frozen=True)
class Document:
    """A parsed file: its value, and the line (1 based) of every place in it."""

    value: Any
    file: str
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int:
        """Return the line of a place, or of the nearest place around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def problem(self, place: Place, message: str) -> Problem:
        """Return a problem at that place of this file."""
        return Problem(self.file, self.line(place), message)


def read_document(path: Path) -> Document:
    """Return the YAML file as a document; ContentError if it cannot be read, is not YAML or repeats a key."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ContentError([Problem(str(path), 1, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ContentError([Problem(str(path), line, "is not UTF-8 text: save the file as UTF-8")]) from error
    return parse_document(text, str(path))


def parse_document(text: str, file: str) -> Document:
    """Return the text as a document named `file`; ContentError as in `read_document`."""
    try:
        return _document(_FastLoader(text), file)
    except yaml.YAMLError:
        return _document(_loader_of(text, file), file)


def _loader_of(text: str, file: str) -> _Loader:
    """Return the loader whose errors are of use; ContentError if a character is not allowed."""
    try:
        return _Loader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        odd = f"the character U+{ord(text[error.position]):04X} is not allowed: remove it"
        raise ContentError([Problem(file, line, f"not valid YAML: {odd}")]) from error


def _document(loader: _Loader | _FastLoader, file: str) -> Document:
    """Return what a loader reads; ContentError as in `read_document`, YAMLError from the fast one."""
    try:
        root = loader.get_single_node()
        lines: dict[Place, int] = {}
        problems = list(_walk(root, (), lines, file)) if root else []
        if problems:
            raise ContentError(problems)
        return Document(loader.construct_document(root) if root else None, file, lines)
    except yaml.MarkedYAMLError as error:
        if isinstance(loader, _FastLoader):
            raise
        raise ContentError([_yaml_problem(error, file)]) from error
    except RecursionError as error:
        raise ContentError([Problem(file, 1, "not valid YAML: it is nested too deeply, or in itself")]) from error
    finally:
        loader.dispose()


def _yaml_problem(error: yaml.MarkedYAMLError, file: str) -> Problem:
    """Return the parser's complaint, with advice for the two mistakes that people make most."""
    mark = error.problem_mark or error.context_mark
    said = " ".join(part for part in (error.context, error.problem) if part)
    if "'\\t'" in said:
        said = "a tab cannot indent: use spaces"
    elif "mapping values are not allowed" in said:
        said = "a second colon in one line: put the value in quotes, or correct the indentation"
    return Problem(file, mark.line + 1 if mark else 1, f"not valid YAML: {said}")


def _walk(node: yaml.Node, place: Place, lines: dict[Place, int], file: str) -> Iterator[Problem]:
    """Note the line of every place below the node, and yield a problem for each repeated key."""
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(item, (*place, index), lines, file)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            here = key.start_mark.line + 1
            if key.tag != TEXT_TAG:
                yield Problem(file, here, f"the key {name} is not text: put it in quotes")
            if name in seen:
                yield Problem(file, here, f"the key {name} stands twice in one mapping: keep one of them")
            seen.add(name)
            lines[(*place, name)] = here
            yield from _walk(value, (*place, name), lines, file)


def schema_problems(document: Document, schema: Mapping[str, Any]) -> list[Problem]:
    """Return what JSON Schema finds wrong in the document, in plain words and line order."""
    errors = Draft202012Validator(schema).iter_errors(document.value)
    problems = [problem for error in errors for leaf in _leaves(error) for problem in _problems(document, leaf)]
    return in_order(problems)


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems by file and line, each once."""
    return sorted(set(problems), key=lambda p: (p.file, p.line, p.message))


def _leaves(error: ValidationError) -> list[ValidationError]:
    """Return the errors a person can act on: of an any/one-of, those of the branch that fits best."""
    if not error.context:
        return [error]
    branches: dict[int, list[ValidationError]] = {}
    for part in error.context:
        branches.setdefault(int(part.schema_path[0]), []).append(part)
    typed = [b for b in branches.values() if all(p.validator != "type" or len(p.path) for p in b)]
    if not typed or all(part.validator == "required" and not part.path for b in typed for part in b):
        return [error]
    best = min(typed, key=lambda b: (-max(len(p.absolute_path) for p in b), len(b)))
    return [leaf for part in best for leaf in _leaves(part)]


def _problems(document: Document, error: ValidationError) -> list[Problem]:
    """Return one problem for the error, or one for each key the schema does not know."""
    place, name = tuple(error.absolute_path), place_name(tuple(error.absolute_path))
    if error.validator == "additionalProperties":
        known, unknown = _known_and_unknown(error)
        return [
            document.problem((*place, key), f"unknown key {key} in {name}; {_meant(key, known)}") for key in unknown
        ]
    if _asks_for_keys(error) and not isinstance(error.instance, dict):
        return []  # that it is no mapping is an error of its own
    words = WORDS.get(str(error.validator))
    if words:
        return [document.problem(place, f"{name} {words(error, cast(Any, error.validator_value))}")]
    return [document.problem(place, f"{name}: {error.message}{_described(error)}")]


def _asks_for_keys(error: ValidationError) -> bool:
    """Tell whether an any/one-of chooses between keys."""
    branches = cast(Any, error.validator_value) if error.validator in ("anyOf", "oneOf") else []
    return bool(branches) and all(isinstance(branch, dict) and "required" in branch for branch in branches)


def _known_and_unknown(error: ValidationError) -> tuple[list[str], list[str]]:
    """Return the keys that the schema has at this place, and those of the file that it has not."""
    schema = error.schema if isinstance(error.schema, dict) else {}
    known, patterns = list(schema.get("properties", {})), list(schema.get("patternProperties", {}))
    keys = error.instance if isinstance(error.instance, dict) else {}
    return known, [k for k in keys if k not in known and not any(re.search(p, k) for p in patterns)]


def place_name(place: Place) -> str:
    """Return how a message calls a place: `sources[0].dialect`; of the whole file, `the file`."""
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return name.removeprefix(".") or "the file"


def _meant(key: str, known: list[str]) -> str:
    """Return the known key that the unknown one looks like, or all of them."""
    near = difflib.get_close_matches(key, known, 1)
    return f"did you mean {near[0]}?" if near else f"known keys: {', '.join(sorted(known))}"


def _described(error: ValidationError) -> str:
    """Return the schema's own description of the value, in brackets, if it has one."""
    described = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    return f" ({described})" if described else ""


def _lacks(error: ValidationError, wanted: list[str]) -> str:
    """Return which keys are missing (the schema library reports each by itself)."""
    missing = [key for key in wanted if isinstance(error.instance, dict) and key not in error.instance]
    return f"lacks the key {', '.join(missing)}"


def _kinds(error: ValidationError, wanted: str | list[str]) -> str:
    """Return which types are allowed."""
    kinds = [wanted] if isinstance(wanted, str) else wanted
    return f"must be {' or '.join(TYPE_NAMES[kind] for kind in kinds)}, not {_shown(error.instance)}"


def _branches(error: ValidationError, wanted: list[Any]) -> str:
    """Return what the branches of an any/one-of ask for: types, or keys."""
    if _asks_for_keys(error):
        keys = [" and ".join(branch["required"]) for branch in wanted]
        return f"needs {'one of' if error.validator == 'oneOf' else 'at least one of'} the keys {', '.join(keys)}"
    kinds = [b["type"] for b in wanted if isinstance(b, dict) and isinstance(b.get("type"), str)]
    return _kinds(error, kinds) if kinds else f"has another form than allowed: {_shown(error.instance)}"


# how each rule of JSON Schema is said; the name of the place comes before
WORDS: dict[str, Callable[[ValidationError, Any], str]] = {
    "required": _lacks,
    "type": _kinds,
    "anyOf": _branches,
    "oneOf": _branches,
    "enum": lambda error, allowed: f"is {_shown(error.instance)}; allowed: {', '.join(map(str, allowed))}",
    "const": lambda error, allowed: f"is {_shown(error.instance)}; allowed: {allowed}",
    "pattern": lambda error, _: f"is {_shown(error.instance)}, which has another form than allowed{_described(error)}",
    "minLength": lambda error, _: "must not be empty",
    "minItems": lambda error, least: f"needs at least {least} item{'' if least == 1 else 's'}",
    "minProperties": lambda error, least: f"needs at least {least} key{'' if least == 1 else 's'}",
    "uniqueItems": lambda error, _: "has the same item twice",
    "minimum": lambda error, least: f"must be {least} or more, not {_shown(error.instance)}",
    "maximum": lambda error, most: f"must be {most} or less, not {_shown(error.instance)}",
}


def _shown(value: object) -> str:
    """Return a short picture of a value for a message."""
    if value is None:
        return "empty"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
