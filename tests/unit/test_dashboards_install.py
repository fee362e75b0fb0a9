"""Installing dashboards, against a stand-in of the saved-objects APIs of OpenSearch Dashboards and Kibana.

The stand-in answers as the documented APIs do: it asks for the header of its product, a login, and objects that it
knows; what is there already is a conflict unless it is to be overwritten; what is newer than it is refused with 422.
Objects are found by type and page, and removed by type and id.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from connector.dashboards import building
from connector.dashboards.building import Build, install
from connector.errors import NotAllowed, NotThere, Overloaded, Refused, Unreachable
from connector.settings.dashboards import at_address
from connector.settings.load import load_settings, read_settings
from connector.settings.model import DashboardsSettings
from connector.siem import saved_objects

LOGIN = "Basic " + b64encode(b"hunter:s3cret").decode()
SETTINGS = DashboardsSettings(username="hunter", password="s3cret")


@dataclass
class Product:
    """A stand-in: which product, how new, what it holds by space or tenant, and whether objects can be found."""

    name: str
    version: str
    status: int = 200
    knows: str = "7.10.0"
    finds: bool = True
    held: dict[str, dict[tuple[str, str], dict[str, Any]]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        """Return the status and the answer to a call."""
        split = urlsplit(path)
        self.asked.append((path, headers))
        if headers.get("authorization") != LOGIN:
            return 401, {"statusCode": 401, "error": "Unauthorized", "message": "no such user"}
        if self.status != 200:
            return self.status, {"statusCode": self.status, "error": "Wrong", "message": "not now"}
        if split.path.endswith("/api/status"):
            return 200, {"name": "desk", "version": {"number": self.version}}
        space = re.fullmatch(r"(?:/s/([^/]+))?/api/saved_objects/(_import|_find|([a-z-]+)/([^/]+))", split.path)
        if not space or (space[2] == "_find" and not self.finds):
            return 404, {"statusCode": 404, "error": "Not Found", "message": "Not Found"}
        place = space[1] or headers.get("securitytenant", "")
        if space[2] == "_find" and method == "GET":
            return self.page(place, parse_qs(split.query))
        if headers.get("osd-xsrf" if self.name == "osd" else "kbn-xsrf") is None:
            return 400, {"statusCode": 400, "error": "Bad Request", "message": "Request must contain a xsrf header."}
        if space[3] and method == "DELETE":
            gone = self.held[place].pop((space[3], unquote(space[4])), None)
            return (200, {}) if gone else (404, {"statusCode": 404, "error": "Not Found", "message": "Not Found"})
        return self.imported(place, "overwrite" in parse_qs(split.query), file_in(headers["content-type"], body))

    def page(self, place: str, query: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        """Return a page of the objects of a type, with the attributes that were asked for."""
        (fields,), (page,), (size,) = query["fields"], query["page"], query["per_page"]
        found = [one for (kind, _), one in self.held.get(place, {}).items() if kind in query["type"]]
        shown = [
            {**one, "attributes": {key: value for key, value in one["attributes"].items() if key == fields}}
            for one in found[(int(page) - 1) * int(size) : int(page) * int(size)]
        ]
        return 200, {"page": int(page), "per_page": int(size), "total": len(found), "saved_objects": shown}

    def imported(self, place: str, overwrite: bool, lines: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        """Return what an import comes to."""
        held, failed, taken = self.held.setdefault(place, {}), [], 0
        for one in lines:
            (version,) = one["migrationVersion"].values()
            if tuple(map(int, version.split("."))) > tuple(map(int, self.knows.split("."))):
                words = f'Document "{one["id"]}" belongs to a more recent version of Kibana [{version}].'
                return 422, {"statusCode": 422, "error": "Unprocessable Entity", "message": words}
            key = (one["type"], one["id"])
            about = {"type": one["type"], "id": one["id"], "title": one["attributes"]["title"]}
            missing = [
                r
                for r in one["references"]
                if (r["type"], r["id"]) not in held
                and not any((r["type"], r["id"]) == (o["type"], o["id"]) for o in lines)
            ]
            if missing:
                failed.append({**about, "error": {"type": "missing_references", "references": missing}})
            elif key in held and not overwrite:
                failed.append({**about, "error": {"type": "conflict"}})
            else:
                held[key] = one
                taken += 1
        return 200, {"success": not failed, "successCount": taken} | ({"errors": failed} if failed else {})


def file_in(kind: str, body: bytes) -> list[dict[str, Any]]:
    """Return the objects of a form's file."""
    boundary = kind.partition("boundary=")[2].encode()
    part = body.split(b"--" + boundary)[1]
    head, _, content = part.partition(b"\r\n\r\n")
    assert re.search(rb'name="file"; filename="[^"]+\.ndjson"', head)
    return [json.loads(line) for line in content.decode().strip().splitlines()]


