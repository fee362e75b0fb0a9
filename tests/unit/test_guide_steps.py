"""The guide of a hunt: what a finding's values make of its steps."""

from dataclasses import replace
from typing import Any

import pytest

from connector.enrich.dialects import stored_name
from connector.errors import Refused
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.conditions import condition as c
from connector.hunts.conditions.fields import Fields
from connector.hunts.conditions.predicate import predicate
from connector.hunts.conditions.query import compile_query
from connector.hunts.passes.guide import bound, finding_values, hunt_of, unbound
from connector.hunts.passes.listing import Finding
from connector.settings.model import Settings

CATALOGUE = load_catalogue(Settings())
HOST = c.Equals("hunt.client.ip", (c.Reference("hunt.client.ip"),))
NAME = c.Equals("hostname_info.host", ("fixed.example", c.Reference("hostname_info.host")))


def finding(**more: Any) -> Finding:
    """Return a finding of one client and two names."""
    values = {"hunt.client.ip": ["192.0.2.1", "192.0.2.2"], "hostname_info.host": ["a.example", "b.example"]}
    said: dict[str, Any] = {"id": "f1", "hunt": "h", "hunt_id": "i", "title": "H", "severity": "low", "status": "open"}
    group = {"hunt.client.ip": "192.0.2.1", "tls.sni": None}
    times = {"first": None, "last": None, "made": "", "updated": "", "department": (), "network": ()}
    kept = {"count": 1, "cut": (), "events_not_kept": 0}
    return Finding(**{**said, "group": group, **times, **kept, "values": values, **more})


def test_the_group_of_a_finding_is_the_value_it_is_for_and_other_fields_have_all_they_keep() -> None:
    assert finding_values(finding()) == {
        "hunt.client.ip": ["192.0.2.1"],
        "hostname_info.host": ["a.example", "b.example"],
        "tls.sni": [],
    }


def test_all_values_of_a_field_take_the_place_of_its_reference_wherever_it_stands() -> None:
    condition = c.All((c.Any((HOST, c.Exists("tls"))), c.None_((NAME,))))
    filled = bound(condition, finding_values(finding()))
    own = c.Equals("hunt.client.ip", ("192.0.2.1",))
    names = c.Equals("hostname_info.host", ("fixed.example", "a.example", "b.example"))
    assert filled == c.All((c.Any((own, c.Exists("tls"))), c.None_((names,))))
    matches = predicate(c.All((own, names)))
    assert matches({"hunt": {"client": {"ip": "192.0.2.1"}}, "hostname_info": {"host": "b.example"}})
    assert not matches({"hunt": {"client": {"ip": "192.0.2.2"}}, "hostname_info": {"host": "b.example"}})


def test_a_reference_without_a_value_is_named_and_no_compiler_takes_it() -> None:
    values = finding_values(finding())
    condition = c.All((HOST, c.Equals("tls.sni", (c.Reference("tls.sni"),)), c.Equals("x", (c.Reference("x"),))))
    assert unbound(condition, values) == ("tls.sni", "x")
    with pytest.raises(Refused, match=r"\$tls.sni has no value yet"):
        predicate(bound(condition, values))


def test_a_hunt_is_found_by_its_id_whatever_its_name_is_now() -> None:
    hunt = CATALOGUE.named("public-dns-queries")
    assert hunt_of(finding(hunt="as-it-was", hunt_id=hunt.id), CATALOGUE) is hunt


def test_a_finding_whose_hunt_is_gone_says_so() -> None:
    with pytest.raises(Refused, match=r"the hunt gone \(id 1-2\), which is not in the catalogue any more") as error:
        hunt_of(finding(hunt="gone", hunt_id="1-2"), CATALOGUE)
    assert "hunts check" not in str(error.value)
    with pytest.raises(Refused, match="`hunts check` says what is wrong"):
        hunt_of(finding(), replace(CATALOGUE, problems=(object(),)))  # type: ignore[arg-type]


@pytest.mark.parametrize("hunt", CATALOGUE.hunts, ids=lambda hunt: hunt.name)
def test_every_step_of_every_guide_compiles_with_values(hunt: Hunt) -> None:
    values = {name: ["192.0.2.1", "a.example"] for name in hunt.fields}
    for step in hunt.guide:
        assert unbound(step.look.match, values) == ()
        condition = c.All((c.Equals("event_type", step.look.event_types), bound(step.look.match, values)))
        assert c.references(condition) == ()
        for dialect in ("eve", "ecs"):
            stored = {stored_name(name, dialect) for name in c.field_names(condition)}
            fields = Fields({name: frozenset(("keyword", "ip", "long")) for name in stored}, frozenset(stored))
            assert compile_query(condition, fields, dialect).answerable or c.empty_lists(condition)
