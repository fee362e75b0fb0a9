"""Every error a user can meet, and the exit code of each.

    HuntsError                1   anything else that went wrong
    ├── ContentError          3   a file of hunts, settings or tables is wrong; carries every problem as file:line
    ├── SiemError             4   the search engine said no, or said nothing
    │   ├── Unreachable       4   no connection, TLS failure, time-out
    │   ├── NotAllowed        4   401 or 403
    │   ├── NotThere          4   404: no such index, document or task
    │   ├── Conflict          4   409: somebody else wrote first
    │   ├── LeaseLost         4   another service may be the active one by now, so this one has not sent the call
    │   ├── Overloaded        4   429, 503 and the like: worth a retry
    │   └── Rejected          4   any other refusal, with the reason of the engine
    ├── EngineError           5   the embedded engine cannot be fetched, started or stopped
    ├── Refused               6   we will not do it, and say what to do instead
    └── DeliveryError         7   a webhook could not be delivered

Exit code 0 is success and 2 is wrong usage (click's own). Messages say what happened, where, and what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class HuntsError(Exception):
    """The root: every error this package raises on purpose."""

    exit_code = 1


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a file, at a line (1 based)."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        """Return the `file:line: message` that editors and people read."""
        return f"{self.file}:{self.line}: {self.message}"


class ContentError(HuntsError):
    """A file is wrong; `problems` has all that was found, in file and line order."""

    exit_code = 3

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the problems; the message is one line for each."""
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class SiemError(HuntsError):
    """The search engine refused or did not answer."""

    exit_code = 4


class Unreachable(SiemError):
    """No connection, a TLS failure or a time-out."""


class NotAllowed(SiemError):
    """The credentials are missing, wrong or not sufficient (401, 403)."""


class NotThere(SiemError):
    """There is no such index, document or task (404)."""


class Conflict(SiemError):
    """Somebody else wrote the document first (409)."""


class LeaseLost(SiemError):
    """This service is not the active one any more, or cannot know that it is; the call was not sent.

    It is no `Conflict`: nobody has changed the document, and to read it and write again would go on for ever.
    """


class Overloaded(SiemError):
    """The engine has no capacity now; the same call may work later (429, 502, 503, 504)."""


class Rejected(SiemError):
    """The engine understood the call and refused it."""


class EngineError(HuntsError):
    """The embedded engine cannot be fetched, started or stopped."""

    exit_code = 5


class Refused(HuntsError):
    """The request is understood and not carried out; the message says what to do instead."""

    exit_code = 6


class DeliveryError(HuntsError):
    """A receiver did not take a delivery."""

    exit_code = 7
