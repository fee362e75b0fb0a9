"""Reports in real engines: the thread of the story is there, and what attackers write into events stays text."""

import gzip
import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from conftest import Place
from engine.respond_story import load_lines, stem_of
from organisation import one_pass

from connector.cli import run
from connector.hosts.build import Order, build
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.passes.listing import list_findings
from connector.respond.declarations.deciding import Decision, decide
from connector.respond.declarations.declaration import Verdict
from connector.respond.declarations.declare import declare
from connector.respond.evidence.frozen import evidence_of
from connector.respond.evidence.subject import subject_of
from connector.respond.report.build import report_of
from connector.respond.report.model import Report, Step
from connector.respond.report.page import page
from connector.respond.reputation.answer import Answer
from connector.respond.reputation.lookup import LookedUp
from connector.respond.tags.rules import rule_of
from connector.respond.tags.tagging import tag
from connector.settings.model import Settings, Source

NOW = datetime(2026, 11, 3, 10, tzinfo=UTC)
CLIENT, OTHER = "10.10.10.17", "10.10.10.12"
HUNTS = ("public-dns-queries", "hunting-signatures", "file-activity", "tls-beacon", "smtp-clear-text")
SCRIPT = "<script>fetch('http://198.51.100.1/x')</script>"
IMAGE = '"><img src=http://198.51.100.1/y onerror=alert(1)>'
NAME = "javascript:alert(1)//\u202egnp.exe\u0007"
SHA256 = "cd" * 32


@dataclass(frozen=True)
class Day:
    """The events of two clients of the office day in one engine, found and declared, with some of an attacker's."""

    place: Place
    settings: Settings
    declaration: str

    @cached_property
    def declared(self) -> Report:
        return self.report()

    def report(self, id: str | None = None, settings: Settings | None = None) -> Report:
        siem, own = self.place.siem, settings or self.settings
        return report_of(siem, own, evidence_of(siem, own, subject_of(siem, own, id or self.declaration), NOW), NOW)

    def finding(self, hunt: str) -> str:
        named = load_catalogue(self.settings).named(hunt)
        found = list_findings(self.place.siem, self.settings, named).findings
        return next(one.id for one in found if CLIENT in json.dumps([one.group, one.values]))


