"""The script that puts a rule on an event or takes rules off it, and brings the event's tag in line with what remains.

A rule's id ends in its tag (`public-dns-queries.3f2a91c04b.relevant`), so that an event alone says what its tag must be
and a script needs no list of rules. `relevant` wins. An `alert.tag` that another product had set counts as a rule
`elsewhere.<value>` while rules of ours are on the event, and is what remains when the last of them goes.

Promises: tagging and untagging leaves an event as it was; a tag that another product sets in between is kept. An
`alert.tag` that is no text is not touched. Will not: choose events.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from connector.content import content_folder
from connector.respond.tags.extent import milliseconds

RULES_FIELD = "hunt.tag_rules"

# what the update does with it; ingest-pipelines/tags.painless has the functions
UPDATE = """
if (!retag(ctx._source, (List) params.remove, (List) params.add, params.now)) { ctx.op = "noop"; }
"""


@cache
def functions(name: str) -> str:
    """Return the Painless of a file of the content folder, without comments and indentation."""
    text = (content_folder("ingest-pipelines") / name).read_text(encoding="utf-8")
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def retag_script(add: str | None, remove: Sequence[str], now: datetime) -> dict[str, Any]:
    """Return the update script that adds a rule (or none) to each event and removes others; `now` dates a first tag."""
    params = {"add": [add] if add else [], "remove": list(remove), "now": milliseconds(now)}
    return {"lang": "painless", "source": functions("tags.painless") + UPDATE, "params": params}
