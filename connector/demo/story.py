"""The story, step by step: events, profiles, hunts, findings, hosts, a user, tags, declarations, deliveries.

Promises: every number comes from the engine; each step is the function behind the command of the same name; told
twice in the same engine it finds the same. Will not: print, start an engine, or touch a SIEM of the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connector.enrich.assets import build_assets
from connector.enrich.tables import build_tables
from connector.hosts.build import Order as Profiles
from connector.hosts.build import build
from connector.hosts.listing import Row, list_hosts
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.passes.listing import Finding, list_findings
from connector.hunts.passes.passes import Order, Pass, run_pass
from connector.respond.declarations.declaration import Verdict
from connector.respond.declarations.declare import Declared, declare
from connector.respond.deliveries.delivering import World, deliver_for
from connector.respond.deliveries.outbox import Delivery
from connector.respond.deliveries.receiver import LoopbackReceiver, Received
from connector.respond.person import Person, person
from connector.respond.tags.rules import rule_of
from connector.respond.tags.tagging import Tagging, tag
from connector.settings.load import load_settings
from connector.settings.model import Settings, SiemSettings
from connector.siem.client import Siem
from connector.siem.install import install, plan
from connector.siem.load import Loaded, load_files

OFFICE_DAY = Path(__file__).parent / "office-day" / "eve-suricata8.json.gz"
HUNT = "public-dns-queries"
THREAT = "DNS past the approved resolvers"
EXPLANATION = "Names asked of public resolvers escape our filtering and log, and one of them led to the macro document."
PATIENCE = timedelta(seconds=30)
ONE_WINDOW = 10**13  # milliseconds: profiles of the day are built at once
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Story:
    """All that was done and found, in the order of the story.

    `events` are the loaded events, `kinds` their number by event type. `findings` are those of all hunts, `public`
    those of the hunt the story is about, most events first; `hosts` are who is behind them, and `person` is all of the
    user of the first of them, None if it has no user.
    """

    siem: str
    events: int
    kinds: dict[str, int]
    loaded: Loaded
    hunts: int
    passed: Pass
    findings: tuple[Finding, ...]
    hunt: str
    public: tuple[Finding, ...]
    hosts: tuple[Row, ...]
    person: Person | None
    tagged: Tagging
    declared: Declared
    deliveries: tuple[Delivery, ...]
    received: tuple[Received, ...]
    seconds: float


def demo_settings(url: str, receiver: LoopbackReceiver) -> Settings:
    """Return the settings of the example organisation, with the engine at that url and the receiver."""
    example = load_settings(None, {})
    return replace(example, siem=SiemSettings(urls=(url,)), embedded=False, receivers=(receiver.settings,))


def tell_story(siem: Siem, settings: Settings, receiver: LoopbackReceiver, tell: Tell) -> Story:
    """Return the story, told in this engine; `tell` is given a line as each step begins. Raises SiemError."""
    began = datetime.now(UTC)
    tell("installing the enrichment and our own indices")
    install(siem, plan(siem, build_assets(settings, build_tables(settings))))
    tell("loading one working day of the office, as Suricata 8 saw it")
    loaded = load_files(siem, [str(OFFICE_DAY)], settings.prefix, lambda *_: None)
    tell("building a profile of every host")
    build(siem, settings, Profiles(timedelta(), step=ONE_WINDOW), datetime.now(UTC))
    catalogue = load_catalogue(settings)
    tell(f"running {len(catalogue.hunts)} hunts over it")
    passed = _pass(siem, settings, catalogue.hunts)
    findings = list_findings(siem, settings).findings
    hunt = catalogue.named(HUNT)
    public = _most_first(list_findings(siem, settings, hunt, events=True).findings)
    tell("looking at what else the user did whose host is found most often")
    hosts = _most_hits(list_hosts(siem, settings, of=hunt).hosts)
    users = hosts[0].user if hosts else ()
    found = person(siem, settings, users[0]) if users else None
    tell("tagging, declaring, and calling the webhook")
    tagged, declared = _decide(siem, settings, hunt)
    deliveries = deliver_for(siem, settings, World(), PATIENCE)
    kinds = _kinds(siem, settings)
    return Story(
        siem=str(siem.product),
        events=sum(kinds.values()),
        kinds=kinds,
        loaded=loaded,
        hunts=len(catalogue.hunts),
        passed=passed,
        findings=_most_first(findings),
        hunt=hunt.title,
        public=public,
        hosts=hosts,
        person=found,
        tagged=tagged,
        declared=declared,
        deliveries=deliveries,
        received=receiver.wait(len(deliveries), PATIENCE.total_seconds()),
        seconds=round((datetime.now(UTC) - began).total_seconds(), 1),
    )


def _pass(siem: Siem, settings: Settings, hunts: Sequence[Hunt]) -> Pass:
    """Return a pass up to now: nothing is on its way in any more, so it needs no lag."""
    order = Order(hunts, lag=timedelta())
    return run_pass(siem, settings, order, lambda: datetime.now(UTC), lambda *_: None)


def _decide(siem: Siem, settings: Settings, hunt: Hunt) -> tuple[Tagging, Declared]:
    """Tag the hunt's events relevant and declare them, one declaration a client."""
    now = datetime.now(UTC)
    tagged = tag(siem, settings, hunt, rule_of(hunt, "relevant", "demo", now, "the story of the demo"))
    verdict = Verdict(THREAT, "command_and_control", "hunt.client.ip", "demo", EXPLANATION)
    return tagged, declare(siem, settings, hunt, verdict, now=now)


def _most_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings, most events first; those with as many by severity of reading: hunt and group."""
    return tuple(sorted(findings, key=lambda f: (-f.count, f.hunt, str(f.group))))


def _most_hits(hosts: Sequence[Row]) -> tuple[Row, ...]:
    """Return the hosts, those with most events of the hunt first."""
    return tuple(sorted(hosts, key=lambda row: (-(row.hits or 0), row.ip)))


def _kinds(siem: Siem, settings: Settings) -> dict[str, int]:
    """Return the number of events by event type, most first."""
    body = {"size": 0, "aggs": {"kinds": {"terms": {"field": "event_type.keyword", "size": 100}}}}
    buckets = siem.search(settings.events, body)["aggregations"]["kinds"]["buckets"]
    return {bucket["key"]: bucket["doc_count"] for bucket in buckets}
