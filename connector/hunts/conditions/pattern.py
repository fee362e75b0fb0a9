"""Patterns over text: prefix, suffix, contains and wildcard as one thing, which two compilers render.

Upper and lower case of the letters a to z are the same, as in the search engines' `case_insensitive`; letters of
other scripts are compared as written. In a wildcard `*` is any text, `?` one character, and a backslash makes the next
character plain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

How = Literal["prefix", "suffix", "contains", "wildcard"]
HOW: tuple[How, ...] = ("prefix", "suffix", "contains", "wildcard")
ANY_TEXT, ANY_CHARACTER = object(), object()
Piece = str | object


@dataclass(frozen=True)
class Pattern:
    """A pattern as it is written in a hunt: how it is anchored, and its text."""

    how: How
    text: str

    def pieces(self) -> tuple[Piece, ...]:
        """Return the pattern as single characters, ANY_TEXT and ANY_CHARACTER."""
        if self.how == "wildcard":
            return tuple(_pieces(self.text))
        before = () if self.how == "prefix" else (ANY_TEXT,)
        after = () if self.how == "suffix" else (ANY_TEXT,)
        return (*before, *self.text, *after)

    def wildcard(self) -> str:
        """Return the pattern as the search engines' `wildcard` query has it, with everything else escaped."""
        return "".join(_engine_form(piece) for piece in self.pieces())

    def regex(self) -> re.Pattern[str]:
        """Return the pattern for `fullmatch`."""
        return re.compile("".join(_regex_form(p) for p in self.pieces()), re.ASCII | re.IGNORECASE | re.DOTALL)

    def words(self) -> tuple[str, ...]:
        """Return the runs of ASCII letters, digits and underscores that any matching text has, in order."""
        literal = "".join(piece if isinstance(piece, str) else " " for piece in self.pieces())
        return tuple(re.findall(r"[A-Za-z0-9_]+", literal))

    @property
    def has_text(self) -> bool:
        """Tell whether the pattern has any character but `*` and `?`."""
        return any(isinstance(piece, str) for piece in self.pieces())

    @property
    def is_one_word(self) -> bool:
        """Tell whether the text between the anchors is one run of ASCII letters, digits and underscores."""
        return self.how == "contains" and self.words() == (self.text,)


def _pieces(text: str) -> Iterator[Piece]:
    """Yield the pieces of a wildcard; a backslash at the end is a backslash."""
    characters = iter(text)
    for char in characters:
        if char == "\\":
            yield next(characters, "\\")
        else:
            yield {"*": ANY_TEXT, "?": ANY_CHARACTER}.get(char, char)


def _engine_form(piece: Piece) -> str:
    """Return a piece in Lucene's wildcard syntax."""
    if not isinstance(piece, str):
        return "*" if piece is ANY_TEXT else "?"
    return f"\\{piece}" if piece in "*?\\" else piece


def _regex_form(piece: Piece) -> str:
    """Return a piece as a regular expression."""
    if not isinstance(piece, str):
        return ".*" if piece is ANY_TEXT else "."
    return re.escape(piece)
