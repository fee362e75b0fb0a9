"""Health and metrics over HTTP: what probes and Prometheus get, and what clients cannot do."""

import http.client
import io
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics

from connector.errors import Refused
from connector.service import health as module
from connector.service.health import MOST_CONNECTIONS, Health, HealthServer
from connector.service.logs import log_to
from connector.service.metrics import Metrics

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class World:
    """A clock and a stopwatch that a test sets."""

    def __init__(self) -> None:
        self.now, self.ticks = NOW, 1000.0

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.ticks += seconds


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def health(world: World) -> Health:
    return Health(timedelta(minutes=5), timedelta(minutes=10), lambda: world.now, lambda: world.ticks)


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def server(health: Health, metrics: Metrics, log: io.StringIO) -> Iterator[HealthServer]:
    with HealthServer("127.0.0.1:0", health, metrics.registry, log_to(log)) as running:
        yield running


def ask(server: HealthServer, path: str, method: str = "GET", body: bytes | None = None, **headers: str):
    """Return the answer, whole: status, headers, content."""
    connection = http.client.HTTPConnection(*server.address, timeout=10)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def connect(server: HealthServer) -> socket.socket:
    return socket.create_connection(server.address, timeout=10)


def rest(connection: socket.socket) -> bytes:
    """Return all that still comes until the server closes."""
    content = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            content += part
    return content


def test_the_loop_is_alive_while_it_gives_signs_of_life(health, world):
    assert health.healthz() == (200, {"status": "alive", "last_beat_seconds": 0})
    world.pass_by(300)
    assert health.healthz()[0] == 200
    world.pass_by(1)
    status, answer = health.healthz()
    assert status == 503 and answer["reason"] == "the loop gave no sign of life for 301 s"
    health.beat()
    assert health.healthz()[0] == 200


def test_a_service_that_starts_is_alive_and_not_ready(health):
    assert health.healthz()[0] == 200
    assert health.readyz() == (
        503,
        {
            "status": "not ready",
            "reason": "it is starting",
            "role": "standby",
            "watermark_age_seconds": None,
            "problems": 0,
        },
    )


def test_a_service_that_stands_by_is_ready_however_old_the_watermark_is(health):
    health.trouble, health.problems, health.watermark = "", 2, NOW - timedelta(days=1)
    facts = {"role": "standby", "watermark_age_seconds": 86400, "problems": 2}
    assert health.readyz() == (200, {"status": "ready", **facts})
    assert health.healthz()[0] == 200


def test_an_active_service_is_ready_while_its_passes_keep_up(health, world):
    health.trouble, health.active, health.watermark = "", True, NOW - timedelta(seconds=60)
    assert health.readyz() == (200, {"status": "ready", "role": "active", "watermark_age_seconds": 60, "problems": 0})
    world.now += timedelta(minutes=10)
    status, answer = health.readyz()
    assert (status, answer["reason"]) == (503, "passes are 660 s behind")
    health.watermark = None
    assert health.readyz()[0] == 200, "before the first event there is nothing to be behind of"


def test_a_service_in_trouble_or_stuck_is_not_ready(health, world):
    health.trouble = "GET / of https://hunts:secret@siem.example: no connection"
    status, answer = health.readyz()
    assert (status, answer["reason"]) == (503, "GET / of https://redacted@siem.example: no connection")
    health.trouble = ""
    assert health.readyz()[0] == 200
    world.ticks += 301
    assert health.readyz()[0] == 503 and "no sign of life" in health.readyz()[1]["reason"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/healthz?probe=1"])
def test_probes_get_json(server, health, world, path):
    health.trouble = ""
    status, headers, content = ask(server, path, Host="anything")
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, "application/json", "no-store")
    assert json.loads(content)["status"] in ("alive", "ready")
    world.ticks += 1000
    status, _, content = ask(server, path)
    assert status == 503 and "no sign of life" in json.loads(content)["reason"]


def test_prometheus_gets_its_format(server, metrics):
    metrics.late_events(3)
    status, headers, content = ask(server, "/metrics")
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert "\nguided_hunts_late_events_total 3.0\n" in content.decode()


@pytest.mark.parametrize(
    "version", ["; version=1.0.0; q=0.6, text/plain;q=0.3", "", "; version=2.x", "; version=x\r\n y"]
)
def test_openmetrics_for_who_asks_for_it(server, metrics, version):
    metrics.late_events(3)
    status, headers, content = ask(server, "/metrics", Accept=f"application/openmetrics-text{version}")
    assert status == 200 and headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0;")
    assert content.decode().endswith("# EOF\n")
    names = {family.name for family in read_openmetrics(content.decode())}
    assert {"guided_hunts_late_events", "guided_hunts_build"} <= names


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/none"])
def test_head_is_get_without_the_content(server, path):
    status, headers, _ = ask(server, path)
    with connect(server) as connection:
        connection.sendall(f"HEAD {path} HTTP/1.1\r\n\r\n".encode())
        head = rest(connection).decode()
    assert head.startswith(f"HTTP/1.0 {status} ") and f"\r\nContent-Type: {headers['Content-Type']}\r\n" in head
    assert "\r\nContent-Length: " in head and head.index("\r\n\r\n") == len(head) - 4


