"""Looks values up: in what is kept in the SIEM, on the warning lists, and at VirusTotal as far as its quota lasts.

Promises: what is private is never sent; an answer is kept, that a value is unknown, too, and not asked for again before
its time is over; what cannot be asked now is said with the time from when it can. Will not: wait, or fail because
VirusTotal does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, Protocol

from connector.content import content_folder
from connector.enrich.names import NameTables
from connector.enrich.tables import block_lists, special_names, suffix_rules
from connector.errors import Problem, Refused
from connector.hunts.asking.tally import instant
from connector.hunts.catalogue.catalogue import LISTS
from connector.hunts.conditions.lists import read_list
from connector.respond.reputation import quota, warning_lists
from connector.respond.reputation.answer import Answer
from connector.respond.reputation.values import Kind, Own, Value, private, recognised
from connector.respond.reputation.virustotal import Trouble, VirusTotal
from connector.settings.model import ReputationSettings, Settings
from connector.siem.client import Siem

Json = dict[str, Any]
State = Literal["answered", "private", "later", "off"]
INDEX = "reputation"
OWN_LISTS = ("own-domains", "internal-zones")
DIGITS = 32
FORGOTTEN = timedelta(days=30)  # after the time of an answer is over


class Asks(Protocol):
    """Asks VirusTotal, or what stands in for it."""

    def ask(self, settings: ReputationSettings, value: Value) -> Answer | Trouble:
        """Return what is known of a value, or why that is not to be had now."""
        ...


@dataclass(frozen=True)
class LookedUp:
    """What is known of a value.

    `state`: answered (that nothing is known is an answer), private and so never sent, later as it could not be asked
    now (`again` says from when on it can), or off as there is no key; `why` says so in words. `answer` is VirusTotal's,
    asked for at `asked`; it may be an old one where the state is later. `lists` are the warning lists the value is on.
    """

    value: str
    kind: Kind
    state: State
    why: str = ""
    answer: Answer | None = None
    asked: str | None = None
    again: str | None = None
    lists: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """Return the answer in one word: VirusTotal's verdict, or what is known without it."""
        if self.answer and self.answer.verdict not in ("unknown", "unrated", "harmless"):
            return self.answer.verdict
        if self.lists:
            return "common"
        said = self.answer.verdict if self.answer else self.state
        return "unknown" if said == "answered" else said

    @property
    def words(self) -> str:
        """Return what is known in one line."""
        said = [self.answer.words] if self.answer else []
        said += (
            [f"known and common, likely harmless: on the warning list {', '.join(self.lists)}"] if self.lists else []
        )
        return "; ".join([*said, *([self.why] if self.why else [])])

    @property
    def document(self) -> Json:
        """Return it as declarations and programs read it."""
        fields = {name: value for name, value in asdict(self).items() if name != "notes"}
        return {**fields, "lists": list(self.lists), "verdict": self.verdict, "words": self.words}


def value_of(text: str) -> Value:
    """Return the value that a text is; Refused if it is none that can be looked up."""
    return recognised(text, name_tables())


@dataclass(frozen=True)
class _Asking:
    """What looking up needs: the SIEM, the settings, what is private, the time, and whom to ask (None: nobody)."""

    siem: Siem
    settings: Settings
    own: Own
    clock: Callable[[], datetime]
    asks: Asks | None


def look_up(
    siem: Siem,
    settings: Settings,
    values: Sequence[Value],
    clock: Callable[[], datetime],
    asks: Asks | None = None,
) -> list[LookedUp]:
    """Return what is known of the values, in their order; after one that VirusTotal could not answer none is asked.

    Refused if it cannot be known which names are the organisation's own.
    """
    on_lists = _on_lists(settings.reputation.warning_lists, values)
    asking = _Asking(siem, settings, own_names(settings), clock, asks or VirusTotal())
    found = list[LookedUp]()
    for value in values:
        one = _one(asking, value)
        if one.state == "later":
            last = next((each for each in found if each.state == "later"), one)
            one = replace(one, why=last.why, again=last.again)
            asking = replace(asking, asks=None)
        found.append(replace(one, lists=on_lists.names.get(value, ()), notes=on_lists.notes))
    return found


