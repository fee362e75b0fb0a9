"""Downloads: a file is whole and right or it is not there, and every failure says what to do."""

import hashlib
import http.server
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest

from connector.embedded import download
from connector.embedded.assemble import DESCRIPTOR, assembled
from connector.embedded.download import PARTIAL, fetched, path_of, repositories
from connector.embedded.lock import Lock, LockedFile
from connector.embedded.products import OPENSEARCH_3
from connector.errors import EngineError


class Repository(http.server.ThreadingHTTPServer):
    """A Maven repository on loopback: files by path, and answers that go wrong on purpose."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.contents: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.wrong: list = []  # one for each request to come: a status, or "cut" or "slow"
        self.url = f"http://127.0.0.1:{self.server_port}"

    def publish(self, artifact: str, content: bytes, folder: str = "lib") -> LockedFile:
        """Have an artifact, and return its locked file."""
        path = path_of(artifact)
        self.contents[f"/{path}"] = content
        name = path.rpartition("/")[2]
        return LockedFile(artifact, f"{folder}/{name}", len(content), hashlib.sha256(content).hexdigest())


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        wrong = self.server.wrong.pop(0) if self.server.wrong else None
        content = self.server.contents.get(self.path)
        if content is None or isinstance(wrong, int):
            self.send_error(wrong or 404)
            return
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        half = len(content) // 2
        if wrong == "cut":
            self.wfile.write(content[:half])
        elif wrong == "slow":
            self.wfile.write(content[:half])
            time.sleep(30)
        else:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def repository():
    with Repository() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def files(repository):
    return [repository.publish(f"org.example:part-{n}:1.0", os.urandom(200_000)) for n in range(12)]


def there(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_what_is_locked_is_fetched_once(repository, files, tmp_path):
    seen = []
    assert fetched(files, tmp_path, lambda done, total: seen.append((done, total)), [repository.url]) == 12
    assert there(tmp_path) == {file.to for file in files}
    assert seen[-1] == (2_400_000, 2_400_000)
    repository.asked.clear()
    assert fetched(files, tmp_path, sources=[repository.url]) == 0
    assert repository.asked == []


def test_files_are_readable_by_everybody_whatever_the_umask(repository, files, tmp_path):
    before = os.umask(0o077)
    try:
        fetched(files, tmp_path, sources=[repository.url])
    finally:
        os.umask(before)
    assert {(tmp_path / file.to).stat().st_mode & 0o777 for file in files} == {0o644}


def test_a_file_that_changed_on_disk_is_fetched_again(repository, files, tmp_path):
    fetched(files, tmp_path, sources=[repository.url])
    victim = tmp_path / files[3].to
    victim.write_bytes(b"x" * files[3].size)
    assert fetched(files, tmp_path, sources=[repository.url]) == 1
    assert hashlib.sha256(victim.read_bytes()).hexdigest() == files[3].sha256


def test_a_file_with_the_wrong_checksum_is_not_kept(repository, files, tmp_path):
    repository.contents[f"/{path_of(files[5].artifact)}"] = b"evil" * 50_000
    with pytest.raises(EngineError, match=r"org\.example:part-5:1\.0 was downloaded and is not the file it should be"):
        fetched(files, tmp_path, sources=[repository.url])
    assert files[5].to not in there(tmp_path)
    assert not (tmp_path / PARTIAL).exists()


@pytest.mark.parametrize("trouble", [503, 429, "cut"])
def test_trouble_that_passes_is_waited_for(repository, files, tmp_path, trouble):
    repository.wrong = [trouble, trouble]
    totals = []
    assert fetched(files, tmp_path, lambda done, _: totals.append(done), [repository.url]) == 12
    assert totals[-1] == 2_400_000


def test_an_artifact_that_is_nowhere_is_named(repository, files, tmp_path):
    del repository.contents[f"/{path_of(files[7].artifact)}"]
    with pytest.raises(EngineError, match=r"org\.example:part-7:1\.0 failed \(404 .*run it again; what is here"):
        fetched(files, tmp_path, sources=[repository.url])


def test_the_second_repository_is_asked_when_the_first_has_it_not(repository, files, tmp_path):
    with Repository() as empty:
        threading.Thread(target=empty.serve_forever, args=(0.01,), daemon=True).start()
        assert fetched(files, tmp_path, sources=[empty.url, repository.url]) == 12
        empty.shutdown()


def test_no_network_is_a_failure_that_says_so(files, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    with pytest.raises(EngineError, match="check the network or proxy and run it again"):
        fetched(files, tmp_path, sources=["http://127.0.0.1:9"])


def test_a_certificate_that_is_not_trusted_is_said_at_once(repository, files, tmp_path):
    """A server that speaks no TLS stands for a proxy with a certificate of its own."""
    with pytest.raises(
        EngineError, match="name the certificates of the proxy in between in REQUESTS_CA_BUNDLE and run"
    ):
        fetched(files[:1], tmp_path, sources=[repository.url.replace("http:", "https:")])


def test_after_a_failure_only_the_rest_is_fetched(repository, files, tmp_path):
    content = repository.contents.pop(f"/{path_of(files[-1].artifact)}")
    with pytest.raises(EngineError):
        fetched(files, tmp_path, sources=[repository.url])
    kept = there(tmp_path)
    repository.contents[f"/{path_of(files[-1].artifact)}"] = content
    assert fetched(files, tmp_path, sources=[repository.url]) == len(files) - len(kept)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jgo.maven", None)
    with pytest.raises(EngineError, match=r"pip install 'guided-hunts\[embedded\]'"):
        repositories()


def test_a_mirror_in_the_users_jgo_settings_is_asked_instead(monkeypatch, tmp_path):
    settings = tmp_path / "jgo.conf"
    settings.write_text("[repositories]\ncentral = https://mirror.example/maven/\n")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(settings))
    assert repositories() == ["https://mirror.example/maven"]


def test_a_full_disk_is_noticed_before_anything_is_fetched(repository, files, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("usage", "free")(3 << 20))
    with pytest.raises(EngineError, match=r"disk full: 2 MB are needed in .* and 3 MB are free"):
        fetched(files, tmp_path, sources=[repository.url])
    assert repository.asked == []


def test_a_write_that_fails_names_the_file_and_leaves_nothing_half(repository, files, tmp_path):
    """A limit on the size of files stands for a disk that fills up: the system refuses the write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(EngineError, match="File too large: free some space or choose another folder"):
            fetched(files, tmp_path, sources=[repository.url])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert there(tmp_path) == set()


