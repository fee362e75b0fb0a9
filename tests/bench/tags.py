"""Tag rules: how fast past events are tagged, what tagging costs at write time, whether tags are right, and kills.

    python tests/bench/tags.py [--only past write equal kills] [--url URL …] [--json]

Without --url OpenSearch 3.8 and then Elasticsearch 7.10 are started, each for all of it. Everything is made under the
prefixes `bench-` and `tagbench-`, and removed.

    past    bulk indexing without any pipeline of the sensors' events, and of the same events as they are stored
            enriched; with the enrichment; and `hunts tag` on those that are stored enriched: in turn, `--rounds` times
            after one that warms up: events a second, and the tagging's share of each indexing (aim: a half of that
            without a pipeline)
    write   bulk indexing with the enrichment and an empty `tags` pipeline, and with `--rules` rules in it (conditions
            of shipped hunts, evenly chosen), alternating, every second round in reverse: medians, and the share that
            the rules cost (aim: 5 % at most); how many events they tagged, and on Elasticsearch 7.10 the script's own
            time an event by its counter (OpenSearch's counter is inflated)
    equal   `--events` events, half of them stored before and half after 20 overlapping rules are given to past and
            future events: every event's tag, rules and alert.tag against the Python predicate, before and after untag
    kills   `hunts tag` and `hunts untag`, each killed with SIGKILL at a random moment while events come, `--kills`
            times; after the same command again every event that is there is compared with the predicate

The events of `past` and `write` are those of `enrichment.py`, the others are made up. Ends with 1 if a tag is wrong;
speed is for people to judge, on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from enrichment import bodies, packed, send_all, template
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import Place, clean
from engine.respond_story import install_all, install_state, put_template, settings_of
from engine.tag_day import (
    BOTH,
    OURS,
    Day,
    Events,
    expected,
    made_hunt,
    matched,
    rules_that_overlap,
    seen,
    traffic,
    write,
)

from connector.embedded.node import running_node
from connector.embedded.products import ELASTICSEARCH_7, OPENSEARCH_3
from connector.enrich.assets import build_assets
from connector.enrich.fields import event_properties
from connector.enrich.tables import build_tables
from connector.errors import Refused
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.conditions.condition import All
from connector.hunts.conditions.painless import compile_painless
from connector.respond.tags.publishing import publish
from connector.respond.tags.rules import rule_of, store
from connector.respond.tags.tagging import tag
from connector.settings.model import Settings, SiemSettings, Source
from connector.siem.client import Siem

PREFIX, EVENTS = "tagbench-", "bench-"  # of what is ours, and of the events of `enrichment.py`
TRIALS = ("past", "write", "equal", "kills")
Json = dict[str, Any]
Bodies = tuple[list[bytes], int]


def say(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr, flush=True)


# ---- speed


def indexed(url: str, pipeline: str | None, made: Bodies, *, enriched: bool = True) -> float:
    """Return the events a second of bulk indexing into fresh indices, with that final pipeline."""
    drop_events(url)
    body = template(pipeline, event_properties() if enriched else {})
    requests.put(f"{url}/_template/bench", json=body).raise_for_status()
    took, _ = send_all(url, made[0])
    requests.post(f"{url}/{EVENTS}*/_refresh").raise_for_status()
    return made[1] / took


def drop_events(url: str) -> None:
    """Delete the event indices."""
    requests.delete(f"{url}/{EVENTS}*").raise_for_status()


def prepared(place: Place) -> Settings:
    """Return settings whose events are those of `enrichment.py`; all is made but the templates, which differ."""
    settings = replace(settings_of(place), sources=(Source(f"{EVENTS}*", "eve", "@timestamp"),))
    for name, body in build_assets(settings, build_tables(settings)).pipelines.items():
        place.siem.call("PUT", f"/_ingest/pipeline/{name}", body)
    install_state(place, settings, "state", "tag-rules")
    return settings


def stored(place: Place) -> Bodies:
    """Return bulk bodies of the events as they are stored, shuffled, and how many they hold."""
    found = [(hit["_index"], hit["_source"]) for hit in place.siem.scan(f"{EVENTS}*", {"query": {"match_all": {}}})]
    random.Random(1).shuffle(found)
    return packed(found), len(found)


def past(place: Place, args: argparse.Namespace) -> Json:
    """Return how fast events are indexed, without a pipeline and enriched, and how fast stored ones are tagged."""
    settings, made = prepared(place), bodies(args.speed_events)
    hunt = made_hunt("everything", All(()), *kinds_of(made))
    indexed(place.url, f"{PREFIX}enrich", made)
    again = stored(place)
    figures: dict[str, list[float]] = {"indexed": [], "indexed_again": [], "enriched": [], "tagged": []}
    for number in range(args.rounds + 1):
        figures["indexed"].append(indexed(place.url, None, made, enriched=False))
        figures["indexed_again"].append(indexed(place.url, None, again))
        figures["enriched"].append(indexed(place.url, f"{PREFIX}enrich", made))
        rule = rule_of(hunt, "relevant", "bench", datetime.now(UTC), str(number))
        start = time.perf_counter()
        done = tag(place.siem, settings, hunt, rule)
        figures["tagged"].append(done.tagged / (time.perf_counter() - start))
        say("past: " + ", ".join(f"{rates[-1]:,.0f} {name}" for name, rates in figures.items()) + " events/s")
        if done.tagged != made[1] or done.failures:
            raise SystemExit(f"{done.tagged} of {made[1]} events were tagged: {done.failures[:3]}")
    medians = {name: statistics.median(rates[1:]) for name, rates in figures.items()}
    shares = {f"of_{name}": medians["tagged"] / medians[name] for name in figures if name != "tagged"}
    return {**medians, **shares, "rounds": figures, "events": made[1]}


def kinds_of(made: Bodies) -> list[str]:
    """Return the event types of bulk bodies, as they are written in the events."""
    lines = (line for body in made[0] for line in body.splitlines()[1::2])
    return sorted({str(json.loads(line)["event_type"]) for line in lines})


def write_time(place: Place, args: argparse.Namespace) -> Json:
    """Return how fast events are indexed with the enrichment, without rules and with some."""
    settings, made = prepared(place), bodies(args.speed_events)
    path = f"/_ingest/pipeline/{PREFIX}tags"
    pipelines = {"without": place.siem.call("GET", path)[f"{PREFIX}tags"]}
    hunts = written_hunts(settings, args.rules)
    for position, hunt in enumerate(hunts):
        wanted = "relevant" if position % 3 else "informational"
        store(place.siem, settings, rule_of(hunt, wanted, "bench", datetime.now(UTC), "", BOTH))
    publish(place.siem, settings, datetime.now(UTC))
    pipelines["with"] = place.siem.call("GET", path)[f"{PREFIX}tags"]
    rates: dict[str, list[float]] = {way: [] for way in pipelines}
    tagged, before = 0, (0, 0)
    for number in range(args.rounds + 1):
        before = before if number != 1 else script_time(place)
        for way in list(pipelines)[:: 1 if number % 2 else -1]:
            place.siem.call("PUT", path, pipelines[way])
            rates[way].append(indexed(place.url, f"{PREFIX}enrich", made))
            say(f"write: {rates[way][-1]:,.0f} events/s {way} rules")
            if way == "with":
                tagged = place.siem.count(f"{EVENTS}*", {"exists": {"field": "hunt.tag"}})
    took, count = (now - then for now, then in zip(script_time(place), before, strict=True))
    medians = {way: statistics.median(found[1:]) for way, found in rates.items()}
    costs = 1 - medians["with"] / medians["without"]
    script = took * 1000 / count if count and place.siem.product.name == "Elasticsearch" else None
    return {**medians, "costs": costs, "script_us": script, "tagged": tagged, "rules": len(hunts), "rounds": rates}


def written_hunts(settings: Settings, count: int) -> list[Hunt]:
    """Return shipped hunts that can be answered at write time, evenly chosen, as if one event were enough for each."""
    able = []
    for hunt in load_catalogue(settings).active:
        try:
            compile_painless(hunt.condition, "eve")
        except Refused:
            continue
        able += [made_hunt(hunt.name, hunt.match, *hunt.event_types)]
    return [able[position * len(able) // count] for position in range(count)]


def script_time(place: Place) -> tuple[int, int]:
    """Return (milliseconds, events) of the script of the rules, by the engine's own counter."""
    nodes = place.siem.call("GET", "/_nodes/stats/ingest")["nodes"].values()
    found = [node["ingest"]["pipelines"].get(f"{PREFIX}tags", {}) for node in nodes]
    return sum(each.get("time_in_millis", 0) for each in found), sum(each.get("count", 0) for each in found)


