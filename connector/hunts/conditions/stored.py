"""A leaf as a dialect stores its values: hunts are written in EVE's values, `TCP` is `tcp` in events of Elastic Agent.

Only values that compare as written are translated. Patterns ignore case anyway; `regex` and `lucene` say what is
stored. Promises: nothing changes in the dialect of EVE, or for values that are in the form of the dialect already.
"""

from __future__ import annotations

from dataclasses import replace

from connector.enrich.dialects import stored_text
from connector.hunts.conditions.condition import Equals, Leaf, Reference, scalar_text
from connector.settings.model import Dialect


def with_stored_values(leaf: Leaf, dialect: Dialect) -> Leaf:
    """Return the leaf with the values that events of the dialect have in place of EVE's; its field keeps its name."""
    if dialect == "eve" or not isinstance(leaf, Equals):
        return leaf
    values = (
        value if isinstance(value, Reference) else stored_text(leaf.field, scalar_text(value) or "", dialect)
        for value in leaf.values
    )
    return replace(leaf, values=tuple(values))
