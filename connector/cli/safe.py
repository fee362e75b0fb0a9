"""Text of unknown origin made fit for a terminal: events are written by attackers.

Promises: what `plain` returns holds no control, escape, bidirectional or invisible character that a terminal or a
reader could take for something else; such a character is shown as an escape (`\\x1b`, `\\u202e`). Will not: touch
letters of any script.
"""

from __future__ import annotations

import unicodedata

CONTROL = "Cc"
# format, private use, surrogates and unassigned characters, line and paragraph separators
UNSEEN = frozenset(("Cf", "Co", "Cs", "Cn", "Zl", "Zp"))
CELL = 200


def plain(text: object, limit: int | None = CELL, lines: bool = False) -> str:
    """Return the text with every character a terminal could act on shown as an escape, cut at `limit` characters.

    With `lines` line feeds stay. Characters of rich markup stay as they are: no console here reads markup.
    """
    full = str(text)
    cut = full if limit is None or len(full) <= limit else full[: limit - 1]
    safe = cut if cut.isascii() and cut.isprintable() else "".join(_shown(char, lines) for char in cut)
    return safe if len(cut) == len(full) else safe + "…"


def _shown(char: str, lines: bool) -> str:
    """Return the character, or its escape if a terminal or a reader could take it for something else."""
    if (char == "\n" and lines) or char.isprintable():
        return char
    kind = unicodedata.category(char)
    if kind == CONTROL or kind in UNSEEN:
        return char.encode("unicode_escape").decode("ascii")
    return " "