def test_a_killed_download_leaves_nothing_half_and_is_continued(repository, files, tmp_path):
    repository.wrong = [None] * 6 + ["slow"] * 6
    order = json.dumps([[file.artifact, file.to, file.size, file.sha256] for file in files])
    program = (
        "import json, sys; from pathlib import Path; from connector.embedded.download import fetched\n"
        "from connector.embedded.lock import LockedFile\n"
        "fetched([LockedFile(*one) for one in json.loads(sys.argv[1])], Path(sys.argv[2]), sources=[sys.argv[3]])"
    )
    process = subprocess.Popen([sys.executable, "-c", program, order, str(tmp_path), repository.url])
    deadline = time.monotonic() + 20
    while len([one for one in there(tmp_path) if one.startswith("lib/")]) < 6 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    whole = {one for one in there(tmp_path) if one.startswith("lib/")}
    assert len(whole) == 6
    repository.wrong = []
    assert fetched(files, tmp_path, sources=[repository.url]) == 6
    assert there(tmp_path) == {file.to for file in files}


def test_an_assembled_engine_has_a_descriptor_a_module_and_mends_itself(repository, tmp_path, monkeypatch):
    file = repository.publish("org.example:module:1.0", b"jar", "modules/geo")
    lock = Lock("opensearch-3.8.0", (file,), {"geo": "org.example.GeoPlugin"})
    monkeypatch.setattr(download, "repositories", lambda: [repository.url])
    home = assembled(OPENSEARCH_3, tmp_path, lock=lock)
    text = (home / "modules" / "geo" / DESCRIPTOR).read_text()
    assert dict(line.split("=") for line in text.splitlines()) == {
        "description": "geo",
        "version": "3.8.0",
        "opensearch.version": "3.8.0",
        "name": "geo",
        "classname": "org.example.GeoPlugin",
        "java.version": "21",
    }
    (home / "modules" / "geo" / DESCRIPTOR).write_text("")
    (home / file.to).unlink()
    assert assembled(OPENSEARCH_3, tmp_path, lock=lock) == home
    assert (home / "modules" / "geo" / DESCRIPTOR).read_text() == text
    assert (home / file.to).read_bytes() == b"jar"
