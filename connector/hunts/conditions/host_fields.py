"""Fields of a condition that ask for something in the profile of an event's host: `hunt.client.host.roles` and such.

They stand on no event: `profiles.py` puts the addresses of the hosts that have it in their place before a hunt is
asked. `hunt.client.host.…` is the host that asked, `hunt.server.host.…` the one that answered, `host.…` either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from connector.hunts.conditions.condition import (
    Compares,
    Condition,
    Equals,
    Exists,
    Leaf,
    Lucene,
    Matches,
    Reference,
    UnderDomain,
    leaves,
)

HostLeaf = Equals | UnderDomain | Matches | Compares | Exists  # what can be asked of hosts

# the roles a profile can have; `connector/hosts/shape.py` has the rule of each
ROLES = (
    "domain controller",
    "dhcp server",
    "dns resolver",
    "http proxy",
    "printer",
    "mail server",
    "file server",
    "web server",
    "database",
    "scanner",
)
SIDES = {
    "hunt.client.host.": ("hunt.client.ip",),
    "hunt.server.host.": ("hunt.server.ip",),
    "host.": ("hunt.client.ip", "hunt.server.ip"),
}
# attribute → where a profile has it, and the type it is mapped as
ATTRIBUTES = {
    "roles": ("host_id.roles.name", "keyword"),
    "hostname": ("host_id.hostname.host", "keyword"),
    "username": ("host_id.username.user", "keyword"),
    "services.port": ("host_id.services.port", "long"),
    "services_count": ("host_id.services_count", "long"),
}
LOWER_CASE_ATTRIBUTES = ("hostname", "username")  # profiles have their values in lower case
AT_WRITE = "is looked up in the profiles of hosts when a hunt is asked, not while an event is written"


@dataclass(frozen=True)
class HostField:
    """A field taken apart: the addresses of an event it is about, and the attribute of their profiles."""

    addresses: tuple[str, ...]
    attribute: str


def profile_id(ip: str, tenant: str = "") -> str:
    """Return the id of a host's profile: its address, and its tenant if the sensor says one."""
    return f"{ip}@{tenant}" if tenant else ip


def ip_and_tenant(id: str) -> tuple[str, str]:
    """Return the address and the tenant of a profile's id; the tenant is empty if it has none."""
    ip, _, tenant = id.partition("@")
    return ip, tenant


def host_field(name: str) -> HostField | None:
    """Return a field taken apart, whether there is such an attribute or not; None if it is about no profile."""
    for beginning, addresses in SIDES.items():
        if name.startswith(beginning):
            return HostField(addresses, name.removeprefix(beginning))
    return None


def host_leaves(condition: Condition) -> Iterator[HostLeaf]:
    """Yield the leaves that ask for something in profiles."""
    for leaf in leaves(condition):
        if isinstance(leaf, HostLeaf) and host_field(leaf.field):
            yield leaf


def host_problem(leaf: Leaf) -> str:
    """Return what is wrong with a leaf that asks for something in profiles, in words; empty if nothing is."""
    asked = None if isinstance(leaf, Lucene) else host_field(leaf.field)
    if asked is None:
        return ""
    if asked.attribute not in ATTRIBUTES:
        return f"asks for {asked.attribute}, which hunts cannot ask of hosts: they can of {', '.join(ATTRIBUTES)}"
    number = ATTRIBUTES[asked.attribute][1] == "long"
    if not isinstance(leaf, (Equals, Exists, Compares) if number else (Equals, Exists, Matches, UnderDomain)):
        takes = "values and bounds" if number else "values and patterns without regex"
        return f"cannot be asked so: {asked.attribute} of hosts takes {takes}"
    if asked.attribute == "roles" and isinstance(leaf, Equals):
        unknown = [value for value in leaf.values if value not in ROLES and not isinstance(value, Reference)]
        return f"names the role {unknown[0]!r}, which no host has: roles are {', '.join(ROLES)}" if unknown else ""
    return ""
