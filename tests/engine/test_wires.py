"""The two wires and the client on real engines: what goes in comes out, and every error has its kind and its words."""

import json
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests
from conftest import Place
from standin_elasticsearch8 import stand_in

from connector.errors import Conflict, NotAllowed, NotThere, Overloaded, Rejected, SiemError, Unreachable
from connector.settings.model import SiemSettings
from connector.siem.client import Siem
from connector.siem.wire import OfficialWire, PlainWire, siem_error

PRODUCTS = {
    "opensearch": "OpenSearch 3.8.0",
    "elasticsearch7": "Elasticsearch 7.10.2",
    "elasticsearch8": "Elasticsearch 8",
}
ALL = {"query": {"match_all": {}}}


@pytest.fixture
def numbered(each_place: Place) -> Iterator[tuple[Place, str]]:
    """Return a place, and an index in it with 25 numbered documents."""
    index = f"{each_place.prefix}n"
    lines = [line for n in range(25) for line in ({"index": {"_index": index, "_id": str(n)}}, {"n": n})]
    assert each_place.siem.bulk(lines, refresh=True) == []
    yield each_place, index


def test_the_product_is_known_and_the_right_client_speaks_to_it(request: pytest.FixtureRequest) -> None:
    """Elasticsearch 8 is spoken to by the official client, everything else plainly."""
    for fixture, name in PRODUCTS.items():
        with Siem.connect(SiemSettings(urls=(request.getfixturevalue(fixture),))) as siem:
            assert str(siem.product).startswith(name)
            assert isinstance(siem._wire, OfficialWire if fixture == "elasticsearch8" else PlainWire)


@pytest.mark.parametrize("page", [7, 25, 1000])
def test_paging_gives_every_document_once_in_order(numbered: tuple[Place, str], page: int) -> None:
    """With and without a sort, whatever the page; over no index there is nothing; nothing stays open."""
    place, index = numbered
    assert sorted(hit["_source"]["n"] for hit in place.siem.scan(index, ALL, page)) == list(range(25))
    backwards = place.siem.scan(index, {**ALL, "sort": [{"n": "desc"}]}, page)
    assert [hit["_source"]["n"] for hit in backwards] == list(range(24, -1, -1))
    assert list(place.siem.scan(f"{index}-none", ALL)) == list(place.siem.scan(f"{index}-none-*", ALL)) == []
    stats = place.siem.call("GET", f"/{index}/_stats/search")["indices"][index]["total"]["search"]
    assert stats["scroll_current"] == 0 and stats.get("point_in_time_current", 0) == 0


def test_paging_sees_one_moment(numbered: tuple[Place, str]) -> None:
    """A document written after the first page is not seen, one deleted still is; breaking off is allowed."""
    place, index = numbered
    pages = place.siem.scan(index, ALL, 5)
    next(pages)
    place.siem.call("PUT", f"/{index}/_doc/late", {"n": 99}, refresh=True)
    place.siem.call("DELETE", f"/{index}/_doc/20", refresh=True)
    assert 1 + sum(1 for _ in pages) == 25
    broken = place.siem.scan(index, ALL, 5)
    next(broken)
    broken.close()


def test_counting_and_many_searches_in_one_call(numbered: tuple[Place, str]) -> None:
    """Missing indices are empty; a search that cannot be parsed fails alone."""
    place, index = numbered
    assert place.siem.count(index, {"range": {"n": {"gte": 20}}}) == 5
    assert place.siem.count(f"{index}-none", ALL["query"]) == 0
    good = (index, {"size": 0, "track_total_hits": True})
    assert [
        a["hits"]["total"]["value"] for a in place.siem.msearch([good, (f"{index},{index}-none", {"size": 1})])
    ] == [25, 25]
    first, bad, last = place.siem.msearch([good, (index, {"query": {"no_such": {}}}), good])
    assert "no_such" in json.dumps(bad["error"])
    assert first["hits"]["total"] == last["hits"]["total"]
    assert place.siem.msearch([]) == []


def test_bulk_names_what_was_refused(each_place: Place) -> None:
    """Position, index, id, status and reason of each refused item; the others are stored."""
    index = f"{each_place.prefix}b"
    each_place.siem.call("PUT", f"/{index}", {"mappings": {"properties": {"n": {"type": "long"}}}})
    lines = b"".join(
        json.dumps(line).encode() + b"\n"
        for n, value in enumerate([1, "x", 3])
        for line in ({"create": {"_index": index, "_id": str(n)}}, {"n": value, "text": "ü"})
    )
    (refused,) = each_place.siem.bulk(lines, refresh=True)
    assert (refused.position, refused.index, refused.id, refused.status) == (1, index, "1", 400)
    assert "n" in refused.reason
    assert [r.status for r in each_place.siem.bulk(lines)] == [409, 400, 409]
    assert each_place.siem.count(index, {"match": {"text": "ü"}}) == 2


