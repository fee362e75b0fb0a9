"""The service as a process: its settings and hunts in a folder, events that stream in, and what it says and has done.

The processes run an installation of their own in which no hunt is shipped, as to read those takes each of them seconds.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from made_events import event, settings_in

from connector.errors import SiemError
from connector.hunts.asking.groups import groups
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.passes.intervals import Stretches, joined
from connector.hunts.passes.ledger import Ledger
from connector.settings.load import load_settings
from connector.settings.model import Settings
from connector.siem.client import Siem
from tests.conftest import REPOSITORY, Place

CLIENTS = ("192.0.2.1", "192.0.2.2", "2001:db8::1")
SERVICE = {"every": "1s", "lag": "1s", "lease": "5s", "audit_every": "1s"}
PATIENCE = 120.0
HUNT = """
id: {id}
name: {name}
title: "Hunt: {name}"
status: stable
severity: low
kind: policy
hypothesis: Somebody asks what a test has asked.
data: {{event_types: [dns]}}
match: {{all: [{member}]}}
group_by: [{by}]
show: [hostname_info.domain]
guide:
  - ask: What else does it ask?
    look: {{window: 1d, match: {{all: [{{hunt.client.ip: $hunt.client.ip}}]}}, count_by: [hostname_info.domain]}}
    lean_relevant: More.
    lean_informational: Nothing.
