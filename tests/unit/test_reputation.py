"""Reputation without a network: what is looked up, what is private, what an answer says, quota, and warning lists."""

import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from connector.errors import Refused
from connector.respond.reputation import warning_lists
from connector.respond.reputation.answer import answer_of
from connector.respond.reputation.lookup import LookedUp, name_tables, own_names, value_of
from connector.respond.reputation.of_declarations import indicators
from connector.respond.reputation.quota import NOTHING, taken
from connector.respond.reputation.values import Own, Value, private
from connector.settings.load import read_settings
from connector.settings.model import Network, ReputationSettings, Settings

SHA256 = "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"
NOW = datetime(2026, 11, 3, 10, tzinfo=UTC)
LIMITS = ReputationSettings(key="k", per_minute=4, per_day=10)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("Example.ORG.", "domain", "example.org"),
        ("hxxps://files[.]example[.]org:8443/a/b?c=d", "domain", "files.example.org"),
        ("hXXp[:]//evil(dot)example{.}org/x", "domain", "evil.example.org"),
        ("http://user:pw@host.example.org/", "domain", "host.example.org"),
        ("example[.]org/path", "domain", "example.org"),
        ("bücher.example.org", "domain", "xn--bcher-kva.example.org"),
        (" 198.51.100[.]7 ", "ip", "198.51.100.7"),
        ("198.51.100.7:443", "ip", "198.51.100.7"),
        ("2001:DB8:0::1", "ip", "2001:db8::1"),
        ("hxxp://[2001:db8::1]:80/", "ip", "2001:db8::1"),
        ("::ffff:198.51.100.7", "ip", "198.51.100.7"),
        (SHA256.upper(), "file", SHA256),
        ("d41d8cd98f00b204e9800998ecf8427e", "file", "d41d8cd98f00b204e9800998ecf8427e"),
        ("da39a3ee5e6b4b0d3255bfef95601890afd80709", "file", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    ],
)
def test_a_value_is_recognised_as_people_write_it(text, kind, value):
    assert value_of(text) == Value(kind, value)


@pytest.mark.parametrize(
    "text", ["", ".", "host", "a b", "10.0.0.0/8", "10.1", "x" * 3000, "a@b", "\x1b[31m", "{{x}}", "/"]
)
def test_what_is_none_of_them_is_refused(text):
    with pytest.raises(Refused):
        value_of(text)


OWN = Own((ip_network("203.0.112.0/22"), ip_network("2a00:1::/32")), {"corp-example.com", "22.172.in-addr.arpa"})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.1.2.3", "private or special"),
        ("127.0.0.1", "private or special"),
        ("169.254.1.1", "private or special"),
        ("100.64.0.1", "private or special"),
        ("224.0.0.251", "private or special"),
        ("fe80::1", "private or special"),
        ("fd12::1", "private or special"),
        ("::ffff:10.0.0.1", "private or special"),
        ("64:ff9b::a00:1", "private or special"),
        ("2002:a00:1::1", "private or special"),
        ("203.0.113.9", "your own network 203.0.112.0/22"),
        ("64:ff9b::cb00:7109", "your own network 203.0.112.0/22"),
        ("2a00:1:2::3", "your own network 2a00:1::/32"),
        ("corp-example.com", "your own domain corp-example.com"),
        ("vpn.Corp-Example.com", "your own domain corp-example.com"),
        ("printer.local", "special use"),
        ("dc1.ad.internal", "special use"),
        ("4.3.22.172.in-addr.arpa", "your own domain"),
        ("1.0.0.10.in-addr.arpa", "special use"),
        ("fileserver.corpnet", "no public top-level domain corpnet"),
    ],
)
def test_what_is_private_is_named_so_with_the_reason(text, why):
    said = private(value_of(text), OWN, name_tables())
    assert said and why in said


@pytest.mark.parametrize(
    "text", ["evilcorp-example.com", "9.9.9.9", "2620:fe::fe", "64:ff9b::909:909", SHA256, "a.co.uk"]
)
def test_what_is_public_may_be_sent(text):
    assert private(value_of(text), OWN, name_tables()) is None


def own_list(folder: Path, text: str) -> Settings:
    """Return settings with a list of the operator's own domains."""
    (folder / "lists").mkdir()
    (folder / "lists" / "own-domains.txt").write_text(text, encoding="utf-8")
    return Settings(networks=(Network(("x",), (ip_network("192.0.2.0/24"),)),), queries=folder)


def test_own_names_are_the_operators_lists_and_a_broken_one_stops_all(tmp_path):
    head = "# about: x\n# source: x\n# licence: x\n# date: 2026-11-01\n"
    own = own_names(own_list(tmp_path, head + "Example.COM\n*.example.net\n"))
    assert own == Own((ip_network("192.0.2.0/24"),), {"example.com", "example.net"})
    (tmp_path / "lists" / "own-domains.txt").write_text("example.com\n", encoding="utf-8")
    with pytest.raises(Refused, match="nothing is looked up before this is corrected"):
        own_names(Settings(queries=tmp_path))
    assert own_names(Settings()) == Own((), frozenset())


