"""`hunts list`, `hunts show` and `hunts check`: the catalogue, looked at and checked."""

from __future__ import annotations

import click

from connector.cli import context
from connector.cli.output import Printed, json_option, note, rows, show
from connector.errors import ContentError
from connector.hunts.catalogue import Catalogue, load_catalogue
from connector.hunts.check import Checked, check
from connector.hunts.hunt import Hunt, Step
from connector.hunts.view import Listing, condition_lines, listing, needs_words, page, span


def catalogue_of(ctx: context.Context) -> Catalogue:
    """Return the hunts of this run's settings; a note says if files were left out."""
    catalogue = load_catalogue(ctx.settings)
    if catalogue.problems:
        files = len({problem.file for problem in catalogue.problems})
        note(f"{files} file{'' if files == 1 else 's'} left out, as something is wrong: `hunts check` says what")
    return catalogue


@click.command(name="list")
@click.argument("words", nargs=-1)
@json_option
@context.use
def list_hunts(ctx: context.Context, words: tuple[str, ...], as_json: bool) -> None:
    """List the hunts, or those with every WORD in title, name, family, kind, tags or hypothesis."""
    show(listing(catalogue_of(ctx), words), table=_list_table, as_json=as_json)


def _list_table(found: Listing) -> Printed:
    """Return the hunts as a table."""
    cells = [(h.family, h.name, h.title, h.severity, h.kind, h.event_types) for h in found.hunts]
    count = f"{len(found.hunts)} of {found.of} hunts"
    return [rows(["family", "name", "title", "severity", "kind", "events"], cells), count] if cells else count


@click.command(name="show")
@click.argument("name")
@json_option
@context.use
def show_hunt(ctx: context.Context, name: str, as_json: bool) -> None:
    """Show one hunt: why, what it looks for, what to ask next."""
    hunt = catalogue_of(ctx).named(name)
    show(page(hunt), table=lambda _: _page_text(hunt), as_json=as_json)


def _page_text(hunt: Hunt) -> Printed:
    """Return the page of a hunt as text."""
    facts = [
        ("name", hunt.name),
        ("kind", f"{hunt.kind}, severity {hunt.severity}, {hunt.status}"),
        ("tags", ", ".join(hunt.tags)),
        ("events", ", ".join(hunt.event_types)),
        ("one finding for each", ", ".join(hunt.group_by)),
        ("a finding needs", needs_words(hunt.needs)),
        ("shows", ", ".join(hunt.show)),
        ("file", hunt.file),
    ]
    lines = [hunt.title, "", hunt.hypothesis, "", *(f"{name}: {value}" for name, value in facts), ""]
    lines += ["It looks for", *condition_lines(hunt.match, 1), ""]
    lines += ["Why so", f"  {hunt.rationale}", ""] if hunt.rationale else []
    for number, step in enumerate(hunt.guide, 1):
        lines += [f"Step {number}: {step.ask}", *_step_lines(step), ""]
    for title, texts in (("Harmless causes", hunt.false_positives), ("What it misses", hunt.blind_spots)):
        lines += [title, *(f"  - {text}" for text in texts), ""]
    lines += [
        "Cases",
        *(
            f"  - {case.name}: {len(case.hits) or 'no'} finding{'' if len(case.hits) == 1 else 's'}"
            for case in hunt.cases
        ),
    ]
    lines += ["", *(f"Read more: {reference}" for reference in hunt.references)]
    return "\n".join(lines).rstrip()


def _step_lines(step: Step) -> list[str]:
    """Return one step of the guide as indented lines."""
    look = step.look
    ways = [f"count by {', '.join(look.count_by)}"] if look.count_by else []
    ways += [f"show {', '.join(look.show)}"] if look.show else []
    back = span(look.window)
    return [
        f"  look back {back} in {', '.join(look.event_types)} events, {' and '.join(ways)}:",
        *condition_lines(look.match, 2),
        f"  relevant: {step.lean_relevant}",
        f"  informational: {step.lean_informational}",
    ]


@click.command(name="check")
@click.argument("names", nargs=-1, metavar="[NAME|FILE]...")
@json_option
@context.use
def check_hunts(ctx: context.Context, names: tuple[str, ...], as_json: bool) -> None:
    """Check hunts by name or file, or all of them: structure, style, and every case."""
    found = check(load_catalogue(ctx.settings), names)
    if found.problems and not as_json:
        raise ContentError(found.problems)
    show(found, table=_check_text, as_json=as_json)
    if found.problems:
        click.get_current_context().exit(ContentError.exit_code)


def _check_text(found: Checked) -> Printed:
    """Return the outcome of a check without problems."""
    left = f", {found.not_judged} of them only a search could judge" if found.not_judged else ""
    return f"{found.hunts} hunts and their {found.cases} cases are right{left}"
