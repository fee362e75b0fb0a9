"""Judges the cases of hunts on a real search engine: loaded through our pipeline, and run as an analyst runs them.

Promises: every case is judged, those too that only a search can; no case sees the events of another; an event that the
engine does not take is a problem of its case; what is made for it in the engine (indices and pipelines with a name that
nothing else has) is deleted afterwards, also after an error or Ctrl-C. Will not: touch an index of the operator's.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from connector.enrich.fields import event_properties
from connector.enrich.pipeline import enrich_pipelines
from connector.enrich.tables import Tables
from connector.errors import NotThere, Problem, SiemError
from connector.hunts.asking.run import FOUND, NOTHING, HuntRun, Span, run_hunts
from connector.hunts.catalogue.format import COUNT
from connector.hunts.catalogue.hunt import Case, Hunt
from connector.hunts.checking.cases import Found, Verdict, differences, hunt_of_case, listed, raw_events, tables_of
from connector.hunts.conditions.condition import All, Equals
from connector.settings.model import Settings, Source
from connector.siem.client import Siem
from connector.siem.eve import Layout, Placed, read_line
from connector.siem.event_template import TEMPLATE
from connector.siem.mappings import merged
from connector.siem.sending import Item, send

MARK = "hunt_case"  # the field that says to which case an event belongs
PORTION = 5000  # events of one bulk body

# a hunt and the verdicts of Python on its cases, none if only a search can judge them
Judged = tuple[Hunt, Sequence[Verdict]]


@dataclass(frozen=True)
class _Trial:
    """One case on the engine: `found` is what Python finds in it, None if only a search can judge it."""

    mark: str
    hunt: Hunt
    case: Case
    found: Sequence[Found] | None

    @property
    def narrowed(self) -> Hunt:
        """Return the hunt, looking at the events of the case alone."""
        return replace(self.hunt, match=All((Equals(MARK, (self.mark,)), self.hunt.match)))

    def problem(self, message: str) -> Problem:
        """Return a problem at the line of the case."""
        return Problem(self.hunt.file, self.case.line, f"case {self.case.name!r} {message}")


def engine_problems(siem: Siem, settings: Settings, judged: Sequence[Judged]) -> list[Problem]:
    """Return what is wrong with the cases on the engine, each at the line of its case; SiemError if the engine fails.

    A case that Python judges is wrong if the engine's findings are others than Python's; any other if they are others
    than the case expects.
    """
    trials = [
        _Trial(f"{position}-{number}", hunt_of_case(hunt, case), case, verdicts[number].found if verdicts else None)
        for position, (hunt, verdicts) in enumerate(judged)
        for number, case in enumerate(hunt.cases)
    ]
    if not trials:
        return []
    with _scratch(siem, f"{settings.prefix}check-{secrets.token_hex(4)}-") as scratch:
        problems = scratch.load(trials)
        here = replace(settings, sources=(scratch.source,), prefix=f"{scratch.root}state-")
        ran = run_hunts(siem, here, [trial.narrowed for trial in trials], Span(), progress=lambda *_: None)
        for trial, result in zip(trials, ran.hunts, strict=True):
            problems += _compared(trial, result, str(siem.product))
    return problems


def _compared(trial: _Trial, result: HuntRun, product: str) -> Iterator[Problem]:
    """Yield how the engine's findings in a case differ from those of Python or, without them, from those expected."""
    came = [Found(group.group, group.count) for group in result.groups]
    notes = (result.error, None if result.status in (FOUND, NOTHING) else result.status, *result.limits)
    why = "; ".join(dict.fromkeys(filter(None, notes)))
    said = f"{product} ({why})" if why else product
    if result.error:
        yield trial.problem(f"cannot be judged: the hunt fails on {said}")
    elif trial.found is None:
        for difference in differences(trial.case, came):
            yield trial.problem(f"{difference} on {said}")
    elif any(differences(replace(trial.case, hits=_as_hits(trial.found)), came)):
        yield trial.problem(f"differs: Python finds {listed(trial.found)}, and {said} finds {listed(came)}")


