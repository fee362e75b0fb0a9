"""What hunts can ask of hosts, how it is read, and what becomes of it where nobody can look it up."""

from dataclasses import replace
from pathlib import Path

import pytest

from connector.documents import Document, parse_document
from connector.errors import Refused
from connector.hunts.asking.profiles import with_hosts
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.format import read_hunt
from connector.hunts.catalogue.hunt import Case
from connector.hunts.catalogue.needs import Ratio
from connector.hunts.catalogue.source import Source
from connector.hunts.checking.cases import hunt_of_case
from connector.hunts.checking.lint import lint
from connector.hunts.conditions import condition as c
from connector.hunts.conditions.fields import Fields
from connector.hunts.conditions.painless import compile_painless
from connector.hunts.conditions.predicate import predicate
from connector.hunts.conditions.query import compile_query
from connector.hunts.conditions.reading import Reader
from connector.respond.tags.conditions import typed
from connector.respond.tags.written import read_back, written
from connector.settings.model import Settings
from connector.settings.part import Part

TWIN = (Path(__file__).parents[1] / "bad" / "hunts" / "new-by-host.yml").read_text(encoding="utf-8")
HOSTS = {
    "10.0.0.1": {"roles": ["printer", "web server"], "services.port": [80, 9100], "services_count": 2},
    "fd00::0001": {"roles": ["database"], "username": ["j.doe"], "hostname": ["db1.example.com"]},
}
EVENTS = {
    name: {"event_type": "flow", "hunt": {"client": {"ip": client}, "server": {"ip": server}}}
    for name, client, server in (
        ("from printer", "10.0.0.1", "192.0.2.1"),
        ("to printer", "10.0.0.9", "10.0.0.1"),
        ("from database", "fd00:0000:0000:0000:0000:0000:0000:0001", "192.0.2.1"),
        ("of others", "10.0.0.9", "192.0.2.1"),
    )
}


def matching(text: str) -> set[str]:
    """Return the events that a condition matches, with the profiles above."""
    match = with_hosts(typed(text, None, {}, ()), HOSTS).match
    return {name for name, event in EVENTS.items() if predicate(match)(event)}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("hunt.client.host.roles: printer", {"from printer"}),
        ("hunt.server.host.roles: web server", {"to printer"}),
        ("host.roles: printer", {"from printer", "to printer"}),
        ("host.roles: {any_of: [database, web server]}", {"from printer", "to printer", "from database"}),
        ("host.roles: mail server", set()),
        ("none: [{host.roles: printer}]", {"from database", "of others"}),
        ("none: [{host.roles: mail server}]", set(EVENTS)),
        ("hunt.client.host.roles: {exists: true}", {"from printer", "from database"}),
        ("hunt.client.host.username: j.doe", {"from database"}),
        ("hunt.client.host.hostname: {under_domain: example.com}", {"from database"}),
        ("hunt.client.host.hostname: {prefix: DB}", {"from database"}),
        ("hunt.server.host.services.port: 9100", {"to printer"}),
        ("hunt.server.host.services.port: {gt: 9100}", set()),
        ("hunt.server.host.services_count: {gte: 2, lt: 3}", {"to printer"}),
    ],
)
def test_the_hosts_that_have_it_stand_in_its_place(text, found):
    assert matching(text) == found


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"host.roles": "dc"}, "names the role 'dc', which no host has: roles are domain controller, dhcp server,"),
        ({"hunt.client.host.roles": {"any_of": ["printer", "Printer"]}}, "names the role 'Printer'"),
        ({"hunt.server.host.os": "x"}, "asks for os, which hunts cannot ask of hosts: they can of roles, hostname,"),
        ({"host.roles": {"regex": "p.*"}}, "takes values and patterns without regex"),
        ({"host.roles": {"gte": 1}}, "takes values and patterns without regex"),
        ({"host.hostname": {"in_network": ["10.0.0.0/8"]}}, "takes values and patterns without regex"),
        ({"host.services_count": {"prefix": "1"}}, "services_count of hosts takes values and bounds"),
    ],
)
def test_what_cannot_be_asked_is_told_at_its_line(asked, said):
    place = ("all", 0, next(iter(asked)))
    value = {"all": [asked]}
    reader = Reader({})
    reader.group(Part(Document(value, "own.yml", {(): 1, place: 7}), (), value))
    (problem,) = reader.problems
    assert str(problem).startswith("own.yml:7: ") and said in str(problem)


def test_only_a_search_can_answer_it_and_says_so():
    condition = typed("hunt.client.host.roles: printer", None, {}, ()).condition
    with pytest.raises(Refused, match="looked up in the profiles of hosts when a hunt is asked, not while"):
        compile_painless(condition, "eve")
    with pytest.raises(Refused, match="looked up in their profiles"):
        predicate(condition)


def test_a_rule_keeps_what_was_asked_and_not_the_addresses():
    condition = typed("none: [{host.roles: printer}]", None, {}, ()).condition
    assert read_back(written(condition), "rule") == condition


def test_what_is_not_known_matches_nothing_and_says_why():
    flows = c.Equals("event_type", ("flow",))
    fields = Fields.from_caps({"fields": {"event_type": {"keyword": {"searchable": True, "aggregatable": True}}}})
    unknown = c.Unknown("host.roles", "no profile yet")
    alone = compile_query(c.All((flows, unknown)), fields, "eve")
    beside = compile_query(c.Any((flows, unknown)), fields, "eve")
    assert (alone.answerable, beside.answerable) == (False, True)
    assert alone.unknown == beside.unknown == ("no profile yet",)
    assert (alone.missing, alone.unfit, beside.missing, beside.unfit) == ((), (), (), ())


def test_the_condition_of_a_share_asks_of_hosts_too():
    hunt = typed("event_type: flow", None, {}, ())
    asked = replace(hunt, needs=Ratio(c.Equals("hunt.server.host.roles", ("printer",)), 0.5, 2))
    found = with_hosts(asked, HOSTS)
    assert [predicate(found.needs.of)(event) for event in EVENTS.values()] == [False, True, False, False]
    assert with_hosts(hunt, HOSTS) is hunt


def test_a_case_without_profiles_has_hosts_without_anything():
    hunt = load_catalogue(Settings()).named("server-opens-remote-session")
    bare = hunt_of_case(hunt, Case("bare", (), (), 1))
    assert not any(predicate(bare.condition)(event) for event in EVENTS.values())


def test_only_conditions_ask_of_hosts():
    text = TWIN.replace(
        "show: [hostname_info.host]", "show: [hostname_info.host, hunt.client.host.roles, host.roles]", 1
    )
    document = parse_document(text, "policy/new-by-host.yml")
    hunt, problems = read_hunt(document, "policy", {})
    assert problems == []
    said = [problem.message for problem in lint(Source(hunt, document))]
    assert any(message.startswith("there is no field hunt.client.host.roles") for message in said)
    assert any(message.startswith("there is no field host.roles") for message in said) and len(said) == 3


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("printer1: {roles: [printer]}", "names 'printer1', which is no address of a host"),
        ("10.10.10.17: {roles: [post office]}", "post office"),
        ("10.10.10.17: {os: [any]}", "os"),
    ],
)
def test_profiles_of_a_case_that_say_what_no_profile_says(new, said):
    text = TWIN.replace("10.10.10.17: {roles: [mail server]}", new, 1)
    hunt, problems = read_hunt(parse_document(text, "policy/new-by-host.yml"), "policy", {})
    assert hunt is None and any(said in problem.message for problem in problems)
