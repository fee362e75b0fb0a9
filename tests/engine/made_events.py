"""Made-up events in a test's own indices, hunts to ask of them, and a wire that is cut or disturbed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from connector.enrich.fields import event_properties
from connector.errors import Unreachable
from connector.hunts.catalogue.catalogue import load_catalogue
from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.catalogue.needs import Count, Distinct, Needs
from connector.hunts.conditions.condition import All, Condition, Equals
from connector.settings.model import Settings, SiemSettings, Source
from connector.siem.client import Siem
from connector.siem.state import STATE_MAPPINGS
from connector.siem.wire import Wire
from tests.conftest import Place

DAY = datetime(2026, 11, 2, 8, tzinfo=UTC)
ASKED: Condition = Equals("hunt.dns.message", ("query",))
BASE = load_catalogue(Settings()).named("public-dns-queries")


def settings_in(place: Place, *names: str) -> Settings:
    """Return settings whose sources are indices of the test's own, one for each name; our own indices are made."""
    sources = tuple(Source(f"{place.prefix}{name}-*") for name in names or ("logs",))
    settings = Settings(SiemSettings((place.url,)), embedded=False, sources=sources, prefix=place.prefix)
    make_state(place.siem, settings)
    for source in sources:
        mapping = {**event_properties(), "@timestamp": {"type": "date"}, "event_type": {"type": "keyword"}}
        place.siem.call("PUT", f"/{source.pattern[:-1]}1", {"mappings": {"properties": mapping}})
    return settings


def make_state(siem: Siem, settings: Settings) -> None:
    """Make our own indices."""
    for name, properties in STATE_MAPPINGS.items():
        siem.call("PUT", f"/{settings.state(name)}", {"mappings": {"dynamic": False, "properties": properties}})


def event(second: float, came: int = 1, client: Any = "192.0.2.1", domain: str = "example.org") -> dict[str, Any]:
    """Return an event `second` seconds into the day, first written at `came` milliseconds."""
    ours: dict[str, Any] = {"ingested": came, "client": {"ip": client}, "dns": {"message": "query"}}
    time = (DAY + timedelta(seconds=second)).isoformat()
    return {"@timestamp": time, "event_type": "dns", "hunt": ours, "hostname_info": {"domain": domain}}


def put_events(place: Place, events: Iterable[Mapping[str, Any]], name: str = "logs") -> None:
    """Write the events."""
    lines = [line for each in events for line in ({"index": {"_index": f"{place.prefix}{name}-1"}}, each)]
    assert place.siem.bulk(lines, refresh="true") == []


def hunt(
    name: str = "asked", match: Condition = ASKED, group_by: Sequence[str] = ("hunt.client.ip",), **more: Any
) -> Hunt:
    """Return a hunt for made-up events; its id is its name."""
    return replace(BASE, id=name, name=name, match=All((match,)), group_by=tuple(group_by), show=(), **more)


def at_least(n: int, seconds: int = 60, field: str | None = None) -> Needs:
    """Return a number of events, or of different values of a field."""
    window = timedelta(seconds=seconds)
    return Distinct(field, n, window) if field else Count(n, window)


class CutWire:
    """A wire to a real engine that carries so many calls and then none; the last answer may get lost."""

    def __init__(self, wire: Wire, calls: int, answered: bool) -> None:
        self._wire, self.left, self._answered = wire, calls, answered

    def call(self, *call: Any) -> Any:
        """Carry the call if the wire is not cut yet."""
        if self.left <= 0:
            raise Unreachable("the wire is cut")
        self.left -= 1
        answer = self._wire.call(*call)
        if self.left == 0 and not self._answered:
            raise Unreachable("the wire is cut and the answer lost")
        return answer

    def close(self) -> None:
        """Leave the wire to the others."""


class DisturbedWire(CutWire):
    """A wire to a real engine over which something else happens first at one of its calls."""

    def __init__(self, wire: Wire, calls: int, happens: Callable[[], object]) -> None:
        super().__init__(wire, 1_000_000, answered=True)
        self._calls, self._happens = calls, happens

    def call(self, *call: Any) -> Any:
        """Carry the call, after what happens if it is that one's turn."""
        self._calls -= 1
        if self._calls == 0:
            self._happens()
        return super().call(*call)
