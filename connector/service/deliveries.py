"""The deliveries of the service: a thread for each receiver, and one that queues what is new for them.

Promises: a receiver that is slow or down delays no other; a receiver that is added or taken away while the service
runs is begun with or left; whatever goes wrong is told, and tried again. Will not: outlast its with statement by more
than what is on its way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from types import TracebackType

from connector.respond.declarations.declare import queue_pending
from connector.respond.deliveries.delivering import World, deliver_to
from connector.respond.deliveries.new_findings import queue_findings
from connector.respond.deliveries.outbox import Delivery
from connector.settings.model import Receiver, Settings
from connector.siem.client import Siem

SECONDS = 5.0


@dataclass
class Deliveries:
    """The threads, for as long as the with statement.

    `settings` gives those in force. `tell` is given the deliveries of one message that was sent, `trouble` what failed.
    """

    siem: Siem
    settings: Callable[[], Settings]
    tell: Callable[[Sequence[Delivery]], None]
    trouble: Callable[[Exception], None]
    world: World = field(default_factory=World)
    seconds: float = SECONDS
    _end: threading.Event = field(default_factory=threading.Event)
    _threads: dict[str, threading.Thread] = field(default_factory=dict)

    def _queue(self) -> None:
        """Queue what is new every few seconds and see that each receiver has its thread, until the end."""
        while not self._end.wait(self.seconds):
            settings, now = self.settings(), self.world.now()
            self._try(partial(self._queue_new, settings, now))
            for receiver in settings.receivers:
                thread = self._threads.get(receiver.name)
                if thread is None or not thread.is_alive():
                    self._start(receiver.name, self._send, receiver.name)

    def _queue_new(self, settings: Settings, now: datetime) -> None:
        """Queue declarations that nobody queued, and findings that are new."""
        if settings.receivers:
            queue_pending(self.siem, settings, now)
            queue_findings(self.siem, settings, now)

    def _send(self, name: str) -> None:
        """Send a receiver what is due every few seconds, until the end or until it is not in the settings any more."""
        while (found := self._named(name)) and not self._end.is_set():
            settings, receiver = found
            self._try(partial(self._send_due, settings, receiver))
            self._end.wait(self.seconds)

    def _send_due(self, settings: Settings, receiver: Receiver) -> None:
        """Send a receiver what is due, and tell of it message by message."""
        messages: dict[str, list[Delivery]] = {}
        for one in deliver_to(self.siem, settings, receiver, self.world):
            messages.setdefault(one.sent_as, []).append(one)
        for members in messages.values():
            self.tell(members)

    def _named(self, name: str) -> tuple[Settings, Receiver] | None:
        """Return the settings in force and the receiver of a name, None if there is none."""
        settings = self.settings()
        return next(((settings, receiver) for receiver in settings.receivers if receiver.name == name), None)

    def _try(self, work: Callable[[], None]) -> None:
        """Do the work, and tell if it fails."""
        try:
            work()
        except Exception as error:  # whatever it is, the next deliveries are tried
            self.trouble(error)

    def _start(self, name: str, work: Callable[..., None], *arguments: str) -> None:
        """Start a thread."""
        thread = threading.Thread(target=work, args=arguments, name=f"deliveries {name}".strip(), daemon=True)
        self._threads[name] = thread
        thread.start()

    def __enter__(self) -> Deliveries:
        """Start."""
        self._start("", self._queue)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End, and wait for what is on its way, a few seconds for all together."""
        self._end.set()
        last = time.monotonic() + self.seconds
        for thread in list(self._threads.values()):
            thread.join(max(0.0, last - time.monotonic()))
