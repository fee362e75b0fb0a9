"""What stands around a node: its folder, its process, its supervisor, its account and its command line."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

from connector.cli import run
from connector.embedded import account as accounts
from connector.embedded.account import Account, check_reachable, closed_folder, unprivileged_account
from connector.embedded.background import status, stopped
from connector.embedded.folder import NodeFolder
from connector.embedded.node import SUPERVISOR, check_heap, check_port, command
from connector.embedded.places import cache_folder, data_folder, make_folder, writing_below
from connector.embedded.process import birth_of, end
from connector.embedded.products import ELASTICSEARCH_7, OPENSEARCH_3
from connector.errors import EngineError

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)",
]
SOMEBODY = Account("somebody", 54321, 54321)


@pytest.fixture
def sleeper():
    """Return a function that starts a process which does nothing for a minute."""
    started = []

    def sleeper(command=SLEEPER) -> subprocess.Popen:
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        process.stdout.readline()
        started.append(process)
        return process

    yield sleeper
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def gone(pid: int, within: float = 10) -> bool:
    deadline = time.monotonic() + within
    while birth_of(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    return birth_of(pid) is None


# ---- processes


def test_a_process_is_known_by_its_birth(sleeper):
    process = sleeper()
    assert birth_of(process.pid) == birth_of(process.pid)
    assert birth_of(process.pid) is not None
    process.kill()
    process.wait()
    assert birth_of(process.pid) is None


def test_a_zombie_has_ended(sleeper):
    process = sleeper()
    process.kill()
    assert gone(process.pid)  # not waited for yet


def test_end_asks_first_and_makes_it_after_a_while(sleeper):
    polite, deaf = sleeper(), sleeper(DEAF)
    end(polite.pid, birth_of(polite.pid), 5)
    assert polite.wait() == -15
    end(deaf.pid, birth_of(deaf.pid), 0.3)
    assert deaf.wait() == -9


def test_end_leaves_a_process_alone_that_only_has_the_number(sleeper):
    other = sleeper()
    end(other.pid, "another birth", 5)
    assert other.poll() is None


# ---- the supervisor


@pytest.fixture
def supervise(tmp_path):
    """Return a function that runs a supervisor over a command that writes its number into a file."""

    def supervise(remove=None, owner_code=None) -> tuple[subprocess.Popen, int]:
        number = tmp_path / "pid"
        node = f"import os, time; open({str(number)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
        order = {"command": [sys.executable, "-c", node], "cwd": str(tmp_path), "env": {}, "account": None}
        order["remove"] = str(remove) if remove else None
        argv = [sys.executable, "-I", "-S", str(SUPERVISOR), json.dumps(order)]
        if owner_code:
            argv = [sys.executable, "-c", owner_code, json.dumps(argv)]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE)
        deadline = time.monotonic() + 10
        while not (number.exists() and number.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return process, int(number.read_text())

    return supervise


def test_the_node_ends_when_the_pipe_closes_and_its_temporary_folder_goes(supervise, tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    process, pid = supervise(remove=folder)
    assert birth_of(pid) is not None
    process.stdin.close()
    assert process.wait(10) == 128 + 15
    assert gone(pid)
    assert not folder.exists()


def test_the_node_ends_when_its_owner_is_killed(supervise):
    owner = (
        "import json, subprocess, sys, time\n"
        "subprocess.Popen(json.loads(sys.argv[1]), stdin=subprocess.PIPE, start_new_session=True)\n"
        "time.sleep(60)"
    )
    process, pid = supervise(owner_code=owner)
    process.kill()
    process.wait()
    process.stdin.close()
    assert gone(pid)


def test_the_node_ends_when_the_supervisor_is_asked_to(supervise):
    process, pid = supervise()
    process.terminate()
    process.wait(10)
    process.stdin.close()
    assert gone(pid)


# ---- the folder


def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(EngineError, match=r"is not empty and no folder of an engine of ours \(thesis\.txt\)"):
        NodeFolder(tmp_path).prepare(OPENSEARCH_3, 9200, None)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_can_be_used_again(tmp_path):
    folder = NodeFolder(tmp_path / "a" / "node")
    folder.prepare(OPENSEARCH_3, 9200, None)
    (folder.indices / "kept").write_text("x")
    folder.prepare(OPENSEARCH_3, 9201, None)
    assert (folder.indices / "kept").exists()
    settings = json.loads((folder.config / "opensearch.yml").read_text())
    assert settings["http.port"] == 9201
    assert settings["network.host"] == "127.0.0.1"
    assert settings["path.data"] == str(folder.indices)


def test_a_folder_with_the_data_of_another_product_is_refused(tmp_path):
    folder = NodeFolder(tmp_path / "node")
    folder.prepare(ELASTICSEARCH_7, 0, None)
    with pytest.raises(EngineError, match="has the data of Elasticsearch, which OpenSearch cannot read: choose"):
        folder.prepare(OPENSEARCH_3, 0, None)


def test_only_the_engine_with_a_security_manager_gets_a_policy(tmp_path):
    for engine, policies in ((OPENSEARCH_3, 0), (ELASTICSEARCH_7, 1)):
        folder = NodeFolder(tmp_path / engine.name)
        folder.prepare(engine, 0, None)
        assert len(list(folder.config.glob("*.policy"))) == policies
        line = command(engine, Path("/java"), Path("/home"), folder, "1g")
        assert sum("java.security.policy=" in part for part in line) == policies
        assert line[:3] == ("/java", "-Xms1g", "-Xmx1g")


def test_a_state_file_whose_process_has_ended_is_recognised(tmp_path, sleeper):
    folder = NodeFolder(tmp_path / "node")
    folder.claim()
    process = sleeper()
    folder.remember(process.pid, OPENSEARCH_3)
    assert folder.running() is None
    assert status(folder.path).remark == f"one is starting, or hangs: process {process.pid}"
    folder.logs.mkdir()
    folder.ports.write_text("127.0.0.1:9201\n")
    assert folder.running().url == "http://127.0.0.1:9201"
    assert status(folder.path).running
    state = folder.path / "node.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"birth": "0"}))  # another process has the number now
    assert folder.running() is None
    assert "has ended" in status(folder.path).remark
    assert stopped(folder.path).remark.endswith("see its log")
    assert process.poll() is None
    assert status(folder.path).remark == "no engine is running here"


def test_stop_ends_what_runs_there(tmp_path, sleeper):
    folder = NodeFolder(tmp_path / "node")
    folder.claim()
    process = sleeper()
    folder.remember(process.pid, OPENSEARCH_3)
    assert stopped(folder.path).remark == "stopped"
    assert process.wait() == -15
    assert folder.last() is None


def test_last_words_leave_stack_frames_out(tmp_path):
    folder = NodeFolder(tmp_path)
    assert folder.last_words() == ""
    folder.output.write_text("started\n\nException: no\n\tat org.a.B(B.java:1)\n\t... 5 more\nCaused by: disk\n")
    assert folder.last_words() == "started\nException: no\nCaused by: disk"
    assert folder.last_words(1) == "Caused by: disk"


def test_what_the_system_says_about_a_folder_names_it(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(EngineError, match=f"{file}/node: Not a directory: free some space or choose another folder"):
        NodeFolder(file / "node").claim()


def test_a_full_disk_is_said_before_anything_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: namedtuple("usage", "free")(5 << 20))
    with pytest.raises(EngineError, match=r"disk full: 48 MB are needed in .* and 5 MB are free.*with --data"):
        NodeFolder(tmp_path).prepare(OPENSEARCH_3, 0, None)


def test_the_folders_are_made_readable_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        make_folder(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o755


# ---- where things are, and as whom


def test_places_follow_xdg_and_for_root_the_system():
    assert cache_folder({"HOME": "/h"}, root=False) == Path("/h/.cache/guided-hunts")
    assert cache_folder({"HOME": "/h", "XDG_CACHE_HOME": "/c"}, root=False) == Path("/c/guided-hunts")
    assert cache_folder({"HOME": "/h", "XDG_CACHE_HOME": "relative"}, root=False) == Path("/h/.cache/guided-hunts")
    assert cache_folder({"HOME": "/root"}, root=True) == Path("/var/cache/guided-hunts")
    assert data_folder({"HOME": "/h"}, root=False) == Path("/h/.local/share/guided-hunts/node")
    assert data_folder({"HOME": "/root"}, root=True) == Path("/var/lib/guided-hunts/node")
    assert data_folder({"XDG_DATA_HOME": "/d"}, root=True) == Path("/d/guided-hunts/node")


def test_only_root_becomes_somebody_else(monkeypatch):
    monkeypatch.setattr(accounts.os, "geteuid", lambda: 1000)
    assert unprivileged_account() is None
    monkeypatch.setattr(accounts.os, "geteuid", lambda: 0)
    assert unprivileged_account().uid != 0
    with pytest.raises(EngineError, match=r"no account to run the engine as .looked for no-such-account.: run hunts"):
        unprivileged_account(["no-such-account"])


def test_a_folder_that_the_account_cannot_enter_is_found(open_folder):
    closed = open_folder / "closed"
    (closed / "inner").mkdir(parents=True)
    closed.chmod(0o700)
    assert closed_folder(closed / "inner" / "x", SOMEBODY) == closed
    assert closed_folder(closed / "inner" / "x", None) is None
    assert closed_folder(open_folder / "x", SOMEBODY) is None
    with pytest.raises(EngineError, match=f"the account somebody.* cannot enter {closed}: do this"):
        check_reachable(closed / "x", SOMEBODY, "do this")
    closed.chmod(0o701)
    assert closed_folder(closed / "inner" / "x", SOMEBODY) is None


# ---- what can be asked for


def test_a_taken_port_is_said_so_with_what_to_change():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(EngineError, match=f"port {port} on 127.0.0.1 is taken: choose another with --port"):
            check_port(port)
    check_port(port)
    check_port(0)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(EngineError, match=f"there is no port {port}"):
        check_port(port)


@pytest.mark.parametrize("heap", ["", "1", "0g", "1G ", "1gb", "-1g", "1g -XX:+Evil"])
def test_a_heap_that_is_no_size_is_refused(heap):
    with pytest.raises(EngineError, match="write it as 512m or 1g"):
        check_heap(heap)


def test_the_command_says_as_json_that_nothing_runs(tmp_path, capsys):
    assert run(["engine", "status", "--data", str(tmp_path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["running"], printed["node"], printed["folder"]) == (False, None, str(tmp_path))


def test_an_os_error_without_words_is_still_an_error(tmp_path):
    with pytest.raises(EngineError, match=str(tmp_path)), writing_below(tmp_path):
        raise OSError("odd")
