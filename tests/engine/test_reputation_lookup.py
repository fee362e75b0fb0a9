"""Reputation looked up, in real engines and from a stand-in for VirusTotal: kept, within quota, never in the way."""

import json
import logging
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from made_events import event, hunt, put_events, settings_in
from standin_virustotal import KEY, StandInVirusTotal, send

from connector.cli import run as command_line
from connector.respond.declarations.declaration import Verdict
from connector.respond.declarations.declare import declare, stored_declaration
from connector.respond.reputation.lookup import LookedUp, forget_old, look_up, value_of
from connector.respond.reputation.of_declarations import look_up_due
from connector.respond.reputation.virustotal import VirusTotal
from connector.service.looking_up import LookingUp
from connector.settings.model import Network, ReputationSettings, Settings
from tests.conftest import Place

START = datetime(2026, 11, 3, 10, tzinfo=UTC)
EVIL, GOOD, NOBODY = "evil-example.com", "good-example.com", "nobody-example.com"
SHA256 = "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"
QUICK = VirusTotal(connect=2, read=0.5, deadline=1)


@dataclass
class Desk:
    """Somebody who looks values up, with a clock that is set by hand."""

    place: Place
    settings: Settings
    now: datetime = START

    def __call__(self, *texts: str) -> list[LookedUp]:
        """Return what is known of the values."""
        return look_up(self.place.siem, self.settings, [value_of(text) for text in texts], lambda: self.now, QUICK)

    def wait(self, **time: float) -> None:
        """Let time go by."""
        self.now += timedelta(**time)


def desk_of(place: Place, virustotal: StandInVirusTotal, **limits: Any) -> Desk:
    """Return a desk that asks the stand-in."""
    reputation = ReputationSettings(key=KEY, url=virustotal.url, **limits)
    networks = (Network(("office",), (ip_network("203.0.112.0/22"),)),)
    return Desk(place, replace(settings_in(place), reputation=reputation, networks=networks))


def known() -> StandInVirusTotal:
    """Return the stand-in, not listening yet."""
    return StandInVirusTotal({EVIL: 12, GOOD: 0, "198.51.100.7": 1, SHA256: 61})


def test_domain_address_and_file_are_asked_for_once_and_kept(each_place: Place) -> None:
    with known() as virustotal:
        desk = desk_of(each_place, virustotal)
        first = desk(EVIL, "198.51.100.7", SHA256, NOBODY)
        assert [one.verdict for one in first] == ["malicious", "private", "malicious", "unknown"]
        assert [one.verdict for one in desk("9.9.9.9")] == ["unknown"]
        assert virustotal.asked == [EVIL, SHA256, NOBODY, "9.9.9.9"]
        desk.wait(hours=23)
        again = desk(EVIL, SHA256, NOBODY)
        assert (again, len(virustotal.asked)) == ([first[0], first[2], first[3]], 4)
        desk.wait(hours=2)
        assert desk(EVIL, NOBODY)[1].asked == "2026-11-04T11:00:00.000Z"
        assert virustotal.asked[4:] == [NOBODY]
        desk.wait(days=7)
        virustotal.known[EVIL] = 0
        assert desk(EVIL)[0].verdict == "harmless"
        for moment, deleted in ((START, 0), (START + timedelta(days=2), 1), (desk.now, 2)):
            each_place.siem.call("POST", f"/{desk.settings.state('reputation')}/_refresh")
            assert forget_old(each_place.siem, desk.settings, moment + timedelta(days=30)) == deleted


