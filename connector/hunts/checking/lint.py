"""What makes a hunt good beyond being well formed: small checks, each with a name and a recommendation.

Promises: one check looks at one thing and has a twin in `tests/bad/hunts/` that only it objects to. Will not: check
structure (`format.py`) or proof (`cases.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from connector.documents import Place
from connector.enrich.dialects import OURS
from connector.enrich.fields import field_words
from connector.errors import Problem
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import Distinct, FirstSeen, Ratio, Sum, own_condition
from connector.hunts.catalogue.source import Source
from connector.hunts.conditions.condition import All, Equals, Matches, None_, UnderDomain, field_names, leaves
from connector.hunts.conditions.eve_names import is_eve_name, nearest_eve_name
from connector.hunts.conditions.host_fields import ATTRIBUTES, LOWER_CASE_ATTRIBUTES, SIDES, host_field, host_leaves

Finding = tuple[Place, str]
TITLE_WORDS = ("Policy", "Hunt", "Anomaly", "Info", "Phishing")
ATTACK = re.compile(r"attack\.(?:t[0-9]{4}(?:\.[0-9]{3})?|[a-z]+(?:-[a-z]+)*)")
TECHNIQUE = re.compile(r"attack\.t[0-9]{4}(?:\.[0-9]{3})?")
EVENT_TYPES: frozenset[str] = frozenset().union(
    ("alert", "anomaly", "arp", "bittorrent_dht", "dcerpc", "dhcp", "dnp3", "dns", "enip", "fileinfo", "flow", "frame"),
    ("ftp", "ftp_data", "http", "http2", "ike", "ikev2", "krb5", "ldap", "mdns", "modbus", "mqtt", "netflow", "nfs"),
    ("pgsql", "pop3", "quic", "rdp", "rfb", "sip", "smb", "smtp", "snmp", "ssh", "telnet", "tftp", "tls", "websocket"),
)
# events whose packet may have run from the server to the client
BOTH_DIRECTIONS = frozenset(("alert", "dns", "fileinfo", "ftp_data", "krb5", "quic", "rdp", "rfb", "snmp"))
LOWER_CASE = (
    *("hostname_info.host", "hostname_info.domain", "hostname_info.subdomain", "hunt.name.parents"),
    *(f"{side}{attribute}" for side in SIDES for attribute in LOWER_CASE_ATTRIBUTES),
)


class Lint:
    """One check: its name, what to do about a finding, and `findings`."""

    name: ClassVar[str]
    recommendation: ClassVar[str]

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield the place of each finding and what is wrong there."""
        raise NotImplementedError


class TitleWord(Lint):
    """The title says what kind of hunt it is."""

    name = "title-word"
    recommendation = f"begin it with one of {', '.join(TITLE_WORDS)} and a colon"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield the title, if its first word says nothing."""
        if not hunt.title.startswith(tuple(f"{word}: " for word in TITLE_WORDS)):
            yield ("title",), f"the title {hunt.title!r} does not say what kind of hunt it is"


class ThinHypothesis(Lint):
    """The hypothesis is an argument."""

    name = "thin-hypothesis"
    recommendation = "say in two sentences why a finding would be bad and for whom"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield the hypothesis, if it is too short to be one."""
        if len(hunt.hypothesis) < 80:
            yield ("hypothesis",), f"the hypothesis has only {len(hunt.hypothesis)} characters"


class AttackTags(Lint):
    """ATT&CK tags can be looked up, and a hunt for attackers has one."""

    name = "attack-tags"
    recommendation = "write techniques as attack.t1071.004 and tactics as attack.exfiltration"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield tags of another form, and the lack of a technique."""
        for index, tag in enumerate(hunt.tags):
            if tag.startswith("attack") and not ATTACK.fullmatch(tag):
                yield ("tags", index), f"the tag {tag} is no ATT&CK tag"
        if hunt.kind == "compromise" and not any(TECHNIQUE.fullmatch(tag) for tag in hunt.tags):
            yield ("tags",), "a hunt of the kind compromise has no ATT&CK technique"


class TwoSteps(Lint):
    """The guide leads somewhere."""

    name = "two-steps"
    recommendation = "add what an analyst asks next, such as who else does it and since when"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield the guide, if it has one step only."""
        if len(hunt.guide) < 2:
            yield ("guide",), "the guide has one step only"


