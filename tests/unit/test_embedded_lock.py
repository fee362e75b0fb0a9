"""The locks: what an engine is made of, pinned."""

import json
import re
from collections import Counter

import pytest

from connector.embedded.download import path_of
from connector.embedded.lock import LOCKS, lock_named, parsed, written
from connector.embedded.products import DISTRIBUTIONS, distribution_named
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


def test_an_engine_nobody_knows_is_refused_with_the_ones_there_are():
    with pytest.raises(EngineError, match=r"opensearch-3\.8\.0, elasticsearch-7\.10\.2"):
        distribution_named("opensearch-9")
