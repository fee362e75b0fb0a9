"""What the enrichment costs: bulk indexing without a pipeline, with one that sets a field, and with ours, alternating.

    python tests/bench/enrichment.py [--url URL] [--rounds 5] [--events 400000]

Every event of ../shared/eve and ../shared/story in one shuffled order, in SELKS's layout (an index an event type), the
same bodies of about 2.5 MB for every run, two senders, engine and senders on one machine. A round runs all ways, every
second round in reverse; the first round warms up and is not counted. Medians and their ratios are printed, and on
Elasticsearch 7.10 the script's own time an event by `_nodes/stats/ingest` (OpenSearch's counter is inflated).
"""

from __future__ import annotations

import argparse
import gzip
import json
import queue
import random
import statistics
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import requests

from connector.embedded.node import running_node
from connector.enrich.fields import event_properties
from connector.enrich.pipeline import enrich_pipelines
from connector.enrich.tables import build_tables
from connector.settings.load import load_settings
from connector.siem.event_template import TEMPLATE

SHARED = Path(__file__).parents[3] / "shared"
BODY_BYTES = 2_500_000
WAYS = {"plain": None, "one field": "bench-one", "enriched": "bench-enrich"}


def bodies(limit: int) -> tuple[list[bytes], int]:
    """Return bulk bodies for all events, shuffled, and how many events they hold."""
    files = sorted(SHARED.glob("eve/*.gz")) + sorted(SHARED.glob("story/*.gz"))
    lines = [line for file in files for line in gzip.decompress(file.read_bytes()).splitlines()]
    random.Random(1).shuffle(lines)  # the order of arrival of many sensors
    return packed(map(stamped, lines[:limit])), min(limit, len(lines))


def stamped(line: bytes) -> tuple[str, dict[str, Any]]:
    """Return the index that an event goes to, and the event with the time of documents."""
    event = json.loads(line)
    stamp = event.get("timestamp", "2026-01-01T00:00:00.000000")[:23] + "Z"
    return f"bench-{str(event['event_type']).lower()}", {"@timestamp": stamp, **event}


def packed(events: Iterable[tuple[str, dict[str, Any]]]) -> list[bytes]:
    """Return bulk bodies of events and the index each goes to."""
    made, current, size = [], [], 0
    for index, event in events:
        source = json.dumps(event, separators=(",", ":"))
        current.append(f'{{"index":{{"_index":"{index}"}}}}\n{source}\n')
        size += len(source)
        if size > BODY_BYTES:
            made.append("".join(current).encode())
            current, size = [], 0
    return [*made, "".join(current).encode()]


def template(final_pipeline: str | None, properties: dict[str, Any]) -> dict[str, Any]:
    """Return the index template of one way."""
    made = json.loads(json.dumps({**TEMPLATE, "index_patterns": ["bench-*"]}))
    merge(made["mappings"]["properties"], properties)
    if final_pipeline:
        made["settings"]["index.final_pipeline"] = final_pipeline
    return made


def merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    """Merge nested mapping properties."""
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


def send(url: str, work: queue.Queue[bytes], refused: list[int]) -> None:
    """Send bodies until none is left."""
    session = requests.Session()
    while True:
        try:
            body = work.get_nowait()
        except queue.Empty:
            return
        path = f"{url}/_bulk?filter_path=errors,items.*.error"
        answer = session.post(path, data=body, headers={"content-type": "application/x-ndjson"}).json()
        refused.append(sum(1 for item in answer.get("items", []) if item))


def send_all(url: str, made: list[bytes]) -> tuple[float, int]:
    """Send bodies from two threads; return the seconds it took, and how many events were refused."""
    work: queue.Queue[bytes] = queue.Queue()
    for body in made:
        work.put(body)
    refused: list[int] = []
    threads = [threading.Thread(target=send, args=(url, work, refused)) for _ in range(2)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start, sum(refused)


def run(url: str, way: str, made: list[bytes], events: int) -> float:
    """Return events per second of one way, into fresh indices."""
    requests.delete(f"{url}/bench-*")
    properties = event_properties() if way == "enriched" else {}
    requests.put(f"{url}/_template/bench", json=template(WAYS[way], properties)).raise_for_status()
    took, refused = send_all(url, made)
    requests.post(f"{url}/bench-*/_refresh")
    stored = requests.get(f"{url}/bench-*/_count").json()["count"]
    size = requests.get(f"{url}/bench-*/_stats/store").json()["_all"]["primaries"]["store"]["size_in_bytes"]
    told = f"stored {stored} of {events}, refused {refused}, {size / 1e6:.0f} MB"
    print(f"{way:10} {events / took:8.0f} events/s  {told}", flush=True)
    return events / took


def script_time(url: str) -> tuple[int, int]:
    """Return (milliseconds, events) that the enrichment script took, by the engine's own counter."""
    nodes = requests.get(f"{url}/_nodes/stats/ingest").json()["nodes"].values()
    steps = [n["ingest"]["pipelines"]["bench-enrich-script"]["processors"][0]["script"]["stats"] for n in nodes]
    return sum(s["time_in_millis"] for s in steps), sum(s["count"] for s in steps)


def measure(url: str, rounds: int, limit: int) -> None:
    """Run all ways, alternating, and print medians and ratios."""
    tables = build_tables(load_settings(None))
    for name, body in enrich_pipelines(tables, "bench-").items():
        requests.put(f"{url}/_ingest/pipeline/{name}", json=body).raise_for_status()
    requests.put(f"{url}/_ingest/pipeline/bench-tags", json={"processors": []}).raise_for_status()
    one = {"processors": [{"set": {"field": "bench", "value": "x"}}]}
    requests.put(f"{url}/_ingest/pipeline/bench-one", json=one).raise_for_status()
    print(requests.get(url).json()["version"])
    made, events = bodies(limit)
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    before = (0, 0)
    for number in range(rounds + 1):
        for way in list(WAYS) if number % 2 else list(WAYS)[::-1]:
            rates[way].append(run(url, way, made, events))
        before = before if number else script_time(url)
    medians = {way: statistics.median(values[1:]) for way, values in rates.items()}
    for way, rate in medians.items():
        of_plain, of_one = rate / medians["plain"], rate / medians["one field"]
        print(f"{way:10} median {rate:8.0f} events/s = {of_plain:.3f} of plain, {of_one:.3f} of one field")
    took, count = script_time(url)
    print(f"script {(took - before[0]) * 1000 / (count - before[1]):.2f} µs an event by the engine's counter")
    requests.delete(f"{url}/bench-*")
    requests.delete(f"{url}/_template/bench")


def main() -> None:
    """Parse the command line and measure, on a given or an own engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a running engine; without it OpenSearch is started")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=10**9)
    args = parser.parse_args()
    if args.url:
        measure(args.url, args.rounds, args.events)
        return
    with running_node() as node:
        measure(node.url, args.rounds, args.events)


if __name__ == "__main__":
    main()