false_positives: [None.]
blind_spots: [None.]
cases: [{{name: none, hits: [], events: [{{"timestamp": "2026-11-02T09:00:00Z", "event_type": dns}}]}}]
"""
BURST = "at_least: {count: 4, window: 1m}\nschedule: 1s\n"
SEVERAL = "at_least: {distinct: {field: hostname_info.domain, n: 3}, window: 30s}\nschedule: 1s\n"
NEW = "first_seen: {value: [hostname_info.domain], learning: 1m}\nschedule: 1s\n"


def hunt_file(name: str, member: str = "{hunt.dns.message: query}", by: str = "hunt.client.ip", more: str = "") -> str:
    """Return a file of a hunt; its id follows from its name."""
    id = uuid.uuid5(uuid.NAMESPACE_DNS, name)
    return HUNT.format(id=id, name=name, member=member, by=by).lstrip() + more


HUNTS = {
    "asked": hunt_file("asked"),
    "by-name": hunt_file("by-name", by="hunt.client.ip, hostname_info.domain"),
    "burst": hunt_file("burst", more=BURST),
    "many-names": hunt_file("many-names", more=SEVERAL),
    "new-name": hunt_file("new-name", more=NEW),
}


def eventually(claim: Callable[[], Any], what: object = "", seconds: float = PATIENCE) -> Any:
    """Return what is claimed as soon as it is true; fail, with `what` is there then, if that takes far too long."""
    end = time.monotonic() + seconds
    while not (value := claim()):
        assert time.monotonic() < end, f"it never came: {what() if callable(what) else what}"
        time.sleep(0.1)
    return value


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command_line(*words: str) -> list[str]:
    """Return a command of the package."""
    return [sys.executable, "-c", "from connector.cli import main; main()", *words]


class Process:
    """One `hunts serve`: started at once; what it says goes into a file."""

    def __init__(self, settings: Path, environment: Mapping[str, str], port: int) -> None:
        """Start it with a file of settings."""
        self.settings, self._url = settings, f"http://127.0.0.1:{port}"
        self._file, folder = settings.with_suffix(".log"), settings.parent
        command = command_line("--settings", str(settings), "serve")
        with self._file.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        self.pid = self._process.pid

    def says(self) -> list[dict[str, Any]]:
        """Return all lines that it has written whole."""
        text = self._file.read_text(encoding="utf-8")
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def said(self, action: str, words: str = "") -> list[str]:
        """Return what it said of an action, with the error if there is one, where the words are in it."""
        own = [line for line in self.says() if line["event"]["action"] == action]
        texts = [f"{line['message']} {line.get('error', {}).get('message', '')}".strip() for line in own]
        return [text for text in texts if words in text]

    def await_said(self, action: str, words: str, times: int = 1) -> None:
        """Return as soon as it has said so, so often."""
        eventually(lambda: len(self.said(action, words)) >= times or self._ended(), lambda: self.says()[-5:])
        assert len(self.said(action, words)) >= times, self._file.read_text(encoding="utf-8")[-3000:]

    def _ended(self) -> bool:
        """Tell whether it has ended."""
        return self._process.poll() is not None

    def active(self) -> "Process":
        """Return itself as soon as it is the active one."""
        self.await_said("lease", "is the active one now")
        return self

    def asked(self, path: str) -> tuple[int, str]:
        """Return status and text of what it answers over HTTP; 0 if nothing."""
        try:
            with urllib.request.urlopen(f"{self._url}/{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str) -> float:
        """Return a metric without labels."""
        lines = self.asked("metrics")[1].splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"guided_hunts_{name} "))

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def stop(self, seconds: float = PATIENCE) -> int:
        """Return the exit code that it has soon after SIGTERM."""
        self.signal(signal.SIGTERM)
        return self._process.wait(seconds)

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()


@dataclass(frozen=True)
class Ground:
    """A place with hunts in a folder, and everything that is asked of it."""

    place: Place
    folder: Path
    settings: Settings
    installed: Path
    processes: list[Process] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of processes."""
        return {**os.environ, "PYTHONPATH": str(self.installed), "COLUMNS": "200"}

    @property
    def siem(self) -> Siem:
        """Return the engine."""
        return self.place.siem

    def write(self, name: str, text: str) -> Path:
        """Write the file of a hunt, and return it."""
        file = self.folder / "mine" / "made" / f"{name}.yml"
        file.write_text(text, encoding="utf-8")
        return file

    def hunts(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = command_line("--settings", str(self.folder / "hunts.yml"), *words)
        return subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, env=self.environment, timeout=120, check=False
        )

    def json(self, *words: str, code: int = 0) -> Any:
        """Return the result of a command that ends with this exit code."""
        done = self.hunts(*words, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    def serve(self) -> Process:
        """Start a service with a port of its own."""
        port = free_port()
        file = self.folder / f"hunts-{port}.yml"
        file.write_text((self.folder / "hunts.yml").read_text() + f"  listen: 127.0.0.1:{port}\n")
        self.processes.append(Process(file, self.environment, port))
        return self.processes[-1]

    def asking(self) -> tuple[Hunt, ...]:
        """Return the hunts that are in force."""
        return load_catalogue(self.settings, self.installed / "queries").active

    def put(self, events: Iterable[Mapping[str, Any]], index: str = "logs-1", refresh: bool = True) -> None:
        """Write events, to be seen at once if they are refreshed."""
        lines = [line for one in events for line in ({"index": {"_index": self.place.prefix + index}}, one)]
        assert self.siem.bulk(lines, refresh=refresh) == []

    def hold(self, index: str) -> None:
        """Make an index whose events nobody sees before it is refreshed."""
        (mapped,) = self.siem.call("GET", f"/{self.place.prefix}logs-1/_mapping").values()
        self.siem.call("PUT", f"/{self.place.prefix}{index}", {**mapped, "settings": {"refresh_interval": "-1"}})

    def found(self, *names: str) -> dict[tuple[str, ...], int]:
        """Return the count of each finding by hunt and group, of the hunts named or of all."""
        self.siem.call("POST", f"/{self.settings.state('findings')}/_refresh")
        hits = self.siem.scan(self.settings.state("findings"), {"query": {"match_all": {}}})
        counts = {(f["hunt"]["name"], *_group(f)): f["count"] for f in (hit["_source"] for hit in hits)}
        return {key: count for key, count in counts.items() if not names or key[0] in names}

    def expected(self, events: Iterable[dict[str, Any]], *names: str) -> dict[tuple[str, ...], int]:
        """Return what the Python reference finds among the events, of the hunts named or of all."""
        events = list(events)
        return {
            (each.name, *map(str, group.values.values())): len(group.events)
            for each in self.asking()
            if not names or each.name in names
            for group in groups(each, events)
        }

    def await_found(self, events: list[dict[str, Any]], *names: str) -> None:
        """Return as soon as the findings are those of the reference."""
        wanted = self.expected(events, *names)
        assert wanted
        eventually(lambda: self.found(*names) == wanted, lambda: _difference(self.found(*names), wanted))

    def state(self, document: str) -> dict[str, Any]:
        """Return a document of the state index; nothing if it is not there."""
        stored = self.siem.get(self.settings.state("state"), document)
        return stored.source if stored else {}

    def term(self) -> int:
        """Return how often the lease was taken."""
        return int(self.state("lease")["value"]["term"])

    def await_watermark(self, moment: int) -> None:
        """Return as soon as passes have come to a moment and nobody has anything left to look at."""

        def come() -> bool:
            """Tell whether they have."""
            state = self.state("pass")
            return bool(state) and state["watermark"] >= moment and not any(_until(state, moment))

        eventually(come, lambda: self.state("pass"))

    def covered(self) -> Stretches:
        """Return the time that the windows of passes cover, by the ledger."""
        runs = self.settings.state("runs")
        self.siem.call("POST", f"/{runs}/_refresh")
        entries = Ledger(self.siem, runs).newest(10_000)
        return joined((entry["from"], entry["to"]) for entry in entries)


def _group(finding: dict[str, Any]) -> Iterator[str]:
    """Yield the values of a finding's group."""
    yield from (str(finding["group"][name]) for name in finding["group_by"])


def _until(state: dict[str, Any], moment: int) -> Iterator[int]:
    """Yield where each stretch begins that somebody has to look at before a moment."""
    yield from (start for own in state["value"]["missing"].values() for start, _ in own if start < moment)


def _difference(found: Mapping[Any, int], wanted: Mapping[Any, int]) -> dict[Any, tuple[int, int]]:
    """Return what is found otherwise than it should be: the count found, and that wanted."""
    keys = sorted({*found, *wanted}, key=str)
    return {k: (found.get(k, 0), wanted.get(k, 0)) for k in keys if found.get(k) != wanted.get(k)}


def installation(folder: Path) -> Path:
    """Make an installation of the package in which no hunt is shipped, and return where Python has to look for it."""
    for name in ("connector", "ingest-pipelines"):
        (folder / name).symlink_to(REPOSITORY / name)
    (folder / "queries").mkdir()
    return folder


@contextmanager
def new_ground(place: Place, folder: Path, installed: Path, service: Mapping[str, str] = SERVICE) -> Iterator[Ground]:
    """Hold a place with `HUNTS` in a folder; whatever service was started there is ended afterwards."""
    made = settings_in(place)
    (folder / "mine" / "made").mkdir(parents=True)
    source = f"{{pattern: '{made.sources[0].pattern}', dialect: eve, time_field: '@timestamp'}}"
    lines = [f"siem: {{url: '{place.url}'}}", f"prefix: {place.prefix}", f"sources: [{source}]", "queries: mine"]
    lines += ["service:", *(f"  {key}: {value}" for key, value in service.items()), ""]
    (folder / "hunts.yml").write_text("\n".join(lines), encoding="utf-8")
    ground = Ground(place, folder, load_settings(folder / "hunts.yml", {}), installed)
    for name, text in HUNTS.items():
        ground.write(name, text)
    try:
        yield ground
    finally:
        for process in ground.processes:
            process.kill()


def now_ms() -> int:
    """Return the time in epoch milliseconds."""
    return time.time_ns() // 1_000_000


class Stream(threading.Thread):
    """Writes a few events many times a second, each stamped with the time when it is first sent, until it is ended.

    What the engine does not take is sent again. The events' own time runs ten times as fast or so.
    """

    def __init__(self, ground: Ground, index: str = "logs-1") -> None:
        """Prepare; `start` begins."""
        super().__init__(daemon=True)
        self._siem, self._index, self._ending = ground.siem, ground.place.prefix + index, threading.Event()
        self._chance = random.Random(1)
        self.events: list[dict[str, Any]] = []

    def run(self) -> None:
        """Write until the end, and then what is left."""
        written = 0
        while not self._ending.wait(0.1) or written < len(self.events):
            if written == len(self.events) and not self._ending.is_set():
                self._make(self._chance.randint(1, 6))
            with suppress(SiemError):
                self._write(written)
                written = len(self.events)

    def end(self) -> list[dict[str, Any]]:
        """Make no more events, and return them when all are written."""
        self._ending.set()
        self.join()
        return self.events

    def _make(self, number: int) -> None:
        """Make events."""
        for _ in range(number):
            n = len(self.events)
            name = f"{self._chance.choice('abcde')}.example" if self._chance.random() < 0.8 else f"new{n // 40}.example"
            self.events.append(event(n + self._chance.uniform(0, 30), now_ms(), self._chance.choice(CLIENTS), name))

    def _write(self, first: int) -> None:
        """Write the events from that one on; those that the engine has taken already stay as they are."""
        places = ({"create": {"_index": self._index, "_id": f"stream-{n}"}} for n in range(first, len(self.events)))
        lines = [line for pair in zip(places, self.events[first:], strict=True) for line in pair]
        refused = self._siem.bulk(lines)
        assert {one.status for one in refused} <= {409}, refused
