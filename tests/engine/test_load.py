"""Loading into real engines: every line is stored once, whatever it is and however often it is loaded."""

import gzip
import itertools
import json
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Place

from connector.cli import run as hunts
from connector.errors import ContentError, Rejected
from connector.siem.load import Loaded, load_files

GOOD = {"timestamp": "2026-01-01T10:00:00.123456+0000", "event_type": "dns", "src_ip": "192.0.2.1"}
BAD = [
    b"no json",
    b"[1]",
    b"{}",
    b'{"timestamp":"2026-13-01T00:00:00Z","event_type":"dns"}',
    b'{"timestamp":"2026-01-01T00:00:00Z","event_type":"a b"}',
    b'{"timestamp":"2026-01-01T00:00:00Z","event_type":"dns","":1}',
    b'{"timestamp":"2026-01-01T00:00:00Z","event_type":"dns","a..b":1}',
    b'{"timestamp":"2026-01-01T00:00:00Z","event_type":"dns","dns":"text, where others have an object"}',
    b'{"timestamp":"2026-01-01T00:00:00Z","event_type":"dns","x":"\xff"}',
]


def load(place: Place, *files: Path) -> Loaded:
    """Load files into indices of the place."""
    return load_files(place.siem, [str(f) for f in files], place.prefix, lambda *_: None, f"{place.prefix}logs-")


def lines_of(events: list[dict[str, Any]]) -> bytes:
    """Return events as the text of a file."""
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def total(place: Place) -> int:
    """Return how many documents are stored."""
    return place.siem.count(f"{place.prefix}logs-*", {"match_all": {}})


def test_real_files_lose_no_line_and_none_is_rejected(each_place: Place, shared: Path, tmp_path: Path) -> None:
    """Documents equal lines, for five versions' files and the odd traffic of conformance tests; again, none is new."""
    files = [*(shared / "eve").glob("office-*.json.gz"), _odd_traffic(shared, tmp_path)]
    for file in files:
        before = total(each_place)
        (loaded,) = load(each_place, file).files
        with gzip.open(file) as text:
            lines = sum(1 for _ in text)
        assert (loaded.lines, loaded.stored, loaded.rejected) == (lines, lines, {})
        assert total(each_place) - before == lines
    again = load(each_place, *files)
    assert all((file.stored, file.already) == (0, file.lines) for file in again.files)


def _odd_traffic(shared: Path, folder: Path) -> Path:
    """Return a file with the lines from everywhere in the files of conformance tests, of a few types and years."""
    file = folder / "odd.json.gz"
    kinds = re.compile(rb'"event_type":"(pgsql|modbus|smb|dnp3|alert|dns)"')
    with gzip.open(file, "wb", 1) as out:
        for name in ("suricata6-verify", "suricata7-verify", "suricata8-verify", "suricata7-zeek"):
            with gzip.open(shared / "eve" / f"{name}.json.gz") as text:
                out.writelines(itertools.islice((line for line in text if kinds.search(line)), 0, None, 7))
    return file


def test_lines_that_are_no_events_are_stored_with_the_reason(each_place: Place, tmp_path: Path) -> None:
    """Each bad line is kept as it is, with file, line and reason; good ones around it are events."""
    file = tmp_path / "eve.json"
    good = lines_of([{**GOOD, "dns": {"rrname": "a.example"}}])
    file.write_bytes(good + b"\n" + b"\n".join(BAD) + b"\n" + good)
    (loaded,) = load(each_place, file).files
    assert (loaded.lines, loaded.blank, loaded.stored) == (len(BAD) + 3, 1, 2)
    assert loaded.rejected == {
        "not JSON": 2,
        "not a JSON object": 1,
        "no timestamp": 1,
        "odd timestamp": 1,
        "odd event_type": 1,
        "refused by the engine": 3,
    }
    kept = list(each_place.siem.scan(f"{each_place.prefix}logs-rejected", {"query": {"match_all": {}}}))
    by_line = {hit["_source"]["log"]["file"]["line"]: hit["_source"] for hit in kept}
    assert {n: source["message"].encode() for n, source in by_line.items() if n < len(BAD) + 3} == {
        number: line if b"\xff" not in line else line.replace(b"\xff", b"\\xff") for number, line in enumerate(BAD, 3)
    }
    assert all(source["hunt"]["error"] and source["log"]["file"]["path"] == str(file) for source in by_line.values())
    assert each_place.siem.count(f"{each_place.prefix}logs-rejected", {"term": {"log.file.line": 3}}) == 1
    load(each_place, file)
    assert total(each_place) == len(BAD) + 2


