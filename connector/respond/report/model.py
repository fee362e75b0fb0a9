"""What a report says: immutable values that are plain JSON once written out; the page is made of nothing else.

Promises: everything is bounded, and what is left out is counted; times are texts in UTC, ISO 8601. Texts are the
events' own, which attackers write: whoever shows them escapes them. Will not: know a search engine or HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from connector.respond.evidence.model import Evidence

LaneName = Literal["dns", "alerts", "web", "files", "beacons", "other"]
StepKind = Literal["finding", "alert", "file"]
SEVERITIES = ("informational", "low", "medium", "high", "critical")


@dataclass(frozen=True)
class Summary:
    """The report in a few lines: what, who, when, how bad, and what has been decided.

    `severity` is that of the gravest finding, `gravest` its title. `kind` is compromise or policy. The fields of a
    declaration are empty for a finding.
    """

    what: str
    asset: str
    hosts: tuple[str, ...]
    users: tuple[str, ...]
    departments: tuple[str, ...]
    first: str | None
    last: str | None
    events: int
    severity: str
    gravest: str
    kind: str
    phase: str
    status: str
    assigned: str
    explanation: str
    by: str
    made: str | None
    updated: str | None


@dataclass(frozen=True)
class Tie:
    """Values that a step shares with earlier ones, by their numbers; `what` they are is name, server or file."""

    what: str
    values: tuple[str, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One step of the thread, numbered from 1 in the order of time: a finding; an alert or stored file that none has.

    `subject`: the report is about it. `tied`: it hangs together with what the report is about, through names, servers
    or files. `facts` are the values that tell what happened, by field. `only_here` are names that no other client asked
    for. `times` are those of the events that are kept, `places` their index and id.
    """

    number: int
    kind: StepKind
    lane: LaneName
    id: str
    hunt: str
    title: str
    severity: str
    status: str
    events: int
    first: str | None
    last: str | None
    subject: bool
    facts: Mapping[str, Sequence[str]]
    tied: bool = True
    ties: tuple[Tie, ...] = ()
    only_here: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    places: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Thread:
    """All that was found on the same asset around the same time.

    `left_out` counts further findings of that time, `elsewhen` those of other times. `notes` say what is missing.
    """

    steps: tuple[Step, ...]
    left_out: int = 0
    elsewhen: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bin:
    """The events that begin at a time and within the width of a bin."""

    start: str
    events: int


@dataclass(frozen=True)
class Activity:
    """How many events of the host came when: by lane the bins that are not empty, each `seconds` wide."""

    seconds: int
    lanes: Mapping[str, tuple[Bin, ...]]


@dataclass(frozen=True)
class Mark:
    """Something on the timeline at a time; `number` is the step of the thread it belongs to, None for a decision."""

    at: str
    number: int | None
    words: str


@dataclass(frozen=True)
class Stretch:
    """The time of a step, from its first event to its last; `tied` as the step is."""

    number: int
    tied: bool
    start: str
    end: str
    events: int


@dataclass(frozen=True)
class Lane:
    """One lane of the timeline. `events` are the events of its steps, of which `marks` are the ones that are drawn."""

    name: str
    title: str
    events: int
    marks: tuple[Mark, ...]
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True)
class Timeline:
    """The picture in numbers: the time [start, end], its lanes, and the host's events behind them.

    `before` and `after` are decisions outside of that time. Without events that have a time there is none.
    """

    start: str
    end: str
    lanes: tuple[Lane, ...]
    activity: Activity | None
    before: tuple[Mark, ...]
    after: tuple[Mark, ...]


@dataclass(frozen=True)
class Table:
    """Rows of texts under column names, and how many more rows there are."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0


@dataclass(frozen=True)
class Answer:
    """One question of a hunt's guide with its answer, and which answer would speak for what."""

    number: int
    ask: str
    start: str | None
    end: str | None
    looked_for: tuple[str, ...]
    said: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    lean_relevant: str
    lean_informational: str
    failed: bool


@dataclass(frozen=True)
class Guide:
    """The guide of a hunt, asked from one of its findings."""

    finding: str
    title: str
    about: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Decision:
    """What somebody, or a hunt by itself, decided: when, who, what, of what, and in which words."""

    at: str | None
    by: str
    what: str
    of: str
    words: str


@dataclass(frozen=True)
class Sent:
    """A delivery to a receiver, and what came of it."""

    made: str
    receiver: str
    event: str
    status: str
    attempts: int
    words: str
    id: str


@dataclass(frozen=True)
class Rated:
    """What others know of a value that a declaration names: `verdict` is it in one word, `said` in a line.

    `source` is who says so, `asked` when they were asked, `analysed` when they looked at it themselves.
    """

    value: str
    kind: str
    verdict: str
    said: str
    source: str
    asked: str | None
    analysed: str | None


@dataclass(frozen=True)
class Todo:
    """Something to do next, why, and the command that does it or shows more; empty if there is none."""

    do: str
    why: str
    command: str = ""


@dataclass(frozen=True)
class Report:
    """The whole report. `kind` is finding, declaration or event; `made` is when it was made, by which `version`.

    `limits` say in words what the report does not have.
    """

    kind: str
    id: str
    title: str
    made: str
    version: str
    summary: Summary
    timeline: Timeline | None
    thread: Thread
    todo: tuple[Todo, ...]
    evidence: Evidence
    reputation: tuple[Rated, ...]
    reputation_left_out: int
    guides: tuple[Guide, ...]
    decisions: tuple[Decision, ...]
    decisions_left_out: int
    deliveries: tuple[Sent, ...]
    deliveries_left_out: int
    limits: tuple[str, ...]
