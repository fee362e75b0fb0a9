"""What the events of a flow say, by protocol: TLS, HTTP, files, and where its packets are.

Will not: search.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from connector.hunts.conditions.address import address_number
from connector.respond.evidence.flows import Gathered
from connector.respond.evidence.model import Capture, File, Flow, Http, Tls
from connector.respond.evidence.reading import Found, moment, told

SHA256 = re.compile(r"[0-9a-f]{64}")
MARGIN = timedelta(seconds=1)  # of a flow that tells when it was
GUESS = timedelta(minutes=5)  # of a flow of which only some events are known
NO_FILE = ("", "unknown")
PROTOCOLS = {"TCP": "tcp", "UDP": "udp", "ICMP": "icmp", "IPV6-ICMP": "icmp6", "SCTP": "sctp"}


def tls_of(event: Found, flow: int | None) -> Tls:
    """Return the handshake of a tls or quic event, or of an alert with either."""
    name = "quic" if event.kind == "quic" or (event.text("quic.version") and not event.text("tls.version")) else "tls"
    said = {
        "version": event.text(f"{name}.version"),
        "sni": event.text(f"{name}.sni"),
        "subject": event.text(f"{name}.subject"),
        "issuer": event.text(f"{name}.issuerdn"),
        "serial": event.text(f"{name}.serial"),
        "fingerprint": event.text(f"{name}.fingerprint"),
        "not_before": event.text(f"{name}.notbefore"),
        "not_after": event.text(f"{name}.notafter"),
        "ja3": event.text(f"{name}.ja3.hash"),
        "ja3s": event.text(f"{name}.ja3s.hash"),
        "ja4": event.text(f"{name}.ja4", f"{name}.ja4.hash", f"{name}.ja4.ja4"),
    }
    return Tls(event.index, event.id, told(event.time), flow, name, **said)


def http_of(event: Found, flow: int | None) -> Http:
    """Return the request of an http event; of HTTP/2 its headers."""
    asked, answered = _headers(event, "request"), _headers(event, "response")
    return Http(
        index=event.index,
        id=event.id,
        time=told(event.time),
        flow=flow,
        method=event.text("http.http_method") or asked.get(":method", ""),
        host=event.text("http.hostname") or asked.get(":authority", ""),
        url=event.text("http.url") or asked.get(":path", ""),
        protocol=event.text("http.protocol") or event.text("http.version"),
        status=event.text("http.status") or answered.get(":status", ""),
        user_agent=event.text("http.http_user_agent") or asked.get("user-agent", ""),
        referer=event.text("http.http_refer") or asked.get("referer", ""),
        content_type=event.text("http.http_content_type") or answered.get("content-type", ""),
        length=event.number("http.length"),
    )


def _headers(event: Found, side: str) -> dict[str, str]:
    """Return the headers of a side that an event lists, by name in lower case."""
    names, texts = event.texts(f"http.{side}_headers.name"), event.texts(f"http.{side}_headers.value")
    pairs = event.all(f"http.{side}_headers")
    found: dict[str, str] = {}
    for pair in pairs if names and texts else ():
        if isinstance(pair, dict) and isinstance(pair.get("name"), str) and isinstance(pair.get("value"), str):
            found.setdefault(pair["name"].lower()[:100], pair["value"][:1000])
    return found


def files_of(events: Iterable[tuple[Found, int | None]]) -> list[File]:
    """Return the files that fileinfo events and alerts tell of, each once a flow, in the order they are first told."""
    found: dict[tuple[object, ...], File] = {}
    for event, flow in events:
        for file in _told(event, flow):
            key = (flow, file.sha256 or (file.name, file.size))
            found[key] = _same(found[key], file) if key in found else file
    return list(found.values())


def _told(event: Found, flow: int | None) -> list[File]:
    """Return the files an event tells of: one of a fileinfo event, those of an alert."""
    if event.kind == "fileinfo":
        return [_file(event, "fileinfo", event, flow)]
    parts = [part for part in event.all("files") if isinstance(part, dict)]
    inner = [Found(event.index, event.id, event.time, {"fileinfo": part}, "eve") for part in parts]
    return [_file(part, "fileinfo", event, flow) for part in inner]


def _file(said: Found, name: str, event: Found, flow: int | None) -> File:
    """Return the file that is described under a name."""
    sha256 = said.text(f"{name}.sha256").lower()
    sha256 = sha256 if SHA256.fullmatch(sha256) else ""
    stored = "true" in said.texts(f"{name}.stored")
    return File(
        index=event.index,
        id=event.id,
        time=told(event.time),
        flow=flow,
        name=said.text(f"{name}.filename"),
        size=said.number(f"{name}.size"),
        magic=said.text(f"{name}.magic"),
        state=said.text(f"{name}.state"),
        md5=said.text(f"{name}.md5"),
        sha1=said.text(f"{name}.sha1"),
        sha256=sha256,
        stored=stored,
        path=f"{sha256[:2]}/{sha256}" if stored and sha256 else None,
        seen=1,
    )


def _same(one: File, other: File) -> File:
    """Return two tellings of one file as one: that of the stored file, or the one that says more."""
    better = max((one, other), key=lambda file: (file.stored, bool(file.magic), -(file.seen)))
    return File(
        **{**vars(better), "time": min(filter(None, (one.time, other.time)), default=None), "seen": one.seen + 1}
    )


def capture_of(gathered: Gathered, flow: Flow) -> Capture:
    """Return where the packets of a flow are, and when."""
    names = ("capture_file", "pcap_filename")
    files = dict.fromkeys(event.text(name) for event in gathered.events for name in names)
    whole = any(event.kind == "flow" and event.moment("flow.end") for event in gathered.events)
    begun = any(event.moment("flow.start") for event in gathered.events)
    start, end = moment(flow.start), moment(flow.end)
    return Capture(
        flow=flow.number,
        files=tuple(name for name in files if name not in NO_FILE),
        sensors=tuple(dict.fromkeys(sensor for sensor, _ in flow.flow_ids if sensor)),
        start=told(_moved(start, -(MARGIN if begun else GUESS))),
        end=told(_moved(end, MARGIN if whole else GUESS)),
        filter=packet_filter(flow),
    )


def _moved(at: datetime | None, by: timedelta) -> datetime | None:
    """Return a time moved."""
    return at + by if at else None


def packet_filter(flow: Flow) -> str:
    """Return the filter of tcpdump and Wireshark's capture dialog for a flow; empty if its ends are no addresses."""
    ends = (flow.client_ip, flow.client_port), (flow.server_ip, flow.server_port)
    if any(address_number(ip) is None for ip, _ in ends):
        return ""
    parts = [f"host {ip}" for ip, _ in ends]
    protocol = PROTOCOLS.get(flow.protocol, "")
    if protocol in ("tcp", "udp", "sctp"):
        parts += [f"port {port}" for _, port in ends if port is not None]
    return " and ".join([protocol, *parts] if protocol else parts)
