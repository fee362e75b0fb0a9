"""What the catalogue covers: ATT&CK, event types and so on, and the filters of the two sets it follows."""

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from connector.cli import run
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.coverage import Known, coverage, known_techniques
from connector.hunts.conditions.condition import field_names
from connector.settings.model import Settings

FILTERS = Path(__file__).parents[1] / "data" / "covered_filters.csv"
CATALOGUE = load_catalogue(Settings())
ONE = CATALOGUE.named("public-dns-queries")
KNOWN = {
    "T1071.004": Known("Application Layer Protocol: DNS", ("command-and-control",)),
    "T1078": Known("Valid Accounts", ("persistence", "initial-access")),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Run in an empty folder with no settings in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HUNTS_CONFIG", raising=False)


def test_a_hunt_counts_under_each_technique_and_once_under_each_tactic():
    hunts = (
        replace(ONE, name="b", tags=("dns", "attack.t1071.004", "attack.t1078", "attack.persistence")),
        replace(ONE, name="a", tags=("attack.t1071.004", "attack.t9999", "attack.impact"), severity="high"),
        replace(ONE, name="c", tags=("dns",), event_types=("tls", "dns"), family="other"),
    )
    found = coverage(hunts, KNOWN)
    assert [(one.id, one.name, one.number, one.hunts) for one in found.techniques] == [
        ("T1071.004", "Application Layer Protocol: DNS", 2, ("a", "b")),
        ("T1078", "Valid Accounts", 1, ("b",)),
        ("T9999", "", 1, ("a",)),
    ]
    assert [(one.value, one.hunts) for one in found.tactics] == [
        ("command-and-control", ("a", "b")),
        ("impact", ("a",)),
        ("initial-access", ("b",)),
        ("persistence", ("b",)),
    ]
    assert [(one.value, one.number) for one in found.event_types] == [("dns", 3), ("tls", 1)]
    assert [(one.value, one.number) for one in found.severities] == [("high", 1), ("medium", 2)]
    assert [(one.value, one.number) for one in found.families] == [("policy", 2), ("other", 1)]
    assert (found.hunts, found.without_technique) == (3, ("c",))


def test_every_technique_and_tactic_that_a_hunt_names_is_known():
    known = known_techniques()
    found = coverage(CATALOGUE.hunts, known)
    assert [one.id for one in found.techniques if one.id not in known] == [], "add them to queries/attack.csv"
    tactics = {tactic for technique in known.values() for tactic in technique.tactics}
    assert {one.value for one in found.tactics} <= tactics
    assert all(one.name and one.tactics for one in known.values())


def test_list_coverage_prints_what_the_hunts_cover(capsys):
    assert run(("list", "--coverage", "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["hunts"] == len(CATALOGUE.hunts)
    dns = next(one for one in found["techniques"] if one["id"] == "T1071.004")
    assert dns["name"] == "Application Layer Protocol: DNS" and "public-dns-queries" in dns["hunts"]
    assert sum(one["number"] for one in found["severities"]) == found["hunts"]
    assert run(("list", "--coverage", "public dns queries")) == 0
    out = capsys.readouterr().out
    for words in ("T1071.004", "Application Layer Protocol: DNS", "ATT&CK tactic", "command-and-control", "1 hunts,"):
        assert words in out, words


def covered_filters():
    """Return the filters by set and number, each with the hunts that stand for it."""
    with FILTERS.open(encoding="utf-8", newline="") as file:
        return {(row["set"], int(row["number"])): row["hunts"].split() for row in csv.DictReader(file)}


def test_all_filters_of_both_sets_are_in_the_table_once():
    sets = Counter(which for which, _ in covered_filters())
    assert sets == {"community": 45, "trail": 41}
    assert sorted(covered_filters()) == [(which, n + 1) for which in sorted(sets) for n in range(sets[which])]


def test_what_the_catalogue_promises_is_there():
    assert len(CATALOGUE.hunts) >= 200
    asks = {
        h.name: {n.split(".")[:2][-1] for n in field_names(h.match) if n.startswith("hunt.")} for h in CATALOGUE.hunts
    }
    about_dns = [h for h in CATALOGUE.hunts if h.family == "dns" or asks[h.name] & {"dns", "resolver"}]
    assert len(about_dns) >= 80


def test_every_filter_has_its_hunts():
    names = {hunt.name for hunt in CATALOGUE.hunts}
    missing = {
        f"{which} {number}": lacking
        for (which, number), hunts in covered_filters().items()
        if (lacking := [name for name in hunts if name not in names] or ([] if hunts else ["no hunt"]))
    }
    assert missing == {}, f"hunts that are not there: {sorted({name for own in missing.values() for name in own})}"
