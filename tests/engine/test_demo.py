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


def test_the_host_behind_it_and_its_document(story: dict[str, Any]) -> None:
    wanted = TRUTH["incidents"]["public-dns/fin-ws07"]
    host = story["around"]
    assert (host["ip"], host["names"], host["users"]) == (wanted["client"], [wanted["host"]], [wanted["user"]])
    assert [f["sha256"] for f in host["files"]] == [TRUTH["files"]["invoice-2026.docm"]["sha256"]]


def test_tags_declarations_and_deliveries(story: dict[str, Any]) -> None:
    assert (story["tagged"]["tagged"], story["tagged"]["left"]) == (30, 0)
    assets = {str(ip_address(d["asset"])): d["count"] for d in story["declared"]["declarations"]}
    assert assets == {c: w["expect"]["dns_queries"] for c, w in incidents("public-dns").items()}
    assert {d["status"] for d in story["deliveries"]} == {"delivered"}
    assert {r["id"] for r in story["received"]} == {d["id"] for d in story["deliveries"]}
    assert len(story["received"]) == 6
