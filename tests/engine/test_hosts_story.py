"""Profiles of the story: they equal its truth, however the windows are cut, and lead from a finding to a user."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from organisation import install_and_load, new_place, one_pass, story_settings

from connector.hosts import build as building
from connector.hosts.build import DOCUMENT, Order, build
from connector.hosts.listing import list_hosts, profile
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.respond.evidence.gather import gather
from connector.respond.evidence.subject import subject_of
from connector.respond.person import person
from connector.settings.model import Settings
from connector.siem.client import Siem

WHOLE = 10**13
HUNT = "public-dns-queries"
THREAD = (HUNT, "hunting-signatures", "file-activity", "tls-beacon", "smtp-clear-text")
ROLES = {
    "dhcp": {"dhcp server"},
    "proxy": {"http proxy"},
    "domain-controller": {"domain controller", "dns resolver"},
    "file-server": {"file server"},
    "mail-server": {"mail server"},
    "legacy-application": {"web server"},
    "resolver": {"dns resolver"},
    "printer": {"printer"},
    "rogue": {"dhcp server", "dns resolver"},
}
SERVICES = {
    "gw1": {"udp/67"},
    "proxy1": {"tcp/3128"},
    "dc1": {"udp/53", "udp/88", "udp/123", "tcp/389"},
    "files1": {"tcp/21", "tcp/22", "tcp/445"},
    "mail1": {"tcp/25", "tcp/993"},
    "erp1": {"tcp/443"},
    "dns1": {"udp/53"},
    "dns2": {"udp/53"},
    "printer1": {"tcp/80", "tcp/631", "udp/161"},
    "visitor-ap": {"udp/53"},
    "fin-ws04": {"tcp/22"},  # an incident: somebody logs on from another workstation
}
NAMELESS = {"eng-lab01", "visitor-ap", "gw1", "proxy1", "nms1", "dns1", "dns2"}  # no event says their names
OTHERS = {"fin-ws02": {"help.desk"}, "fin-ws10": {"ledger"}}  # accounts of incidents beside the host's own


# an address as the engine prints it, its verdict, and its provider if there is one
RESOLVER = """
def said(def doc, String last) { def own = doc['hunt.resolver.' + last]; return own.size() == 0 ? '' : own.value; }
return said(doc, 'ip') + ' ' + said(doc, 'verdict') + ' ' + said(doc, 'provider');
"""


class Story:
    """The story in an engine."""

    def __init__(self, siem: Siem, settings: Settings, truth: dict[str, Any]) -> None:
        self.siem, self.settings, self.truth = siem, settings, truth
        while one_pass(siem, settings, THREAD).left_ms:  # a slow engine took long to load: one pass is not all of it
            pass
        build(siem, settings, whole(), datetime.now(UTC))
        self.profiles = profiles(self)


def whole() -> Order:
    """Return the order for one window over everything."""
    return Order(timedelta(), step=WHOLE)


def profiles(story: Story) -> dict[str, dict[str, Any]]:
    """Return the profiles as they are now."""
    hits = story.siem.scan(story.settings.state("hosts"), {"query": {"match_all": {}}})
    return {hit["_source"]["ip"]: hit["_source"]["host_id"] for hit in hits}


def forget(story: Story) -> None:
    """Delete all profiles."""
    every = {"query": {"match_all": {}}}
    story.siem.call("POST", f"/{story.settings.state('hosts')}/_delete_by_query", every, refresh=True)
    story.siem.call("DELETE", f"/{story.settings.state('state')}/_doc/{DOCUMENT}", refresh=True)


@pytest.fixture(scope="module")
def story(opensearch: str, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Return the story as Suricata 8 saw it."""
    truth = json.loads((shared / "story" / "truth.json").read_text(encoding="utf-8"))
    with new_place(opensearch) as place:
        settings = story_settings(place, tmp_path_factory.mktemp("story"), shared)
        install_and_load(place.siem, settings, shared / "story" / "eve-suricata8.json.gz")
        yield Story(place.siem, settings, truth)


def test_all_hosts_equal_the_truth(story: Story) -> None:
    assert len(story.truth["hosts"]) == 72
    for host in story.truth["hosts"]:
        own, name = story.profiles[host["ip"]], host["name"]
        assert (own["hostname"] != []) == (name not in NAMELESS), name
        if own["hostname"]:
            assert own["hostname"][0]["host"].split(".")[0] == name
        users = {one["user"] for one in own["username"]}
        assert users == ({host["user"]} if host["user"] else set()) | OTHERS.get(name, set()), name
        assert {role["name"] for role in own["roles"]} == ROLES.get(host["role"], set()), name
        assert {f"{one['proto']}/{one['port']}" for one in own["services"]} == SERVICES.get(name, set()), name
        macs = {one["address"] for one in own["mac"]}
        assert macs == ({host["mac"]} if host["role"] in ("workstation", "visitor") else set()), name
        if host["ip"].startswith("10.10."):
            assert {one["name"] for one in own["department"]} == {host["department"]}, name


