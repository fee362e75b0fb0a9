"""A small office as Suricata 6, 7 and 8 logged it, DNS in every version of its log: one pass finds the same in each."""

import json
from collections import Counter
from pathlib import Path

import pytest
from organisation import install_and_load, new_place, office_settings, one_pass

from connector.hunts.passes.listing import list_findings

FILES = ("office-s6-dnsv1", "office-s6", "office-s7", "office-s8-dnsv2", "office-s8")
ENCRYPTED = {"dot": "dns-over-tls", "doh": "dns-over-https"}


@pytest.mark.parametrize("name", FILES)
def test_the_office_has_the_same_findings_in_every_version(
    each_engine: str, name: str, shared: Path, tmp_path: Path
) -> None:
    truth = json.loads((shared / "eve" / "office-truth.json").read_text(encoding="utf-8"))
    offences = [one for one in truth if not one["approved"]]
    with new_place(each_engine) as place:
        settings = office_settings(place, tmp_path)
        install_and_load(place.siem, settings, shared / "eve" / f"{name}.json.gz")
        assert one_pass(place.siem, settings).failed == ()
        findings = list_findings(place.siem, settings, events=True).findings
    plain = [finding for finding in findings if finding.hunt == "public-dns-queries"]
    assert sum(finding.count for finding in plain) == 25
    assert len({finding.group["hunt.client.ip"] for finding in plain}) == 5
    asked = Counter(
        (f.group["hunt.client.ip"], f.group["hunt.resolver.ip"], *f.department, event["shown"]["hostname_info.host"])
        for f in plain
        for event in f.events
    )
    assert asked == Counter(
        (one["client"], one["resolver"], one["dept"], one["name"]) for one in offences if one["kind"] == "dns"
    )
    encrypted = [finding for finding in findings if finding.hunt in ENCRYPTED.values()]
    assert sum(finding.count for finding in encrypted) == 6
    assert {(f.hunt, f.group["hunt.client.ip"], *f.values["hunt.server.ip"], *f.department) for f in encrypted} == {
        (ENCRYPTED[one["kind"]], one["client"], one["resolver"], one["dept"])
        for one in offences
        if one["kind"] in ENCRYPTED
    }
    assert {finding.hunt for finding in findings} == {"public-dns-queries", *ENCRYPTED.values()}
