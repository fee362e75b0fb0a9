"""`hunts declare` killed at random moments while events come: what is needed to do that, and to judge the end."""

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from conftest import Place
from engine.delivery_kills import run_for
from engine.made_events import event, put_events, settings_in

from connector.respond.declarations.declare import stored_declarations
from connector.respond.deliveries.outbox import deliveries, delivery_id
from connector.respond.deliveries.receiver import LoopbackReceiver
from connector.settings.model import Settings
from connector.siem.client import Siem

CLIENTS, EACH = 12, 9  # addresses that may be asked of, and events that are new before each run
MEASURED = 4  # one run in so many nobody kills: moments are drawn from its length until the next
WORDS = ("declare", "public-dns-queries", "--threat", "Tunnel", "--phase", "delivery", "--asset", "hunt.client.ip")
RECEIVER = "soc"


@dataclass
class Declares:
    """What was done and what is wrong.

    Kills while a command worked, runs that ended before, runs that nobody killed; events, declarations, revisions.
    """

    kills: int = 0
    ended: int = 0
    whole: int = 0
    events: int = 0
    declarations: int = 0
    revisions: int = 0
    wrong: list[str] = field(default_factory=list)


def own_hunt(folder: Path) -> None:
    """Write a hunt that asks of made-up events, in place of a built-in one."""
    written = (Path(__file__).parents[2] / "queries" / "policy" / "public-dns-queries.yml").read_text(encoding="utf-8")
    before, after = written.split("match:", 1)
    queries = folder / "queries" / "policy"
    queries.mkdir(parents=True)
    own = before + "match:\n  all: [{hunt.dns.message: query}]\n" + after[after.index("group_by:") :]
    (queries / "public-dns-queries.yml").write_text(own, encoding="utf-8")


def command_for(
    folder: Path, url: str, settings: Settings, receiver: LoopbackReceiver
) -> Callable[..., subprocess.Popen[bytes]]:
    """Return what starts `hunts` with the own hunt, made-up events and a receiver; their settings are written."""
    own_hunt(folder)
    (folder / "hunts.yml").write_text(
        f"siem: {{url: '{url}'}}\nprefix: {settings.prefix}\nqueries: queries\n"
        f"sources: [{{pattern: '{settings.events}'}}]\n"
        f"receivers: [{{name: {RECEIVER}, url: '{receiver.url}', secret_env: TEST_SECRET, networks: [127.0.0.1]}}]\n"
    )
    start = [sys.executable, "-c", "from connector.cli import main; main()", "--settings", str(folder / "hunts.yml")]
    environment = os.environ | {"TEST_SECRET": receiver.secret}
    return lambda *words: subprocess.Popen([*start, *words], env=environment, stdout=subprocess.DEVNULL)


def kill_declares(
    place: Place, folder: Path, kills: int, seed: int, say: Callable[[str], None] = lambda _: None
) -> Declares:
    """Return what came of `hunts declare`, killed so often at random moments with new events before each run."""
    chance, done, counts = random.Random(seed), Declares(), Counter[str]()
    settings, longest = settings_in(place), 0.0
    with LoopbackReceiver(RECEIVER) as receiver:
        hunts = command_for(folder, place.url, settings, receiver)
        while done.kills < kills:
            clients = [f"192.0.2.{chance.randrange(CLIENTS)}" for _ in range(EACH)]
            put_events(place, [event(done.events + n, client=client) for n, client in enumerate(clients)])
            counts.update(clients)
            done.events += EACH
            whole = (done.kills + done.ended + done.whole) % MEASURED == 0
            took = run_for(hunts(*WORDS, "--future"), None if whole else chance.uniform(0.1 * longest, longest))
            longest = took if whole and took else longest
            done.whole += whole
            done.kills += took is None
            done.ended += took is not None and not whole
            say(f"{done.kills} kills, {done.ended} runs that ended before, {done.whole} whole ones")
        for _ in range(2):  # the second changes nothing
            run_for(hunts(*WORDS, "--future"), None)
        claims_run_out(place.siem, settings)
        run_for(hunts("deliver"), None)
        _judge(place, replace(settings, receivers=(receiver.settings,)), receiver, counts, done)
    return done


def claims_run_out(siem: Siem, settings: Settings) -> None:
    """Let the time be over in which what a killed program was sending is left alone."""
    begun = "2026-11-03T10:00:00.000Z"
    for one in deliveries(siem, settings):
        if one.status == "sending":
            siem.change(settings.state("outbox"), one.id, lambda current: (current or {}) | {"next": begun})


def _judge(place: Place, settings: Settings, receiver: LoopbackReceiver, counts: Counter[str], done: Declares) -> None:
    """Say what is wrong: declarations that are missing or twice, wrong counts, revisions that nobody was told of."""
    found = stored_declarations(place.siem, settings)
    came = {one.id for one in receiver.received}
    done.declarations, done.revisions = len(found), sum(one["revision"] for _, one in found)
    seen = {one["asset"]["value"]: one["count"] for _, one in found}
    done.wrong += [f"{len(found)} declarations for {len(seen)} assets"] if len(found) != len(seen) else []
    done.wrong += [f"counts are {seen}, and not {dict(counts)}"] if seen != counts else []
    sent = {one.id: one.sent_as for one in deliveries(place.siem, settings) if one.status == "delivered"}
    for id, one in found:
        done.wrong += [f"{id} is pending"] if one["pending"] else []
        ids = [delivery_id(id, revision, RECEIVER) for revision in range(1, one["revision"] + 1)]
        done.wrong += [
            f"{id}: nobody was told of revision {n}" for n, own in enumerate(ids, 1) if sent.get(own) not in came
        ]
    left = [one.id for one in deliveries(place.siem, settings) if one.status != "delivered"]
    done.wrong += [f"{id} was not delivered" for id in left]
    done.wrong += [f"{id} came, and is not in the outbox" for id in came - set(sent.values())]
