"""The hunts on whole captures, in plain Python: exactly what the truth says, the same from every Suricata version."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from connector.enrich.reference import enrich
from connector.enrich.tables import Tables, build_tables
from connector.hunts.asking.groups import groups
from connector.hunts.asking.profiles import Hosts, with_hosts
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.checking.cases import NOW, example_settings, example_tables
from connector.hunts.conditions.address import plain_address

OFFICE = ("office-s6-dnsv1", "office-s6", "office-s7", "office-s8-dnsv2", "office-s8")
# kind of a story's incident → the hunt that claims it, and the key of `expect` that says how many events it finds
CLAIMED = {
    "public-dns": ("public-dns-queries", "dns_queries"),
    "direct-authoritative": ("unlisted-external-dns", "dns_queries"),
    "dot": ("dns-over-tls", "tls"),
    "doh": ("dns-over-https", "tls"),
    "doh3": ("dns-over-https", "quic_flows"),
    "doq": ("dns-over-quic", "flows"),
    "dnscrypt": ("dnscrypt", "flows"),
    "rogue-resolver": ("unapproved-internal-resolver", "dns_answers"),
    "dns-tunnel": ("dns-tunnel-long-labels", "dns_queries"),
    "dynamic-dns": ("dynamic-dns", "dns_queries"),
    "nxdomain-burst": ("dga-nxdomain-burst", "nxdomain"),
    "dns-rebinding": ("dns-rebinding", "private_answers"),
    "beacon": ("tls-beacon", "tls"),
    "obsolete-tls": ("old-tls-versions", "tls"),
    "cleartext-ftp": ("clear-text-logins", "fileinfo"),
}
# the other incidents: hunts that find them among other things, and a group of theirs that has the incident's host
AMONG = {
    "scripted-agent/hr-ws02": ("scripted-user-agents", ("10.10.30.12", "curl/8.5.0")),
    "executable/hr-ws05": ("executable-over-http", ("10.10.30.15", "dl.free-viewer.test")),
    "ssh-server/fin-ws04": ("workstation-to-workstation", ("10.10.20.12", "10.10.10.14", 22)),
    "macro-document/fin-ws07": (
        "hunting-signatures",
        ("STORY HUNT Office document with an embedded VBA project, downloaded over HTTP", "10.10.10.17"),
    ),
}
# as the organisation fills them
LISTS = {
    "internal-zones": ("corp.example",),
    "own-domains": ("corp.example",),
    "operating-system-vendors": ("vendor-os.example",),
}


def enriched(path: Path, tables: Tables) -> list[dict]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [enrich(json.loads(line), tables, NOW) for line in lines]


SERIOUS = ("medium", "high", "critical")


def serious_elsewhere(counted: dict[str, Counter], concerned: set[str]) -> dict[str, set[str]]:
    """Return what hunts of medium severity and more find at hosts that no label concerns."""
    hunts = {hunt.name: hunt for hunt in load_catalogue(example_settings()).hunts}
    by_host = {name: c for name, c in counted.items() if "ip" in hunts[name].group_by[0].split(".")[-1]}
    found = {n: set(map(str, c)) - concerned for n, c in by_host.items() if hunts[n].severity in SERIOUS}
    return {name: hosts for name, hosts in found.items() if hosts}


NEEDED = {hunt for hunt, _ in CLAIMED.values()} | {"dns-tunnel-txt"}


def hunts_set_up(hosts: Hosts) -> list[Hunt]:
    """Return the hunts, with the lists that the organisation fills; not those that need others."""
    filled = (hunt.with_lists(LISTS) for hunt in load_catalogue(example_settings()).hunts)
    return [with_hosts(hunt, hosts) for hunt in filled if not hunt.not_set_up]


def found(events: list[dict], hosts: Hosts, every: bool = True) -> dict[str, Counter]:
    """Return for each hunt, or each stable one, how many events it finds, by the first field of its groups."""
    counted = {}
    for hunt in hunts_set_up(hosts):
        if not every and hunt.name not in NEEDED and hunt.status != "stable":
            continue
        first = hunt.group_by[0]
        counted[hunt.name] = Counter()
        for group in groups(hunt, events):
            counted[hunt.name][group.values[first]] += len(group.events)
    return counted


@pytest.mark.parametrize("name", OFFICE)
def test_the_small_office(shared, name):
    tables = build_tables(replace(example_settings(), exceptions=()))
    counted = found(enriched(shared / "eve" / f"{name}.json.gz", tables), {})
    truth = json.loads((shared / "eve" / "office-truth.json").read_text(encoding="utf-8"))
    for kind, hunt in {"dns": "public-dns-queries", "dot": "dns-over-tls", "doh": "dns-over-https"}.items():
        assert counted.pop(hunt) == Counter(t["client"] for t in truth if t["kind"] == kind and not t["approved"])
    assert {hunt: counted[hunt] for hunt, _ in CLAIMED.values() if counted.get(hunt)} == {}
    offenders = {t["client"] for t in truth if not t["approved"]}
    assert serious_elsewhere(counted, offenders) == {}


@pytest.mark.parametrize("version", ["suricata7", "suricata8"])
def test_the_office_day(shared, version):
    events = enriched(shared / "story" / f"eve-{version}.json.gz", example_tables())
    truth = json.loads((shared / "story" / "truth.json").read_text(encoding="utf-8"))
    hosts = {host["ip"]: {"roles": [host["role"].replace("-", " ")]} for host in truth["hosts"]}
    for name, group in AMONG.values():
        (hunt,) = (hunt for hunt in hunts_set_up(hosts) if hunt.name == name)
        assert group in {tuple(each.values.values()) for each in groups(hunt, events)}, name
    counted = found(events, hosts, every=version == "suricata8")
    expected: dict[str, Counter] = {hunt: Counter() for hunt, _ in CLAIMED.values()}
    for incident in truth["incidents"].values():
        if incident["kind"] in CLAIMED:
            hunt, key = CLAIMED[incident["kind"]]
            expected[hunt][plain_address(incident["client"])] += incident["expect"][key]
    assert counted.pop("dns-tunnel-txt").keys() == {"10.10.30.19"}
    assert {hunt: counted[hunt] for hunt in expected} == expected
    kinds = {i["kind"] for i in truth["incidents"].values() if i["violation"]}
    assert kinds == {*CLAIMED, *(label.split("/")[0] for label in AMONG)}
    labelled = [i for i in truth["incidents"].values() if i["violation"]]
    concerned = {plain_address(host) for i in labelled for host in addresses(i)}
    assert serious_elsewhere(counted, concerned) == {}
    assert sum(expected["public-dns-queries"].values()) == 30 and len(expected["public-dns-queries"]) == 6


def addresses(incident: dict) -> set[str]:
    """Return every address of an incident: its client, those around it, and the ends of its flows."""
    named = {incident[key] for key in ("client", "peer", "resolver", "server") if incident.get(key)}
    flows = {flow.split()[place] for flow in incident["flows"] for place in (1, 3)}
    return named | set(incident.get("clients", ())) | flows
