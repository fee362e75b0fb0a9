"""What every command is given: the settings, read once, and the search engine, connected once.

Promises: neither is touched before a command asks for it; the connection is closed when the command ends. Will not:
start an engine.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from connector.errors import Refused
from connector.settings.model import Settings

if TYPE_CHECKING:
    from connector.siem.client import Siem


class Context:
    """The global options of one run, and what follows from them."""

    def __init__(self, settings_file: Path | None = None) -> None:
        """Keep the file of `--settings`."""
        self.settings_file = settings_file

    @cached_property
    def settings(self) -> Settings:
        """Return the settings; ContentError with every problem of every file."""
        from connector.settings.load import load_settings  # noqa: PLC0415 - the YAML and schema readers load with it

        return load_settings(self.settings_file)

    def siem(self) -> Siem:
        """Return the search engine of the settings, connected at the first call; SiemError, or Refused if none runs."""
        return self._siem

    @cached_property
    def _siem(self) -> Siem:
        """Connect, and close when the whole command line is done."""
        return click.get_current_context().find_root().with_resource(self.connect(self.settings))

    def connect(self, settings: Settings) -> Siem:
        """Return a new connection to the search engine of the settings; SiemError, or Refused if none runs."""
        from connector.siem.client import Siem  # noqa: PLC0415 - the two clients take 0.3 s to import

        siem = replace(settings.siem, urls=(embedded_url(),)) if settings.embedded else settings.siem
        return Siem.connect(siem)


def embedded_url() -> str:
    """Return the address of the embedded engine that is running; Refused if there is none."""
    from connector.embedded.background import status  # noqa: PLC0415 - only who has no siem.url needs it

    node = status().node
    if node is None:
        steps = "run `hunts engine start` or `hunts demo`, or set siem.url in hunts.yml"
        raise Refused(f"no embedded engine is running: {steps}")
    return node.url


use = click.make_pass_decorator(Context)
