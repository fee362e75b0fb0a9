"""The command `hunts`: the list of its commands, its global options, and what a user sees when something goes wrong.

Promises: a command's module is imported only when that command is asked for; an error of `connector.errors` is a short
message on stderr with that error's exit code, never a traceback. Will not: compute anything; commands live one file a
noun beside this one and only render what a function below them returns.

To add a command: write it in a file here, decorate it with `json_option` (output.py) and `context.use` (context.py),
and add its line to COMMANDS.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from connector import __version__, errors
from connector.cli.safe import plain


@dataclass(frozen=True)
class Command:
    """A command as `hunts --help` lists it, and where it is: `module:attribute` below `connector.cli`."""

    name: str
    place: str
    summary: str


COMMANDS: tuple[Command, ...] = (
    Command("backfill", "install:backfill", "Enrich events that were stored before the installation."),
    Command("check", "catalogue:check_hunts", "Check hunts: structure, style, and every case."),
    Command("dashboards", "dashboards:dashboards", "Make dashboards for OpenSearch Dashboards and Kibana."),
    Command("declaration", "declarations:show_declaration", "Show one declaration, or decide about it."),
    Command("declarations", "declarations:list_declarations", "List the declarations, or those asked for."),
    Command("declare", "declare:declare_events", "Declare what a hunt matched: threat, phase, asset, evidence."),
    Command("deliver", "outbox:deliver_due", "Send the webhooks that are due."),
    Command("demo", "demo:demo", "See the whole story on a search engine started here: start with this."),
    Command("engine", "engine:engine", "Start and stop a search engine on this machine, for trying things out."),
    Command("evidence", "evidence:show_evidence", "Show everything around a finding, a declaration or an event."),
    Command("findings", "findings:findings", "List what the passes found, or count it by a field."),
    Command("gaps", "service:show_gaps", "List the times that hunts have not looked at, and why."),
    Command("guide", "guide:guide_finding", "Ask the questions of a hunt's guide with a finding filled in."),
    Command("host", "hosts:show_host", "Show who is behind an address."),
    Command("hosts", "hosts:hosts", "List hosts: all, those behind a hunt, or with a role, user, service."),
    Command("init", "settings:init", "Write commented settings files to start from."),
    Command("install", "install:install", "Put pipelines, templates and our own indices into the SIEM."),
    Command("list", "catalogue:list_hunts", "List the hunts, or those with every word given."),
    Command("load", "load:load", "Load EVE files, plain or gzip, to try hunts on."),
    Command("lookup", "lookup:lookup", "Look up what others know of a domain, an address or a file."),
    Command("outbox", "outbox:outbox", "List the deliveries to receivers, and send one again."),
    Command("pass", "running:pass_", "Ask all hunts of the events that came since the last pass."),
    Command("plan", "install:plan", "Show what installing would change, and write nothing."),
    Command("receiver", "outbox:receiver", "Receive webhooks on this machine, to try deliveries with."),
    Command("run", "running:run", "Ask hunts once of the events of a time."),
    Command("replay", "service:replay", "Have hunts look at a time again, or for the first time."),
    Command("report", "report:report", "Write the incident report of a finding or a declaration."),
    Command("serve", "service:serve", "Make passes, audits and deliveries by itself, on any machine."),
    Command("settings", "settings:settings", "Check and show the settings."),
    Command("show", "catalogue:show_hunt", "Show one hunt: why, what it looks for, what to ask next."),
    Command("status", "service:show_status", "Show the service, the last passes, and how each hunt is."),
    Command("tables", "tables:tables", "Build the enrichment's tables anew and print the difference."),
    Command("tag", "respond:tag_events", "Tag all events that a hunt matches, past and future."),
    Command("tags", "respond:list_tags", "List the rules that tag or suppress events."),
    Command("undeclare", "declare:undeclare", "Stop declaring later events of a hunt."),
    Command("uninstall", "install:uninstall", "Take everything of ours out of the SIEM."),
    Command("user", "user:show_user", "Show a user's hosts, and what happened there as a time line."),
    Command("untag", "respond:untag_events", "Take a hunt's tag off all events."),
)

EXIT_CODES = {
    0: "done",
    1: "something else went wrong",
    2: "wrong usage of the command line",
    3: "a file of hunts, settings or tables is wrong",
    4: "the search engine refused or did not answer",
    5: "the embedded engine could not be fetched, started or stopped",
    6: "refused, with what to do instead",
    7: "a webhook could not be delivered",
    130: "stopped with Ctrl-C",
}

# what to do next, by the nearest class of the error; a Refused says it in its message
NEXT_STEPS: dict[type[errors.HuntsError], str] = {
    errors.ContentError: "correct the lines named above and run the command again",
    errors.Unreachable: "`hunts settings show` prints the address; `hunts engine start` starts an engine here",
    errors.NotAllowed: "`hunts settings show` prints which credentials are set",
    errors.NotThere: "`hunts plan` shows what is not installed yet",
    errors.Conflict: "nothing is lost: run the same command again",
    errors.LeaseLost: "nothing is lost: the service that is active now goes on",
    errors.Overloaded: "nothing is lost: wait until the engine has capacity and run the same command again",
    errors.EngineError: "`hunts engine status` shows what is running",
    errors.DeliveryError: "`hunts settings show` prints the receivers",
}


class _Commands(click.Group):
    """A group that knows its commands by name and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in alphabetical order."""
        return sorted(command.name for command in COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, imported now; HuntsError if a package it needs is not installed."""
        return next((_loaded(command) for command in COMMANDS if command.name == cmd_name), None)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(command.name, command.summary) for command in sorted(COMMANDS, key=lambda c: c.name)])


