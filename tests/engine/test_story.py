"""A day of an organisation through the real pipeline: one pass finds what `truth.json` says, and nothing else."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from organisation import install_and_load, new_place, one_pass, story_settings

from connector.hosts import build as profiles_of
from connector.hunts.asking import profiles
from connector.hunts.asking.looking import Search, look
from connector.hunts.asking.questions import Known
from connector.hunts.asking.run import HuntRun, Span, run_hunts
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.checking.lint import EVENT_TYPES
from connector.hunts.conditions.host_fields import host_leaves
from connector.hunts.passes.listing import Finding, count_findings, list_findings
from connector.hunts.passes.passes import Pass
from connector.respond.tags.conditions import typed
from connector.respond.tags.extent import Extent
from connector.respond.tags.rules import rule_of
from connector.respond.tags.tagging import preview_tag
from connector.settings.model import Settings
from connector.siem.client import Siem

ENCRYPTED = ("dns-over-tls", "dns-over-https", "dns-over-quic", "dnscrypt")
SEEN = {  # what the roles of the truth are seen as
    "domain-controller": {"domain controller", "dns resolver"},
    "resolver": {"dns resolver"},
    "rogue": {"dhcp server", "dns resolver"},
    "dhcp": {"dhcp server"},
    "printer": {"printer"},
    "proxy": {"http proxy"},
    "file-server": {"file server"},
    "mail-server": {"mail server"},
    "legacy-application": {"web server"},
}
MANY = {"domain-controller", "file-server", "printer"}  # they offer three services or more
KINDS = {"dot": "dns-over-tls", "doh": "dns-over-https", "doh3": "dns-over-https", "doq": "dns-over-quic"}


class Story:
    """The story as it was found: the pass, its findings, and the truth."""

    def __init__(self, siem: Siem, settings: Settings, truth: dict[str, Any]) -> None:
        self.siem, self.settings, self.truth = siem, settings, truth
        self.done: Pass = one_pass(siem, settings)
        self.findings = list_findings(siem, settings, events=True).findings

    def of(self, *hunts: str) -> list[Finding]:
        """Return the findings of some hunts."""
        return [finding for finding in self.findings if finding.hunt in hunts]

    def incidents(self, *kinds: str) -> list[dict[str, Any]]:
        """Return what the truth says of some kinds, without what is allowed."""
        return [one for one in self.truth["incidents"].values() if one["kind"] in kinds and one["violation"]]


@pytest.fixture(
    scope="module", params=[("opensearch", "7"), ("opensearch", "8"), ("elasticsearch7", "8")], ids="-suricata".join
)
def story(request: pytest.FixtureRequest, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Return the story as Suricata saw it: both versions, and both products."""
    product, version = request.param
    truth = json.loads((shared / "story" / "truth.json").read_text(encoding="utf-8"))
    with new_place(request.getfixturevalue(product)) as place:
        settings = story_settings(place, tmp_path_factory.mktemp("story"), shared)
        install_and_load(place.siem, settings, shared / "story" / f"eve-suricata{version}.json.gz")
        yield Story(place.siem, settings, truth)


def test_the_pass_asks_every_hunt_of_every_event(story: Story) -> None:
    assert story.done.events == story.siem.count(story.settings.events, {"match_all": {}})
    assert story.done.failed == ()
    assert [hunt.trouble for hunt in story.done.hunts if hunt.trouble] == []
    assert len(story.done.hunts) >= 12


def test_thirty_plain_queries_by_six_clients_to_public_resolvers(story: Story) -> None:
    found = story.of("public-dns-queries")
    expected = story.incidents("public-dns")
    assert sum(finding.count for finding in found) == 30
    assert {group(f): (f.count, f.department) for f in found} == {
        (one["client"], one["resolver"]): (one["expect"]["dns_queries"], [one["department"]]) for one in expected
    }
    assert len(expected) == 6
    for one in expected:
        (finding,) = [f for f in found if f.group["hunt.client.ip"] == one["client"]]
        assert finding.values["hostname_info.host"] == sorted(set(one["names"]))
        assert [event["shown"]["hostname_info.host"] for event in finding.events] == one["names"]
        assert (finding.first or "")[:19] == one["first"][:19]


