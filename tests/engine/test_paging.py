"""Paging loses no hit and repeats none, whatever the number of indices and shards."""

import pytest
from conftest import Place

DOCUMENTS = 700


@pytest.mark.parametrize("sort", [[], [{"same": "asc"}]])
def test_every_document_of_many_indices_is_paged_once(each_place: Place, sort: list[dict[str, str]]) -> None:
    siem, prefix = each_place.siem, each_place.prefix
    lines: list[dict[str, object]] = []
    for index, shards in (("a", 1), ("b", 1), ("c", 3)):
        siem.call("PUT", f"/{prefix}{index}", {"settings": {"number_of_shards": shards, "number_of_replicas": 0}})
        for number in range(DOCUMENTS):
            lines += [{"create": {"_index": f"{prefix}{index}", "_id": str(number)}}, {"same": 1}]
    assert siem.bulk(lines, refresh="true") == []
    found = [
        (hit["_index"], hit["_id"]) for hit in siem.scan(f"{prefix}*", {"query": {"match_all": {}}, "sort": sort}, 50)
    ]
    assert len(found) == len(set(found)) == 3 * DOCUMENTS
