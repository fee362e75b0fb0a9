"""What comes after an attempt to deliver."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.respond.deliveries.decision import (
    ATTEMPTS,
    Again,
    Answer,
    Delivered,
    GivenUp,
    NoAnswer,
    next_step,
    pause_after,
    retry_after,
)

NOW = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_is_delivered(status):
    assert next_step(Answer(status), ATTEMPTS, 0.5) == Delivered(f"answered {status}")


@pytest.mark.parametrize("outcome", [Answer(500), Answer(503), Answer(429), Answer(408), Answer(599), NoAnswer("no")])
def test_what_may_pass_is_tried_again_until_the_last_attempt(outcome):
    for attempt in range(1, ATTEMPTS):
        assert isinstance(next_step(outcome, attempt, 0.5), Again)
    assert isinstance(last := next_step(outcome, ATTEMPTS, 0.5), GivenUp)
    assert "at the last of 10 attempts" in last.why
    assert last.advice


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 422])
def test_what_repeating_cannot_change_is_given_up_with_advice(status):
    step = next_step(Answer(status, "no such hook"), 1, 0.5)
    assert isinstance(step, GivenUp)
    assert step.why == f"answered {status} (no such hook)"
    assert step.advice


def test_what_is_hopeless_is_given_up():
    assert isinstance(next_step(NoAnswer("points to another place", hopeless=True), 1, 0.5), GivenUp)


def test_the_receiver_says_when_but_never_sooner_than_we_would():
    asked = Answer(429, retry_after=timedelta(minutes=7))
    assert next_step(asked, 1, 0.5) == Again("answered 429", timedelta(minutes=7), timedelta(minutes=7))
    assert next_step(Answer(503, retry_after=timedelta(0)), 1, 0.5) == Again("answered 503", timedelta(seconds=5))
    far = next_step(Answer(503, retry_after=timedelta(days=400)), 1, 0.5)
    assert far == Again("answered 503", timedelta(days=1), timedelta(days=1))


@given(st.integers(1, ATTEMPTS), st.floats(0, 1))
def test_pauses_stay_within_a_fifth_and_never_pass_seven_hours_and_a_bit(attempt, chance):
    middle = pause_after(attempt, 0.5)
    assert 0.79 * middle <= pause_after(attempt, chance) <= 1.21 * middle
    assert timedelta(seconds=4) <= pause_after(attempt, chance) <= timedelta(hours=7.3)


def test_an_hour_of_outage_is_survived_and_a_day_is_the_end():
    shortest = [pause_after(attempt, 0.0) for attempt in range(1, ATTEMPTS)]
    assert shortest == sorted(shortest)
    assert timedelta(hours=12) < sum(shortest, timedelta()) < timedelta(days=2)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("120", timedelta(minutes=2)),
        (" 7 ", timedelta(seconds=7)),
        ("9" * 40, timedelta(days=1)),
        ("Mon, 02 Nov 2026 10:03:00 GMT", timedelta(minutes=3)),
        ("Mon, 02 Nov 2026 09:00:00 GMT", timedelta(0)),
    ],
)
def test_retry_after_in_both_forms(header, wanted):
    assert retry_after(header, NOW) == wanted