# ---- truth


def equal(place: Place, args: argparse.Namespace) -> Json:
    """Return how many events differ from what the predicate says, with all rules, with half of them, and with none."""
    day, rules, raw = made_day(place), rules_that_overlap(), traffic(args.events, seed=args.seed)
    half = args.events // 2
    write(place, raw[:half])
    for hunt, wanted in rules:
        day.give(hunt, wanted)
    write(place, raw[half:], first=half)
    all_of_them = seen(day.events())
    random.Random(args.seed).shuffle(rules)
    for hunt, _ in rules[10:]:
        day.untag(hunt)
    some = seen(day.events())
    for hunt, _ in rules[:10]:
        day.untag(hunt)
    bare = day.events()
    on = [(day.rule(hunt, wanted), matched(hunt, bare)) for hunt, wanted in rules]
    wrong = {
        "all": different(all_of_them, expected(bare, on)),
        "half": different(some, expected(bare, on[:10])),
        "none": untrue(bare, raw),
    }
    say(f"equal: {len(bare):,} events, wrong: {wrong}")
    tags = sum(len(keys) for _, keys in on)
    return {"events": len(bare), "tags": tags, "missing": args.events - len(bare), "wrong": wrong}


def different(found: Events, wanted: Events) -> int:
    """Return how many events are not as they must be."""
    return sum(found.get(key) != event for key, event in wanted.items()) + len(found.keys() - wanted.keys())