def test_an_event_that_was_changed_meanwhile_stays_changed(each_place: Place, tmp_path: Path) -> None:
    """Loading again creates only: a tag that was set is still there."""
    file = tmp_path / "eve.json"
    file.write_bytes(lines_of([GOOD]))
    load(each_place, file)
    (hit,) = each_place.siem.scan(f"{each_place.prefix}logs-*", {"query": {"match_all": {}}})
    each_place.siem.call("POST", f"/{hit['_index']}/_update/{hit['_id']}", {"doc": {"tagged": True}}, refresh=True)
    assert load(each_place, file).files[0].already == 1
    assert each_place.siem.get(hit["_index"], hit["_id"]).source["tagged"]


def test_the_same_line_twice_is_two_events_and_a_key_twice_is_one(each_place: Place, tmp_path: Path) -> None:
    """As Suricata 6 writes `community_id`: no engine takes it as it is."""
    file = tmp_path / "eve.json"
    line = lines_of([GOOD])
    file.write_bytes(line + line + line.replace(b"}", b', "community_id":"1:x", "community_id":"1:x"}'))
    assert load(each_place, file).files[0].stored == 3
    assert (
        each_place.siem.count(f"{each_place.prefix}logs-dns-2026.01.01", {"term": {"community_id.keyword": "1:x"}}) == 1
    )


def test_the_mapping_is_that_of_selks_and_takes_everything(each_place: Place, tmp_path: Path) -> None:
    """Text with a keyword, addresses, dates; a value of another type is kept and costs only its index entry."""
    events = [
        {**GOOD, "dns": {"rrname": "2020-01-01", "id": 1}, "tls": {"notafter": "2027-01-01T00:00:00"}},
        {**GOOD, "dns": {"rrname": "b.example", "id": "one"}, "src_ip": "", "flow": {"start": "never"}},
        {**GOOD, "dns": {"rrname": 5, "id": 2.5}, "smb": {"session_id": 2**64 - 1}, "pgsql": {"request": False}},
        {**GOOD, "dns": {"rrname": ["c.example"]}, "pgsql": {"request": {"simple_query": "select"}}},
    ]
    file = tmp_path / "eve.json"
    file.write_bytes(lines_of(events))
    assert load(each_place, file).files[0].stored == 4
    index = f"{each_place.prefix}logs-dns-2026.01.01"
    for query in (
        {"term": {"dns.rrname.keyword": "b.example"}},
        {"match": {"dns.rrname": "b.example"}},
        {"range": {"tls.notafter": {"gt": "2026-06-01"}}},
        {"term": {"smb.session_id": str(2**64 - 1)}},
    ):
        assert each_place.siem.count(index, query) == 1, query
    assert each_place.siem.count(index, {"term": {"src_ip": "192.0.2.0/24"}}) == 3
    assert each_place.siem.count(index, {"range": {"@timestamp": {"gte": "2026-01-01T10:00:00.123Z"}}}) == 4


def test_a_template_of_the_siem_decides(each_place: Place, tmp_path: Path) -> None:
    """Where the SIEM has a template for such indices none of ours is put; one for everything does not count."""
    file = tmp_path / "eve.json"
    file.write_bytes(lines_of([GOOD]))
    assert load(each_place, file).template == f"{each_place.prefix}load"
    assert load(each_place, file).template == f"{each_place.prefix}load"
    each_place.siem.call("DELETE", f"/_template/{each_place.prefix}load")
    each_place.siem.call(
        "PUT", f"/_template/{each_place.prefix}own", {"index_patterns": [f"{each_place.prefix}logs-*"]}
    )
    assert load(each_place, file).template is None


def test_captures_of_many_days_go_by_year(each_place: Place, tmp_path: Path) -> None:
    """More than a hundred days in one file make indices by year, the same each time."""
    days = [f"20{year:02}-0{month}-1{day}" for year in range(10, 13) for month in range(1, 10) for day in range(4)]
    file = tmp_path / "eve.json"
    file.write_bytes(lines_of([{**GOOD, "timestamp": f"{day}T00:00:00+0000"} for day in days]))
    (loaded,) = load(each_place, file).files
    assert (loaded.period, loaded.stored) == ("year", len(days))
    found = each_place.siem.call("GET", f"/{each_place.prefix}logs-*/_alias")
    assert sorted(found) == [f"{each_place.prefix}logs-dns-20{year}" for year in (10, 11, 12)]
    assert load(each_place, file).files[0].already == len(days)