@pytest.mark.parametrize("path", ["/", "/metrics/", "/healthz/..", "/etc/passwd", "http://x/metrics"])
def test_there_is_nothing_else(server, path):
    status, _, content = ask(server, path)
    assert status == 404 and b"passwd" not in content


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "FOO"])
def test_nothing_can_be_changed(server, method):
    status, headers, content = ask(server, "/healthz", method, b"x" * 1000)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert json.loads(content) == {"reason": "Method Not Allowed"}


@pytest.mark.parametrize("path", ["/healthz", "/none"])
def test_answers_do_not_say_what_runs_here(server, path):
    _, headers, _ = ask(server, path)
    assert headers["Server"] == "guided-hunts"


@pytest.mark.parametrize("request_line", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9", b"GET\r\n\r\n", b"G" * 70_000])
def test_what_is_no_request_is_refused_without_a_word_in_the_log(server, log, capfd, request_line):
    with connect(server) as connection:
        with suppress(ConnectionError):
            connection.sendall(request_line + b"\r\n\r\n")
        assert b"Python" not in rest(connection)
    assert ask(server, "/healthz")[0] == 200
    assert capfd.readouterr() == ("", "") and log.getvalue() == ""


def test_a_client_that_goes_away_leaves_no_trace(server, log, capfd):
    for _ in range(20):
        with connect(server) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # close by reset
            connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    assert ask(server, "/healthz")[0] == 200
    assert capfd.readouterr() == ("", "") and log.getvalue() == ""


def test_a_fault_of_ours_is_logged(server, metrics, log, capfd):
    class Broken:
        def collect(self):
            raise ZeroDivisionError("on purpose")

    metrics.registry.register(type("Quiet", (Broken,), {"describe": lambda self: []})())
    with pytest.raises(http.client.RemoteDisconnected):
        ask(server, "/metrics")
    line = json.loads(log.getvalue())
    assert (line["log.level"], line["error"]["type"]) == ("error", "ZeroDivisionError")
    assert ask(server, "/healthz")[0] == 200
    assert capfd.readouterr() == ("", "")


def test_a_slow_client_is_cut_off(server, monkeypatch):
    """It sends a byte now and then, so that no time-out of a single read would ever end it."""
    monkeypatch.setattr(module, "LONGEST_CONNECTION", 0.4)
    with connect(server) as connection:
        over = threading.Event()

        def drip() -> None:
            with suppress(OSError):
                connection.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
                while not over.wait(0.05):
                    connection.sendall(b"x")

        dripping = threading.Thread(target=drip)
        dripping.start()
        assert rest(connection) == b""
        over.set()
        dripping.join()
    assert ask(server, "/healthz")[0] == 200


def test_connections_beyond_the_most_are_closed_at_once(server, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_CONNECTION", 60)
    with ExitStack() as stack:
        held = [stack.enter_context(connect(server)) for _ in range(3 * MOST_CONNECTIONS)]
        assert [rest(connection) for connection in held[MOST_CONNECTIONS:]] == [b""] * 2 * MOST_CONNECTIONS
        for connection in held[:MOST_CONNECTIONS]:
            connection.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
            assert rest(connection).startswith(b"HTTP/1.0 200 OK\r\n")
    assert ask(server, "/healthz")[0] == 200


def test_many_ask_at_once(server):
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(ask(server, "/metrics")[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8


def test_a_port_that_is_taken_is_refused_by_the_name_of_the_setting(server, health, metrics, log):
    listen = f"127.0.0.1:{server.address[1]}"
    with pytest.raises(Refused, match=rf"^service\.listen: {listen} is taken: "):
        HealthServer(listen, health, metrics.registry, log_to(log))


@pytest.mark.parametrize("listen", ["192.0.2.1:0", "no-such-host.invalid:9518", "[2001:db8::1]:9518"])
def test_an_address_of_another_machine_is_refused(health, metrics, log, listen):
    with pytest.raises(Refused) as refused:
        HealthServer(listen, health, metrics.registry, log_to(log))
    assert str(refused.value).startswith(f"service.listen: {listen} cannot be listened at (")


def has_ipv6() -> bool:
    """Tell whether this machine has the IPv6 loopback address."""
    with suppress(OSError), socket.socket(socket.AF_INET6) as one:
        one.bind(("::1", 0))
        return True
    return False


ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.mark.parametrize("listen", [pytest.param("[::1]:0", marks=ipv6), "localhost:0", "127.0.0.1:0"])
def test_addresses_of_all_kinds(health, metrics, log, listen):
    with HealthServer(listen, health, metrics.registry, log_to(log)) as running:
        assert running.address[0] in ("::1", "127.0.0.1") and running.address[1] > 0
        assert ask(running, "/healthz")[0] == 200


def test_when_it_stops_it_is_gone_at_once_and_can_start_again(health, metrics, log):
    with HealthServer("127.0.0.1:0", health, metrics.registry, log_to(log)) as running:
        held = connect(running)
        port = running.address[1]
        assert ask(running, "/healthz")[0] == 200, "so the one before is taken, too"
    with held:
        assert rest(held) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)
    with HealthServer(f"127.0.0.1:{port}", health, metrics.registry, log_to(log)) as again:
        assert ask(again, "/healthz")[0] == 200
