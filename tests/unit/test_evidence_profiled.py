"""What of a host's profile is evidence: bounded, of the time around it, and beside what the events say."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from connector.respond.evidence.asking import Span
from connector.respond.evidence.model import Evidence, Host, Subject
from connector.respond.evidence.profiled import MOST, MOST_SEEN, profile_of, with_profile

START, END = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
SPAN = Span(START, END)
HOST = Host(
    **{"ip": "10.0.0.20", "names": (), "users": ("J.Doe",), "macs": (), "departments": (), "networks": ()},
    **{"roles": ("server",), "user_agents": (), "first": None, "last": None, "events": 0, "kinds": {}, "alerts": {}},
)


def seen(first: str, last: str, **more: Any) -> dict[str, Any]:
    """Return an entry of a profile, seen from a day of 2026 to another."""
    return {**more, "first_seen": f"2026-{first}T12:00:00.000Z", "last_seen": f"2026-{last}T12:00:00.000Z"}


def document(**lists: Any) -> dict[str, Any]:
    """Return a profile as it is stored."""
    changes = lists.pop("changes", ())
    return {"host_id": seen("01-01", "11-20", **lists), "changes": changes, "updated": "2026-11-20T12:00:00.000Z"}


def test_names_and_users_are_those_of_the_time() -> None:
    names = [
        seen("01-01", "03-01", host="long-ago", source=["dhcp"]),
        seen("10-28", "10-28", host="leased", source=["dhcp", "ntlm"]),
        seen("01-01", "11-20", host="files1", source=["kerberos"]),
        seen("11-05", "11-20", host="later", source=["dhcp"]),
    ]
    users = [seen("11-02", "11-02", user="j.doe", source=["ntlm"]), seen("11-04", "11-04", user="new", source=["rdp"])]
    found = profile_of(document(hostname=names, username=users), SPAN)
    assert [one.value for one in found.names] == ["leased", "files1"]
    assert (found.names[0].by, found.names[0].first) == (("dhcp", "ntlm"), "2026-10-28T12:00:00.000Z")
    assert [one.value for one in found.users] == ["j.doe"]
    assert [one.value for one in profile_of(document(hostname=names), Span()).names] == [one["host"] for one in names]


def test_names_users_and_roles_are_those_of_events_and_profile() -> None:
    own = document(
        hostname=[seen("11-01", "11-02", host="files1", source=["dhcp"])],
        username=[seen("11-01", "11-02", user=name, source=["ntlm"]) for name in ("j.doe", "help.desk")],
        roles=[seen("11-01", "11-02", name="file server", rule="offers SMB or NFS")],
    )
    host = with_profile(HOST, own, SPAN)
    assert host.names == ("files1",)
    assert host.users == ("J.Doe", "help.desk")  # events are searched by their own spelling
    assert host.roles == ("server", "file server")
    assert host.profile.roles[0].by == ("offers SMB or NFS",)


def test_services_tell_what_was_seen_there_and_changes_the_newest_first() -> None:
    values = [seen("11-02", "11-03", app_proto="tls"), seen("11-01", "11-02", tls_subject="CN=erp1")]
    many = [seen("11-02", "11-02", tls_serial=str(n)) for n in range(9)]
    changes = [{"what": "role", "value": f"r{day}", "time": f"2026-11-0{day}T12:00:00.000Z"} for day in (1, 3, 2)]
    services = [{"proto": "tcp", "port": 443, "values": values}, {"proto": "tcp", "port": 22, "values": many}]
    found = profile_of(document(services=services, changes=changes), SPAN)
    assert [one.value for one in found.services] == ["tcp/443", "tcp/22"]
    assert (found.services[0].by, found.services[0].first) == (("tls", "tls_subject CN=erp1"), values[1]["first_seen"])
    assert (len(found.services[1].by), found.services[1].by[-1]) == (MOST_SEEN + 1, "… 4 more")
    assert [(one.by, one.value) for one in found.changes] == [(("role",), f"r{day}") for day in (3, 2, 1)]


def test_it_is_bounded_and_says_what_is_left_out() -> None:
    names = [seen("11-02", "11-02", host="x" * 5000, source=["dns"]) for _ in range(100)]
    services = [{"proto": "udp", "port": n, "values": [seen("11-02", "11-02", app_proto="dns")]} for n in range(200)]
    found = profile_of(document(hostname=names, services=services), SPAN)
    assert (len(found.names), len(found.services)) == (MOST["names"], MOST["services"])
    assert found.left_out == {"names": 80, "services": 150}
    assert len(found.names[0].value) <= 1000


def test_a_document_reads_back_with_and_without_a_profile() -> None:
    own = document(
        username=[seen("11-02", "11-02", user="j.doe", source=["ntlm"])],
        services=[{"proto": "tcp", "port": 22, "values": [seen("11-02", "11-02", app_proto="ssh")]}],
    )
    made = Evidence(
        Subject("event", "i/1", "", {}, 1, None, None, ()), "now", host=with_profile(HOST, own, SPAN), links=()
    )
    assert Evidence.read(made.document) == made
    kept = made.document
    del kept["host"]["profile"]  # as it was kept before there were profiles
    assert Evidence.read(kept).host == replace(made.host, profile=None)