def test_compare_and_set(each_place: Place) -> None:
    """A document is made once, replaced only as it was read, and changed again after a conflict."""
    siem, index = each_place.siem, f"{each_place.prefix}c"
    siem.put(index, "a b/ü", {"n": 1})
    with pytest.raises(Conflict):
        siem.put(index, "a b/ü", {"n": 2})
    read = siem.get(index, "a b/ü")
    siem.put(index, "a b/ü", {"n": 2}, read)
    with pytest.raises(Conflict):
        siem.put(index, "a b/ü", {"n": 3}, read)
    assert siem.get(index, "none") is None and siem.get(f"{index}-none", "a") is None

    def add() -> None:
        """Add one, twenty times."""
        for _ in range(20):
            siem.change(index, "counter", lambda old: {"n": (old or {"n": 0})["n"] + 1})

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert siem.get(index, "counter").source == {"n": 80}


def test_errors_have_their_kind_and_name_the_call(each_place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    """The message has method, path and the engine's reason; the clients themselves print nothing."""
    siem, index = each_place.siem, f"{each_place.prefix}e"
    with pytest.raises(NotThere, match=f"GET /{index}/_doc/1 was answered with 404: no such index"):
        siem.call("GET", f"/{index}/_doc/1")
    with pytest.raises(Rejected, match="unknown query"):
        siem.search(index, {"query": {"no_such": {}}})
    assert siem.exists(f"/{index}") is False
    assert capfd.readouterr() == ("", "")


def test_no_answer_is_unreachable() -> None:
    """Nothing listens, and something that is no search engine does."""
    with pytest.raises(Unreachable, match=r"GET /: no answer .*is it running"):
        Siem.connect(SiemSettings(urls=("http://127.0.0.1:1",)))

    class Other(BaseHTTPRequestHandler):
        """Some web server."""

        def do_GET(self) -> None:
            """Answer something."""
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(b'{"hello": 1}')

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(Rejected, match="does not answer like OpenSearch"):
            Siem.connect(SiemSettings(urls=(f"http://127.0.0.1:{server.server_address[1]}",)))
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Rejected),
        (401, NotAllowed),
        (403, NotAllowed),
        (404, NotThere),
        (409, Conflict),
        (413, Rejected),
        (429, Overloaded),
        (500, Rejected),
        (502, Overloaded),
        (503, Overloaded),
        (504, Overloaded),
    ],
)
def test_the_kind_of_an_error_follows_from_the_status(status: int, kind: type[SiemError]) -> None:
    """The same on both wires, whatever the body is."""
    for body in ({"error": {"reason": "why", "root_cause": [{"reason": "because"}]}}, {"error": "why"}, "why", None):
        error = siem_error(status, "GET /x", body)
        assert type(error) is kind and f"GET /x was answered with {status}" in str(error)


def test_no_secret_is_in_an_error_or_a_picture() -> None:
    """Neither wire shows a password or key."""
    settings = SiemSettings(urls=("http://127.0.0.1:1",), username="u", password="geheim")
    keyed = SiemSettings(urls=("http://127.0.0.1:1",), api_key="geheim")
    for wire in (PlainWire(settings), OfficialWire(settings), PlainWire(keyed), OfficialWire(keyed)):
        with pytest.raises(Unreachable) as error:
            wire.call("GET", "/", {}, None)
        assert "geheim" not in f"{error.value!r} {error.value} {settings} {keyed}"


def test_the_stand_in_refuses_what_elasticsearch_8_refuses(opensearch: str) -> None:
    """The stand-in itself: plain media types, another major's, and JSON where lines are wanted."""
    media = "application/vnd.elasticsearch+{}; compatible-with={}"
    right, lines = media.format("json", 8), media.format("x-ndjson", 8)
    with stand_in(opensearch) as server:
        for accept, content, status in (
            (right, right, 200),
            ("application/json", right, 406),
            (right, "application/json", 406),
            (media.format("json", 9), right, 400),
            (right, lines, 406),
        ):
            answer = requests.post(
                f"{server.url}/_search", data="{}", headers={"accept": accept, "content-type": content}, timeout=10
            )
            assert answer.status_code == status
            assert answer.headers["x-elastic-product"] == "Elasticsearch"
        wrong = requests.post(
            f"{server.url}/_bulk", data="{}\n", headers={"accept": right, "content-type": right}, timeout=10
        )
        assert wrong.status_code == 406
        assert requests.get(server.url, timeout=10).json()["version"]["number"] == "8.19.3"


def test_warnings_of_the_engine_reach_nobody(each_place: Place) -> None:
    """A call that the engine warns of is a call like any other."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with Siem.connect(SiemSettings(urls=(each_place.url,))) as siem:
            siem.call("GET", "/.tasks/_count", ignore_unavailable=True)
    assert caught == []
