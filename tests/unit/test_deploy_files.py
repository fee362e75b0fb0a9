"""The examples in deploy/ fit the program: commands, settings, metrics and exit codes that they name are there."""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder

from connector.cli import COMMANDS, EXIT_CODES, run
from connector.documents import parse_document, schema_problems
from connector.service.health import Health, HealthServer
from connector.service.logs import log_to
from connector.service.metrics import RESULTS, Metrics
from connector.settings.load import schema

REPOSITORY = Path(__file__).parents[2]
DEPLOY = REPOSITORY / "deploy"
UNIT = (DEPLOY / "hunts.service").read_text(encoding="utf-8")
CONTAINER = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
RULES = (DEPLOY / "prometheus-rules.yml").read_text(encoding="utf-8")
README = (DEPLOY / "README.md").read_text(encoding="utf-8")
ALL = {"hunts.service": UNIT, "Containerfile": CONTAINER, "prometheus-rules.yml": RULES, "README.md": README}
ANALYZE = shutil.which("systemd-analyze")

needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not on this machine")


def values(key: str) -> list[str]:
    """Return what the unit sets a key to, commented examples among it."""
    return re.findall(rf"^#?{key}=(.*)$", UNIT, re.MULTILINE)


def instructions(name: str) -> list[str]:
    """Return what stands behind an instruction of the container file, each in one line."""
    return re.findall(rf"^{name} (.+)$", CONTAINER.replace("\\\n", ""), re.MULTILINE)


def blocks(language: str, of: str) -> list[str]:
    """Return the code blocks of the README that begin with a comment that names the file."""
    return [
        block for block in re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL) if of in block
    ]


