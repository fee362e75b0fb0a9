"""Puts what profiles of hosts say now in the place of what hunts ask of hosts: addresses, which events do have.

`hunt.server.host.roles: printer` becomes `hunt.server.ip` with the addresses of all hosts that are seen as printers; of
none, it matches nothing. So every question, count and page is the one of a hunt that names addresses.

Promises: one round trip for all hunts; what cannot be told (no profile yet, more hosts than a search can name, no right
to read profiles) becomes a leaf that matches nothing and says why; hunts that ask nothing of hosts stay the same
objects. Will not: know when a host got what it has: it counts for events before that, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from connector.errors import NotAllowed
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import Ratio, own_condition
from connector.hunts.conditions.address import plain_address
from connector.hunts.conditions.condition import Any as AnyOf
from connector.hunts.conditions.condition import Condition, Equals, Leaf, Unknown, mapped
from connector.hunts.conditions.fields import Fields
from connector.hunts.conditions.host_fields import ATTRIBUTES, HostLeaf, host_field, host_leaves, ip_and_tenant
from connector.hunts.conditions.predicate import predicate
from connector.hunts.conditions.query import compile_query
from connector.settings.model import Settings
from connector.siem.client import Siem
from connector.siem.wire import siem_error

Json = dict[str, Any]
MOST = 10_000  # addresses for what one leaf asks: as many as an engine gives in one answer
NO_PROFILES = "there is no profile of a host yet: `hunts hosts build` builds them, and so does the service"
FIELDS = Fields({stored: frozenset((kind,)) for stored, kind in ATTRIBUTES.values()}, frozenset())
Found = Mapping[HostLeaf, tuple[str, ...] | str]  # addresses, or why there is no telling, by leaf without its side
Hosts = Mapping[str, Mapping[str, Any]]  # what a case says of hosts: attributes by address


class Profiles:
    """Hunts with what profiles say now; keep one from pass to pass."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._of: Sequence[Hunt] = ()
        self._found: Found = {}
        self._hunts: Sequence[Hunt] = ()

    def of(self, siem: Siem, settings: Settings, hunts: Sequence[Hunt]) -> Sequence[Hunt]:
        """Return the hunts with addresses for what they ask of hosts; the same objects as long as nothing changed.

        SiemError if the engine cannot be asked.
        """
        found = _found(siem, settings, hunts)
        if found != self._found or [*map(id, hunts)] != [*map(id, self._of)]:
            self._of, self._found = hunts, found
            self._hunts = tuple(_with(hunt, found) for hunt in hunts) if found else hunts
        return self._hunts


def with_profiles(siem: Siem, settings: Settings, hunts: Sequence[Hunt]) -> Sequence[Hunt]:
    """Return the hunts with addresses for what they ask of hosts; SiemError if the engine cannot be asked."""
    return Profiles().of(siem, settings, hunts)


def with_hosts(hunt: Hunt, hosts: Hosts) -> Hunt:
    """Return the hunt with the addresses of those of the given hosts that have what it asks of hosts."""
    return _with(hunt, {leaf: _having(leaf, hosts) for leaf in _asked_of_hosts([hunt])})


def _having(leaf: HostLeaf, hosts: Hosts) -> tuple[str, ...]:
    """Return the addresses of the hosts that have what a leaf asks."""
    has = predicate(leaf)
    return tuple(plain_address(ip) for ip, attributes in hosts.items() if has(attributes))


def _found(siem: Siem, settings: Settings, hunts: Sequence[Hunt]) -> Found:
    """Return what profiles have for everything that hunts ask of hosts, looked up in one round trip."""
    asked = list(_asked_of_hosts(hunts))
    if not asked:
        return {}
    bodies = [{"size": 0, "track_total_hits": 1, "query": {"exists": {"field": "host_id.first_seen"}}}]
    bodies += [_body(leaf) for leaf in asked]
    there, *answers = siem.msearch([(settings.state("hosts"), body) for body in bodies])
    if "error" not in there and not there["hits"]["total"]["value"]:
        return dict.fromkeys(asked, NO_PROFILES)
    return {leaf: _addresses(answer) for leaf, answer in zip(asked, answers, strict=True)}


def _body(leaf: HostLeaf) -> Json:
    """Return the search for the hosts that have what a leaf asks; their documents have their addresses as ids."""
    query = compile_query(replace(leaf, field=ATTRIBUTES[leaf.field][0]), FIELDS, "eve").query
    return {"size": MOST, "track_total_hits": True, "query": query, "_source": False, "sort": ["_doc"]}


def _addresses(answer: Json) -> tuple[str, ...] | str:
    """Return the addresses of an answer, or why they cannot be told; SiemError if the search failed."""
    if "error" in answer:
        error = siem_error(int(answer.get("status", 400)), "looking for hosts in their profiles", answer)
        if isinstance(error, NotAllowed):
            return str(error)
        raise error
    number = int(answer["hits"]["total"]["value"])
    if number > MOST:
        return f"{number:,} hosts have it, and a search can name {MOST:,}: ask for something that fewer have"
    ids = (str(hit["_id"]) for hit in answer["hits"]["hits"])
    return tuple(sorted({ip_and_tenant(id)[0] for id in ids}))


def _asked_of_hosts(hunts: Iterable[Hunt]) -> dict[HostLeaf, None]:
    """Return what hunts ask of hosts, each once: leaves whose field is the attribute."""
    conditions = (part for hunt in hunts for part in (hunt.match, own_condition(hunt.needs)))
    return dict.fromkeys(_without_side(leaf) for part in conditions for leaf in host_leaves(part))


def _without_side(leaf: HostLeaf) -> HostLeaf:
    """Return a leaf that asks something of hosts with the attribute for its field."""
    asked = host_field(leaf.field)
    return replace(leaf, field=asked.attribute) if asked else leaf


def _with(hunt: Hunt, found: Found) -> Hunt:
    """Return the hunt with what is found in place of what it asks of hosts; the hunt itself if it asks nothing."""
    if not _asked_of_hosts([hunt]):
        return hunt

    def told(leaf: Leaf) -> Condition:
        """Return what stands for a leaf."""
        asked = host_field(leaf.field) if isinstance(leaf, HostLeaf) else None
        if asked is None or not isinstance(leaf, HostLeaf):
            return leaf
        known = found[_without_side(leaf)]
        if isinstance(known, str):
            return Unknown(leaf.field, f"{leaf.field} is not known: {known}")
        return AnyOf(tuple(Equals(field, known) for field in asked.addresses) if known else ())

    needs = hunt.needs
    if isinstance(needs, Ratio):
        needs = replace(needs, of=mapped(needs.of, told))
    return replace(hunt, match=mapped(hunt.match, told), needs=needs)
