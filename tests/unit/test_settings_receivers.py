"""Receivers as the settings read them: kinds, what they are told, and secrets from the environment and from files."""

import json
from ipaddress import ip_network

import pytest

from connector.cli.settings import _settings_tables
from connector.errors import ContentError
from connector.settings.load import load_settings
from connector.settings.model import MailAccount, Receiver
from connector.settings.view import shown

ALL = """
receiver_networks: [10.20.0.0/16]
receivers:
  - {name: soar, url: "https://soar.example/", events: [finding, declaration], severity: medium, networks: [127.0.0.1]}
  - {name: pager, kind: pagerduty, url: "https://events.example/", secret_env: PAGER, messages_per_minute: 5}
  - {name: tickets, kind: jira, url: "https://j.example/", authorization_env: JIRA, project: SEC, issue_type: Bug}
  - name: people
    kind: mail
    url: smtps://mail.example
    from: hunts@example.org
    to: [a@example.org, b@example.org]
    username: me
    password_file: password
"""
SECRETS = {"PAGER": "pager-not-for-eyes", "JIRA": "Bearer jira-not-for-eyes"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "password").write_text("mail-not-for-eyes\n")
    return tmp_path


def read(folder, text, **environment):
    (folder / "hunts.yml").write_text(text)
    return load_settings(folder / "hunts.yml", environment)


def test_each_kind_is_read_with_what_it_needs(folder):
    soar, pager, tickets, people = read(folder, ALL, **SECRETS).receivers
    general = (ip_network("10.20.0.0/16"),)
    assert (soar.kind, soar.events, soar.severity) == ("generic", ("declaration", "finding"), "medium")
    assert soar.networks == (*general, ip_network("127.0.0.1"))
    assert (pager.secret, pager.messages_per_minute, pager.networks) == ("pager-not-for-eyes", 5, general)
    assert (pager.events, pager.severity) == (("declaration",), "high")
    assert (tickets.authorization, tickets.project, tickets.issue_type) == ("Bearer jira-not-for-eyes", "SEC", "Bug")
    account = MailAccount("hunts@example.org", ("a@example.org", "b@example.org"), "me", "mail-not-for-eyes")
    assert (people.url, people.mail) == ("smtps://mail.example", account)


def test_no_secret_is_in_what_is_shown_or_in_a_picture(folder):
    settings = read(folder, ALL, **SECRETS)
    view = shown(settings)
    assert "not-for-eyes" not in json.dumps(view["receivers"], default=str) + repr(settings) + repr(settings.receivers)
    assert [one["secret"] for one in view["receivers"]] == ["not set", "set", "not set", "not set"]
    assert [one["authorization"] for one in view["receivers"]] == ["not set", "not set", "set", "not set"]
    assert [one["password"] for one in view["receivers"]] == ["not set", "not set", "not set", "set"]
    assert _settings_tables(view)


@pytest.mark.parametrize("value", ["Bearer a\r\nx: y", "a\nb"])
def test_a_header_that_would_be_two_lines_is_refused_and_not_repeated(folder, value):
    with pytest.raises(ContentError, match="holds more than one line") as caught:
        read(folder, ALL, **{**SECRETS, "JIRA": value})
    assert "Bearer a" not in str(caught.value)


def test_credentials_may_travel_in_clear_to_this_machine_only(folder):
    text = "receivers: [{name: a, url: 'http://%s/', authorization_env: A}]"
    assert read(folder, text % "127.0.0.1:8080", A="x").receivers[0].authorization == "x"
    with pytest.raises(ContentError, match="is plain http to another machine"):
        read(folder, text % "soar.example", A="x")


def test_a_receiver_of_before_means_what_it_did():
    old = Receiver("r", "https://r.example/", "whsec_a2tr")
    assert (old.kind, old.events, old.networks, old.mail) == ("generic", ("declaration",), (), None)
