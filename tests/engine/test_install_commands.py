"""`hunts plan`, `install`, `backfill` and `uninstall` on a real engine, with the real enrichment."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Place

from connector.cli import run as hunts

EVENT = {
    "timestamp": "2026-01-01T10:00:00.123456+0000",
    "event_type": "dns",
    "dns": {"type": "query", "rrname": "a.co.uk"},
}


class Terminal:
    """Runs commands on the indices of a place and keeps what they print."""

    def __init__(self, place: Place, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Write the settings."""
        self.settings = folder / "hunts.yml"
        lines = [
            f"siem: {{url: '{place.url}'}}",
            f"prefix: {place.prefix}",
            "sources:",
            f"  - pattern: {place.prefix}logs-*",
        ]
        self.settings.write_text("\n".join(lines), encoding="utf-8")
        self.capsys = capsys

    def run(self, *arguments: str, code: int = 0) -> str:
        """Return what a command prints; its exit code is checked."""
        assert hunts(["--settings", str(self.settings), *arguments]) == code
        printed = self.capsys.readouterr()
        return printed.out if code == 0 else printed.err

    def json(self, *arguments: str) -> Any:
        """Return the object a command prints."""
        return json.loads(self.run(*arguments, "--json"))


@pytest.fixture
def terminal(each_place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """Return a terminal on each product."""
    return Terminal(each_place, tmp_path, capsys)


def test_from_nothing_to_nothing(each_place: Place, terminal: Terminal) -> None:
    """Plan, install, nothing to do, backfill, nothing to enrich, uninstall, nothing to do."""
    siem, prefix = each_place.siem, each_place.prefix
    index = f"{prefix}logs-dns-2026.01.01"
    siem.call("PUT", f"/{index}/_doc/1", {**EVENT, "@timestamp": "2026-01-01T10:00:00Z"}, refresh=True)
    planned = terminal.json("plan")
    assert {(step["action"], step["kind"]) for step in planned["steps"]} == {
        ("create", "ingest pipeline"),
        ("create", "index"),
        ("create", "legacy template"),
        ("change", "mapping"),
        ("change", "settings"),
    }
    assert terminal.json("install")["steps"] == planned["steps"]
    assert "everything is in place" in terminal.run("plan")
    assert "nothing to do" in terminal.run("install")
    (part,) = terminal.json("backfill", "--requests-per-second", "100")["parts"]
    assert (part["updated"]["count"]["updated"], part["updated"]["left"]) == (1, 0)
    assert siem.get(index, "1").source["hostname_info"]["domain"] == "a.co.uk"
    assert (
        terminal.json("backfill", "--since", "2026-01-01", "--until", "1d")["parts"][0]["updated"]["count"]["updated"]
        == 0
    )
    undone = terminal.run("uninstall", "--yes")
    assert "1 stored events" in undone and f"{prefix}findings" in undone
    assert "nothing to do" in terminal.run("uninstall")


def test_uninstalling_asks_before_state_is_deleted(
    each_place: Place, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a yes nothing is changed; with --keep-state there is nothing to ask."""
    terminal.run("install")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    terminal.run("uninstall", code=130)
    assert each_place.siem.exists(f"/_ingest/pipeline/{each_place.prefix}enrich")
    terminal.run("uninstall", "--keep-state")
    assert each_place.siem.exists(f"/{each_place.prefix}findings")
    assert not each_place.siem.exists(f"/_ingest/pipeline/{each_place.prefix}enrich")


def test_refusals_say_what_to_do(each_place: Place, terminal: Terminal) -> None:
    """A final pipeline that is there, and a backfill before the installation: exit code 6 and the next step."""
    prefix = each_place.prefix
    assert "hunts install" in terminal.run("backfill", code=6)
    each_place.siem.call("PUT", f"/{prefix}logs-a", {"settings": {"index.final_pipeline": "theirs"}})
    said = terminal.run("install", code=6)
    assert f"index {prefix}logs-a: theirs" in said and f'{{"pipeline": {{"name": "{prefix}enrich"' in said
    assert "no time" in terminal.run("backfill", "--since", "soon", code=2)