class HasHit(Lint):
    """A case proves that the hunt finds something."""

    name = "has-hit"
    recommendation = "add a case with the events of the technique and the finding expected of them"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield the cases, if none expects a finding."""
        if not any(case.hits for case in hunt.cases):
            yield ("cases",), "no case expects a finding"


class HasNearMiss(Lint):
    """A case proves that the hunt leaves something alone."""

    name = "has-near-miss"
    recommendation = "add a case with `hits: []` and events that only just do not count"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield the cases, if every one expects a finding."""
        if all(case.hits for case in hunt.cases):
            yield ("cases",), "no case is a near miss"


class CaseEvents(Lint):
    """A case has events that the hunt looks at."""

    name = "case-events"
    recommendation = "give it an event of one of the hunt's event types, or it proves nothing"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield the cases without an event of the hunt's types."""
        for index, case in enumerate(hunt.cases):
            types = {item.get("event", item).get("event_type") for item in case.events}
            if not types.intersection(hunt.event_types):
                yield ("cases", index), f"the case {case.name!r} has no {' or '.join(hunt.event_types)} event"


class KnownEventTypes(Lint):
    """The event types are those that Suricata writes."""

    name = "known-event-types"
    recommendation = "look at the event_type of Suricata's events"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield event types that no version writes."""
        for index, name in enumerate(hunt.event_types):
            if name not in EVENT_TYPES:
                yield ("data", "event_types", index), f"{name} is no event type of Suricata"


class KnownFields(Lint):
    """A field that looks like one of ours is one of ours."""

    name = "known-fields"
    recommendation = "the fields that the enrichment writes are in ingest-pipelines/event-fields.yml"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield the fields below our names that the enrichment does not write."""
        known = field_words()
        holders = {name.rpartition(".")[0] for name in known}
        for place, name in named_fields(hunt):
            if _of_hosts(place, name):
                continue
            if name.startswith(OURS) and name not in known and name not in holders and not name.startswith("@"):
                yield place, f"there is no field {name}"


class KnownEveFields(Lint):
    """A field that is not ours is one that Suricata writes."""

    name = "known-eve-fields"
    recommendation = "no version of Suricata writes it, so look at an event of the type"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield the fields that neither Suricata nor the enrichment writes."""
        for place, name in named_fields(hunt):
            ours = name.startswith(OURS) or name in field_words() or _of_hosts(place, name)
            if not ours and not is_eve_name(name):
                near = nearest_eve_name(name)
                yield place, f"there is no field {name}" + (f"; {near} is the nearest" if near else "")


class Countable(Lint):
    """What is grouped or counted by can be."""

    name = "countable"
    recommendation = "use a field of the type group, ip, date, boolean or sum in ingest-pipelines/event-fields.yml"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield the fields of ours that are kept without values to count."""
        kinds = {name: words["type"] for name, words in field_words().items()}
        for place, name in named_fields(hunt):
            counted = place[0] in ("group_by", "at_least", "first_seen") or "count_by" in place
            counted = counted and place[1:2] != ("ratio",)
            if counted and kinds.get(name) in ("find", "number", "count", "fraction", "shown"):
                yield place, f"the SIEM cannot count by {name}"


class QuestionOrAnswer(Lint):
    """A DNS hunt says whether it means questions or answers."""

    name = "question-or-answer"
    recommendation = "ask for hunt.dns.message: query or answer, or each exchange counts twice"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield the match of a hunt on dns events that does not."""
        if "dns" in hunt.event_types and "hunt.dns.message" not in field_names(hunt.match):
            yield ("match",), "dns events are both questions and answers, and the match does not say which"


class WhoAsked(Lint):
    """Client and server are told apart by role, not by packet."""

    name = "who-asked"
    recommendation = "use hunt.client.ip and hunt.server.ip, which are right in every version"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield the uses of packet addresses where the packet may run either way."""
        types = BOTH_DIRECTIONS.intersection(hunt.event_types)
        for place, name in named_fields(hunt):
            if types and name in ("src_ip", "dest_ip") and place[0] in ("match", "group_by", "at_least"):
                yield place, f"{name} of {' and '.join(sorted(types))} events may be either end"


