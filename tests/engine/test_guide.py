"""Guides on real engines: every step is asked with the finding's values, and what it counts is what is there."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from made_events import BASE, DAY, event, hunt, put_events, settings_in
from organisation import install_and_load, new_place, office_settings, one_pass

import connector.hunts.asking.looking
from connector.cli import run as hunts_command
from connector.errors import Refused
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.hunt import Hunt, Look, Step
from connector.hunts.conditions import condition as c
from connector.hunts.conditions.address import is_address_field, plain_address
from connector.hunts.conditions.predicate import predicate, values
from connector.hunts.passes.guide import Answer, bound, finding_values, guide, hunt_of
from connector.hunts.passes.listing import Finding, list_findings
from connector.settings.model import Settings
from tests.conftest import Place

CLIENT = c.Equals("hunt.client.ip", (c.Reference("hunt.client.ip"),))
DOMAIN = c.Equals("hostname_info.domain", (c.Reference("hostname_info.domain"),))
QUERY = c.Equals("hunt.dns.message", ("query",))


def step(match: c.Condition, count_by: Sequence[str] = (), show: Sequence[str] = (), **window: float) -> Step:
    """Return a step of a guide over DNS events, looking an hour around if nothing else is said."""
    look = Look(timedelta(**window or {"hours": 1}), ("dns",), c.All((match,)), tuple(count_by), tuple(show))
    return Step("What else?", look, "much", "little")


def finding(place: Place | None = None, **more: Any) -> Finding:
    """Return a finding of one client whose events are those of the first minute of the day."""
    first, last = ((DAY + timedelta(seconds=second)).isoformat() for second in (0, 60))
    said: dict[str, Any] = {"id": "f1", "hunt": "asked", "hunt_id": "asked", "title": "Asked", "severity": "low"}
    made = {"status": "open", "made": "", "updated": "", "department": (), "network": (), "events_not_kept": 0}
    kept = {"first": first, "last": last, "count": 2, "cut": (), "values": {"hostname_info.domain": ["a.example"]}}
    return Finding(**{**said, **made, **kept, "group": {"hunt.client.ip": "192.0.2.1"}, **more})


def answers(place: Place, settings: Settings, *steps: Step, limit: int = 20, **more: Any) -> tuple[Answer, ...]:
    """Return the answers to steps from a finding."""
    return guide(place.siem, settings, replace(hunt(), guide=steps), finding(**more), limit=limit).steps


def counted(answer: Answer) -> dict[tuple[str | None, ...], int]:
    """Return the number of events of each combination."""
    return {tuple(one.values.values()): one.events for one in answer.seen.combinations}


def test_a_step_looks_from_its_window_before_the_first_event_until_its_window_after_the_last(each_place: Place) -> None:
    settings = settings_in(each_place)
    put_events(each_place, [event(second) for second in (-11, -10, 0, 60, 69, 70)])
    put_events(each_place, [event(30, client="192.0.2.2")])
    (answer,) = answers(each_place, settings, step(CLIENT, show=["hostname_info.domain"], seconds=10))
    assert [seen.time for seen in answer.seen.newest] == [DAY + timedelta(seconds=n) for n in (69, 60, 0, -10)]
    assert (answer.start, answer.end) == (DAY - timedelta(seconds=10), DAY + timedelta(seconds=70))
    assert answer.seen.status == "events"


def test_combinations_come_largest_first_and_the_others_are_numbered(
    each_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(each_place)
    monkeypatch.setattr(connector.hunts.asking.looking, "PAGE", 7)
    events = [event(n, domain=f"d{n // 3}.example") for n in range(150)]
    without = event(1)
    del without["hostname_info"]
    both = event(2, client=["192.0.2.1", "2001:0db8:0000:0000:0000:0000:0000:0009"], domain="d9.example")
    put_events(each_place, [*events, without, both])
    by_both = step(QUERY, count_by=["hostname_info.domain", "hunt.client.ip"])
    few, whole = (answers(each_place, settings, by_both, limit=limit)[0].seen for limit in (5, 100))
    assert (few.events, len(few.combinations), few.combinations_left_out) == (152, 5, 47)
    assert tuple(few.combinations[0].values.values()) == ("d9.example", "192.0.2.1")
    assert few.combinations[0].events == 4
    assert few.combinations == whole.combinations[:5]
    assert (len(whole.combinations), whole.combinations_left_out, whole.newest_left_out) == (52, 0, 0)
    found = {tuple(one.values.values()): one.events for one in whole.combinations}
    assert (found[(None, "192.0.2.1")], found[("d9.example", "2001:db8::9")]) == (1, 1)


def test_older_events_are_numbered(each_place: Place) -> None:
    settings = settings_in(each_place)
    put_events(each_place, [event(n, domain=f"d{n}.example") for n in range(60)])
    (answer,) = answers(each_place, settings, step(CLIENT, show=["hostname_info.domain", "hunt.dns.rcode"]), limit=3)
    assert [seen.shown["hostname_info.domain"] for seen in answer.seen.newest] == [
        f"d{n}.example" for n in (59, 58, 57)
    ]
    assert (answer.seen.events, answer.seen.newest_left_out) == (60, 57)


def test_what_the_finding_or_the_mapping_lacks_is_said(each_place: Place) -> None:
    settings = settings_in(each_place)
    mapping = {"properties": {"note": {"type": "text"}}}
    each_place.siem.call("PUT", f"/{each_place.prefix}logs-1/_mapping", mapping)
    put_events(each_place, [event(1, domain="a.example") | {"note": "some words"}])
    unfilled, absent, uncounted, nothing, cut = answers(
        each_place,
        settings,
        step(c.Any((CLIENT, c.Equals("tls.sni", (c.Reference("tls.sni"),)))), count_by=["hunt.client.ip"]),
        step(c.All((CLIENT, c.Equals("krb5.cname", ("x",)))), count_by=["hunt.client.ip"]),
        step(CLIENT, count_by=["note", "hunt.client.ip", "smb.command"]),
        step(c.Equals("hunt.dns.message", ("answer",)), count_by=["hunt.client.ip"]),
        step(DOMAIN, count_by=["note"]),
        cut=("hostname_info.domain", "hunt.client.ip"),
    )
    assert (unfilled.seen.status, unfilled.seen.events) == ("not asked: the finding has no value for tls.sni", 0)
    assert absent.seen.status == "no such field krb5.cname"
    assert uncounted.seen.notes == (
        "no such field smb.command",
        f"{each_place.prefix}logs-* cannot be counted by note, as it is mapped as text",
    )
    assert counted(uncounted) == {(None, "192.0.2.1", None): 1}
    assert (nothing.seen.status, nothing.seen.notes) == ("no events", ())
    assert cut.seen.notes[0] == "the finding keeps only some values of hostname_info.domain: the 1 here were looked for"
    assert (cut.seen.events, cut.seen.combinations) == (1, ())


def test_a_step_that_fails_says_why_and_the_others_go_on(each_place: Place) -> None:
    settings = settings_in(each_place)
    put_events(each_place, [event(1)])
    broken = step(c.Lucene("a:((("), count_by=["hunt.client.ip"])
    failing, fine = answers(each_place, settings, broken, step(CLIENT, count_by=["hunt.client.ip"]))
    assert (failing.seen.status, bool(failing.seen.error)) == ("failed", True)
    assert counted(fine) == {("192.0.2.1",): 1}


def test_sources_of_both_dialects_are_asked_together(each_place: Place) -> None:
    settings = settings_in(each_place, "logs", "elastic")
    eve, elastic = settings.sources
    settings = replace(settings, sources=(eve, replace(elastic, dialect="ecs")))
    eve_port = {"dest_port": {"type": "long"}, "src_ip": {"type": "keyword"}}
    keyword, long, ip = ({"type": kind} for kind in ("keyword", "long", "ip"))
    ecs_port = {
        "suricata": {"properties": {"eve": {"properties": {"event_type": keyword}}}},
        "destination": {"properties": {"port": long}},
        "source": {"properties": {"ip": ip}},
    }
    for name, properties in (("logs", eve_port), ("elastic", ecs_port)):
        each_place.siem.call("PUT", f"/{each_place.prefix}{name}-1/_mapping", {"properties": properties})
    long_form = "2001:0db8:0000:0000:0000:0000:0000:0001"
    put_events(each_place, [event(n) | {"dest_port": 53, "src_ip": long_form} for n in (1, 3)])
    theirs = {"suricata": {"eve": {"event_type": "dns"}}, "destination": {"port": 53}, "source": {"ip": long_form}}
    put_events(each_place, [event(n) | theirs for n in (2, 4)], "elastic")
    both = step(CLIENT, count_by=["dest_port", "src_ip"], show=["src_ip", "dest_port"])
    (answer,) = answers(each_place, settings, both, limit=3)
    assert counted(answer) == {("53", "2001:db8::1"): 4}
    assert [seen.time for seen in answer.seen.newest] == [DAY + timedelta(seconds=n) for n in (4, 3, 2)]
    assert all(seen.shown == {"src_ip": "2001:db8::1", "dest_port": 53} for seen in answer.seen.newest)
    assert (answer.seen.events, answer.seen.newest_left_out, answer.seen.notes) == (4, 1, ())


def test_without_events_or_without_such_a_step_it_says_so(place: Place) -> None:
    settings = settings_in(place)
    with pytest.raises(Refused, match="the guide of asked has the steps 1 to 1: there is no step 2"):
        guide(place.siem, settings, replace(hunt(), guide=(step(CLIENT, show=["x"]),)), finding(), step=2)
    gone = replace(settings, sources=(replace(settings.sources[0], pattern=f"{place.prefix}gone-*"),))
    with pytest.raises(Refused, match="the events are gone"):
        answers(place, gone, step(CLIENT, show=["hunt.client.ip"]))


class Office:
    """The office's events as they are stored, its findings, and the catalogue."""

    def __init__(self, place: Place, settings: Settings) -> None:
        self.siem, self.settings, self.catalogue = place.siem, settings, load_catalogue(settings)
        body = {"query": {"match_all": {}}}
        self.events = [hit["_source"] for hit in place.siem.scan(settings.events, body)]
        self.findings = list_findings(place.siem, settings).findings

    def matching(self, answer: Answer, hunt: Hunt, found: Finding) -> list[Mapping[str, Any]]:
        """Return the events a step matches, as Python has it."""
        look = hunt.guide[answer.number - 1].look
        matches = predicate(c.All((c.Equals("event_type", look.event_types), bound(look.match, finding_values(found)))))
        assert answer.start and answer.end
        return [e for e in self.events if answer.start <= at(e) < answer.end and matches(e)]


