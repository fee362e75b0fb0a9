"""The contestants of the fault bench, each as the processes that an operator would run.

Promises: what a contestant has found is what a person would be told: alerts that were given out, events that findings
count. Will not: look into a process.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from elastalert2 import ENVIRONMENT, VERSION, create_indices, elastalert_python, rule_of, write_rules
from planted import Place

from connector.hunts.asking.mapped import INGESTED, mapped
from connector.hunts.asking.questions import asked
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.settings.model import Settings
from connector.siem.client import Siem

EVERY, LAG = 10, 10
SERVICE = {"every": "10s", "lag": "10s", "lease": "5s", "audit_every": "20s", "listen": "off"}
STOP_SECONDS = 60
Json = dict[str, Any]


class Instance:
    """One running copy of a contestant; what it says is kept in a file over all its lives."""

    def __init__(self, command: list[str], log: Path, environment: Mapping[str, str]) -> None:
        """Prepare."""
        self._command, self.log, self._environment = command, log, environment
        self._process: subprocess.Popen[bytes] | None = None
        self.log.touch()

    def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=-3, stdout=log, stderr=log, env=self._environment, cwd=self.log.parent
            )

    def revived(self) -> bool:
        """Return whether it had ended by itself and was started again, as a service manager does."""
        if self._process is None or self._process.poll() is None:
            return False
        self.start()
        return True

    def stop(self) -> None:
        """Ask it to end, and make it end if it does not."""
        self.signal(signal.SIGTERM)
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it at once, if it runs."""
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
        self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)


@dataclass(frozen=True)
class Scene:
    """Where a contestant is put: the engine behind the proxy's url, the settings that lead there, a folder of its own.

    `siem` leads to the engine itself.
    """

    siem: Siem
    url: str
    settings: Settings
    folder: Path


class Contestant(ABC):
    """Something that looks for events; `first` and `second` are two copies that know of each other what they do."""

    first: Instance
    second: Instance
    due: tuple[str, int]  # what is to be done every 10 s: its name among the notes, and how many of it

    @abstractmethod
    def found(self) -> Counter[Place]:
        """Return how often each event was found."""

    @abstractmethod
    def notes(self) -> dict[str, int]:
        """Return what else can be counted, by what it is."""


class Elastalert(Contestant):
    """elastalert2, its alerts those of its own alerter `debug`, which says one in a line of the log."""

    alert = re.compile(r"elastalert:FOUND (\S+) (\S+)$", re.MULTILINE)
    skipped = re.compile(r'job "Rule: .*(?:skipped: maximum number of running instances|was missed by)')
    text: ClassVar[Json] = {
        "alert": ["debug"],
        "alert_text": "FOUND {0} {1}",
        "alert_text_args": ["_index", "_id"],
        "alert_text_type": "alert_text_only",
    }

    def __init__(self, scene: Scene, config: Json, rule: Json) -> None:
        """Write rules and configuration, and make its indices."""
        python, folder = elastalert_python(), scene.folder / "elastalert"
        folder.mkdir()
        mine = [hunt for hunt in load_catalogue(scene.settings).hunts if hunt.family == "bench"]
        able = asked(mapped(scene.siem, scene.settings, mine), mine)
        rules = [rule_of(each, **{**self.text, **rule}) for each in able if each.questions]
        if not rules or len(rules) != len(mine):
            raise SystemExit(f"of {len(mine)} hunts {len(rules)} have something to ask")
        self.due = "runs of a rule", len(rules)
        file = write_rules(folder, scene.url, rules, {"run_every": {"seconds": EVERY}, **config})
        create_indices(python, file)
        command = [str(python), "-m", "elastalert.elastalert", "--verbose", "--config", str(file)]
        self.first, self.second = (Instance(command, folder / f"{n}.log", ENVIRONMENT) for n in ("first", "second"))

    def found(self) -> Counter[Place]:
        """Return how often there was an alert for each event."""
        return Counter((index, id) for index, id in self.alert.findall(self._said()))

    def notes(self) -> dict[str, int]:
        """Return starts of rules that were made and that were skipped, and errors."""
        said = self._said()
        skipped = len(self.skipped.findall(said))
        counts = {
            self.due[0]: said.count("elastalert:Ran "),
            "starts skipped": skipped,
            "rules disabled": said.count(" disabled\n"),
        }
        return {what: number for what, number in counts.items() if number}

    def _said(self) -> str:
        """Return what all copies have said."""
        return "\n".join(each.log.read_text(encoding="utf-8", errors="replace") for each in (self.first, self.second))


