"""Copying evidence: nothing an event says names a path, and nothing that is there is written over."""

import hashlib
import os
import stat
from pathlib import Path

import pytest

from connector.errors import Refused
from connector.respond.evidence.copying import copy_files, cut_packets, last_part
from connector.respond.evidence.model import Capture, Evidence, File, Flow, Subject

CONTENT = b"a document" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SUBJECT = Subject("event", "i/x", "", {}, 1, None, None, ())


def evidence(*sha256: str, captures: tuple[str, ...] = (), name: str = "/docs/a.docm") -> Evidence:
    """Return evidence with files, and a flow whose packets are in some captures."""
    files = (File("i", "x", None, 1, name, 1, "", "", "", "", text, True, f"{text[:2]}/{text}", 1) for text in sha256)
    flow = Flow(
        1, "TCP", "", "10.10.10.17", 55228, "198.51.100.77", 80, None, None, (), "", None, None, None, None, "", 1, {}
    )
    return Evidence(
        SUBJECT, "", flows=(flow,), files=tuple(files), captures=(Capture(1, captures, (), None, None, ""),)
    )


@pytest.fixture
def filestore(tmp_path: Path) -> Path:
    """Return a filestore with one file."""
    (tmp_path / "store" / SHA256[:2]).mkdir(parents=True)
    (tmp_path / "store" / SHA256[:2] / SHA256).write_bytes(CONTENT)
    return tmp_path / "store"


def names(folder: Path) -> list[str]:
    """Return the names in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_copied_under_its_hash_for_its_owner_alone(filestore: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "copies"
    (done,) = copy_files(evidence(SHA256, SHA256), filestore, folder)
    assert (done.is_done, done.status, done.sha256, done.size) == (True, "copied", SHA256, len(CONTENT))
    assert names(folder) == [SHA256] and (folder / SHA256).read_bytes() == CONTENT
    assert stat.S_IMODE((folder / SHA256).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert copy_files(evidence(SHA256), filestore, folder)[0].status == "is there already"


@pytest.mark.parametrize(
    "sha256",
    [
        "",
        "../../etc/passwd",
        "/etc/passwd",
        f"../{SHA256}"[:64],
        SHA256[:-1],
        SHA256 + "0",
        SHA256.upper(),
        f"{SHA256[:-1]}\n",
        "é" * 64,
    ],
)
def test_what_is_no_hash_is_not_looked_for(sha256: str, filestore: Path, tmp_path: Path) -> None:
    (tmp_path / "passwd").write_text("secret")
    assert copy_files(evidence(sha256), filestore, tmp_path / "copies") == ()
    assert names(tmp_path / "copies") == []


def test_a_file_that_is_not_what_its_name_says_is_not_kept(filestore: Path, tmp_path: Path) -> None:
    (filestore / SHA256[:2] / SHA256).write_bytes(CONTENT + b"x")
    (done,) = copy_files(evidence(SHA256), filestore, tmp_path / "copies")
    assert not done.is_done and "something else" in done.status and done.target is None
    assert names(tmp_path / "copies") == []


def test_links_pipes_and_folders_are_not_read(filestore: Path, tmp_path: Path) -> None:
    place = filestore / SHA256[:2] / SHA256
    place.rename(tmp_path / "elsewhere")
    for make in (lambda: place.symlink_to(tmp_path / "elsewhere"), lambda: os.mkfifo(place), place.mkdir):
        make()
        (done,) = copy_files(evidence(SHA256), filestore, tmp_path / "copies")
        assert not done.is_done and names(tmp_path / "copies") == []
        place.rmdir() if place.is_dir() and not place.is_symlink() else place.unlink()
    (done,) = copy_files(evidence(SHA256), filestore, tmp_path / "copies")
    assert done.status == "is not in the filestore"


def test_what_is_there_is_never_written_over(filestore: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    (folder / SHA256).write_text("mine")
    (done,) = copy_files(evidence(SHA256), filestore, folder)
    assert not done.is_done and "left as it is" in done.status
    assert (folder / SHA256).read_text() == "mine"
    (folder / SHA256).unlink()
    (folder / SHA256).symlink_to(tmp_path / "target")
    assert not copy_files(evidence(SHA256), filestore, folder)[0].is_done
    assert not (tmp_path / "target").exists() and names(folder) == [SHA256]


def test_without_hard_links_the_file_is_moved_to_its_place(
    filestore: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refused)
    assert copy_files(evidence(SHA256), filestore, tmp_path / "copies")[0].is_done
    assert names(tmp_path / "copies") == [SHA256] and (tmp_path / "copies" / SHA256).read_bytes() == CONTENT
    (tmp_path / "copies" / SHA256).write_text("mine")
    assert not copy_files(evidence(SHA256), filestore, tmp_path / "copies")[0].is_done
    assert (tmp_path / "copies" / SHA256).read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("/var/log/suricata/log.pcap.1", "log.pcap.1"),
        ("log.pcap", "log.pcap"),
        ("C:\\pcap\\log.pcap", "log.pcap"),
        ("../../etc/passwd", "passwd"),
        ("..", ""),
        ("a/..", ""),
        ("/", ""),
        ("", ""),
        ("a\0b", ""),
        ("x" * 300, ""),
    ],
)
def test_of_a_capture_that_an_event_names_the_last_part_is_used(name: str, last: str) -> None:
    assert last_part(name) == last


def test_captures_are_taken_from_the_folder_only(shared: Path, tmp_path: Path) -> None:
    captures, folder = tmp_path / "pcap", tmp_path / "copies"
    captures.mkdir()
    (captures / "log.pcap.7").write_bytes((shared / "story" / "incident.pcap").read_bytes())
    (tmp_path / "outside.pcap").write_bytes((shared / "story" / "incident.pcap").read_bytes())
    found = evidence(captures=("/var/log/suricata/log.pcap.7", "../outside.pcap", "log.pcap.8"))
    (done,) = cut_packets(found, captures, folder)
    assert (done.is_done, done.packets, dict(done.by_flow)) == (True, 29, {1: 29})
    assert names(folder) == ["packets-log.pcap.7"]
    for captured, words in ((("../outside.pcap",), "the events name outside.pcap"), ((), "the events name none")):
        (done,) = cut_packets(evidence(captures=captured), captures, folder)
        assert not done.is_done and words in done.status
    with pytest.raises(Refused, match="there is no capture"):
        cut_packets(evidence(), tmp_path / "gone.pcap", folder)


def test_a_capture_without_the_packets_leaves_no_file(shared: Path, tmp_path: Path) -> None:
    (done,) = cut_packets(evidence(), shared / "pcaps" / "office.pcap", tmp_path / "copies")
    assert not done.is_done and "has none of them" in done.status
    assert names(tmp_path / "copies") == []


def test_a_capture_that_ends_in_the_middle_says_so(shared: Path, tmp_path: Path) -> None:
    whole = (shared / "story" / "incident.pcap").read_bytes()
    (tmp_path / "live.pcap").write_bytes(whole[:-5])
    (done,) = cut_packets(evidence(), tmp_path / "live.pcap", tmp_path / "copies")
    assert done.is_done and done.packets == 29 and "read up to there" in done.note
