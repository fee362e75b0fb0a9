"""The `reputation` part of `hunts.yml`: VirusTotal, how often it may be asked, and MISP's warning lists.

Promises: the key never travels in clear text, loopback aside. Will not: connect, or read a list.
"""

from __future__ import annotations

from datetime import timedelta

from connector.errors import Problem
from connector.settings.access import checked_url, in_clear, is_safe
from connector.settings.durations import duration, span
from connector.settings.files import Surroundings
from connector.settings.model import ReputationSettings
from connector.settings.part import Part

LONGEST = timedelta(days=365)
SHORTEST = timedelta(minutes=1)


def reputation_of(part: Part, around: Surroundings, problems: list[Problem]) -> ReputationSettings:
    """Return where reputation is looked up; what is wrong is added to `problems`."""
    known = ReputationSettings()
    key = around.secret(part, "virustotal_key_file", "HUNTS_VIRUSTOTAL_KEY", problems)
    lists = around.path(part, "warning_lists", problems, folder=True)
    ca_file = around.path(part, "ca_file", problems)
    automatic = part.at("automatic").value is True
    if automatic and not (key or part.text("virustotal_key_file") or part.text("warning_lists")):
        words = "has nothing to look things up in: set HUNTS_VIRUSTOTAL_KEY, or name warning_lists"
        problems.append(part.at("automatic").problem(words))
    return ReputationSettings(
        key=key,
        url=_url(part, known.url, problems),
        ca_file=str(ca_file) if ca_file else None,
        automatic=automatic,
        per_minute=_number(part, "per_minute", known.per_minute),
        per_day=_number(part, "per_day", known.per_day),
        keep=_time(part, "keep", known.keep, problems),
        keep_unknown=_time(part, "keep_unknown", known.keep_unknown, problems),
        warning_lists=lists,
    )


def _url(part: Part, default: str, problems: list[Problem]) -> str:
    """Return the address of VirusTotal."""
    where = part.at("url")
    if not part.text("url"):
        return default
    split = checked_url(where, problems)
    if split and not is_safe(split):
        problems.append(in_clear(where))
    return str(where.value)


def _number(part: Part, key: str, default: int) -> int:
    """Return the whole number under the key, the default if there is none."""
    value = part.at(key).value
    return value if type(value) is int else default


def _time(part: Part, key: str, default: timedelta, problems: list[Problem]) -> timedelta:
    """Return the time under the key; the default if there is none, or one out of bounds, which is a problem."""
    time = duration(part.text(key) or "")
    if time is None:
        return default
    if not SHORTEST <= time <= LONGEST:
        words = f"is {span(time)}: it must lie between {span(SHORTEST)} and {span(LONGEST)}"
        problems.append(part.at(key).problem(words))
    return time