def test_the_thread_of_the_story(story: Story) -> None:
    (finding,) = [f for f in story.of("public-dns-queries") if f.group["hunt.client.ip"] == "10.10.10.17"]
    assert finding.count == 7
    assert finding.department == ["finance"]
    assert finding.values["hunt.resolver.provider"] == ["Google Public DNS"]


def test_encrypted_dns_by_four_clients(story: Story) -> None:
    found = story.of(*ENCRYPTED)
    assert len({finding.group["hunt.client.ip"] for finding in found}) == 4
    for kind, hunt in KINDS.items():
        for one in story.incidents(kind):
            (finding,) = [
                f for f in story.of(hunt) if f.group["hunt.client.ip"] == one["client"] and at(f, one["resolver"])
            ]
            assert finding.count == one["expect"].get("tls", one["expect"]["flows"])
            assert finding.department == [one["department"]]
    assert sum(f.count for f in story.of(*KINDS.values())) == 3 + 2 + 4 + 2 + 2


def test_dnscrypt(story: Story) -> None:
    (one,) = story.incidents("dnscrypt")
    (finding,) = story.of("dnscrypt")
    assert (finding.group["hunt.client.ip"], finding.department) == (one["client"], [one["department"]])
    assert finding.values["hunt.server.ip"] == [one["resolver"]]
    assert finding.count == one["expect"]["flows"]
    assert finding.values["hunt.resolver.provider"] == ["Cisco OpenDNS / Umbrella"]


def test_the_rogue_resolver(story: Story) -> None:
    (one,) = story.incidents("rogue-resolver")
    (finding,) = story.of("unapproved-internal-resolver")
    assert finding.group == {"hunt.resolver.ip": "10.10.40.66"}
    assert (finding.count, finding.department) == (one["expect"]["dns_answers"], ["guest"])
    assert finding.values["hunt.client.ip"] == one["clients"]


def test_the_queries_straight_to_authoritative_servers(story: Story) -> None:
    found = story.of("unlisted-external-dns")
    assert {finding.group["hunt.client.ip"] for finding in found} == {"10.10.20.24"}
    assert sum(finding.count for finding in found) == 3
    assert {tuple(finding.department) for finding in found} == {("engineering",)}


def test_the_tunnel_the_burst_and_the_dynamic_names(story: Story) -> None:
    (tunnel,) = story.of("dns-tunnel-long-labels")
    assert (tunnel.group["hunt.client.ip"], tunnel.count, tunnel.department) == ("10.10.30.19", 300, ["hr"])
    (burst,) = story.of("dga-nxdomain-burst")
    assert (burst.group["hunt.client.ip"], burst.count, burst.department) == ("10.10.10.22", 180, ["finance"])
    assert burst.events_not_kept == 80
    dynamic = story.of("dynamic-dns")
    assert sum(finding.count for finding in dynamic) == 12
    assert {finding.group["hunt.client.ip"] for finding in dynamic} == {"10.0.0.20"}


def test_nothing_of_what_is_allowed_is_found(story: Story) -> None:
    allowed = {"10.10.20.60", "10.0.0.53", "10.0.0.54", "10.0.0.10"}
    assert [f for f in story.findings if f.group.get("hunt.client.ip") in allowed] == []
    offenders = {one["client"] for one in story.incidents(*(i["kind"] for i in story.truth["incidents"].values()))}
    assert {client for f in story.findings if (client := f.group.get("hunt.client.ip"))} <= offenders


def test_findings_by_department(story: Story) -> None:
    counted = count_findings(story.siem, story.settings, "hunt.client.department")
    expected: Counter[str] = Counter()
    for finding in story.findings:
        expected.update(finding.values["hunt.client.department"])
    assert {row.value: row.findings for row in counted.values} == expected
    assert set(expected) == {"finance", "engineering", "hr", "guest", "servers"}


