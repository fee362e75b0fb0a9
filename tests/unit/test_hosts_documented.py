"""docs/hosts.md and the mapping of our index say of profiles what the table of attributes says."""

from pathlib import Path

from connector.enrich.dialects import stored_name
from connector.hosts.attributes import ATTRIBUTES, CLIENT, NUMBERS, SERVER, Origin
from connector.hosts.shape import ROLES
from connector.hunts.catalogue.format import hunt_schema
from connector.hunts.conditions import host_fields
from connector.siem.state import HOST_LISTS, HOST_NUMBERS, STATE_MAPPINGS

DOCUMENT = Path(__file__).parents[2] / "docs" / "hosts.md"
SIDES = {CLIENT: "client", SERVER: "server", "src_ip": "sender", "reverse": "the name asked"}


def lines() -> list[str]:
    """Return the rows that the document's tables must have."""
    return [*map(attribute_line, ATTRIBUTES), *number_lines(), *(f"| {r.name} | {r.rule} |" for r in ROLES)]


def attribute_line(attribute) -> str:
    """Return the row of a list."""
    keys = ", ".join(f"`{key}`" for key in attribute.keys)
    origins = "<br>".join(map(origin_text, attribute.origins))
    return f"| `{attribute.path}` | {keys} | {attribute.meaning} | {origins} |"


def origin_text(origin: Origin) -> str:
    """Return where values come from: types, whose, fields in EVE and in ECS, conditions, since which Suricata."""
    names = [name.rstrip("?") for name in origin.fields]
    ecs = [stored_name(name, "ecs") for name in names]
    fields = ", ".join(
        f"`{name}`" + (f" (ECS `{other}`)" if other not in (name, f"suricata.eve.{name}") else "")
        for name, other in zip(names, ecs, strict=True)
    )
    side = SIDES.get(origin.of, f"`{origin.of}`")
    conditions = "".join(f", if `{name}` is {' or '.join(texts)}" for name, texts in origin.where.items())
    return f"{', '.join(origin.events)} of {side}: {fields}{conditions}; Suricata {origin.since}+"


def number_lines() -> list[str]:
    """Return the rows of the numbers."""
    rows = {}
    for number in NUMBERS:
        what = f"`{number.sums}`" if number.sums else "events"
        conditions = "".join(f", if `{name}` is {' or '.join(texts)}" for name, texts in number.where.items())
        rows.setdefault((number.path, number.meaning), []).append(
            f"{what} of {', '.join(number.events)} as {SIDES[number.of]}{conditions}"
        )
    return [f"| `{path}` | {meaning} | {' + '.join(whats)} |" for (path, meaning), whats in rows.items()]


def test_the_document_has_every_attribute_and_no_other():
    there = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert [line for line in there if not line.startswith(("| attribute", "| number", "| role"))] == lines()


def test_there_are_more_than_sixty():
    assert len(ATTRIBUTES) + len({number.path for number in NUMBERS}) > 60
    assert len({attribute.path for attribute in ATTRIBUTES}) == len(ATTRIBUTES)


def test_the_mapping_has_every_attribute():
    lists = {a.path: a.keys for a in ATTRIBUTES if not a.path.startswith("services")}
    served = tuple(a.keys[2] for a in ATTRIBUTES if a.path.startswith("services"))
    assert {**lists, "roles": ("name",), "services.values": served} == HOST_LISTS
    assert set(HOST_NUMBERS) == {number.path for number in NUMBERS}
    own = STATE_MAPPINGS["hosts"]["host_id"]["properties"]
    assert own["http"]["properties"]["user_agent"]["properties"]["agent"]["type"] == "keyword"
    assert own["http"]["properties"]["user_agent_count"]["type"] == "long"


def test_hunts_can_ask_for_the_roles_there_are_and_for_what_the_index_has():
    assert tuple(role.name for role in ROLES) == host_fields.ROLES
    case = hunt_schema()["$defs"]["host"]["properties"]
    assert tuple(case["roles"]["items"]["enum"]) == host_fields.ROLES
    assert case.keys() == host_fields.ATTRIBUTES.keys()
    for stored, kind in host_fields.ATTRIBUTES.values():
        mapping = {"properties": STATE_MAPPINGS["hosts"]}
        for name in stored.split("."):
            mapping = mapping["properties"][name]
        assert mapping["type"] == kind
