"""`hunts lookup`: what others know of a domain, an address or a file."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from connector.cli import context
from connector.cli.output import Printed, json_option, note, rows, show
from connector.errors import Refused
from connector.respond.matches import check_state
from connector.respond.reputation.lookup import INDEX, LookedUp, look_up, value_of
from connector.respond.reputation.of_declarations import look_up_due


@click.command(name="lookup")
@click.argument("value")
@json_option
@context.use
def lookup(ctx: context.Context, /, value: str, as_json: bool) -> None:
    """Look up what VirusTotal and MISP's warning lists know of VALUE: a domain, an address, or a file's hash.

    VALUE may be defanged, or a URL, of which the host is looked up. Your own networks and domains, private addresses
    and names that are not public are never sent. Answers are kept in the SIEM, that nothing is known, too. VirusTotal
    is asked no more often than the settings allow, by all programs together; where it cannot be asked now, the exit
    code is 1.

    \b
    hunts lookup hxxps://files[.]example[.]org/a.zip
    hunts lookup 275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f
    """
    wanted = value_of(value)
    check_state(ctx.siem(), ctx.settings, INDEX)
    (found,) = look_up(ctx.siem(), ctx.settings, [wanted], lambda: datetime.now(UTC))
    for each in found.notes:
        note(f"note: {each}")
    show(found.document, table=lambda _: _page(found), as_json=as_json)
    if found.state == "later":
        click.get_current_context().exit(1)


def of_declarations(ctx: context.Context) -> tuple[LookedUp, ...]:
    """Return what was looked up for declarations, if the settings say so; what keeps that back is a note, no error."""
    try:
        return look_up_due(ctx.siem(), ctx.settings, lambda: datetime.now(UTC))
    except Refused as error:
        note(f"note: {error}")
        return ()


def _page(found: LookedUp) -> Printed:
    """Return what is known as a line and a table."""
    answer = found.answer
    facts: list[tuple[str, object]] = [("kind", found.kind)]
    if answer and answer.verdict != "unknown":
        facts += [(f"engines: {name}", count) for name, count in answer.stats.items()]
        facts += [("community", answer.reputation), ("tags", answer.tags), ("analysed", answer.analysed)]
        facts += [("label", answer.label), *(answer.facts or {}).items()]
    facts += [("asked", found.asked), ("warning lists", found.lists)]
    said = [fact for fact in facts if fact[1] not in (None, "", ())]
    return [f"{found.value}: {found.verdict}", *([found.words] if found.words else []), rows(("", ""), said)]