def untrue(found: Events, raw: Sequence[Json]) -> int:
    """Return how many events have something of ours, or not the alert.tag they came with."""
    return sum(
        bool(set(OURS) & event["hunt"].keys())
        or event.get("alert", {}).get("tag") != raw[int(id)].get("alert", {}).get("tag")
        for (_, id), event in found.items()
    )


def made_day(place: Place) -> Day:
    """Return the place with everything installed, for made-up events."""
    settings = settings_of(place)
    put_template(place)
    install_all(place, settings)
    return Day(place, settings)


# ---- kills


def kills(place: Place, args: argparse.Namespace) -> Json:
    """Return what came of commands that were killed: how many were cut short, and events that were wrong afterwards."""
    chance, wrong, short = random.Random(args.seed), 0, 0
    day = made_day(place)
    raw = traffic(args.kill_events, seed=args.seed)
    write(place, raw)
    hunt = "where:bench-dns"
    where = ("--where", "{event_type: {any_of: [dns, alert]}, src_ip: {in_network: 10.0.0.0/8}}")
    asked = made_hunt("bench-dns", All(()), "dns", "alert")
    with tempfile.TemporaryDirectory() as folder:
        run = command(day, Path(folder))
        longest = {"tag": 3.0, "untag": 3.0}
        for number in range(args.kills):
            kind = ("tag", "untag")[number % 2]
            words = [kind, *where, "--name", "bench-dns", "relevant"] if kind == "tag" else [kind, "bench-dns"]
            with coming(place, args.kill_events + number * 1000, seed=number) as wait:
                process = run(*words)
                time.sleep(chance.uniform(0.3, longest[kind]))
                os.kill(process.pid, signal.SIGKILL)
                short += process.wait() == -signal.SIGKILL
                start = time.perf_counter()
                if run(*words).wait():
                    raise SystemExit(f"`hunts {' '.join(words)}` failed")
                longest[kind] = 0.7 * longest[kind] + 0.3 * (time.perf_counter() - start)
                wait()
            wrong += wrong_now(day, asked, kind)
            say(f"kills: {number + 1}, {short} cut short, {wrong} events wrong")
    return {"kills": args.kills, "cut_short": short, "wrong": wrong, "hunt": hunt}