class Ours(Contestant):
    """`hunts serve`, its findings those of the index of findings."""

    due = "passes, live", 1

    def __init__(self, scene: Scene) -> None:
        """Prepare; hunts and settings are there already."""
        self._siem, self._settings = scene.siem, scene.settings
        main = "from connector.cli import main; main()"
        command = [sys.executable, "-c", main, "--settings", str(scene.settings.file), "serve"]
        logs = (scene.folder / f"hunts-{name}.log" for name in ("first", "second"))
        self.first, self.second = (Instance(command, log, ENVIRONMENT) for log in logs)

    def found(self) -> Counter[Place]:
        """Return how often each event counts: an event more than there are counts for the first of its finding."""
        times: Counter[Place] = Counter()
        index = self._settings.state("findings")
        self._siem.call("POST", f"/{index}/_refresh")
        for hit in self._siem.scan(index, {"query": {"term": {"hunt.family": "bench"}}}):
            finding = hit["_source"]
            places = [(event["index"], event["id"]) for event in finding["events"]]
            times.update(places[: finding["count"]])
            times[places[0]] += max(0, finding["count"] - len(places))
        return times

    def notes(self) -> dict[str, int]:
        """Return how many passes of each kind the ledger has."""
        index = self._settings.state("runs")
        self._siem.call("POST", f"/{index}/_refresh")
        passes = self._siem.scan(index, {"query": {"term": {"kind": "pass"}}})
        return dict(Counter(f"passes, {hit['_source']['pass']}" for hit in passes))


@dataclass(frozen=True)
class Side:
    """A contestant to choose: how it is made, and its configuration in words."""

    make: Callable[[Scene], Contestant]
    config: str


def _elastalert(config: Json, rule: Json, words: str) -> Side:
    """Return elastalert2 with a configuration."""
    return Side(lambda scene: Elastalert(scene, config, rule), f"elastalert2 {VERSION}, run_every {EVERY} s, {words}")


BUFFER = {"buffer_time": {"minutes": 90}}
PATIENT: Json = {"max_threads": 20, "misfire_grace_time": 60, "disable_rules_on_error": False, "es_conn_timeout": 60}
DELAY: Json = {"query_delay": {"seconds": LAG}}
EVENT_TIME: Json = {"timestamp_field": "@timestamp", "timestamp_type": "iso"}
BEST = f"buffer_time 90 min, query_delay {LAG} s, 20 threads, misfire_grace_time 60 s, rules are not disabled by errors"
SIDES = {
    "hunts": Side(Ours, f"hunts serve, service: {SERVICE}"),
    "elastalert2": _elastalert({**BUFFER, **PATIENT}, DELAY, f"timestamp_field {INGESTED}, {BEST}"),
    "elastalert2-event-time": _elastalert(
        {**BUFFER, **PATIENT}, {**DELAY, **EVENT_TIME}, f"timestamp_field @timestamp, {BEST}"
    ),
    "elastalert2-look-back": _elastalert(
        {**BUFFER, **PATIENT, "old_query_limit": {"days": 0}},
        DELAY,
        f"timestamp_field {INGESTED}, {BEST}, old_query_limit 0: after a start it looks at all of buffer_time again",
    ),
    "elastalert2-defaults": _elastalert(
        {"buffer_time": {"minutes": 15}},
        EVENT_TIME,
        "as its example has it: timestamp_field @timestamp, buffer_time 15 min, no query_delay, 10 threads",
    ),
}
