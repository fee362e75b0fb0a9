"""Uninstalling: takes out of a SIEM whatever installing and loading put there.

Promises: afterwards no pipeline, template, setting or index of ours is left, wherever in the SIEM it was used, and the
SIEM's own templates are as they were; what stays by nature is said. Will not: change stored events or delete any.
"""

from __future__ import annotations

from collections.abc import Iterator

from connector.errors import NotAllowed, NotThere, Refused
from connector.siem.assets import Assets
from connector.siem.client import Siem
from connector.siem.foreign import callers
from connector.siem.plan import Done, LeftOut, Plan, Step, carry_out, index_steps
from connector.siem.present import Present, read_indices, read_present
from connector.siem.templates import without_ours
from connector.siem.their_templates import our_name
from connector.siem.update_task import RECORDS, running_tasks

WHY = "uninstalling"


def uninstall_plan(siem: Siem, assets: Assets, keep_state: bool = False) -> Plan:
    """Return what uninstalling would do; Refused if a pipeline of somebody else calls one of ours."""
    present = read_present(siem, assets)
    if others := callers(present.pipelines, assets.pipelines):
        raise Refused(
            f"nothing was changed, because these pipelines call ours: {', '.join(others)}. Take the processor "
            f'{{"pipeline": {{"name": "{assets.final_pipeline}"}}}} out of them, then run the command again'
        )
    using, out = _using(siem, assets)
    settings = {"index.final_pipeline": None}
    pipelines = [name for name in reversed(tuple(assets.pipelines)) if name in present.pipelines]
    steps = [
        *_task_steps(siem, assets),
        *index_steps("settings", "_settings", using, settings, f"{WHY}: events run {assets.final_pipeline} no more"),
        *_template_steps(present, assets),
        *_deletions("ingest pipeline", "_ingest/pipeline", pipelines),
        *_deletions("index", "", [] if keep_state else list(present.state)),
        *_record_steps(siem),
    ]
    return Plan(tuple(steps), tuple(out), (), tuple(_stays(siem, assets, present, keep_state)))


def uninstall(siem: Siem, assets: Assets, keep_state: bool = False) -> Done:
    """Return what was taken out; errors as in `uninstall_plan`, and SiemError."""
    return carry_out(siem, uninstall_plan(siem, assets, keep_state))


def _task_steps(siem: Siem, assets: Assets) -> Iterator[Step]:
    """Yield the steps that stop updates of ours that still run, and remove the engine's record of them."""
    for task in running_tasks(siem, mark=f"{assets.prefix}state/"):
        stop, record = f"/_tasks/{task}/_cancel?wait_for_completion=true", f"/{RECORDS}/_doc/{task}?refresh=true"
        yield Step("delete", "task", (task,), f"{WHY}: stopped", "POST", stop, may_fail=True)
        yield Step("delete", "task record", (task,), WHY, "DELETE", record, may_fail=True)


def _record_steps(siem: Siem) -> Iterator[Step]:
    """Yield the deletion of the engine's index of ended tasks, if nothing is left in it; it makes it anew at need."""
    try:
        if siem.call("GET", f"/{RECORDS}/_count")["count"] == 0:
            why = f"{WHY}: the engine's records of our updates, empty"
            yield Step("delete", "index", (RECORDS,), why, "DELETE", f"/{RECORDS}", may_fail=True)
    except (NotThere, NotAllowed):
        return


def _using(siem: Siem, assets: Assets) -> tuple[list[str], list[LeftOut]]:
    """Return the indices, anywhere, whose final pipeline is ours, and those of them that cannot be changed."""
    ours = [
        index for index in read_indices(siem, ("*",), "none").values() if index.final_pipeline == assets.final_pipeline
    ]
    stuck = [index for index in ours if index.block not in (None, "write")]
    out = [LeftOut(i.name, f"{i.out}: its index.final_pipeline stays {assets.final_pipeline}") for i in stuck]
    return [index.name for index in ours if index not in stuck], out


def _template_steps(present: Present, assets: Assets) -> Iterator[Step]:
    """Yield the steps that give composable templates back as they were and delete ours."""
    ours = our_name(assets)
    for name, template in present.composable.items():
        if name != ours and ours in template.get("composed_of", []):
            body = without_ours(template, assets)
            yield Step("change", "index template", (name,), WHY, "PUT", f"/_index_template/{name}", body)
    yield from _deletions("index template", "_index_template", [ours] if ours in present.composable else [])
    legacy = [name for name in (ours, f"{assets.prefix}load") if name in present.legacy]
    yield from _deletions("legacy template", "_template", legacy)
    yield from _deletions("component template", "_component_template", [ours] if ours in present.components else [])


def _deletions(kind: str, folder: str, names: list[str]) -> Iterator[Step]:
    """Yield a deletion of each name."""
    for name in names:
        yield Step("delete", kind, (name,), WHY, "DELETE", f"/{folder}/{name}" if folder else f"/{name}")


def _stays(siem: Siem, assets: Assets, present: Present, keep_state: bool) -> Iterator[str]:
    """Yield what is left by nature."""
    patterns = ",".join(assets.patterns)
    if count := siem.count(patterns, {"exists": {"field": "hunt.enriched"}}):
        yield f"{count:,} stored events of {patterns} keep the fields that the enrichment wrote"
    if present.events:
        yield f"the mappings of the {len(present.events):,} indices that are there keep our fields: engines remove none"
    if keep_state and present.state:
        yield f"kept: {', '.join(sorted(present.state))}"
