"""Log lines of the service: ECS, one line each, whatever they are about, and nothing secret."""

import io
import json
import logging
from datetime import UTC, datetime

import pytest

from connector.errors import Unreachable
from connector.service.logs import LONGEST, log_to, say, tellable


def said(level="info", action="pass", message="a pass is done", /, **more) -> dict:
    """Return the line that `say` writes, which is one line."""
    stream = io.StringIO()
    say(log_to(stream), level, action, message, **more)
    text = stream.getvalue()
    assert text.endswith("\n") and text.count("\n") == 1 and text.isascii()
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_a_line_has_the_fields_of_ecs():
    line = said(took_s=1.25, hunt="public-dns", hits=3, share=0.5, newest=True, until=datetime(2026, 1, 2, tzinfo=UTC))
    assert abs(datetime.fromisoformat(line["@timestamp"]) - datetime.now(UTC)).total_seconds() < 60
    assert (line["log.level"], line["message"], line["log"]["logger"]) == ("info", "a pass is done", "guided-hunts")
    assert line["ecs.version"] and line["process"]["pid"] and line["service"]["name"] == "guided-hunts"
    assert line["event"] == {"action": "pass", "duration": 1_250_000_000}
    assert line["labels"] == {"hunt": "public-dns", "newest": "true", "until": "2026-01-02T00:00:00+00:00"}
    assert line["hunts"] == {"hits": 3, "share": 0.5}
    assert "error" not in line and "original" not in line["log"] and "origin" not in line["log"]


def test_what_is_not_known_is_left_out():
    line = said(hunt=None, hits=None, age=float("nan"), rate=float("inf"))
    assert "labels" not in line and "hunts" not in line and "duration" not in line["event"]


def test_facts_may_have_any_name():
    facts = {"message": "a", "level": "b", "action": "c", "name": "d", "logger": "e"}
    assert said(**facts)["labels"] == facts


@pytest.mark.parametrize("level", ["info", "warning", "error"])
def test_levels(level):
    assert said(level)["log.level"] == level


def test_an_error_of_ours_has_no_stack_trace_and_a_fault_has():
    assert said("error", error=Unreachable("GET /: no connection"))["error"] == {
        "type": "Unreachable",
        "message": "GET /: no connection",
    }
    assert said("error", error="in words")["error"] == {"message": "in words"}
    try:
        raise KeyError("hunt\nid")
    except KeyError as error:
        fault = said("error", error=error)["error"]
    assert fault["type"] == "KeyError" and "test_service_logs.py" in fault["stack_trace"]


@pytest.mark.parametrize(
    "evil", ['a\nb\r\n{"log.level":"info"}', "\x1b[2J\x00", "\u2028\u202e\x85", "\ud800", "%s %d %(x)s", '"}', "ü漢"]
)
def test_what_an_attacker_wrote_stays_inside_its_line(evil):
    line = said("warning", "pass", f"{evil} here", name=evil, error=evil)
    shown = evil.replace("\ud800", "?")
    assert (line["message"], line["labels"], line["error"]) == (f"{shown} here", {"name": shown}, {"message": shown})
    assert line["log.level"] == "warning"


def test_long_texts_are_cut():
    line = said("info", "pass", "m" * 10**6, name="n" * 10**6, error="e" * 10**6)
    for text in (line["message"], line["labels"]["name"], line["error"]["message"]):
        assert len(text) == LONGEST and text.endswith("…")
    assert tellable("n" * LONGEST) == "n" * LONGEST


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no answer of https://hunts:s3cret@siem.example:9200/x", "no answer of https://redacted@siem.example:9200/x"),
        ("https://s3cret@siem.example", "https://redacted@siem.example"),
        ("//hunts:s3@cret@siem.example and //hunts:s3cret@b", "//redacted@siem.example and //redacted@b"),
        ("//hunts:s3/cr?e#t@siem.example", "//redacted@siem.example"),
        ("//hunts:9s3cret/a@siem.example", "//redacted@siem.example"),
        ("['https://hunts:s3cret@a.example:9200', 'b']", "['https://redacted@a.example:9200', 'b']"),
        ("https://siem.example:9200/@x mail a@b.example", "https://siem.example:9200/@x mail a@b.example"),
        ("https://[::1]:9200/_search", "https://[::1]:9200/_search"),
        (
            f"{'x' * (LONGEST - 20)} https://hunts:{'s3cret' * 9}@h",
            f"{'x' * (LONGEST - 20)} https://redacted@h",
        ),
    ],
)
def test_user_and_password_of_an_address_are_not_told(text, shown):
    line = said("error", "pass", text, url=text, error=Unreachable(text))
    assert (line["message"], line["labels"]["url"], line["error"]["message"]) == (shown, shown, shown)
    assert "cret" not in json.dumps(line)


@pytest.mark.parametrize("evil", ["//a:", "/", ":", "//a:@", "//"])
def test_evil_texts_do_not_hold_up_the_search_for_passwords(evil):
    """A search over the whole text would be quadratic in its length: hours."""
    assert len(tellable("//" + evil * 10**6)) <= LONGEST


def test_other_loggers_are_left_alone(caplog):
    before = logging.root.handlers[:], logging.root.level, set(logging.root.manager.loggerDict)
    with caplog.at_level(logging.DEBUG):
        said()
        assert not caplog.records
    first, second = io.StringIO(), io.StringIO()
    one, _ = log_to(first), log_to(second)
    say(one, "info", "start", "only here")
    assert first.getvalue() and not second.getvalue()
    assert before == (logging.root.handlers[:], logging.root.level, set(logging.root.manager.loggerDict))
