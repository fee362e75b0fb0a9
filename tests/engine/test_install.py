"""Installing into real engines: nothing twice, nothing replaced, nothing left behind."""

import json
from dataclasses import replace
from typing import Any

import pytest
from conftest import Place
from engine.made_up import made_up, picture

from connector.errors import Refused
from connector.siem.install import install, plan
from connector.siem.uninstall import uninstall, uninstall_plan

STRINGS = {"type": "text", "norms": False, "fields": {"raw": {"type": "keyword", "ignore_above": 256}}}


def run(place: Place) -> Any:
    """Install the made-up assets; return what was done."""
    assets = made_up(place.prefix)
    return install(place.siem, plan(place.siem, assets))


def composable(place: Place, name: str, patterns: list[str], priority: int, **more: Any) -> None:
    """Put a composable template of the SIEM."""
    body = {"index_patterns": patterns, "priority": priority, **more}
    place.siem.call("PUT", f"/_index_template/{place.prefix}{name}", body)


def stored(place: Place, index: str, event: dict[str, Any]) -> dict[str, Any]:
    """Write an event and return it as it is stored."""
    place.siem.call("PUT", f"/{place.prefix}{index}/_doc/1", event, refresh=True)
    return place.siem.get(f"{place.prefix}{index}", "1").source


def settings(place: Place, index: str) -> dict[str, Any]:
    """Return the settings of an index."""
    answer = place.siem.call("GET", f"/{place.prefix}{index}/_settings")
    return answer[f"{place.prefix}{index}"]["settings"]["index"]


def properties(place: Place, index: str) -> dict[str, Any]:
    """Return the properties of an index."""
    answer = place.siem.call("GET", f"/{place.prefix}{index}/_mapping")
    return answer[f"{place.prefix}{index}"]["mappings"]["properties"]


def test_an_empty_siem_gets_everything_once_and_keeps_nothing(each_place: Place) -> None:
    """Planning writes nothing, installing twice plans nothing, uninstalling leaves the state before."""
    assets, before = made_up(each_place.prefix), picture(each_place.siem, each_place.prefix)
    planned = plan(each_place.siem, assets)
    assert picture(each_place.siem, each_place.prefix) == before
    install(each_place.siem, planned)
    assert plan(each_place.siem, assets).steps == ()
    event = stored(each_place, "logs-dns-2026.01.01", {"n": None, "dns": {"rrname": "a.example"}})
    assert event["hunt"]["enriched"] == "v1"
    assert properties(each_place, "logs-dns-2026.01.01")["hunt"]["properties"]["enriched"]["type"] == "keyword"
    assert {"hidden": "true", "number_of_shards": "1"}.items() <= settings(each_place, "state").items()
    each_place.siem.call("DELETE", f"/{each_place.prefix}logs-dns-2026.01.01")
    uninstall(each_place.siem, assets)
    assert picture(each_place.siem, each_place.prefix) == before
    assert uninstall_plan(each_place.siem, assets).steps == ()


def test_a_changed_pipeline_is_planned_with_its_difference(each_place: Place) -> None:
    """A new version of the tables changes that pipeline only, and the plan says where."""
    run(each_place)
    steps = plan(each_place.siem, made_up(each_place.prefix, "v2")).steps
    assert [(s.action, s.kind, s.names) for s in steps] == [
        ("change", "ingest pipeline", (f"{each_place.prefix}part",))
    ]
    assert [(d.at, d.now, d.wanted) for d in steps[0].differences] == [
        ("description", "part v1", "part v2"),
        ("processors[0].script.params.e", "v1", "v2"),
    ]


