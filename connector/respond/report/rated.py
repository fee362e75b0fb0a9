"""What others know of the values that declarations name, as it is stored with them; pure.

Promises: whatever a source has written is bounded text; each value is told once, as it was asked for last, the worst
first. Will not: ask anybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connector.respond.report.model import Rated
from connector.respond.report.texts import shown

Json = Mapping[str, Any]
MOST = 40
WORST_FIRST = ("malicious", "suspicious")
LISTS = "warning lists"


def reputation_of(declared: Sequence[tuple[str, Json]]) -> tuple[tuple[Rated, ...], int]:
    """Return what is known of the values of declarations (id and document), and how many values are left out."""
    found: dict[tuple[str, str], Rated] = {}
    for _, document in declared:
        for one in document.get("reputation", ()):
            rated = _rated(one)
            key = rated.kind, rated.value
            if key not in found or (rated.asked or "") > (found[key].asked or ""):
                found[key] = rated
    ordered = sorted(found.values(), key=_badness)
    return tuple(ordered[:MOST]), max(0, len(ordered) - MOST)


def _rated(one: Json) -> Rated:
    """Return what is stored of a value."""
    answer = one.get("answer") or {}
    sources = [*(["VirusTotal"] if answer else []), *([LISTS] if one.get("lists") else [])]
    return Rated(
        value=shown(one["value"]),
        kind=shown(one["kind"]),
        verdict=shown(one["verdict"]),
        said=shown(one["words"]),
        source=", ".join(sources),
        asked=one.get("asked"),
        analysed=answer.get("analysed"),
    )


def _badness(one: Rated) -> tuple[int, str]:
    """Return what puts the worst first."""
    place = WORST_FIRST.index(one.verdict) if one.verdict in WORST_FIRST else len(WORST_FIRST)
    return place, one.value
