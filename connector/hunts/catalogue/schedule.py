"""Times and schedules as hunts write them: `10m`, or a cron line such as `0 6 * * 1-5`.

Promises: pure; a cron line means the local time of a zone, and daylight saving neither drops nor doubles a run (as
cron in Debian does it). Will not: wait.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cronsim import CronSim, CronSimError

from connector.settings.durations import duration

EVERY = timedelta(minutes=5)  # of a hunt that counts and says nothing


def schedule_problem(text: str) -> str | None:
    """Return what is wrong with a schedule, None if nothing is."""
    if duration(text):
        return None
    try:
        CronSim(text, datetime(2026, 1, 1))
    except CronSimError as error:
        return f"is {text!r}, which is neither a time such as 5m nor a cron line such as 0 6 * * 1-5: {error}"
    return None


def next_run(schedule: str | None, last: datetime) -> datetime:
    """Return when a hunt that was asked at `last` (with a zone) is to be asked again."""
    if schedule is None:
        return last + EVERY
    time = duration(schedule)
    return last + time if time else next(CronSim(schedule, last))
