"""What earlier builds left in OpenSearch Dashboards or Kibana: objects of what the source has no more. Pure.

Ours is what begins with our prefix and with our word in its title, unless it begins with the longer prefix of another
installation, which shows by its index pattern of findings. Promises: what somebody else's dashboard still shows is told
as in use. Will not: take an index pattern for left over, for anything may be built on one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from connector.dashboards.objects import MARK
from connector.siem.saved_objects import Held

PATTERN = "index-pattern"
TYPES = ("dashboard", "visualization", "search")  # in the order in which they are removed
_EACH_HAS = "findings"  # the index pattern that every installation has


@dataclass(frozen=True)
class Left:
    """One object that an earlier build left: who still shows it, and whether it was removed."""

    type: str
    id: str
    title: str
    used_by: tuple[str, ...] = ()
    removed: bool = False


def left_over(held: Sequence[Held], built: Collection[tuple[str, str]], prefix: str) -> list[tuple[Held, Left]]:
    """Return what of all objects that are there is ours and not built any more, in the order to remove it in."""
    others = tuple(one.id.removesuffix(_EACH_HAS) for one in held if _is_of_another(one, prefix))
    old = [
        one
        for one in held
        if one.type in TYPES
        and one.key not in built
        and one.id.startswith(prefix)
        and one.title.startswith(MARK)
        and not one.id.startswith(others)
    ]
    gone = {one.key for one in old}
    stays = [one for one in held if one.key not in gone]
    found = []
    for one in sorted(old, key=lambda each: (TYPES.index(each.type), each.id)):
        users = tuple(sorted(each.title for each in stays if one.key in each.refers))
        found.append((one, Left(one.type, one.id, one.title, users)))
    return found


def _is_of_another(one: Held, prefix: str) -> bool:
    """Tell whether an object is the index pattern of findings of another installation, of a longer prefix."""
    longer = one.id.startswith(prefix) and one.id != f"{prefix}{_EACH_HAS}"
    return longer and one.type == PATTERN and one.id == one.title and one.id.endswith(_EACH_HAS)