@contextmanager
def standing_in(product: Product) -> Iterator[Product]:
    """Hold a server that answers as the product."""

    class Handler(BaseHTTPRequestHandler):
        """Hands calls on."""

        def do_GET(self) -> None:
            self.tell(b"")

        def do_DELETE(self) -> None:
            self.tell(b"")

        def do_POST(self) -> None:
            self.tell(self.rfile.read(int(self.headers["content-length"])))

        def tell(self, body: bytes) -> None:
            status, told = product.answer(
                self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body
            )
            text = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("osd-name" if product.name == "osd" else "kbn-name", "desk")
            if status // 100 == 3:
                self.send_header("location", "http://127.0.0.1:1/elsewhere")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    product.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield product
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@cache
def made() -> Build:
    """Return the build of the example."""
    return building.build(load_settings(None, {}))


def put(product: Product, overwrite: bool = True, *, prune: bool = False, **more: Any) -> building.Installed:
    """Return what installing into a product came to."""
    return install(made(), replace(SETTINGS, url=product.url, **more), overwrite, prune)


BOTH = pytest.mark.parametrize(
    ("name", "version", "called"),
    [
        *(("osd", each, "OpenSearch Dashboards") for each in ("1.0.0", "2.19.1", "3.8.0")),
        *(("kbn", each, "Kibana") for each in ("7.10.2", "8.19.0", "9.1.0")),
    ],
)


@BOTH
def test_all_objects_are_taken(name: str, version: str, called: str) -> None:
    with standing_in(Product(name, version)) as product:
        done = put(product)
    assert (done.desk, done.taken, done.kept, done.failed) == (f"{called} {version}", len(made().objects), 0, ())
    assert product.held[""].keys() == made().by_key.keys()


@BOTH
def test_a_second_time_replaces_or_keeps(name: str, version: str, called: str) -> None:
    with standing_in(Product(name, version)) as product:
        put(product)
        product.held[""]["dashboard", "hunts-tags"]["attributes"]["title"] = "changed"
        kept = put(product, overwrite=False)
        after_keeping = product.held[""]["dashboard", "hunts-tags"]["attributes"]["title"]
        replaced = put(product)
    assert (kept.taken, kept.kept, kept.failed, after_keeping) == (0, len(made().objects), (), "changed")
    assert (replaced.taken, replaced.kept) == (len(made().objects), 0)
    assert product.held[""]["dashboard", "hunts-tags"]["attributes"]["title"] == "Hunts: Tags"


def saved(kind: str, id: str, title: str, *refers: tuple[str, str]) -> dict[str, Any]:
    """Return an object that somebody has saved."""
    references = [{"type": kind, "id": id, "name": f"panel_{number}"} for number, (kind, id) in enumerate(refers)]
    return {"type": kind, "id": id, "attributes": {"title": title}, "references": references}


OLD = saved("visualization", "hunts-hosts-dhcp", "Hunts: Hosts: Names in DHCP")
OLD_BOARD = saved("dashboard", "hunts-gone", "Hunts: Gone", ("visualization", "hunts-hosts-dhcp"))
THEIRS = (
    saved("visualization", "hunts-of-mine", "Hunts of mine"),
    saved("visualization", "7c0e", "Hunts: Hosts: a copy"),
    saved("index-pattern", "hunts-old", "hunts-old"),
    saved("index-pattern", "hunts-test-findings", "hunts-test-findings"),
    saved("visualization", "hunts-test-hosts-dhcp", "Hunts: Hosts: Names in DHCP"),
)


def hold(product: Product, *objects: dict[str, Any]) -> None:
    """Put objects into a product."""
    product.held.setdefault("", {}).update({(one["type"], one["id"]): one for one in objects})


@BOTH
def test_what_an_earlier_version_left_is_told_and_removed_when_asked(name: str, version: str, called: str) -> None:
    with standing_in(Product(name, version)) as product:
        hold(product, OLD, OLD_BOARD, *THEIRS)
        told = put(product)
        there = dict(product.held[""])
        done = put(product, prune=True)
        again = put(product, prune=True)
    assert [(one.id, one.removed, one.used_by) for one in told.left] == [
        ("hunts-gone", False, ()),
        ("hunts-hosts-dhcp", False, ()),
    ]
    assert there.keys() == made().by_key.keys() | {(one["type"], one["id"]) for one in (OLD, OLD_BOARD, *THEIRS)}
    assert [(one.id, one.removed) for one in done.left] == [("hunts-gone", True), ("hunts-hosts-dhcp", True)]
    assert product.held[""].keys() == made().by_key.keys() | {(one["type"], one["id"]) for one in THEIRS}
    assert again.left == ()


def test_what_somebody_still_shows_is_not_removed() -> None:
    copy = saved("dashboard", "7c0f", "My hosts", ("visualization", "hunts-hosts-dhcp"))
    with standing_in(Product("kbn", "8.19.0")) as product:
        hold(product, OLD, copy)
        done = put(product, prune=True)
    assert [(one.id, one.removed, one.used_by) for one in done.left] == [("hunts-hosts-dhcp", False, ("My hosts",))]
    assert ("visualization", "hunts-hosts-dhcp") in product.held[""]


