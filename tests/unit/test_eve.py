"""A line of an EVE file: where it goes, or why it is no event."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.siem.eve import Layout, Odd, Placed, days_in, line_id, once, read_line, utc

DAY, YEAR = Layout(), Layout("x-", "year")
EVENT = b'{"timestamp":"2026-11-02T23:30:00.123456-0100","event_type":"dns","dns":{"rrname":"a"}}'


def test_an_event_goes_to_its_type_and_its_utc_day_with_its_bytes_as_they_are() -> None:
    """The date is that of UTC; `@timestamp` stands in front of the line's own bytes."""
    placed = read_line(EVENT, 1, DAY)
    assert placed == Placed(
        "logstash-dns-2026.11.03", line_id(EVENT, 1), b'{"@timestamp":"2026-11-03T00:30:00.123456Z",' + EVENT[1:]
    )
    assert read_line(EVENT, 1, YEAR).index == "x-dns-2026"


def test_a_time_that_is_there_is_not_written_twice() -> None:
    """An event that was exported from an index has an `@timestamp` already."""
    line = b'{"@timestamp":"2026-11-02T00:00:00Z","event_type":"flow"}'
    assert read_line(line, 1, DAY).source == line


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-02T09:12:00.123456+0000", "2026-11-02T09:12:00.123456Z"),
        ("2023-12-08T01:42:11.1011041+0000", "2023-12-08T01:42:11.101104Z"),
        ("2023-12-08T01:42:11.4294967295+0000", "2023-12-08T01:42:11.429496Z"),
        ("2026-11-02T09:12:00Z", "2026-11-02T09:12:00.000000Z"),
        ("2026-11-02 09:12:00,5+05:30", "2026-11-02T03:42:00.500000Z"),
        ("2026-11-02T09:12:00", None),
        ("2026-13-02T09:12:00Z", None),
        ("2026-02-30T09:12:00Z", None),
        ("0001-01-01T00:00:00+2300", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times(text: str, moment: str | None) -> None:
    """Every form with a zone is read; what is no time is none."""
    assert utc(text) == moment


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a":1}{"b":2}', "not JSON"),
        (b'{"a":NaN}', "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{}", "no timestamp"),
        (b'{"timestamp":1}', "odd timestamp"),
        (b'{"timestamp":"x","event_type":"dns"}', "odd timestamp"),
        (b'{"timestamp":"2026-01-01T00:00:00Z"}', "no event_type"),
        (b'{"timestamp":"2026-01-01T00:00:00Z","event_type":"../x"}', "odd event_type"),
        (b'{"timestamp":"2026-01-01T00:00:00Z","event_type":"DNS"}', "odd event_type"),
        (b'{"timestamp":"2026-01-01T00:00:00Z","event_type":["dns"]}', "odd event_type"),
    ],
)
def test_lines_that_are_no_events_say_why(line: bytes, kind: str) -> None:
    """Each kind of bad line has a word that can be counted."""
    odd = read_line(line, 1, DAY)
    assert isinstance(odd, Odd) and odd.kind == kind


def test_ids_tell_lines_and_their_places_apart() -> None:
    """The same line at the same place is the same document; twice in one file it is two."""
    assert line_id(EVENT, 1) == line_id(EVENT, 1)
    assert len({line_id(EVENT, 1), line_id(EVENT, 2), line_id(EVENT + b" ", 1)}) == 3


def test_a_key_that_stands_twice_loses_no_value() -> None:
    """Equal values become one, different ones a list."""
    placed = Placed("i", "1", b'{"c":"x","c":"x","m":{"n":1,"n":2},"k":[1]}')
    assert json.loads(once(placed).source) == {"c": "x", "m": {"n": [1, 2]}, "k": [1]}


def test_days_of_a_piece_of_text() -> None:
    """The dates of the timestamps, nothing else that looks like one."""
    assert days_in(EVENT + b'\n{"timestamp": "2026-11-04T","x":"2020-01-01"}') == {b"2026-11-02", b"2026-11-04"}


@given(st.binary())
def test_no_line_breaks_the_reader(line: bytes) -> None:
    """Whatever stands in a file, reading it gives an answer, and an id the engine takes."""
    read = read_line(line, 1, DAY)
    assert len(read.id) == 20 and read.id.isascii()


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists)))
def test_every_event_stays_what_it_was(fields: dict[str, object]) -> None:
    """The stored document is the event with `@timestamp`, and one line."""
    event = {**fields, "timestamp": "2026-01-01T00:00:00.5+0000", "event_type": "dns"}
    event.pop("@timestamp", None)
    placed = read_line(json.dumps(event).encode(), 1, DAY)
    assert b"\n" not in placed.source
    assert json.loads(placed.source) == {**event, "@timestamp": "2026-01-01T00:00:00.500000Z"}
