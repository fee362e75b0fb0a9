"""What the package puts into a SIEM, as one value: `install.py` compares it with what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Assets:
    """Everything that is installed.

    `pipelines`: ingest pipelines by name, `final_pipeline` is the one every event index must run last. Those that are
    `kept_as_they_are` are only made where they are missing: what is in them is not for installing to say.
    `event_properties`: the mapping properties of our fields, for event indices (merged into theirs, never replacing).
    `patterns`: index patterns of the event indices. `state`: our own indices by full name, with the properties of their
    mapping. `prefix` begins every name of ours; `enriched` is what `hunt.enriched` says of an up-to-date event.
    """

    pipelines: Mapping[str, Json]
    final_pipeline: str
    event_properties: Json
    patterns: tuple[str, ...]
    state: Mapping[str, Json]
    prefix: str
    enriched: str
    kept_as_they_are: frozenset[str] = frozenset()
