"""How often VirusTotal may be asked, by all programs together: one document of the state index, by compare-and-set.

Promises: a question is counted before it is asked, so that a program that is killed has not asked more than it may;
what a minute and a day (UTC, as VirusTotal counts) allow is never exceeded; after a refusal nobody asks before the
pause is over, which grows from a minute to an hour. Will not: wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.hunts.asking.tally import instant
from connector.settings.model import ReputationSettings, Settings
from connector.siem.client import Siem

Json = dict[str, Any]
DOCUMENT = "virustotal"  # its id, and its kind
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
LONGEST_PAUSE = timedelta(hours=1)
GROWTH = 2
NOTHING: Json = {"asked": [], "day": "", "count": 0, "paused": None, "failures": 0}


@dataclass(frozen=True)
class Turn:
    """Whether VirusTotal may be asked now; if not, from when on, and why."""

    granted: bool
    again: datetime | None = None
    why: str = ""


def take(siem: Siem, settings: Settings, now: datetime) -> Turn:
    """Return whether one question may be asked now; if so, it is counted."""
    turn = Turn(False)

    def edit(current: Json | None) -> Json:
        """Return the document with one more question, or as it is."""
        nonlocal turn
        value, turn = taken(current["value"] if current else NOTHING, settings.reputation, now)
        return {"kind": DOCUMENT, "updated": instant(now), "value": value} if turn.granted or not current else current

    siem.change(settings.state("state"), DOCUMENT, edit)
    return turn


def taken(value: Json, limits: ReputationSettings, now: datetime) -> tuple[Json, Turn]:
    """Return what is counted with one more question, and whether that may be asked; pure."""
    today = now.astimezone(UTC).date().isoformat()
    count = value["count"] if value["day"] == today else 0
    # one that a clock put far into the future would keep everybody waiting
    asked = sorted(at for at in map(_moment, value["asked"]) if now - MINUTE < at < now + MINUTE)
    paused = _moment(value["paused"]) if value["paused"] else None
    if paused and now < paused < now + DAY + MINUTE:
        return value, Turn(False, paused, "VirusTotal refused or failed lately")
    if count >= limits.per_day:
        midnight = datetime.combine(now.astimezone(UTC).date() + DAY, datetime.min.time(), UTC)
        return value, Turn(False, midnight, f"the {limits.per_day} questions of today are asked")
    if len(asked) >= limits.per_minute:
        again = asked[-limits.per_minute] + MINUTE
        return value, Turn(False, again, f"the {limits.per_minute} questions of this minute are asked")
    moments = [instant(at) for at in (*asked, now)]
    return value | {"asked": moments, "day": today, "count": count + 1}, Turn(True)


def pause(siem: Siem, settings: Settings, now: datetime, at_least: timedelta | None) -> datetime:
    """Return until when nobody asks, after a refusal or failure; VirusTotal's own word counts as the least."""

    def edit(current: Json | None) -> Json:
        """Return the document with a pause that is longer after each failure in a row."""
        value = current["value"] if current else NOTHING
        longer = min(MINUTE * int(GROWTH ** min(value["failures"], 10)), LONGEST_PAUSE)
        until = now + max(longer, min(at_least or longer, DAY))
        value = value | {"paused": instant(until), "failures": value["failures"] + 1}
        return {"kind": DOCUMENT, "updated": instant(now), "value": value}

    return _moment(siem.change(settings.state("state"), DOCUMENT, edit)["value"]["paused"])


def well(siem: Siem, settings: Settings) -> None:
    """Note that VirusTotal has answered: the next pause is a short one again."""

    def edit(current: Json | None) -> Json:
        """Return the document without failures."""
        current = current or {"kind": DOCUMENT, "value": NOTHING}
        return current | {"value": current["value"] | {"failures": 0, "paused": None}}

    siem.change(settings.state("state"), DOCUMENT, edit)


def _moment(text: str) -> datetime:
    """Return a moment as it is stored."""
    return datetime.fromisoformat(text)