def command(day: Day, folder: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Return what starts `hunts` with the settings of the place."""
    (folder / "hunts.yml").write_text(
        f"siem: {{url: '{day.place.url}'}}\nprefix: {day.settings.prefix}\n"
        f"sources: [{{pattern: '{day.pattern}', dialect: eve}}]\n"
    )
    start = [sys.executable, "-c", "from connector.cli import main; main()", "--settings", str(folder / "hunts.yml")]
    return lambda *words: subprocess.Popen([*start, *words], stdout=subprocess.DEVNULL)


@contextmanager
def coming(place: Place, first: int, seed: int) -> Iterator[Callable[[], None]]:
    """Have some events come while the block lasts; the block gets what ends that."""
    stop = threading.Event()

    def feed() -> None:
        """Write a few events again and again."""
        for number in range(0, 1000, 20):
            write(place, traffic(20, seed=seed * 1000 + number), first=first + number)
            if stop.wait(0.05):
                return

    def end() -> None:
        """End it, and wait for the last event."""
        stop.set()
        thread.join()

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield end
    finally:
        end()


def wrong_now(day: Day, hunt: Hunt, kind: str) -> int:
    """Return how many events carry the tag and must not, or the other way round."""
    events = day.events()
    mine = {key for key in matched(hunt, events) if events[key]["src_ip"].startswith("10.")} if kind == "tag" else set()
    return len(mine ^ {key for key, event in events.items() if "tag" in event["hunt"]})


# ---- all of it


def table(results: Sequence[Json]) -> Table:
    """Return the figures for a person."""
    made = Table("engine", "question", "answer")
    for result in results:
        for name, answer in result["trials"].items():
            shown = {key: value for key, value in answer.items() if key not in ("rounds", "hunt")}
            made.add_row(result["engine"], name, ", ".join(f"{key} {told(value)}" for key, value in shown.items()))
    return made


def told(value: object) -> str:
    """Return a figure for a person."""
    return f"{value:,.3f}" if isinstance(value, float) else str(value)


def swept(siem: Siem, url: str) -> None:
    """Remove all that a bench makes."""
    clean(siem, PREFIX)
    clean(siem, EVENTS)
    requests.delete(f"{url}/_template/bench")


def asked(url: str, args: argparse.Namespace) -> Json:
    """Return the figures of one engine."""
    trials: dict[str, Callable[[Place, argparse.Namespace], Json]] = {
        "past": past,
        "write": write_time,
        "equal": equal,
        "kills": kills,
    }
    results: dict[str, Json] = {}
    with Siem.connect(SiemSettings(urls=(url,))) as siem:
        place = Place(siem, PREFIX, url)
        for name in args.only:
            swept(siem, url)  # of what a bench that was killed has left
            try:
                results[name] = trials[name](place, args)
            finally:
                swept(siem, url)
        product = siem.product
    return {"engine": f"{product.name} {'.'.join(map(str, product.version))}", "trials": results}


def main() -> None:
    """Parse the command line, ask each engine, print, and end with 1 if a tag was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=TRIALS, default=TRIALS)
    parser.add_argument("--url", nargs="+", help="running engines; without it both are started")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rules", type=int, default=50)
    parser.add_argument("--speed-events", type=int, default=10**9, help="of `past` and `write`; all there are")
    parser.add_argument("--events", type=int, default=100_000, help="of `equal`")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--kill-events", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.url:
        results = [asked(url, args) for url in args.url]
    else:
        results = []
        for distribution in (OPENSEARCH_3, ELASTICSEARCH_7):
            with running_node(distribution=distribution.name) as node:
                results.append(asked(node.url, args))
    if args.json:
        print(json.dumps(results, indent=2))
    else:
        Console(width=180).print(table(results))
    truths = [one for result in results for one in result["trials"].values() if "wrong" in one]
    wrong = [n for one in truths for n in (one["wrong"].values() if isinstance(one["wrong"], dict) else [one["wrong"]])]
    raise SystemExit(1 if any(wrong) or any(one.get("missing") for one in truths) else 0)


if __name__ == "__main__":
    main()
