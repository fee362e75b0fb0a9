"""Facts of a host: merging in any order and as often as one likes is the same; lists stay short; values are read."""

from itertools import permutations

from connector.hosts.attributes import BY_PATH
from connector.hosts.changes import changed
from connector.hosts.facts import Count, Facts, limited, merged, summed
from connector.hosts.reading import address, pointed, read
from connector.hosts.shape import ROLE_TIME, SCANNER, epoch_text, shaped
from connector.hunts.passes.intervals import SLOT
from connector.hunts.passes.parts import Turn, every_part

AGENT = "http.user_agent"


def facts(*entries: tuple[str, int, int]) -> Facts:
    """Return facts with user agents."""
    found = Facts()
    for value, first, last in entries:
        found.note(AGENT, (value,), (first, last))
        found.saw((first, last))
    return found


def test_the_order_of_windows_does_not_matter_nor_how_often_they_are_done():
    parts = [facts(("a", 5, 9), ("b", 7, 7)), facts(("a", 1, 2)), facts(("b", 8, 20), ("c", 3, 3))]
    results = []
    for order in permutations([*parts, parts[0]]):
        kept = None
        for part in order:
            kept = merged(kept, part)
        results.append(kept)
    assert all(result == results[0] for result in results)
    assert results[0]["lists"][AGENT] == [["a", 1, 9], ["b", 7, 20], ["c", 3, 3]]
    assert results[0]["seen"] == [1, 20]


def test_a_full_list_keeps_the_newest_and_counts_what_it_let_go():
    most = BY_PATH[AGENT].most
    many = facts(*((f"a{n}", n, n) for n in range(most + 30)))
    once = merged(None, many)
    assert len(once["lists"][AGENT]) == most and len(once["cut"][AGENT]) == 30
    assert merged(once, many) == once
    host = shaped(once, {})
    assert host["http"]["user_agent_count"] == most + 30 and host["http"]["user_agent_cut"] == 30


def test_what_was_seen_last_and_what_appeared_last_is_kept():
    values = {("old friend",): (0, 100), ("new",): (90, 90), ("gone",): (1, 50), ("older",): (2, 40)}
    gone = limited(values, 2)
    assert set(values) == {("old friend",), ("new",)} and len(gone) == 2


def test_values_that_are_too_long_or_say_nothing_are_none():
    assert read("text", ["x" * 257]) is None
    assert read("text", ["tcp", "80", ""]) is None and read("text", ["", "x"], optional=1) is None
    assert read("text", ["10.0.0.53", "approved", ""], optional=1) == ("10.0.0.53", "approved", "")
    assert read("text", ["10.0.0.53", "approved", "x" * 257], optional=1) is None
    assert read("person", ["<empty>"]) is None and read("person", ["FIN-WS01$"]) is None
    assert read("person", ["CORP\\J.Doe"]) == ("j.doe",)
    assert read("machine", ["FIN-WS01$"]) == ("fin-ws01",)
    assert read("share", ["\\\\FILES1\\hr"]) == ("files1",)
    assert read("local", ["_ipp._tcp.local"]) is None and read("local", ["Desk.local"]) == ("desk",)
    assert read("name", ["10.0.0.1"]) is None
    assert read("mail", ["<A@b.example>"]) == ("a@b.example",)
    assert read("service", ["TCP", "50000", "ftp-data"]) is None


def test_addresses_have_one_spelling():
    assert address("::ffff:10.0.0.1") == "10.0.0.1"
    assert address("fd00:0010::001F") == "fd00:10::1f"
    assert [address(text) for text in ("0.0.0.0", "224.0.0.251", "127.0.0.1", "nobody")] == [None] * 4
    assert pointed("53.0.0.10.in-addr.arpa") == "10.0.0.53"
    assert pointed("f.1." + "0." * 30 + "ip6.arpa") is None or pointed("x.in-addr.arpa") is None


def test_numbers_add_up():
    assert summed([{"numbers": {"a": 1}}, {"numbers": {"a": 2, "b": 3}}]) == {"numbers": {"a": 3, "b": 3}}


def test_a_host_that_is_often_away_is_told_few_stretches():
    parts = {"settled": None, "windows": {}}
    for n in range(0, 400, 2):  # it is there in every other window
        start, end = n * SLOT, (n + 1) * SLOT
        parts = Count(Turn(start, end, end, end - 2 * SLOT), ((0, start),)).parts(parts, {"numbers": {"a": 1}})
    assert summed(every_part(parts)) == {"numbers": {"a": 200}}
    assert len(parts["windows"]) <= 2 and parts["settled"]["times"] == [[0, 397 * SLOT]]
    again = Count(Turn(4 * SLOT, 5 * SLOT, 399 * SLOT, 397 * SLOT), ((0, 399 * SLOT),))
    assert again.parts(parts, {"numbers": {"a": 9}}) == parts
    before = Count(Turn(-2 * SLOT, -SLOT, 399 * SLOT, 397 * SLOT), ((0, 399 * SLOT),))
    assert summed(every_part(before.parts(parts, {"numbers": {"a": 9}}))) == {"numbers": {"a": 209}}


def test_moments_are_written_to_the_millisecond():
    assert epoch_text(1_790_000_400_007) == "2026-09-21T14:20:00.007Z"
    assert epoch_text(59_999) == "1970-01-01T00:00:59.999Z" and epoch_text(-1) == "1969-12-31T23:59:59.999Z"


def test_a_scanner_is_who_is_not_answered_by_many():
    many = Facts()
    for n in range(SCANNER):
        many.note("unanswered", (f"10.0.0.{n}", "22"), (n, n))
    assert [role["name"] for role in shaped(merged(None, many), {})["roles"]] == ["scanner"]
    many.lists["unanswered"].popitem()
    assert shaped(merged(None, many), {})["roles"] == []


def test_a_role_that_was_not_seen_for_a_month_is_no_role_any_more():
    """The address may be of another host by now; what it offered then stays in its services."""
    printer, month = Facts(), ROLE_TIME
    printer.saw((1, 1))
    printer.note("services", ("TCP", "9100", "failed"), (1, 1))
    printer.note("services", ("TCP", "80", "http"), (1, month + 2))
    then = merged(None, printer)
    assert [role["name"] for role in shaped(then, {})["roles"]] == ["printer"]
    later = Facts()
    later.saw((month + 1, month + 1))
    assert [role["name"] for role in shaped(merged(then, later), {})["roles"]] == ["printer"]
    later.saw((month + 2, month + 2))
    host = shaped(merged(then, later), {})
    assert [role["name"] for role in host["roles"]] == ["web server"]
    assert [service["port"] for service in host["services"]] == [80, 9100]


def test_the_names_a_proxy_serves_are_not_its_own():
    proxy = Facts()
    proxy.note("hostname", ("www.example.com", "tls"), (1, 1))
    proxy.note("hostname", ("proxy1", "dhcp"), (1, 1))
    assert len(shaped(merged(None, proxy), {})["hostname"]) == 2
    proxy.note("services.http_proxied", ("TCP", "3128", "CONNECT"), (1, 1))
    assert [entry["host"] for entry in shaped(merged(None, proxy), {})["hostname"]] == ["proxy1"]


def test_changes_are_what_was_not_there_before():
    before = merged(None, facts(("a", 1, 1)))
    old = {"host_id": shaped(before, {}), "changes": []}
    new = shaped(merged(before, facts(("b", 5, 6))), {})
    assert changed(None, new) == []
    found = changed(old, new)
    assert [(one["what"], one["value"]) for one in found] == [("user agent", "b")]
    assert changed({"host_id": new, "changes": found}, new) == found
