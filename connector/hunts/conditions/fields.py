"""How the fields of the event indices are mapped, and which stored name answers which kind of question.

Built from one `_field_caps` answer per source. A field no index has is absent, which is not the same as empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

KEYWORD = frozenset(("keyword", "constant_keyword", "wildcard"))
TEXT = frozenset(("text", "match_only_text"))
WHOLE = ("long", "integer", "short", "byte", "unsigned_long")
NUMBER = frozenset((*WHOLE, "double", "float", "half_float", "scaled_float"))
SUB_FIELDS = ("keyword", "raw")


@dataclass(frozen=True)
class Fields:
    """The searchable types of every field by its stored name, and the names that can be aggregated.

    A field has several types where indices differ. `short` are text fields of which every value that is looked at is
    short enough to be in the keyword beside it.
    """

    types: Mapping[str, frozenset[str]]
    aggregatable: frozenset[str]
    short: frozenset[str] = frozenset()

    @classmethod
    def from_caps(cls, answer: Mapping[str, Any]) -> Fields:
        """Return the fields of a `_field_caps` answer; a type that is not indexed counts as `unindexed`."""
        types: dict[str, frozenset[str]] = {}
        for name, found in answer["fields"].items():
            kinds = (k if caps["searchable"] or k in ("object", "nested") else "unindexed" for k, caps in found.items())
            types[name] = frozenset(kinds)
        whole = (n for n, found in answer["fields"].items() if all(c["aggregatable"] for c in found.values()))
        return cls(types, frozenset(whole))

    def has(self, name: str) -> bool:
        """Return whether any index has the field."""
        return name in self.types

    def variants(self, name: str, kinds: Iterable[str]) -> tuple[str, ...]:
        """Return the stored names that answer for a field with one of the types.

        The field alone, if it has such a type in every index; else its `.keyword` and `.raw` sub-fields that have, and
        last the field, if it has such a type in some index.
        """
        wanted = frozenset(kinds)
        types = self.types.get(name, frozenset())
        if types and types <= wanted:
            return (name,)
        subs = tuple(sub for s in SUB_FIELDS if self.types.get(sub := f"{name}.{s}", frozenset()) & wanted)
        return (*subs, name) if types & wanted else subs

    def exact(self, name: str) -> str | None:
        """Return the stored name to group and count by: the field, or its keyword sub-field; None if there is none."""
        names = (name, *(f"{name}.{sub}" for sub in SUB_FIELDS))
        return next((n for n in names if n in self.aggregatable), None)