def test_composable_templates_use_our_component_and_come_back_as_they_were(each_place: Place) -> None:
    """Each matching template is changed, others are not; theirs wins; a legacy one of ours is not needed."""
    siem, prefix = each_place.siem, each_place.prefix
    siem.call("PUT", f"/_component_template/{prefix}base", {"template": {"settings": {"number_of_replicas": 0}}})
    composable(each_place, "all", [f"{prefix}logs-*"], 10, composed_of=[f"{prefix}base"], version=4, _meta={"a": [1]})
    composable(each_place, "dns", [f"{prefix}logs-dns-*"], 20, template={"mappings": {"dynamic": False}})
    composable(each_place, "other", [f"{prefix}other-*"], 30)
    before = picture(siem, prefix)
    run(each_place)
    assert plan(siem, made_up(prefix)).steps == ()
    assert f"{prefix}events" not in picture(siem, prefix)["_template"]
    for index in ("logs-dns-2026", "logs-tls-2026"):
        assert stored(each_place, index, {})["hunt"]["enriched"] == "v1"
        assert properties(each_place, index)["alert"]["properties"]["tag"]["fields"]["keyword"]["type"] == "keyword"
    assert "hunt" not in stored(each_place, "other-2026", {})
    siem.call("DELETE", f"/{prefix}logs-dns-2026,{prefix}logs-tls-2026,{prefix}other-2026")
    uninstall(siem, made_up(prefix))
    assert picture(siem, prefix) == before


def test_a_legacy_template_stands_beside_theirs(each_place: Place) -> None:
    """With legacy templates ours is legacy too; their types, parameters and `.raw` sub-fields stay."""
    siem, prefix = each_place.siem, each_place.prefix
    theirs = {
        "index_patterns": [f"{prefix}logs-*"],
        "settings": {"index.refresh_interval": "7s"},
        "mappings": {
            "dynamic_templates": [{"strings": {"match_mapping_type": "string", "mapping": STRINGS}}],
            "properties": {
                "hostname_info": {"properties": {"host": {"type": "text"}, "domain": {"type": "keyword"}}},
                "hunt": {"properties": {"labels": {"type": "short"}}},
            },
        },
    }
    siem.call("PUT", f"/_template/{prefix}logstash", theirs)
    before = picture(siem, prefix)
    planned = plan(siem, made_up(prefix))
    assert [(k.field.field, k.field.theirs, k.where) for k in planned.kept] == [
        ("hostname_info.host", "text", (f"legacy template {prefix}logstash",))
    ]
    install(siem, planned)
    assert plan(siem, made_up(prefix)).steps == ()
    assert stored(each_place, "logs-dns-2026", {"dns": {"rrname": "x"}})["hunt"]["enriched"] == "v1"
    found = properties(each_place, "logs-dns-2026")
    assert found["hostname_info"]["properties"]["host"] == {"type": "text"}
    domain = found["hostname_info"]["properties"]["domain"]
    assert domain.get("doc_values", True) and set(domain["fields"]) == {"raw"}
    assert set(found["alert"]["properties"]["tag"]["fields"]) == {"raw"}
    assert found["hunt"]["properties"]["labels"] == {"type": "short"}
    assert settings(each_place, "logs-dns-2026")["refresh_interval"] == "7s"
    siem.call("DELETE", f"/{prefix}logs-dns-2026")
    uninstall(siem, made_up(prefix))
    assert picture(siem, prefix) == before


def test_both_kinds_of_template(each_place: Place) -> None:
    """A composable template for some of the indices and a legacy one for all: each gets ours."""
    siem, prefix = each_place.siem, each_place.prefix
    siem.call("PUT", f"/_template/{prefix}logstash", {"index_patterns": [f"{prefix}logs-*"]})
    composable(each_place, "dns", [f"{prefix}logs-dns-*"], 20)
    before = picture(siem, prefix)
    run(each_place)
    for index in ("logs-dns-2026", "logs-tls-2026"):
        assert stored(each_place, index, {})["hunt"]["enriched"] == "v1"
    siem.call("DELETE", f"/{prefix}logs-dns-2026,{prefix}logs-tls-2026")
    uninstall(siem, made_up(prefix))
    assert picture(siem, prefix) == before


def test_a_template_for_more_than_events_is_copied_not_changed(each_place: Place) -> None:
    """A wide template keeps its body; event indices are made by a copy that has ours, others are not enriched."""
    siem, prefix = each_place.siem, each_place.prefix
    composable(each_place, "wide", [f"{prefix}*"], 10, template={"settings": {"index.refresh_interval": "9s"}})
    before = picture(siem, prefix)
    run(each_place)
    assert plan(siem, made_up(prefix)).steps == ()
    assert stored(each_place, "logs-dns-2026", {})["hunt"]["enriched"] == "v1"
    assert settings(each_place, "logs-dns-2026")["refresh_interval"] == "9s"
    assert "hunt" not in stored(each_place, "other-2026", {})
    siem.call("DELETE", f"/{prefix}logs-dns-2026,{prefix}other-2026")
    uninstall(siem, made_up(prefix))
    assert picture(siem, prefix) == before


