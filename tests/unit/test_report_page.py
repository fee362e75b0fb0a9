"""The page of a report: whatever anybody wrote into an event, it is text there, and nothing is asked of anybody."""

import json
import re
import shutil
import subprocess
import unicodedata
from dataclasses import replace
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from xml.etree import ElementTree

import pytest
from made_reports import ID, beacon, evidence, filled, report, step

from connector.cli.output import encoded
from connector.respond.evidence.model import Link
from connector.respond.report.page import page

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</style><script>alert(1)</script>",
    "</title></svg></td></table><script>alert(1)</script><!--",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "]]><script>alert(1)</script>&lt;script&gt;",
    "invoice\u202egnp.exe\u2066\u200b\ufeff",
    "a\x00b\x1b[31m\r\nc\x7f\x9b",
    "\ud800\udfff lone \ue000\U000e0041",
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Parsed(HTMLParser):
    """A page as a browser takes it apart: its elements, its attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text.append(data)

    def values(self, name: str) -> list[str]:
        return [value for _, own, value in self.attributes if own == name]


def test_the_page_has_every_part_and_each_link_in_it_leads_somewhere() -> None:
    found = Parsed(page(report()))
    text = " ".join(" ".join(found.text).split())
    for part in ("Summary", "Timeline", "The thread", "What to do next", "Host and users", "Evidence", "Events"):
        assert part in text
    for said in ("fin-ws07", "j.doe", "finance", "2026-11-02 09:12:07 UTC", "Same name as step 1 : sync.example"):
        assert said in text
    for said in ("tcp/445", "offers SMB or NFS", "dhcp, kerberos", "New on this host", "curl/8.5.0", "and 3 more"):
        assert said in text
    for said in ("Reputation", "203.0.113.66", "malicious", "9 of 90 engines", "VirusTotal", "and 2 more"):
        assert said in text
    assert f"ab/{'ab' * 32}" in text
    assert "hunts guide 1" in text
    ids = found.values("id")
    assert len(ids) == len(set(ids))
    assert {href[1:] for href in found.values("href") if href.startswith("#")} <= set(ids)
    assert {*found.values("scope")} == {"col"}
    assert found.tags.count("table") == found.tags.count("caption")


def test_a_host_without_profile_and_a_report_without_reputation_say_so() -> None:
    made = report()
    bare = replace(made.evidence, host=replace(made.evidence.host, profile=None))
    text = " ".join(Parsed(page(report(evidence=bare, reputation=(), reputation_left_out=0))).text)
    assert "The host has no profile" in text
    assert "Nothing that was declared has been looked up" in text


def test_the_page_asks_nobody_for_anything() -> None:
    html = page(report())
    found = Parsed(html)
    (policy,) = [v for t, n, v in found.attributes if n == "content" and "default-src" in v]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert not {"script", "img", "iframe", "object", "embed", "form", "base", "audio", "video"} & {*found.tags}
    assert not found.values("src")
    assert found.values("rel").count("icon") == 1
    assert not re.search(r"url\(|@import|@font-face", html)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_in_every_place_of_a_report_stays_text(text: str) -> None:
    html = page(filled(report(), text))
    plain, found = Parsed(page(filled(report(), "harmless"))), Parsed(html)
    assert [tag for tag in found.tags if tag != "a"] == [tag for tag in plain.tags if tag != "a"]
    assert [(t, n) for t, n, _ in found.attributes if n.startswith("on")] == []
    assert [href for href in found.values("href") if not href.startswith(("#", "data:,", "https://"))] == []
    seen = [char for char in html if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co") and char != "\n"]
    assert seen == []
    assert not re.search(r"\b49\b", html)
    html.encode()


def test_an_address_is_a_link_only_if_it_is_one_of_the_web() -> None:
    wrong = (
        "javascript:alert(1)",
        " javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "http://",
        "ftp://a/b",
    )
    links = tuple(Link("tool", "flow", url) for url in (*wrong, "https://tool.example/a?b=c&d='\"<"))
    found = Parsed(page(report(evidence=evidence(links=links))))
    outside = [href for href in found.values("href") if not href.startswith(("#", "data:,"))]
    assert outside == ["https://tool.example/a?b=c&d='\"<"]
    assert "javascript:alert(1)" in found.text


def test_giant_values_and_many_of_them_do_not_make_a_giant_page() -> None:
    usual = len(page(report()))
    assert len(page(filled(report(), "A" * 1_000_000))) < 30 * usual
    event = evidence().events[0]
    many = evidence(events=tuple(replace(event, id=str(number)) for number in range(5000)))
    html = page(report(evidence=many, steps=tuple(step(number) for number in range(1, 31))))
    assert len(html) < 30 * usual
    assert "and 4,955 more that are not shown here" in " ".join(Parsed(html).text)  # with the 5 that were left out


def test_marks_piled_on_a_letter_are_cut() -> None:
    html = page(filled(report(), "Z" + "\u0335" * 200))
    assert "\u0335" * 3 in html
    assert "\u0335" * 4 not in html


def test_letters_of_other_scripts_stay_as_they_are() -> None:
    assert "مستند عربي — документ — 文件" in page(filled(report(), "مستند عربي — документ — 文件"))


def test_a_report_with_nothing_in_it_says_so() -> None:
    bare = report(steps=())
    bare = replace(bare, evidence=replace(evidence(), **dict.fromkeys(("events", "flows", "dns", "tls", "http"), ())))
    bare = replace(bare, evidence=replace(bare.evidence, files=(), captures=(), links=(), host=None, others=None))
    bare = replace(bare, todo=(), guides=(), decisions=(), deliveries=(), limits=())
    text = " ".join(" ".join(Parsed(page(bare)).text).split())
    for said in (
        "The events have no time",
        "No finding, no alert",
        "Nothing has been declared",
        "No receiver was told",
    ):
        assert said in text


def test_the_picture_is_well_formed_and_says_what_it_shows() -> None:
    svg = ElementTree.fromstring(re.search(r"<svg.*</svg>", page(filled(report(), HOSTILE[4])), re.DOTALL)[0])
    assert svg.get("role") == "img"
    assert [child.tag for child in svg[:2]] == ["title", "desc"]
    assert svg.get("aria-labelledby").split() == [child.get("id") for child in svg[:2]]


def test_the_same_report_is_one_json_object() -> None:
    found = json.loads(json.dumps(encoded(report(steps=(step(1), beacon()))), allow_nan=False))
    assert (found["id"], found["kind"], found["evidence"]["subject"]["id"]) == (ID, "declaration", ID)
    assert [one["number"] for one in found["thread"]["steps"]] == [1, 2]
    assert found["thread"]["steps"][1]["ties"] == [{"what": "name", "values": ["sync.example"], "steps": [1]}]


@pytest.fixture
def watched():
    """Return a server that serves pages by path, and the paths that it was asked for."""
    pages: dict[str, str] = {}
    asked: list[str] = []

    class Desk(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200 if self.path in pages else 404)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(pages.get(self.path, "").encode())

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Desk)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", pages, asked
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: what a browser does with the page is not seen")
def test_in_a_browser_no_script_runs_and_no_request_leaves_the_page(watched, tmp_path: Path) -> None:
    url, pages, asked = watched
    script = f"<script>document.title='ran';new Image().src='{url}/script'</script>"
    image = f'<img src="{url}/image" onerror="document.title=\'ran\'">'
    style = f"</style><style>@import '{url}/style';</style><link rel=stylesheet href={url}/sheet>"
    pages["/control"] = f"<title>control</title>{script}{image}"
    pages["/report"] = page(filled(report(), f"{script}{image}{style}\u202e"))
    assert "<title>ran</title>" in browsed(f"{url}/control", tmp_path)
    assert {"/script", "/image"} <= {*asked}  # so a page that is not safe would be seen
    asked.clear()
    dom = browsed(f"{url}/report", tmp_path)
    assert "<title>ran</title>" not in dom
    assert "Incident report" in dom
    assert asked == ["/report"]


def browsed(url: str, folder: Path) -> str:
    """Return the document that Chromium makes of a page."""
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}")
    command = [CHROMIUM, *options, "--virtual-time-budget=3000", "--dump-dom", url]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
