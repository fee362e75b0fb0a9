"""The mapping of our fields: complete, documented, and nothing that the script does not write."""

import re

from connector.content import content_folder
from connector.enrich.fields import KEYWORD_LIMIT, TYPES, event_properties, field_words


def documented() -> set[str]:
    """Return the fields of the README's table."""
    text = (content_folder("ingest-pipelines") / "README.md").read_text(encoding="utf-8")
    found: set[str] = set()
    for line in text.split("## The fields", 1)[1].split("\n## ")[0].splitlines():
        holder = ""
        for name in re.findall(r"`([a-z_.]+)`", line.split("|")[1]) if line.startswith("| `") else []:
            full = name if not name.startswith(".") else holder + name
            holder = full.rpartition(".")[0]
            found.add(full)
    return found


def test_every_field_is_documented() -> None:
    assert documented() == set(field_words())


def test_no_value_can_be_too_long_for_the_index() -> None:
    assert KEYWORD_LIMIT * 4 < 32766
    keywords = [kind for kind in TYPES.values() if kind["type"] == "keyword"]
    assert keywords and all(kind["ignore_above"] == KEYWORD_LIMIT for kind in keywords)


def test_what_other_screens_read_has_the_sub_field() -> None:
    host = event_properties()["hostname_info"]["properties"]["host"]
    assert host["type"] == "keyword" and host["fields"]["keyword"]["type"] == "keyword"
