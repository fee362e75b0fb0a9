"""`hunts settings check|show`, `hunts init`, and what every command is given."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import click
import pytest

from connector.cli import context, run
from connector.errors import Refused
from connector.settings.load import load_settings
from connector.settings.view import checked


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Run in an empty folder with no settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("HUNTS_CONFIG", "HUNTS_PASSWORD", "HUNTS_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def told(capsys, *arguments: str) -> tuple[int, str, str]:
    status = run(arguments)
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_init_writes_files_that_are_right_and_keeps_those_there(capsys, folder):
    status, out, _ = told(capsys, "init", "org/here")
    assert status == 0
    assert out.splitlines()[:3] == [f"wrote org/here/{name}.yml" for name in ("hunts", "networks", "resolvers")]
    assert load_settings(Path("org/here/hunts.yml"), {}).organisation == "Example Instruments"
    for name in ("hunts", "networks", "resolvers"):
        first = Path(f"org/here/{name}.yml").read_text().splitlines()[0]
        uri = first.removeprefix("# yaml-language-server: $schema=file://")
        assert json.loads(Path(uri).read_text())["title"] == f"{name}.yml"


def test_init_writes_nothing_where_one_of_the_files_is(capsys, folder):
    Path("networks.yml").write_text("mine")
    status, _, err = told(capsys, "init")
    assert status == 6
    assert err == "error: nothing was written, as there already is networks.yml: name another folder\n"
    assert [path.name for path in folder.iterdir()] == ["networks.yml"]
    assert Path("networks.yml").read_text() == "mine"


def test_check_without_a_file_is_about_the_example(capsys):
    status, out, _ = told(capsys, "settings", "check")
    assert status == 0
    assert "no settings file: the built-in example: no problems (sources 1, networks and hosts 17, " in out
    assert "roles that no hunt we ship knows: legacy-application" in out


def test_check_tells_all_problems_for_people_and_for_programs(capsys):
    Path("hunts.yml").write_text("prefix: -x\nsorces: []\n")
    status, out, err = told(capsys, "settings", "check")
    assert (status, out) == (3, "")
    assert [line.split(" ")[0] for line in err.splitlines()] == ["hunts.yml:1:", "hunts.yml:2:", "error:", "next:"]
    status, out, err = told(capsys, "settings", "check", "--json")
    assert (status, err) == (3, "")
    problems = json.loads(out)["problems"]
    assert [(p["file"], p["line"]) for p in problems] == [("hunts.yml", 1), ("hunts.yml", 2)]
    assert json.loads(out)["file"] == "hunts.yml"


def test_check_counts_exceptions_that_have_ended():
    example = load_settings(environment={})
    assert checked(example, date(2026, 9, 30)).ended == 0
    assert checked(example, date(2026, 10, 1)).ended == 1
    assert checked(example, date(2027, 1, 1)).ended == 2


HUNTS = """
siem: {url: "https://siem.example:9200", username: me}
receivers:
  - {name: chat, url: "https://chat.example/hook/not-for-eyes", secret_env: SIGN}
"""


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_show_prints_everything_but_secrets(capsys, monkeypatch, form):
    Path("hunts.yml").write_text(HUNTS)
    monkeypatch.setenv("HUNTS_PASSWORD", "not-for-eyes")
    monkeypatch.setenv("SIGN", "not-for-eyes")
    status, out, err = told(capsys, "settings", "show", *form)
    assert (status, err) == (0, "")
    assert "not-for-eyes" not in out
    assert "https://siem.example:9200" in out
    assert "https://chat.example" in out


def test_show_as_json_has_a_word_for_each_secret(capsys, monkeypatch):
    Path("hunts.yml").write_text(HUNTS)
    monkeypatch.setenv("HUNTS_PASSWORD", "p")
    monkeypatch.setenv("SIGN", "s")
    shown = json.loads(told(capsys, "settings", "show", "--json")[1])
    assert shown["file"] == "hunts.yml"
    assert (shown["siem"]["password"], shown["siem"]["api_key"]) == ("set", "not set")
    assert shown["receivers"][0]["secret"] == "set"
    assert shown["sources"] == [{"pattern": "logstash-*", "dialect": "eve", "time_field": "@timestamp"}]


def test_the_settings_option_comes_before_the_environment(capsys, monkeypatch):
    Path("a.yml").write_text("prefix: a-\n")
    Path("b.yml").write_text("prefix: b-\n")
    monkeypatch.setenv("HUNTS_CONFIG", "b.yml")
    assert json.loads(told(capsys, "--settings", "a.yml", "settings", "show", "--json")[1])["prefix"] == "a-"
    assert json.loads(told(capsys, "settings", "show", "--json")[1])["prefix"] == "b-"


def test_settings_are_read_once(monkeypatch):
    Path("hunts.yml").write_text("prefix: a-\n")
    given = context.Context()
    assert given.settings.prefix == "a-"
    Path("hunts.yml").write_text("prefix: b-\n")
    assert given.settings.prefix == "a-"


def test_without_an_engine_the_error_says_how_to_get_one(monkeypatch, folder):
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    with pytest.raises(Refused, match="no embedded engine is running: run `hunts engine start` or `hunts demo`"):
        context.Context().connect(context.Context().settings)


def test_an_engine_that_is_not_there_is_unreachable(capsys, monkeypatch):
    """Nothing listens on port 9 of this machine."""
    Path("hunts.yml").write_text("siem: {url: 'http://127.0.0.1:9'}\n")

    @click.command()
    @context.use
    def command(ctx: context.Context) -> None:
        ctx.siem()

    monkeypatch.setattr("connector.cli._loaded", lambda _: command)
    status, _, err = told(capsys, "settings")
    assert status == 4
    assert err.startswith("error: GET /: no answer from the search engine (")
    assert err.endswith("`hunts engine start` starts an engine here\n")


@pytest.mark.parametrize(("options", "status", "said"), [((), 0, ""), (("--settings", "none.yml"), 3, "none.yml:1: ")])
def test_the_command_works_as_a_program(options, status, said):
    program = [sys.executable, "-c", "from connector.cli import main; main()", *options, "settings", "check"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert done.stderr.startswith(said)
    assert bool(done.stderr) == bool(said)
