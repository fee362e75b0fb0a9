"""Lengths of time as people write them in hunts, settings and options: `90s`, `10m`, `24h`, `7d`.

Promises: pure; what `span` writes `duration` reads. Will not: read cron lines (`hunts/catalogue/schedule.py` does).
"""

from __future__ import annotations

import re
from datetime import timedelta

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
NONE = "0s"


def duration(text: str) -> timedelta | None:
    """Return the time that `90s`, `10m`, `1h` or `7d` means; None for anything else."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", text)
    return timedelta(**{UNITS[found[2]]: int(found[1])}) if found else None


def duration_or_zero(text: str) -> timedelta | None:
    """Return the time that a text means, where `0s` is one, too; None for anything else."""
    return timedelta() if text == NONE else duration(text)


def span(time: timedelta) -> str:
    """Return a time, which may be zero, as it is written."""
    seconds = time.total_seconds()
    units = (("d", 86400), ("h", 3600), ("m", 60))
    return next((f"{seconds / size:.0f}{u}" for u, size in units if seconds and seconds % size == 0), f"{seconds:.0f}s")
