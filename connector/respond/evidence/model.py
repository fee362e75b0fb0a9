"""What is gathered as evidence: immutable values that are plain JSON once written out.

Promises: times are ISO 8601 in UTC as texts (None: not known), so that a document of evidence reads back as the same
evidence; everything is bounded, and `left_out` counts what is not here. Texts are the events' own, which attackers
write: whoever shows them escapes them. Will not: know a search engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar

Json = dict[str, Any]
Kind = Literal["event", "finding", "declaration"]
T = TypeVar("T")


@dataclass(frozen=True)
class Reference:
    """An event by its place."""

    index: str
    id: str
    time: str | None = None


@dataclass(frozen=True)
class Subject:
    """What the evidence is for.

    `id` is `INDEX/ID` for an event. `title` is that of a finding's hunt, a declaration's threat with its asset, or what
    an event is. `about` has the values it stands for: the group of a finding, the asset of a declaration. `count` are
    the events it stands for, `references` those that are looked at.
    """

    kind: Kind
    id: str
    title: str
    about: Mapping[str, str | None]
    count: int
    first: str | None
    last: str | None
    references: tuple[Reference, ...]


@dataclass(frozen=True)
class Event:
    """One event of a flow: what it is in a line of words, and as it is stored, long values cut.

    `flow` is the number of its flow; `of_subject` tells whether it is one of those the evidence is for.
    """

    index: str
    id: str
    time: str | None
    kind: str
    flow: int | None
    of_subject: bool
    words: str
    source: Json


@dataclass(frozen=True)
class Flow:
    """One flow, numbered from 1: its two ends, when, how much. `events` are those that were found, all counted.

    `flow_ids` are those of the sensors that saw it, by the name of the sensor ("" where none is told).
    """

    number: int
    protocol: str
    app_protocol: str
    client_ip: str
    client_port: int | None
    server_ip: str
    server_port: int | None
    start: str | None
    end: str | None
    flow_ids: tuple[tuple[str, str], ...]
    community_id: str
    packets_to_server: int | None
    packets_to_client: int | None
    bytes_to_server: int | None
    bytes_to_client: int | None
    state: str
    events: int
    kinds: Mapping[str, int]


@dataclass(frozen=True)
class Lookup:
    """A DNS look-up by the client before a flow: `gave_address` if an answer has the server's address.

    Otherwise it asked for a name that the flow has (TLS SNI, HTTP host). `seconds_before` the flow's start.
    """

    index: str
    id: str
    time: str | None
    flow: int
    seconds_before: float | None
    gave_address: bool
    client: str
    resolver: str
    message: str
    name: str
    type: str
    code: str
    answers: tuple[str, ...]
    ttl: int | None


@dataclass(frozen=True)
class Tls:
    """A TLS or QUIC handshake: names, certificate, fingerprints. `protocol` is tls or quic."""

    index: str
    id: str
    time: str | None
    flow: int | None
    protocol: str
    version: str
    sni: str
    subject: str
    issuer: str
    serial: str
    fingerprint: str
    not_before: str
    not_after: str
    ja3: str
    ja3s: str
    ja4: str


@dataclass(frozen=True)
class Http:
    """An HTTP request with its answer."""

    index: str
    id: str
    time: str | None
    flow: int | None
    method: str
    host: str
    url: str
    protocol: str
    status: str
    user_agent: str
    referer: str
    content_type: str
    length: int | None


@dataclass(frozen=True)
class File:
    """A file that was transferred. `path` is where Suricata's filestore has it, `<aa>/<sha256>`, None if it has not.

    `seen` counts the events that tell of it.
    """

    index: str
    id: str
    time: str | None
    flow: int | None
    name: str
    size: int | None
    magic: str
    state: str
    md5: str
    sha1: str
    sha256: str
    stored: bool
    path: str | None
    seen: int


@dataclass(frozen=True)
class Capture:
    """Where the packets of a flow are: the capture files that events name, the time, and a filter for tcpdump."""

    flow: int
    files: tuple[str, ...]
    sensors: tuple[str, ...]
    start: str | None
    end: str | None
    filter: str


@dataclass(frozen=True)
class Trait:
    """A value that a host's profile has: `by` is how it is known, or what was seen of it, `first` to `last` when."""

    value: str
    by: tuple[str, ...]
    first: str | None
    last: str | None


