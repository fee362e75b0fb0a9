"""Looks up the reputation of what declarations name, in a thread of its own, while the service is the active one.

Promises: VirusTotal that is slow or down delays no pass and no delivery; whatever goes wrong is said and tried again.
Will not: do anything unless the settings say that it is done by itself.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from connector.respond.reputation.lookup import Asks, forget_old
from connector.respond.reputation.of_declarations import look_up_due, told
from connector.service.logs import say
from connector.settings.model import Settings
from connector.siem.client import Siem

SECONDS = 15.0  # between two looks; also how long the end waits for the last one
HOUSEKEEPING = timedelta(hours=1)
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class LookingUp:
    """The thread, for as long as the with statement; `settings` gives those in force."""

    siem: Siem
    settings: Callable[[], Settings]
    clock: Callable[[], datetime]
    logger: logging.Logger
    asks: Asks | None = None
    seconds: float = SECONDS
    _end: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _tidied: datetime = NEVER

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread = threading.Thread(target=self._work, name="reputation", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the thread; one that waits for an answer is left to end by itself."""
        self._end.set()
        if self._thread:
            self._thread.join(self.seconds)

    def _work(self) -> None:
        """Look up what is due every few seconds, until the end; forget what is too old every hour."""
        while not self._end.wait(self.seconds):
            try:
                looked = look_up_due(self.siem, self.settings(), self.clock, self.asks)
                self._tidy()
            except Exception as error:  # whatever it is, the next look is tried
                say(self.logger, "error", "reputation", "it could not be looked up: it is tried again", error=error)
                continue
            if looked:
                say(self.logger, "info", "reputation", told(looked))

    def _tidy(self) -> None:
        """Delete answers that are too old, from time to time."""
        now = self.clock()
        if self.settings().reputation.automatic and now - self._tidied >= HOUSEKEEPING:
            self._tidied = now
            forget_old(self.siem, self.settings(), now)
