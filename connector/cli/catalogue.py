"""`hunts list`, `hunts show` and `hunts check`: the catalogue, looked at and checked."""

from __future__ import annotations

from collections.abc import Sequence

import click

from connector.cli import context
from connector.cli.output import Printed, json_option, note, rows, show
from connector.errors import ContentError
from connector.hunts.catalogue.catalogue import Catalogue, load_catalogue
from connector.hunts.catalogue.coverage import Coverage, Covered, coverage, known_techniques
from connector.hunts.catalogue.hunt import Hunt, Step
from connector.hunts.catalogue.view import Listing, condition_lines, listing, needs_words, page
from connector.hunts.checking.check import Checked, Proof, check
from connector.settings.durations import span

NAMED = 3  # hunts beside a technique; --json has all
GUIDE = (
    "The guide, which `hunts guide FINDING` asks: each step looks from its window before the finding's first event "
    "until its window after the last one."
)


def catalogue_of(ctx: context.Context) -> Catalogue:
    """Return the hunts of this run's settings; a note says if files were left out."""
    catalogue = load_catalogue(ctx.settings)
    if catalogue.problems:
        files = len({problem.file for problem in catalogue.problems})
        note(f"{files} file{'' if files == 1 else 's'} left out, as something is wrong: `hunts check` says what")
    return catalogue


@click.command(name="list")
@click.argument("words", nargs=-1)
@click.option(
    "--coverage", "covering", is_flag=True, help="What they cover: ATT&CK, event types, families, kinds, severities."
)
@json_option
@context.use
def list_hunts(ctx: context.Context, words: tuple[str, ...], covering: bool, as_json: bool) -> None:
    """List the hunts, or those with every WORD in title, name, family, kind, tags or hypothesis."""
    catalogue = catalogue_of(ctx)
    if covering:
        show(coverage(catalogue.found(words), known_techniques()), table=_coverage_tables, as_json=as_json)
    else:
        show(listing(catalogue, words), table=_list_table, as_json=as_json)


def _list_table(found: Listing) -> Printed:
    """Return the hunts as a table."""
    cells = [(h.family, h.name, h.title, h.severity, h.kind, h.event_types) for h in found.hunts]
    count = f"{len(found.hunts)} of {found.of} hunts"
    return [rows(["family", "name", "title", "severity", "kind", "events"], cells), count] if cells else count


def _coverage_tables(found: Coverage) -> Printed:
    """Return what the hunts cover as tables of numbers, and the hunts of each technique."""
    cells = [(one.id, one.name, one.tactics, one.number, _names(one.hunts)) for one in found.techniques]
    named: dict[str, Sequence[Covered]] = {
        "ATT&CK tactic": found.tactics,
        "event type": found.event_types,
        "family": found.families,
        "kind": found.kinds,
        "severity": found.severities,
    }
    return [
        rows(["technique", "name", "tactics", "hunts", "names"], cells),
        *(rows([title, "hunts"], [(one.value, one.number) for one in covered]) for title, covered in named.items()),
        f"{found.hunts} hunts, {len(found.without_technique)} of them without a technique: --json names them all",
    ]


def _names(hunts: Sequence[str]) -> str:
    """Return the first hunts, and how many more there are."""
    more = f" and {len(hunts) - NAMED} more" if len(hunts) > NAMED else ""
    return ", ".join(hunts[:NAMED]) + more


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
    lines += [GUIDE, ""]
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
    around = span(look.window)
    return [
        f"  look {around} around the finding in {', '.join(look.event_types)} events, {' and '.join(ways)}:",
        *condition_lines(look.match, 2),
        f"  relevant: {step.lean_relevant}",
        f"  informational: {step.lean_informational}",
    ]


@click.command(name="check")
@click.argument("names", nargs=-1, metavar="[NAME|FILE]...")
@click.option("--engine", is_flag=True, help="Judge the cases on the search engine too, as a search finds them.")
@json_option
@context.use
def check_hunts(ctx: context.Context, names: tuple[str, ...], engine: bool, as_json: bool) -> None:
    """Check hunts by name or file, or all of them: structure, style, and every case.

    With --engine the cases also go through the ingest pipeline into an index of their own in the search engine of the
    settings, where each hunt is run on them; all that is made there for it is deleted afterwards. A case on which
    Python and the engine do not agree is a problem. Hunts that only a search can answer are judged so alone.
    """
    found = check(load_catalogue(ctx.settings), names, _proof(ctx) if engine else None)
    if found.problems and not as_json:
        raise ContentError(found.problems)
    show(found, table=_check_text, as_json=as_json)
    if found.problems:
        click.get_current_context().exit(ContentError.exit_code)


def _proof(ctx: context.Context) -> Proof:
    """Return what judges cases on the search engine of the settings."""
    from connector.hunts.checking.proof import engine_problems  # noqa: PLC0415 - the two clients take 0.3 s to import

    return lambda judged: engine_problems(ctx.siem(), ctx.settings, judged)


def _check_text(found: Checked) -> Printed:
    """Return the outcome of a check without problems."""
    left = f", {found.not_judged} of them only a search could judge" if found.not_judged else ""
    return f"{found.hunts} hunts and their {found.cases} cases are right{left}"
