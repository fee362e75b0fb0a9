"""The locks: what an engine is made of, pinned."""

import json
import re
import zipfile
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from connector.embedded import relock
from connector.embedded.download import path_of
from connector.embedded.lock import LOCKS, lock_named, parsed, written
from connector.embedded.products import DISTRIBUTIONS, OPENSEARCH_3, distribution_named
from connector.embedded.relock import plugin_class
from connector.errors import EngineError


@pytest.fixture(params=DISTRIBUTIONS)
def lock(request):
    return lock_named(request.param)


def project(file):
    return ":".join(file.artifact.split(":")[:2])


def test_every_distribution_has_a_lock_and_every_lock_a_distribution():
    assert {path.stem for path in LOCKS.iterdir()} == set(DISTRIBUTIONS)


def test_a_lock_is_pinned_to_the_byte(lock):
    for file in lock.files:
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256), file
        assert file.size > 0
        assert re.fullmatch(r"(lib|modules/[a-z0-9-]+)/[^/]+\.jar", file.to), file


def test_a_lock_names_no_address_only_coordinates(lock):
    assert "://" not in written(lock)


def test_a_module_has_no_jar_that_the_engine_has_already(lock):
    """The engine refuses to start when two jars hold the same class."""
    shared = {project(file) for file in lock.files if file.to.startswith("lib/")}
    assert not [file for file in lock.files if not file.to.startswith("lib/") and project(file) in shared]


def test_no_folder_has_two_versions_of_one_thing(lock):
    per_folder = Counter(
        (file.to.rpartition("/")[0], project(file), *file.artifact.split(":")[3:]) for file in lock.files
    )
    assert {key: count for key, count in per_folder.items() if count > 1} == {}


def test_every_module_of_the_distribution_is_locked_with_its_class(lock):
    assert set(lock.modules) == set(DISTRIBUTIONS[lock.name].modules)
    folders = {file.to.split("/")[1] for file in lock.files if file.to.startswith("modules/")}
    assert folders == set(lock.modules)
    assert all(name.endswith("Plugin") for name in lock.modules.values())


def test_writing_a_lock_again_changes_nothing(lock):
    text = (LOCKS / f"{lock.name}.json").read_text("utf-8")
    assert written(lock) == text
    assert parsed(json.loads(text)) == lock


def test_another_content_gets_another_folder(lock):
    document = json.loads(written(lock))
    document["files"][0]["sha256"] = "0" * 64
    assert parsed(document).key != lock.key


@pytest.mark.parametrize(
    ("artifact", "path"),
    [
        ("org.opensearch:opensearch:3.8.0", "org/opensearch/opensearch/3.8.0/opensearch-3.8.0.jar"),
        ("io.netty:quic:4.2:linux-x86_64", "io/netty/quic/4.2/quic-4.2-linux-x86_64.jar"),
    ],
)
def test_an_artifact_lies_where_maven_puts_it(artifact, path):
    assert path_of(artifact) == path


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (
            ["org/a/GeoModulePlugin.class", "org/a/GeoPlugin.class", "org/a/GeoModulePlugin$1.class"],
            "org.a.GeoModulePlugin",
        ),
        (["org/a/Netty4Plugin.class", "org/a/Other.class"], "org.a.Netty4Plugin"),
    ],
)
def test_the_class_of_a_module_is_found_in_its_jar(tmp_path, names, found):
    with zipfile.ZipFile(tmp_path / "x.jar", "w") as jar:
        for name in names:
            jar.writestr(name, b"")
    assert plugin_class(tmp_path / "x.jar") == found


def test_a_lock_is_what_the_coordinates_resolve_to(monkeypatch, tmp_path):
    """A library that a module needs too is left to the engine; what is left out is left out."""
    graph = {
        "org.a:server:1+org.a:loader:1!": [("org.a", "server", "1", ""), ("org.a", "loader", "1", "")],
        "org.a:geo:1": [("org.a", "geo", "1", ""), ("org.a", "server", "2", ""), ("io.netty", "quic", "4", "linux")],
    }
    monkeypatch.setattr(
        relock.jgo,
        "resolve",
        lambda endpoint: [
            SimpleNamespace(**dict(zip(("groupId", "artifactId", "version", "classifier"), one, strict=True)))
            for one in graph[endpoint]
        ],
    )
    monkeypatch.setattr(relock, "repositories", lambda: ["http://repository.example"])
    with zipfile.ZipFile(tmp_path / "jar", "w") as jar:
        jar.writestr("org/a/GeoPlugin.class", b"")
    content = (tmp_path / "jar").read_bytes()
    monkeypatch.setattr(relock.requests, "get", lambda *_, **__: SimpleNamespace(ok=True, content=content))
    engine = replace(
        OPENSEARCH_3,
        libraries=("org.a:server:1", "org.a:loader:1"),
        modules={"geo": "org.a:geo:1"},
        left_out=("io.netty:quic",),
    )
    lock = relock.relocked(engine)
    assert [file.to for file in lock.files] == ["lib/server-1.jar", "lib/loader-1.jar", "modules/geo/geo-1.jar"]
    assert lock.modules == {"geo": "org.a.GeoPlugin"}


def test_an_engine_nobody_knows_is_refused_with_the_ones_there_are():
    with pytest.raises(EngineError, match=r"opensearch-3\.8\.0, elasticsearch-7\.10\.2"):
        distribution_named("opensearch-9")
