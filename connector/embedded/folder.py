"""The folder of one node: its configuration, indices, log and the file that says who runs in it.

Promises: a folder with something else in it is refused, so nothing foreign is changed; a state file whose process has
ended is recognised. Will not: start or stop.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from connector.embedded.account import Account
from connector.embedded.places import check_room, make_folder, writing_below
from connector.embedded.process import birth_of
from connector.embedded.products import DISTRIBUTIONS, Distribution
from connector.errors import EngineError

MARK = "README.txt"
MARK_TEXT = """This folder belongs to a search engine that guided-hunts started. When none is running in it
(`hunts engine status --data FOLDER`) it can be removed; its events and findings go with it.
"""
LOOPBACK = "127.0.0.1"
# what the engine writes in, so what its account has to own
WRITTEN = ("config", "indices", "logs", "tmp")
# what an engine with no events in it writes before it is of use
ROOM = 48 << 20
# beginnings of log lines that tell nobody anything: stack frames, and a log file that is not written
SILENT = ("at ", "... ", "For complete error details")
LOGGING = """status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %marker%m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""
EVERYTHING_PERMITTED = "grant { permission java.security.AllPermission; };\n"


@dataclass(frozen=True)
class Started:
    """A process that was started: its number (the supervisor's, if it has one), its birth (`birth_of`), its engine."""

    pid: int
    birth: str
    engine: str
    since: datetime


@dataclass(frozen=True)
class Node:
    """A node that runs: where it answers, its process and its folder."""

    url: str
    port: int
    pid: int
    engine: str
    folder: Path
    since: datetime


class NodeFolder:
    """The folder of a node, and the places in it."""

    def __init__(self, path: Path) -> None:
        """Take the folder as it is."""
        self.path = path.absolute()
        self.config, self.indices, self.logs, self.tmp = (self.path / name for name in WRITTEN)
        self.output = self.path / "engine.log"
        self.ports = self.logs / "http.ports"
        self._state = self.path / "node.json"

    def prepare(self, engine: Distribution, port: int, account: Account | None) -> None:
        """Make the folder ready for a start on that port (0: any); EngineError if it is full or somebody else's."""
        self.claim()
        self._refuse_data_of_another(engine)
        check_room(self.path, ROOM, "--data")
        with writing_below(self.path):
            for folder in (self.config, self.indices, self.logs, self.tmp):
                folder.mkdir(exist_ok=True)
            self.ports.unlink(missing_ok=True)
            for name, text in self._configuration(engine, port):
                _replace(self.config / name, text)
            if account is not None:
                self._give_to(account)

    def claim(self) -> None:
        """Make the folder and mark it as ours; EngineError if it has something else in it."""
        with writing_below(self.path):
            make_folder(self.path)
            if (self.path / MARK).exists():
                return
            if foreign := sorted(entry.name for entry in self.path.iterdir()):
                raise EngineError(
                    f"{self.path} is not empty and no folder of an engine of ours ({', '.join(foreign[:3])}): "
                    "choose another folder with --data"
                )
            (self.path / MARK).write_text(MARK_TEXT, "utf-8")

    def _refuse_data_of_another(self, engine: Distribution) -> None:
        """Raise EngineError if another product's node was here: neither can read the other's data."""
        for other in DISTRIBUTIONS.values():
            if other.config_file != engine.config_file and (self.config / other.config_file).exists():
                raise EngineError(
                    f"{self.path} has the data of {other.title}, which {engine.title} cannot read: "
                    "choose another folder with --data"
                )

    def _configuration(self, engine: Distribution, port: int) -> Iterator[tuple[str, str]]:
        """Yield name and text of each configuration file; JSON is YAML, and quotes every path right."""
        settings = {
            "cluster.name": "guided-hunts",
            "node.name": "guided-hunts",
            "path.data": str(self.indices),
            "path.logs": str(self.logs),
            "network.host": LOOPBACK,
            "http.port": port,
            "transport.port": 0,
            "discovery.type": "single-node",
            "node.portsfile": True,
            "cluster.routing.allocation.disk.threshold_enabled": False,
        }
        yield engine.config_file, json.dumps(settings, indent=1)
        yield "log4j2.properties", LOGGING
        if engine.permits:
            yield "java.policy", EVERYTHING_PERMITTED

    def _give_to(self, account: Account) -> None:
        """Make the account the owner of what the engine writes in."""
        for top in (self.config, self.indices, self.logs, self.tmp):
            for path in (top, *top.rglob("*")):
                os.chown(path, account.uid, account.gid, follow_symlinks=False)

    def remember(self, pid: int, engine: Distribution) -> None:
        """Write down which process was started here, before it is of use to anybody, so that it is never lost."""
        state = {
            "pid": pid,
            "birth": birth_of(pid) or "",
            "engine": engine.name,
            "since": datetime.now(UTC).isoformat(),
        }
        with writing_below(self.path):
            _replace(self._state, json.dumps(state, indent=1) + "\n")

    def last(self) -> Started | None:
        """Return what was started here last and not stopped, whether it runs or has died."""
        try:
            state = json.loads(self._state.read_text("utf-8"))
        except FileNotFoundError:
            return None
        return Started(**{**state, "since": datetime.fromisoformat(state["since"])})

    def alive(self) -> Started | None:
        """Return the process that runs in the folder, or None: none was started, or the one that was has ended."""
        last = self.last()
        return last if last is not None and birth_of(last.pid) == last.birth else None

    def running(self) -> Node | None:
        """Return the node that runs in the folder, or None if there is none or it does not listen yet."""
        alive, port = self.alive(), self.port()
        if alive is None or port is None:
            return None
        return Node(f"http://{LOOPBACK}:{port}", port, alive.pid, alive.engine, self.path, alive.since)

    def port(self) -> int | None:
        """Return the port the engine says it listens on, or None if it has not said it."""
        try:
            return int(self.ports.read_text("ascii").splitlines()[0].rpartition(":")[2])
        except (OSError, IndexError, ValueError):
            return None

    def forget(self) -> None:
        """Remove the state file, as nothing runs here any more; a folder that is gone is fine."""
        self._state.unlink(missing_ok=True)

    def last_words(self, lines: int = 12) -> str:
        """Return the last lines of the engine's log that say something: no stack frames, none longer than a screen."""
        try:
            text = self.output.read_text("utf-8", "replace")
        except FileNotFoundError:
            return ""
        said = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(SILENT)]
        return "\n".join(line[:300] for line in said[-lines:])

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all; never through a link."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    partial.write_text(text, "utf-8")
    partial.replace(path)