def answered(**attributes):
    return answer_of({"data": {"id": "x", "type": "file", "attributes": attributes}})


def test_an_answer_says_how_many_engines_call_it_what():
    found = answered(
        last_analysis_stats={"malicious": 61, "suspicious": 1, "harmless": 0, "undetected": 9, "timeout": 0},
        reputation=-12,
        tags=["zip", "attachment"],
        last_analysis_date=1793700000,
        popular_threat_classification={"suggested_threat_label": "trojan.emotet"},
        meaningful_name="a.zip",
    )
    assert (found.verdict, found.reputation, found.tags, found.label) == (
        "malicious",
        -12,
        ("zip", "attachment"),
        "trojan.emotet",
    )
    assert found.facts == {"meaningful_name": "a.zip"}
    assert found.words == ("VirusTotal: 61 of 71 engines call it malicious, trojan.emotet, analysed 2026-11-03")


@pytest.mark.parametrize(
    ("stats", "verdict"),
    [
        ({"malicious": 3}, "malicious"),
        ({"malicious": 2, "harmless": 80}, "suspicious"),
        ({"suspicious": 1}, "suspicious"),
        ({"harmless": 0, "undetected": 70}, "harmless"),
        ({"timeout": 4}, "unrated"),
        ({}, "unrated"),
        (None, "unrated"),
    ],
)
def test_the_verdict_follows_from_the_counts(stats, verdict):
    assert answered(last_analysis_stats=stats).verdict == verdict


def test_an_answer_of_the_wrong_shape_is_none_or_has_nothing_in_it():
    for document in (None, [], "x", {"data": []}, {"data": {"attributes": 3}}, {"error": {"code": "x"}}):
        assert answer_of(document) is None
    found = answered(
        last_analysis_stats={"malicious": "9", "harmless": True, "undetected": 10**30},
        reputation="bad",
        tags=["x" * 900, 3, None],
        last_analysis_date=10**18,
        meaningful_name={"a": 1},
        popular_threat_classification=[1],
    )
    assert (found.verdict, found.stats, found.reputation, found.analysed, found.label) == (
        "unrated",
        {},
        None,
        None,
        "",
    )
    assert found.tags == ("x" * 200,)
    assert found.facts == {}


def asked(times: int, step: timedelta, limits=LIMITS):
    """Return what is counted after so many tries, one a step, and which of them were granted."""
    value, granted = NOTHING, []
    for number in range(times):
        value, turn = taken(value, limits, NOW + number * step)
        granted.append(turn.granted)
    return value, granted


def test_no_more_than_so_many_in_any_minute_and_any_day():
    _, granted = asked(130, timedelta(seconds=1))
    assert [n for n, one in enumerate(granted) if one] == [0, 1, 2, 3, 60, 61, 62, 63, 120, 121]
    _, turn = taken(asked(4, timedelta(seconds=1))[0], LIMITS, NOW + timedelta(seconds=4))
    assert (turn.again, turn.why) == (NOW + timedelta(seconds=60), "the 4 questions of this minute are asked")
    spent, granted = asked(20, timedelta(minutes=5))
    assert granted.count(True) == 10
    _, turn = taken(spent, LIMITS, NOW + timedelta(hours=13, minutes=59))
    assert (turn.granted, turn.again) == (False, datetime(2026, 11, 4, tzinfo=UTC))
    assert taken(spent, LIMITS, datetime(2026, 11, 4, tzinfo=UTC))[1].granted


def test_a_pause_is_kept_and_a_clock_that_was_wrong_keeps_nobody_waiting_for_ever():
    paused = NOTHING | {"paused": (NOW + timedelta(minutes=5)).isoformat()}
    assert taken(paused, LIMITS, NOW)[1].again == NOW + timedelta(minutes=5)
    assert taken(paused, LIMITS, NOW + timedelta(minutes=5))[1].granted
    far = [(NOW + timedelta(days=900)).isoformat()] * 4
    wrong = NOTHING | {"paused": far[0], "asked": far}
    assert taken(wrong, LIMITS, NOW)[1].granted


