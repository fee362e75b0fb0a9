"""A place in a settings file that may hold anything: what is of the wrong type reads as absent.

Promises: meaning can be checked in the same run as structure, so that all problems are reported at once. Will not:
report a wrong type; the JSON Schema does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from connector.documents import Document, Place, place_name
from connector.errors import Problem


@dataclass(frozen=True)
class Part:
    """A value and the place where it stands."""

    document: Document
    place: Place
    value: Any

    @property
    def name(self) -> str:
        """Return what messages call the place."""
        return place_name(self.place)

    @property
    def line(self) -> int:
        """Return the line of the place."""
        return self.document.line(self.place)

    def at(self, key: str) -> Part:
        """Return the value of a key; its value is None if there is none."""
        value = self.value.get(key) if isinstance(self.value, dict) else None
        return Part(self.document, (*self.place, key), value)

    def items(self, key: str) -> list[Part]:
        """Return the items of the list under a key; no list has none."""
        part = self.at(key)
        values = part.value if isinstance(part.value, list) else []
        return [Part(self.document, (*part.place, index), value) for index, value in enumerate(values)]

    def texts(self, key: str) -> list[Part]:
        """Return the texts under a key, be it one text or a list of them."""
        part = self.at(key)
        return [part] if isinstance(part.value, str) else [p for p in self.items(key) if isinstance(p.value, str)]

    def text(self, key: str) -> str | None:
        """Return the text under a key, or None."""
        value = self.at(key).value
        return value if isinstance(value, str) and value else None

    def problem(self, message: str) -> Problem:
        """Return a problem here; the message goes on from the name of the place."""
        return self.document.problem(self.place, f"{self.name} {message}")
