"""The operator's settings as typed values: what `hunts.yml`, `networks.yml` and `resolvers.yml` mean once read.

Promises: immutable, complete, checked: nothing above asks twice whether an address is valid. Will not: read files
(`load.py` does), or know a search engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

AnyNetwork = IPv4Network | IPv6Network
Dialect = Literal["eve", "ecs"]
LinkOf = Literal["flow", "event", "file", "domain", "address"]
Kind = Literal["generic", "slack", "teams", "mattermost", "pagerduty", "thehive", "jira", "shuffle", "mail"]
Event = Literal["declaration", "finding"]
Severity = Literal["informational", "low", "medium", "high", "critical"]  # in this order


@dataclass(frozen=True)
class SiemSettings:
    """Where the search engine is and how to log in. Secrets are kept out of repr."""

    urls: tuple[str, ...] = ("http://127.0.0.1:9200",)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    ca_file: str | None = None


@dataclass(frozen=True)
class Source:
    """Indices with events: an index pattern, its dialect and the field that holds the event's time."""

    pattern: str = "logstash-*"
    dialect: Dialect = "eve"
    time_field: str = "@timestamp"


@dataclass(frozen=True)
class Network:
    """A named part of the organisation; a host is a network of one address.

    `path` holds the names from the most general to this one. `department` and `role` are those of the nearest network
    that states one.
    """

    path: tuple[str, ...]
    cidrs: tuple[AnyNetwork, ...]
    department: str | None = None
    role: str | None = None


@dataclass(frozen=True)
class ApprovedResolver:
    """A resolver the policy allows, and whom it may ask: networks, and the words `root` and `authoritative`."""

    name: str
    addresses: tuple[AnyNetwork, ...]
    upstreams: tuple[AnyNetwork, ...] = ()
    may_recurse: bool = False


@dataclass(frozen=True)
class PolicyException:
    """A client (or network) that may use a resolver (or network) until the end of a day (UTC), or for ever."""

    client: AnyNetwork
    resolver: AnyNetwork
    protocol: str | None = None
    until: date | None = None
    owner: str = ""
    reason: str = ""


@dataclass(frozen=True)
class MailAccount:
    """From whom and to whom mails go, and how to log in."""

    sender: str
    to: tuple[str, ...]
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Receiver:
    """Who is told: where, in which form, of what, and how often at most.

    `secret` is what deliveries are signed with, or PagerDuty's integration key; `authorization` the value of that
    header. `template` is the body's file (None: that of the kind). `severity` is the least that findings must have.
    `networks` are those of private addresses it may have. `mail` is there if and only if the kind is.
    """

    name: str
    url: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    template: Path | None = None
    kind: Kind = "generic"
    authorization: str | None = field(default=None, repr=False)
    events: tuple[Event, ...] = ("declaration",)
    severity: Severity = "high"
    messages_per_minute: int = 20
    networks: tuple[AnyNetwork, ...] = ()
    project: str = ""
    issue_type: str = "Task"
    mail: MailAccount | None = None


@dataclass(frozen=True)
class LinkTemplate:
    """A link into another tool: its name, what the link is of, and the address with {values} to fill in."""

    name: str
    of: LinkOf
    url: str


@dataclass(frozen=True)
class EvidenceSettings:
    """Where evidence lies besides the SIEM: Suricata's filestore, and the folder of captures."""

    filestore: Path | None = None
    captures: Path | None = None


@dataclass(frozen=True)
class ReputationSettings:
    """Where the reputation of values is looked up: VirusTotal if there is a key, MISP's warning lists if there are any.

    `automatic`: of new declarations, too. Answers are kept in the SIEM for a time, that nothing is known for another.
    """

    key: str | None = field(default=None, repr=False)
    url: str = "https://www.virustotal.com"
    ca_file: str | None = None
    automatic: bool = False
    per_minute: int = 4
    per_day: int = 500
    keep: timedelta = timedelta(days=7)
    keep_unknown: timedelta = timedelta(days=1)
    warning_lists: Path | None = None


@dataclass(frozen=True)
class DashboardsSettings:
    """Where OpenSearch Dashboards or Kibana is, how to log in, and the space or tenant that dashboards go to."""

    url: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    space: str = ""
    tenant: str = ""


@dataclass(frozen=True)
class ServiceSettings:
    """How `hunts serve` works.

    A pass begins `every` so often and leaves events of the last `lag` to the next one. `lease` is how long a service
    that is silent keeps others waiting. The audit looks `audit_back` (zero: there is none), `audit_every` so often.
    `newest_first` is the order of windows missed. `listen` is the `host:port` of metrics and health, None for none.
    """

    every: timedelta = timedelta(seconds=60)
    lag: timedelta = timedelta(seconds=60)
    lease: timedelta = timedelta(seconds=30)
    audit_every: timedelta = timedelta(minutes=10)
    audit_back: timedelta = timedelta(hours=24)
    newest_first: bool = False
    listen: str | None = "127.0.0.1:9518"
    searches_at_once: int = 8
    requests_per_second: int = 50
    keep_runs: timedelta = timedelta(days=30)

    @property
    def address(self) -> tuple[str, int] | None:
        """Return the host and the port to listen at, None for none."""
        host, _, port = (self.listen or "").rpartition(":")
        return (host.strip("[]"), int(port)) if self.listen else None


@dataclass(frozen=True)
class Settings:
    """Everything the operator decides. The defaults are the embedded engine and the built-in example organisation."""

    siem: SiemSettings = SiemSettings()
    embedded: bool = True
    sources: tuple[Source, ...] = (Source(),)
    prefix: str = "hunts-"
    organisation: str = ""
    networks: tuple[Network, ...] = ()
    approved: tuple[ApprovedResolver, ...] = ()
    exceptions: tuple[PolicyException, ...] = ()
    receivers: tuple[Receiver, ...] = ()
    queries: Path | None = None
    links: tuple[LinkTemplate, ...] = ()
    evidence: EvidenceSettings = EvidenceSettings()
    reputation: ReputationSettings = ReputationSettings()
    dashboards: DashboardsSettings = DashboardsSettings()
    service: ServiceSettings = ServiceSettings()
    file: str | None = None

    def state(self, name: str) -> str:
        """Return the name of one of our own indices: findings, runs, state, tag-rules, declarations, outbox."""
        return f"{self.prefix}{name}"

    @property
    def events(self) -> str:
        """Return the index patterns of all events, comma separated."""
        return ",".join(source.pattern for source in self.sources)
