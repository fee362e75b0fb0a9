"""Which events a hunt matches, for writing back: as a search query, and one by one.

Promises: events written a moment ago are among them; of a hunt with a threshold they are those that take part in
reaching it, as in its findings; a hunt that no source can answer is refused, so that nothing reads as "no such events".
Will not: write anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from connector.errors import NotThere, Refused
from connector.hunts.asking import Asked, Hit, Key, asked, hits
from connector.hunts.bursts import burst
from connector.hunts.hunt import Hunt
from connector.settings.model import Settings
from connector.siem.client import Siem


def asked_now(siem: Siem, settings: Settings, hunt: Hunt, *fields: str) -> Asked:
    """Return the hunt with its questions, so that its events come with further fields; Refused if none can answer."""
    for source in settings.sources:
        siem.call("POST", f"/{source.pattern}/_refresh", ignore_unavailable=True, allow_no_indices=True)
    (found,) = asked(siem, settings, [replace(hunt, show=(*hunt.show, *fields))])
    if not found.questions:
        if siem.search(settings.events, {"size": 0})["_shards"]["total"] == 0:
            raise Refused(f"no index matches {settings.events}: `hunts load` puts events there, `sources` names others")
        raise Refused(f"{hunt.name} cannot be asked here: {found.trouble}; `hunts plan` shows what is not installed")
    return found


def matching_events(siem: Siem, asked: Asked, since: datetime | None) -> Iterator[tuple[Hit, list[Key]]]:
    """Yield the events of the hunt from a time on (None: all), each once, with the groups it counts in."""
    if not asked.hunt.threshold.every_event:
        yield from burst(siem, asked, since, None)
        return
    for question in asked.questions:
        for hit in hits(siem, question, *question.during(since, None)):
            yield hit, list(hit.keys)


def check_state(siem: Siem, settings: Settings, *names: str) -> None:
    """Raise NotThere if one of our own indices is missing: written to, it would come without its mapping."""
    for name in names:
        if not siem.exists(f"/{settings.state(name)}"):
            raise NotThere(f"there is no index {settings.state(name)} yet: run `hunts install` first")
