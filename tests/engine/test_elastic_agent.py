"""Events as Elastic Agent and Filebeat store them, in real engines: hunts written in EVE's values find them."""

from dataclasses import replace
from typing import Any

from engine.painless_answers import painless_finds
from made_events import DAY, event, hunt, put_events, settings_in

from connector.hunts.asking.run import Span, run_hunts
from connector.hunts.conditions import condition as c
from connector.hunts.conditions.predicate import predicate
from connector.settings.model import Settings, Source
from tests.conftest import Place

UDP = c.Equals("proto", ("UDP",))
PING = c.Equals("proto", ("ICMP", "IPv6-ICMP"))
BLOCKED = c.Equals("alert.action", ("blocked",))
CURL = c.All((c.Equals("http.http_method", ("GET",)), c.UnderDomain("http.hostname", ("example.org",))))
ASKED: list[c.Condition] = [UDP, PING, BLOCKED, CURL]
EXPECTED = [{0}, {1}, {2}, {4}]
# what the ingest pipelines of the module make of six records, by what is moved or written otherwise
AGENT: list[dict[str, Any]] = [
    {"network": {"transport": "udp"}, "event": {"type": ["protocol"]}},
    {"network": {"transport": "ipv6-icmp"}},
    {"network": {"transport": "tcp"}, "event": {"type": ["denied"]}},
    {"network": {"transport": "tcp"}, "event": {"type": ["allowed"]}},
    {"network": {"transport": "tcp"}, "http": {"request": {"method": "GET"}}, "url": {"domain": "www.example.org"}},
    {"proto": "UDP", "alert": {"action": "blocked"}},
]
KEYWORD = {"type": "keyword"}


def events_of_agent() -> list[dict[str, Any]]:
    """Return the events, each with its number as second."""
    common = {"suricata": {"eve": {"event_type": "dns"}}}
    return [event(number) | common | each for number, each in enumerate(AGENT)]


def agent_settings(place: Place) -> Settings:
    """Return settings with one source of events of Elastic Agent, which are there."""
    settings = settings_in(place)
    (source,) = settings.sources
    fields = ("network.transport", "event.type", "http.request.method", "url.domain", "suricata.eve.event_type")
    for name in fields:
        properties: dict[str, Any] = KEYWORD
        for part in reversed(name.split(".")):
            properties = {"properties": {part: properties}}
        place.siem.call("PUT", f"/{source.pattern[:-1]}1/_mapping", properties)
    put_events(place, events_of_agent())
    return replace(settings, sources=(Source(source.pattern, "ecs"),))


def found(place: Place, settings: Settings, condition: c.Condition) -> set[int]:
    """Return the numbers of the events that a hunt finds."""
    asked = hunt(match=condition)
    (result,) = run_hunts(place.siem, settings, [asked], Span(), progress=lambda *_: None).hunts
    assert result.error is None
    return {round((one.time - DAY).total_seconds()) for one in result.events if one.time}


def test_search_script_and_predicate_find_what_eve_values_mean(each_place: Place) -> None:
    settings, events = agent_settings(each_place), events_of_agent()
    assert [found(each_place, settings, condition) for condition in ASKED] == EXPECTED
    assert painless_finds(each_place.siem, events, ASKED, "ecs") == EXPECTED
    matches = [predicate(condition, "ecs") for condition in ASKED]
    assert [{n for n, each in enumerate(events) if one(each)} for one in matches] == EXPECTED


def test_events_of_eve_are_asked_in_their_own_words(place: Place) -> None:
    settings = settings_in(place)
    path = f"/{settings.sources[0].pattern[:-1]}1/_mapping"
    place.siem.call("PUT", path, {"properties": {"proto": KEYWORD}})
    put_events(place, [event(0) | {"proto": "UDP"}, event(1) | {"proto": "udp"}])
    assert found(place, settings, UDP) == {0}
