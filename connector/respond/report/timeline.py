"""The timeline in numbers: which time it shows, and what is on which lane; pure.

Promises: every step that has a time is on it; decisions of another time are named beside it, so that a declaration made
weeks later does not press the events into a corner. Will not: draw (`picture.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from connector.respond.report.model import Activity, Decision, Lane, LaneName, Mark, Step, Stretch, Timeline
from connector.respond.report.texts import moment, shown, written

TITLES: dict[LaneName, str] = {
    "dns": "DNS and resolvers",
    "alerts": "Alerts",
    "web": "Web and TLS",
    "files": "Files",
    "beacons": "Command and control",
    "other": "Other protocols",
}
DECISIONS = "decisions"
LEAST = timedelta(minutes=10)  # of a time that is shown
AIR = 0.03  # of the time, before its first event and after its last


def timeline_of(steps: Sequence[Step], decisions: Sequence[Decision]) -> Timeline | None:
    """Return the timeline of a thread, without the host's other events; None if no step has a time."""
    span = _span(steps)
    if span is None:
        return None
    start, end = span
    lanes = [_lane(name, title, [step for step in steps if step.lane == name]) for name, title in TITLES.items()]
    marks = [Mark(at, None, _words(one)) for one in decisions if (at := _time(one.at))]
    inside = tuple(mark for mark in marks if start <= _moment(mark.at) <= end)
    decided = [Lane(DECISIONS, "Decisions", len(marks), inside, ())] if marks else []
    return Timeline(
        start=written(start),
        end=written(end),
        lanes=(*(lane for lane in lanes if lane.stretches or lane.marks), *decided),
        activity=None,
        before=tuple(mark for mark in marks if _moment(mark.at) < start),
        after=tuple(mark for mark in marks if _moment(mark.at) > end),
    )


def with_activity(timeline: Timeline, activity: Activity) -> Timeline:
    """Return the timeline with the host's events behind it; kinds of which it has events have a lane without steps."""
    there = {lane.name: lane for lane in timeline.lanes}
    quiet = (name for name in TITLES if name in activity.lanes and name not in there and name != "other")
    there |= {name: Lane(name, TITLES[name], 0, (), ()) for name in quiet}
    lanes = tuple(there[name] for name in (*TITLES, DECISIONS) if name in there)
    return replace(timeline, lanes=lanes, activity=activity)


def span_of(timeline: Timeline) -> tuple[datetime, datetime]:
    """Return the time that a timeline shows."""
    return _moment(timeline.start), _moment(timeline.end)


def _span(steps: Sequence[Step]) -> tuple[datetime, datetime] | None:
    """Return the time that shows all steps, with some air around; None without a time."""
    times = [at for step in steps for text in (step.first, step.last, *step.times) if (at := moment(text))]
    if not times:
        return None
    first, last = min(times), max(times)
    air = max((last - first) * AIR, (LEAST - (last - first)) / 2)
    return first - air, last + air


def _lane(name: LaneName, title: str, steps: Sequence[Step]) -> Lane:
    """Return the lane of some steps."""
    marks = [Mark(at, step.number, step.title) for step in steps for text in step.times if (at := _time(text))]
    stretches = [
        Stretch(step.number, step.tied, start, end, step.events)
        for step in steps
        if (start := _time(step.first)) and (end := _time(step.last))
    ]
    ordered = sorted(marks, key=lambda mark: (mark.at, mark.number or 0))
    return Lane(name, title, sum(step.events for step in steps), tuple(ordered), tuple(stretches))


def _time(text: str | None) -> str | None:
    """Return a time as a timeline has it, None if the text is none."""
    found = moment(text)
    return written(found) if found else None


def _moment(text: str) -> datetime:
    """Return the time of a text that `_time` made."""
    return datetime.fromisoformat(text)


def _words(decision: Decision) -> str:
    """Return a decision in a few words."""
    return shown(" ".join(filter(None, (decision.what, "by" if decision.by else "", decision.by))))