def test_twenty_windows_killed_and_done_again_make_the_same(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    ingested = story.siem.search(
        story.settings.events,
        {"size": 0, "aggs": {w: {w: {"field": "hunt.ingested"}} for w in ("min", "max")}},
    )["aggregations"]
    step = int((ingested["max"]["value"] - ingested["min"]["value"]) / 20) + 1
    forget(story)
    now = datetime.now(UTC)
    written = building.change_many

    class Killed(BaseException):
        """The builder is cut off."""

    number = 0

    def killing(*arguments: Any) -> Any:
        """Write, and be killed each third time, before the watermark moves."""
        nonlocal number
        number += 1
        done = written(*arguments)
        if number % 3 == 0:
            raise Killed
        return done

    monkeypatch.setattr(building, "change_many", killing)
    windows = kills = 0
    while True:
        try:
            built = build(story.siem, story.settings, Order(timedelta(), step=step, most=1), now)
        except Killed:
            kills += 1
            continue
        windows += built.windows
        if not built.windows:
            break
    monkeypatch.undo()
    assert windows >= 10 and kills >= 4  # windows without an event are left out
    assert profiles(story) == story.profiles
    build(story.siem, story.settings, Order(timedelta(), since=now - timedelta(days=1)), now)
    assert profiles(story) == story.profiles


def test_every_resolver_is_kept_also_one_without_a_provider(story: Story) -> None:
    """The resolvers of each host are those of its events, counted by the engine one by one."""
    value = {"script": {"lang": "painless", "source": RESOLVER}, "size": 100}
    inside = {"terms": {"field": "hunt.client.ip", "size": 1000}, "aggs": {"resolvers": {"terms": value}}}
    wanted = {
        "bool": {"filter": [{"term": {"hunt.client.scope": "internal"}}, {"exists": {"field": "hunt.resolver.ip"}}]}
    }
    found = story.siem.search(story.settings.events, {"size": 0, "query": wanted, "aggs": {"clients": inside}})
    expected = {
        one["key"]: {each["key"] for each in one["resolvers"]["buckets"]}
        for one in found["aggregations"]["clients"]["buckets"]
    }
    kept = {
        ip: {f"{one['ip']} {one['verdict']} {one['provider']}" for one in host["resolver"]}
        for ip, host in story.profiles.items()
        if host.get("resolver")
    }
    assert kept == expected and "10.0.0.53 approved " in kept["10.10.10.17"]
    assert {text.split()[1] for own in kept.values() for text in own} >= {"approved", "public", "unapproved-internal"}


def test_nobody_is_expected_to_answer_what_goes_to_all(story: Story) -> None:
    silent = {one["ip"] for host in story.profiles.values() for one in host.get("unanswered", ())}
    # the office's networks are known by their addresses alone, and the last of one may be a host's
    assert silent == {"10.10.10.255", "10.10.20.255", "10.10.30.255", "10.10.40.255"}


def test_the_hosts_behind_a_hunt(story: Story) -> None:
    hunt = load_catalogue(story.settings).named(HUNT)
    found = list_hosts(story.siem, story.settings, of=hunt).hosts
    expected = [one for one in story.truth["incidents"].values() if one["kind"] == "public-dns" and one["violation"]]
    assert {row.ip for row in found} == {one["client"] for one in expected} and len(expected) == 6
    for one in expected:
        (row,) = [row for row in found if row.ip == one["client"]]
        assert any(text.startswith(one["resolver"]) for text in row.resolver)
        assert one["department"] in row.department
        assert row.hits == one["expect"]["dns_queries"]
        if ":" in one["client"]:
            assert (row.name, row.user) == (None, [])  # no event says whose this address is
        else:
            assert row.name == one["host"]
            assert one["user"] in row.user if one["user"] else row.user == []


def incident(story: Story, kind: str) -> dict[str, Any]:
    """Return what the truth says of an incident at the desk of j.doe."""
    return story.truth["incidents"][f"{kind}/fin-ws07"]


def test_a_user_is_a_time_line_from_the_queries_over_the_document_to_the_beacon(story: Story) -> None:
    found = person(story.siem, story.settings, "J.Doe")
    queries, macro, beacon = (incident(story, kind) for kind in ("public-dns", "macro-document", "beacon"))
    assert ([(row.ip, row.name) for row in found.hosts], found.hosts_left_out) == ([("10.10.10.17", "fin-ws07")], 0)
    steps = {step.hunt: step for step in found.thread.steps}
    asked, document, calls = (steps[hunt] for hunt in (HUNT, "file-activity", "tls-beacon"))
    assert [step.number for step in found.thread.steps] == list(range(1, len(found.thread.steps) + 1))
    assert asked.number < steps["hunting-signatures"].number < document.number < calls.number
    assert (asked.events, calls.events) == (queries["expect"]["dns_queries"], beacon["expect"]["tls"]) == (7, 120)
    for step, told in ((asked, queries), (document, macro), (calls, beacon)):
        assert (step.first[:18], step.last[:18]) == (told["first"][:18], told["last"][:18])
    for step, (name,) in ((document, macro["names"]), (calls, beacon["names"])):
        assert any(name in tie.values and asked.number in tie.steps for tie in step.ties)
        assert name in asked.only_here


def test_the_document_has_its_hash_and_its_flow(story: Story) -> None:
    found, macro = person(story.siem, story.settings, "j.doe"), incident(story, "macro-document")
    steps = {step.hunt: step.number for step in found.thread.steps}
    (one,) = [transfer for transfer in found.files if transfer.file.name == macro["url"]]
    assert one.file.sha256 == story.truth["files"][macro["file"]]["sha256"]
    assert one.file.path == f"{one.file.sha256[:2]}/{one.file.sha256}"
    assert set(one.steps) == {steps["hunting-signatures"], steps["file-activity"]}
    ends = f"tcp {one.client.replace(':', ' ')} {one.server.replace(':', ' ')}"
    assert ([ends], one.protocol) == (macro["flows"], "http")
    assert one.carried.startswith(f"GET {macro['names'][0]} {macro['url']}")


def test_all_events_that_name_a_user_count_and_a_time_bounds_all(story: Story) -> None:
    found = person(story.siem, story.settings, "j.doe")
    assert len(found.events) + found.events_left_out >= 9 + 3  # Kerberos replies and SMB sessions
    noon = person(story.siem, story.settings, "j.doe", datetime(2026, 11, 2, 14, tzinfo=UTC))
    steps = {step.hunt for step in noon.thread.steps}
    assert {HUNT, "tls-beacon"} <= steps and not {"file-activity", "hunting-signatures"} & steps
    assert (noon.files, len(noon.events) < len(found.events)) == ((), True)
    assert 0 < sum(noon.kinds.values()) < sum(found.kinds.values())
    none = person(story.siem, story.settings, "nobody.here")
    assert (none.hosts, none.thread.steps, none.events, none.kinds, none.thread.notes) == ((), (), (), {}, ())


def test_evidence_has_the_hosts_profile(story: Story) -> None:
    query = {"bool": {"filter": [{"term": {"event_type.keyword": "smb"}}, {"term": {"hunt.server.ip": "10.0.0.20"}}]}}
    (hit,) = story.siem.search(story.settings.events, {"query": query, "size": 1})["hits"]["hits"]
    for ip, services in (("10.10.10.17", set()), ("10.0.0.20", SERVICES["files1"])):
        subject = subject_of(story.siem, story.settings, f"{hit['_index']}/{hit['_id']}")
        about = replace(subject, about={"hunt.client.ip": ip})
        own = gather(story.siem, story.settings, about, datetime.now(UTC)).host.profile
        assert {one.value for one in own.services} == services
        assert own.names[0].value.split(".")[0] == ("files1" if services else "fin-ws07")
        assert {one.value for one in own.users} == (set() if services else {"j.doe"})
        assert {(one.value, one.by) for one in own.roles} == (
            {("file server", ("offers SMB or NFS",))} if services else set()
        )


def test_filters(story: Story) -> None:
    def ips(*asked: str) -> set[str]:
        return {row.ip for row in list_hosts(story.siem, story.settings, asked).hosts}

    assert ips("roles=domain controller") == ips("domain contr") == {"10.0.0.10"}
    assert ips("port=3128") == {"10.0.0.8"}
    assert ips("username=j.d*") == ips("j.doe") == {"10.10.10.17"}
    assert ips("services_count>=4") == {"10.0.0.10"}
    assert ips("10.0.0.0/24", "roles=dns resolver") == {"10.0.0.10", "10.0.0.53", "10.0.0.54"}


def test_a_profile_has_findings_beside_it(story: Story) -> None:
    found = profile(story.siem, story.settings, "10.10.10.17")
    assert HUNT in {one["hunt"]["name"] for one in found.findings}
    assert found.host_id["hostname_count"] == 1


def test_the_commands_print(story: Story) -> None:
    assert "fin-ws07" in hunts(story, "host", "10.10.10.17")
    assert "finance" in hunts(story, "hosts", "--of", HUNT)
    assert "10.10.10.17,fin-ws07" in hunts(story, "hosts", "j.doe", "--csv")
    of_hunt = hunts(story, "hosts", "--of", HUNT)
    for told in ("fin-ws07", "j.doe", "finance", "8.8.8.8", "hr-ws03", "s.lister", "visitor03", "guest", "n.yarrow"):
        assert told in of_hunt
    own = hunts(story, "user", "j.doe")
    sha256 = story.truth["files"]["invoice-2026.docm"]["sha256"]
    for told in ("Public DNS queries", "invoice-2026.docm", sha256[:12], "198.51.100.77:80", "203.0.113.66", "120"):
        assert told in own
    printed = json.loads(hunts(story, "user", "j.doe", "--json"))
    assert (printed["user"], printed["files"][0]["file"]["sha256"]) == ("j.doe", sha256)
    assert "up to date" in hunts(story, "hosts", "build", "--lag", "1d")


def hunts(story: Story, *arguments: str) -> str:
    """Return what the command line prints."""
    command = [sys.executable, "-c", "import connector.cli as cli; cli.main()", "--settings", story.settings.file or ""]
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True, env=environment)
    return done.stdout
