"""What VirusTotal answers about a value, read from its API v3; pure.

Promises: every value is of the type it should be and bounded, whatever the answer holds; nothing else of the answer is
kept. Source: https://docs.virustotal.com/reference (objects `domain`, `ip_address` and `file`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

Verdict = Literal["malicious", "suspicious", "harmless", "unrated", "unknown"]
Json = dict[str, Any]
CERTAIN = 3  # engines that must call something malicious; fewer are often wrong
LONGEST, MOST = 200, 20
STATS = ("malicious", "suspicious", "harmless", "undetected", "timeout")
TEXTS = ("meaningful_name", "type_description", "as_owner", "country", "registrar", "sha256")
YEAR_9999 = 253402300799


@dataclass(frozen=True)
class Answer:
    """What is known: counts of engines by their verdict, the community's reputation, tags, and a few facts."""

    verdict: Verdict
    stats: Mapping[str, int]
    reputation: int | None = None
    tags: tuple[str, ...] = ()
    analysed: str | None = None
    label: str = ""
    facts: Mapping[str, str] | None = None

    @property
    def words(self) -> str:
        """Return the answer in one line."""
        if self.verdict == "unknown":
            return "VirusTotal does not know it"
        rated = sum(self.stats.get(name, 0) for name in ("malicious", "suspicious", "harmless", "undetected"))
        said = (
            f"{self.stats.get('malicious', 0)} of {rated} engines call it malicious" if rated else "no engine rated it"
        )
        parts = [said, self.label, f"analysed {self.analysed[:10]}" if self.analysed else ""]
        return f"VirusTotal: {', '.join(filter(None, parts))}"


UNKNOWN = Answer("unknown", {})


def answer_of(document: object) -> Answer | None:
    """Return what the JSON of an answer says; None if it is no answer of API v3."""
    attributes = _part(_part(document, "data"), "attributes")
    stats = _part(attributes, "last_analysis_stats") if attributes is not None else None
    if attributes is None:
        return None
    counts = {name: number for name in STATS if (number := _number(stats, name)) is not None}
    tags = attributes.get("tags")
    facts = {name: text for name in TEXTS if (text := _text(attributes.get(name)))}
    threat = _part(attributes, "popular_threat_classification")
    return Answer(
        verdict=_verdict(counts),
        stats=counts,
        reputation=_number(attributes, "reputation"),
        tags=tuple(filter(None, map(_text, tags[:MOST]))) if isinstance(tags, list) else (),
        analysed=_moment(_number(attributes, "last_analysis_date")),
        label=_text(threat.get("suggested_threat_label")) if threat else "",
        facts=facts,
    )


def _verdict(counts: Mapping[str, int]) -> Verdict:
    """Return what the counts of engines amount to."""
    bad = counts.get("malicious", 0)
    if bad >= CERTAIN:
        return "malicious"
    if bad or counts.get("suspicious", 0):
        return "suspicious"
    return "harmless" if counts.get("harmless", 0) + counts.get("undetected", 0) else "unrated"


def _part(document: object, name: str) -> Json | None:
    """Return the object under a name; None if there is none."""
    found = document.get(name) if isinstance(document, dict) else None
    return found if isinstance(found, dict) else None


def _number(document: Json | None, name: str) -> int | None:
    """Return the whole number under a name, as far as an index can hold it; None if there is none."""
    found = document.get(name) if document else None
    return found if type(found) is int and abs(found) < 2**53 else None


def _text(value: object) -> str:
    """Return a text, bounded; empty if the value is none."""
    return value[:LONGEST] if isinstance(value, str) else ""


def _moment(seconds: int | None) -> str | None:
    """Return a moment in seconds of the epoch as ISO 8601; None if it is none."""
    if seconds is None or not 0 <= seconds <= YEAR_9999:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
