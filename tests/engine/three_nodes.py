"""Three nodes of OpenSearch in one cluster on this machine, each of which can be killed and started again.

Each is an embedded node with its own folder, whose settings are given what makes a cluster of them.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests

from connector.embedded.download import no_progress
from connector.embedded.folder import LOOPBACK, NodeFolder
from connector.embedded.node import Start, prepared, ready, stop, supervised
from connector.embedded.products import OPENSEARCH_3

HEAP = "512m"
NODES = range(3)
QUICK = "-XX:TieredStopAtLevel=1"  # half the time to start, and these nodes live for a minute


class Cluster:
    """Three nodes by number; `urls` stay the same whether they are up or not."""

    def __init__(self, folder: Path) -> None:
        """Choose ports; nothing is started."""
        ports = _free_ports(2 * len(NODES))
        self._folders = [NodeFolder(folder / str(n)) for n in NODES]
        self._http, self._transport = ports[: len(NODES)], ports[len(NODES) :]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._pids: dict[int, int] = {}
        self.urls = tuple(f"http://{LOOPBACK}:{port}" for port in self._http)

    def start(self, *numbers: int) -> None:
        """Start nodes, together, and return when they answer and no shard is without its copies."""
        starts = {n: self._started(n) for n in numbers}
        for n, start in starts.items():
            ready(self._processes[n], start)
            (node,) = self._ask(n, "/_nodes/_local/process")["nodes"].values()
            self._pids[n] = int(node["process"]["id"])  # not the supervisor's, which would end it gently
        self.settle()

    def start_all(self) -> None:
        """Start the nodes that do not run."""
        self.start(*(n for n in NODES if n not in self.alive))

    def kill(self, n: int) -> None:
        """End a node at once: its process gets SIGKILL and can finish nothing."""
        os.kill(self._pids[n], signal.SIGKILL)
        self._ended(n)

    def stop(self) -> None:
        """End all nodes that run."""
        for process in self._processes.values():
            assert process.stdin is not None
            process.stdin.close()  # all at once, then wait for each
        for n in list(self._processes):
            self._ended(n)

    def settle(self) -> None:
        """Return when every shard has all its copies."""
        while self._ask(self.alive[0], "/_cluster/health?wait_for_status=green&timeout=30s")["timed_out"]:
            pass

    def primary(self, index: str) -> int:
        """Return the node that has the primary shard of an index (the first of them)."""
        shards = self._ask(self.alive[0], f"/_cat/shards/{index}?format=json&h=prirep,node")
        return next(int(shard["node"].removeprefix("node-")) for shard in shards if shard["prirep"] == "p")

    def manager(self) -> int:
        """Return the node that manages the cluster."""
        (row,) = self._ask(self.alive[0], "/_cat/cluster_manager?format=json&h=node")
        return int(row["node"].removeprefix("node-"))

    @property
    def alive(self) -> list[int]:
        """Return the nodes that run."""
        return sorted(self._processes)

    def _started(self, n: int) -> Start:
        """Return a node that was started and may not answer yet."""
        folder = self._folders[n]
        start = prepared(
            folder,
            port=self._http[n],
            heap=HEAP,
            distribution=OPENSEARCH_3.name,
            progress=no_progress,
            environ=os.environ,
        )
        config = folder.config / start.engine.config_file
        config.write_text(json.dumps(json.loads(config.read_text("utf-8")) | self._in_cluster(n)), "utf-8")
        java, *options = start.command
        self._processes[n] = supervised(replace(start, command=(java, QUICK, *options)), temporary=True)
        folder.remember(self._processes[n].pid, start.engine)
        return start

    def _in_cluster(self, n: int) -> dict[str, object]:
        """Return the settings that make a node one of the cluster."""
        return {
            "node.name": f"node-{n}",
            "transport.port": self._transport[n],
            "discovery.type": "zen",
            "discovery.seed_hosts": [f"{LOOPBACK}:{port}" for port in self._transport],
            "cluster.initial_cluster_manager_nodes": [f"node-{each}" for each in NODES],
        }

    def _ended(self, n: int) -> None:
        """Wait for the end of a node that was killed or is to stop."""
        stop(self._processes.pop(n))
        self._folders[n].forget()

    def _ask(self, n: int, path: str) -> Any:
        """Return what a node answers."""
        return requests.get(f"{self.urls[n]}{path}", timeout=60).json()


def _free_ports(number: int) -> Sequence[int]:
    """Return ports that nothing listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server((LOOPBACK, 0))) for _ in range(number)]
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def three_nodes() -> Iterator[Cluster]:
    """Hold a cluster of three nodes for the length of a with statement."""
    folder = Path(tempfile.mkdtemp(prefix="guided-hunts-cluster-"))
    folder.chmod(0o755)
    cluster = Cluster(folder)
    try:
        cluster.start(*NODES)
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)