def test_present_indices_are_changed_and_those_that_cannot_be_are_named(
    each_place: Place, request: pytest.FixtureRequest
) -> None:
    """Open indices get fields and pipeline; closed and read-only ones, and fields of another type, are reported."""
    siem, prefix = each_place.siem, each_place.prefix
    names = [f"logs-dns-2026.01.{day:02}" for day in range(1, 13)]
    for name in names:
        siem.call("PUT", f"/{prefix}{name}")
    siem.call(
        "PUT",
        f"/{prefix}logs-text",
        {"mappings": {"properties": {"hostname_info": {"properties": {"host": {"type": "text"}}}}}},
    )
    siem.call("PUT", f"/{prefix}logs-full", {"settings": {"index.mapping.total_fields.limit": 3}})
    siem.call("PUT", f"/{prefix}logs-only", {"settings": {"index.blocks.read_only": True}})
    unblock = {"index.blocks.read_only": None}
    request.addfinalizer(lambda: siem.call("PUT", f"/{prefix}logs-only/_settings", unblock))
    siem.call("PUT", f"/{prefix}logs-shut")
    siem.call("POST", f"/{prefix}logs-shut/_close")
    before = picture(siem, prefix)
    planned = plan(siem, made_up(prefix))
    assert {(one.name, one.reason) for one in planned.left_out} == {
        (f"{prefix}logs-only", "read-only (index.blocks.read_only)"),
        (f"{prefix}logs-shut", "closed"),
    }
    assert [(k.field.field, k.where) for k in planned.kept] == [("hostname_info.host", (f"index {prefix}logs-text",))]
    calls = [step for step in planned.steps if step.kind in ("mapping", "settings")]
    assert len(calls) == 3  # one mapping for all, one for the index with a field of its own, one for the setting
    done = install(siem, planned)
    assert [one.name for one in done.left_out if "limit" in one.reason.lower()] == [f"{prefix}logs-full"]
    for name in (*names, "logs-text", "logs-full"):
        assert settings(each_place, name)["final_pipeline"] == f"{prefix}enrich"
    assert properties(each_place, "logs-text")["hostname_info"]["properties"]["host"] == {"type": "text"}
    again = plan(siem, made_up(prefix)).steps
    assert [step.names for step in again] == [(f"{prefix}logs-full",)]
    uninstall(siem, made_up(prefix))
    assert picture(siem, prefix) == before


@pytest.mark.parametrize("kind", ["index", "legacy", "composable", "component"])
def test_a_final_pipeline_of_somebody_else_is_refused_until_it_calls_ours(each_place: Place, kind: str) -> None:
    """Nothing is written, the place is named, and the processor that the message gives makes it work."""
    siem, prefix = each_place.siem, each_place.prefix
    siem.call("PUT", f"/_ingest/pipeline/{prefix}theirs", {"processors": [{"set": {"field": "theirs", "value": 1}}]})
    patterns, own = [f"{prefix}logs-*"], {"settings": {"index.final_pipeline": f"{prefix}theirs"}}
    if kind == "index":
        siem.call("PUT", f"/{prefix}logs-a", own)
    elif kind == "legacy":
        siem.call("PUT", f"/_template/{prefix}t", {"index_patterns": patterns, **own})
    elif kind == "composable":
        composable(each_place, "t", patterns, 5, template=own)
    else:
        siem.call("PUT", f"/_component_template/{prefix}c", {"template": own})
        composable(each_place, "t", patterns, 5, composed_of=[f"{prefix}c"])
    before = picture(siem, prefix)
    with pytest.raises(Refused, match=f"{prefix}theirs") as refused:
        plan(siem, made_up(prefix))
    snippet = next(line for line in str(refused.value).splitlines() if line.strip().startswith("{"))
    processors = [{"set": {"field": "theirs", "value": 1}}, json.loads(snippet)]
    siem.call("PUT", f"/_ingest/pipeline/{prefix}theirs", {"processors": processors})
    assert stored(each_place, "logs-a", {}) == {"theirs": 1}  # not installed yet: no event is refused
    done = install(siem, plan(siem, made_up(prefix)))
    assert done.steps and plan(siem, made_up(prefix)).steps == ()
    siem.call("DELETE", f"/{prefix}logs-a/_doc/1")
    event = stored(each_place, "logs-a", {})
    assert event["theirs"] == 1 and event["n"] == 1 and event["hunt"]["enriched"] == "v1"
    if kind != "index":
        assert settings(each_place, "logs-a")["final_pipeline"] == f"{prefix}theirs"
    with pytest.raises(Refused, match=f"{prefix}theirs"):
        uninstall(siem, made_up(prefix))
    siem.call("PUT", f"/_ingest/pipeline/{prefix}theirs", before["_ingest/pipeline"][f"{prefix}theirs"])
    uninstall(siem, made_up(prefix))
    after = picture(siem, prefix)
    assert {key: after[key] for key in after if key != "settings"} == {
        key: before[key] for key in before if key != "settings"
    }


