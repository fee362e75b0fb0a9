"""`hunts outbox`, `hunts deliver` and `hunts receiver`: what receivers are told, and a receiver to try that with."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from connector.cli import context
from connector.cli.output import json_option, note, plain, rows, show
from connector.cli.respond import WINDOW
from connector.errors import DeliveryError
from connector.respond.declare import queue_pending
from connector.respond.delivering import World, deliver_for
from connector.respond.outbox import Delivery, deliveries, send_again
from connector.respond.receiver import LoopbackReceiver, Received

NOW_ONLY = timedelta(0)


def delivery_tables(sent: Sequence[Delivery]) -> list[Any]:
    """Return deliveries as a table, or nothing."""
    columns = ["receiver", "event", "status", "attempts", "next", "last attempt", "delivery"]
    cells = [(one.receiver, one.event, one.status, one.attempts, one.next, one.last_word, one.id) for one in sent]
    return [rows(columns, cells)] if cells else []


@click.command(name="deliver")
@click.option("--wait", type=WINDOW, metavar="WINDOW", help="Go on until nothing is left, or WINDOW is over, as 10m.")
@json_option
@context.use
def deliver_due(ctx: context.Context, /, wait: timedelta | None, as_json: bool) -> None:
    """Send what is due in the outbox. The exit code is 7 if a delivery has failed for good."""
    queue_pending(ctx.siem(), ctx.settings, datetime.now(UTC))
    sent = deliver_for(ctx.siem(), ctx.settings, World(), wait or NOW_ONLY)
    show(sent, table=lambda found: delivery_tables(found) or ["nothing is due"], as_json=as_json)
    check_failed(sent)


@click.group(name="outbox", invoke_without_command=True)
@json_option
@context.use
@click.pass_context
def outbox(click_context: click.Context, ctx: context.Context, /, as_json: bool) -> None:
    """List the deliveries, the latest first, with what came of each; `retry ID` sends one again."""
    if click_context.invoked_subcommand is None:
        found = deliveries(ctx.siem(), ctx.settings)
        show(found, table=lambda sent: delivery_tables(sent) or ["no deliveries yet"], as_json=as_json)


@outbox.command(name="retry")
@click.argument("id")
@json_option
@context.use
def retry(ctx: context.Context, /, id: str, as_json: bool) -> None:
    """Send a delivery that waits or has failed now, with all its attempts before it."""
    send_again(ctx.siem(), ctx.settings, id, datetime.now(UTC))
    sent = deliver_for(ctx.siem(), ctx.settings, World(), NOW_ONLY)
    show(sent, table=delivery_tables, as_json=as_json)
    check_failed(sent)


@click.command(name="receiver")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1; any that is free by default."
)
@json_option
def receiver(port: int, as_json: bool) -> None:
    """Receive webhooks on this machine and print them, to try deliveries with; Ctrl-C ends it."""
    with LoopbackReceiver(port=port) as running:
        note(f"receivers: [{{name: loopback, url: '{running.url}', secret_env: HUNTS_LOOPBACK_SECRET}}]")
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
