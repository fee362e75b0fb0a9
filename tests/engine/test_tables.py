"""`hunts tables refresh` on a real engine: prints what differs, writes it once, and then finds nothing to do."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from connector.enrich.pipeline import enrich_pipelines
from connector.enrich.refresh import refresh_tables
from connector.enrich.tables import build_tables
from connector.errors import Refused
from connector.settings.load import load_settings
from connector.settings.model import ApprovedResolver
from tests.conftest import Place


def test_refresh_prints_and_writes_the_difference_once(place: Place) -> None:
    settings = replace(load_settings(None, {}), prefix=place.prefix)
    with pytest.raises(Refused, match="hunts install"):
        refresh_tables(place.siem, settings, write=True)
    for name, body in enrich_pipelines(build_tables(settings), place.prefix).items():
        place.siem.call("PUT", f"/_ingest/pipeline/{name}", body)
    assert refresh_tables(place.siem, settings, write=True).changes == ()

    more = ApprovedResolver("dns3", (ip_network("10.0.0.55"),))
    changed = replace(settings, approved=(*settings.approved, more))
    seen = refresh_tables(place.siem, changed, write=False)
    assert not seen.written and {c.table for c in seen.changes} >= {"v4", "records"}
    assert refresh_tables(place.siem, changed, write=True).written
    after = refresh_tables(place.siem, changed, write=True)
    assert after.changes == () and after.before == after.after == seen.after