def _one(asking: _Asking, value: Value) -> LookedUp:
    """Return what is known of a value."""
    result = LookedUp(value.text, value.kind, "answered")
    if why := private(value, asking.own, name_tables()):
        return replace(result, state="private", why=f"not sent to VirusTotal: {why}")
    kept = _kept(asking.siem, asking.settings, value)
    if kept:
        result = replace(result, answer=kept[0], asked=kept[1])
        if kept[2] > str(instant(asking.clock())):
            return result
    if asking.settings.reputation.key is None:
        return result if kept else replace(result, state="off", why="VirusTotal is not asked: there is no key for it")
    return _asked(asking, asking.asks, value, result) if asking.asks else replace(result, state="later")


def _asked(asking: _Asking, asks: Asks, value: Value, result: LookedUp) -> LookedUp:
    """Return the result with VirusTotal's answer, which is kept; or why it is to be had later."""
    siem, settings = asking.siem, asking.settings
    turn = quota.take(siem, settings, asking.clock())
    if not turn.granted:
        return _later(result, turn.why, turn.again)
    answer = asks.ask(settings.reputation, value)
    if isinstance(answer, Answer):
        quota.well(siem, settings)
        return replace(result, answer=answer, asked=_keep(siem, settings, value, answer, asking.clock()))
    if answer.of_this_value:
        return replace(result, why=answer.why)
    return _later(result, answer.why, quota.pause(siem, settings, asking.clock(), answer.wait))


def _later(result: LookedUp, why: str, again: datetime | None) -> LookedUp:
    """Return the result as one that could not be asked now."""
    moment = instant(again)
    return replace(result, state="later", why=f"not asked now: {why}; again from {moment}", again=moment)


def _id(value: Value) -> str:
    """Return the id under which the answer about a value is kept."""
    return sha256(f"{value.kind}\0{value.text}".encode(errors="surrogatepass")).hexdigest()[:DIGITS]


def _kept(siem: Siem, settings: Settings, value: Value) -> tuple[Answer, str, str] | None:
    """Return the answer that is kept of a value, when it was asked for, and until when it holds; None without one."""
    stored = siem.get(settings.state(INDEX), _id(value))
    if stored is None:
        return None
    answer = Answer(**{**stored.source["answer"], "tags": tuple(stored.source["answer"]["tags"])})
    return answer, stored.source["asked"], stored.source["expires"]


def _keep(siem: Siem, settings: Settings, value: Value, answer: Answer, now: datetime) -> str:
    """Return when an answer was asked for, having kept it."""
    limits = settings.reputation
    holds = limits.keep_unknown if answer.verdict in ("unknown", "unrated") else limits.keep
    document = {
        **{"kind": value.kind, "value": value.text, "verdict": answer.verdict},
        **{"asked": instant(now), "expires": instant(now + holds), "answer": asdict(answer)},
    }
    siem.change(settings.state(INDEX), _id(value), lambda current: document)
    return str(document["asked"])


def forget_old(siem: Siem, settings: Settings, now: datetime) -> int:
    """Return how many answers were deleted whose time has been over for long: they are of no use any more."""
    old = {"query": {"range": {"expires": {"lt": instant(now - FORGOTTEN)}}}}
    path = f"/{settings.state(INDEX)}/_delete_by_query"
    return int(siem.call("POST", path, old, conflicts="proceed")["deleted"])


def _on_lists(folder: Path | None, values: Sequence[Value]) -> warning_lists.Listed:
    """Return on which warning lists the values are."""
    return warning_lists.listed(folder, values) if folder and values else warning_lists.Listed({}, ())


@cache
def name_tables() -> NameTables:
    """Return what names are taken apart with."""
    folder = content_folder("ingest-pipelines") / "tables"
    return NameTables(*suffix_rules(), special_names(folder), block_lists(folder))


def own_names(settings: Settings) -> Own:
    """Return what is the organisation's own; Refused if a list that says so is broken, as nothing may leak for that."""
    networks = (network for each in settings.networks for network in each.cidrs)
    return Own(tuple(dict.fromkeys(networks)), frozenset(_own_domains(settings)))


def _own_domains(settings: Settings) -> Iterable[str]:
    """Yield the domains of the lists in the operator's folder of hunts, without a star or dots around them."""
    for path in ((settings.queries or Path()) / LISTS / f"{name}.txt" for name in OWN_LISTS):
        if settings.queries is None or not path.exists():
            continue
        problems: list[Problem] = []
        values = read_list(path, problems).values
        if problems:
            raise Refused(
                f"nothing is looked up before this is corrected, as it says which names are yours: {problems[0]}"
            )
        yield from (value.lower().removeprefix("*").strip(".") for value in values)
