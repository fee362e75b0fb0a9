"""The names of the fields that Suricata writes, as the list `eve-fields.txt` has them.

Will not: know in which version or event type a field is, or what a SIEM adds to events on their way.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib.resources import files

FREE = ".*"


@cache
def eve_names() -> frozenset[str]:
    """Return the names, and those of objects with free keys with `.*` behind them."""
    text = files("connector.hunts.conditions").joinpath("eve-fields.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


def is_eve_name(name: str) -> bool:
    """Return whether a version of Suricata writes a field of that name, or an object that holds fields."""
    parts = name.split(".")
    above = (".".join(parts[:count]) + FREE for count in range(1, len(parts) + 1))
    return name in eve_names() or any(each in eve_names() for each in above)


def nearest_eve_name(name: str) -> str | None:
    """Return the name that is written most alike, None if none is alike."""
    found = get_close_matches(name, sorted(eve_names()), n=1, cutoff=0.75)
    return found[0].removesuffix(FREE) if found else None
