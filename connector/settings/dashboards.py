"""The `dashboards` part of `hunts.yml`: where OpenSearch Dashboards or Kibana is, and how to log in there.

Promises: without a login of its own that of the search engine is used, as both products know the same users;
credentials never travel in clear text, loopback aside. Will not: connect.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from connector.errors import Problem, Refused
from connector.settings.access import checked_url, in_clear, is_safe
from connector.settings.files import Surroundings
from connector.settings.model import DashboardsSettings, SiemSettings
from connector.settings.part import Part


def dashboards_of(part: Part, siem: SiemSettings, around: Surroundings, problems: list[Problem]) -> DashboardsSettings:
    """Return where the dashboards are and how to log in; what is wrong is added to `problems`."""
    username = part.text("username")
    password = around.secret(part, "password_file", "HUNTS_DASHBOARDS_PASSWORD", problems)
    api_key = around.secret(part, "api_key_file", "HUNTS_DASHBOARDS_API_KEY", problems)
    ca_file = around.path(part, "ca_file", problems)
    if username and api_key:
        problems.append(part.at("username").problem("is set as well as an API key: keep one way to log in"))
    elif username and not password:
        words = "has no password: set HUNTS_DASHBOARDS_PASSWORD, or name a file with it as dashboards.password_file"
        problems.append(part.at("username").problem(words))
    if part.text("space") and part.text("tenant"):
        words = "is set as well as a space: Kibana has spaces, OpenSearch Dashboards has tenants"
        problems.append(part.at("tenant").problem(words))
    if not username and not api_key:
        username, password, api_key = siem.username, siem.password, siem.api_key
    where = part.at("url")
    split = checked_url(where, problems) if part.text("url") else None
    if split and (username or api_key) and not is_safe(split):
        problems.append(in_clear(where))
    return DashboardsSettings(
        url=part.text("url") or "",
        username=username,
        password=password if username else None,
        api_key=api_key,
        ca_file=str(ca_file) if ca_file else siem.ca_file,
        space=part.text("space") or "",
        tenant=part.text("tenant") or "",
    )


def at_address(settings: DashboardsSettings, url: str | None) -> DashboardsSettings:
    """Return the settings with the address given, or as they are; Refused if there is none or it is not safe."""
    address = url or settings.url
    if not address:
        raise Refused("no address of the dashboards is known: give --url, or set dashboards.url in hunts.yml")
    try:
        split = urlsplit(address)
        whole = split.scheme in ("http", "https") and bool(split.hostname) and split.port != 0
    except ValueError:
        whole = False
    if not whole or "@" in split.netloc or split.query or split.fragment or not address.isprintable():
        raise Refused("this is no address of dashboards: write it like https://host.example:5601, without a user in it")
    if (settings.username or settings.api_key) and not is_safe(split):
        raise Refused("plain http to another machine would show the password or key to others: use https")
    return replace(settings, url=address)