@pytest.fixture(scope="module")
def day(each_module_place: Place, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Day:
    """Return the day of the host that the story is about, and of another one."""
    folder = tmp_path_factory.mktemp("report")
    settings = load_lines(each_module_place, lines_of(shared, folder))
    one_pass(each_module_place.siem, settings, HUNTS)
    siem, hunt = each_module_place.siem, load_catalogue(settings).named(HUNTS[0])
    tag(siem, settings, hunt, rule_of(hunt, "relevant", "ana", NOW, f"a tag {IMAGE}"))
    verdict = Verdict("DNS past the policy", "command_and_control", "hunt.client.ip", "ana", f"why {SCRIPT}")
    done = declare(siem, settings, hunt, verdict, now=NOW)
    id = next(one.id for one in done.declarations if one.asset == CLIENT)
    decide(siem, settings, id, Decision("comment", "", "bob \u202e", f"a comment {SCRIPT}"), NOW)
    put_reputation(each_module_place, settings, id)
    put_profiles(each_module_place, settings, folder / "events.json")
    return Day(each_module_place, settings, id)


def put_reputation(place: Place, settings: Settings, id: str) -> None:
    """Write on a declaration what VirusTotal would say."""
    answer = Answer("malicious", {"malicious": 9, "harmless": 80}, analysed=f"{NOW.isoformat()}", label=f"bad {SCRIPT}")
    known = LookedUp("203.0.113.66", "ip", "answered", answer=answer, asked="2026-11-03T10:00:00.000Z")
    index = settings.state("declarations")
    place.siem.change(index, id, lambda current: (current or {}) | {"reputation": [known.document]})


def put_profiles(place: Place, settings: Settings, file: Path) -> None:
    """Build profiles, and again after the host was seen with a user agent of an attacker's."""
    order = Order(timedelta(), step=10**13)
    build(place.siem, settings, order, datetime.now(UTC))
    events = (json.loads(line) for line in file.read_bytes().splitlines())
    mine = next(one for one in events if one["event_type"] == "http" and one["src_ip"] == CLIENT)
    new = mine | {"flow_id": 4712, "http": mine["http"] | {"http_user_agent": f"new {SCRIPT}"}}
    new["timestamp"] = new["@timestamp"] = "2026-11-02T18:00:00.000000Z"
    target = {"index": {"_index": f"{stem_of(place)}http-2026.11.02", "_id": "new"}}
    assert place.siem.bulk([target, new], refresh="true") == []
    build(place.siem, settings, order, datetime.now(UTC))


def lines_of(shared: Path, folder: Path) -> Path:
    """Return a file with the events of two clients, and some like them in which texts are an attacker's."""
    wanted = re.compile(rf'"({CLIENT}|{OTHER})"|02:00:0a:0a:0a:11'.encode())
    with gzip.open(shared / "story" / "eve-suricata8.json.gz") as file:
        lines = [line for line in file if wanted.search(line)]
    events = [json.loads(line) for line in lines]
    made = [*hostile(events, "http"), *hostile(events, "fileinfo"), *hostile(events, "dhcp"), *hostile(events, "alert")]
    (folder / "events.json").write_bytes(b"".join([*lines, *(json.dumps(one).encode() + b"\n" for one in made)]))
    return folder / "events.json"


def hostile(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return an event of a type again, in a flow of its own, with an attacker's texts."""
    mine = next(one for one in events if one["event_type"] == kind and CLIENT in json.dumps(one))
    if kind == "dhcp":
        mine = next(one for one in events if one["event_type"] == kind and one["dhcp"].get("hostname") == "fin-ws07")
    texts = {
        "http": {
            "http": mine.get("http", {}) | {"http_user_agent": SCRIPT * 50, "url": IMAGE, "hostname": "evil.example"}
        },
        "fileinfo": {"fileinfo": mine.get("fileinfo", {}) | {"filename": NAME, "stored": True, "sha256": SHA256}},
        "dhcp": {"dhcp": mine.get("dhcp", {}) | {"hostname": f"fin{IMAGE}"}},
        "alert": {"alert": mine.get("alert", {}) | {"signature": f"ET {SCRIPT}", "signature_id": 1}},
    }
    return [mine | texts[kind] | {"flow_id": 4711, "timestamp": "2026-11-02T17:00:00.000000+0000"}]


class Parsed(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def truth(shared: Path, label: str) -> dict[str, Any]:
    """Return what the story says of an incident."""
    return json.loads((shared / "story" / "truth.json").read_text(encoding="utf-8"))["incidents"][f"{label}/fin-ws07"]


def called(report: Report, hunt: str) -> Step:
    """Return the first step of a hunt."""
    return next(step for step in report.thread.steps if step.hunt == hunt)


def test_the_thread_leads_from_the_seven_queries_over_the_document_to_the_beacon(day: Day, shared: Path) -> None:
    report = day.declared
    queries, macro, file, calls, mail = (called(report, hunt) for hunt in HUNTS)
    assert (queries.events, calls.events) == (7, 120)
    assert queries.number < macro.number < calls.number
    assert [step.subject for step in (queries, macro, file, calls, mail)] == [True, False, False, False, False]
    assert [step.tied for step in (queries, macro, file, calls, mail)] == [True, True, True, True, False]
    (name,) = truth(shared, "macro-document")["names"]
    for step in (macro, file):
        assert any(name in tie.values and queries.number in tie.steps for tie in step.ties)
    sni = truth(shared, "beacon")["sni"]
    assert any(sni in tie.values and queries.number in tie.steps for tie in calls.ties)
    assert {name, sni} <= {*queries.only_here}
    assert (report.summary.severity, report.summary.gravest) == ("high", f"step {calls.number}: {calls.title}")
    assert (report.summary.users, report.summary.departments) == (("j.doe",), ("finance",))
    assert "fin-ws07" in report.summary.hosts


def test_the_timeline_has_the_truths_times(day: Day, shared: Path) -> None:
    timeline = day.declared.timeline
    lanes = {lane.name: lane for lane in timeline.lanes}
    for lane, label in (("dns", "public-dns"), ("files", "macro-document"), ("beacons", "beacon")):
        (first, *_) = sorted(stretch.start for stretch in lanes[lane].stretches)
        assert first[:18] == truth(shared, label)["first"][:18]
    assert len({mark.at for mark in lanes["dns"].marks}) == 7
    counted = {name: sum(one.events for one in bins) for name, bins in timeline.activity.lanes.items()}
    assert counted["web"] > 120
    assert all(timeline.start <= mark.at <= timeline.end for lane in timeline.lanes for mark in lane.marks)
    assert {mark.words for mark in timeline.after} >= {"declared by ana"}


def test_the_evidence_has_the_documents_flow_look_up_hash_and_file(day: Day, shared: Path) -> None:
    report, wanted = day.declared, truth(shared, "macro-document")
    sha256 = json.loads((shared / "story" / "truth.json").read_text())["files"][wanted["file"]]["sha256"]
    found = report.evidence
    (flow,) = [one for one in found.flows if one.server_ip == wanted["server"] and ("", "4711") not in one.flow_ids]
    (file,) = [one for one in found.files if one.sha256 == sha256]
    assert (file.flow, file.path) == (flow.number, f"{sha256[:2]}/{sha256}")
    assert any(one.flow == flow.number and one.resolver == "8.8.8.8" and one.gave_address for one in found.dns)
    assert sum(event.of_subject for event in found.events) == 7
    text = Parsed(page(report)).text
    assert all(said in text for said in (sha256, f"{sha256[:2]}/{sha256}", wanted["server"], "and host 198.51.100.77"))


def test_questions_decisions_and_advice_are_there(day: Day) -> None:
    report = day.declared
    assert [guide.title for guide in report.guides] == ["Policy: Public DNS queries", "Hunt: Regular TLS connections"]
    assert all(answer.said for guide in report.guides for answer in guide.answers)
    assert not any(answer.failed for guide in report.guides for answer in guide.answers)
    whats = {(one.what, one.by) for one in report.decisions}
    assert {("declared", "ana"), ("comment", "bob \\u202e")} <= whats
    assert any(what.endswith(": relevant") and by == "ana" for what, by in whats)
    assert report.todo[0].do.startswith("Take fin-ws07")
    assert any("invoice-2026.docm" in one.do for one in report.todo)


def test_the_hosts_profile_and_what_is_known_of_the_values_are_there(day: Day) -> None:
    report = day.declared
    profile = report.evidence.host.profile
    assert ("fin-ws07", ("dhcp", "kerberos", "ntlm")) in {(one.value, one.by) for one in profile.names}
    assert [one.value for one in profile.users] == ["j.doe"]
    assert [(one.by, one.value) for one in profile.changes] == [(("user agent",), f"new {SCRIPT}")]
    (known,) = report.reputation
    assert (known.value, known.verdict, known.source) == ("203.0.113.66", "malicious", "VirusTotal")
    text = " ".join(Parsed(page(report)).text.split())
    for said in ("Who it is", "kerberos", "New on this host", "Reputation", "9 of 89 engines", "2026-11-03 10:00:00"):
        assert said in text


def test_what_an_attacker_wrote_is_text_on_the_page(day: Day) -> None:
    report = day.declared
    html = page(report)
    found = Parsed(html)
    assert not {"script", "img", "iframe"} & {*found.tags}
    assert not [name for name, _ in found.attributes if name.startswith("on") or name == "src"]
    hrefs = [value for name, value in found.attributes if name == "href"]
    assert not [href for href in hrefs if not href.startswith(("#", "data:,", "https://"))]
    for said in (
        f"a comment {SCRIPT}",
        f"why {SCRIPT}",
        f"a tag {IMAGE}",
        f"fin{IMAGE}",
        f"ET {SCRIPT}",
        f"bad {SCRIPT}",
        f"new {SCRIPT}",
        "\\u202egnp.exe\\x07",
    ):
        assert said in found.text
    assert "\u202e" not in html
    assert len(html) < 400_000
    assert not [one for one in report.todo if set(one.command) & set("<>()$`'\";&|\\")]


def test_the_report_of_a_finding_and_of_an_event(day: Day) -> None:
    report = day.report(day.finding("tls-beacon"))
    assert (report.kind, report.summary.events, report.summary.severity) == ("finding", 120, "high")
    assert [step.hunt for step in report.thread.steps if step.subject] == ["tls-beacon"]
    assert called(report, "public-dns-queries").tied
    assert ("declared", "DNS past the policy") in {(one.what, one.of) for one in report.decisions}
    event = report.evidence.subject.references[0]
    single = day.report(f"{event.index}/{event.id}")
    assert (single.kind, single.summary.events) == ("event", 1)
    assert {"tls-beacon", "public-dns-queries"} <= {step.hunt for step in single.thread.steps}
    assert "Incident report" in page(single)


def test_without_the_events_the_report_still_says_what_was_found(day: Day) -> None:
    gone = replace(day.settings, sources=(Source(f"{day.place.prefix}gone-*", "eve", "@timestamp"),))
    report = day.report(settings=gone)
    assert (report.summary.events, called(report, "public-dns-queries").events) == (7, 7)
    assert any("are not in the SIEM any more" in limit for limit in report.limits)
    assert any("could not be asked" in limit for limit in report.limits)
    assert "Policy: Public DNS queries" in Parsed(page(report)).text


def test_the_command_writes_a_page_or_json(day: Day, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    (tmp_path / "hunts.yml").write_text(
        f"siem: {{url: '{day.place.url}'}}\nprefix: {day.settings.prefix}\n"
        f"sources: [{{pattern: '{stem_of(day.place)}*', dialect: eve}}]\n"
    )
    monkeypatch.chdir(tmp_path)
    id = day.declaration

    def hunts(*words: str) -> str:
        """Return what the command prints."""
        assert run(["--settings", "hunts.yml", "report", *words]) == 0
        return capsys.readouterr().out

    assert f"written to report-{id[:12]}.html" in hunts(id[:8])
    assert (tmp_path / f"report-{id[:12]}.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    printed = json.loads(hunts(id, "--json"))
    assert (printed["id"], printed["summary"]["events"], printed["evidence"]["subject"]["count"]) == (id, 7, 7)
    assert printed["thread"]["steps"][0]["number"] == 1
    assert hunts(id, "--out", "-").rstrip().endswith("</html>")
    assert run(["--settings", "hunts.yml", "report", "no-such-id"]) == 6
    assert run(["--settings", "hunts.yml", "report", id, "--out", str(tmp_path / "no" / "r.html")]) == 1
