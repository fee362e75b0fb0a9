"""Evidence in real engines: what is gathered around the story's events is what its truth says, and stays."""

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import Place
from engine.respond_story import load_lines, settings_of, stem_of
from made_events import CutWire
from organisation import one_pass

from connector.cli import run
from connector.errors import Refused, Unreachable
from connector.hosts.build import Order, build
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.passes.listing import list_findings
from connector.respond.declarations.declaration import Verdict
from connector.respond.declarations.declare import declare
from connector.respond.evidence import flows as flow_limits
from connector.respond.evidence.frozen import evidence_of, keep, keep_due, kept_evidence
from connector.respond.evidence.gather import gather
from connector.respond.evidence.model import Evidence
from connector.respond.evidence.subject import subject_of
from connector.settings.model import LinkTemplate, Settings

NOW = datetime(2026, 11, 3, 10, tzinfo=UTC)
MACRO, CLIENT = 9200010, "10.10.10.17"
CLIENTS = (b'"10.10.10.17"', b'"10.10.10.12"')
START = datetime(2026, 11, 20, 8, tzinfo=UTC)
LINKS = (
    LinkTemplate("arkime", "flow", "https://arkime.example/sessions?expression=communityId%20%3D%3D%20{community_id}"),
    LinkTemplate("virustotal", "file", "https://virustotal.example/gui/file/{sha256}"),
)
Hunts = Callable[..., int]


