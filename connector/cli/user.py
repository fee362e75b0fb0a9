"""`hunts user`: all of a user as a time line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import click
from rich.console import RenderableType

from connector.cli import context
from connector.cli.output import Printed, json_option, plain, rows, show
from connector.cli.respond import WINDOW
from connector.cli.running import second
from connector.respond.person import Person, Transfer, person
from connector.respond.report.model import Step

Parts = list[RenderableType]
FEW = 3  # values of a fact
FACTS = 5  # of a step
# what the table of files has, and what says nothing without the rest of the event
NOT_SEEN = ("fileinfo.size", "fileinfo.sha256", "tls.ja", "alert.signature_id", "alert.severity", "alert.action")
EVENTS = 10  # that name the user


@click.command(name="user")
@click.argument("name", metavar="NAME")
@click.option("--since", type=WINDOW, metavar="WINDOW", help="Only what was seen within WINDOW, such as 7d.")
@json_option
@context.use
def show_user(ctx: context.Context, /, *, name: str, since: timedelta | None, as_json: bool) -> None:
    """Show all of a user: the hosts, what happened on them in the order of time, and the events that name the user.

    The time line has the findings of all hunts, and alerts and stored files that no hunt found; each step says which
    names, servers and files it shares with an earlier one. `hunts evidence ID` shows all of a finding, `hunts report
    ID` what to do. NAME is as in events, in any case; hosts are known from their profiles.

    \b
    hunts user j.doe
    hunts user j.doe --since 7d --json
    """
    start = datetime.now(UTC) - since if since else None
    show(person(ctx.siem(), ctx.settings, name, start), table=_page, as_json=as_json)


def _page(found: Person) -> Printed:
    """Return all of a user as text and tables."""
    if not found.hosts and not found.events:
        return plain(f"no host and no event names the user {found.user}: `hunts hosts build` builds profiles of hosts")
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in found.kinds.items())
    line = plain(f"{found.user}: {_hosts_in_words(found)}; events there: {kinds or 'none'}", limit=None)
    notes = [plain(f"note: {note}") for note in found.thread.notes]
    return [line, *_hosts(found), *user_tables(found), *_naming(found), *notes]


def user_tables(found: Person) -> Parts:
    """Return what happened on a user's hosts as tables: the time line, and the files of its steps."""
    return [*_steps(found), *_files(found)]


def _hosts_in_words(found: Person) -> str:
    """Return how many hosts there are."""
    number = len(found.hosts) + found.hosts_left_out
    return f"{number:,} host{'' if number == 1 else 's'}"


def _hosts(found: Person) -> Parts:
    """Return the hosts as a table."""
    cells = [
        (row.ip, row.name, row.department, row.role, row.user, second(row.first_seen), second(row.last_seen))
        for row in found.hosts
    ]
    return _table("hosts", ("ip", "name", "department", "role", "users", "first", "last"), cells, found.hosts_left_out)


def _steps(found: Person) -> Parts:
    """Return the time line as a table."""
    cells = [
        (
            *(str(step.number), second(step.first), second(step.last) if step.last != step.first else ""),
            *(step.severity, step.title, step.events, _told(step.facts), _ties(step), step.id[:12]),
        )
        for step in found.thread.steps
    ]
    columns = ("", "first", "last", "severity", "what", "events", "seen", "hangs together", "finding")
    return _table("time line", columns, cells, found.thread.left_out)


def _told(facts: Mapping[str, Sequence[str]]) -> str:
    """Return what tells most of a step, each value once."""
    some = [values for name, values in facts.items() if not name.startswith(NOT_SEEN)][:FACTS]
    return "; ".join(dict.fromkeys(_few(values) for values in some))


def _few(values: Sequence[str]) -> str:
    """Return the first values, and how many more there are."""
    more = [f"… {len(values) - FEW} more"] if len(values) > FEW else []
    return ", ".join([*values[:FEW], *more])


def _ties(step: Step) -> str:
    """Return what a step shares with earlier ones, by their numbers, and which names no other client asked for."""
    ties = [f"{', '.join(map(str, tie.steps[-FEW:]))}: {tie.what} {_few(tie.values)}" for tie in step.ties]
    told = {value for tie in step.ties for value in tie.values}
    alone = [name for name in step.only_here if name not in told]
    return "; ".join([*ties, *([f"no other client: {_few(alone)}"] if alone else [])])


def _files(found: Person) -> Parts:
    """Return the files of the steps as a table, each with its flow."""
    columns = ("step", "time", "file", "bytes", "kind", "sha256", "by", "client", "server", "flow_id")
    return _table("files of these steps", columns, [_file(one) for one in found.files], found.files_left_out)


def _file(one: Transfer) -> tuple[object, ...]:
    """Return a file as a row."""
    file, by = one.file, f"{one.protocol}: {one.carried}"
    steps = ", ".join(map(str, one.steps))
    known = (file.name, file.size, file.magic, file.sha256 or file.md5)
    return (steps, second(file.time), *known, by, one.client, one.server, one.flow_id)


def _naming(found: Person) -> Parts:
    """Return the newest events that name the user as a table."""
    some = found.events[:EVENTS]
    cells = [(second(e["time"]), e["event_type"], e["client"], e["server"], f"{e['index']}/{e['id']}") for e in some]
    left = len(found.events) - len(some) + found.events_left_out
    columns = ("time", "type", "client", "server", "event")
    return _table("events that name the user, newest first", columns, cells, left)


def _table(title: str, columns: Sequence[str], cells: Sequence[Sequence[object]], left_out: int) -> Parts:
    """Return a table and how many rows it has not; nothing without rows."""
    more = [f"… and {left_out:,} more"] if left_out else []
    return [rows(columns, cells, title), *more] if cells else []