def _as_hits(found: Sequence[Found]) -> tuple[dict[str, Any], ...]:
    """Return findings as a case that expects just these writes them."""
    return tuple({**one.values, COUNT: one.count} for one in found)


@dataclass
class _Scratch:
    """The indices and pipelines of one check, all named `<root>…`: for each resolver policy one of each."""

    siem: Siem
    root: str
    indices: dict[str, str] = field(default_factory=dict)  # by what the tables of the policy call themselves

    @property
    def source(self) -> Source:
        """Return the source of all cases; the indices are hidden, so it names each."""
        return Source(",".join(self.indices.values()))

    def load(self, trials: Sequence[_Trial]) -> list[Problem]:
        """Return a problem for each event of the cases that the engine does not take; all others can be searched."""
        problems: list[Problem] = []
        by_index: dict[str, list[_Trial]] = {}
        for trial in trials:
            by_index.setdefault(self._index(tables_of(trial.case)), []).append(trial)
        for index, own in by_index.items():
            problems += self._send(index, own)
            self.siem.call("POST", f"/{index}/_refresh")
        return problems

    def _index(self, tables: Tables) -> str:
        """Return the index whose pipeline has these tables, made at the first call."""
        if tables.enriched not in self.indices:
            name = f"{self.root}{len(self.indices)}"
            self.indices[tables.enriched] = name
            for pipeline, body in enrich_pipelines(tables, f"{name}-").items():
                self.siem.call("PUT", f"/_ingest/pipeline/{pipeline}", body)
            self.siem.call("PUT", f"/{name}", _index_body(f"{name}-enrich"))
        return self.indices[tables.enriched]

    def _send(self, index: str, trials: Sequence[_Trial]) -> Iterator[Problem]:
        """Load the events of the cases as `hunts load` does, and yield a problem for each that is not taken."""
        items: list[Item] = []
        owners: list[tuple[_Trial, int]] = []
        layout = Layout(f"{index}-")
        for trial in trials:
            for number, event in enumerate(raw_events(trial.case), 1):
                items.append(_item({**event, MARK: trial.mark}, len(items), index, layout))
                owners.append((trial, number))
        for start in range(0, len(items), PORTION):
            for rejected in send(self.siem, "cases", layout, items[start : start + PORTION]).rejected:
                trial, number = owners[rejected.number]
                yield trial.problem(f"loses its event {number}: {rejected.kind}: {rejected.detail}".rstrip(": "))

    def delete(self) -> None:
        """Delete everything."""
        for name in self.siem.call("GET", f"/{self.root}*", expand_wildcards="all", filter_path="*.aliases"):
            self.siem.call("DELETE", f"/{name}", ignore_unavailable=True)
        with suppress(NotThere):
            self.siem.call("DELETE", f"/_ingest/pipeline/{self.root}*")


@contextmanager
def _scratch(siem: Siem, root: str) -> Iterator[_Scratch]:
    """Yield a place in the engine that is deleted afterwards; SiemError, with the names, if that fails."""
    scratch = _Scratch(siem, root)
    try:
        yield scratch
    finally:
        try:
            scratch.delete()
        except SiemError as error:
            left = f"indices and pipelines named {root}… may be left in the engine: delete them"
            raise type(error)(f"{error}; {left}") from error


def _item(event: Mapping[str, Any], number: int, index: str, layout: Layout) -> Item:
    """Return an event as a line on its way into the index."""
    line = json.dumps(event).encode()
    read = read_line(line, number, layout)
    return Item(number, line, replace(read, index=index) if isinstance(read, Placed) else read)


def _index_body(final_pipeline: str) -> dict[str, Any]:
    """Return the settings and the mapping of a scratch index: those of loaded events, with our fields and the mark."""
    settings = {
        **TEMPLATE["settings"],
        "index.refresh_interval": "-1",
        "index.hidden": True,
        "index.default_pipeline": "_none",
        "index.final_pipeline": final_pipeline,
    }
    mappings = TEMPLATE["mappings"]
    properties = merged(mappings["properties"], {**event_properties(), MARK: {"type": "keyword"}})
    return {"settings": settings, "mappings": {**mappings, "properties": properties}}