def test_run_lists_exactly_the_events(story: Story) -> None:
    printed = hunts(story, "run", "public-dns-queries", "--all-time", "--json")
    (result,) = json.loads(printed)["hunts"]
    names = sorted(name for one in story.incidents("public-dns") for name in one["names"])
    assert sorted(event["shown"]["hostname_info.host"] for event in result["events"]) == names
    assert (result["status"], result["hits"], result["events_left_out"]) == ("findings", 30, 0)
    kept = {event["id"] for finding in story.of("public-dns-queries") for event in finding.events}
    assert {event["id"] for event in result["events"]} == kept


def test_the_commands_print_tables(story: Story) -> None:
    hunts(story, "pass", "--lag", "1d")  # a slot may have ended while passes before this were made
    assert "nothing new" in hunts(story, "pass", "--lag", "1d")
    assert "0 events" in hunts(story, "pass", "--lag", "0s")
    table = hunts(story, "findings", "public-dns-queries")
    assert all(word in table for word in ("10.10.10.17, 8.8.8.8", "medium", "open", "finance"))
    assert "engineering" in hunts(story, "findings", "--by", "hunt.client.department")
    assert "DNS over TLS" in hunts(story, "run", "all", "--all-time")


def hunts(story: Story, *arguments: str) -> str:
    """Return what the command line prints."""
    command = [sys.executable, "-c", "import connector.cli as cli; cli.main()", "--settings", story.settings.file or ""]
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True, env=environment)
    return done.stdout


def group(finding: Finding) -> tuple[str | None, ...]:
    """Return the values a finding is grouped by."""
    return tuple(finding.group.values())


def at(finding: Finding, resolver: str) -> bool:
    """Tell whether the finding is about that resolver."""
    return resolver in finding.values["hunt.server.ip"]


# ---- what hunts ask of hosts; the first of these tests is before there are profiles


def asking(text: str) -> Hunt:
    """Return a condition as a hunt of events of every type."""
    return replace(typed(text, None, {}, ()), event_types=tuple(sorted(EVENT_TYPES)))


def ran(story: Story, *hunts: Hunt) -> tuple[HuntRun, ...]:
    """Return what hunts find in all events."""
    return run_hunts(story.siem, story.settings, hunts, Span(), progress=lambda *_: None, limit=5).hunts


def test_without_profiles_a_hunt_says_what_it_needs(story: Story) -> None:
    role, either = "{hunt.client.host.roles: mail server}", "{hunt.client.role: mail-server}"
    alone, beside = ran(story, asking(role), asking(f"any: [{role}, {either}]"))
    assert "`hunts hosts build`" in alone.status and "hunt.client.host.roles" in alone.status
    assert beside.limits == (f"{alone.status}; the hunt was asked without it",)
    (plain,) = ran(story, asking(either))
    assert beside.matching == plain.matching > 0


@pytest.fixture(scope="module")
def profiled(story: Story) -> Story:
    """Return the story with profiles of its hosts."""
    order = profiles_of.Order(timedelta(), step=10**13)
    profiles_of.build(story.siem, story.settings, order, datetime.now(UTC))
    return story


def sides(story: Story) -> Counter[tuple[str | None, str | None]]:
    """Return the number of events by client and server."""
    sources = [{side: {"terms": {"field": f"hunt.{side}.ip", "missing_bucket": True}}} for side in ("client", "server")]
    composite: dict[str, Any] = {"size": 5000, "sources": sources}
    found: Counter[tuple[str | None, str | None]] = Counter()
    while True:
        body = {"size": 0, "aggs": {"sides": {"composite": composite}}}
        page = story.siem.search(story.settings.events, body)["aggregations"]["sides"]
        for bucket in page["buckets"]:
            found[bucket["key"]["client"], bucket["key"]["server"]] += bucket["doc_count"]
        if len(page["buckets"]) < 5000:
            return found
        composite["after"] = page["after_key"]


