"""What hunts have not looked at though they should have, as `hunts gaps` and `hunts status` say it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.needs import Count
from connector.hunts.passes.watermark import CENSUS, State
from connector.service.status import found_gaps
from connector.settings.model import ServiceSettings, Settings

MINUTE = 60_000
SERVICE = ServiceSettings(every=timedelta(minutes=1), lag=timedelta(minutes=1))
BASE = load_catalogue(Settings()).named("public-dns-queries")
ONE, TWO = (replace(BASE, id=name, name=f"hunt-{name}") for name in ("one", "two"))
COUNTS = replace(BASE, id="counts", name="hunt-counts", needs=Count(3), schedule="10m")


def gaps(state: State, *hunts, minute: float = 100, broken: bool = False) -> list[tuple[float, float, str, str]]:
    """Return the gaps so many minutes after the epoch, as minutes, reason and hunts."""
    now = datetime.fromtimestamp(minute * 60, UTC)
    found = found_gaps(state, hunts or (ONE, TWO), SERVICE, broken, now)
    return [(g.start.timestamp() / 60, g.end.timestamp() / 60, g.why, " ".join(g.hunts)) for g in found]


def state(watermark: float, *hunts: str, **missing: tuple[float, float]) -> State:
    """Return how far passes are, in minutes, for all hunts that are named."""
    stretches = {id: ((round(start * MINUTE), round(end * MINUTE)),) for id, (start, end) in missing.items()}
    return State(round(watermark * MINUTE), 0, stretches, hunts=hunts or ("one", "two"))


def test_what_the_next_pass_is_for_is_no_gap() -> None:
    assert gaps(state(98)) == gaps(state(98.5, one=(97.5, 98.5))) == []


def test_while_no_pass_is_made_a_gap_grows() -> None:
    assert gaps(state(50)) == [(50, 99, "no pass has come so far", "hunt-one hunt-two")]


def test_what_was_missed_is_one_from_where_it_begins() -> None:
    assert gaps(state(98, one=(10, 40))) == [(10, 40, "not looked at yet", "hunt-one")]


def test_a_hunt_that_fails_is_named_at_once_with_the_reason() -> None:
    failing = replace(state(98, one=(97, 98)), last={"one": {"error": "no such thing"}})
    assert gaps(failing) == [(97, 99, "it failed: no such thing", "hunt-one")]


def test_what_is_to_be_looked_at_again_says_so() -> None:
    again = state(98).with_again([CENSUS, "two"], (60 * MINUTE, 70 * MINUTE))
    assert gaps(again) == [(60, 70, "to be looked at again", "hunt-two")]


def test_a_hunt_that_waits_for_its_schedule_has_none_until_it_is_due() -> None:
    waiting = state(98, "counts", counts=(90, 98))
    assert gaps(waiting, COUNTS) == []
    assert gaps(waiting, COUNTS, minute=104) == [(90, 103, "not looked at yet", "hunt-counts")]


def test_a_hunt_whose_file_is_broken_keeps_its_gap_and_one_that_was_deleted_has_none() -> None:
    lacking = state(98, "one", "two", "three", three=(20, 98))
    assert gaps(lacking, broken=True) == [(20, 99, "its file is broken or gone", "three")]
    assert gaps(lacking) == []
