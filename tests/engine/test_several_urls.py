"""Several urls of one engine: a call goes to the next one if it cannot have arrived, and is never made twice."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from connector.errors import Rejected, Unreachable
from connector.settings.model import SiemSettings
from connector.siem import wire
from connector.siem.client import Siem
from connector.siem.wire import OfficialWire, PlainWire, Wire
from tests.conftest import Place

CLOSED = ("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3")


def wire_like(siem: Siem, *urls: str) -> Wire:
    """Return a wire of the kind that the client has, to these urls."""
    kind: Callable[[SiemSettings], Wire] = OfficialWire if isinstance(siem._wire, OfficialWire) else PlainWire
    return kind(SiemSettings(urls))


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Yield the url of something that listens and serves each connection so, and is no engine."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            """Serve connections until the listener is closed."""
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@contextmanager
def silent() -> Iterator[str]:
    """Yield the url of something that does not even take a connection, as a machine that is off: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            with suppress(BlockingIOError):
                each.connect(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for each in waiting:
            each.close()


@pytest.mark.parametrize("refusing", [1, 2])
def test_a_url_that_refuses_is_passed_over(each_place: Place, refusing: int) -> None:
    """Whichever url comes first, reading and writing go on, and each call is made once."""
    index = f"{each_place.prefix}once"
    for n in range(6):
        through = wire_like(each_place.siem, *CLOSED[:refusing], each_place.url)
        assert through.call("GET", "/_cluster/health", {}, None)["status"]
        through.call("POST", f"/{index}/_doc", {"refresh": "true"}, {"n": n})
        through.close()
    assert each_place.siem.count(index, {"match_all": {}}) == 6


def test_connecting_passes_over_it_too(opensearch: str) -> None:
    for _ in range(6):
        with Siem.connect(SiemSettings((*CLOSED, opensearch))) as siem:
            assert siem.product.name == "OpenSearch"


def test_a_url_that_says_nothing_is_passed_over_in_a_while(each_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "CONNECT_SECONDS", 0.2)
    with silent() as url:
        for _ in range(6):
            through = wire_like(each_place.siem, url, each_place.url)
            assert through.call("GET", "/_cluster/health", {}, None)["status"]
            through.close()


def test_where_all_refuse_it_is_unreachable(each_place: Place) -> None:
    through = wire_like(each_place.siem, *CLOSED)
    with pytest.raises(Unreachable, match="GET /: no answer"):
        through.call("GET", "/", {}, None)


def test_a_call_that_may_have_arrived_is_not_made_again(each_place: Place) -> None:
    """The connection breaks when the call has come in: nobody knows what was done, so no other url is asked."""
    arrived: list[bytes] = []
    with listening(lambda connection: arrived.append(connection.recv(1 << 16))) as breaking:
        index, broke = f"{each_place.prefix}made", 0
        for n in range(40):
            through = wire_like(each_place.siem, breaking, each_place.url)
            try:
                through.call("POST", f"/{index}/_doc", {"refresh": "true"}, {"n": n})
            except Unreachable:
                broke += 1
                through.call("GET", "/_cluster/health", {}, None)  # that url is left out now
            through.close()
    assert 0 < broke == len(arrived) < 40
    assert each_place.siem.count(index, {"match_all": {}}) == 40 - broke


def test_an_engine_that_cannot_reach_its_own_node_is_unreachable() -> None:
    """Elasticsearch and OpenSearch answer so in the moment between a node's death and everybody's knowing of it."""
    reason = "[node-2][127.0.0.1:38961] Node not connected"
    body = {"error": {"type": "node_not_connected_exception", "reason": reason, "root_cause": []}, "status": 500}
    assert isinstance(wire.siem_error(500, "GET /state/_doc/pass", body), Unreachable)
    assert isinstance(wire.siem_error(500, "GET /x", {"error": {"type": "script_exception"}}), Rejected)


def test_a_url_that_is_slow_to_answer_is_left_out_next(each_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "TIMEOUT_SECONDS", 0.3)
    over = threading.Event()
    with listening(lambda _: over.wait(60) and None) as hanging:
        for _ in range(40):
            through = wire_like(each_place.siem, hanging, each_place.url)
            try:
                through.call("GET", "/", {}, None)
            except Unreachable:
                monkeypatch.setattr(wire, "TIMEOUT_SECONDS", 60.0)
                assert [through.call("GET", "/_cluster/health", {}, None)["status"] for _ in range(4)]
                break
        else:
            pytest.fail("the url that hangs was never asked")
        through.close()
        over.set()