# the unit


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Return a copy of the unit that starts a program which is on this machine."""
    program = tmp_path / "hunts"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    [start] = values("ExecStart")
    copy = tmp_path / "hunts.service"
    copy.write_text(UNIT.replace(start.split()[0], str(program)), encoding="utf-8")
    return copy


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(ANALYZE), *arguments], capture_output=True, text=True, timeout=60, check=False)


@needs_systemd
def test_systemd_has_nothing_to_say_against_the_unit(unit: Path) -> None:
    done = analyze("verify", "--man=no", str(unit))
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if "hunts.service" in line]


@needs_systemd
def test_the_unit_leaves_little_exposed(unit: Path) -> None:
    """The scale of systemd goes from 0, shut in, to 100, bare: what the network needs makes 12."""
    if analyze("security", "--offline=true", "--help").returncode:
        pytest.skip("systemd-analyze is too old to judge a unit file")
    done = analyze("security", "--offline=true", "--no-pager", "--threshold=15", str(unit))
    assert done.returncode == 0, done.stdout[-200:]


def test_the_unit_does_not_hide_what_process_metrics_are_read_from() -> None:
    """They need /proc/stat, which `ProcSubset=pid` hides."""
    assert "ProcSubset" not in UNIT


def test_the_unit_does_not_try_again_what_stays_wrong() -> None:
    [codes] = values("RestartPreventExitStatus")
    assert [EXIT_CODES[int(code)] for code in codes.split()] == [
        "wrong usage of the command line",
        "a file of hunts, settings or tables is wrong",
    ]


def test_credentials_of_the_readme_are_those_of_the_unit() -> None:
    handed = {value.partition(":")[0] for value in values("LoadCredential")}
    named = set(re.findall(r"/run/credentials/hunts\.service/([a-z-]+)", README))
    assert named and named <= handed
    assert all(value.partition(":")[2].startswith("/etc/guided-hunts/secrets/") for value in values("LoadCredential"))


# the container


def test_what_the_container_file_copies_is_enough_to_build(tmp_path: Path) -> None:
    for copied in instructions("COPY"):
        if copied.startswith("--from"):
            continue
        *sources, target = copied.split()
        for source in sources:
            path, to = REPOSITORY / source, tmp_path / target / (source if target == "./" else "")
            if path.is_dir():
                shutil.copytree(path, to, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(path, to)
    [wheel] = WheelBuilder(str(tmp_path)).build(directory=str(tmp_path / "dist"))
    assert Path(wheel).is_file()


def test_the_container_runs_as_nobody() -> None:
    [user] = instructions("USER")
    assert all(int(number) > 1000 for number in user.split(":"))
    assert CONTAINER.rindex("\nUSER ") > CONTAINER.rindex("\nFROM ")


@pytest.mark.parametrize("stuck", [False, True])
def test_the_health_check_of_the_container(stuck: bool) -> None:
    """It is run against a server, with a proxy in the environment, which it must not ask."""
    [check] = instructions("HEALTHCHECK")
    command = json.loads(check[check.index("CMD ") + 4 :])
    health = Health(timedelta(seconds=-1 if stuck else 60), timedelta(minutes=10))
    with HealthServer("127.0.0.1:0", health, Metrics().registry, log_to(sys.stderr)) as server:
        assert command[0] == "python" and "9518" in command[2]
        code = command[2].replace("9518", str(server.address[1]))
        proxy = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), "http://127.0.0.1:9")
        done = subprocess.run([sys.executable, command[1], code], timeout=60, check=False, env={**os.environ, **proxy})
    assert done.returncode == stuck


# commands


def serve_lines() -> dict[str, list[str]]:
    """Return the arguments of `hunts` in the unit and in the container."""
    [start] = values("ExecStart")
    [entry], [arguments] = instructions("ENTRYPOINT"), instructions("CMD")
    assert start.split()[0].endswith("/bin/hunts") and json.loads(entry) == ["hunts"]
    return {"unit": start.split()[1:], "container": json.loads(arguments)}


@pytest.mark.parametrize("place", ["unit", "container"])
def test_the_command_that_is_started_is_one(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = serve_lines()[place]
    assert arguments == ["--settings", "/etc/guided-hunts/hunts.yml", "serve"]
    assert run([*arguments, "--help"]) == 0
    assert "serve" in capsys.readouterr().out


NAMED = [(f, word) for f, text in ALL.items() for word in re.findall(r"(?:`|/bin/)hunts (?:--\S+ \S+ )?(\w+)", text)]


@pytest.mark.parametrize(("file", "name"), dict.fromkeys(NAMED))
def test_commands_that_are_named_are_there(file: str, name: str) -> None:
    assert name in {command.name for command in COMMANDS}


# settings


def keys(part: dict, place: str = "") -> set[str]:
    """Return every key of a schema by its place, such as `siem.url`, and by its name alone within lists."""
    found = set()
    for name, below in part.get("properties", {}).items():
        found |= {place + name} | keys(below, f"{place}{name}.") | keys(below.get("items", {}))
    return found


@pytest.mark.parametrize("file", ALL)
def test_settings_that_are_named_are_there(file: str) -> None:
    known = keys(dict(schema("hunts")))
    text = re.sub(r"hunts\.service|siem\.example", "", ALL[file])
    named = set(re.findall(r"\b((?:siem|service)\.[a-z_]+)", text))
    named |= set(re.findall(r"`([a-z]+_(?:file|env))`", ALL[file]))
    assert named <= known and (named or file in ("hunts.service", "prometheus-rules.yml"))


def test_settings_of_the_readme_are_right() -> None:
    examples = blocks("yaml", "# hunts.yml")
    assert len(examples) == 2
    for example in examples:
        assert schema_problems(parse_document(example, "hunts.yml"), schema("hunts")) == []


def test_the_port_is_the_same_everywhere() -> None:
    default = schema("hunts")["properties"]["service"]["properties"]["listen"]["description"]
    ports = {port for text in (default, CONTAINER, README) for port in re.findall(r"[A-Za-z\d.]:(\d{4,5})\b", text)}
    assert ports - {"9200"} - {"65532"} == {"9518"} == {*instructions("EXPOSE")}


# metrics


@pytest.fixture(scope="module")
def series() -> dict[str, set[str]]:
    """Return the labels of each series of a service that has done all it can do, by its name."""
    metrics = Metrics()
    metrics.pass_done(1, 1, "live", [("dns", 1, 1, None)])
    metrics.delivery("soar", "delivered")
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    return {sample.name: set(sample.labels) | {"job", "instance"} for sample in samples}


def rules() -> dict[str, dict]:
    [group] = yaml.safe_load(RULES)["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


@pytest.mark.parametrize("alert", rules())
def test_alerts_ask_for_metrics_and_labels_that_are_there(series: dict[str, set[str]], alert: str) -> None:
    rule = rules()[alert]
    named = re.findall(r"guided_hunts_\w+", rule["expr"])
    assert named and set(named) <= set(series)
    wanted = set(re.findall(r"(\w+)=\"", rule["expr"])) | set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    assert wanted <= series[named[0]], "the labels of an alert are those of the first metric"
    assert set(re.findall(r'result="(\w+)"', rule["expr"])) <= set(RESULTS)
    assert set(rule["annotations"]) == {"summary", "description"} and rule["labels"]["severity"]


def test_alerts_on_what_only_the_active_service_knows_leave_the_others_alone() -> None:
    for alert, rule in rules().items():
        if re.search(r"watermark|failing|missing", rule["expr"]):
            assert "guided_hunts_lease_held == 1" in rule["expr"], alert


def test_the_alerts_that_matter_are_there() -> None:
    wanted = ("watermark_age_seconds", "hunt_failing", "lease_held", 'deliveries_total{result="failed"}')
    everything = " ".join(rule["expr"] for rule in rules().values())
    assert all(f"guided_hunts_{name}" in everything for name in wanted)


def test_the_prometheus_example_reads_the_rules() -> None:
    [example] = blocks("yaml", "# prometheus.yml")
    assert yaml.safe_load(example)["rule_files"] == ["prometheus-rules.yml"]
