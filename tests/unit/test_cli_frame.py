"""The frame of the command line: exit codes, messages, lazy commands."""

import re
import subprocess
import sys

import click
import pytest

import connector.cli as frame
from connector import errors
from connector.cli import COMMANDS, EXIT_CODES, NEXT_STEPS, Command, hunts, run
from connector.errors import ContentError, Problem


def raising(error: BaseException) -> click.Command:
    """Return a command that raises the error."""

    @click.command()
    def command() -> None:
        raise error

    return command


@pytest.fixture
def outcome(monkeypatch, capsys):
    """Return a function that runs a command which raises, and returns exit code and stderr."""
    monkeypatch.delenv("HUNTS_DEBUG", raising=False)

    def outcome(error: BaseException) -> tuple[int, str]:
        monkeypatch.setattr(frame, "COMMANDS", (Command("x", "x:x", ""),))
        monkeypatch.setattr(frame, "_loaded", lambda _: raising(error))
        status = run(["x"])
        printed = capsys.readouterr()
        assert printed.out == ""
        return status, printed.err

    return outcome


def all_errors(kind: type = errors.HuntsError) -> list[type]:
    return [kind, *(below for sub in kind.__subclasses__() for below in all_errors(sub))]


# ---- errors and exit codes


@pytest.mark.parametrize("kind", [kind for kind in all_errors() if kind is not ContentError])
def test_each_error_is_a_short_message_with_its_documented_exit_code(kind, outcome):
    status, printed = outcome(kind("what happened"))
    assert status == kind.exit_code
    assert status in EXIT_CODES
    assert printed.startswith("error: what happened\n")
    assert "Traceback" not in printed


@pytest.mark.parametrize("kind", all_errors())
def test_each_error_says_what_to_do_next_unless_its_message_does(kind):
    says_it_itself = kind in (errors.HuntsError, errors.SiemError, errors.Rejected, errors.Refused)
    assert any(base in NEXT_STEPS for base in kind.__mro__) != says_it_itself


def test_exit_codes_are_those_of_the_errors_and_all_documented_in_the_help():
    assert {kind.exit_code for kind in all_errors()} | {0, 2, 130} == set(EXIT_CODES)
    shown = hunts.get_help(click.Context(hunts, info_name="hunts"))
    for code, meaning in EXIT_CODES.items():
        assert re.search(rf"^ +{code} +{re.escape(meaning)}$", shown, re.MULTILINE)


def test_each_problem_of_a_content_error_has_its_own_line(outcome):
    status, printed = outcome(ContentError([Problem("a.yml", 3, "is odd"), Problem("b.yml", 1, "is\x1b[2J odd")]))
    assert status == 3
    assert printed.splitlines() == [
        "a.yml:3: is odd",
        "b.yml:1: is\\x1b[2J odd",
        "error: 2 problems in the files",
        "next: correct the lines named above and run the command again",
    ]


def test_one_problem_is_one(outcome):
    assert "error: 1 problem in the files\n" in outcome(ContentError([Problem("a.yml", 3, "is odd")]))[1]


def test_an_error_with_text_of_an_event_does_not_act_on_the_terminal(outcome):
    _, printed = outcome(errors.Rejected("field \x1b]0;owned\x07 in\nindex x" + "y" * 5000))
    assert printed.startswith("error: field \\x1b]0;owned\\x07 in\nindex x")
    assert len(printed) < 2100


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_ctrl_c_is_130(error, outcome):
    status, printed = outcome(error)
    assert status == 130
    assert printed.strip() == "stopped"


def test_an_unforeseen_error_is_called_a_bug_and_its_traceback_comes_on_demand(outcome, monkeypatch):
    status, printed = outcome(KeyError("oops"))
    assert status == 1
    assert printed.startswith("error: this is a bug in guided-hunts: KeyError: 'oops'\nnext: ")
    assert "Traceback" not in printed
    monkeypatch.setenv("HUNTS_DEBUG", "1")
    status, printed = outcome(KeyError("oops"))
    assert status == 1
    assert "Traceback (most recent call last)" in printed
    assert "KeyError: 'oops'" in printed


def test_an_error_of_the_system_is_no_bug(outcome):
    assert outcome(OSError(28, "No space left on device", "/tmp/x")) == (1, "error: /tmp/x: No space left on device\n")
    assert outcome(PermissionError(13, "Permission denied")) == (1, "error: Permission denied\n")


@pytest.mark.parametrize("arguments", [["no-such-command"], ["--no-such-option"], ["settings", "show", "too-much"], []])
def test_wrong_usage_is_2(arguments, capsys):
    assert run(arguments) == 2
    assert "Usage: hunts" in capsys.readouterr().err


def test_help_and_version_are_0(capsys):
    from connector import __version__

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"guided-hunts {__version__}\n"
    for arguments in (["--help"], ["-h"], ["settings", "-h"]):
        assert run(arguments) == 0
        assert "Usage: hunts" in capsys.readouterr().out


# ---- commands


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_each_line_of_the_list_leads_to_its_command(command):
    found = hunts.get_command(click.Context(hunts), command.name)
    assert isinstance(found, click.Command)
    assert found.help
    assert len(command.summary) <= 70
    assert command.summary.endswith(".")


def leaves(command: click.Command, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], click.Command]]:
    """Return the commands that do something, with their path."""
    if not isinstance(command, click.Group):
        return [(path, command)]
    context = click.Context(command)
    names = command.list_commands(context)
    return [leaf for name in names for leaf in leaves(command.get_command(context, name), (*path, name))]


@pytest.mark.parametrize("listed", COMMANDS, ids=lambda command: command.name)
def test_every_command_is_explained_and_can_print_json(listed):
    found = hunts.get_command(click.Context(hunts), listed.name)
    for path, command in leaves(found, (listed.name,)):
        name = " ".join(path)
        assert command.help, f"hunts {name} has no help"
        if name != "serve":  # has no result; its log is JSON
            assert "--json" in {option for parameter in command.params for option in parameter.opts}, f"hunts {name}"
        undescribed = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
        assert undescribed == [], f"hunts {name}"


def test_the_names_are_unique():
    names = [command.name for command in COMMANDS]
    assert len(set(names)) == len(names)


def test_a_missing_package_breaks_only_the_command_that_needs_it(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "needy.py").write_text("import no_such_package\n")
    monkeypatch.setattr("connector.cli.__path__", [*frame.__path__, str(tmp_path)])
    monkeypatch.setattr(frame, "COMMANDS", (Command("needy", "needy:x", "Needs."), *COMMANDS))
    assert run(["needy"]) == 1
    assert "hunts needy needs the Python package no_such_package" in capsys.readouterr().err
    assert run(["--help"]) == 0
    assert run(["settings", "check"]) == 0


def test_help_imports_no_command_and_no_client():
    code = "import sys; from connector.cli import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.split()
    unwanted = {
        "connector.siem.client",
        "elasticsearch",
        "opensearchpy",
        "rich.console",
        "jsonschema",
        "yaml",
        "jinja2",
    }
    assert unwanted.isdisjoint(modules)
    assert [m for m in modules if m.startswith("connector.cli.")] == ["connector.cli.safe"]
