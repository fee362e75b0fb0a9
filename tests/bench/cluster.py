"""Nodes of a cluster killed during passes, one after the other: is anything lost or doubled?

    python tests/bench/cluster.py [--kills 30] [--seed 1]

Three OpenSearch nodes on this machine, every shard on two of them. Passes go on with the urls of all three; in a random
call of one of them a node gets SIGKILL: each in turn, and every other time the one that has what passes write, or that
manages the cluster. What fails is done again, as the service does, and after every kill the findings are compared with
the reference. Takes about 20 seconds a kill, most of it for the node to come back; ends with an error at the first
difference.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "engine"), str(TESTS), str(TESTS.parent)]

from killed_nodes import Ground, assert_nothing_is_lost_or_doubled, calls_of_a_pass, ground, killing  # noqa: E402
from three_nodes import NODES, three_nodes  # noqa: E402


def main() -> None:
    """Kill as often as asked and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    chance, began = random.Random(args.seed), time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        three_nodes() as cluster,
        ground(cluster, Path(folder), args.seed) as place,
    ):
        calls, end, wrong = calls_of_a_pass(place), 0, Counter[str]()
        for kill in range(args.kills):
            cluster.start_all()
            node, what = _next(place, kill)
            killed = killing(place, node, end, call=chance.randint(1, calls), after=chance.uniform(0, 0.03))
            end, wrong = killed.end, wrong + killed.wrong
            told = ", ".join(f"{name} {n}" for name, n in killed.wrong.items()) or "nothing went wrong"
            print(f"kill {kill + 1}, node {node} ({what}): longest pass {killed.seconds:.1f} s, {told}", flush=True)
            assert_nothing_is_lost_or_doubled(place, end)
    print(f"{args.kills} kills in {time.monotonic() - began:.0f} s, nothing lost or doubled; {dict(wrong)}")


def _next(place: Ground, kill: int) -> tuple[int, str]:
    """Return which node to kill and why that one."""
    turns = ("state", "manager", "findings", "runs")
    turn = turns[kill // 2 % len(turns)]
    if kill % 2 == 0:
        return kill // 2 % len(NODES), "in turn"
    if turn == "manager":
        return place.cluster.manager(), "manages the cluster"
    return place.cluster.primary(place.settings.state(turn)), f"has {turn}"


if __name__ == "__main__":
    main()