class DomainAsTerm(Lint):
    """Names below a domain are found by a term, not by a wildcard."""

    name = "domain-as-term"
    recommendation = "ask for hunt.name.parents: the domain; it holds every parent of the name and is a term"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield the match, if it searches all host names for an ending."""
        for leaf in leaves(hunt.match):
            if isinstance(leaf, UnderDomain) and leaf.field.startswith("hostname_info."):
                yield ("match",), f"under_domain on {leaf.field} reads every name there is"


class LowerCase(Lint):
    """Names are compared as the enrichment writes them."""

    name = "lower-case"
    recommendation = "write it in lower case, as the enrichment does"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield the match, if a name in it has capitals and so never matches."""
        for leaf in leaves(hunt.match):
            if isinstance(leaf, Equals) and leaf.field in LOWER_CASE and leaf.list_name is None:
                for value in (value for value in leaf.values if isinstance(value, str) and value != value.lower()):
                    yield ("match",), f"{leaf.field} is never {value!r}"


class ShortText(Lint):
    """A substring is long enough to mean something."""

    name = "short-text"
    recommendation = "ask for three characters or more, or for the whole value"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield the match, if it asks for one or two characters anywhere."""
        for leaf in leaves(hunt.match):
            if isinstance(leaf, Matches):
                for pattern in (p for p in leaf.patterns if p.how == "contains" and len(p.text) < 3):
                    yield ("match",), f"{pattern.text!r} is in very many values of {leaf.field}"


class CaseHosts(Lint):
    """What a hunt asks of hosts is proved."""

    name = "case-hosts"
    recommendation = "give a case `hosts` with profiles, or no case shows what the hunt asks of them"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield the cases of a hunt that asks something of hosts, if none has a profile."""
        asks = any(host_leaves(All((hunt.match, own_condition(hunt.needs)))))
        if asks and not any(case.hosts for case in hunt.cases):
            yield ("cases",), "the hunt asks for profiles of hosts, and no case has one"


class NewByHost(Lint):
    """What is remembered does not begin with a profile."""

    name = "new-by-host"
    recommendation = "ask of hosts in hunts that remember nothing, or name the hosts in the networks file"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield the match of a hunt of the kind first_seen that asks something of hosts."""
        if isinstance(hunt.needs, FirstSeen) and any(host_leaves(hunt.match)):
            yield ("match",), "all that a host does is new on the day on which its profile gets what the hunt asks"


class OnlyNone(Lint):
    """A hunt says what it looks for, not only what it does not."""

    name = "only-none"
    recommendation = "add what an event must have to `all` or `any`"

    def findings(self, hunt: Hunt) -> Iterator[Finding]:
        """Yield the match, if nothing in it must be there."""
        if isinstance(hunt.match, None_):
            yield ("match",), "the match has only `none`, so nearly every event counts"


LINTS: tuple[Lint, ...] = tuple(kind() for kind in Lint.__subclasses__())


def lint(source: Source) -> list[Problem]:
    """Return what the checks object to in a hunt, with the recommendation and the name of the check."""
    return [
        source.document.problem(place, f"{what}: {check.recommendation} [{check.name}]")
        for check in LINTS
        for place, what in check.findings(source.hunt)
    ]


def _of_hosts(place: Place, name: str) -> bool:
    """Return whether a condition asks for an attribute of hosts; such a field stands on no event to be shown."""
    asked = host_field(name)
    return asked is not None and asked.attribute in ATTRIBUTES and ("match" in place or place[1:2] == ("ratio",))


def named_fields(hunt: Hunt) -> Iterator[tuple[Place, str]]:
    """Yield every field a hunt names, with the place of the key it stands under."""
    yield from ((("match",), name) for name in field_names(hunt.match))
    for key, names in (("group_by", hunt.group_by), ("show", hunt.show)):
        yield from (((key, index), name) for index, name in enumerate(names))
    for kind, key in ((Distinct, "distinct"), (Sum, "sum")):
        if isinstance(hunt.needs, kind):
            yield ("at_least", key, "field"), hunt.needs.field
    if isinstance(hunt.needs, Ratio):
        yield from ((("at_least", "ratio", "of"), name) for name in field_names(hunt.needs.of))
    if isinstance(hunt.needs, FirstSeen):
        yield from ((("first_seen", "value", index), name) for index, name in enumerate(hunt.needs.value))
    for number, step in enumerate(hunt.guide):
        here: Place = ("guide", number, "look")
        yield from (((*here, "match"), name) for name in field_names(step.look.match))
        for key, names in (("count_by", step.look.count_by), ("show", step.look.show)):
            yield from (((*here, key, index), name) for index, name in enumerate(names))