def test_more_than_a_page_is_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    with standing_in(Product("osd", "3.8.0")) as product:
        hold(product, *(saved("visualization", f"x{number}", "x") for number in range(150)), OLD)
        monkeypatch.setattr(saved_objects, "PAGE", 100)
        done = put(product)
        monkeypatch.setattr(saved_objects, "PAGES", 1)
        too_many = put(product, prune=True)
    assert [one.id for one in done.left] == ["hunts-hosts-dhcp"]
    assert too_many.left == ()
    assert "more than 100 objects" in too_many.not_looked


def test_where_nothing_can_be_found_all_is_installed() -> None:
    with standing_in(Product("kbn", "9.1.0", finds=False)) as product:
        done = put(product, prune=True)
    assert (done.taken, done.left) == (len(made().objects), ())
    assert "404" in done.not_looked


def test_a_space_and_a_tenant_are_kept_to() -> None:
    with standing_in(Product("kbn", "8.19.0")) as kibana, standing_in(Product("osd", "3.8.0")) as osd:
        put(kibana, space="security")
        put(osd, tenant="global")
        with pytest.raises(Refused, match=r"dashboards\.space instead"):
            put(kibana, tenant="global")
        with pytest.raises(Refused, match=r"dashboards\.tenant instead"):
            put(osd, space="security")
    assert (list(kibana.held), list(osd.held)) == (["security"], ["global"])


def test_a_product_that_is_older_than_the_objects_refuses_them() -> None:
    with standing_in(Product("osd", "1.0.0", knows="7.9.0")) as product, pytest.raises(Refused, match="up to date"):
        put(product)


@pytest.mark.parametrize(("name", "version"), [("kbn", "7.9.3"), ("kbn", "6.8.0"), ("osd", "0.9.0")])
def test_an_old_product_is_not_tried(name: str, version: str) -> None:
    with standing_in(Product(name, version)) as product, pytest.raises(Refused, match="too old"):
        put(product)
    assert not product.held


@pytest.mark.parametrize(("status", "kind"), [(302, Refused), (403, NotAllowed), (404, NotThere), (503, Overloaded)])
def test_an_answer_that_is_none_is_an_error(status: int, kind: type[Exception]) -> None:
    with standing_in(Product("osd", "3.8.0", status=status)) as product, pytest.raises(kind):
        put(product)
    assert len(product.asked) == 1


def test_a_wrong_password_is_in_no_message() -> None:
    with standing_in(Product("osd", "3.8.0")) as product, pytest.raises(NotAllowed) as caught:
        put(product, password="hunter2-wrong")
    assert "hunter2" not in str(caught.value)


def test_nobody_there() -> None:
    with pytest.raises(Unreachable):
        install(made(), replace(SETTINGS, url="http://127.0.0.1:1"), True)


def test_an_object_that_lacks_another_is_told() -> None:
    one = next(each for each in made().objects if each["type"] == "search")
    part = replace(made(), objects=(one,))
    with standing_in(Product("kbn", "8.19.0")) as product:
        done = install(part, replace(SETTINGS, url=product.url), True)
    assert [(each.kind, each.id) for each in done.failed] == [("missing_references", one["id"])]
    assert "index-pattern" in done.failed[0].words


def test_the_login_of_the_engine_is_used_unless_there_is_another(tmp_path: Any) -> None:
    file = tmp_path / "hunts.yml"
    file.write_text(
        "siem: {url: 'https://siem.example:9200', username: hunts}\ndashboards: {url: 'https://d.example'}\n"
    )
    found = load_settings(file, {"HUNTS_PASSWORD": "one"}).dashboards
    assert (found.username, found.password) == ("hunts", "one")
    file.write_text(file.read_text().replace("example'}", "example', username: other}"))
    found = load_settings(file, {"HUNTS_PASSWORD": "one", "HUNTS_DASHBOARDS_PASSWORD": "two"}).dashboards
    assert (found.username, found.password) == ("other", "two")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{url: 'http://d.example', username: u, password_file: p}", "plain http"),
        ("{url: 'https://d.example', username: u}", "has no password"),
        ("{url: 'https://d.example', space: a, tenant: b}", "Kibana has spaces"),
        ("{url: 'https://u:p@d.example'}", "has a user or password in it"),
    ],
)
def test_settings_that_are_wrong(tmp_path: Any, line: str, words: str) -> None:
    (tmp_path / "p").write_text("secret-word")
    (tmp_path / "hunts.yml").write_text(f"dashboards: {line}\n")
    problems = [str(each) for each in read_settings(tmp_path / "hunts.yml", {}).problems]
    assert len(problems) == 1
    assert words in problems[0]
    assert "secret-word" not in problems[0]


@pytest.mark.parametrize(
    "url", ["", "d.example:5601", "ftp://d.example", "https://u:p@d.example", "https://d.example/#/x"]
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(Refused):
        at_address(DashboardsSettings(), url)


def test_a_password_is_not_sent_in_clear_text() -> None:
    with pytest.raises(Refused, match="use https"):
        at_address(SETTINGS, "http://d.example:5601")
    assert at_address(SETTINGS, "http://127.0.0.1:5601").url == "http://127.0.0.1:5601"