def test_a_damaged_file_is_an_error_after_what_stands_before_the_damage(each_place: Place, tmp_path: Path) -> None:
    """The whole lines are stored, and loading the repaired file adds the rest."""
    events = [{**GOOD, "number": n} for n in range(3000)]
    file = tmp_path / "eve.json.gz"
    whole = gzip.compress(lines_of(events))
    file.write_bytes(whole[:-200])
    with pytest.raises(ContentError, match="cannot be read further"):
        load(each_place, file)
    each_place.siem.call("POST", f"/{each_place.prefix}logs-*/_refresh")
    before = total(each_place)
    file.write_bytes(whole)
    (loaded,) = load(each_place, file).files
    assert 0 < before == loaded.already and loaded.already + loaded.stored == 3000


def test_an_engine_without_room_is_an_error_and_no_bad_event(each_place: Place, tmp_path: Path) -> None:
    """A blocked index, and no shards left: the error says so, nothing is stored as rejected, a second run completes."""
    file = tmp_path / "eve.json"
    file.write_bytes(lines_of([GOOD]))
    load(each_place, file)
    file.write_bytes(lines_of([GOOD, {**GOOD, "n": 2}]))
    index = f"/{each_place.prefix}logs-dns-2026.01.01/_settings"
    each_place.siem.call("PUT", index, {"index.blocks.read_only_allow_delete": True})
    with pytest.raises(Rejected, match=r"eve\.json:1: .*blocked by"):
        load(each_place, file)
    each_place.siem.call("PUT", index, {"index.blocks.read_only_allow_delete": None})
    file.write_bytes(lines_of([GOOD, {**GOOD, "n": 2}, {**GOOD, "event_type": "tls"}]))
    _setting(each_place, "cluster.max_shards_per_node", 1)
    try:
        with pytest.raises(Rejected, match=r"eve\.json:3: .*maximum"):
            load(each_place, file)
    finally:
        _setting(each_place, "cluster.max_shards_per_node", None)
    (loaded,) = load(each_place, file).files
    assert (loaded.already, loaded.stored) == (2, 1)
    assert not each_place.siem.exists(f"/{each_place.prefix}logs-rejected")


def test_a_busy_engine_is_waited_for(each_place: Place, tmp_path: Path) -> None:
    """An engine that answers 429 for a while gets everything afterwards."""
    file = tmp_path / "eve.json"
    file.write_bytes(lines_of([{**GOOD, "n": n} for n in range(100)]))
    load(each_place, file)
    file.write_bytes(lines_of([{**GOOD, "n": n} for n in range(200)]))

    def relieve() -> None:
        """Give the engine its memory back after a while."""
        time.sleep(1.5)
        _setting(each_place, "indices.breaker.total.limit", None)

    _setting(each_place, "indices.breaker.total.limit", "1%")
    relief = threading.Thread(target=relieve)
    relief.start()
    (loaded,) = load(each_place, file).files
    relief.join()
    assert (loaded.already, loaded.stored) == (100, 100)


def _setting(place: Place, name: str, value: Any) -> None:
    """Set or reset a transient setting of the cluster."""
    place.siem.call("PUT", "/_cluster/settings", {"transient": {name: value}})


def test_the_command(each_place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`hunts load` prints one object; the exit code is 0 as every line is stored, the bad one too."""
    events, settings = tmp_path / "eve.json", tmp_path / "hunts.yml"
    events.write_bytes(lines_of([{**GOOD, "event_type": f"{each_place.prefix[:-1]}"}]) + b"bad\n")
    settings.write_text(f"siem: {{url: '{each_place.url}'}}\nprefix: {each_place.prefix}\n", encoding="utf-8")
    try:
        assert hunts(["--settings", str(settings), "load", str(events), "--json"]) == 0
        (file,) = json.loads(capsys.readouterr().out)["files"]
        assert (file["lines"], file["stored"], file["rejected"]) == (2, 1, {"not JSON": 1})
        assert hunts(["--settings", str(settings), "load", str(events)]) == 0
        assert f"{events}:2: not JSON" in capsys.readouterr().out
        assert hunts(["--settings", str(settings), "load", str(tmp_path / "none")]) == 2
    finally:
        each_place.siem.call("DELETE", f"/logstash-{each_place.prefix[:-1]}-*")
        each_place.siem.call("DELETE", "/logstash-rejected")