def test_what_is_asked_of_hosts_equals_a_plain_count_by_the_truth(profiled: Story) -> None:
    events = sides(profiled)
    hosts = profiled.truth["hosts"]

    def count(fits: Callable[[dict[str, Any]], bool], *, client: bool = True, server: bool = True) -> int:
        """Return the number of events with a host that fits on one of the sides."""
        ips = {host["ip"] for host in hosts if fits(host)}
        return sum(number for (c, s), number in events.items() if (client and c in ips) or (server and s in ips))

    def seen(*roles: str) -> Callable[[dict[str, Any]], bool]:
        """Return whether a host has one of the roles."""
        return lambda host: bool(SEEN.get(host["role"], set()) & set(roles))

    expected = {
        "{hunt.client.host.roles: domain controller}": count(seen("domain controller"), server=False),
        "{hunt.server.host.roles: {any_of: [printer, mail server]}}": count(
            seen("printer", "mail server"), client=False
        ),
        "{host.roles: dns resolver}": count(seen("dns resolver")),
        "{none: [{host.roles: dns resolver}]}": events.total() - count(seen("dns resolver")),
        "{hunt.server.host.roles: {exists: true}}": count(lambda host: host["role"] in SEEN, client=False),
        "{hunt.server.host.roles: {prefix: DNS}}": count(seen("dns resolver"), client=False),
        "{hunt.client.host.username: j.doe}": count(lambda host: host["user"] == "j.doe", server=False),
        "{hunt.server.host.services.port: 3128}": count(lambda host: host["role"] == "proxy", client=False),
        "{hunt.server.host.services_count: {gte: 3}}": count(lambda h: h["role"] in MANY, client=False),
        "{hunt.client.host.roles: scanner}": 0,
    }
    found = ran(profiled, *map(asking, expected))
    assert {text: one.matching for text, one in zip(expected, found, strict=True)} == expected
    assert [one.limits for one in found] == [()] * len(found)
    assert all([*expected.values()][:-1]) and found[-1].status == "no findings"


def test_guide_steps_and_tags_ask_of_hosts_too(profiled: Story) -> None:
    hunt = asking("{hunt.client.host.roles: mail server}")
    (run,) = ran(profiled, hunt)
    (step,) = look(profiled.siem, profiled.settings, [Search(hunt, None, None)], 5)
    assert step.events == run.matching > 0
    now = datetime.now(UTC)
    rule = rule_of(hunt, "relevant", "ana", now, "", Extent.wanted(now, True, None, True))
    told = preview_tag(profiled.siem, profiled.settings, hunt, rule)
    assert told.tagged == run.matching
    assert told.by_pass == (
        "hunt.client.host.roles is looked up in the profiles of hosts when a hunt is asked, not while an event is "
        "written"
    )
    nobody = asking("{hunt.client.host.roles: scanner}")
    told = preview_tag(profiled.siem, profiled.settings, nobody, rule_of(nobody, "relevant", "ana", now, ""))
    assert (told.matching, told.tagged) == (0, 0)


def test_more_hosts_than_a_search_can_name_are_told(profiled: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "MOST", 3)
    many, few = ran(profiled, asking("{host.roles: dns resolver}"), asking("{host.roles: printer}"))
    assert "4 hosts have it, and a search can name 3" in many.status and many.matching == 0
    assert few.status == "findings"


def test_what_passes_know_follows_the_profiles(profiled: Story) -> None:
    hunts, known = [asking("{hunt.client.host.roles: scanner}"), asking("{event_type: dns}")], Known()
    known.learn(profiled.siem, profiled.settings, hunts)
    before = known.asked
    known.learn(profiled.siem, profiled.settings, hunts)
    assert known.asked is before and before[0].questions == () and before[0].trouble == ""
    host = {"ip": "10.99.0.1", "host_id": {"first_seen": "2026-11-02T00:00:00Z", "roles": [{"name": "scanner"}]}}
    profiled.siem.put(profiled.settings.state("hosts"), "10.99.0.1", host, refresh=True)
    known.learn(profiled.siem, profiled.settings, hunts)
    assert "10.99.0.1" in str(known.asked[0].questions[0].compiled.query)


def test_the_hunts_that_ask_of_hosts_are_quiet_or_say_something_true(profiled: Story) -> None:
    catalogue = load_catalogue(profiled.settings)
    own = [hunt for hunt in catalogue.hunts if any(host_leaves(hunt.match))]
    assert len(own) >= 7
    own = [hunt.with_lists({"operating-system-vendors": ("vendor-os.example",)}) for hunt in own]  # the invented one
    found = {one.name: {tuple(g.group.values()) for g in one.groups} for one in ran(profiled, *own) if one.groups}
    assert found == {}
