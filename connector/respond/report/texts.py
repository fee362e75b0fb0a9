"""Texts of unknown origin made fit for a page: events are written by attackers.

Promises: what `shown` returns is one line without a control, bidirectional or invisible character, each of which is
shown as an escape (`\\x1b`, `\\u202e`); and it is short. Will not: escape for HTML, which the template does for
everything; or touch letters of any script.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

LONGEST = 300
# control, format, private use, surrogates and unassigned characters, line and paragraph separators
UNSEEN = frozenset(("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"))
MARKS = frozenset(("Mn", "Me"))  # drawn over what is before them
MOST_MARKS = 3


def shown(value: object, longest: int = LONGEST) -> str:
    """Return a value as one line of text: yes and no for booleans, lists with commas, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return shown(", ".join(shown(item, longest) for item in value[:longest]), longest)
    text = str(value)
    cut = text if len(text) <= longest else text[: longest - 1]
    safe = cut if cut.isascii() and cut.isprintable() else _visible(cut)
    return safe if len(cut) == len(text) else safe + "…"


def _visible(text: str) -> str:
    """Return the text with what cannot be seen as escapes, and of marks piled on a letter the first few."""
    parts: list[str] = []
    piled = 0
    for char in text:
        kind = unicodedata.category(char)
        piled = piled + 1 if kind in MARKS else 0
        if kind in UNSEEN:
            parts.append(char.encode("unicode_escape").decode("ascii"))
        elif piled <= MOST_MARKS:
            parts.append(" " if kind == "Zs" else char)
    return "".join(parts)


def moment(text: str | None) -> datetime | None:
    """Return the time of a text, in UTC; None if there is none that can be read."""
    try:
        found = datetime.fromisoformat(text) if text else None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC) if found else None
    except (ValueError, OverflowError):
        return None


def clock(at: datetime) -> str:
    """Return a time to the second as people read it, with its zone."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def told(text: str | None) -> str:
    """Return the time of a text as people read it; the text itself if it is none."""
    found = moment(text)
    return clock(found) if found else text or ""


def written(at: datetime) -> str:
    """Return a time as a report's document writes it: ISO 8601 in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
