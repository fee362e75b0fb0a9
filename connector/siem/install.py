"""Installing: compares what the package needs in a SIEM with what is there, and makes it so.

Promises: planning writes nothing; installing twice changes nothing the second time; nothing of the SIEM's is replaced:
fields keep their type, final pipelines their place. Will not: touch an index that is closed or read-only; it is named.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from connector.siem.assets import Assets
from connector.siem.client import Siem
from connector.siem.foreign import NONE, calls, foreign, refusal
from connector.siem.mappings import missing
from connector.siem.plan import Done, KeptField, LeftOut, Plan, Step, carry_out, differences, index_steps
from connector.siem.present import Index, Present, read_present
from connector.siem.templates import Wanted, kept_fields, obstacle, wanted_templates, without_ours
from connector.siem.their_templates import Theirs, made_by, our_name, their_templates

Json = dict[str, Any]
STATE_SETTINGS: Json = {
    "index": {
        "number_of_shards": 1,
        "auto_expand_replicas": "0-1",
        "hidden": True,
        "default_pipeline": "_none",
        "final_pipeline": "_none",
    }
}


def plan(siem: Siem, assets: Assets) -> Plan:
    """Return what installing would do; Refused if a final pipeline of somebody else is in the way."""
    return planned(read_present(siem, assets), assets)


def install(siem: Siem, planned: Plan) -> Done:
    """Return what of a plan was done; SiemError if the engine refuses more than single indices."""
    return carry_out(siem, planned)


def planned(present: Present, assets: Assets) -> Plan:
    """Return the plan for what is there; Refused as in `plan`. Pure."""
    theirs = their_templates(present, assets)
    notes = _check_pipelines(present, theirs, assets)
    wanted = wanted_templates(present, assets, theirs)
    usable = {name: index for name, index in present.events.items() if not index.out}
    out = [LeftOut(name, str(index.out)) for name, index in present.events.items() if index.out]
    steps = [
        *pipeline_steps(present, assets),
        *_state_steps(present, assets),
        *_template_steps(present, assets, wanted),
        *_index_steps(usable, wanted, assets),
    ]
    kept = (*wanted.kept, *kept_fields(((f"index {n}", i.properties) for n, i in usable.items()), wanted.properties))
    return Plan(tuple(steps), tuple(out), _together(kept), tuple(notes))


def _check_pipelines(present: Present, theirs: Theirs, assets: Assets) -> list[str]:
    """Return a note for each place whose own final pipeline calls ours; Refused if one does not."""
    ours = assets.final_pipeline
    places = [(made.where, made.final_pipeline) for made in made_by(present, theirs, assets)]
    places += [(f"index {name}", index.final_pipeline) for name, index in present.events.items() if not index.out]
    others = foreign(places, ours)
    if bad := [(where, pipeline) for where, pipeline in others if not calls(present.pipelines, pipeline, ours)]:
        raise refusal(bad, ours)
    if refused := obstacle(present, theirs, assets):
        raise refused
    return [f"{where} keeps its final pipeline {pipeline}, which calls {ours}" for where, pipeline in others]


def pipeline_steps(present: Present, assets: Assets) -> Iterator[Step]:
    """Yield the steps for the ingest pipelines."""
    for name, body in assets.pipelines.items():
        if name in assets.kept_as_they_are and name in present.pipelines:
            continue
        why = "the enrichment" if name == assets.final_pipeline else "a part of the enrichment"
        step = _putting("ingest pipeline", "_ingest/pipeline", name, body, why)
        yield from _if_needed(step, present.pipelines.get(name))


def _state_steps(present: Present, assets: Assets) -> Iterator[Step]:
    """Yield the steps for our own indices."""
    for name, properties in assets.state.items():
        index = present.state.get(name)
        wanted = {"dynamic": False, "properties": properties}
        if index is None:
            body = {"settings": STATE_SETTINGS, "mappings": wanted}
            yield Step("create", "index", (name,), "our own state", "PUT", f"/{name}", body)
        elif put := missing(properties, index.properties)[0]:
            why = "fields of our own state that are new"
            yield Step("change", "mapping", (name,), why, "PUT", f"/{name}/_mapping", {"properties": put})


def _template_steps(present: Present, assets: Assets, wanted: Wanted) -> Iterator[Step]:
    """Yield the steps for templates: our component, the composable ones that use it, our legacy one."""
    ours = our_name(assets)
    why = "new event indices get our fields and our final pipeline"
    if wanted.component:
        step = _putting("component template", "_component_template", ours, wanted.component, why)
        yield from _if_needed(step, present.components.get(ours))
    for name, body in wanted.composable.items():
        why_here = f"copy of {body['_meta']['copy_of']} for event indices only" if name == ours else f"uses {ours}"
        step = _putting("index template", "_index_template", name, body, why_here)
        yield from _if_needed(step, present.composable.get(name))
    if wanted.legacy:
        step = _putting("legacy template", "_template", ours, wanted.legacy, why)
        yield from _if_needed(step, present.legacy.get(ours))
    yield from _no_longer(present, assets, wanted)


def _no_longer(present: Present, assets: Assets, wanted: Wanted) -> Iterator[Step]:
    """Yield the steps that take away templates of ours that the SIEM's own ones have made needless."""
    ours, why = our_name(assets), "the SIEM's templates have changed: not needed any more"
    users = [
        n for n, t in present.composable.items() if ours in t.get("composed_of", []) and n not in wanted.composable
    ]
    for name in users:
        if name == ours:
            yield Step("delete", "index template", (ours,), why, "DELETE", f"/_index_template/{ours}")
        else:
            body = without_ours(present.composable[name], assets)
            yield Step("change", "index template", (name,), why, "PUT", f"/_index_template/{name}", body)
    if ours in present.legacy and not wanted.legacy:
        yield Step("delete", "legacy template", (ours,), why, "DELETE", f"/_template/{ours}")
    if ours in present.components and not wanted.component:
        yield Step("delete", "component template", (ours,), why, "DELETE", f"/_component_template/{ours}")


