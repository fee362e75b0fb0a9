"""Settings as they are read: defaults, the organisation, the DNS policy, access and secrets."""

import filecmp
from datetime import date
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.errors import ContentError
from connector.settings.addresses import address_of, lies_within, network_of
from connector.settings.links import BUILT_IN, VIRUSTOTAL
from connector.settings.load import EXAMPLE, load_settings, settings_file
from connector.settings.model import (
    ApprovedResolver,
    LinkTemplate,
    Network,
    PolicyException,
    Settings,
    SiemSettings,
    Source,
)

SHARED = Path(__file__).parents[3] / "shared"
VIRUSTOTAL_LINKS = tuple(LinkTemplate("virustotal", of, VIRUSTOTAL + rest) for of, rest in BUILT_IN["virustotal"])


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Return a function that writes hunts.yml, networks.yml and resolvers.yml and reads them as settings."""
    monkeypatch.chdir(tmp_path)

    def read(hunts="", networks=None, resolvers=None, **environment):
        for name, text in (("hunts", hunts), ("networks", networks), ("resolvers", resolvers)):
            if text is not None:
                Path(f"{name}.yml").write_text(text, encoding="utf-8")
        return load_settings(environment=environment)

    return read


def net(path: str, cidrs: str, department: str | None = None, role: str | None = None) -> Network:
    return Network(tuple(path.split("/")), tuple(ip_network(c) for c in cidrs.split()), department, role)


# ---- which file


def test_without_any_file_the_engine_is_embedded_and_the_organisation_the_example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load_settings(environment={})
    assert settings.embedded
    assert settings.file is None
    assert settings.organisation == "Example Instruments"
    assert settings.sources == (Source("logstash-*", "eve", "@timestamp"),)
    assert settings.prefix == "hunts-"
    assert settings.receivers == ()
    assert net("Example Instruments/campus/hr", "10.10.30.0/24", "hr", "workstation") in settings.networks
    assert net("Example Instruments/campus/guest", "10.10.40.0/24", "guest", "guest") in settings.networks
    assert net("Example Instruments/servers", "10.0.0.1/32", "servers", "dhcp-server") in settings.networks
    assert net("Example Instruments/servers", "10.0.0.30/32", "servers", "legacy-application") in settings.networks
    assert [(r.name, r.may_recurse, r.upstreams) for r in settings.approved] == [
        ("dns1", True, ()),
        ("dns2", True, (ip_network("9.9.9.9"),)),
        ("dc1", False, ()),
    ]
    assert [e.until for e in settings.exceptions] == [date(2026, 12, 31), date(2026, 9, 30)]


@pytest.mark.parametrize("name", ["networks.yml", "resolvers.yml"])
def test_the_example_is_the_organisation_of_the_story(name):
    if not SHARED.is_dir():
        pytest.skip("the folder shared with other projects is not beside this checkout")
    assert filecmp.cmp(EXAMPLE / name, SHARED / "story" / name, shallow=False)


def test_a_file_of_ones_own_leaves_the_example_out(read):
    settings = read("prefix: mine-\n")
    assert settings == Settings(prefix="mine-", links=VIRUSTOTAL_LINKS, file="hunts.yml")
    assert settings.embedded


def test_an_empty_file_is_all_defaults(read):
    assert read("# nothing yet\n") == Settings(links=VIRUSTOTAL_LINKS, file="hunts.yml")


def test_the_given_file_comes_before_the_environment_and_that_before_the_one_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert settings_file(None, {}) is None
    assert settings_file(None, {"HUNTS_CONFIG": ""}) is None
    Path("hunts.yml").touch()
    assert settings_file(None, {}) == Path("hunts.yml")
    assert settings_file(None, {"HUNTS_CONFIG": "/etc/hunts.yml"}) == Path("/etc/hunts.yml")
    assert settings_file(Path("x.yml"), {"HUNTS_CONFIG": "/etc/hunts.yml"}) == Path("x.yml")


def test_a_file_that_is_asked_for_and_not_there_is_an_error(tmp_path):
    with pytest.raises(ContentError, match=r"none\.yml:1: cannot be read: No such file"):
        load_settings(tmp_path / "none.yml", {})


def test_relative_paths_start_from_the_folder_of_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "etc"
    (folder / "own").mkdir(parents=True)
    (folder / "net.yml").write_text("organisation: {name: Acme, cidr: 10.0.0.0/8}\n")
    (folder / "hunts.yml").write_text("networks: net.yml\nqueries: own\n")
    settings = load_settings(Path("etc/hunts.yml"), {})
    assert settings.networks == (net("Acme", "10.0.0.0/8"),)
    assert settings.queries == Path("etc/own")


# ---- the organisation


def test_department_and_role_come_from_the_nearest_network_that_states_one(read):
    networks = """
