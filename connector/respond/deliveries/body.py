"""Renders the body of a delivery: a Jinja template whose every value becomes JSON where it stands.

Within quotes in the template a value is escaped text (None is nothing), outside of them it is a whole JSON value; so
`{"text": "{{ threat }}"}`, `{"text": {{ threat }}}` and `{"text": {{ threat | tojson }}}` mean the same.

Promises: the body is valid JSON whatever the values hold; values are never read as a template; templates run in
Jinja's sandbox and reach no file. Will not: offer macros and block assignments, which would escape twice; it says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined
from jinja2.exceptions import SecurityError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from connector.errors import DeliveryError
from connector.respond.deliveries.escapes import code, slack, wiki
from connector.respond.deliveries.wording import SUBJECTS
from connector.settings.model import Kind

BODIES = Path(__file__).parent / "bodies"
START, STOP = "\ue000", "\ue001"  # private use: they mark where a value stands until its surroundings are known
VALUE = re.compile(f"({START}[^{STOP}]*{STOP})")
QUOTE_OR_ESCAPE = re.compile(r'\\.|"', re.DOTALL)


def read_template(path: Path) -> str:
    """Return the text of a template file; DeliveryError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise DeliveryError(f"{path}: the template cannot be read: {why}") from error


def built_in(kind: Kind) -> Path:
    """Return the template that is shipped for a kind of receiver."""
    return BODIES / f"{kind}.json.j2"


def speaks_of(template: str, subject: str) -> bool:
    """Return whether a template is made for messages about the subject: it names that one, or none of the three.

    True, too, for what is no template: rendering says what is wrong.
    """
    try:
        names = find_undeclared_variables(_ENVIRONMENT.parse(template)) & set(SUBJECTS)
    except TemplateError:
        return True
    return subject in names or not names


def render(template: str, message: Mapping[str, Any], name: str) -> bytes:
    """Return the body that a template makes of a message; DeliveryError names the template and the line."""
    try:
        compiled = _ENVIRONMENT.from_string(template.replace(START, "").replace(STOP, ""))
        rendered = compiled.render({key: _without_marks(value) for key, value in message.items()})
    except TemplateError as error:
        raise DeliveryError(f"{name}:{_line(error)}: {_words(error)}") from error
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
        raise DeliveryError(f"{name}:{_line(error)}: the template fails: {type(error).__name__}: {error}") from error
    body = _assembled(rendered)
    try:
        json.loads(body)
    except ValueError as error:
        raise DeliveryError(f"{name}: the body it makes is no JSON: {error}; near {_near(body, error)!r}") from error
    return body.encode()


def _marked(value: Any) -> str:
    """Return a value as JSON between the marks; it is put in place by `_assembled`."""
    if isinstance(value, Undefined):
        return str(value)  # raises, with the name
    if isinstance(value, str) and START in value:
        raise TemplateError("macros, call blocks and block assignments cannot be used in the template of a body")
    return START + json.dumps(value) + STOP


_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined,
    finalize=_marked,
    autoescape=False,  # that would escape for HTML; `finalize` escapes every value for JSON
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters["tojson"] = lambda value: value  # every value becomes JSON, asked for or not
_ENVIRONMENT.filters |= {"slack": slack, "code": code, "wiki": wiki}
_ENVIRONMENT.globals.clear()  # loops and filters are enough


def _assembled(rendered: str) -> str:
    """Return the text with each marked value as it must be where it stands: in a JSON string or outside."""
    parts: list[str] = []
    inside = False
    for part in VALUE.split(rendered):
        if part.startswith(START):
            parts.append(_escaped(part[1:-1]) if inside else part[1:-1])
        else:
            parts.append(part)
            inside ^= sum(found == '"' for found in QUOTE_OR_ESCAPE.findall(part)) % 2 == 1
    return "".join(parts)


def _escaped(encoded: str) -> str:
    """Return a JSON value as a piece of a JSON string: text without its quotes, nothing for null."""
    if encoded == "null":
        return ""
    return encoded[1:-1] if encoded.startswith('"') else json.dumps(encoded)[1:-1]


def _without_marks(value: Any) -> Any:
    """Return a JSON value with the two marks replaced in every text of it, as nobody else may set them."""
    if isinstance(value, str):
        return value.replace(START, "\ufffd").replace(STOP, "\ufffd")
    if isinstance(value, Mapping):
        return {_without_marks(key): _without_marks(item) for key, item in value.items()}
    return [_without_marks(item) for item in value] if isinstance(value, list | tuple) else value


def _line(error: BaseException) -> int:
    """Return the line of the template an error comes from, 1 if it is not known."""
    if isinstance(error, TemplateSyntaxError):
        return error.lineno
    lines, frame = [1], error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == "<template>":
            lines.append(frame.tb_lineno)
        frame = frame.tb_next
    return lines[-1]


def _words(error: TemplateError) -> str:
    """Return what is wrong with a template."""
    if isinstance(error, SecurityError):
        return f"the template asks for what it must not have: {error.message}"
    return str(error.message)


def _near(body: str, error: ValueError) -> str:
    """Return the few characters around the place where a body stops being JSON."""
    place = error.pos if isinstance(error, json.JSONDecodeError) else 0
    return body[max(place - 20, 0) : place + 20]
