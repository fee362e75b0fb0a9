"""Deliveries whose program is killed at random moments: what is needed to do that, and to judge what arrived."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from conftest import Place
from engine.receivers import Keeping, status
from engine.storms import START, by_status, put_findings, queued, settings_in

from connector.settings.model import Settings

EACH = 10  # declarations, and findings, that are new before each run
FAILING = 0.1
MEASURED = 4  # one run in so many nobody kills: moments are drawn from its length until the next
CHILD = """
import sys, threading
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler
from conftest import Place
from engine.receivers import Keeping
from engine.storms import BOTH, Clock, settings_in
from connector.respond.deliveries.delivering import World, deliver_for
from connector.settings.model import SiemSettings
from connector.siem.client import Siem

url, prefix, start, *ports = sys.argv[1:]
with Siem.connect(SiemSettings(urls=(url,))) as siem:
    receivers = [
        Keeping(f"r{n}", port=int(port)).settings(events=BOTH, messages_per_minute=8) for n, port in enumerate(ports)
    ]
    settings = settings_in(Place(siem, prefix, url), *receivers)
    print("ready", flush=True)
    deliver_for(siem, settings, Clock(datetime.fromisoformat(start)).world(), timedelta(hours=12))
"""


@dataclass
class Kills:
    """What was done and what is wrong.

    Kills while a program worked, runs that ended before, runs that nobody killed; messages that came, and came again.
    """

    kills: int = 0
    ended: int = 0
    whole: int = 0
    events: int = 0
    messages: int = 0
    again: int = 0
    wrong: list[str] = field(default_factory=list)


def kill_deliveries(place: Place, kills: int, seed: int, say: Callable[[str], None] = lambda _: None) -> Kills:
    """Return what came of deliveries to two receivers, whose program was killed so often at random moments."""
    chance, done = random.Random(seed), Kills()

    def sometimes(request: BaseHTTPRequestHandler) -> None:
        """Take a message, or fail."""
        status(500 if chance.random() < FAILING else 200)(request)

    receivers = [Keeping(f"r{n}", always=sometimes) for n in (0, 1)]
    with ExitStack() as running:
        settings = settings_in(
            place, *(running.enter_context(one.running(events=("declaration", "finding"))) for one in receivers)
        )
        wanted: dict[str, list[str]] = {"declaration": [], "finding": []}
        ports, start = [str(one.port) for one in receivers], START
        longest = 0.0
        while done.kills < kills:
            start += timedelta(hours=1)
            _more(place, settings, wanted, start)
            whole = (done.kills + done.ended + done.whole) % MEASURED == 0  # what was left behind takes longer
            took = _run(place, start, ports, None if whole else chance.uniform(0, longest))
            longest = took if whole and took else longest
            done.whole += whole
            done.kills += took is None
            done.ended += took is not None and not whole
            say(f"{done.kills} kills, {done.ended} runs that ended before, {done.whole} whole ones")
        _run(place, start + timedelta(hours=1), ports, None)
    _judge(place, settings, receivers, wanted, done)
    return done


def _more(place: Place, settings: Settings, wanted: dict[str, list[str]], now: datetime) -> None:
    """Write findings that are new, and queue declarations."""
    first = len(wanted["finding"])
    new = [f"{n:05}" for n in range(first, first + EACH)]
    put_findings(place, settings, [f"f{each}" for each in new], now)
    queued(place, settings, *(f"d{each}" for each in new), now=now)
    wanted["finding"] += [f"f{each}" for each in new]
    wanted["declaration"] += [f"d{each}" for each in new]


def _run(place: Place, start: datetime, ports: list[str], seconds: float | None) -> float | None:
    """Return how long a program delivered what is due; None if it was killed after so many seconds."""
    words = [sys.executable, "-c", CHILD, place.url, place.prefix, start.isoformat(), *ports]
    environment = {"PYTHONPATH": str(Path(__file__).parent.parent)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=environment, text=True) as program:
        assert program.stdout is not None and program.stdout.readline() == "ready\n"
        return run_for(program, seconds)


def run_for(program: subprocess.Popen[Any], seconds: float | None) -> float | None:
    """Return how long a program ran; None if it was killed after so many seconds."""
    began = time.monotonic()
    try:
        program.wait(seconds)
    except subprocess.TimeoutExpired:
        program.send_signal(signal.SIGKILL)
        return None if program.wait() == -signal.SIGKILL else 0.0
    assert program.returncode == 0
    return time.monotonic() - began


def _judge(
    place: Place, settings: Settings, receivers: list[Keeping], wanted: dict[str, list[str]], done: Kills
) -> None:
    """Say what is wrong: what did not arrive, arrived under two ids, or under one id with two contents."""
    for one in receivers:
        done.messages += len(one.came)
        done.again += len(one.came) - len({id for id, _ in one.came})
        for kind, ids in wanted.items():
            told = one.told(kind)
            done.events += len(ids)
            done.wrong += [f"{one.name}: {kind} {id} never came" for id in ids if id not in told]
            done.wrong += [f"{one.name}: {id} came as {sorted(as_)}" for id, as_ in told.items() if len(as_) > 1]
        contents: dict[str, list[object]] = {}
        for id, body in one.came:
            contents.setdefault(id, []).append(body)
        done.wrong += [
            f"{one.name}: {id} had two contents" for id, all_ in contents.items() if all_ != all_[:1] * len(all_)
        ]
    left = {name: count for name, count in by_status(place, settings).items() if name != "delivered"}
    done.wrong += [f"{count} deliveries are {name}" for name, count in left.items()]