organisation:
  name: Acme
  department: all
  networks:
    - name: site
      cidr: 10.0.0.0/8
      role: clients
      networks:
        - name: lab
          cidr: 10.1.0.0/16
          department: research
          networks: [{name: bench, cidr: 10.1.1.0/24, role: iot}]
      hosts:
        - {name: gate, address: 10.0.0.1, role: dhcp}
        - {name: plain, address: [10.0.0.2, 10.0.0.3]}
"""
    assert read(networks=networks).networks == (
        net("Acme/site", "10.0.0.0/8", "all", "workstation"),
        net("Acme/site", "10.0.0.1/32", "all", "dhcp-server"),
        net("Acme/site", "10.0.0.2/32 10.0.0.3/32", "all", "workstation"),
        net("Acme/site/lab", "10.1.0.0/16", "research", "workstation"),
        net("Acme/site/lab/bench", "10.1.1.0/24", "research", "iot"),
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("clients", "workstation"),
        ("visitors", "guest"),
        ("dhcp", "dhcp-server"),
        ("servers", "server"),
        ("resolver", "resolver"),
        ("legacy-application", "legacy-application"),
        ("9p-server", "9p-server"),
    ],
)
def test_roles_are_the_words_hunts_know_and_others_stay_as_written(read, written, meant):
    networks = f"organisation: {{name: Acme, cidr: 10.0.0.0/8, role: {written}}}"
    assert read(networks=networks).networks[0].role == meant


def test_a_network_of_one_ip_version_may_lie_in_one_that_has_only_the_other(read):
    networks = """
organisation:
  name: Acme
  cidr: [10.0.0.0/8, "fd00::/16"]
  networks:
    - name: site
      cidr: 10.1.0.0/16
      networks: [{name: lab, cidr: "fd00:1::/64"}]
"""
    assert len(read(networks=networks).networks) == 3
    with pytest.raises(ContentError, match=r"fd01:1::/64, which lies outside of the network around it \(fd00::/16\)"):
        read(networks=networks.replace("fd00:1::/64", "fd01:1::/64"))


def test_networks_may_overlap_where_one_lies_in_the_other(read):
    networks = """
organisation:
  name: Acme
  networks:
    - {name: wide, cidr: 10.0.0.0/8}
    - {name: narrow, cidr: 10.1.0.0/16}
"""
    assert [n.path[-1] for n in read(networks=networks).networks] == ["wide", "narrow"]


@pytest.mark.parametrize(
    "spelling", ["fd00:0:0:1::/64", "FD00:0000:0000:0001:0000:0000:0000:0000/64", "fd00::1:0:0:0:0/64"]
)
def test_ipv6_is_read_in_any_spelling(spelling):
    assert network_of(spelling) == ip_network("fd00:0:0:1::/64")


@given(st.ip_addresses().map(str))
def test_every_address_is_a_network_of_itself(text):
    assert address_of(text) == network_of(text) == ip_network(text)
    assert ip_address(text) in network_of(text)


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4), st.integers(0, 32))
def test_lies_within_is_what_the_ranges_say(a, a_bits, b, b_bits):
    inner, outer = ip_network((a, a_bits), strict=False), ip_network((b, b_bits), strict=False)
    claim = inner.network_address >= outer.network_address and inner.broadcast_address <= outer.broadcast_address
    assert lies_within(inner, outer) == claim


def test_an_ipv4_network_lies_in_no_ipv6_network():
    assert not lies_within(ip_network("10.0.0.0/8"), ip_network("::/0"))


@pytest.mark.parametrize("text", ["", " ", "10.0.0.1 ", "10.0.0.0/8/9", "10.0.0.0/33", "::/129", "x", "10.0.0.0/-1"])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ValueError, match="which is no address and no network: write it like 10"):
        network_of(text)


def test_a_range_written_twice_in_one_network_counts_once(read):
    networks = "organisation: {name: Acme, cidr: [10.0.0.0/8, 10.0.0.0/8]}"
    assert read(networks=networks).networks == (net("Acme", "10.0.0.0/8"),)


# ---- the DNS policy


def test_approved_resolvers_and_exceptions_are_networks_and_days(read):
    resolvers = """
approved:
  - name: a
    addresses: [10.0.0.53, "fd00::53"]
    role: cache for the site
    upstreams: [9.9.9.9, "2620:fe::/48", authoritative]
  - name: b
    address: 10.0.1.0/28
exceptions:
  - {client: 10.1.0.0/16, resolver: "2606:4700::/32"}
  - {client: 10.1.0.1, resolver: 1.1.1.1, protocol: doh, until: 2027-01-31, owner: lab, reason: test}
