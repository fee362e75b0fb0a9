"""The lines of a file: plain or gzip, whole or damaged."""

import gzip
import io
from pathlib import Path

import pytest

from connector.errors import ContentError
from connector.siem import lines
from connector.siem.lines import LineFile

TEXT = b'{"a":1}\n\n  {"b":2} \r\nlast'
READ = [(1, b'{"a":1}'), (2, b""), (3, b'{"b":2}'), (4, b"last")]


@pytest.mark.parametrize("packed", [False, True])
def test_lines_have_numbers_and_the_position_grows(tmp_path: Path, packed: bool) -> None:
    """A gzip file is told by its first bytes, whatever its name is; the position is that in the file as it is."""
    file = tmp_path / "eve.json"
    file.write_bytes(gzip.compress(TEXT) if packed else TEXT)
    with LineFile(str(file)) as opened:
        assert list(opened.lines()) == READ
        assert opened.position == opened.size == file.stat().st_size
    with LineFile(str(file)) as opened:
        assert b"".join(opened.chunks()) == TEXT


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads standard input, gzip as well, and has no size."""
    for text in (TEXT, gzip.compress(TEXT)):
        stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(text)))
        monkeypatch.setattr("sys.stdin", stdin)
        with LineFile("-") as opened:
            assert list(opened.lines()) == READ and opened.size is None


def test_a_damaged_file_gives_what_stands_before_the_damage(tmp_path: Path) -> None:
    """Cut off in the middle: the error names file and line, after the whole lines."""
    file = tmp_path / "eve.json.gz"
    text = b"".join(b'{"number":%d}\n' % number for number in range(20_000))
    whole = gzip.compress(text)
    file.write_bytes(whole[: len(whole) // 2])
    with LineFile(str(file)) as opened, pytest.raises(ContentError, match=rf"{file}:\d+: cannot be read further"):
        list(opened.lines())
    assert opened.number > 1000


def test_a_missing_file_and_a_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are errors with the file's name."""
    with pytest.raises(ContentError, match=r"none\.json:1: cannot be read: No such file"):
        LineFile(str(tmp_path / "none.json"))
    monkeypatch.setattr(lines, "LINE_BYTES", 10)
    (tmp_path / "long").write_bytes(b"short\n" + b"x" * 30)
    with LineFile(str(tmp_path / "long")) as opened, pytest.raises(ContentError, match=r"long:2: .*longer than"):
        list(opened.lines())
