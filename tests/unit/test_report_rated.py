"""The reputation that is stored with declarations, as a report tells it."""

from typing import Any

from connector.respond.report.rated import MOST, reputation_of
from connector.respond.reputation.answer import Answer
from connector.respond.reputation.lookup import LookedUp

ASKED, LATER = "2026-11-03T10:00:00.000Z", "2026-11-04T10:00:00.000Z"


def stored(*values: LookedUp) -> tuple[str, dict[str, Any]]:
    """Return a declaration with what was looked up."""
    return "id", {"reputation": [one.document for one in values]}


def rated(value: str, malicious: int, asked: str = ASKED) -> LookedUp:
    """Return what VirusTotal says of an address."""
    verdict = "malicious" if malicious else "harmless"
    answer = Answer(verdict, {"malicious": malicious, "harmless": 80}, analysed="2026-11-01T00:00:00Z")
    return LookedUp(value, "ip", "answered", answer=answer, asked=asked)


def test_each_value_is_told_once_as_asked_last_and_the_worst_first() -> None:
    common = LookedUp("example.com", "domain", "answered", lists=("top sites",))
    found, left = reputation_of(
        [
            stored(rated("198.51.100.1", 0, LATER), common),
            stored(rated("198.51.100.1", 5), rated("203.0.113.66", 9)),
            ("without", {}),
        ]
    )
    assert [(one.value, one.verdict) for one in found] == [
        ("203.0.113.66", "malicious"),
        ("198.51.100.1", "harmless"),
        ("example.com", "common"),
    ]
    assert "9 of 89 engines" in found[0].said
    assert (found[0].source, found[0].asked, found[0].analysed) == ("VirusTotal", ASKED, "2026-11-01T00:00:00Z")
    assert (found[2].source, left) == ("warning lists", 0)


def test_what_is_more_is_counted_and_texts_are_made_visible() -> None:
    found, left = reputation_of([stored(*(rated(f"198.51.100.{n}\u202e", 0) for n in range(MOST + 3)))])
    assert (len(found), left) == (MOST, 3)
    assert "\u202e" not in found[0].value
