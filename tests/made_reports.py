"""Reports made up for tests: one that is like a real one, and the same with a text wherever an event could put it."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from connector.respond.evidence.model import (
    Capture,
    Event,
    Evidence,
    File,
    Flow,
    Host,
    Http,
    Link,
    Lookup,
    Name,
    Others,
    Profile,
    Reference,
    Subject,
    Tls,
    Trait,
)
from connector.respond.report.model import (
    Activity,
    Answer,
    Bin,
    Decision,
    Guide,
    Rated,
    Report,
    Sent,
    Step,
    Summary,
    Table,
    Thread,
    Tie,
    Todo,
)
from connector.respond.report.timeline import timeline_of, with_activity

FIRST, LAST = "2026-11-02T09:12:07.000Z", "2026-11-02T15:58:21.000Z"
# ours and not an event's: what a step, a lane or a mark is called in the code
OURS = ("lane", "severity", "start", "end", "at", "times", "first", "last", "name", "kind")
ID = "cae43860964e935b6142"


def step(number: int, **changes: Any) -> Step:
    """Return a step of the thread."""
    made = Step(
        number=number,
        kind="finding",
        lane="dns",
        id=f"{number:032}",
        hunt="public-dns-queries",
        title="Policy: Public DNS queries",
        severity="medium",
        status="open",
        events=2,
        first=FIRST,
        last=LAST,
        subject=True,
        facts={"hostname_info.host": ("sync.example",)},
        times=(FIRST, LAST),
        places=(("i", "1"), ("i", "2")),
    )
    return replace(made, **changes)


def beacon(number: int = 2, **changes: Any) -> Step:
    """Return the step of a beacon."""
    own = {"lane": "beacons", "hunt": "tls-beacon", "title": "Hunt: Regular TLS connections", "severity": "high"}
    told = {"events": 120, "subject": False, "facts": {"hunt.server.ip": ("203.0.113.66",)}}
    return step(number, **{**own, **told, "ties": (Tie("name", ("sync.example",), (1,)),), **changes})


def summary(**changes: Any) -> Summary:
    """Return a summary."""
    made = Summary(
        what="DNS past the approved resolvers",
        asset="10.10.10.17",
        hosts=("fin-ws07",),
        users=("j.doe",),
        departments=("finance",),
        first=FIRST,
        last=LAST,
        events=7,
        severity="high",
        gravest="step 2: Hunt: Regular TLS connections",
        kind="policy",
        phase="command_and_control",
        status="new",
        assigned="",
        explanation="Names escape our log.",
        by="ana",
        made="2026-11-03T10:00:00.000Z",
        updated="2026-11-03T10:00:00.000Z",
    )
    return replace(made, **changes)


def profile(**changes: Any) -> Profile:
    """Return the profile of a host with something in every part."""
    seen = {"first": FIRST, "last": LAST}
    made = Profile(
        updated=LAST,
        **seen,
        names=(Trait("fin-ws07", ("dhcp", "kerberos"), **seen),),
        users=(Trait("j.doe", ("ntlm",), **seen),),
        roles=(Trait("file server", ("offers SMB or NFS",), **seen),),
        services=(Trait("tcp/445", ("smb",), **seen),),
        changes=(Trait("curl/8.5.0", ("user agent",), FIRST, None),),
        left_out={"services": 3},
    )
    return replace(made, **changes)


def evidence(**changes: Any) -> Evidence:
    """Return evidence with something in every part."""
    place = {"index": "logstash-1", "id": "1", "time": FIRST}
    event = Event(**place, kind="http", flow=1, of_subject=True, words="GET /", source={"a": 1})
    tls_names = ("protocol", "version", "sni", "subject", "issuer", "serial", "fingerprint", "not_before", "not_after")
    flow = {"client_ip": "10.10.10.17", "client_port": 1, "server_ip": "198.51.100.77", "server_port": 80}
    numbers = dict.fromkeys(("packets_to_server", "packets_to_client", "bytes_to_server", "bytes_to_client"), 5)
    file = {"name": "/a.docm", "size": 1, "magic": "Word", "state": "", "md5": "", "sha1": "", "sha256": "ab" * 32}
    asked = {"client": "10.10.10.17", "resolver": "8.8.8.8", "message": "answer", "name": "sync.example", "type": "A"}
    http = ("method", "host", "url", "protocol", "status", "user_agent", "referer", "content_type")
    made = Evidence(
        subject=Subject(
            "declaration",
            ID,
            "DNS: 10.10.10.17",
            {"hunt.client.ip": "10.10.10.17"},
            7,
            FIRST,
            LAST,
            (Reference("i", "1"),),
        ),
        made=LAST,
        events=(event,),
        flows=(
            Flow(
                **{"number": 1, "protocol": "TCP", "app_protocol": "http", **flow, "start": FIRST, "end": LAST},
                **{
                    "flow_ids": (("sensor", "1"),),
                    "community_id": "",
                    **numbers,
                    "state": "",
                    "events": 1,
                    "kinds": {},
                },
            ),
        ),
        dns=(Lookup(**place, flow=1, seconds_before=1.5, gave_address=True, **asked, code="", answers=("1",), ttl=1),),
        tls=(Tls(**place, flow=1, **dict.fromkeys(tls_names, "x"), ja3="j", ja3s="", ja4="j"),),
        http=(Http(**place, flow=1, **dict.fromkeys(http, "x"), length=1),),
        files=(File(**place, flow=1, **file, stored=True, path=f"ab/{'ab' * 32}", seen=1),),
        captures=(Capture(1, ("a.pcap",), ("sensor",), FIRST, LAST, "tcp and host 10.10.10.17"),),
        host=Host(
            **{"ip": "10.10.10.17", "names": ("fin-ws07",), "users": ("j.doe",), "macs": ("02:00",)},
            **{"departments": ("finance",), "networks": ("finance",), "roles": ("workstation",), "user_agents": ("x",)},
            **{"first": FIRST, "last": LAST, "events": 9, "kinds": {"dns": 7}, "alerts": {"a signature": 2}},
            profile=profile(),
        ),
        others=Others(FIRST, LAST, 9, {"dns": 7}, {}, (Name("sync.example", 3, FIRST, LAST, True),), (event,)),
        links=(Link("VirusTotal", "file", "https://www.virustotal.com/gui/file/ab"),),
        notes=("a note",),
        left_out={"events": 5},
    )
    return replace(made, **changes)


def report(**changes: Any) -> Report:
    """Return a report with something in every part."""
    steps = changes.pop("steps", (step(1), beacon(), step(3, tied=False, subject=False, lane="other")))
    decisions = (
        Decision("2026-11-02T12:00:00.000Z", "ana", "declared", "DNS", "words"),
        Decision(None, "", "", "", ""),
    )
    activity = Activity(
        600, {"dns": (Bin("2026-11-02T10:00:00.000Z", 5),), "web": (Bin("2026-11-02T11:00:00.000Z", 2),)}
    )
    timeline = timeline_of(steps, decisions)
    table = Table(("time", "name", "events"), ((FIRST, "sync.example", "3"),), 4)
    leans = {"lean_relevant": "this host alone", "lean_informational": "all hosts"}
    answer = Answer(
        1, "Which names?", FIRST, LAST, ("a is b",), "3 events", (table,), ("a note",), **leans, failed=False
    )
    made = Report(
        kind="declaration",
        id=ID,
        title="DNS: 10.10.10.17",
        made=LAST,
        version="0.1.0",
        summary=summary(),
        timeline=with_activity(timeline, activity) if timeline else None,
        thread=Thread(steps, 2, 3, ("a note",)),
        todo=(Todo("Take it off the network", "it calls out", "hunts guide 1"),),
        evidence=evidence(),
        reputation=(Rated("203.0.113.66", "ip", "malicious", "9 of 90 engines", "VirusTotal", LAST, FIRST),),
        reputation_left_out=2,
        guides=(Guide("f", "Policy: Public DNS queries", "10.10.10.17", (answer,)),),
        decisions=decisions,
        decisions_left_out=1,
        deliveries=(Sent(LAST, "soar", "declaration.new", "failed", 3, "answered 500", "msg_1"),),
        deliveries_left_out=1,
        limits=("a limit",),
    )
    return replace(made, **changes)


def filled(value: Any, text: str) -> Any:
    """Return the value with a text in place of every text that an event, a person or another program could have put."""
    if is_dataclass(value):
        own = {one.name: getattr(value, one.name) for one in fields(value) if one.init}
        return replace(value, **{n: v if _is_ours(n, v) else filled(v, text) for n, v in own.items()})
    if isinstance(value, str):
        return text
    if isinstance(value, Mapping):
        return {filled(key, text): filled(item, text) for key, item in value.items()}
    return tuple(filled(item, text) for item in value) if isinstance(value, list | tuple) else value


def _is_ours(name: str, value: Any) -> bool:
    """Tell whether a field never has an event's text."""
    return name in OURS and isinstance(value, str | tuple | None) and name != "names"