def at(event: Mapping[str, Any]) -> datetime:
    """Return the time of an event, to the millisecond as engines have it."""
    time = datetime.fromisoformat(event["@timestamp"])
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def combinations(events: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> Counter[tuple[str | None, ...]]:
    """Return how many events each combination of values has, as Python has it."""
    found: Counter[tuple[str | None, ...]] = Counter()
    for one in events:
        columns = [list(dict.fromkeys(text(field, v) for v in values(one, field))) or [None] for field in fields]
        found.update(product(*columns))
    return found


def text(field: str, value: object) -> str:
    """Return a value as text; an address as people write it."""
    return plain_address(str(value)) if is_address_field(field) else str(value)


@pytest.fixture(scope="module", params=["opensearch", "elasticsearch7"])
def office(request: pytest.FixtureRequest, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Return the office after a pass."""
    with new_place(request.getfixturevalue(request.param)) as place:
        settings = office_settings(place, tmp_path_factory.mktemp("office"))
        install_and_load(place.siem, settings, shared / "eve" / "office-s8.json.gz")
        one_pass(place.siem, settings)
        yield Office(place, settings)


def test_the_guide_of_every_finding_of_the_office_counts_what_is_there(office: Office) -> None:
    assert len(office.findings) > 8
    asked = 0
    for found in office.findings:
        own = hunt_of(found, office.catalogue)
        for answer in guide(office.siem, office.settings, own, found, limit=10_000).steps:
            if answer.seen.status.startswith("not asked"):
                continue
            asked += 1
            matching = office.matching(answer, own, found)
            assert (answer.seen.error, answer.seen.events) == (None, len(matching)), (own.name, answer.number)
            if answer.count_by and matching:
                assert counted(answer) == combinations(matching, answer.count_by), (own.name, answer.number)
            if answer.show and matching:
                assert len(answer.seen.newest) == len(matching)
                assert [seen.time for seen in answer.seen.newest] == sorted(map(at, matching), reverse=True)
    assert asked > 20


def test_no_step_of_any_hunt_fails_on_an_engine(office: Office) -> None:
    example = {"ip": "10.10.10.17", "host": "www.example.com"}
    for own in office.catalogue.hunts:
        kept = {name: [example.get(name.rpartition(".")[2], "1")] for name in own.fields}
        group = {name: kept[name][0] for name in own.group_by}
        result = guide(office.siem, office.settings, own, finding(group=group, values=kept))
        assert [(one.number, one.seen.error) for one in result.steps if one.seen.error] == [], own.name
        lacking = {one.seen.status for one in result.steps if one.seen.status.startswith("not asked")}
        assert all("not set up, as the list" in status for status in lacking), own.name


def command(office: Office, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Return exit code and both outputs of the command line."""
    code = hunts_command(["--settings", str(office.settings.file), *arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_the_command_takes_the_id_that_findings_lists(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    found = next(f for f in office.findings if f.hunt == BASE.name)
    _, listed, _ = command(office, capsys, "findings", BASE.name)
    assert found.id[:8] in listed
    code, out, err = command(office, capsys, "guide", found.id[:8])
    assert (code, err) == (0, "")
    client, resolver = found.group.values()
    for words in (
        f"Policy: Public DNS queries: hunt.client.ip {client}, hunt.resolver.ip {resolver}",
        "Step 1: Which names were asked there, and are inside names among them?",
        f"      hunt.client.ip is {client}",
        "hostname_info.domain",
        "  relevant: This host alone, which points to a setting made by hand",
        "  informational: All hosts of one network",
    ):
        assert words in out, words
    code, out, _ = command(office, capsys, "guide", found.id, "--step", "2", "--limit", "1", "--json")
    (only,) = json.loads(out)["steps"]
    assert (code, only["number"], only["filled"]) == (0, 2, {"hunt.resolver.ip": [resolver]})
    assert len(only["seen"]["combinations"]) == 1
    code, out, _ = command(office, capsys, "guide", found.id, "--step", "2", "--limit", "1")
    left = only["seen"]["combinations_left_out"]
    assert left and f"… and {left} more combinations: --limit takes more" in out


def test_an_id_of_none_or_of_several_and_a_hunt_that_is_gone_are_refused(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(office, capsys, "guide", "xyz")[::2] == (
        6,
        "error: there is no finding whose id begins with xyz: `hunts findings` lists them\n",
    )
    code, _, err = command(office, capsys, "guide", "")
    assert code == 6 and f"{len(office.findings)} findings have an id that begins with" in err
    stored = office.siem.get(office.settings.state("findings"), office.findings[0].id)
    assert stored
    orphan = stored.source | {"hunt": stored.source["hunt"] | {"id": "no-such-id", "name": "as-it-was"}}
    office.siem.put(office.settings.state("findings"), "ffff-orphan", orphan, refresh=True)
    code, _, err = command(office, capsys, "guide", "ffff-orphan")
    assert code == 6 and "the hunt as-it-was (id no-such-id), which is not in the catalogue any more" in err


def test_values_that_attackers_write_do_not_act_on_the_terminal(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    found = next(f for f in office.findings if f.hunt == BASE.name)
    stored = office.siem.get(office.settings.state("findings"), found.id)
    assert stored
    bad = "a\nStep 9: \x1b[31mall is well\u202e[bold]"
    group, kept = stored.source["group"], stored.source["values"]
    evil = stored.source | {
        "group": group | {"hunt.resolver.ip": bad},
        "values": kept | {"hostname_info.host": [bad], "hunt.resolver.ip": [bad]},
    }
    office.siem.put(office.settings.state("findings"), "evil", evil)
    code, out, _ = command(office, capsys, "guide", "evil")
    assert code == 0 and "\x1b" not in out and "\u202e" not in out
    assert "a\\nStep 9: \\x1b[31mall is well\\u202e[bold]" in out and "\nStep 9" not in out