@dataclass(frozen=True)
class Profile:
    """What a host's profile says, as of `updated`: names and users by their source, roles by their rule, services
    (`tcp/443`) by what was seen there; `changes` are what was new on the host, by what it is.

    Names and users are those of the time around the evidence. `left_out` counts by part what is not here.
    """

    updated: str
    first: str | None
    last: str | None
    names: tuple[Trait, ...] = ()
    users: tuple[Trait, ...] = ()
    roles: tuple[Trait, ...] = ()
    services: tuple[Trait, ...] = ()
    changes: tuple[Trait, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Host:
    """What is known of a client: names, users and the rest as the events of a time say, most frequent first, and what
    its profile says besides; `profile` is None where it has none.

    `kinds` and `alerts` count its events by type and by signature.
    """

    ip: str
    names: tuple[str, ...]
    users: tuple[str, ...]
    macs: tuple[str, ...]
    departments: tuple[str, ...]
    networks: tuple[str, ...]
    roles: tuple[str, ...]
    user_agents: tuple[str, ...]
    first: str | None
    last: str | None
    events: int
    kinds: Mapping[str, int]
    alerts: Mapping[str, int]
    profile: Profile | None = None


@dataclass(frozen=True)
class Name:
    """A name that the host asked for or went to: how often, when, and whether no other client did in the same time."""

    name: str
    events: int
    first: str | None
    last: str | None
    only_here: bool


@dataclass(frozen=True)
class Others:
    """Other events of the same host and its users between `start` and `end`.

    `count` is all of them, `kinds` and `alerts` how many by type and signature. `events` are the most telling: alerts,
    stored files, then the newest of each type. `names` are those no other client asked for, then the most frequent.
    """

    start: str | None
    end: str | None
    count: int
    kinds: Mapping[str, int]
    alerts: Mapping[str, int]
    names: tuple[Name, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Link:
    """Where another tool shows it: the tool, what is linked (`flow 1`, a file's name …), and the address."""

    tool: str
    what: str
    url: str


@dataclass(frozen=True)
class Evidence:
    """Everything that was found, the oldest first.

    `made` is when it was gathered, `frozen` when it was kept with the declaration (None: it is from the events
    themselves). `left_out` counts by part (`events`, `flows`, `references` …) what is not here. `notes` say in words
    what the evidence lacks.
    """

    subject: Subject
    made: str
    events: tuple[Event, ...] = ()
    flows: tuple[Flow, ...] = ()
    dns: tuple[Lookup, ...] = ()
    tls: tuple[Tls, ...] = ()
    http: tuple[Http, ...] = ()
    files: tuple[File, ...] = ()
    captures: tuple[Capture, ...] = ()
    host: Host | None = None
    others: Others | None = None
    links: tuple[Link, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    frozen: str | None = None

    @property
    def document(self) -> Json:
        """Return the evidence as plain JSON."""
        plain: Json = _plain(asdict(self))
        return plain

    @classmethod
    def read(cls, document: Json) -> Evidence:
        """Return the evidence of a document that `document` made."""
        subject = {**document["subject"], "references": _all(Reference, document["subject"]["references"])}
        flows = [{**flow, "flow_ids": tuple(map(tuple, flow["flow_ids"]))} for flow in document["flows"]]
        others = document["others"]
        if others:
            named = {"names": _all(Name, others["names"]), "events": _all(Event, others["events"])}
            others = Others(**{**others, **named})
        return cls(
            subject=Subject(**subject),
            made=document["made"],
            events=_all(Event, document["events"]),
            flows=_all(Flow, flows),
            dns=_all(Lookup, document["dns"]),
            tls=_all(Tls, document["tls"]),
            http=_all(Http, document["http"]),
            files=_all(File, document["files"]),
            captures=_all(Capture, document["captures"]),
            host=_host(document["host"]) if document["host"] else None,
            others=others or None,
            links=_all(Link, document["links"]),
            notes=tuple(document["notes"]),
            left_out=document["left_out"],
            frozen=document["frozen"],
        )


TRAITS = ("names", "users", "roles", "services", "changes")
KEPT_AS_LISTS = ("source",)  # of an event, as it is stored


def _all(kind: type[T], documents: Sequence[Json]) -> tuple[T, ...]:
    """Return the values of their documents."""
    return tuple(_one(kind, document) for document in documents)


def _host(document: Json) -> Host:
    """Return the host of its document; one that was kept before hosts had profiles has none."""
    profile = document.get("profile")
    if profile:
        profile = Profile(**{**profile, **{name: _all(Trait, profile[name]) for name in TRAITS}})
    return _one(Host, {**document, "profile": profile})


def _one(kind: type[T], document: Json) -> T:
    """Return one value of its document; lists are tuples again."""
    return kind(**{name: _tuple(value) if name not in KEPT_AS_LISTS else value for name, value in document.items()})


def _tuple(value: Any) -> Any:
    """Return a list as a tuple, anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    """Return the value with lists for tuples."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