"""
    settings = read(resolvers=resolvers)
    assert settings.approved == (
        ApprovedResolver(
            "a",
            (ip_network("10.0.0.53"), ip_network("fd00::53")),
            (ip_network("9.9.9.9"), ip_network("2620:fe::/48")),
            may_recurse=True,
        ),
        ApprovedResolver("b", (ip_network("10.0.1.0/28"),)),
    )
    assert settings.exceptions == (
        PolicyException(ip_network("10.1.0.0/16"), ip_network("2606:4700::/32")),
        PolicyException(ip_network("10.1.0.1"), ip_network("1.1.1.1"), "doh", date(2027, 1, 31), "lab", "test"),
    )


def test_root_alone_lets_a_resolver_recurse(read):
    approved = read(resolvers="approved: [{name: a, address: 10.0.0.53, upstreams: [root]}]").approved
    assert approved[0].may_recurse


# ---- access


URL = "https://siem.example:9200"


def test_the_password_comes_from_its_file_or_the_environment(read, tmp_path):
    (tmp_path / "pw").write_text("from file\n")
    hunts = f"siem: {{url: '{URL}', username: me, password_file: pw}}"
    assert read(hunts).siem == SiemSettings((URL,), "me", "from file")
    assert read(hunts, HUNTS_PASSWORD="from environment").siem.password == "from environment"
    assert not read(hunts).embedded


def test_an_api_key_comes_from_its_file_or_the_environment(read, tmp_path):
    (tmp_path / "key").write_text("a2V5\n")
    assert read(f"siem: {{url: '{URL}', api_key_file: key}}").siem == SiemSettings((URL,), api_key="a2V5")
    assert read(f"siem: {{url: '{URL}'}}", HUNTS_API_KEY="other").siem.api_key == "other"


def test_secrets_in_the_environment_do_not_go_to_the_embedded_engine(read):
    siem = read("", HUNTS_PASSWORD="p", HUNTS_API_KEY="k").siem
    assert siem == SiemSettings()


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"\xff\xfe"])
def test_a_secret_file_holds_one_secret_and_nothing_else(read, tmp_path, content):
    (tmp_path / "pw").write_bytes(content)
    with pytest.raises(ContentError, match=r"hunts\.yml:1: siem\.password_file names a file that"):
        read(f"siem: {{url: '{URL}', username: me, password_file: pw}}")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.8.8.8"])
def test_plain_http_with_credentials_is_for_this_machine_only(read, host):
    assert read(f"siem: {{url: 'http://{host}:9200', username: me}}", HUNTS_PASSWORD="p").siem.password == "p"


@pytest.mark.parametrize("host", ["10.0.0.1", "siem.example", "localhost.example", "0.0.0.0", "[fe80::1]"])
def test_credentials_in_the_clear_are_refused(read, host):
    for environment in ({"HUNTS_API_KEY": "k"}, {"HUNTS_PASSWORD": "p"}):
        name = ", username: me" if "HUNTS_PASSWORD" in environment else ""
        with pytest.raises(ContentError, match="plain http to another machine"):
            read(f"siem: {{url: 'http://{host}:9200'{name}}}", **environment)


def test_plain_http_without_credentials_is_fine(read):
    assert read("siem: {urls: ['http://10.0.0.1:9200', 'http://10.0.0.2:9200']}").siem.urls == (
        "http://10.0.0.1:9200",
        "http://10.0.0.2:9200",
    )


@pytest.mark.parametrize("url", ["ftp://x", "https://", "x:9200", "https://a b", "https://x:port", "https://[::1"])
def test_what_is_no_address_is_refused_without_repeating_it(read, url):
    with pytest.raises(ContentError) as caught:
        read(f"siem: {{url: '{url}'}}")
    assert str(caught.value) == "hunts.yml:1: siem.url is no address: write it like https://host.example:9200"


def test_receivers_are_complete(read, tmp_path):
    for name in ("secret", "ca.pem", "body.j2"):
        (tmp_path / name).write_text("content\n")
    (tmp_path / "url").write_text("https://chat.example/very/secret\n")
    hunts = """
receivers:
  - {name: soar, url: "https://soar.example/", secret_env: SOAR, ca_file: ca.pem}
  - {name: ticket, url: "http://10.0.0.1/", secret_file: secret, template: body.j2}
  - {name: chat, url_file: url}
"""
    soar, ticket, chat = read(hunts, SOAR="s").receivers
    assert (soar.name, soar.url, soar.secret, soar.ca_file) == ("soar", "https://soar.example/", "s", "ca.pem")
    assert (ticket.secret, ticket.template) == ("content", Path("body.j2"))
    assert (chat.url, chat.secret, chat.template) == ("https://chat.example/very/secret", None, None)


def test_secrets_are_in_no_picture_of_the_settings(read, tmp_path):
    (tmp_path / "url").write_text("https://chat.example/very/secret\n")
    hunts = f"siem: {{url: '{URL}', username: me}}\nreceivers: [{{name: chat, url_file: url, secret_env: S}}]\n"
    picture = repr(read(hunts, HUNTS_PASSWORD="secret password", S="secret"))
    assert "secret" not in picture
