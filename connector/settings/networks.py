"""The organisation: `networks.yml` as a flat list of networks, each with its path, department and role.

A host becomes a network of one address: it keeps the path of the network around it (events name networks, not hosts)
and has a role and department of its own. Promises: every range lies inside the one around it, none is declared twice.
Will not: decide which network an address belongs to; the enrichment does, the narrowest wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from connector.errors import Problem
from connector.settings.addresses import address_of, lies_within, read_ranges
from connector.settings.model import AnyNetwork, Network
from connector.settings.part import Part

# the roles that the hunts we ship know; any other word is kept as it is written
# fmt: off
ROLES = frozenset(
    (
        "admin", "authoritative-dns", "backup", "camera", "database", "dhcp-server", "domain-controller",
        "file-server", "guest", "iot", "mail-server", "management", "monitoring", "phone", "printer", "proxy",
        "resolver", "scanner", "server", "terminal-server", "vpn-gateway", "web-server", "workstation",
    )
)
# fmt: on
SYNONYMS = {"clients": "workstation", "visitors": "guest", "dhcp": "dhcp-server", "servers": "server"}


@dataclass(frozen=True)
class _Around:
    """What a network hands down: its path, its department and role, and the ranges to stay inside of."""

    path: tuple[str, ...] = ()
    department: str | None = None
    role: str | None = None
    ranges: tuple[AnyNetwork, ...] = ()

    def inside(self, part: Part, name: str | None) -> _Around:
        """Return what the network or host at this part hands down, its own ranges aside."""
        role = part.text("role")
        return _Around(
            (*self.path, name) if name else self.path,
            part.text("department") or self.department,
            SYNONYMS.get(role, role) if role else self.role,
            self.ranges,
        )

    def narrowed(self, ranges: tuple[AnyNetwork, ...]) -> _Around:
        """Return the same with these ranges, in place of those of the same IP versions."""
        versions = {network.version for network in ranges}
        kept = tuple(network for network in self.ranges if network.version not in versions)
        return _Around(self.path, self.department, self.role, ranges + kept)


@dataclass(frozen=True)
class _Declared:
    """A network or host as declared: its part of the file, and what each of its ranges means."""

    part: Part
    network: Network
    ranges: list[tuple[Part, AnyNetwork]]


def networks_of(root: Part, problems: list[Problem]) -> tuple[Network, ...]:
    """Return the networks of the file, general before specific; what is wrong is added to `problems`."""
    declared = list(_declared(root.at("organisation"), _Around(), problems))
    problems.extend(_twice(declared))
    return tuple(d.network for d in declared if d.network.cidrs)


def _declared(part: Part, around: _Around, problems: list[Problem]) -> Iterator[_Declared]:
    """Yield the network at this part, its hosts and all networks below."""
    here = around.inside(part, part.text("name"))
    network = _one(part, here, read_ranges(part.texts("cidr"), problems), problems)
    yield network
    here = here.narrowed(network.network.cidrs)
    for host in part.items("hosts"):
        yield _one(host, here.inside(host, None), read_ranges(host.texts("address"), problems, address_of), problems)
    for below in part.items("networks"):
        yield from _declared(below, here, problems)


def _one(part: Part, here: _Around, ranges: list[tuple[Part, AnyNetwork]], problems: list[Problem]) -> _Declared:
    """Return one network or host, having checked that its ranges lie in those around it."""
    for where, network in ranges:
        outer = [known for known in here.ranges if known.version == network.version]
        if outer and not any(lies_within(network, known) for known in outer):
            of = ", ".join(map(str, outer))
            problems.append(where.problem(f"is {network}, which lies outside of the network around it ({of})"))
    cidrs = tuple(dict.fromkeys(network for _, network in ranges))
    return _Declared(part, Network(here.path, cidrs, here.department, here.role), ranges)


def _twice(declared: list[_Declared]) -> Iterator[Problem]:
    """Yield a problem for each range that a second network or host declares."""
    first: dict[AnyNetwork, tuple[Part, Part]] = {}
    for one in declared:
        for where, network in one.ranges:
            owner, line = first.setdefault(network, (one.part, where))
            if owner.place != one.part.place:
                names = f"for {_name(one.part)} and at line {line.line} for {_name(owner)}"
                yield where.problem(f"declares {network} {names}: keep one of them")


def _name(part: Part) -> str:
    """Return the name of a network or host."""
    return part.text("name") or part.name
