"""`hunts dashboards`: dashboards for OpenSearch Dashboards and Kibana, as files, installed, or as a page to look at."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from connector.cli import context
from connector.cli.output import Printed, json_option, plain, rows, show
from connector.dashboards.building import Build, Built, Installed, build, install, write
from connector.dashboards.preview import Previewed, preview
from connector.respond.report.texts import moment
from connector.settings.dashboards import at_address
from connector.settings.durations import duration

DEFAULT = Path("dashboards-out")
STDOUT = Path("-")


def _content(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what dashboards are made of."""
    folder = click.Path(exists=True, file_okay=False, path_type=Path)
    command = click.option(
        "--subfield",
        default="keyword",
        show_default=True,
        help="What the SIEM calls the keyword beside a text; some call it raw.",
    )(command)
    return click.option(
        "--from",
        "own",
        metavar="DIR",
        type=folder,
        help="Folder with dashboards of your own; one of the same id replaces ours.",
    )(command)


@click.group(name="dashboards")
def dashboards() -> None:
    """Make and install dashboards for OpenSearch Dashboards and Kibana.

    `install` puts them there, `export` writes the file that one imports by hand, `preview` draws the same panels into
    one page. They are made from the files of the folder `dashboards`, which you can change.
    """


@dashboards.command(name="build")
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT,
    show_default=True,
    help="The folder to write to.",
)
@_content
@json_option
@context.use
def build_dashboards(ctx: context.Context, /, *, out: Path, own: Path | None, subfield: str, as_json: bool) -> None:
    """Write the saved objects, one NDJSON file a dashboard with all that it needs.

    The sources and the prefix are those of the settings. Ids follow from the prefix and the files, so that importing a
    later build replaces the one before. Nothing is connected to.
    """
    show(write(_build(ctx, own, subfield), out), table=_written, as_json=as_json)


@dashboards.command(name="export")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    default=STDOUT,
    help="The file to write. Default: stdout.",
)
@_content
@json_option
@context.use
def export_dashboards(ctx: context.Context, /, *, out: Path, own: Path | None, subfield: str, as_json: bool) -> None:
    """Write all saved objects as one NDJSON file, which both products import by hand; with --json as one list.

    In OpenSearch Dashboards: Dashboards Management > Saved objects > Import; in Kibana: Stack Management > Saved
    Objects > Import.
    """
    made = _build(ctx, own, subfield)
    text = json.dumps(made.objects, ensure_ascii=False, indent=2) + "\n" if as_json else made.ndjson
    if out == STDOUT:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")


@dashboards.command(name="install")
@click.option("--url", help="Address of the dashboards. Default: dashboards.url of the settings.")
@click.option("--keep", is_flag=True, help="Leave what is there already as it is; without it, it is replaced.")
@click.option("--prune", is_flag=True, help="Remove panels and dashboards that an earlier version of ours has left.")
@_content
@json_option
@context.use
def install_dashboards(
    ctx: context.Context, /, *, url: str | None, keep: bool, prune: bool, own: Path | None, subfield: str, as_json: bool
) -> None:
    """Install the dashboards into OpenSearch Dashboards or Kibana, or bring them up to date.

    Which of the two it is, and whether it is new enough (OpenSearch Dashboards 1.0, Kibana 7.10), is asked first. The
    login is that of `dashboards` in the settings, else that of `siem`; the space or tenant is set there, too. Objects
    of ours that are there already are replaced, with what people changed in them: copy a dashboard before you change
    it, or use --keep. Nothing of others is touched.

    Panels and dashboards of ours that are not made any more stay and are told; --prune removes them, but for what a
    dashboard of somebody else shows. What you made with --from is among them if --from is not given again.
    """
    where = at_address(ctx.settings.dashboards, url)
    done = install(_build(ctx, own, subfield), where, overwrite=not keep, prune=prune)
    show(done, table=_installed, as_json=as_json)
    if done.failed:
        sys.exit(1)


@dashboards.command(name="preview")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("dashboards.html"),
    show_default=True,
    help="The file to write.",
)
@click.option("--past", metavar="TIME", help="How far back, such as 24h or 30d. Default: as each dashboard has it.")
@click.option("--until", metavar="TIME", help="Up to when, such as 2026-11-03 or 2026-11-03T18:00Z. Default: now.")
@_content
@json_option
@context.use
def preview_dashboards(
    ctx: context.Context,
    /,
    *,
    out: Path,
    past: str | None,
    until: str | None,
    own: Path | None,
    subfield: str,
    as_json: bool,
) -> None:
    """Draw all dashboards as one HTML page, from the answers to the very searches that they send.

    The page needs no network and has no script. It shows what an installed dashboard shows, with the data of now; it
    is there to look before installing, where neither product runs, and to keep.
    """
    length = duration(past) if past else None
    if past and length is None:
        raise click.BadParameter(f"{past} is no time: write it like 24h or 30d", param_hint="--past")
    end = moment(until) if until else datetime.now(UTC)
    if end is None:
        raise click.BadParameter(f"{until} is no time: write it like 2026-11-03T18:00Z", param_hint="--until")
    page, found = preview(ctx.siem(), _build(ctx, own, subfield), length, end)
    out.write_text(page, encoding="utf-8")
    show(found, table=lambda told: _previewed(told, out), as_json=as_json)


def _build(ctx: context.Context, own: Path | None, subfield: str) -> Build:
    """Return what the settings and the options make; ContentError with every problem of every file."""
    return build(ctx.settings, own, subfield)


def _written(done: Built) -> Printed:
    """Return what was written."""
    table = rows(
        ("dashboard", "panels", "objects", "file"), [(f.title, f.panels, f.objects, f.file) for f in done.files]
    )
    return [table, f"{done.objects} objects in all; `hunts dashboards install` puts them in by itself"]


def _installed(done: Installed) -> Printed:
    """Return what an import came to."""
    lines: list[str] = [f"{plain(done.desk)} at {plain(done.url)}: {done.taken} of {done.objects} objects are in"]
    if done.kept:
        lines.append(f"{done.kept} were there already and are as they were")
    lines += [f"not taken: {plain(f.type)} {plain(f.id)}: {plain(f.kind)} {plain(f.words)}" for f in done.failed]
    lines += [f"  {plain(title)}" for title in done.dashboards]
    lines += _left(done)
    return "\n".join(lines)


def _left(done: Installed) -> list[str]:
    """Return what earlier versions left, and what to do."""
    if done.not_looked:
        return [f"what earlier versions left there is not known: {plain(done.not_looked)}"]
    lines = [
        f"{'removed' if one.removed else 'left by an earlier version'}: {plain(one.type)} {plain(one.id)}"
        + (f", shown by {plain(', '.join(one.used_by))}" if one.used_by else "")
        for one in done.left
    ]
    if any(not one.removed and not one.used_by for one in done.left):
        lines.append("`hunts dashboards install --prune` removes what an earlier version left")
    return lines


def _previewed(done: Previewed, file: Path) -> Printed:
    """Return how much each panel shows, and where the page is."""
    cells = [(p.dashboard, p.panel, p.kind, p.documents, p.rows, p.why) for p in done.panels]
    table = rows(("dashboard", "panel", "kind", "documents", "rows", "why nothing"), cells)
    return [table, f"written to {file}"]
