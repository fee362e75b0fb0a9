"""`hunts demo`, run as a new user runs it: its findings are the truth of the office day."""

import json
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

import connector.demo

TRUTH = json.loads((Path(connector.demo.__file__).parent / "office-day" / "truth.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def story() -> dict[str, Any]:
    """Return what the demo says, as JSON."""
    command = [sys.executable, "-c", "from connector.cli import main; main()", "demo", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def incidents(kind: str) -> dict[str, dict[str, Any]]:
    """Return the incidents of a kind by client address."""
    return {v["client"]: v for v in TRUTH["incidents"].values() if v["kind"] == kind}


def by_client(story: dict[str, Any], hunt: str) -> dict[str, dict[str, Any]]:
    """Return the findings of a hunt by client address."""
    mine = [f for f in story["findings"] if f["hunt"] == hunt]
    return {str(ip_address(f["group"]["hunt.client.ip"])): f for f in mine}


def test_every_event_is_there(story: dict[str, Any]) -> None:
    assert story["events"] == 49_668


def test_public_queries_equal_the_truth(story: dict[str, Any]) -> None:
    wanted, found = incidents("public-dns"), by_client(story, "public-dns-queries")
    assert {c: f["count"] for c, f in found.items()} == {c: w["expect"]["dns_queries"] for c, w in wanted.items()}
    assert {c: f["department"] for c, f in found.items()} == {c: [w["department"]] for c, w in wanted.items()}
    assert sum(f["count"] for f in found.values()) == 30


@pytest.mark.parametrize(
    ("hunt", "kinds"),
    [
        ("dns-over-tls", ["dot"]),
        ("dns-over-https", ["doh", "doh3"]),
        ("dns-over-quic", ["doq"]),
        ("dnscrypt", ["dnscrypt"]),
    ],
)
def test_encrypted_dns_equals_the_truth(story: dict[str, Any], hunt: str, kinds: list[str]) -> None:
    wanted = {client: w for kind in kinds for client, w in incidents(kind).items()}
    found = by_client(story, hunt)
    assert {c: f["department"] for c, f in found.items()} == {c: [w["department"]] for c, w in wanted.items()}


def test_the_six_hosts_behind_it_are_named(story: dict[str, Any]) -> None:
    wanted, found = incidents("public-dns"), {row["ip"]: row for row in story["hosts"]}
    assert found.keys() == wanted.keys() and len(found) == 6
    for ip, one in wanted.items():
        row = found[ip]
        assert (row["department"], row["hits"]) == ([one["department"]], one["expect"]["dns_queries"])
        assert any(text.startswith(one["resolver"]) for text in row["resolver"])
        assert row["name"] == (None if ":" in ip else one["host"])  # no event names the IPv6 address
        assert one["user"] in row["user"] or not one["user"] or ":" in ip


def test_the_users_time_line_leads_from_the_queries_to_the_document_and_the_beacon(story: dict[str, Any]) -> None:
    person = story["person"]
    steps = {step["hunt"]: step for step in person["thread"]["steps"]}
    asked, document, calls = (steps[hunt] for hunt in ("public-dns-queries", "file-activity", "tls-beacon"))
    assert (person["user"], asked["events"], calls["events"]) == ("j.doe", 7, 120)
    assert asked["number"] < document["number"] < calls["number"]
    assert [f["file"]["sha256"] for f in person["files"]] == [TRUTH["files"]["invoice-2026.docm"]["sha256"]]


def test_tags_declarations_and_deliveries(story: dict[str, Any]) -> None:
    assert (story["tagged"]["tagged"], story["tagged"]["left"]) == (30, 0)
    assets = {str(ip_address(d["asset"])): d["count"] for d in story["declared"]["declarations"]}
    assert assets == {c: w["expect"]["dns_queries"] for c, w in incidents("public-dns").items()}
    assert {d["status"] for d in story["deliveries"]} == {"delivered"}
    assert {r["id"] for r in story["received"]} == {d["id"] for d in story["deliveries"]}
    assert len(story["received"]) == 6
