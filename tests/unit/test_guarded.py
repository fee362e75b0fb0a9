"""The wire of the service: who may not write sends nothing that writes, and nobody sends faster than agreed."""

import ast
import threading
from pathlib import Path

import pytest

import connector
from connector.errors import LeaseLost, Overloaded
from connector.service.guarded import GuardedWire, Pace, writes
from connector.siem.client import Siem
from connector.siem.products import Product

READS = [
    ("GET", "/"),
    ("GET", "/hunts-state/_doc/lease"),
    ("GET", "/_cluster/health?wait_for_status=yellow"),
    ("HEAD", "/hunts-state"),
    ("POST", "/_search"),
    ("POST", "/hunts-findings/_search"),
    ("POST", "/logstash-*,-logstash-x/_search/"),
    ("POST", "/hunts-findings/_search?scroll=5m"),
    ("POST", "/_search/scroll"),
    ("DELETE", "/_search/scroll"),
    ("POST", "/_msearch"),
    ("POST", "/hunts-findings/_mget"),
    ("POST", "/hunts-findings/_count"),
    ("POST", "/hunts-findings/_refresh"),
    ("POST", "/logstash-*/_search/point_in_time"),
    ("DELETE", "/_search/point_in_time"),
    ("POST", "/logstash-*/_pit"),
    ("DELETE", "/_pit"),
]
WRITES = [
    ("PUT", "/hunts-state/_doc/pass"),
    ("PUT", "/_search"),
    ("POST", "/_bulk"),
    ("POST", "/hunts-findings/_bulk"),
    ("POST", "/hunts-findings/_doc"),
    ("POST", "/hunts-findings/_doc/_search"),
    ("POST", "/hunts-findings/_create/1"),
    ("POST", "/hunts-findings/_update/1"),
    ("POST", "/hunts-seen/_delete_by_query"),
    ("POST", "/logstash-*/_update_by_query"),
    ("POST", "/_update_by_query/n:1/_rethrottle"),
    ("POST", "/_tasks/n:1/_cancel"),
    ("POST", "/_reindex"),
    ("POST", "/_aliases"),
    ("POST", "/hunts-findings/_close"),
    ("POST", "/hunts-findings/_search/_nobody_knows"),
    ("POST", "/hunts-findings"),
    ("POST", "/"),
    ("DELETE", "/hunts-findings"),
    ("DELETE", "/hunts-findings/_doc/_pit"),
    ("DELETE", "/_search/point_in_time/_all"),
    ("DELETE", "/_search"),
    ("PATCH", "/hunts-findings/_search"),
]


class Carrier:
    """A wire that notes what it carries; the first calls end in the errors given."""

    def __init__(self, *errors: Exception) -> None:
        self.carried: list[tuple] = []
        self.errors, self.is_closed = list(errors), False

    def call(self, *call):
        self.carried.append(call)
        if self.errors:
            raise self.errors.pop(0)
        return {"ok": True}

    def close(self):
        self.is_closed = True


class Clock:
    """Seconds that pass only while somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 100.0, []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def refuse() -> None:
    """Be a lease that is lost."""
    raise LeaseLost("another is the active one")


def unhurried() -> Pace:
    """Return a pace nobody notices."""
    return Pace(1e6)


# ---- what writes


@pytest.mark.parametrize(("method", "path"), READS)
def test_what_reads_is_carried_for_everybody(method, path):
    assert not writes(method, path)
    carrier = Carrier()
    assert GuardedWire(carrier, refuse, unhurried()).call(method, path, {"a": "b"}, b"c", "mark") == {"ok": True}
    assert carrier.carried == [(method, path, {"a": "b"}, b"c", "mark")]


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_what_writes_or_is_not_known_is_carried_for_the_active_one_only(method, path):
    assert writes(method, path)
    carrier = Carrier()
    with pytest.raises(LeaseLost):
        GuardedWire(carrier, refuse, unhurried()).call(method, path, {}, None)
    assert carrier.carried == []
    assert GuardedWire(carrier, lambda: None, unhurried()).call(method, path, {}, None) == {"ok": True}


def test_what_the_client_pages_and_asks_with_is_known_to_read():
    """Each path that the client itself posts to or deletes is told right: only `bulk` and `put` of it write."""
    tree = ast.parse((Path(connector.__file__).parent / "siem" / "client.py").read_text("utf-8"))
    told = {}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        constants = [arg.value for arg in call.args[:2] if isinstance(arg, ast.Constant)]
        if len(constants) == 2 and constants[0] in ("POST", "DELETE"):
            told[tuple(constants)] = writes(*constants)
    assert told == {
        ("POST", "/_bulk"): True,
        ("POST", "/_msearch"): False,
        ("POST", "/_search"): False,
        ("POST", "/_search/scroll"): False,
        ("DELETE", "/_search/scroll"): False,
    }


def test_the_lease_is_asked_again_for_each_try_of_a_call():
    """A holder that lost the lease while it waited for an overloaded engine does not try again."""
    carrier, asked = Carrier(*[Overloaded("busy")] * 5), []

    def check() -> None:
        asked.append(len(carrier.carried))
        if len(asked) == 3:
            refuse()

    siem = Siem(carrier, Product("OpenSearch", (3, 8))).through(lambda wire: GuardedWire(wire, check, unhurried()))
    with pytest.raises(LeaseLost):
        siem.call("PUT", "/hunts-state/_doc/pass", {})
    assert asked == [0, 1, 2] and len(carrier.carried) == 2


def test_the_lease_is_asked_after_the_pause_and_not_before():
    clock, carrier, asked = Clock(), Carrier(), []
    wire = GuardedWire(carrier, lambda: asked.append(clock.now), Pace(1, clock, clock.sleep))
    for _ in range(3):
        wire.call("PUT", "/hunts-state/_doc/pass", {}, None)
    assert asked == [100, 101, 102]


def test_closing_closes_the_wire_within():
    carrier = Carrier()
    Siem(carrier, Product("OpenSearch", (3, 8))).through(lambda wire: GuardedWire(wire, refuse, unhurried())).close()
    assert carrier.is_closed


# ---- the pace


def test_after_the_burst_calls_come_evenly():
    clock = Clock()
    pace = Pace(10, clock, clock.sleep)
    moments = []
    for _ in range(40):
        pace.wait()
        moments.append(clock.now - 100)
    assert moments[:10] == [0.0] * 10
    assert moments[10:] == pytest.approx([n / 10 for n in range(1, 31)])


def test_a_rest_earns_one_second_s_worth_and_no_more():
    clock = Clock()
    pace = Pace(10, clock, clock.sleep)
    for _ in range(10):
        pace.wait()
    clock.now += 3600
    for _ in range(10):
        pace.wait()
    assert clock.slept == []
    pace.wait()
    assert clock.slept == pytest.approx([0.1])


def test_less_than_one_call_a_second_is_a_pace_too():
    clock = Clock()
    pace = Pace(0.1, clock, clock.sleep)
    for _ in range(3):
        pace.wait()
    assert clock.slept == pytest.approx([10, 10])


def test_a_clock_that_goes_back_owes_nobody():
    clock = Clock()
    pace = Pace(10, clock, clock.sleep)
    pace.wait()
    clock.now -= 50
    pace.wait()
    assert clock.slept == []


def test_threads_share_one_pace():
    """Those who wait queue up: each one's turn is a tenth of a second after the one before."""
    slept: list[float] = []
    pace = Pace(10, lambda: 0.0, slept.append)
    threads = [threading.Thread(target=lambda: [pace.wait() for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(slept) == pytest.approx([n / 10 for n in range(1, 91)])
