"""Decides what comes after an attempt to deliver: done, again and when, or given up and what to do about it.

Promises: pure; pauses grow fourfold from 5 s to 6 h with jitter, ten attempts take about a day, and a receiver that
says when it wants to be asked again is not asked before. Will not: sleep, send or store.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

ATTEMPTS = 10
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=6)
LONGEST_RETRY_AFTER = timedelta(days=1)
GROWTH = 4
JITTER = 0.2
AGAIN = frozenset((408, 409, 423, 425, 429))
MEANINGS = {
    400: "it does not understand the body: check the receiver's template",
    401: "it does not accept the signature or the address: check secret and url",
    403: "it does not accept the signature or the address: check secret and url",
    404: "there is nothing at this address: check url",
    410: "it wants no more deliveries: check url, or take the receiver out of the settings",
    413: "the body is too large for it: give the receiver a template that sends less",
}


@dataclass(frozen=True)
class Answer:
    """What a receiver answered: the status, the first words of the body, and how long it wants to be left alone."""

    status: int
    words: str = ""
    retry_after: timedelta | None = None


@dataclass(frozen=True)
class NoAnswer:
    """Why there was no answer; `hopeless` if trying again cannot change that."""

    why: str
    hopeless: bool = False


@dataclass(frozen=True)
class Delivered:
    """The receiver took it."""

    why: str


@dataclass(frozen=True)
class Again:
    """It is to be sent again after a pause, and nothing else to that receiver before the time that it asked for."""

    why: str
    pause: timedelta
    asked: timedelta = timedelta()


@dataclass(frozen=True)
class GivenUp:
    """It will not be sent again by itself; `advice` says what to do."""

    why: str
    advice: str


Outcome = Answer | NoAnswer
Step = Delivered | Again | GivenUp


def next_step(outcome: Outcome, attempt: int, chance: float) -> Step:
    """Return what follows from the outcome of an attempt (counted from 1); `chance` from 0 to 1 sets the jitter."""
    if isinstance(outcome, Answer) and 200 <= outcome.status < 300:
        return Delivered(_said(outcome))
    why, advice, wait = _failure(outcome)
    if advice:
        return GivenUp(why, advice)
    if attempt >= ATTEMPTS:
        return GivenUp(f"{why}, at the last of {ATTEMPTS} attempts", "see that the receiver is up and takes deliveries")
    asked = min(wait, LONGEST_RETRY_AFTER)
    return Again(why, max(pause_after(attempt, chance), asked), asked)


def _failure(outcome: Outcome) -> tuple[str, str, timedelta]:
    """Return why an attempt failed, the advice if another cannot help (else empty), and how long to wait at least."""
    if isinstance(outcome, NoAnswer):
        return outcome.why, "correct the receiver in the settings" if outcome.hopeless else "", timedelta()
    why = _said(outcome)
    if outcome.status in AGAIN or outcome.status >= 500:
        return why, "", outcome.retry_after or timedelta()
    return why, MEANINGS.get(outcome.status, "it refuses this delivery: check url and template"), timedelta()


def _said(answer: Answer) -> str:
    """Return an answer in words."""
    return f"answered {answer.status}" + (f" ({answer.words})" if answer.words else "")


def pause_after(attempt: int, chance: float) -> timedelta:
    """Return the pause after a failed attempt (counted from 1), up to a fifth shorter or longer."""
    pause = min(FIRST_PAUSE * int(GROWTH ** (attempt - 1)), LONGEST_PAUSE)
    return pause * (1 + JITTER * (2 * chance - 1))


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """Return the pause that a Retry-After header (RFC 9110, 10.2.3: seconds or a date) asks for, None without one."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), LONGEST_RETRY_AFTER)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(moment - now, timedelta())
