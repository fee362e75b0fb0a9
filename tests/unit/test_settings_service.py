"""How the service works, as it is read from `hunts.yml` and shown."""

import json
import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from connector.cli import run
from connector.errors import ContentError
from connector.settings.load import EXAMPLE, load_settings, schema
from connector.settings.model import ServiceSettings
from connector.settings.service import BOUNDS

DOCS = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")


def read(folder: Path, service: str) -> ServiceSettings:
    (folder / "hunts.yml").write_text(f"service: {{{service}}}\n", encoding="utf-8")
    return load_settings(folder / "hunts.yml", {}).service


def test_everything_has_a_default(tmp_path):
    assert read(tmp_path, "") == load_settings(environment={}).service == ServiceSettings()


def test_everything_can_be_said(tmp_path):
    said = """every: 5s, lag: 0s, lease: 1h, audit_every: 90s, audit_back: 0s, newest_first: true, listen: "[::1]:80",
      searches_at_once: 64, requests_per_second: 10000.0, keep_runs: 1h"""
    minute = timedelta(minutes=1)
    assert read(tmp_path, said) == ServiceSettings(
        minute / 12, 0 * minute, 60 * minute, minute * 1.5, 0 * minute, True, "[::1]:80", 64, 10000, 60 * minute
    )


def test_the_commented_file_shows_the_defaults(tmp_path):
    text = (EXAMPLE / "hunts.yml").read_text(encoding="utf-8")
    text = re.sub("^# ", "", text[text.index("# service:") :], flags=re.MULTILINE)
    assert [line.split(":")[0].strip() for line in text.splitlines()[1:]] == list(schema_of_service())
    (tmp_path / "hunts.yml").write_text(text, encoding="utf-8")
    assert load_settings(tmp_path / "hunts.yml", {}).service == ServiceSettings()


def schema_of_service() -> dict:
    return schema("hunts")["properties"]["service"]["properties"]


def test_the_schema_and_the_documentation_say_the_defaults_and_bounds(capsys):
    assert list(schema_of_service()) == [field.name for field in fields(ServiceSettings)]
    shown = shown_service(capsys)
    from connector.settings.durations import span

    for key, said in schema_of_service().items():
        row = re.search(rf"^\| `service\.{key}` \| (.+) \|$", DOCS, re.MULTILINE)
        for text in (said["description"], row[1].replace("`", "")):
            default = {"every": "60s", "lag": "60s", "audit_back": "24h", "newest_first": "false"}.get(key, shown[key])
            assert re.search(rf"Default: {default}\b", text), text
            if key in BOUNDS:
                least, most = map(span, BOUNDS[key])
                assert re.search(rf"\b{least}\b.* to {most}\b", text), text


def shown_service(capsys, *options: str) -> dict:
    assert run((*options, "settings", "show", "--json")) == 0
    return json.loads(capsys.readouterr().out)["service"]


def test_they_are_shown_as_they_are_written(capsys, tmp_path):
    read(tmp_path, "audit_back: 0s, every: 90s, lease: 1m, listen: off")
    file = str(tmp_path / "hunts.yml")
    shown = shown_service(capsys, "--settings", file)
    assert (shown["audit_back"], shown["every"], shown["lease"], shown["listen"]) == ("0s", "90s", "1m", "off")
    assert run(("--settings", file, "settings", "show")) == 0
    assert re.search(r"service every +90s", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:9518", ("127.0.0.1", 9518)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),
        ("[::1]:65535", ("::1", 65535)),
        ("[::ffff:10.0.0.1]:80", ("::ffff:10.0.0.1", 80)),
        ("localhost:80", ("localhost", 80)),
        ("monitor_1.example:80", ("monitor_1.example", 80)),
        ("off", None),
    ],
)
def test_where_to_listen_is_a_host_and_a_port_or_nothing(tmp_path, listen, address):
    service = read(tmp_path, f'listen: "{listen}"')
    assert service.address == address
    assert service.listen == (listen if address else None)


@pytest.mark.parametrize(
    "listen",
    [
        *("127.0.0.1", ":80", "80", "host:", "host:port", "host:65536", "host:0", "::1:80", "[::1]", "[10.0.0.1]:80"),
        *("256.0.0.1:80", "10.1:80", "http://host:80", "host:80/metrics", "ho st:80", "-host:80", "host:80\\n", "OFF"),
    ],
)
def test_what_is_no_address_to_listen_at_is_refused(tmp_path, listen):
    with pytest.raises(ContentError, match=r"hunts\.yml:1: service\.listen is .* no address to listen at: write it"):
        read(tmp_path, f'listen: "{listen}"')


def test_the_ledger_is_kept_as_long_as_the_audit_goes_back(tmp_path):
    assert read(tmp_path, "audit_back: 7d, keep_runs: 7d").keep_runs == timedelta(days=7)
    with pytest.raises(ContentError, match=r"service\.keep_runs does not fit: the ledger is kept 23h, the audit goes"):
        read(tmp_path, "keep_runs: 23h")
