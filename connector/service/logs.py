"""What the service says: one line of JSON for each thing that happened, in ECS, for any log shipper.

The fields are those of ECS (https://www.elastic.co/guide/en/ecs/current/index.html); facts of ours that are words stand
under `labels`, those that are numbers under `hunts`.

Promises: a line is one line and pure ASCII, whatever an attacker put into an event; a text in it is bounded, and has no
user and password of an address in it. Will not: touch the root logger, or any other.
"""

from __future__ import annotations

import logging
import re
import traceback
from datetime import datetime
from math import isfinite
from typing import Any, Literal, TextIO, TypeGuard

import ecs_logging

from connector import __version__
from connector.errors import HuntsError

Level = Literal["info", "warning", "error"]
Fact = str | int | float | datetime | None

SERVICE = "guided-hunts"
LEVELS: dict[Level, int] = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
LONGEST = 500
LONGEST_TRACE = 8000
MOST_FRAMES = 12  # the innermost
LOOK_AHEAD = 1500  # a password that the cut would tear is still seen whole
ALWAYS_SAME = ("log.original", "log.origin")  # the message again, and where `say` is
# user and password before the host (RFC 3986, 3.2.1); also where the password has a / that should have been escaped
USERINFO = re.compile(r"//(?:[^\s/?#]*|[^\s/@:]+:(?!\d+/)\S*)@")


def log_to(stream: TextIO) -> logging.Logger:
    """Return a logger of its own that writes ECS lines to the stream."""
    logger = logging.Logger(SERVICE, logging.INFO)
    lines = logging.StreamHandler(stream)
    always = {"service.name": SERVICE, "service.version": __version__}
    lines.setFormatter(ecs_logging.StdlibFormatter(exclude_fields=ALWAYS_SAME, extra=always))
    logger.addHandler(lines)
    return logger


def say(
    logger: logging.Logger,
    level: Level,
    action: str,
    message: str,
    /,
    *,
    took_s: float | None = None,
    error: BaseException | str | None = None,
    **facts: Fact,
) -> None:
    """Write a line: what was done (`event.action`), in a sentence, how long it took, why it failed, and facts.

    An error that is not one of ours is a fault of this program, so its line has the stack trace. A fact that is None is
    left out, as is a number that JSON does not have.
    """
    event: dict[str, str | int] = {"action": action}
    if took_s is not None:
        event["duration"] = round(took_s * 1e9)
    labels = {name: word for name, fact in facts.items() if (word := _word(fact)) is not None}
    numbers = {name: fact for name, fact in facts.items() if _is_number(fact) and isfinite(fact)}
    parts: dict[str, dict[str, Any]] = {"event": event, "labels": labels, "hunts": numbers, "error": _error(error)}
    logger.log(LEVELS[level], tellable(message), extra={name: part for name, part in parts.items() if part})


def tellable(text: object, longest: int = LONGEST) -> str:
    """Return the text without user and password of an address, at most so many characters, with … where it is cut."""
    start = str(text)[: longest + LOOK_AHEAD].encode("utf-8", "replace").decode("utf-8")  # half characters are no text
    clean = USERINFO.sub("//redacted@", start)
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def _is_number(fact: Fact) -> TypeGuard[int | float]:
    """Tell whether the fact is a number."""
    return isinstance(fact, int | float) and not isinstance(fact, bool)


def _word(fact: Fact) -> str | None:
    """Return a fact as a keyword: moments in ISO 8601, true and false as JSON has them; None for what is no word."""
    if fact is None or _is_number(fact):
        return None
    if isinstance(fact, bool):
        return str(fact).lower()
    return fact.isoformat() if isinstance(fact, datetime) else tellable(fact)


def _error(error: BaseException | str | None) -> dict[str, str]:
    """Return the fields of ECS for an error; none if there is no error."""
    if error is None or isinstance(error, str):
        return {"message": tellable(error)} if error else {}
    fields = {"type": type(error).__name__, "message": tellable(error)}
    if not isinstance(error, HuntsError):
        frames = traceback.format_tb(error.__traceback__, limit=-MOST_FRAMES)
        fields["stack_trace"] = tellable("".join(frames), LONGEST_TRACE)
    return fields
