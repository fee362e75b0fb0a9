"""The lease on real engines: one of many has it, and a holder that was stopped past its time writes nothing more."""

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from made_events import CutWire

from connector.errors import LeaseLost, NotThere, Unreachable
from connector.service.guarded import GuardedWire, Pace
from connector.service.lease import Holder, Lease, boot_time, read_lease, renewing
from connector.siem.client import Siem
from connector.siem.state import STATE_MAPPINGS
from tests.conftest import Place

TTL = timedelta(seconds=30)
STOPS = 3


class Later:
    """A clock that is ahead of the real one by as much as a test says."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return boot_time() + self.ahead


def state(place: Place) -> str:
    """Make the state index as it is installed, and return its name."""
    mapping = {"dynamic": False, "properties": STATE_MAPPINGS["state"]}
    place.siem.call("PUT", f"/{place.prefix}state", {"mappings": mapping})
    return f"{place.prefix}state"


def lease_of(siem: Siem, index: str, boot: Callable[[], float] = boot_time, ttl: timedelta = TTL) -> Lease:
    """Return the lease of one more service."""
    return Lease(siem, index, ttl, Holder.here(datetime.now(UTC)), boot=boot)


def eventually(claim: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Return what is claimed as soon as it is true; fail if that takes far too long."""
    end = time.monotonic() + seconds
    while not (value := claim()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
    return value


def test_one_has_it_one_stands_by_and_takes_over(each_place: Place) -> None:
    siem, index, later = each_place.siem, state(each_place), Later()
    first, second = lease_of(siem, index), lease_of(siem, index, later)
    assert read_lease(siem, index) is None
    assert (first.take(), second.take(), first.held, second.held) == (True, False, True, False)
    assert read_lease(siem, index) == second.seen == first.seen
    assert (second.seen.holder.pid, second.seen.term) == (os.getpid(), 1)
    later.ahead += 40
    assert first.renew() and not second.take()
    later.ahead += 32
    assert not second.take()
    later.ahead += 2
    assert second.take()
    assert not first.renew() and not first.held and first.seen.holder == second.seen.holder
    with pytest.raises(LeaseLost, match="another service is the active one"):
        first.check()
    second.release()
    assert read_lease(siem, index).holder is None
    assert first.take() and read_lease(siem, index).term == 3


def test_without_the_index_it_is_not_taken_and_the_index_not_made(each_place: Place) -> None:
    with pytest.raises(NotThere, match="hunts install"):
        lease_of(each_place.siem, f"{each_place.prefix}state").take()
    assert not each_place.siem.exists(f"/{each_place.prefix}state")


@pytest.mark.parametrize("free", ["never taken", "released", "abandoned"])
def test_of_eight_that_try_at_once_one_has_it(each_place: Place, free: str) -> None:
    siem, index = each_place.siem, state(each_place)
    for turn in range(5):
        laters = [Later() for _ in range(8)]
        leases = [lease_of(siem, index, later) for later in laters]
        if free == "never taken" and turn:
            siem.call("DELETE", f"/{index}/_doc/lease")
        if free == "abandoned":
            assert turn or lease_of(siem, index).take()
            assert [lease.take() for lease in leases] == [False] * 8
            for later in laters:
                later.ahead = 34
        start, took = threading.Barrier(8), []

        def take(lease: Lease, start: threading.Barrier = start, took: list[Lease] = took) -> None:
            """Take it when all others do."""
            start.wait()
            if lease.take():
                took.append(lease)

        threads = [threading.Thread(target=take, args=(lease,)) for lease in leases]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(took) == 1 and [lease.held for lease in leases].count(True) == 1
        assert read_lease(siem, index).holder == took[0].seen.holder
        if free == "released":
            took[0].release()


def test_a_renewal_whose_answer_was_lost_is_no_loss(each_place: Place) -> None:
    siem, index = each_place.siem, state(each_place)
    wire = CutWire(siem._wire, 1_000_000, answered=False)
    lease = lease_of(siem.through(lambda _: wire), index)
    assert lease.take()
    before = siem.get(index, "lease")
    wire.left = 1
    with pytest.raises(Unreachable):
        lease.renew()
    assert siem.get(index, "lease").seq_no > before.seq_no and lease.held
    wire.left = 1_000_000
    assert lease.renew() and read_lease(siem, index) == lease.seen and lease.seen.term == 1


def test_released_over_a_dead_wire_it_stays_until_it_ends(each_place: Place) -> None:
    siem, index, later = each_place.siem, state(each_place), Later()
    wire = CutWire(siem._wire, 1_000_000, answered=True)
    lease, other = lease_of(siem.through(lambda _: wire), index), lease_of(siem, index, later)
    assert lease.take()
    wire.left = 0
    lease.release()
    assert not lease.held and not other.take()
    later.ahead = 34
    assert other.take()


def test_it_is_renewed_by_itself_until_the_block_ends(each_place: Place) -> None:
    siem, index = each_place.siem, state(each_place)
    lease = lease_of(siem, index, ttl=timedelta(seconds=2))
    assert lease.take()
    with renewing(lease, lambda _: None):
        for _ in range(3):
            seen = siem.get(index, "lease").seq_no
            eventually(lambda seen=seen: siem.get(index, "lease").seq_no > seen)
    assert read_lease(siem, index).term == 1
    lease.release()
    assert read_lease(siem, index).holder is None


def test_who_lost_it_writes_nothing_and_still_reads(each_place: Place) -> None:
    """Each way of our client to write, and each to read; none of the first goes on as after a conflict."""
    siem, index, later = each_place.siem, state(each_place), Later()
    lease = lease_of(siem, index, later)
    guarded = siem.through(lambda wire: GuardedWire(wire, lease.check, Pace(1e6)))
    assert lease.take()
    lines = [line for n in range(7) for line in ({"index": {"_index": index, "_id": str(n)}}, {"kind": "x"})]
    assert guarded.bulk(lines, refresh="true") == []
    stored = guarded.put(index, "1", {"kind": "x"}, guarded.get(index, "1"))
    guarded.change(index, "2", lambda _: {"kind": "y"})
    later.ahead = 31
    for write in (
        lambda: guarded.bulk(lines),
        lambda: guarded.put(index, "1", {"kind": "z"}, stored),
        lambda: guarded.put(index, "new", {"kind": "z"}),
        lambda: guarded.change(index, "2", lambda _: {"kind": "z"}),
        lambda: guarded.call("POST", f"/{index}/_delete_by_query", {"query": {"match_all": {}}}),
        lambda: guarded.call("DELETE", f"/{index}"),
    ):
        with pytest.raises(LeaseLost):
            write()
    guarded.call("POST", f"/{index}/_refresh")
    query = {"query": {"prefix": {"kind": ""}}}
    assert len(list(guarded.scan(index, query, page=3))) == 8
    assert [answer["hits"]["total"]["value"] for answer in guarded.msearch([(index, query)])] == [8]
    assert guarded.count(index, {"term": {"kind": "z"}}) == 0


# ---- two processes, and the one that writes is stopped again and again


@contextmanager
def holders(place: Place, seconds: float) -> Iterator[list[int]]:
    """Yield the ids of two processes that write while they have the lease."""
    command = [sys.executable, str(Path(__file__).with_name("lease_holder.py")), place.url, place.prefix, str(seconds)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    try:
        yield [process.pid for process in processes]
        assert [process.poll() for process in processes] == [None, None], "a holder ended"
    finally:
        for process in processes:
            process.kill()
            process.wait()


def written(place: Place) -> list[dict[str, Any]]:
    """Return what was written, in the order in which the engine did it."""
    place.siem.call("POST", f"/{place.prefix}written/_refresh")
    body = {"query": {"match_all": {}}, "seq_no_primary_term": True}
    hits = sorted(place.siem.scan(f"{place.prefix}written", body), key=lambda hit: hit["_seq_no"])
    return [hit["_source"] for hit in hits]


def late(documents: list[dict[str, Any]]) -> Counter[int]:
    """Return how many documents of each term were written after the first one of a higher term."""
    highest = itertools.accumulate((document["term"] for document in documents), max)
    pairs = zip(documents, highest, strict=True)
    return Counter(document["term"] for document, reached in pairs if document["term"] < reached)


def test_a_writer_stopped_past_its_time_and_woken_writes_nothing_more(each_place: Place) -> None:
    """In the order in which the engine wrote them, terms never go back: at any time there was one writer.

    A process that is stopped between the check and the sending sends that one call when it wakes up, and nothing can
    take it back. So a term may have one such document that is bound to nothing; of those that are bound to what is
    there, as all is that decides what a service does next, none is late.
    """
    siem, index, chance = each_place.siem, state(each_place), random.Random()
    properties = {"n": {"type": "long"}, "term": {"type": "long"}, "who": {"type": "keyword"}}
    body = {"settings": {"number_of_shards": 1}, "mappings": {"properties": properties}}
    siem.call("PUT", f"/{each_place.prefix}written", body)

    def writer() -> tuple[int, int]:
        """Return the process that has the lease, and its term, as soon as it has written in it."""
        seen = eventually(lambda: read_lease(siem, index))
        wrote = siem.count(f"{each_place.prefix}written", {"term": {"term": seen.term}})
        return (seen.holder.pid, seen.term) if wrote else (0, seen.term)

    with holders(each_place, 1.0) as pids:
        for _ in range(STOPS):
            stopped, term = eventually(lambda: (found := writer())[0] and found)
            time.sleep(chance.uniform(0, 0.3))
            os.kill(stopped, signal.SIGSTOP)
            (other,) = {*pids} - {stopped}
            eventually(lambda other=other, term=term: (found := writer())[0] == other and found[1] > term)
            time.sleep(chance.uniform(0, 0.1))
            os.kill(stopped, signal.SIGCONT)
            time.sleep(0.3)  # the time in which it could do harm
            assert set(late(written(each_place)).values()) <= {1}
    documents = written(each_place)
    assert set(late(documents).values()) <= {1}
    bound = [document for document in documents if document["bound"]]
    assert not late(bound) and [document["n"] for document in bound] == list(range(1, len(bound) + 1))
    writers = {(document["term"], document["who"]) for document in documents}
    assert len(writers) == len({term for term, _ in writers}) > STOPS and len({who for _, who in writers}) == 2