def _index_steps(usable: Mapping[str, Index], wanted: Wanted, assets: Assets) -> Iterator[Step]:
    """Yield the steps for the event indices that are there: our fields first, then the pipeline that fills them."""
    by_need: dict[str, list[str]] = defaultdict(list)
    for name, index in usable.items():
        if put := missing(wanted.properties, index.properties)[0]:
            by_need[json.dumps(put, sort_keys=True)].append(name)
    for need, names in by_need.items():
        yield from index_steps("mapping", "_mapping", names, {"properties": json.loads(need)}, "our fields")
    names = [name for name, index in usable.items() if index.final_pipeline in NONE]
    settings = {"index.final_pipeline": assets.final_pipeline}
    yield from index_steps("settings", "_settings", names, settings, f"every new event runs {assets.final_pipeline}")


def _putting(kind: str, folder: str, name: str, body: Mapping[str, Any], why: str) -> Step:
    """Return the step that creates something with a name."""
    return Step("create", kind, (name,), why, "PUT", f"/{folder}/{name}", body)


def _if_needed(step: Step, now: Json | None) -> Iterator[Step]:
    """Yield the step if its body is not there already; what the engine adds to a body does not count."""
    if now is None or step.body is None:
        yield step
        return
    body = step.body
    found = differences(_plain({key: now.get(key) for key in body}), _plain(body))
    if found:
        yield replace(step, action="change", differences=found)


def _plain(value: Any, inside_settings: bool = False) -> Any:
    """Return a value in the one form in which engine and asset can be compared: settings are all text."""
    if isinstance(value, Mapping):
        return {key: _plain(item, inside_settings or key == "settings") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, inside_settings) for item in value]
    return json.dumps(value) if inside_settings and not isinstance(value, str) else value


def _together(kept: tuple[KeptField, ...]) -> tuple[KeptField, ...]:
    """Return the kept fields, those of the same field and types as one."""
    found: dict[Any, list[str]] = defaultdict(list)
    for one in kept:
        found[one.field] += one.where
    return tuple(KeptField(field, tuple(where)) for field, where in found.items())
