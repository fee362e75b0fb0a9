"""Metrics of the service, as Prometheus reads them."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from connector import __version__
from connector.service.metrics import Metrics

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Clock:
    """A clock that a test sets."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"guided_hunts_{name}", labels)


def test_a_pass_is_counted_with_its_hunts():
    metrics = Metrics(Clock())
    metrics.pass_done(2.0, 1000, "live", [("dns", 5, 2, None), ("tls", 0, 0, "no such index")])
    metrics.pass_done(700.0, 10, "catch-up", [("dns", 1, 0, None)])
    assert value(metrics, "passes_total", kind="live") == value(metrics, "passes_total", kind="catch-up") == 1
    assert value(metrics, "passes_total", kind="again") == 0
    assert value(metrics, "events_total") == 1010
    assert value(metrics, "pass_duration_seconds_count") == 2 and value(metrics, "pass_duration_seconds_sum") == 702
    assert value(metrics, "pass_duration_seconds_bucket", le="600.0") == 1
    assert value(metrics, "last_pass_timestamp_seconds") == NOW.timestamp()
    assert (value(metrics, "hits_total", hunt="dns"), value(metrics, "findings_new_total", hunt="dns")) == (6, 2)
    assert (value(metrics, "hits_total", hunt="tls"), value(metrics, "hunt_errors_total", hunt="tls")) == (0, 1)


def test_a_hunt_fails_until_it_works_again():
    metrics = Metrics()
    metrics.pass_done(1, 1, "live", [("dns", 0, 0, "why")])
    assert value(metrics, "hunt_failing", hunt="dns") == 1
    metrics.pass_done(1, 1, "live", [("dns", 0, 0, None)])
    assert value(metrics, "hunt_failing", hunt="dns") == 0 and value(metrics, "hunt_errors_total", hunt="dns") == 1


def test_a_hunt_that_is_forgotten_leaves_no_series():
    metrics = Metrics()
    metrics.pass_done(1, 1, "live", [("gone", 1, 1, "why"), ("stays", 1, 1, None)])
    metrics.forget("gone")
    metrics.forget("never was")
    text = generate_latest(metrics.registry).decode()
    assert 'hunt="gone"' not in text and 'hunt="never was"' not in text and 'hunt="stays"' in text


def test_the_age_of_the_watermark_grows_while_nothing_is_done():
    clock = Clock()
    metrics = Metrics(clock)
    assert math.isnan(value(metrics, "watermark_age_seconds"))
    metrics.watermark(NOW - timedelta(seconds=60))
    assert value(metrics, "watermark_age_seconds") == 60
    clock.now += timedelta(hours=1)
    assert value(metrics, "watermark_age_seconds") == 3660
    metrics.watermark(None)
    assert math.isnan(value(metrics, "watermark_age_seconds"))


def test_what_is_around_the_loop():
    metrics = Metrics()
    for name in ("lease_held", "engine_reachable", "last_reload_successful", "content_problems"):
        assert value(metrics, name) == 0
    metrics.lease(True)
    metrics.engine_reachable(True)
    metrics.reload(True)
    metrics.problems(3)
    metrics.missing(3600, 2)
    metrics.late_events(4)
    metrics.audit_done()
    assert value(metrics, "lease_held") == value(metrics, "engine_reachable") == 1
    assert value(metrics, "last_reload_successful") == 1 and value(metrics, "content_problems") == 3
    assert (value(metrics, "missing_window_seconds"), value(metrics, "missing_window_hunts")) == (3600, 2)
    assert (value(metrics, "late_events_total"), value(metrics, "audits_total")) == (4, 1)
    metrics.lease(False)
    assert value(metrics, "lease_held") == 0


def test_the_first_delivery_that_fails_for_good_is_seen_as_an_increase():
    metrics = Metrics()
    metrics.delivery("soar", "waiting")
    assert value(metrics, "deliveries_total", receiver="soar", result="failed") == 0
    metrics.delivery("soar", "failed")
    assert value(metrics, "deliveries_total", receiver="soar", result="failed") == 1
    assert value(metrics, "deliveries_total", receiver="soar", result="waiting") == 1


def test_each_service_counts_for_itself():
    before = {metric.name for metric in REGISTRY.collect()}
    one, other = Metrics(), Metrics()
    one.late_events(1)
    assert value(one, "late_events_total") == 1 and value(other, "late_events_total") == 0
    assert {metric.name for metric in REGISTRY.collect()} == before


def test_a_hunt_has_no_more_than_its_four_series():
    metrics = Metrics()
    before = len(generate_latest(metrics.registry).splitlines())
    metrics.pass_done(1, 1, "live", [("dns", 1, 1, None)])
    assert len(generate_latest(metrics.registry).splitlines()) == before + 4


def test_version_and_process_are_told():
    metrics = Metrics()
    assert value(metrics, "build_info", version=__version__) == 1
    assert metrics.registry.get_sample_value("process_resident_memory_bytes") > 0
    assert "python_info" in generate_latest(metrics.registry).decode()


@pytest.mark.parametrize(("write", "read"), [(generate_latest, read_text), (generate_openmetrics, read_openmetrics)])
def test_both_formats_can_be_read_whatever_a_hunt_is_called(write, read):
    metrics = Metrics()
    evil = 'a"} 1\n# {\\'
    metrics.pass_done(1, 1, "live", [(evil, 7, 0, None)])
    families = {family.name: family for family in read(write(metrics.registry).decode())}
    [hits] = [sample for sample in families["guided_hunts_hits"].samples if sample.name.endswith("_total")]
    assert hits.labels == {"hunt": evil} and hits.value == 7
    for family in families.values():
        assert family.documentation.endswith(".") or not family.name.startswith("guided_hunts")
