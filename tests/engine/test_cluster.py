"""A cluster of three real nodes: what is ours is on two of them, and one that is killed costs nothing.

Longer, with each node in turn: `tests/bench/cluster.py`.
"""

import random
from collections.abc import Iterator

import pytest
from killed_nodes import CAME_MS, Ground, assert_nothing_is_lost_or_doubled, calls_of_a_pass, ground, killing, passing
from three_nodes import three_nodes

from connector.siem.state import STATE_MAPPINGS


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Return a cluster with everything installed and events in it."""
    with three_nodes() as cluster, ground(cluster, tmp_path_factory.mktemp("cluster"), seed=1) as place:
        yield place


def test_each_of_our_indices_has_a_copy_on_another_node(place: Ground) -> None:
    names = [place.settings.state(name) for name in STATE_MAPPINGS]
    told = place.siem.call("GET", f"/{','.join(names)}/_settings/index.number_of_replicas")
    copies = {name: index["settings"]["index"]["number_of_replicas"] for name, index in told.items()}
    assert copies == dict.fromkeys(names, "1")


def test_a_node_that_is_killed_during_passes_costs_nothing(place: Ground) -> None:
    """First the node that has how far passes are, then the one that has the findings."""
    cluster, chance, end = place.cluster, random.Random(), 0
    calls = calls_of_a_pass(place)
    for name in ("state", "findings"):
        cluster.start_all()
        node = cluster.primary(place.settings.state(name))
        end = killing(place, node, end, call=chance.randint(1, calls), after=chance.uniform(0, 0.03)).end
        assert node not in cluster.alive
        assert_nothing_is_lost_or_doubled(place, end)
    passing(place, CAME_MS)
    assert_nothing_is_lost_or_doubled(place, CAME_MS)
