"""Every command of the READMEs is run, in order, as a new user would, on a search engine of its own."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import connector.demo
from connector.embedded.node import running_node

REPOSITORY = Path(__file__).parents[2]
OFFICE_DAY = Path(connector.demo.__file__).parent / "office-day" / "eve-suricata8.json.gz"
TRIED_ELSEWHERE = ("python3 -m venv",)  # the demo in test_demo.py, the test command by whoever reads this


def commands(file: str) -> list[str]:
    """Return the command lines of a README's sh blocks, without comments."""
    text = (REPOSITORY / file).read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith(("#", *TRIED_ELSEWHERE))]


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    """Return the url of an engine that nobody else uses."""
    with running_node() as node:
        yield node.url


def command(line: str) -> list[str]:
    """Return what to execute for a command line of the package."""
    words = shlex.split(line)
    assert words[0] == "hunts", line
    return [sys.executable, "-c", "from connector.cli import main; main()", *words[1:]]


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command line of the package in a folder."""
    environment = os.environ | {"COLUMNS": "200"}
    return subprocess.run(
        command(line), cwd=folder, capture_output=True, text=True, timeout=240, env=environment, check=False
    )


@contextmanager
def serving(line: str, folder: Path) -> Iterator[None]:
    """Hold a service that has made a pass; at the end it stops when it is asked to."""
    log = folder / "service.log"
    with log.open("wb") as said:
        service = subprocess.Popen(command(line), cwd=folder, stdout=said, stderr=said)
    try:
        end = time.monotonic() + 120
        while '"action":"pass"' not in log.read_text(encoding="utf-8"):
            assert service.poll() is None and time.monotonic() < end, log.read_text(encoding="utf-8")
            time.sleep(0.2)
        yield
        service.terminate()
        assert service.wait(60) == 0, log.read_text(encoding="utf-8")
    finally:
        service.kill()
        service.wait()


def test_every_command_of_the_readme_works(engine: str, tmp_path: Path) -> None:
    lines = commands("README.md")
    assert lines[0] == "hunts init" and len(lines) > 12
    with ExitStack() as services:
        for line in lines:
            if line == "hunts serve":
                services.enter_context(serving(line, tmp_path))
                continue
            done = run(line, tmp_path)
            assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
            if line == "hunts init":
                point_at(engine, tmp_path / "hunts.yml")
            if line == "hunts install":
                assert run(f"hunts load {OFFICE_DAY}", tmp_path).returncode == 0
                assert "nothing" in run("hunts plan", tmp_path).stdout
    assert run("hunts uninstall --yes", tmp_path).returncode == 0


def point_at(url: str, file: Path) -> None:
    """Say in the settings where the SIEM is, as a user does after `hunts init`."""
    text = file.read_text(encoding="utf-8")
    if re.search(r"^siem:", text, re.M):
        text = re.sub(r"^( *)#? *url:.*$", rf"\1url: {url}", text, count=1, flags=re.M)
    else:
        text += f"\nsiem:\n  url: {url}\n"
    text += "\nservice:\n  listen: off\n"  # somebody may listen there on this machine
    file.write_text(text, encoding="utf-8")


def test_there_is_one_line_for_the_demo_and_one_for_the_tests() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^python3 -m venv .*$", text, re.M)
    assert len(lines) == 2
    assert lines[0].endswith("hunts demo") and ".venv/bin/pytest" in lines[1]