def _loaded(command: Command) -> click.Command:
    """Return the click command behind a line of COMMANDS."""
    module, attribute = command.place.split(":")
    try:
        found = getattr(import_module(f"connector.cli.{module}"), attribute)
    except ModuleNotFoundError as error:
        if str(error.name).startswith("connector"):
            raise
        needed = f"hunts {command.name} needs the Python package {error.name}, which is not installed: "
        raise errors.HuntsError(needed + "pip install 'guided-hunts[embedded]'") from error
    if not isinstance(found, click.Command):
        raise TypeError(f"connector.cli.{command.place} is no command")
    return found


def _epilog() -> str:
    """Return the exit codes as the last paragraph of the help."""
    return "\b\nExit codes:\n" + "\n".join(f"  {code:3}  {meaning}" for code, meaning in EXIT_CODES.items())


@click.group(cls=_Commands, epilog=_epilog(), context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--settings",
    "settings_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings file. Without it: $HUNTS_CONFIG, else ./hunts.yml, else the embedded engine and the example.",
)
@click.version_option(__version__, "--version", message="guided-hunts %(version)s")
@click.pass_context
def hunts(ctx: click.Context, settings_file: Path | None) -> None:
    """Hunt for threats and DNS-policy violations inside Elasticsearch and OpenSearch."""
    from connector.cli.context import Context  # noqa: PLC0415 - `hunts --help` has no need of it

    ctx.obj = Context(settings_file)


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    sys.exit(run())


def run(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code of one run (default: of this process's arguments), having told the user about any error."""
    try:
        status = hunts.main(args=arguments, prog_name="hunts", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except errors.HuntsError as error:
        _tell(error)
        return error.exit_code
    except Exception as error:  # the one place where an error nobody foresaw becomes words
        return _tell_unforeseen(error)
    return status if isinstance(status, int) else 0


def _tell(error: errors.HuntsError) -> None:
    """Print the error and what to do next; each problem of a ContentError has its own line."""
    if isinstance(error, errors.ContentError):
        for problem in error.problems:
            click.echo(plain(problem, limit=None), err=True)
        count = len(error.problems)
        click.echo(f"error: {count} problem{'' if count == 1 else 's'} in the files", err=True)
    else:
        click.echo(f"error: {plain(error, limit=2000, lines=True)}", err=True)
    step = next((NEXT_STEPS[kind] for kind in type(error).__mro__ if kind in NEXT_STEPS), "")
    if step:
        click.echo(f"next: {step}", err=True)


def _tell_unforeseen(error: Exception) -> int:
    """Print an error outside the tree, and return its exit code: the system's own words, or that it is a bug."""
    if os.environ.get("HUNTS_DEBUG") == "1":
        traceback.print_exception(error)
    elif isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {plain(where + error.strerror, limit=500)}", err=True)
    else:
        said = plain(f"{type(error).__name__}: {error}", limit=500)
        click.echo(f"error: this is a bug in guided-hunts: {said}", err=True)
        click.echo("next: run it again with HUNTS_DEBUG=1 and report the traceback", err=True)
    return 1