@dataclass(frozen=True)
class Day:
    """The events of two clients of the office day in one engine."""

    place: Place
    settings: Settings

    def search(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        body = {"query": query, "size": 1000, "sort": ["_doc"]}
        return self.place.siem.search(self.settings.events, body)["hits"]["hits"]

    def macro(self) -> str:
        (hit,) = self.search({"term": {"alert.signature_id": MACRO}})
        return f"{hit['_index']}/{hit['_id']}"

    def gather(self, id: str, settings: Settings | None = None) -> Evidence:
        own = settings or self.settings
        return gather(self.place.siem, own, subject_of(self.place.siem, own, id), NOW)

    def put(self, events: Sequence[dict[str, Any]], index: str = "http-2026.11.20") -> list[str]:
        """Write made-up events through the pipeline; return them as INDEX/ID."""
        name = f"{stem_of(self.place)}{index}"
        ids = [f"made-{n}-{hashlib.sha256(json.dumps(e).encode()).hexdigest()[:12]}" for n, e in enumerate(events)]
        lines = [
            line for id, e in zip(ids, events, strict=True) for line in ({"index": {"_index": name, "_id": id}}, e)
        ]
        assert self.place.siem.bulk(lines, refresh="true") == []
        return [f"{name}/{id}" for id in ids]


def some_lines(shared: Path, folder: Path, version: int) -> Path:
    """Return a file with the events of two clients as a version of Suricata saw them."""
    with gzip.open(shared / "story" / f"eve-suricata{version}.json.gz") as file:
        lines = [line for line in file if any(client in line for client in CLIENTS)]
    (folder / f"events{version}.json").write_bytes(b"".join(lines))
    return folder / f"events{version}.json"


def loaded(place: Place, file: Path) -> Day:
    """Return a place that holds the events of a file, all of them to be found."""
    settings = load_lines(place, file)
    place.siem.call("POST", f"/{settings.events}/_refresh")
    return Day(place, settings)


@pytest.fixture(scope="module")
def day(each_module_place: Place, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Day:
    """Return the day as Suricata 8 saw it."""
    file = some_lines(shared, tmp_path_factory.mktemp("eve"), 8)
    return loaded(each_module_place, file)


@pytest.fixture(scope="module")
def day_of_7(module_place: Place, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Day:
    """Return the day as Suricata 7 saw it."""
    file = some_lines(shared, tmp_path_factory.mktemp("eve"), 7)
    return loaded(module_place, file)


@pytest.fixture(scope="module")
def truth(shared: Path) -> dict[str, Any]:
    """Return what happened that day."""
    return json.loads((shared / "story" / "truth.json").read_text())


@pytest.fixture
def hunts(day: Day, tmp_path: Path) -> Hunts:
    """Return the command line with the settings of the place."""
    text = (
        f"siem: {{url: '{day.place.url}'}}\nprefix: '{day.place.prefix}'\n"
        f"sources: [{{pattern: '{stem_of(day.place)}*'}}]\n"
    )
    (tmp_path / "hunts.yml").write_text(text)
    return lambda *words: run(["--settings", str(tmp_path / "hunts.yml"), *words])


def check_macro(found: Evidence, truth: dict[str, Any], shared: Path) -> None:
    """Compare the evidence for the macro document with the truth."""
    told = truth["incidents"]["macro-document/fin-ws07"]
    (flow,) = found.flows
    ends = f"{flow.protocol.lower()} {flow.client_ip} {flow.client_port} {flow.server_ip} {flow.server_port}"
    assert ([ends], flow.start) == (told["flows"], told["first"])
    assert flow.end == told["last"]
    kinds = {"http": told["expect"]["http"], "fileinfo": told["expect"]["fileinfo"], "alert": 1, "flow": 1}
    assert (flow.kinds, flow.events) == (kinds, 4)
    assert Counter(event.kind for event in found.events) == kinds
    assert [event.kind for event in found.events if event.of_subject] == ["alert"]
    (file,), (request,) = found.files, found.http
    wanted = truth["files"][told["file"]]
    assert {name: getattr(file, name) for name in ("size", "sha256", "md5")} == wanted
    assert file.name.endswith(told["file"]) and file.stored and file.seen == 2
    assert (shared / "story" / "filestore" / file.path).is_file()
    assert (request.host, request.url, request.status) == (told["names"][0], told["url"], "200")
    assert {(one.client, one.resolver, one.name) for one in found.dns} == {
        (told["client"], "8.8.8.8", told["names"][0])
    }
    assert Counter((one.message, one.type) for one in found.dns) == {
        (message, kind): 1 for message in ("query", "answer") for kind in ("A", "AAAA")
    }
    (gave,) = [one for one in found.dns if one.gave_address]
    assert gave.answers == (told["server"],) and 0 < gave.seconds_before < 1
    assert all(0 < one.seconds_before < 1 for one in found.dns)


def test_of_the_macro_document_all_that_the_truth_has(day: Day, truth: dict[str, Any], shared: Path) -> None:
    found = day.gather(day.macro(), replace(day.settings, links=LINKS))
    check_macro(found, truth, shared)
    told = truth["incidents"]["macro-document/fin-ws07"]
    (capture,) = found.captures
    assert capture.files == ("story.pcap",)
    assert capture.start < told["first"] and capture.end > told["last"]
    host = found.host
    assert (host.ip, host.names, host.users) == (told["client"], (told["host"],), (told["user"],))
    assert (host.departments, host.roles, host.macs) == (
        (told["department"],),
        ("workstation",),
        ("02:00:0a:0a:0a:11",),
    )
    community = found.flows[0].community_id.replace(":", "%3A").replace("+", "%2B").replace("=", "%3D")
    assert [link.url for link in found.links] == [
        LINKS[0].url.replace("{community_id}", community),
        LINKS[1].url.replace("{sha256}", found.files[0].sha256),
    ]
    assert (found.left_out, found.notes) == ({}, ())
    assert Evidence.read(json.loads(json.dumps(found.document))) == found


def test_what_else_the_host_did_has_the_thread_of_the_story(day: Day, truth: dict[str, Any]) -> None:
    found = day.gather(day.macro())
    others, incidents = found.others, truth["incidents"]
    own = len(day.search({"term": {"hunt.client.ip": CLIENT}})) + len(day.search({"term": {"hunt.server.ip": CLIENT}}))
    assert others.count == sum(others.kinds.values()) == own - len(found.events)
    assert others.alerts["STORY POLICY DNS query to a public resolver"] == 7
    alone = {name.name: name for name in others.names if name.only_here}
    beacon = alone[incidents["beacon/fin-ws07"]["names"][0]]
    assert next(iter(alone)) == beacon.name  # the one asked for most often comes first
    assert beacon.events >= 120 and beacon.first < incidents["beacon/fin-ws07"]["first"] < beacon.last
    assert incidents["macro-document/fin-ws07"]["names"][0] in alone
    asked = {lines["words"].split()[-1] for lines in found.document["others"]["events"] if lines["kind"] == "alert"}
    assert len(asked) > 1
    assert {"dns", "tls", "http", "smtp", "smb", "krb5", "dhcp"} < {event.kind for event in others.events}
    flow_events = {(event.index, event.id) for event in found.events}
    assert not flow_events & {(event.index, event.id) for event in others.events}
    first = [event.kind for event in others.events]
    assert first[: first.count("alert")] == ["alert"] * first.count("alert")


def test_the_same_of_what_suricata_7_saw(day_of_7: Day, truth: dict[str, Any], shared: Path) -> None:
    check_macro(day_of_7.gather(day_of_7.macro()), truth, shared)


def test_of_a_session_of_the_beacon_its_fingerprints_and_the_look_up(day: Day, truth: dict[str, Any]) -> None:
    told = truth["incidents"]["beacon/fin-ws07"]
    hits = day.search(
        {"bool": {"filter": [{"term": {"event_type.keyword": "tls"}}, {"match": {"tls.sni": "relay.test"}}]}}
    )
    hit = next(hit for hit in hits if hit["_source"]["tls"]["sni"] == told["names"][0])
    found = day.gather(f"{hit['_index']}/{hit['_id']}")
    (tls,), source = found.tls, hit["_source"]["tls"]
    assert (tls.sni, tls.ja3, tls.ja4) == (source["sni"], source["ja3"]["hash"], source["ja4"])
    assert (tls.version, tls.protocol) == (source["version"], "tls")
    assert {one.name for one in found.dns} == {told["names"][0]}
    assert any(one.gave_address for one in found.dns)


def test_a_finding_and_a_declaration_by_the_beginning_of_their_ids(day: Day, truth: dict[str, Any]) -> None:
    siem, settings = day.place.siem, day.settings
    hunt = load_catalogue(settings).named("public-dns-queries")
    one_pass(siem, settings, [hunt.name])
    finding = next(one for one in list_findings(siem, settings).findings if one.group["hunt.client.ip"] == CLIENT)
    found = day.gather(finding.id[:10])
    told = truth["incidents"]["public-dns/fin-ws07"]
    assert (found.subject.kind, found.subject.id, found.subject.count) == ("finding", finding.id, 7)
    flows = [f"{f.protocol.lower()} {f.client_ip} {f.client_port} {f.server_ip} {f.server_port}" for f in found.flows]
    assert sorted(flows) == sorted(told["flows"])
    assert all(flow.kinds == {"alert": 1, "dns": 2, "flow": 1} for flow in found.flows)
    assert found.dns == ()  # the flows are look-ups themselves
    declared = declare(
        siem, settings, hunt, Verdict("past the policy", "pre_condition", "hunt.client.ip", "ana"), now=NOW
    )
    one = next(one for one in declared.declarations if one.asset == CLIENT)
    assert day.gather(one.id[:10]).flows == found.flows
    with pytest.raises(Refused, match="no finding and no declaration"):
        day.gather("0" * 30)
    with pytest.raises(Refused, match="no event"):
        day.gather(f"{settings.state('findings')}/{finding.id}")
    with pytest.raises(Refused, match="no finding and no declaration"):
        day.gather("")
    twin = f"{finding.id[:12]}-another"
    siem.put(settings.state("findings"), twin, siem.get(settings.state("findings"), finding.id).source, refresh="true")
    with pytest.raises(Refused, match=f"2 ids begin with {finding.id[:12]}"):
        day.gather(finding.id[:12])
    assert day.gather(finding.id).flows == day.gather(twin).flows == found.flows


def made(second: float, flow: int, **more: Any) -> dict[str, Any]:
    """Return an HTTP event of a flow, so many seconds into the time."""
    at = (START + timedelta(seconds=second)).isoformat()
    ends = {"src_ip": "10.10.10.11", "src_port": 40000, "dest_ip": "198.51.100.9", "dest_port": 80, "proto": "TCP"}
    base = {"@timestamp": at, "timestamp": at, "event_type": "http", "flow_id": flow, **ends}
    return {**base, "http": {"hostname": "a.example", "url": f"/{second}"}, **more}


def flow_event(start: float, end: float, flow: int, **more: Any) -> dict[str, Any]:
    """Return the event of a whole flow, which is written a while after its end."""
    said = {name: (START + timedelta(seconds=at)).isoformat() for name, at in (("start", start), ("end", end))}
    own = {key: value for key, value in made(end + 60, flow).items() if key != "http"}
    return {**own, "event_type": "flow", "flow": {**said, "bytes_toserver": 1, "bytes_toclient": 2}, **more}


def test_all_events_of_a_flow_however_many_and_bounded_with_a_count(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    places = day.put([made(n / 10, 700) for n in range(1500)] + [flow_event(0, 150, 700)])
    found = day.gather(places[3])
    assert (found.flows[0].events, len(found.events), found.left_out) == (1501, 1501, {})
    assert len(found.http) == 1500
    monkeypatch.setattr(flow_limits, "MOST_EVENTS", 200)
    some = day.gather(places[700])
    assert (len(some.events), some.left_out["events"]) == (201, 1301)  # and the one it is about
    assert [some.events[0].id, some.events[-1].id] == [found.events[0].id, found.events[-1].id]
    assert sum(event.of_subject for event in some.events) == 1


def test_a_number_that_is_used_again_is_another_flow(day: Day) -> None:
    hour, day_long = 3600.0, 86400.0
    other = {"src_ip": "10.10.10.12", "dest_ip": "198.51.100.10"}
    mine = [made(0, 701, host="one"), flow_event(0, 5, 701, host="one")]
    others = [
        *(made(day_long, 701, host="one"), flow_event(day_long, day_long + 5, 701, host="one")),  # later
        *(made(1, 701, host="two"),),  # at another sensor
        *(made(2, 701, host="one", **other),),  # between others
        *(made(10 * day_long, 701, host="one"),),  # long after
    ]
    places = day.put([*mine, *others])
    found = day.gather(places[0])
    assert {f"{event.index}/{event.id}" for event in found.events} == set(places[:2])
    assert found.notes == ("4 events with the same flow_id or community_id belong to other flows",)
    quiet = day.put([made(0, 702), made(1800, 702), made(1800 + 2 * hour, 702)])  # no event says when it began
    assert {f"{event.index}/{event.id}" for event in day.gather(quiet[0]).events} == set(quiet[:2])


def test_another_sensor_and_index_saw_the_same_flow_by_its_community_id(day: Day) -> None:
    community = {"community_id": "1:AAAAAAAAAAAAAAAAAAAAAAAAAAA="}
    mine = day.put([made(0, 710, host="one", **community), flow_event(0, 30, 710, host="one", **community)])
    theirs = day.put(
        [
            made(2, 811, host="two", **community),
            flow_event(1, 30, 811, host="two", **community),
            made(4000, 812, host="two", **community),  # the same ends again, an hour later
            flow_event(4000, 4001, 812, host="two", **community),
        ],
        "other-2026.11.20",
    )
    found = day.gather(mine[0])
    assert {f"{event.index}/{event.id}" for event in found.events} == {*mine, *theirs[:2]}
    (flow,) = found.flows
    assert (set(flow.flow_ids), flow.community_id) == ({("one", "710"), ("two", "811")}, community["community_id"])
    assert found.captures[0].sensors == ("one", "two")


def test_an_event_as_large_as_attackers_make_it_is_cut(day: Day) -> None:
    large = made(0, 720)
    large["http"] |= {"http_user_agent": "A" * 200_000, "request_headers": [{"name": "x", "value": "y" * 500}] * 3000}
    (place,) = day.put([large])
    found = day.gather(place)
    assert len(json.dumps(found.document)) < 200_000
    assert found.http[0].user_agent.endswith("A…")


def declared_one(day: Day, threat: str) -> str:
    """Return the id of the declaration of the client that asks a public resolver."""
    hunt = load_catalogue(day.settings).named("public-dns-queries")
    done = declare(
        day.place.siem, day.settings, hunt, Verdict(threat, "pre_condition", "hunt.client.ip", "ana"), now=NOW
    )
    return next(one.id for one in done.declarations if one.asset == CLIENT)


def stored(day: Day, index: str, id: str) -> Any:
    """Return a stored document with its sequence number."""
    return day.place.siem.get(day.settings.state(index), id)


def test_what_is_declared_is_kept_once_and_a_stopped_program_is_made_up_for(day: Day) -> None:
    siem, settings = day.place.siem, day.settings
    id = declared_one(day, "kept")
    kept = kept_evidence(siem, settings, id)
    assert (len(kept.flows), kept.frozen is not None, kept.links) == (7, True, ())
    assert not stored(day, "declarations", id).source["evidence_due"]
    before = stored(day, "evidence", id).seq_no
    keep(siem, settings, id, NOW + timedelta(days=1))
    assert stored(day, "evidence", id).seq_no == before  # nothing is new
    path = f"/{settings.state('declarations')}/_update/{id}"
    siem.call("POST", path, {"doc": {"evidence_due": True}}, refresh=True)  # stopped before it was kept
    siem.call("DELETE", f"/{settings.state('evidence')}/_doc/{id}", refresh=True)
    assert keep_due(siem, settings, NOW) == 0
    assert kept_evidence(siem, settings, id).flows == kept.flows
    siem.call("POST", path, {"doc": {"evidence_due": True}}, refresh=True)
    assert keep_due(siem, settings, NOW, timedelta(0)) >= 1  # out of patience: it stays due
    assert stored(day, "declarations", id).source["evidence_due"]


def test_cut_off_at_any_call_it_is_kept_or_still_due(day: Day) -> None:
    siem, settings = day.place.siem, day.settings
    id = declared_one(day, "cut off")
    whole = kept_evidence(siem, settings, id)
    due = {"doc": {"evidence_due": True}}
    for calls in range(2, 60, 7):
        siem.call("POST", f"/{settings.state('declarations')}/_update/{id}", due, refresh=True)
        siem.call("DELETE", f"/{settings.state('evidence')}/_doc/{id}", refresh=True)
        cut = CutWire(siem._wire, calls, answered=calls % 2 == 0)
        with suppress(Unreachable):
            keep(siem.through(lambda _, cut=cut: cut), settings, id, NOW)
        assert stored(day, "evidence", id) or stored(day, "declarations", id).source["evidence_due"]
        assert keep_due(siem, settings, NOW) == 0
        assert kept_evidence(siem, settings, id).flows == whole.flows
        assert not stored(day, "declarations", id).source["evidence_due"]
        if cut.left > 0:
            break  # it was not cut off any more
    assert cut.left > 0


def test_evidence_outlives_its_events_and_what_comes_later_is_added(day: Day, hunts: Hunts, capsys: Any) -> None:
    siem, settings = day.place.siem, day.settings
    id = declared_one(day, "outlives")
    subject = partial(subject_of, siem, settings, id)
    whole = evidence_of(siem, settings, subject(), NOW)
    assert whole.notes == ()
    lost = [event for event in whole.events if event.flow in (1, 2, 3)]
    held = {(event.index, event.id): siem.get(event.index, event.id).source for event in lost}
    for index, document in held:
        siem.call("DELETE", f"/{index}/_doc/{document}", refresh=True)
    try:
        after = evidence_of(siem, settings, subject(), NOW)
        assert [event.id for event in after.events] == [event.id for event in whole.events]
        assert after.flows == whole.flows
        assert any("shown as kept on" in note for note in after.notes)
        keep(siem, settings, id, NOW + timedelta(days=1))  # again, with fewer events there
        assert evidence_of(siem, settings, subject(), NOW).flows == whole.flows
        assert hunts("evidence", id) == 0
        assert "not in the SIEM any more" in capsys.readouterr().out.replace("\n", " ")
    finally:
        lines = [
            line for (index, id), source in held.items() for line in ({"index": {"_index": index, "_id": id}}, source)
        ]
        assert siem.bulk(lines, refresh="true") == []


def test_the_profile_of_the_host_is_kept_with_the_declaration(day: Day, hunts: Hunts, capsys: Any) -> None:
    siem, settings = day.place.siem, day.settings
    assert day.gather(day.macro()).host.profile is None
    build(siem, settings, Order(timedelta(), step=10**13), datetime.now(UTC))
    index, every = settings.state("hosts"), {"query": {"match_all": {}}}
    try:
        id = declared_one(day, "of a host with a profile")
        host = kept_evidence(siem, settings, id).host
        known = [[(one.value, one.by) for one in part] for part in (host.profile.names, host.profile.users)]
        assert known == [[("fin-ws07", ("dhcp", "kerberos", "ntlm"))], [("j.doe", ("kerberos", "ntlm"))]]
        assert (host.names, host.users, host.roles) == (("fin-ws07",), ("j.doe",), ("workstation",))
        assert hunts("evidence", id) == 0
        assert "its profile as of" in capsys.readouterr().out
    finally:
        siem.call("POST", f"/{index}/_delete_by_query", every, refresh=True)
    assert day.gather(id).host.profile is None
    assert evidence_of(siem, settings, subject_of(siem, settings, id), NOW).host.profile == host.profile
    keep(siem, settings, id, NOW + timedelta(days=1))
    assert kept_evidence(siem, settings, id).host.profile == host.profile


def test_the_command_copies_the_file_and_cuts_the_packets(
    day: Day, hunts: Hunts, shared: Path, tmp_path: Path, truth: dict[str, Any], capsys: Any
) -> None:
    story, folder = shared / "story", tmp_path / "copies"
    words = ["evidence", day.macro(), "--files", str(folder), "--filestore", str(story / "filestore")]
    words += ["--pcap", str(story / "incident.pcap"), "--json"]
    assert hunts(*words) == 0
    printed = json.loads(capsys.readouterr().out)
    file, packets = printed["copies"]
    sha256 = truth["files"]["invoice-2026.docm"]["sha256"]
    assert hashlib.sha256((folder / sha256).read_bytes()).hexdigest() == sha256 == file["sha256"]
    (flow,) = printed["evidence"]["flows"]
    seen = flow["packets_to_server"] + flow["packets_to_client"]
    assert (packets["packets"], packets["by_flow"]) == (seen, {"1": seen}) == (29, {"1": 29})
    octets = flow["bytes_to_server"] + flow["bytes_to_client"]
    cut = (folder / "packets-incident.pcap").read_bytes()
    assert len(cut) == 24 + 16 * seen + octets
    assert sha256 and bytes.fromhex("504b0304") in cut  # the document is in the packets
    assert hunts(*words) == 0  # again: it is there already
    assert {one["status"] for one in json.loads(capsys.readouterr().out)["copies"]} == {"is there already"}
    assert hunts("evidence", day.macro()) == 0
    table = capsys.readouterr().out
    for told in ("files.parcel-notice.example", sha256[:20], "fin-ws07", "j.doe", "8.8.8.8", "virustotal"):
        assert told in table
    assert hunts("evidence", day.macro(), "--files", str(folder)) == 6
    assert hunts("evidence", day.macro(), "--pcap", str(story)) == 6
    assert hunts("evidence", day.macro(), "--files", str(folder), "--filestore", str(tmp_path)) == 1


def in_ecs(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as the Elastic Agent integration stores it."""
    eve = {key: value for key, value in event.items() if key not in ("timestamp", "proto", "app_proto", "community_id")}
    ends = {
        side: {"ip": eve.pop(f"{name}_ip"), "port": eve.pop(f"{name}_port")}
        for side, name in (("source", "src"), ("destination", "dest"))
    }
    network = {"transport": event["proto"].lower(), "community_id": event["community_id"]}
    if "app_proto" in event:
        network["protocol"] = event["app_proto"].lower()
    moved: dict[str, Any] = {}
    if "http" in eve and event["event_type"] != "alert":
        http = eve.pop("http") | {}
        moved = {
            "url": {"domain": http.pop("hostname"), "original": http.pop("url")},
            "http": {"request": {"method": http.pop("http_method")}, "response": {"status_code": http.pop("status")}},
            "user_agent": {"original": http.pop("http_user_agent")},
        }
        eve["http"] = http
    if event["event_type"] == "flow":
        flow = eve["flow"] = dict(eve["flow"])
        moved["event"] = {"start": flow.pop("start"), "end": flow.pop("end")}
        for side, name in (("source", "toserver"), ("destination", "toclient")):
            ends[side] |= {"packets": flow.pop(f"pkts_{name}"), "bytes": flow.pop(f"bytes_{name}")}
    if event["event_type"] == "fileinfo":
        file = eve["fileinfo"] = dict(eve["fileinfo"])
        moved["file"] = {"path": file.pop("filename"), "size": file.pop("size")}
    eve["flow_id"] = str(eve["flow_id"])
    return {"@timestamp": event["timestamp"], **ends, "network": network, **moved, "suricata": {"eve": eve}}


@pytest.fixture
def agent_day(day_of_7: Day, shared: Path) -> Iterator[Day]:
    """Return the events of the client's download as Elastic Agent stores them, enriched."""
    with gzip.open(shared / "story" / "eve-suricata7.json.gz") as file:
        lines = [json.loads(line) for line in file if b"parcel-notice" in line or b'"dest_port":80' in line]
    place = day_of_7.place
    own = replace(settings_of(place), sources=(*day_of_7.settings.sources,))
    index = f"{stem_of(place)}agent-2026.11.02"
    flows = {line["flow_id"] for line in lines if "parcel-notice" in json.dumps(line)}
    events = [in_ecs(line) for line in lines if line.get("flow_id") in flows]
    body = [line for event in events for line in ({"index": {"_index": index}}, event)]
    assert place.siem.bulk(body, refresh="true") == []
    source = replace(own.sources[0], pattern=f"{stem_of(place)}agent-*", dialect="ecs")
    yield Day(place, replace(own, sources=(source,)))
    place.siem.call("DELETE", f"/{index}")


def test_events_of_elastic_agent_are_evidence_as_those_of_suricata(
    agent_day: Day, truth: dict[str, Any], shared: Path
) -> None:
    (hit,) = agent_day.search({"match": {"suricata.eve.alert.signature_id": MACRO}})
    check_macro(agent_day.gather(f"{hit['_index']}/{hit['_id']}"), truth, shared)
