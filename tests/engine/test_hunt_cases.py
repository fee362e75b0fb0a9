"""`hunts check --engine`: the cases of the hunts we ship hold on real engines; what does not is told by file:line."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from connector.cli import run
from connector.errors import NotThere
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.checking import proof
from connector.hunts.checking.cases import example_settings
from connector.hunts.checking.check import check
from connector.hunts.checking.proof import engine_problems
from connector.settings.model import SiemSettings

GOOD = (Path(__file__).parents[1] / "bad" / "hunts" / "title-word.yml").read_text(encoding="utf-8")
TITLE = ("Names under", "Policy: Names under")
WORD = "hunt.name.parents: example.net"
FEW = ("public-dns-queries", "internal-resolver-bypassed", "dns-tunnel-fast", "ssh-password-guessing")


@pytest.fixture(scope="module")
def catalogue():
    return load_catalogue(example_settings())


@pytest.fixture
def settings(each_place):
    return replace(example_settings(), siem=SiemSettings(urls=(each_place.url,)), prefix=each_place.prefix)


def left(place) -> list[str]:
    """Return the names of what is left in the place: indices, pipelines and templates."""
    found = [*place.siem.call("GET", f"/{place.prefix}*", expand_wildcards="all")]
    with suppress(NotThere):  # the engine has no pipeline at all
        found += place.siem.call("GET", "/_ingest/pipeline", filter_path="*.version,*.description")
    return [name for name in found if name.startswith(place.prefix)]


@pytest.mark.parametrize("each_engine", ["opensearch", "elasticsearch7"], indirect=True)
def test_every_case_of_the_hunts_we_ship_holds_on_the_engine(each_place, settings, catalogue):
    found = check(catalogue, (), lambda judged: engine_problems(each_place.siem, settings, judged))
    assert found.problems == () and found.not_judged == 0
    assert found.hunts == len(catalogue.hunts) and left(each_place) == []


def test_what_holds_on_one_engine_holds_through_the_official_client(each_place, settings, catalogue):
    found = check(catalogue, FEW, lambda judged: engine_problems(each_place.siem, settings, judged))
    assert found.problems == () and found.hunts == len(FEW) and left(each_place) == []


def written(folder: Path, *edits: tuple[str, str]) -> tuple[Path, int]:
    """Return the file of a hunt that is right but for the edits, and the line of its first case."""
    text = GOOD
    for old, new in (TITLE, *edits):
        assert old in text
        text = text.replace(old, new)
    file = folder / "policy" / "title-word.yml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file, next(n for n, line in enumerate(text.splitlines(), 1) if "name: one name" in line)


def problems_of(place, settings, catalogue, file: Path) -> list[str]:
    """Return what is wrong with the hunt of a file on the engine, and nothing else."""
    assert check(catalogue, [str(file)]).problems == ()
    found = check(catalogue, [str(file)], lambda judged: engine_problems(place.siem, settings, judged))
    assert found.not_judged == 0 and left(place) == []
    return [str(problem) for problem in found.problems]


LONG = f"/{'a' * 300}/../../etc/passwd"
HTTP = (
    ('"event_type": "dns"', '"event_type": "http"'),
    ("event_types: [dns]", "event_types: [http]"),
    ('"dns": {"version": 2, "type": "query", "id": 1, "rrname": "www.example.net", "rrtype": "A", "tx_id": 0}',
     f'"http": {{"hostname": "www.example.net", "url": "{LONG}"}}'),
    ("    - hunt.dns.message: query\n    - hunt.name.parents: example.net\n    - hunt.resolver.verdict: public\n",
     "    - http.url: {contains: ../}\n"),
    ("match: {all: [{hostname_info.host: $hostname_info.host}, {hunt.dns.message: query}]}",
     "match: {all: [{hostname_info.host: $hostname_info.host}]}"),
    ("match: {all: [{hunt.client.ip: $hunt.client.ip}, {hunt.dns.message: query}]}",
     "match: {all: [{hunt.client.ip: $hunt.client.ip}]}"),
)  # fmt: skip


def test_a_hunt_that_is_wrong_on_the_engine_only_is_told_with_what_both_find(each_place, settings, catalogue, tmp_path):
    file, line = written(tmp_path, *HTTP)
    (problem,) = problems_of(each_place, settings, catalogue, file)
    product = each_place.siem.product
    assert problem.startswith(
        f"{file}:{line}: case 'one name' differs: Python finds hunt.client.ip 10.10.10.17, count 1, and {product} ("
    )
    assert problem.endswith("finds nothing") and "http.url" in problem


def test_an_event_that_the_engine_refuses_is_told(each_place, settings, catalogue, tmp_path):
    tx = ('"rrname": "www.example.net"', '"rrname": "www.example.net", "answers": [{"ttl": 1}, "x"]')
    file, line = written(tmp_path, tx)
    lost, differs = sorted(problems_of(each_place, settings, catalogue, file), reverse=True)
    assert lost.startswith(f"{file}:{line}: case 'one name' loses its event 1: refused by the engine: ")
    assert differs.startswith(f"{file}:{line}: case 'one name' differs: Python finds ")


def test_a_hunt_that_only_a_search_can_answer_is_judged(each_place, settings, catalogue, tmp_path):
    file, line = written(tmp_path, (WORD, "hostname_info.host: {regex: '[a-z]+[.]example[.]net'}"))
    assert check(catalogue, [str(file)]).not_judged == 2
    assert problems_of(each_place, settings, catalogue, file) == []
    file, line = written(tmp_path, (WORD, "lucene: 'hostname_info.host:mail.example.net'"))
    assert problems_of(each_place, settings, catalogue, file) == [
        f"{file}:{line}: case 'one name' expects hunt.client.ip 10.10.10.17, but finds nothing on "
        f"{each_place.siem.product}"
    ]


def test_a_hunt_that_the_engine_cannot_run_proves_no_case_of_it(each_place, settings, catalogue, tmp_path):
    file, line = written(tmp_path, (WORD, "lucene: 'hostname_info.host:[a'"))
    for problem in (problems := problems_of(each_place, settings, catalogue, file)):
        assert f"cannot be judged: the hunt fails on {each_place.siem.product} (" in problem
    assert len(problems) == 2 and problems[0].startswith(f"{file}:{line}: case 'one name' ")


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_whatever_happens_nothing_is_left_in_the_engine(each_place, settings, catalogue, monkeypatch, error):
    def break_off(siem, own, *_, **__):
        assert siem.count(own.events, {"match_all": {}}) > 0 and left(each_place)
        raise error

    monkeypatch.setattr(proof, "run_hunts", break_off)
    with pytest.raises(error):
        check(catalogue, FEW[:1], lambda judged: engine_problems(each_place.siem, settings, judged))
    assert left(each_place) == []


def test_two_hunts_of_one_name_do_not_see_each_others_events(each_place, settings, catalogue):
    found = check(catalogue, (FEW[2], FEW[2]), lambda judged: engine_problems(each_place.siem, settings, judged))
    assert found.problems == () and left(each_place) == []


def test_the_command_says_so_as_text_and_as_json(each_place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUNTS_CONFIG", "own.yml")
    Path("own.yml").write_text(f"siem: {{url: '{each_place.url}'}}\nprefix: {each_place.prefix}\n")
    file, line = written(tmp_path, (WORD, "lucene: 'hostname_info.host:mail.example.net'"))
    assert run(["check", "--engine", FEW[0]]) == 0
    assert capsys.readouterr().out == "1 hunts and their 4 cases are right\n"
    assert run(["check", "--engine", "--json", str(file)]) == 3
    printed = json.loads(capsys.readouterr().out)
    assert printed["hunts"] == 1 and printed["not_judged"] == 0
    assert [problem["line"] for problem in printed["problems"]] == [line] and left(each_place) == []
