"""A plan: what would be created, changed and deleted in the SIEM, and why; and carrying it out.

Promises: making or showing a plan writes nothing; steps are carried out in order; an index that cannot be changed is
left out with its name and the engine's reason, everything else goes on. Will not: decide what to install.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from connector.errors import SiemError
from connector.siem.client import Siem
from connector.siem.mappings import Kept

Action = Literal["create", "change", "delete"]
NAMES_BYTES = 3000  # engines take a request line of 4 KB
SHOWN = 8


@dataclass(frozen=True)
class Difference:
    """One place where what is there is not what is wanted; values are shortened."""

    at: str
    now: str | None
    wanted: str | None


@dataclass(frozen=True)
class Step:
    """One call: what is created, changed or deleted, and why. `names` are several only for indices.

    A step that `may_fail` is left out if the engine refuses it.
    """

    action: Action
    kind: str
    names: tuple[str, ...]
    why: str
    method: str
    path: str
    body: Mapping[str, Any] | None = None
    differences: tuple[Difference, ...] = ()
    may_fail: bool = False


@dataclass(frozen=True)
class LeftOut:
    """Something that is not touched, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class KeptField:
    """Fields that have another type than ours somewhere and keep it, with where that is."""

    field: Kept
    where: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Steps in the order they are carried out, and what a person should know before."""

    steps: tuple[Step, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    kept: tuple[KeptField, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class Done:
    """What was carried out: the steps that were, and what had to be left out."""

    steps: list[Step] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def carry_out(siem: Siem, plan: Plan) -> Done:
    """Return what was done; SiemError if a step that is not about indices fails."""
    done = Done(left_out=list(plan.left_out))
    for step in plan.steps:
        if step.may_fail or step.path.endswith(("/_mapping", "/_settings")):
            _change_indices(siem, step, done)
        else:
            siem.call(step.method, step.path, step.body)
            done.steps.append(step)
    return done


def _change_indices(siem: Siem, step: Step, done: Done) -> None:
    """Carry out a step on indices: on all at once, or on the halves if that is refused, down to the one that is why."""
    try:
        siem.call(step.method, step.path, step.body)
        done.steps.append(step)
    except SiemError as error:
        if len(step.names) == 1:
            done.left_out.append(LeftOut(step.names[0], str(error)))
            return
        half = len(step.names) // 2
        for names in (step.names[:half], step.names[half:]):
            _change_indices(siem, index_step(step, names), done)


def index_step(step: Step, names: tuple[str, ...]) -> Step:
    """Return the step for other indices."""
    end = step.path.rsplit("/", 1)[1]
    return Step(step.action, step.kind, names, step.why, step.method, f"/{_joined(names)}/{end}", step.body)


def index_steps(kind: str, end: str, names: Sequence[str], body: Mapping[str, Any], why: str) -> Iterator[Step]:
    """Yield the steps that PUT a body to `_mapping` or `_settings` of the indices, in as few calls as a URL allows."""
    portion: list[str] = []
    for name in sorted(names):
        if portion and len(_joined([*portion, name])) > NAMES_BYTES:
            yield Step("change", kind, tuple(portion), why, "PUT", f"/{_joined(portion)}/{end}", body)
            portion = []
        portion.append(name)
    if portion:
        yield Step("change", kind, tuple(portion), why, "PUT", f"/{_joined(portion)}/{end}", body)


def _joined(names: Sequence[str]) -> str:
    """Return names for a path."""
    return ",".join(quote(name, safe="") for name in names)


def differences(now: Any, wanted: Any, at: str = "") -> tuple[Difference, ...]:
    """Return where two JSON values differ, a few places at most, long values shortened."""
    found = list(_differ(now, wanted, at))
    more = len(found) - SHOWN
    return (*found[:SHOWN], Difference(f"and {more} more", None, None)) if more > 0 else tuple(found)


def _differ(now: Any, wanted: Any, at: str) -> Iterator[Difference]:
    """Yield every place where two JSON values differ."""
    if isinstance(now, Mapping) and isinstance(wanted, Mapping):
        for key in sorted(now.keys() | wanted.keys()):
            yield from _differ(now.get(key), wanted.get(key), f"{at}.{key}" if at else key)
    elif isinstance(now, list) and isinstance(wanted, list) and len(now) == len(wanted) and len(now) < SHOWN:
        for number, (one, other) in enumerate(zip(now, wanted, strict=True)):
            yield from _differ(one, other, f"{at}[{number}]")
    elif now != wanted:
        yield Difference(at, _short(now), _short(wanted))


def _short(value: Any) -> str | None:
    """Return a value for a person: a long text, list or mapping by its size."""
    if value is None:
        return None
    if isinstance(value, list | dict) and len(value) > SHOWN:
        return f"{len(value):,} entries"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 100 else f"{text[:60]}… ({len(text):,} characters)"


def shown(plan: Plan) -> dict[str, Any]:
    """Return the plan as one serialisable object, without the bodies."""
    steps = [
        {k: v for k, v in vars(step).items() if k not in ("method", "path", "body", "may_fail")} for step in plan.steps
    ]
    return {"steps": steps, "left_out": plan.left_out, "kept": plan.kept, "notes": plan.notes}
