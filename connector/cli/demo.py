"""`hunts demo`: the whole story on an engine of its own, with real numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import RenderableType

from connector.cli.engine import download_bar
from connector.cli.output import Printed, json_option, note, rows, show
from connector.cli.user import user_tables
from connector.demo.story import Story, demo_settings, tell_story
from connector.embedded import background
from connector.embedded.node import running_node
from connector.hunts.conditions.address import plain_address
from connector.respond.deliveries.receiver import LoopbackReceiver
from connector.siem.client import Siem

SHOWN_FINDINGS = 25
SEVERITIES = ("critical", "high", "medium", "low", "informational")


@click.command()
@click.option("--keep", is_flag=True, help="Leave the engine running, to look around in; `hunts engine stop` ends it.")
@json_option
def demo(keep: bool, as_json: bool) -> None:
    """Tell the story of a hunt on a search engine that is started here, with one day of an invented office.

    Nothing of yours is touched: the engine listens on 127.0.0.1 and is gone at the end, unless you --keep it. The
    first time it is fetched (about 70 MB).
    """
    note("starting OpenSearch")
    with _engine(keep) as url, LoopbackReceiver("soar") as receiver:
        settings = demo_settings(url, receiver)
        with Siem.connect(settings.siem) as siem:
            story = tell_story(siem, settings, receiver, note)
        show(story, table=lambda told: _told(told, url if keep else None), as_json=as_json)


@contextmanager
def _engine(keep: bool) -> Iterator[str]:
    """Hand out the address of an engine: one that ends with this command, or the one of `hunts engine start`."""
    if not keep:
        with download_bar() as fetching, running_node(progress=fetching) as node:
            yield node.url
        return
    with download_bar() as fetching:
        status = background.status()
        node_or_none = status.node or background.started(progress=fetching).node
    if node_or_none is None:
        raise RuntimeError("a started engine has an address")
    yield node_or_none.url


def _told(story: Story, kept_url: str | None) -> Printed:
    """Return the story for a person."""
    return [
        *_hunting(story),
        *_who(story),
        *_user(story),
        *_decided(story),
        *_next(kept_url),
    ]


def _hunting(story: Story) -> list[RenderableType]:
    """Return what was loaded and what the hunts found in it."""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in list(story.kinds.items())[:6])
    matched = sum(hunt.hits for hunt in story.passed.hunts)
    rate = f"{story.loaded.events_per_second:,} a second" if story.loaded.events_per_second else "there already"
    return [
        f"\n1. {story.siem} holds {story.events:,} events of one day ({kinds}, …), enriched on their way in ({rate}).",
        f"\n2. {story.hunts} hunts looked at all of them: {matched:,} events in {len(story.findings)} findings.",
        rows(
            ("hunt", "severity", "findings", "events", "department"),
            [
                (title, severity, found, count, ", ".join(departments))
                for title, severity, found, count, departments in _by_hunt(story)
            ],
        ),
    ]


def _by_hunt(story: Story) -> list[tuple[str, str, int, int, list[str]]]:
    """Return title, severity, findings, events and departments of each hunt that found something, gravest first."""
    told = []
    for title in dict.fromkeys(finding.title for finding in story.findings):
        mine = [finding for finding in story.findings if finding.title == title]
        departments = sorted({name for finding in mine for name in finding.department})
        told.append((title, mine[0].severity, len(mine), sum(f.count for f in mine), departments))
    return sorted(told, key=lambda row: (SEVERITIES.index(row[1]), -row[3], row[0]))


def _who(story: Story) -> list[RenderableType]:
    """Return the findings of the hunt the story is about, by client, and who that is."""
    total = sum(finding.count for finding in story.public)
    hosts = {row.ip: row for row in story.hosts}
    found = [(f, plain_address(str(f.group["hunt.client.ip"]))) for f in story.public[:SHOWN_FINDINGS]]
    cells = [
        (
            ip,
            hosts[ip].name if ip in hosts else None,
            hosts[ip].user if ip in hosts else None,
            f.department,
            f.group.get("hunt.resolver.ip"),
            f.values.get("hunt.resolver.provider", ()),
            f.count,
            f.first,
            f.last,
        )
        for f, ip in found
    ]
    columns = ("client", "host", "user", "department", "resolver", "provider", "queries", "first", "last")
    return [
        f"\n3. The analyst picks “{story.hunt}”: "
        f"{story.events:,} events become {total}, by {len(story.public)} clients.",
        rows(columns, cells),
    ]


def _user(story: Story) -> list[RenderableType]:
    """Return what else happened on the hosts of the user behind the first client."""
    if story.person is None:
        return ["\n4. No event says who uses the first of these clients."]
    return [f"\n4. What else happened at {story.person.user}'s desk that day?", *user_tables(story.person)]


def _decided(story: Story) -> list[RenderableType]:
    """Return what was tagged, declared and delivered."""
    tagged, declared = story.tagged, story.declared
    cells = [(one.asset, one.department, one.count, one.first, one.last, one.what) for one in declared.declarations]
    lines: list[RenderableType] = [
        f"\n5. Tagged {tagged.tag}: {tagged.tagged} events now, {tagged.already} before; any tool can filter on it.",
        f"\n6. Declared “{declared.threat}” ({declared.phase}): {len(declared.declarations)} assets, with evidence.",
        rows(("asset", "department", "events", "first", "last", "declaration"), cells),
    ]
    sent = [f"   {d.id} to {d.receiver}: {d.status} after {d.attempts} attempt(s)" for d in story.deliveries]
    arrived = f"{len(story.received)} signed deliveries arrived at the receiver, their signatures checked"
    return [*lines, f"\n7. Webhooks: {arrived}.", *sent, f"\nAll of it took {story.seconds:g} s."]


def _next(kept_url: str | None) -> list[RenderableType]:
    """Return what to try next."""
    if kept_url is None:
        return [
            "\nTry next: `hunts demo --keep` leaves the engine running to look around in;",
            "  `hunts list dns` and `hunts show public-dns-queries` show the hunts;",
            "  `hunts init` starts with your own SIEM.",
        ]
    return [
        f"\nTry next (the engine stays at {kept_url}; `hunts engine stop` ends it):",
        "  hunts run dns-tunnel-long-labels --all-time     hunts findings --by hunt.client.department",
        "  hunts show public-dns-queries                   hunts declarations",
        "  hunts hosts --of public-dns-queries             hunts user j.doe",
        "  hunts untag public-dns-queries                  hunts load YOUR-EVE.json.gz && hunts pass --lag 0s",
    ]
