"""Fixtures every test may use: real search engines, a clean place in one, and the folder of shared material.

An engine is started once a session, on a free port, with its data in a temporary folder. To run against one that is up
already (developers, many short runs), set HUNTS_TEST_OPENSEARCH or HUNTS_TEST_ELASTICSEARCH7 to its url.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from standin_elasticsearch8 import elasticsearch8

from connector.embedded.account import unprivileged_account
from connector.embedded.java import java_for
from connector.embedded.node import running_node
from connector.embedded.places import cache_folder
from connector.embedded.products import ELASTICSEARCH_7, OPENSEARCH_3, Distribution
from connector.errors import EngineError, NotThere, Rejected
from connector.settings.model import SiemSettings
from connector.siem.client import Siem

__all__ = ["elasticsearch8"]
REPOSITORY = Path(__file__).parent.parent
os.environ.pop("COLUMNS", None)  # what commands print in tests has no terminal; workers say they have a narrow one


@dataclass(frozen=True)
class Place:
    """A clean place in a search engine: what is made under the prefix is removed after the test.

    Indices, data streams, templates of the three kinds and ingest pipelines whose names begin with the prefix.
    """

    siem: Siem
    prefix: str
    url: str


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of shared material, or skip."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the shared material is not beside this checkout")
    return folder


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a new folder that any account can enter, as pytest's own cannot be."""
    folder = Path(tempfile.mkdtemp(prefix="guided-hunts-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def opensearch() -> Iterator[str]:
    """Return the url of a real OpenSearch 3.8."""
    yield from _engine(OPENSEARCH_3, "HUNTS_TEST_OPENSEARCH")


@pytest.fixture(scope="session")
def elasticsearch7() -> Iterator[str]:
    """Return the url of a real Elasticsearch 7.10.2, or skip where no Java can run it."""
    yield from _engine(ELASTICSEARCH_7, "HUNTS_TEST_ELASTICSEARCH7")


@pytest.fixture(params=["opensearch", "elasticsearch7", "elasticsearch8"])
def each_engine(request: pytest.FixtureRequest) -> str:
    """Return the url of each product in turn: a test that asks for this runs twice."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def place(opensearch: str) -> Iterator[Place]:
    """Return a clean place in OpenSearch."""
    yield from _place(opensearch)


@pytest.fixture
def each_place(each_engine: str) -> Iterator[Place]:
    """Return a clean place in each product in turn."""
    yield from _place(each_engine)


@pytest.fixture(scope="module")
def module_place(opensearch: str) -> Iterator[Place]:
    """Return a clean place in OpenSearch that the tests of one module share."""
    yield from _place(opensearch)


@pytest.fixture(scope="module", params=["opensearch", "elasticsearch7", "elasticsearch8"])
def each_module_place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Return a clean place in each product in turn that the tests of one module share."""
    yield from _place(request.getfixturevalue(request.param))


def _engine(distribution: Distribution, variable: str) -> Iterator[str]:
    """Yield the url in the variable, or that of a node of our own."""
    if url := os.environ.get(variable):
        yield url.rstrip("/")
        return
    try:
        java_for(distribution, cache_folder(), unprivileged_account())
    except EngineError as error:
        pytest.skip(str(error))
    with running_node(distribution=distribution.name) as node:
        yield node.url


def _place(url: str) -> Iterator[Place]:
    """Yield a clean place and remove what was made in it."""
    with Siem.connect(SiemSettings(urls=(url,))) as siem:
        prefix = f"t{secrets.token_hex(4)}-"
        yield Place(siem, prefix, url)
        clean(siem, prefix)


def clean(siem: Siem, prefix: str) -> None:
    """Remove everything whose name begins with the prefix."""
    with suppress(NotThere, Rejected):  # Elasticsearch 7.10 without its paid parts has none and refuses the call
        siem.call("DELETE", f"/_data_stream/{prefix}*")
    for name in siem.call("GET", f"/{prefix}*", expand_wildcards="all", allow_no_indices=True):
        siem.call("DELETE", f"/{name}")
    for kind in ("_index_template", "_component_template", "_template", "_ingest/pipeline"):
        with suppress(NotThere):
            siem.call("DELETE", f"/{kind}/{prefix}*")
