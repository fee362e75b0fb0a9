"""How many events a host had when, by lane of the timeline: what the steps of the thread stand out from.

Promises: one search a source, of a bounded number of bins. Will not: fetch an event.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.enrich.dialects import stored_name
from connector.hunts.asking.questions import during
from connector.hunts.conditions.condition import Any as AnyOf
from connector.hunts.conditions.condition import Equals
from connector.hunts.conditions.query import compile_query
from connector.respond.evidence.asking import Desk
from connector.respond.report.model import Activity, Bin, LaneName
from connector.respond.report.texts import written
from connector.settings.model import Settings
from connector.siem.client import Siem

Json = dict[str, Any]
BINS = 96
TYPES = 50  # event types of one answer
WIDTHS = (1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
DAY = 86400
BY_TYPE: dict[str, LaneName] = {
    **{"dns": "dns", "mdns": "dns", "alert": "alerts", "fileinfo": "files"},
    **dict.fromkeys(("http", "http2", "tls", "quic"), "web"),
}
NOT_COUNTED = ("flow", "netflow", "stats")  # each repeats what another event tells


def activity_of(siem: Siem, settings: Settings, host: str, start: datetime, end: datetime) -> Activity:
    """Return the events of a host from a time to a time, in bins. Raises SiemError."""
    seconds = width(end - start)
    found: dict[str, Counter[int]] = {}
    condition = AnyOf(tuple(Equals(name, (host,)) for name in ("hunt.client.ip", "hunt.server.ip")))
    for source, fields in Desk.open(siem, settings).sources:
        compiled = compile_query(condition, fields, source.dialect)
        kind = fields.exact(stored_name("event_type", source.dialect))
        if not compiled.answerable or kind is None:
            continue
        query = {"bool": {"filter": [compiled.query, *during(source, start, end + timedelta(milliseconds=1))]}}
        histogram = {"field": source.time_field, "fixed_interval": f"{seconds}s", "min_doc_count": 1}
        inner = {"times": {"date_histogram": histogram}}
        aggs = {"kinds": {"terms": {"field": kind, "size": TYPES}, "aggs": inner}}
        answer = siem.search(source.pattern, {"size": 0, "query": query, "aggs": aggs})
        _add(found, answer.get("aggregations", {}))
    return Activity(seconds, {lane: _bins(times) for lane, times in sorted(found.items())})


def width(length: timedelta) -> int:
    """Return the seconds of a bin, so that a time has at most about a hundred of them."""
    wanted = length.total_seconds() / BINS
    days = max(1, -(-int(wanted) // DAY))
    return next((seconds for seconds in WIDTHS if seconds >= wanted), days * DAY)


def _add(found: dict[str, Counter[int]], aggregations: Json) -> None:
    """Add the bins of an answer to their lanes."""
    for kind in aggregations.get("kinds", {}).get("buckets", ()):
        name = str(kind["key"]).lower()
        if name in NOT_COUNTED:
            continue
        times = found.setdefault(BY_TYPE.get(name, "other"), Counter())
        for bucket in kind["times"]["buckets"]:
            times[int(bucket["key"])] += int(bucket["doc_count"])


def _bins(times: Counter[int]) -> tuple[Bin, ...]:
    """Return bins in the order of time; the engine counts from 1970 in milliseconds."""
    return tuple(Bin(written(datetime.fromtimestamp(at / 1000, UTC)), events) for at, events in sorted(times.items()))