def test_what_stays_is_said_and_state_can_be_kept(each_place: Place) -> None:
    """Uninstalling names stored fields and mappings; with keep_state our indices stay."""
    run(each_place)
    stored(each_place, "logs-dns-2026", {})
    planned = uninstall_plan(each_place.siem, made_up(each_place.prefix), keep_state=True)
    assert any(note.startswith("1 stored events") for note in planned.notes)
    assert any(f"{each_place.prefix}state" in note for note in planned.notes)
    uninstall(each_place.siem, made_up(each_place.prefix), keep_state=True)
    assert each_place.siem.exists(f"/{each_place.prefix}state")


def test_templates_of_ours_go_when_the_siem_changes_its_own(each_place: Place) -> None:
    """A composable template that appears later makes our legacy one needless, and back again."""
    siem, prefix = each_place.siem, each_place.prefix
    run(each_place)
    composable(each_place, "all", [f"{prefix}logs-*"], 10)
    kinds = [(step.action, step.kind) for step in plan(siem, made_up(prefix)).steps]
    assert kinds == [("create", "component template"), ("change", "index template"), ("delete", "legacy template")]
    run(each_place)
    assert plan(siem, made_up(prefix)).steps == ()
    siem.call("DELETE", f"/_index_template/{prefix}all")
    run(each_place)
    assert plan(siem, made_up(prefix)).steps == ()
    assert f"{prefix}events" not in picture(siem, prefix)["_component_template"]
    assert stored(each_place, "logs-dns-2026", {})["hunt"]["enriched"] == "v1"


def test_new_fields_of_our_state_are_added(each_place: Place) -> None:
    """A later version with one more field changes the mapping of that index only."""
    run(each_place)
    assets = made_up(each_place.prefix)
    name = f"{each_place.prefix}findings"
    newer = replace(assets, state={**assets.state, name: {**assets.state[name], "last": {"type": "date"}}})
    planned = plan(each_place.siem, newer)
    assert [(step.kind, step.names) for step in planned.steps] == [("mapping", (name,))]
    install(each_place.siem, planned)
    assert plan(each_place.siem, newer).steps == ()


def test_data_streams(place: Place) -> None:
    """The indices behind a stream run our pipeline, those of before and those of after; its template comes back."""
    siem, prefix = place.siem, place.prefix
    composable(place, "stream", [f"{prefix}logs-*"], 10, data_stream={})
    stream, event = f"{prefix}logs-dns", {"@timestamp": "2026-01-01T00:00:00Z"}
    siem.call("POST", f"/{stream}/_doc", event, refresh=True)
    before = siem.call("GET", f"/_index_template/{prefix}stream")
    run(place)
    assert plan(siem, made_up(prefix)).steps == ()
    siem.call("POST", f"/{stream}/_doc", event, refresh=True)
    siem.call("POST", f"/{stream}/_rollover")
    siem.call("POST", f"/{stream}/_doc", event, refresh=True)
    assert siem.count(stream, {"term": {"hunt.enriched": "v1"}}) == 2
    uninstall(siem, made_up(prefix))
    assert siem.call("GET", f"/_index_template/{prefix}stream") == before
    assert not siem.call("GET", f"/{stream}/_settings/index.final_pipeline")
