"""Strict YAML with the line of every value, and JSON Schema checks that answer in plain words.

Promises: duplicate keys are refused; only true and false are booleans; dates stay text; every problem has file:line and
all of them are collected. Will not: write YAML, or know what any file means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from connector.errors import ContentError, Problem

Place = tuple[str | int, ...]
TYPE_NAMES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


class _Loader(yaml.SafeLoader):
    """YAML with the scalars of JSON: no dates, no yes and no, no base-60 numbers."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - the library's own shape


for _tag, _pattern, _first in (
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
    ("bool", r"^(?:true|false)$", list("tf")),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
    ("float", r"^[-+]?[0-9]+\.[0-9]+(?:[eE][-+]?[0-9]+)?$", list("-+0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


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
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ContentError([Problem(str(path), 1, f"cannot be read: {error}")]) from error
    return parse_document(text, str(path))


def parse_document(text: str, file: str) -> Document:
    """Return the text as a document named `file`; ContentError as in `read_document`."""
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        lines: dict[Place, int] = {}
        problems = list(_walk(root, (), lines, file)) if root else []
        if problems:
            raise ContentError(problems)
        return Document(loader.construct_document(root) if root else None, file, lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        raise ContentError([Problem(file, mark.line + 1 if mark else 1, f"not valid YAML: {said}")]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ContentError([Problem(file, 1, f"not valid YAML: {error}")]) from error
    finally:
        loader.dispose()


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
            if name in seen:
                yield Problem(file, here, f"the key {name} stands twice in one mapping: keep one of them")
            seen.add(name)
            lines[(*place, name)] = here
            yield from _walk(value, (*place, name), lines, file)


def schema_problems(document: Document, schema: Mapping[str, Any]) -> list[Problem]:
    """Return what JSON Schema finds wrong in the document, in plain words and line order."""
    errors = Draft202012Validator(schema).iter_errors(document.value)
    problems = [document.problem(_place(e), _words(e)) for error in errors for e in _leaves(error)]
    return sorted(set(problems), key=lambda p: (p.file, p.line, p.message))


def _leaves(error: ValidationError) -> list[ValidationError]:
    """Return the errors a person can act on: of an any/one-of, those of the branch that fits best."""
    if not error.context:
        return [error]
    branches: dict[int, list[ValidationError]] = {}
    for part in error.context:
        branches.setdefault(int(part.schema_path[0]), []).append(part)
    typed = [b for b in branches.values() if all(p.validator != "type" or len(p.path) for p in b)]
    if not typed:
        return [error]
    best = min(typed, key=lambda b: (-max(len(p.absolute_path) for p in b), len(b)))
    return [leaf for part in best for leaf in _leaves(part)]


def _place(error: ValidationError) -> Place:
    """Return the place of the error; of an unknown key, the key itself."""
    place = tuple(error.absolute_path)
    unknown = _unknown_keys(error)
    return (*place, unknown[0]) if unknown else place


def _unknown_keys(error: ValidationError) -> list[str]:
    """Return the keys that the schema does not know, if that is the error."""
    if error.validator != "additionalProperties" or not isinstance(error.instance, dict):
        return []
    known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
    return [str(key) for key in error.instance if key not in known]


def _words(error: ValidationError) -> str:
    """Return one plain sentence for a schema error."""
    name = ".".join(map(str, error.absolute_path)) or "the file"
    rule, value = str(error.validator), cast(Any, error.validator_value)
    if rule == "additionalProperties":
        known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        return f"unknown key {', '.join(_unknown_keys(error))} in {name}; known keys: {', '.join(sorted(known))}"
    if rule == "required":
        missing = [k for k in value if isinstance(error.instance, dict) and k not in error.instance]
        return f"{name} lacks the key {', '.join(missing)}"
    if rule == "type":
        kinds = [value] if isinstance(value, str) else list(value)
        return f"{name} must be {' or '.join(TYPE_NAMES[k] for k in kinds)}, not {_shown(error.instance)}"
    if rule == "enum":
        return f"{name} is {_shown(error.instance)}; allowed: {', '.join(map(str, value))}"
    if rule in ("anyOf", "oneOf"):
        kinds = [TYPE_NAMES[b["type"]] for b in value if isinstance(b, dict) and isinstance(b.get("type"), str)]
        return f"{name} must be {' or '.join(kinds) or 'of another form'}, not {_shown(error.instance)}"
    described = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    return f"{name}: {error.message}" + (f" ({described})" if described else "")


def _shown(value: object) -> str:
    """Return a short picture of a value for a message."""
    if value is None:
        return "empty"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
