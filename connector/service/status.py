"""How the service and every hunt are doing, as the SIEM has it: for `hunts status` and `hunts gaps`, from any machine.

Promises: reads only; says of each hunt when it was last asked, how far it is and what it had, of the lag what it must
cover as measured now, of each stretch of time that was not looked at whose it is and why. Will not: ask the service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connector.errors import Refused
from connector.hunts.asking.mapped import INGESTED
from connector.hunts.asking.questions import Json, during
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import DAY
from connector.hunts.passes.intervals import Stretch, total
from connector.hunts.passes.ledger import Ledger
from connector.hunts.passes.passes import EPOCH
from connector.hunts.passes.todo import due
from connector.hunts.passes.watermark import CENSUS, State, read_state
from connector.service.lease import LeaseSeen, read_lease
from connector.settings.model import ServiceSettings, Settings
from connector.siem.client import Siem
from connector.siem.delays import Delays, measured_delays

RECENT = 5  # passes shown
LATE = 2  # passes: what is missing for no longer is no gap yet
MILLISECOND = timedelta(milliseconds=1)
SILENT = 2  # leases long, after which the service is taken for gone


@dataclass(frozen=True)
class ActiveService:
    """The service that has the lease: where, since when, and when it renewed it; `silent` if that is too long ago."""

    host: str
    pid: int
    version: str
    since: datetime
    renewed: datetime
    lease_seconds: float
    silent: bool


@dataclass(frozen=True)
class HuntStatus:
    """One hunt: when it was asked last, up to when it has looked at all events, and what it had when last asked.

    `behind_s` is how far that is behind now, `missing_s` how much it has still to look at. `error` says why it failed,
    `trouble` why it may find nothing.
    """

    id: str
    name: str
    severity: str
    asked: datetime | None
    upto: datetime
    behind_s: float
    missing_s: float
    hits: int
    new: int
    took_ms: int
    trouble: str
    error: str | None


@dataclass(frozen=True)
class Gap:
    """A stretch of time that hunts have not looked at though they should have, and why."""

    start: datetime
    end: datetime
    why: str
    hunts: tuple[str, ...]


@dataclass(frozen=True)
class Status:
    """Everything: the active service (None if there is none), passes, gaps, the lag, hunts, what is wrong in files.

    `not_enriched` are events of the last day that no pass sees, because the SIEM stored them without our pipeline.
    """

    now: datetime
    service: ActiveService | None
    watermark: datetime | None
    age_s: float | None
    lag_s: float
    delays: Delays
    passes: tuple[Json, ...]
    hunts: tuple[HuntStatus, ...]
    gaps: tuple[Gap, ...]
    problems: tuple[str, ...]
    not_enriched: int

    @property
    def failing(self) -> tuple[HuntStatus, ...]:
        """Return the hunts that failed when they were last asked."""
        return tuple(hunt for hunt in self.hunts if hunt.error)


def status(siem: Siem, settings: Settings, hunts: Sequence[Hunt], problems: Iterable[str], now: datetime) -> Status:
    """Return how everything is; SiemError if the engine does not say."""
    found = read_state(siem, settings.state("state"))
    state, told = found[0] if found else None, tuple(problems)
    watermark = _moment(state.watermark) if state else None
    return Status(
        now=now,
        service=active_service(siem, settings, now),
        watermark=watermark,
        age_s=(now - watermark).total_seconds() if watermark else None,
        lag_s=settings.service.lag.total_seconds(),
        delays=measured_delays(siem, settings.events),
        passes=Ledger(siem, settings.state("runs")).newest(RECENT),
        hunts=tuple(_hunt(hunt, state, now) for hunt in hunts) if state else (),
        gaps=found_gaps(state, hunts, settings.service, bool(told), now) if state else (),
        problems=told,
        not_enriched=_not_enriched(siem, settings, now),
    )


def _not_enriched(siem: Siem, settings: Settings, now: datetime) -> int:
    """Return how many events of the last day have no stamp of ours."""
    absent = {"bool": {"must_not": {"exists": {"field": INGESTED}}}}
    days = [(source.pattern, during(source, now - DAY, None)) for source in settings.sources]
    return sum(siem.count(pattern, {"bool": {"filter": [absent, *day]}}) for pattern, day in days)


def active_service(siem: Siem, settings: Settings, now: datetime) -> ActiveService | None:
    """Return the service that has the lease, None if none has."""
    seen = read_lease(siem, settings.state("state"))
    return _active(seen, now) if seen and seen.holder else None


def check_no_service(siem: Siem, settings: Settings, now: datetime) -> None:
    """Raise Refused if a service does the passes."""
    active = active_service(siem, settings, now)
    if active and not active.silent:
        where = f"process {active.pid} on {active.host}"
        raise Refused(f"a service does the passes ({where}): `hunts status` shows it; stop it to make passes by hand")


def gaps(siem: Siem, settings: Settings, hunts: Sequence[Hunt], broken: bool, now: datetime) -> tuple[Gap, ...]:
    """Return what was not looked at, the oldest first; hunts that wait for their schedule have no gap.

    `broken` says that files of hunts are, so that a hunt that is not here may be in one.
    """
    found = read_state(siem, settings.state("state"))
    return found_gaps(found[0], hunts, settings.service, broken, now) if found else ()


def found_gaps(
    passes: State, hunts: Sequence[Hunt], service: ServiceSettings, broken: bool, now: datetime
) -> tuple[Gap, ...]:
    """Return the gaps there are when passes are so far; what the pass at work and the next one are for is none."""
    named: dict[tuple[Stretch, str], list[str]] = {}
    upto = (now - service.lag - EPOCH) // MILLISECOND
    state = passes.until(upto, [hunt.id for hunt in hunts], broken)
    for hunt in hunts:
        for stretch in state.of(hunt.id) if due(hunt, state, service.lag, now) else ():
            if why := _why(passes, hunt, stretch, upto - LATE * service.every // MILLISECOND):
                named.setdefault((stretch, why), []).append(hunt.name)
    gone = [id for id in state.missing if id not in {CENSUS, *(hunt.id for hunt in hunts)}]
    for id in gone:
        for stretch in state.of(id):
            named.setdefault((stretch, "its file is broken or gone"), []).append(id)
    ordered = sorted(named.items(), key=lambda item: (item[0][0], -len(item[1])))
    return tuple(Gap(_moment(s[0]), _moment(s[1]), why, tuple(names)) for (s, why), names in ordered)


def _why(passes: State, hunt: Hunt, stretch: Stretch, recent: int) -> str:
    """Return why a hunt has not looked at a stretch; empty if it is recent and passes are about to."""
    if error := passes.last.get(hunt.id, {}).get("error"):
        return f"it failed: {error}"
    if passes.is_again(hunt.id, stretch):
        return "to be looked at again"
    if stretch[0] >= recent:
        return ""
    return "no pass has come so far" if stretch[0] >= passes.watermark else "not looked at yet"


def _active(seen: LeaseSeen, now: datetime) -> ActiveService | None:
    """Return the holder of a lease as it is shown."""
    holder = seen.holder
    if holder is None:
        return None
    silent = now - seen.updated > SILENT * seen.ttl
    times = (holder.since, seen.updated, seen.ttl.total_seconds())
    return ActiveService(holder.host, holder.pid, holder.version, *times, silent)


def _hunt(hunt: Hunt, state: State, now: datetime) -> HuntStatus:
    """Return how one hunt is."""
    last: Mapping[str, Json] = state.last
    own = last.get(hunt.id, {})
    upto = _moment(state.done_until(hunt.id))
    asked = datetime.fromisoformat(own["at"]) if own else None
    return HuntStatus(
        id=hunt.id,
        name=hunt.name,
        severity=hunt.severity,
        asked=asked,
        upto=upto,
        behind_s=(now - upto).total_seconds(),
        missing_s=total(state.of(hunt.id)) / 1000,
        hits=own.get("hits", 0),
        new=own.get("new", 0),
        took_ms=own.get("took_ms", 0),
        trouble=own.get("trouble", ""),
        error=own.get("error"),
    )


def _moment(milliseconds: int) -> datetime:
    """Return epoch milliseconds as a moment."""
    return EPOCH + timedelta(milliseconds=milliseconds)
