"""`hunts outbox`, `hunts deliver` and `hunts receiver`: what receivers are told, and a receiver to try that with."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import click

from connector.cli import context
from connector.cli.output import Printed, cell, json_option, note, plain, rows, show
from connector.cli.respond import WINDOW
from connector.errors import DeliveryError, Refused
from connector.respond.declarations.declare import queue_pending
from connector.respond.deliveries.delivering import World, deliver_for
from connector.respond.deliveries.outbox import Delivery, Listed, Status, delivery, list_deliveries
from connector.respond.deliveries.receiver import LoopbackReceiver, Received
from connector.respond.deliveries.replaying import send_again, send_all_again
from connector.respond.deliveries.standing import wake
from connector.settings.model import Settings

NOW_ONLY = timedelta(0)
SHOWN = 50  # rows of a table; --json has all
LIMIT = 1000


def delivery_tables(sent: Sequence[Delivery]) -> list[Any]:
    """Return deliveries as a table, or nothing."""
    columns = ["receiver", "event", "about", "status", "attempts", "next", "last attempt", "delivery", "sent with"]
    cells = [
        (one.receiver, one.event, one.title, one.status, one.attempts, one.next, one.last_word, one.id, one.group)
        for one in sent[:SHOWN]
    ]
    left = len(sent) - len(cells)
    more = [f"and {left:,} more: --json prints all"] if left else []
    return [rows(columns, cells), *more] if cells else []


@click.command(name="deliver")
@click.option("--wait", type=WINDOW, metavar="WINDOW", help="Go on until nothing is left, or WINDOW is over, as 10m.")
@json_option
@context.use
def deliver_due(ctx: context.Context, /, wait: timedelta | None, as_json: bool) -> None:
    """Send what is due in the outbox, and what is new for it. The exit code is 7 if a delivery has failed for good.

    Each receiver is sent to by itself: one that is slow or down delays no other. A receiver that failed is left alone
    until its pause is over, and none gets more messages a minute than its settings say: the rest comes in one.
    """
    queue_pending(ctx.siem(), ctx.settings, datetime.now(UTC))
    sent = deliver_for(ctx.siem(), ctx.settings, World(), wait or NOW_ONLY)
    show(sent, table=lambda found: delivery_tables(found) or ["nothing is due"], as_json=as_json)
    check_failed(sent)


@click.group(name="outbox", invoke_without_command=True)
@click.option("--status", type=click.Choice(get_args(Status)), help="Only these; `failed` are those given up.")
@click.option("--receiver", metavar="NAME", help="Only those to this receiver.")
@click.option("--message", metavar="ID", help="Only those that went in this message of many.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=LIMIT, show_default=True, help="How many at most.")
@json_option
@context.use
@click.pass_context
def outbox(
    click_context: click.Context, ctx: context.Context, /, *, message: str | None, as_json: bool, **wanted: Any
) -> None:
    """List the deliveries, the latest first, with what came of each.

    `show ID` has every attempt at one; `retry ID` sends one again, `retry --all` all that have failed.
    """
    if click_context.invoked_subcommand is None:
        found = list_deliveries(ctx.siem(), ctx.settings, group=message, **wanted)
        show(found, table=_listed, as_json=as_json)


def _listed(found: Listed) -> Printed:
    """Return the deliveries as a table, and how many there are beyond."""
    more = [f"{found.left_out:,} older ones are not listed: --limit, --status and --receiver choose"]
    tables = delivery_tables(found.deliveries) or ["no deliveries yet, or none like that"]
    return [*tables, *(more if found.left_out else [])]


@outbox.command(name="show")
@click.argument("id")
@json_option
@context.use
def show_one(ctx: context.Context, /, id: str, as_json: bool) -> None:
    """Show one delivery with every attempt, and what it tells."""
    show(delivery(ctx.siem(), ctx.settings, id), table=_page, as_json=as_json)


def _page(one: Delivery) -> Printed:
    """Return a delivery as lines and tables."""
    names = ("event", "title", "severity", "receiver", "status", "made", "next", "attempts", "sent_as")
    facts = [f"{name.replace('_', ' ')}: {cell(getattr(one, name))}" for name in names]
    tries = [[each["at"], each.get("took_ms"), each["why"], each.get("advice")] for each in one.tries]
    parts: list[Any] = [f"delivery {one.id}", *facts, ""]
    parts += [rows(["at", "ms", "what came of it", "what to do"], tries, "attempts")] if tries else []
    return [*parts, "", f"what it tells: {plain(json.dumps(one.message), limit=4000)}"]


@outbox.command(name="retry")
@click.argument("id", required=False)
@click.option("--all", "every", is_flag=True, help="Send all that have failed.")
@click.option("--receiver", metavar="NAME", help="With --all: only those to this receiver.")
@json_option
@context.use
def retry(ctx: context.Context, /, *, id: str | None, every: bool, receiver: str | None, as_json: bool) -> None:
    """Send a delivery that waits or has failed now, with all its attempts before it, under the id it had.

    One that went in a message with others goes with them again. A receiver that is left alone after failures is asked
    at once.
    """
    if bool(id) == every:
        raise click.UsageError("name one delivery, or --all for those that have failed")
    if receiver and not every:
        raise click.UsageError("--receiver goes with --all")
    now = datetime.now(UTC)
    if id:
        woken = send_again(ctx.siem(), ctx.settings, id, now).receiver
    else:
        woken = receiver or ""
        if not send_all_again(ctx.siem(), ctx.settings, receiver, now):
            raise Refused("no delivery has failed" + (f" to {receiver}" if receiver else ""))
    _wake(ctx, ctx.settings, woken, now)
    sent = deliver_for(ctx.siem(), ctx.settings, World(), NOW_ONLY)
    show(sent, table=lambda found: delivery_tables(found) or ["nothing was sent now"], as_json=as_json)
    check_failed(sent)


def _wake(ctx: context.Context, settings: Settings, name: str, now: datetime) -> None:
    """Let the receiver of a name, or all for none, be sent to at once."""
    for receiver in settings.receivers:
        if name in ("", receiver.name):
            wake(ctx.siem(), settings, receiver, now)


@click.command(name="receiver")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1; any that is free by default."
)
@json_option
def receiver(port: int, as_json: bool) -> None:
    """Receive webhooks on this machine and print them, to try deliveries with; Ctrl-C ends it."""
    with LoopbackReceiver(port=port) as running:
        keys = f"url: '{running.url}', secret_env: HUNTS_LOOPBACK_SECRET, networks: [127.0.0.1]"
        note(f"receivers: [{{name: loopback, {keys}}}]")
        note(f"export HUNTS_LOOPBACK_SECRET={running.secret}")
        printed = 0
        while True:
            for one in running.received[printed:]:
                show(one, table=_received_line, as_json=as_json)
                printed += 1
            time.sleep(0.2)


def _received_line(one: Received) -> str:
    """Return a delivery that arrived as one line, bounded."""
    return plain(f"{one.id}: {json.dumps(one.body)}", limit=2000)


def check_failed(sent: Sequence[Delivery]) -> None:
    """Raise DeliveryError if one of the deliveries has failed for good."""
    failed = [one for one in sent if one.status == "failed"]
    if failed:
        first = failed[0]
        raise DeliveryError(
            f"{len(failed)} of {len(sent)} deliveries failed, {first.id} to {first.receiver}: {first.last_word}; "
            f"then: hunts outbox retry {first.id}"
        )
