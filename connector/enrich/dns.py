"""DNS in one shape: EVE log versions 1, 2 and 3, DNS inside alerts, grouped answers, and the ECS form of answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from connector.enrich.addresses import AddressBook, parse_address
from connector.enrich.events import Event, Json, first, mapping, words

MESSAGES = {"query": "query", "request": "query", "answer": "answer", "response": "answer"}
MAX_ANSWERS = 256
MAX_TTL = 4294967295
PRIVATE_SCOPES = ("internal", "loopback", "unspecified")


@dataclass(frozen=True)
class Dns:
    """One DNS message; `is_v3` says that the addresses of an answer are those of its packet."""

    message: str | None
    rrname: str | None
    rrtype: str | None
    rcode: str | None
    answers: tuple[str, ...]
    ips: tuple[str, ...]
    ttl_min: int | None
    answer_count: int | None
    private_answer: bool | None
    is_v3: bool


@dataclass(frozen=True)
class _Record:
    """One answer record: type, value, time to live."""

    rrtype: str | None
    value: str | None
    ttl: int | None


def read_dns(event: Event, book: AddressBook) -> Dns | None:
    """Return the DNS message of an event, or None if it has none with a question or a type."""
    dns = event.objects.get("dns")
    if dns is None:
        return None
    question, is_v3 = _question(dns)
    message = MESSAGES.get(words(dns.get("type")) or words(question.get("type")) or "")
    rrname = words(question.get("rrname"))
    if message is None and rrname is None:
        return None
    if message == "query":
        return Dns(message, rrname, _type(question.get("rrtype")), None, (), (), None, None, None, is_v3)
    records = list(_records(event, dns, question))[:MAX_ANSWERS]
    ips = tuple(r.value for r in records if r.value and r.rrtype in ("A", "AAAA") and parse_address(r.value))
    ttls = [r.ttl for r in records if r.ttl is not None]
    return Dns(
        message,
        rrname,
        _type(question.get("rrtype")),
        words(dns.get("rcode")) or words(question.get("rcode")),
        tuple(r.value for r in records if r.value),
        ips,
        min(ttls) if ttls else None,
        len(records),
        any(_is_private(ip, book) for ip in ips) if ips else None,
        is_v3,
    )


def _question(dns: Json) -> tuple[Json, bool]:
    """Return the mapping with name and type, and whether the message is of log version 3."""
    listed = first(dns.get("queries"))
    if listed is not None:
        return listed, True
    nested = first(dns.get("query")) or dns.get("answer")
    return (nested if isinstance(nested, Mapping) else dns), False


def _records(event: Event, dns: Json, question: Json) -> Iterator[_Record]:
    """Yield the answer records, from whichever place the version puts them."""
    answers = (
        dns.get("answers") or question.get("answers") or (event.is_ecs and mapping(event.root, "dns").get("answers"))
    )
    grouped = dns.get("grouped") or question.get("grouped")
    if isinstance(answers, list):
        for answer in answers:
            if isinstance(answer, Mapping):
                kind = _type(answer.get("rrtype")) or _type(answer.get("type"))
                yield _Record(kind, _value(answer), _ttl(answer.get("ttl")))
    elif isinstance(grouped, Mapping):
        for kind in sorted(grouped):
            values = grouped[kind] if isinstance(grouped[kind], list) else []
            yield from (_Record(_type(kind), value, None) for value in values if isinstance(value, str))
    elif words(dns.get("rdata")) is not None:
        yield _Record(_type(dns.get("rrtype")), words(dns.get("rdata")), _ttl(dns.get("ttl")))


def _value(answer: Json) -> str | None:
    """Return an answer's value as text: rdata (data in ECS), the target of SRV, the primary server of SOA."""
    plain = words(answer.get("rdata"))
    if plain is None:
        plain = words(answer.get("data"))
    if plain is not None:
        return plain or None
    return words(mapping(answer, "srv").get("name")) or words(mapping(answer, "soa").get("mname"))


def _type(value: Any) -> str | None:
    """Return a record type in upper case, or its number as text."""
    told = words(value)
    return told.upper() if told else None


def _ttl(value: Any) -> int | None:
    """Return a time to live in seconds, if it is one."""
    valid = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_TTL
    return value if valid else None


def _is_private(ip: str, book: AddressBook) -> bool:
    """Tell whether an answer points into private or local space."""
    address = parse_address(ip)
    return address is not None and book.about(address).scope in PRIVATE_SCOPES
