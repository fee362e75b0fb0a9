"""A hunt together with the document it was read from, so that later checks can name lines."""

from __future__ import annotations

from dataclasses import dataclass

from connector.documents import Document
from connector.hunts.catalogue.hunt import Hunt


@dataclass(frozen=True)
class Source:
    """A hunt and its document."""

    hunt: Hunt
    document: Document