def test_the_quota_holds_for_all_programs_and_restarts_together(each_place: Place) -> None:
    with known() as virustotal:
        desk = desk_of(each_place, virustotal, per_day=9)
        texts = [f"a{n}-example.com" for n in range(40)]
        threads = [threading.Thread(target=lambda part=part: desk(*texts[part::8])) for part in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(virustotal.asked) == 4
        (later,) = Desk(each_place, desk.settings, desk.now + timedelta(seconds=59))("b-example.com")
        assert (later.state, later.again) == ("later", "2026-11-03T10:01:00.000Z")
        assert (
            later.why == "not asked now: the 4 questions of this minute are asked; again from 2026-11-03T10:01:00.000Z"
        )
        for _ in range(5):
            desk.wait(minutes=1)
            left = desk(*texts)
        assert len(virustotal.asked) == 9
        assert [one.state for one in left].count("answered") == 9
        assert {one.again for one in left if one.state == "later"} == {"2026-11-04T00:00:00.000Z"}
        desk.now = datetime(2026, 11, 4, tzinfo=UTC)
        desk(*texts)
        assert len(virustotal.asked) == 13


def test_a_refusal_or_fault_is_for_later_and_everybody_waits(place: Place) -> None:
    with known() as virustotal:
        desk = desk_of(place, virustotal, per_minute=100)
        virustotal.status = 429
        first, second = desk(EVIL, GOOD)
        assert (first.state, second.state, len(virustotal.asked)) == ("later", "later", 1)
        assert first.again == second.again == "2026-11-03T10:01:00.000Z"
        assert "VirusTotal answered 429: its quota is used up" in first.why
        assert (desk(EVIL)[0].state, len(virustotal.asked)) == ("later", 1)
        pauses = []
        for status in (503, 500, 502, 401, 429, 503, 503):
            virustotal.status = status
            desk.now = datetime.fromisoformat(desk(EVIL)[0].again or "")
            failed = desk(EVIL)[0]
            pauses.append((datetime.fromisoformat(failed.again or "") - desk.now) // timedelta(minutes=1))
            assert KEY not in str(failed)
        assert pauses == [2, 4, 8, 16, 32, 60, 60]
        virustotal.headers = {"Retry-After": "7200"}
        desk.wait(hours=1)
        assert desk(EVIL)[0].again == (desk.now + timedelta(hours=2)).isoformat(timespec="milliseconds")[:23] + "Z"
        virustotal.status = None
        desk.wait(hours=2)
        assert [one.verdict for one in desk(EVIL, GOOD)] == ["malicious", "harmless"]
        virustotal.status, virustotal.headers = 500, {}
        desk.wait(days=8)
        (old,) = desk(EVIL)
        assert (old.state, old.verdict, old.asked) == ("later", "malicious", "2026-11-03T15:03:00.000Z")
        assert old.again == (desk.now + timedelta(minutes=1)).isoformat(timespec="milliseconds")[:23] + "Z"


def slow(request: Any) -> None:
    """Answer after the patience of everybody."""
    time.sleep(1)
    send(request, 200, {})


def dripping(request: Any) -> None:
    """Answer a byte at a time, for longer than anybody waits."""
    request.send_response(200)
    request.end_headers()
    for _ in range(40):
        request.wfile.write(b" ")
        request.wfile.flush()
        time.sleep(0.1)


def redirecting(request: Any) -> None:
    """Send the question elsewhere, as to catch the key."""
    send(request, 302, b"", {"Location": "/api/v3/domains/good-example.com"})


FAULTS = {
    "slow": slow,
    "dripping": dripping,
    "redirect": redirecting,
    "cut off": lambda request: request.connection.shutdown(2),
    "no JSON": lambda request: send(request, 200, b"<html>login</html>"),
    "deep": lambda request: send(request, 200, b"[" * 100_000),
    "other JSON": lambda request: send(request, 200, {"data": [1]}),
    "large": lambda request: send(request, 200, b'{"data": "' + b"x" * 5_000_000 + b'"}'),
    "another's 404": lambda request: send(request, 404, b"<html>no page</html>"),
}


def test_whatever_it_answers_is_no_error_and_not_kept(place: Place) -> None:
    with known() as virustotal:
        desk = desk_of(place, virustotal, per_minute=100)
        for number, (name, fault) in enumerate(FAULTS.items()):
            value = f"value{number}-example.com"
            virustotal.known[value] = 12
            virustotal.fault = fault
            (failed,) = desk(value)
            assert (failed.state, failed.answer, virustotal.asked[-1]) == ("later", None, value), name
            virustotal.fault = None
            desk.wait(minutes=1)
            assert desk(value)[0].verdict == "malicious", name
        assert len(virustotal.asked) == 2 * len(FAULTS)


def test_nobody_is_asked_of_what_is_private_or_without_a_key(place: Place) -> None:
    with known() as virustotal:
        desk = desk_of(place, virustotal)
        assert {one.state for one in desk("10.0.0.1", "203.0.113.5", "db.local", "x.corpnet")} == {"private"}
        desk.settings = replace(desk.settings, reputation=replace(desk.settings.reputation, key=None))
        (off,) = desk(EVIL)
        assert (off.state, off.why) == ("off", "VirusTotal is not asked: there is no key for it")
        assert virustotal.asked == []


def declared_in(desk: Desk) -> str:
    """Return the id of a declaration whose events name domains and an address of the other side."""
    some = [event(n, domain=domain) for n, domain in enumerate((EVIL, GOOD, "db.local", EVIL))]
    for each in some:
        each["hunt"]["server"] = {"ip": "9.9.9.9"}
    put_events(desk.place, some)
    verdict = Verdict("Tunnel", "delivery", "hunt.client.ip", "ana")
    shows = replace(hunt(), show=("hostname_info.domain",))
    (one,) = declare(desk.place.siem, desk.settings, shows, verdict, now=desk.now).declarations
    return one.id


def reputation_of(desk: Desk, id: str) -> tuple[dict[str, str], bool]:
    """Return the verdicts on a declaration, and whether it is due."""
    stored = stored_declaration(desk.place.siem, desk.settings, id)
    return {one["value"]: one["verdict"] for one in stored["reputation"]}, stored["reputation_due"]


def test_a_declaration_gets_it_by_itself_and_waits_for_nothing(each_place: Place, tmp_path: Path) -> None:
    with known() as virustotal:
        (tmp_path / "good.json").write_text(json.dumps({"name": "Good", "type": "hostname", "list": [GOOD]}))
        desk = desk_of(each_place, virustotal, automatic=True, per_minute=2, warning_lists=tmp_path)
        virustotal.status = 503
        id = declared_in(desk)
        siem, settings = desk.place.siem, desk.settings

        def due() -> int:
            """Return how many values were looked up for declarations."""
            return len(look_up_due(siem, settings, lambda: desk.now, QUICK))

        assert due() == 3  # a name for special use is none that somebody registered
        later = {"9.9.9.9": "later", EVIL: "later", GOOD: "common"}
        assert reputation_of(desk, id) == (later, True)
        virustotal.status = None
        desk.wait(minutes=1)
        due()
        assert reputation_of(desk, id) == (later | {"9.9.9.9": "unknown", EVIL: "malicious"}, True)
        desk.wait(minutes=1)
        due()
        assert reputation_of(desk, id)[1] is False
        assert due() == 0
        assert virustotal.asked.count(EVIL) == 1
        assert stored_declaration(siem, settings, id)["revision"] == 1
        off = replace(settings, reputation=replace(settings.reputation, automatic=False))
        assert look_up_due(siem, off, lambda: desk.now, QUICK) == ()


def test_the_service_looks_it_up_in_its_own_thread_and_goes_on_after_trouble(place: Place) -> None:
    with known() as virustotal:
        desk = desk_of(place, virustotal, automatic=True, per_minute=100)
        id = declared_in(desk)
        fails = [1]

        def settings() -> Settings:
            """Return the settings, at first not."""
            if fails:
                raise RuntimeError(f"trouble {fails.pop()}")
            return desk.settings

        with LookingUp(place.siem, settings, lambda: desk.now, logging.getLogger("t"), QUICK, seconds=0.05):
            for _ in range(600):
                if reputation_of(desk, id)[0]:
                    break
                time.sleep(0.1)
        assert reputation_of(desk, id)[0][EVIL] == "malicious"


def test_the_command_shows_it_and_says_what_is_not_asked(
    place: Place, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    with known() as virustotal:
        settings_in(place)
        file = tmp_path / "hunts.yml"
        file.write_text(
            f"siem: {{urls: ['{place.url}']}}\nprefix: {place.prefix}\nsources: [{{pattern: '{place.prefix}logs-*'}}]\n"
            f"reputation: {{url: '{virustotal.url}', per_minute: 2}}\n"
        )
        monkeypatch.setenv("HUNTS_VIRUSTOTAL_KEY", KEY)

        def hunts(*words: str) -> tuple[int, str]:
            """Return exit code and output of a command."""
            code = command_line(["--settings", str(file), *words])
            both = capsys.readouterr()
            assert KEY not in both.out + both.err
            return code, both.out + both.err

        code, said = hunts("lookup", "hxxps://evil-example[.]com/x", "--json")
        found = json.loads(said)
        assert (code, found["value"], found["verdict"], found["answer"]["stats"]["malicious"]) == (
            0,
            EVIL,
            "malicious",
            12,
        )
        assert hunts("lookup", EVIL)[1].startswith(f"{EVIL}: malicious\nVirusTotal: 12 of 92 engines call it malicious")
        code, said = hunts("lookup", NOBODY)
        assert (code, said.splitlines()[:2]) == (0, [f"{NOBODY}: unknown", "VirusTotal does not know it"])
        code, said = hunts("lookup", "192.168.1.1")
        assert code == 0 and "not sent to VirusTotal: it is a private or special address" in said
        code, said = hunts("lookup", GOOD)
        assert code == 1 and "the 2 questions of this minute are asked" in said
        assert hunts("lookup", "no value")[0] == 6
        assert hunts("settings", "show", "--json")[0] == 0
        assert virustotal.asked == [EVIL, NOBODY]
