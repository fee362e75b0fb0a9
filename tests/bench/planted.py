"""Events that the fault bench plants: each matches one rule, each is written down with its place and its label.

Promises: an event is stored once, however often its bulk had to be sent, and is written down when the engine has said
that it is stored. A finding (events of one source address) has at most `GROUP` events, all of one label.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
import yaml

KIND = "mqtt"  # of which hardly a shipped hunt asks anything
PATTERN = "logstash-*"
GROUP = 10
PULSE_SECONDS = 0.5
BATCH = 125  # events in a bulk at most, as Logstash has it
Place = tuple[str, str]  # index and id
Json = dict[str, Any]


def rule_name(number: int) -> str:
    """Return the name of a rule, which is what events that match it have in `in_iface`."""
    return f"bench-{number:03}"


def write_hunts(folder: Path, rules: int) -> None:
    """Write that many hunts into a folder of the operator's hunts."""
    (folder / "bench").mkdir(parents=True)
    for name in map(rule_name, range(rules)):
        (folder / "bench" / f"{name}.yml").write_text(yaml.safe_dump(_hunt(name)), encoding="utf-8")


def _hunt(name: str) -> Json:
    """Return a hunt for which one event is a finding."""
    look = {"window": "1d", "match": {"all": [{"src_ip": "$src_ip"}]}, "count_by": ["in_iface"]}
    said = {"lean_relevant": "Yes.", "lean_informational": "No."}
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
        "name": name,
        "title": f"Hunt: {name}",
        "status": "experimental",
        "severity": "low",
        "kind": "policy",
        "hypothesis": "An event that the bench has planted.",
        "data": {"event_types": [KIND]},
        "match": {"all": [{"in_iface": name}]},
        "group_by": ["src_ip"],
        "show": ["in_iface"],
        "guide": [{"ask": "What else does it send?", "look": look, **said}],
        "false_positives": ["None."],
        "blind_spots": ["None."],
        "cases": [{"name": "none", "hits": [], "events": [{"timestamp": "2026-11-02T09:00:00Z", "event_type": KIND}]}],
    }


@dataclass(frozen=True)
class Made:
    """An event that is to be stored."""

    place: Place
    label: str
    source: Json


class Planted:
    """All events of a trial: what is stored, by place, with its label."""

    def __init__(self, url: str, rules: int) -> None:
        """Store events in the engine at that url; they match the first so many rules in turn."""
        self._url, self._rules = url, rules
        self._session = requests.Session()
        self._lock = threading.Lock()
        self._number = self._groups = 0
        self._open: dict[tuple[int, str], list[int]] = {}  # group and events in it, by rule and label
        self.labels: dict[Place, str] = {}

    def begin(self) -> None:
        """Store an event that matches no rule, so that there are an index and a mapping to make rules for."""
        (made,) = self.made("nothing", 1)
        made.source["in_iface"] = "none"
        self._send([made])
        self.refresh("*")

    def made(
        self, label: str, count: int, old: timedelta = timedelta(), stored: timedelta | None = None, index: str = ""
    ) -> list[Made]:
        """Return new events whose time was so long ago; with `stored`, also the time when they were first written."""
        with self._lock:
            return [self._made(label, old, stored, index) for _ in range(count)]

    def _made(self, label: str, old: timedelta, stored: timedelta | None, index: str) -> Made:
        """Return one event."""
        self._number += 1
        now = datetime.now(UTC)
        at, rule = now - old, self._number % self._rules
        source: Json = {
            "@timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.%f+0000"),
            "event_type": KIND,
            "in_iface": rule_name(rule),
            "src_ip": self._address(rule, label),
            "dest_ip": "198.51.100.1",
            "proto": "TCP",
        }
        if stored is not None:
            source["hunt"] = {"ingested": int((now - stored).timestamp() * 1000)}
        return Made((index or f"logstash-{KIND}-{at:%Y.%m.%d}", f"event-{self._number}"), label, source)

    def _address(self, rule: int, label: str) -> str:
        """Return the source address of the next event of a rule and label, a new one after so many."""
        group = self._open.get((rule, label))
        if group is None or group[1] == GROUP:
            self._groups += 1
            group = self._open[rule, label] = [self._groups, 0]
        group[1] += 1
        return f"10.{group[0] >> 16 & 255}.{group[0] >> 8 & 255}.{group[0] & 255}"

    def plant(self, label: str, count: int, **more: Any) -> None:
        """Make events as `made` does and store them."""
        self.send(self.made(label, count, **more))

    def send(self, events: Sequence[Made]) -> None:
        """Store events and write them down; an exception of requests if that is not known to have worked."""
        self._send(events)
        with self._lock:
            self.labels.update({made.place: made.label for made in events})

    def _send(self, events: Sequence[Made]) -> None:
        """Store events that are not stored yet."""
        lines = []
        for made in events:
            lines += [{"create": {"_index": made.place[0], "_id": made.place[1]}}, made.source]
        body = "".join(json.dumps(line) + "\n" for line in lines)
        headers = {"Content-Type": "application/x-ndjson"}
        answer = self._session.post(f"{self._url}/_bulk", data=body, headers=headers, timeout=60)
        answer.raise_for_status()
        items = [item["create"] for item in answer.json()["items"]]
        if wrong := [item for item in items if item["status"] not in (201, 409)]:  # 409: it is there already
            raise requests.HTTPError(f"not stored: {wrong[0]}")

    def hold(self, index: str) -> None:
        """Make an index that shows nothing before it is told to."""
        settings = {"settings": {"index.refresh_interval": "-1", "index.number_of_replicas": 0}}
        self._session.put(f"{self._url}/{index}", json=settings, timeout=60).raise_for_status()

    def refresh(self, index: str) -> None:
        """Make what is stored in an index visible."""
        self._session.post(f"{self._url}/{index}/_refresh", timeout=60).raise_for_status()

    def now(self) -> dict[Place, str]:
        """Return a copy of what is stored now."""
        with self._lock:
            return dict(self.labels)


class Stream(threading.Thread):
    """Plants events all the time, as a shipper does: what the engine does not take is kept and sent again."""

    def __init__(self, planted: Planted, label: str, per_second: float) -> None:
        """Prepare; `start` begins."""
        super().__init__(daemon=True)
        self._planted, self._label, self._portion = planted, label, max(1, round(per_second * PULSE_SECONDS))
        self._kept: list[Made] = []
        self._ending = threading.Event()

    def run(self) -> None:
        """Make a portion at each pulse, and store what is kept."""
        while not self._ending.wait(PULSE_SECONDS):
            self._kept += self._planted.made(self._label, self._portion)
            self._stored()
        while self._kept and not self._stored():
            time.sleep(PULSE_SECONDS)

    def end(self) -> None:
        """Make no more events, and return when all are stored."""
        self._ending.set()
        self.join()

    def _stored(self) -> bool:
        """Return whether the engine has taken all that is kept."""
        while self._kept:
            try:
                self._planted.send(self._kept[:BATCH])
            except requests.RequestException:
                return False
            del self._kept[:BATCH]
        return True
