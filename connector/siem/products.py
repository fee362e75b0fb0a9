"""The one table of what differs between the search products, and how a product is told from its `GET /` answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connector.errors import Rejected


@dataclass(frozen=True)
class Product:
    """What a server is and can do.

    `official_client` says that the official Elasticsearch client must speak to it; `pit` is the path suffix that opens
    a point in time (None: page with scroll) and `pit_close` the path that closes one.
    """

    name: str
    version: tuple[int, ...]
    official_client: bool = False
    pit: str | None = None
    pit_close: str = ""
    pit_key: str = "id"

    def __str__(self) -> str:
        """Return the name and version as people write it."""
        return f"{self.name} {'.'.join(map(str, self.version))}"


def product_of(banner: Mapping[str, Any]) -> Product:
    """Return the product that answers `GET /` so; Rejected if it is none of ours or older than Elasticsearch 7.10."""
    version = banner.get("version")
    if not isinstance(version, Mapping) or "number" not in version:
        raise Rejected("the server does not answer like OpenSearch or Elasticsearch: check the url")
    number = tuple(int(part) for part in str(version["number"]).split("-")[0].split("."))
    if version.get("distribution") == "opensearch":
        pit = "_search/point_in_time" if number >= (2, 4) else None
        return Product("OpenSearch", number, pit=pit, pit_close="_search/point_in_time", pit_key="pit_id")
    if number < (7, 10):
        raise Rejected(f"Elasticsearch {version['number']} is too old: 7.10 or newer is needed")
    if number < (8,):  # the official client refuses what is older, and the Apache-licensed build has no point in time
        has_pit = version.get("build_flavor") == "default"
        return Product("Elasticsearch", number, pit="_pit" if has_pit else None, pit_close="_pit")
    return Product("Elasticsearch", number, official_client=True, pit="_pit", pit_close="_pit")
