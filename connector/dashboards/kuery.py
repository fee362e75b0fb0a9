"""The queries of saved objects: clauses written in KQL, and KQL as the search that both products make of it. Pure.

The grammar is the part of KQL that `written` uses: clauses of a field and quoted values, `or` inside brackets, `not`
before a clause, `and` between them. OpenSearch Dashboards calls the same language DQL. Will not: read other KQL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from connector.dashboards.model import ANY, Clause

Json = dict[str, Any]
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_CLAUSE = re.compile(rf'(not )?([^\s:"()]+): (\*|{_QUOTED}|\({_QUOTED}(?: or {_QUOTED})*\))(?: and |$)')


def written(clauses: Sequence[Clause], name: Callable[[str], str]) -> str:
    """Return the clauses in KQL; `name` gives the stored name of a field."""
    return " and ".join(_written(clause, name(clause.field)) for clause in clauses)


def _written(clause: Clause, name: str) -> str:
    """Return one clause in KQL."""
    quoted = [value if value == ANY else _quoted(value) for value in clause.values]
    values = quoted[0] if len(quoted) == 1 else f"({' or '.join(quoted)})"
    return f"{'not ' if clause.negated else ''}{name}: {values}"


def _quoted(value: str) -> str:
    """Return a value in quotes."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def asked(text: str) -> list[Json]:
    """Return the filters that a search for the KQL has; ValueError if it is not of the grammar above."""
    filters: list[Json] = []
    place = 0
    while place < len(text):
        found = _CLAUSE.match(text, place)
        if found is None:
            raise ValueError(f"this is not KQL as it is written here: {text[place:]!r}")
        filters.append(_asked(bool(found[1]), found[2], found[3]))
        place = found.end()
    return filters


def _asked(negated: bool, field: str, values: str) -> Json:
    """Return the filter of one clause."""
    if values == ANY:
        one: list[Json] = [{"exists": {"field": field}}]
    else:
        texts = [re.sub(r"\\(.)", r"\1", quoted[1:-1]) for quoted in re.findall(_QUOTED, values)]
        one = [{"match_phrase": {field: text}} for text in texts]
    either = {"bool": {"should": one, "minimum_should_match": 1}}
    return {"bool": {"must_not": either}} if negated else either
