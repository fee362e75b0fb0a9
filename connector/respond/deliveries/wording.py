"""What a message says in words that every kind of receiver has a place for: a title, a severity, facts, items.

Promises: every text is one line, short, and without control characters, whatever an event holds; the same message has
the same words. Will not: escape for a product (`escapes.py` does), or know one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any, get_args

from connector.settings.model import Severity

Json = Mapping[str, Any]
SUBJECTS = ("declaration", "finding", "digest")  # a message has one of them
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
GRAVE = ("command_and_control", "actions_on_objectives")
CLOSED = ("fixed", "false-positive")
TITLE, ITEM, FACT, FACTS = 140, 100, 150, 12  # a card of Teams has 28 KB, and a character up to 12 bytes
OFFENDERS = 5


def words(message: Json) -> dict[str, Any]:
    """Return the names that the template of a body has for any message, besides those of its own.

    `about` is the id of what it is about, `where` the host, `closed` says that nobody has to act any more.
    """
    subject = subject_of(message)
    data = message[subject]
    tell = {"declaration": _declaration, "finding": _finding, "digest": _digest}[subject]
    return {
        "data": data,
        "about": data["id"],
        "title": title_of(message),
        "severity": severity_of(message),
        "facts": [{"name": name, "value": line(value, FACT)} for name, value in tell(data) if line(value, FACT)][
            :FACTS
        ],
        "items": [{**item, "title": line(item["title"], ITEM)} for item in data.get("items", ())],
        "observables": _observables(message),
        "where": _where(message),
        "closed": subject == "declaration" and data.get("status") in CLOSED,
    }


def subject_of(message: Json) -> str:
    """Return what a message is about: declaration, finding or digest."""
    return next(subject for subject in SUBJECTS if subject in message)


def title_of(message: Json) -> str:
    """Return a message in one line."""
    subject = subject_of(message)
    data = message[subject]
    if subject == "declaration":
        updated = " (updated)" if message["type"] == "declaration.updated" else ""
        return line(f"{data['threat']} at {data['asset']['value']}", TITLE - len(updated)) + updated
    if subject == "finding":
        return line(f"{data['hunt']['title']}: {', '.join(map(str, data['group'].values()))}", TITLE)
    kinds = [f"{data[name]:,} {name if data[name] != 1 else name[:-1]}" for name in ("declarations", "findings")]
    told = " and ".join(text for name, text in zip(("declarations", "findings"), kinds, strict=True) if data[name])
    return line(f"{told}, in one message", TITLE)


def severity_of(message: Json) -> Severity:
    """Return how grave a message is: of a finding its hunt's word, of a declaration by its kind and phase."""
    subject = subject_of(message)
    data = message[subject]
    if subject == "declaration":
        grave: Severity = "critical" if data.get("phase") in GRAVE else "high"
        return grave if data.get("kind") == "compromise" else "medium"
    said = data["hunt"]["severity"] if subject == "finding" else data["severity"]
    return next((word for word in SEVERITIES if word == said), "high")


def gravest(severities: Iterable[str]) -> Severity:
    """Return the gravest of severities, informational if there is none."""
    given = set(severities)
    return next((word for word in reversed(SEVERITIES) if word in given), "informational")


def line(value: object, longest: int) -> str:
    """Return a value as one line of printable text, cut where it is too long; lists with commas, None as nothing."""
    if isinstance(value, list | tuple):
        value = ", ".join(str(item) for item in value)
    text = "" if value is None else f"{value:,}" if type(value) is int else str(value)
    text = " ".join("".join(each if each.isprintable() or each.isspace() else "\ufffd" for each in text).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _declaration(data: Json) -> list[tuple[str, object]]:
    """Return the facts of a declaration."""
    asset = data["asset"]
    hunts = [each["hunt"]["title"] for each in data.get("evidence", ())]
    offenders = (data.get("offender") or {}).get("value") or []
    reputation = [f"{one['value']} is {one['verdict']}" for one in data.get("reputation") or ()]
    return [
        ("asset", asset["value"]),
        ("department", asset.get("department")),
        ("offender", offenders[:OFFENDERS]),
        ("phase", data.get("phase")),
        ("status", data.get("status")),
        ("events", data.get("count")),
        ("explanation", data.get("explanation")),
        ("reputation", reputation),
        ("first", data.get("first")),
        ("last", data.get("last")),
        ("hunts", hunts),
        ("declaration", data["id"]),
    ]


def _finding(data: Json) -> list[tuple[str, object]]:
    """Return the facts of a finding."""
    group = list(data["group"].items())[: FACTS - 6]
    some = [(name, data.get(name)) for name in ("department", "first", "last")]
    return [*group, ("events", data.get("count")), *some, ("finding", data["id"])]


def _digest(data: Json) -> list[tuple[str, object]]:
    """Return the facts of a digest."""
    by_severity = [f"{one['count']:,} {one['severity']}" for one in data["by_severity"]]
    return [
        ("declarations", data["declarations"]),
        ("findings", data["findings"]),
        ("severity", by_severity),
        ("first", data["first"]),
        ("last", data["last"]),
        ("not named below", data["items_left_out"]),
        ("all of them", f"hunts outbox --message {data['id']}"),
    ]


def _observables(message: Json) -> list[dict[str, str]]:
    """Return what the message is about as values that can be looked up, each once."""
    subject = subject_of(message)
    found: Iterable[object] = ()
    if subject == "declaration":
        found = [message[subject]["asset"]["value"]]
    elif subject == "finding":
        found = message[subject]["group"].values()
    values = dict.fromkeys(line(value, FACT) for value in found if value is not None)
    return [{"type": "ip" if _is_address(value) else "other", "value": value} for value in values if value]


def _where(message: Json) -> str:
    """Return the host that a message is about, our own name where it is about more than one."""
    known = _observables(message)
    return next((one["value"] for one in known if one["type"] == "ip"), known[0]["value"] if known else "guided-hunts")


def _is_address(text: str) -> bool:
    """Tell whether a text is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