def lists(folder: Path, **named) -> Path:
    """Return a folder with lists, by name their type, attributes and entries."""
    for name, (type_, attributes, entries) in named.items():
        (folder / name).mkdir(parents=True)
        document = {"name": f"List {name}", "type": type_, "version": 1, "description": "", "list": entries}
        document |= {"matching_attributes": attributes} if attributes else {}
        (folder / name / "list.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def test_each_type_of_list_compares_as_misp_does(tmp_path):
    folder = lists(
        tmp_path,
        exact=("string", ["domain", "hostname"], ["Example.org", "198.51.100.7"]),
        below=("hostname", None, [".example.org", "google.com"]),
        nets=("cidr", ["ip-src", "ip-dst"], ["198.51.100.0/24", "2001:db8::/32", "no network"]),
        part=("substring", ["domain"], ["update", "x"]),
        php=("regex", ["domain"], ["/^CDN[0-9]+\\./i", "("]),
        plain=("regex", None, ["^275a"]),
        files=("string", ["sha256"], [SHA256.upper()]),
        other=("string", ["email-src"], ["example.org"]),
    )
    texts = ("example.org", "www.example.org", "notexample.org", "update.test.com", "cdn12.test.com")
    texts += ("198.51.100.7", "2001:db8::5", "203.0.113.1", SHA256)
    found = warning_lists.listed(folder, [value_of(text) for text in texts])
    assert {value.text: names for value, names in found.names.items()} == {
        "example.org": ("List below", "List exact"),
        "www.example.org": ("List below",),
        "notexample.org": (),
        "update.test.com": ("List part",),
        "cdn12.test.com": ("List php",),
        "198.51.100.7": ("List nets",),
        "2001:db8::5": ("List nets",),
        "203.0.113.1": (),
        SHA256: ("List files", "List plain"),
    }
    assert found.notes == ()


def test_a_broken_list_is_named_and_the_others_count(tmp_path, monkeypatch):
    monkeypatch.setattr(warning_lists, "PATTERN_SECONDS", 0.5)
    slow = ["(a|a|aa)+$", "(([a-z]+)+)+!"]
    lists(tmp_path, good=("string", None, ["example.org"]), slow=("regex", None, slow), odd=("fuzzy", None, []))
    (tmp_path / "cut.json").write_text('{"list": ["exa')
    (tmp_path / "none.json").write_text("[1]")
    found = warning_lists.listed(tmp_path, [value_of("example.org"), value_of("a" * 60 + ".example.org")])
    assert found.names[value_of("example.org")] == ("List good",)
    said = " ".join(found.notes)
    for words in ("cut.json: is no JSON", "none.json: is no warning list", "type 'fuzzy'", "patterns take longer"):
        assert words in said
    assert len(found.notes) == 4
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no warning list in it" in warning_lists.listed(empty, [value_of("example.org")]).notes[0]


def test_what_is_on_a_warning_list_is_common_unless_engines_call_it_bad():
    bad = answered(last_analysis_stats={"malicious": 9})
    good = answered(last_analysis_stats={"harmless": 90})
    assert LookedUp("x", "domain", "answered", answer=bad, lists=("L",)).verdict == "malicious"
    common = LookedUp("x", "domain", "answered", answer=good, lists=("L",))
    assert common.verdict == "common"
    assert common.words.endswith("known and common, likely harmless: on the warning list L")
    assert LookedUp("x", "domain", "private", "not sent").verdict == "private"


def test_of_a_declaration_names_are_asked_for_by_what_somebody_registered():
    shown = {
        "hostname_info.host": "c2VjcmV0.data.evil-example.com",
        "dns.query.rrname": ["c2VjcmV0.data.evil-example.com"],
        "http.http_user_agent": "example.net",
        "fileinfo.sha256": SHA256,
        "fileinfo.filename": SHA256,
        "src_ip": "10.0.0.5",
    }
    document = {
        "asset": {"value": "10.0.0.5"},
        "offender": {"field": ["hunt.server.ip"], "value": ["198.51.100.7"]},
        "evidence": {"a": {"groups": [{"values": {"hunt.client.ip": "10.0.0.5"}}], "references": [{"shown": shown}]}},
    }
    assert [value.text for value in indicators(document, name_tables())] == ["198.51.100.7", "evil-example.com", SHA256]
    many = {"field": ["hunt.server.ip"], "value": [f"198.51.100.{n}" for n in range(30)]}
    assert len(indicators(document | {"offender": many}, name_tables())) == 10


def settings_of(folder: Path, text: str, **environment: str):
    (folder / "hunts.yml").write_text(text, encoding="utf-8")
    return read_settings(folder / "hunts.yml", environment)


def test_settings_of_reputation_and_what_is_wrong_in_them(tmp_path):
    (tmp_path / "key").write_text("a-secret-key\n")
    (tmp_path / "lists").mkdir()
    text = "reputation: {automatic: true, virustotal_key_file: key, per_minute: 9, keep: 2d, warning_lists: lists}\n"
    read = settings_of(tmp_path, text)
    assert read.problems == ()
    found = read.settings.reputation
    assert (found.key, found.automatic, found.per_minute, found.per_day) == ("a-secret-key", True, 9, 500)
    assert (found.keep, found.warning_lists) == (timedelta(days=2), tmp_path / "lists")
    assert "a-secret-key" not in repr(read.settings)
    assert settings_of(tmp_path, text, HUNTS_VIRUSTOTAL_KEY="other").settings.reputation.key == "other"
    for wrong, words in {
        "{automatic: true}": "nothing to look things up in",
        "{url: 'http://vt.example'}": "use https",
        "{url: ftp}": "is no address",
        "{keep: 900d}": "must lie between 1m and 365d",
        "{virustotal_key: abc-secret}": "must not be written in this file: set the environment variable HUNTS_VIRUS",
        "{warning_lists: nowhere}": "names no folder",
        "{per_minute: 0}": "per_minute",
    }.items():
        said = [str(problem) for problem in settings_of(tmp_path, f"reputation: {wrong}\n").problems]
        assert any(words in one for one in said), (wrong, said)
        assert not any("abc-secret" in one for one in said)
