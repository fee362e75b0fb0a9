"""Results on a terminal and as JSON: events are written by attackers, and none of their text may act."""

import json
import unicodedata
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum
from ipaddress import ip_address, ip_network
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Group

from connector.cli import output
from connector.cli.output import cell, encoded, json_option, rows, show
from connector.cli.safe import plain

CLI = Path(output.__file__).parent


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("plain text", "plain text"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "\\x1b]8;;http://evil\\x1b\\click\\x1b]8;;\\x1b\\"),
        ("a\rb", "a\\rb"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("a\bb\x00c\x7f", "a\\x08b\\x00c\\x7f"),
        ("invoice\u202efdp.exe", "invoice\\u202efdp.exe"),
        ("\u2066a\u2069", "\\u2066a\\u2069"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("line\u2028para\u2029", "line\\u2028para\\u2029"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("half\ud83d", "half\\ud83d"),
        ("no-break\xa0space\u3000", "no-break space "),
        ("bücher.example 例え 😀", "bücher.example 例え 😀"),
        ("[red]markup[/red] :skull:", "[red]markup[/red] :skull:"),
        ("", ""),
        (None, "None"),
        (443, "443"),
    ],
)
def test_plain_text_shows_what_a_terminal_would_act_on(text, printed):
    assert plain(text) == printed


def test_a_very_long_text_is_cut_and_says_so():
    assert plain("x" * 100_000) == "x" * 199 + "…"
    assert plain("x" * 200) == "x" * 200
    assert plain("x" * 30, limit=10) == "x" * 9 + "…"
    assert plain("x" * 300, limit=None) == "x" * 300


def test_lines_stay_where_they_are_asked_for():
    assert plain("a\nb\rc", lines=True) == "a\nb\\rc"


@given(st.text(st.characters(codec=None)))
def test_nothing_unseen_is_left_in_plain_text(text):
    assert plain(text, limit=None).isprintable()
    assert not {unicodedata.category(char) for char in plain(text)} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


EVIL = "\x1b[2Jx\r\n[bold]y[/bold] :skull: \u202ez"


@dataclass(frozen=True)
class Found:
    """A result as a command returns it."""

    name: str
    count: int


def printed(result, table, as_json=False, arguments=()):
    """Return what a command that shows the result prints."""

    @click.command()
    @json_option
    def command(as_json: bool) -> None:
        show(result, table=table, as_json=as_json)

    outcome = CliRunner().invoke(command, ["--json"] if as_json else list(arguments), catch_exceptions=False)
    assert outcome.exit_code == 0
    return outcome.stdout


@pytest.mark.parametrize(
    "table",
    [
        lambda text: rows(["name"], [[text]]),
        lambda text: rows([text], [["x"]]),
        lambda text: rows(["x"], [["x"]], title=text),
        lambda text: rows(["x"], [[[text, text]]]),
        lambda text: text,
        lambda text: [text, text],
        Group,
    ],
    ids=["cell", "column", "title", "list", "line", "lines", "nested"],
)
def test_whatever_a_table_is_made_of_no_text_acts_on_the_terminal(table):
    out = printed(EVIL, table)
    assert "\\x1b[2Jx\\r" in out
    assert "[bold]y[/bold] :skull: \\u202ez" in out
    assert not {"\x1b", "\r", "\u202e"} & set(out)


def test_a_cell_is_one_line_and_a_number_stands_right():
    out = printed(None, lambda _: rows(["name", "count"], [["a\nb", 5], ["c", 4100000]], title="findings"))
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0] == "findings"
    assert any(line.strip().startswith("a\\nb") and line.endswith("      5") for line in lines)
    assert any(line.endswith("4100000") for line in lines)


def test_output_into_a_file_is_not_cut_at_80_columns():
    assert "x" * 150 in printed(None, lambda _: rows(["name"], [["x" * 150]]))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (8853, "8853"),
        (0.5, "0.5"),
        (["a", 1, ip_network("10.0.0.0/8")], "a, 1, 10.0.0.0/8"),
        ((), ""),
        (datetime(2026, 11, 2, 9, 12, tzinfo=UTC), "2026-11-02T09:12:00Z"),
        (ip_address("fd00::1"), "fd00::1"),
    ],
)
def test_cells(value, text):
    assert cell(value) == text


class Colour(Enum):
    """An enumeration."""

    RED = "red"


@pytest.mark.parametrize(
    ("value", "json_value"),
    [
        (Found("a", 1), {"name": "a", "count": 1}),
        ([Found("a", 1)], [{"name": "a", "count": 1}]),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        ({ip_address("10.0.0.1"): 1}, {"10.0.0.1": 1}),
        (datetime(2026, 11, 2, 9, 12, tzinfo=UTC), "2026-11-02T09:12:00Z"),
        (datetime(2026, 11, 2, 9, 12, 0, 5, tzinfo=timezone(timedelta(hours=2))), "2026-11-02T07:12:00.000005Z"),
        (date(2026, 11, 2), "2026-11-02"),
        (ip_address("2001:0db8::0001"), "2001:db8::1"),
        (ip_network("10.0.0.0/8"), "10.0.0.0/8"),
        (Path("a/b"), "a/b"),
        (Colour.RED, "red"),
        ({"b", "a"}, ["a", "b"]),
        (frozenset([2, 1]), [1, 2]),
        ((1, (2,)), [1, [2]]),
        (None, None),
        (True, True),
        (1.5, 1.5),
    ],
)
def test_a_result_in_json_types(value, json_value):
    assert encoded(value) == json_value
    assert json.loads(printed(value, str, as_json=True)) == json_value


@pytest.mark.parametrize("value", [object(), b"x", datetime(2026, 11, 2), Found, lambda: 1])
def test_what_has_no_json_form_is_refused(value):
    with pytest.raises(TypeError):
        encoded(value)


def test_json_holds_nothing_a_terminal_acts_on():
    out = printed({"name": EVIL + "\x9b\u2028"}, str, as_json=True)
    assert out.replace("\n", "").isascii()
    assert out.replace("\n", "").isprintable()
    assert json.loads(out) == {"name": EVIL + "\x9b\u2028"}


def test_notes_and_progress_go_to_stderr_and_a_bar_only_to_a_terminal(capsys):
    output.note("loading \x1b[2Jx")
    with output.progress() as bar:
        bar.advance(bar.add_task("[b]events[/b]", total=2))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "loading \\x1b[2Jx\n"


def test_there_is_one_console_and_one_way_to_print():
    """A console made elsewhere would read markup and let control characters through."""
    others = [path for path in CLI.glob("*.py") if path.name != "output.py"]
    assert others
    guilty = [p.name for p in others for word in ("Console(", "rich.print", "print(") if word in p.read_text()]
    assert guilty == []
