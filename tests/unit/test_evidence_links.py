"""Links from evidence: what an event says is escaped, or left out, and cannot change what a link asks."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from connector.errors import ContentError
from connector.respond.evidence.links import MOST, links_of
from connector.respond.evidence.model import Capture, Event, Evidence, File, Flow, Http, Subject
from connector.settings.load import load_settings
from connector.settings.model import LinkTemplate, Settings

SHA256 = "2d" * 32
TOOLS = (
    "arkime: 'https://arkime.example:8005/', evebox: 'https://evebox.example', kibana: 'https://kibana.example/s/soc'"
)


def evidence(**more: Any) -> Evidence:
    """Return evidence with one flow, event, file and name, of which some values are given."""
    said = {
        "community_id": "1:23SuVD77q8d7MDtMdqqxiTEqlxE=",
        "flow_id": "859853050394917",
        "id": "x/1",
        "host": "a.example",
    }
    said |= {"server": "198.51.100.77", "sha256": SHA256, "source": {}} | more
    subject = Subject("event", "i/x", "", {}, 1, None, None, ())
    flow = Flow(
        1, "TCP", "http", "10.10.10.17", 55228, said["server"], 80, "2026-11-02T13:52:11.200200Z", None,
        (("", said["flow_id"]),), said["community_id"], None, None, None, None, "", 1, {},
    )  # fmt: skip
    capture = Capture(1, (), (), "2026-11-02T13:52:10.200200Z", "2026-11-02T13:52:12.351400Z", "")
    event = Event("logs", said["id"], None, "http", 1, True, "", said["source"])
    file = File("logs", "f", None, 1, "x", 1, "", "", "", "", said["sha256"], True, None, 1)
    http = Http("logs", "h", None, 1, "GET", said["host"], "/", "", "200", "", "", "", None)
    return Evidence(subject, "", (event,), (flow,), http=(http,), files=(file,), captures=(capture,))


def settings(folder: Path, links: str) -> Settings:
    """Return the settings with some links."""
    (folder / "hunts.yml").write_text(f"links: {links}\n")
    return load_settings(folder / "hunts.yml", {})


def urls(found: Evidence, *templates: LinkTemplate) -> list[str]:
    """Return the addresses of the links."""
    return [link.url for link in links_of(templates, found)]


def test_the_built_in_links_ask_each_tool_for_what_the_evidence_has(tmp_path: Path) -> None:
    found = links_of(settings(tmp_path, f"{{{TOOLS}}}").links, evidence())
    by = {(link.tool, link.what.split()[0]): urlsplit(link.url) for link in found}
    arkime = by["arkime", "flow"]
    assert (arkime.netloc, arkime.path) == ("arkime.example:8005", "/sessions")
    asked = parse_qs(arkime.query)
    assert asked["expression"] == ['communityId == "1:23SuVD77q8d7MDtMdqqxiTEqlxE="']
    start, end = int(asked["startTime"][0]), int(asked["stopTime"][0])
    assert start < 1793627530 < 1793627532 < end
    assert by["evebox", "event"].geturl() == "https://evebox.example/#/event/x%2F1"
    kibana = by["kibana", "flow"]
    assert kibana.path == "/s/soc/app/discover"
    assert "query:'flow_id:859853050394917 or community_id:\"1:23Su" in unquote(kibana.fragment)
    assert "time:(from:'2026-11-02T13:51:10.200Z',to:'2026-11-02T14:52:12.351Z')" in unquote(kibana.fragment)
    assert by["virustotal", "file"].path == f"/gui/file/{SHA256}"
    assert by["virustotal", "name"].path == "/gui/domain/a.example"
    assert by["virustotal", "address"].path == "/gui/ip-address/198.51.100.77"


def test_events_of_elastic_agent_are_asked_for_by_their_names(tmp_path: Path) -> None:
    templates = settings(tmp_path, "{opensearch_dashboards: 'https://d.example'}").links
    url = next(
        link.url
        for link in links_of(templates, evidence(source={"suricata": {"eve": {}}}))
        if link.tool != "virustotal"
    )
    assert "query:'suricata.eve.flow_id:859853050394917 or network.community_id:" in unquote(url)


def test_without_a_community_id_the_ends_are_asked_for(tmp_path: Path) -> None:
    templates = settings(tmp_path, f"{{{TOOLS}}}").links
    url = next(link.url for link in links_of(templates, evidence(community_id="")) if link.tool == "arkime")
    (expression,) = parse_qs(urlsplit(url).query)["expression"]
    assert expression == "ip == 10.10.10.17 && port == 55228 && ip == 198.51.100.77 && port == 80"


@pytest.mark.parametrize(
    "value",
    [
        "x' or 1",
        'x" or *',
        "1:AAA\"' or x",
        "1:AAA&expression=x",
        "javascript:alert(1)",
        "{client_ip}",
        "%s",
        "1:A\nB",
        "é" * 10,
    ],
)
def test_a_value_that_is_none_of_its_kind_makes_no_link(value: str, tmp_path: Path) -> None:
    found = evidence(community_id=value, flow_id=value, sha256=value, server=value, host=value)
    tools = f"{{{TOOLS}, more: [{{name: t, of: flow, url: 'https://t.example/{{flow_id}}'}}]}}"
    assert [link.tool for link in links_of(settings(tmp_path, tools).links, found)] == ["evebox"]


@hypothesis_settings(deadline=None)
@given(st.text(max_size=40))
def test_whatever_the_id_of_an_event_is_it_stays_one_value(id: str) -> None:
    template = LinkTemplate("t", "event", "https://t.example/event/{id}?index={index}&x=1#end")
    (url,) = urls(evidence(id=id.encode(errors="ignore").decode() or "x"), template)
    split = urlsplit(url)
    assert (split.netloc, split.query, split.fragment) == ("t.example", "index=logs&x=1", "end")
    assert split.path.count("/") == 2
    assert unquote(split.path.rpartition("/")[2]) == (id.encode(errors="ignore").decode() or "x")


def test_local_addresses_and_names_that_are_none_are_not_linked() -> None:
    address = LinkTemplate("t", "address", "https://t.example/{address}")
    domain = LinkTemplate("t", "domain", "https://t.example/{domain}")
    for local in (
        "10.0.0.1",
        "192.168.1.1",
        "172.31.0.1",
        "127.0.0.1",
        "fe80::1",
        "fd00::1",
        "::1",
        "224.0.0.1",
        "100.64.0.1",
    ):
        assert urls(evidence(server=local), address) == []
    for name in ("localhost", "a_b", "-", "a..b", "10.0.0.1", "x" * 64 + ".example", "a b.example", "<script>.example"):
        assert urls(evidence(host=name), domain) == []
    assert urls(evidence(host="A.Example:8080"), domain) == ["https://t.example/a.example"]


def test_the_links_of_a_flood_are_bounded() -> None:
    template = LinkTemplate("t", "event", "https://t.example/{id}")
    one = evidence()
    many = replace(one, events=tuple(replace(one.events[0], id=str(n)) for n in range(1000)))
    assert len(urls(many, template)) == MOST


@pytest.mark.parametrize(
    ("links", "words"),
    [
        ("{arkime: 'ftp://arkime.example'}", "no address of a tool"),
        ("{arkime: 'javascript:alert(1)'}", "no address of a tool"),
        ("{kibana: 'https://user:secret@kibana.example'}", "no address of a tool"),
        ("{kibana: 'https://kibana.example/?x=1'}", "no address of a tool"),
        ("{more: [{name: x, of: file, url: 'file:///{sha256}'}]}", "no http or https address"),
        ("{more: [{name: x, of: domain, url: 'https://{domain}/'}]}", "no http or https address"),
        ("{more: [{name: x, of: domain, url: 'https://x.{domain}/'}]}", "no http or https address"),
        ("{more: [{name: x, of: domain, url: 'https://x.example{domain}'}]}", "no http or https address"),
        ("{more: [{name: x, of: domain, url: '{domain}'}]}", "no http or https address"),
        ("{more: [{name: x, of: file, url: 'https://x.example/{domain}'}]}", "does not have"),
        ("{more: [{name: x, of: file, url: 'https://x.example/{sha256.__class__}'}]}", "does not have"),
        ("{more: [{name: x, of: file, url: 'https://x.example/{sha256!r}'}]}", "does not have"),
        ("{more: [{name: x, of: file, url: 'https://x.example/{sha256:>9999999}'}]}", "does not have"),
        ("{more: [{name: x, of: file, url: 'https://x.example/{0}'}]}", "does not have"),
        ("{more: [{name: x, of: file, url: 'https://x.example/{'}]}", "brace too much"),
        ("{more: [{name: x, of: file, url: 'https://x.example/'}]}", "names no value"),
    ],
)
def test_a_template_that_could_lead_elsewhere_is_a_problem(links: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ContentError, match=words) as raised:
        settings(tmp_path, links)
    assert "secret" not in str(raised.value)


def test_virustotal_is_there_unless_it_is_switched_off(tmp_path: Path) -> None:
    assert {template.name for template in load_settings(None, {}).links} == {"virustotal"}
    assert settings(tmp_path, "{virustotal: off}").links == ()
    own = settings(
        tmp_path, "{virustotal: off, more: [{name: x, of: file, url: 'http://x.example:81/?q={sha256}'}]}"
    ).links
    assert urls(evidence(), *own) == [f"http://x.example:81/?q={SHA256}"]
