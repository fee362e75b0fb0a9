"""Which events a hunt matches, for writing back: as a search query, and one by one.

Promises: events written a moment ago are among them; of a hunt that needs more than one event they are those
that take part, as in its findings; a hunt that no source can answer is refused, so that nothing reads as "no such
events". Will not: write anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from connector.errors import NotThere, Refused
from connector.hunts.asking.mapped import mapped
from connector.hunts.asking.members import Place, of_time
from connector.hunts.asking.profiles import with_profiles
from connector.hunts.asking.questions import Asked, asked
from connector.hunts.asking.tally import Member
from connector.hunts.catalogue.hunt import Hunt
from connector.settings.model import Settings
from connector.siem.client import Siem


def asked_now(siem: Siem, settings: Settings, hunt: Hunt, *fields: str) -> Asked:
    """Return the hunt with its questions, so that its events come with further fields; Refused if none can answer."""
    for source in settings.sources:
        siem.call("POST", f"/{source.pattern}/_refresh", ignore_unavailable=True, allow_no_indices=True)
    wider = with_profiles(siem, settings, [replace(hunt, show=(*hunt.show, *fields))])
    (found,) = asked(mapped(siem, settings, wider), wider)
    if not found.questions and found.trouble:
        if siem.search(settings.events, {"size": 0})["_shards"]["total"] == 0:
            raise Refused(f"no index matches {settings.events}: `hunts load` puts events there, `sources` names others")
        raise Refused(f"{hunt.name} cannot be asked here: {found.trouble}; `hunts plan` shows what is not installed")
    return found


def matching_events(siem: Siem, settings: Settings, asked: Asked, since: datetime | None) -> Iterable[Member]:
    """Return the events of the hunt from a time on (None: all), each once, with the groups it counts in."""
    return of_time(Place(siem, settings.state("seen")), asked, (since, None)).events


def check_state(siem: Siem, settings: Settings, *names: str) -> None:
    """Raise NotThere if one of our own indices is missing: written to, it would come without its mapping."""
    for name in names:
        if not siem.exists(f"/{settings.state(name)}"):
            raise NotThere(f"there is no index {settings.state(name)} yet: run `hunts install` first")
