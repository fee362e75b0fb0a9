"""Final pipelines that are somebody else's: where they are, and whether they call ours. Pure.

An index has one final pipeline. Where there is one already we do not take its place: it is asked to call ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from connector.errors import Refused

NONE = (None, "_none")


def foreign(places: Iterable[tuple[str, str | None]], ours: str) -> list[tuple[str, str]]:
    """Return those places (where, final pipeline) whose final pipeline is not ours."""
    return [(where, pipeline) for where, pipeline in places if pipeline not in (*NONE, ours) and pipeline is not None]


def calls(pipelines: Mapping[str, Any], name: str, ours: str, seen: frozenset[str] = frozenset()) -> bool:
    """Tell whether the pipeline calls ours, itself or through another."""
    if name in seen:
        return False
    called = _called(pipelines.get(name, {}).get("processors", []))
    return any(other == ours or calls(pipelines, other, ours, seen | {name}) for other in called)


def callers(pipelines: Mapping[str, Any], ours: Iterable[str]) -> list[str]:
    """Return the pipelines of others that call one of ours themselves."""
    ours = set(ours)
    return sorted(
        name for name, p in pipelines.items() if name not in ours and ours & set(_called(p.get("processors", [])))
    )


def _called(value: Any) -> Iterator[str]:
    """Yield the names of the pipelines called anywhere in processors."""
    if isinstance(value, list):
        for item in value:
            yield from _called(item)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key == "pipeline" and isinstance(item, Mapping) and isinstance(item.get("name"), str):
                yield item["name"]
            yield from _called(item)


def refusal(found: list[tuple[str, str]], ours: str) -> Refused:
    """Return the error that names the places, and how to call ours from there."""
    places = "\n".join(f"  {where}: {pipeline}" for where, pipeline in found[:20])
    more = f"\n  and {len(found) - 20} more" if len(found) > 20 else ""
    names = ", ".join(sorted({pipeline for _, pipeline in found}))
    return Refused(
        f"nothing was changed, because these have a final pipeline already, and an index can have only one:\n"
        f"{places}{more}\n"
        f"Add this as the last processor of {names}, then run the command again:\n"
        f'  {{"pipeline": {{"name": "{ours}", "ignore_failure": true}}}}\n'
        f"(with ignore_failure no event is refused while {ours} is not installed yet)"
    )
