"""What of `hunts.yml` reaches over the network: the search engine here, addresses for the receivers, too.

Promises: an address is whole and has no password in it; credentials never travel in clear text, loopback aside. Will
not: connect.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from connector.errors import Problem
from connector.settings.files import Surroundings
from connector.settings.model import SiemSettings
from connector.settings.part import Part


def siem_of(part: Part, around: Surroundings, problems: list[Problem]) -> SiemSettings:
    """Return where the search engine is and how to log in; what is wrong is added to `problems`."""
    urls = [(url, checked_url(url, problems)) for url in (*part.texts("url"), *part.texts("urls"))]
    ca_file = around.path(part, "ca_file", problems)
    username = part.text("username")
    password = around.secret(part, "password_file", "HUNTS_PASSWORD", problems)
    api_key = around.secret(part, "api_key_file", "HUNTS_API_KEY", problems)
    problems.extend(_login_problems(part, password, api_key))
    if password or api_key or username:
        problems.extend(in_clear(url) for url, split in urls if split and not is_safe(split))
    return SiemSettings(
        urls=tuple(str(url.value) for url, _ in urls),
        username=username,
        password=password if username else None,
        api_key=api_key,
        ca_file=str(ca_file) if ca_file else None,
    )


def _login_problems(part: Part, password: str | None, api_key: str | None) -> list[Problem]:
    """Return what does not fit together in the ways to log in."""
    username = part.at("username")
    if username.value and api_key:
        return [username.problem("is set as well as an API key: keep one way to log in")]
    if username.value and not password and not part.text("password_file"):
        return [username.problem("has no password: set HUNTS_PASSWORD, or name a file with it as siem.password_file")]
    if not username.value and part.text("password_file"):
        return [part.at("password_file").problem("needs siem.username beside it")]
    return []


def checked_url(
    part: Part, problems: list[Problem], userinfo_is_secret: bool = True, schemes: Sequence[str] = ("http", "https")
) -> SplitResult | None:
    """Return the parts of the url at this place; None, and a problem that does not repeat it, if it is none."""
    try:
        split = urlsplit(str(part.value))
        whole = split.scheme in schemes and bool(split.hostname) and split.port != 0
    except ValueError:
        whole = False
    if not whole or not str(part.value).isprintable() or " " in str(part.value):
        example = {"http": "https://host.example:9200", "smtp": "smtp://mail.example:587"}[schemes[0]]
        problems.append(part.problem(f"is no address: write it like {example}"))
        return None
    if userinfo_is_secret and "@" in split.netloc:
        problems.append(part.problem("has a user or password in it: use the keys for those, and a file for secrets"))
        return None
    return split


def is_safe(split: SplitResult) -> bool:
    """Tell whether credentials may travel there: encrypted, or not leaving this machine."""
    host = split.hostname or ""
    try:
        return split.scheme == "https" or host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def in_clear(url: Part) -> Problem:
    """Return the problem of credentials that anyone on the way could read."""
    return url.problem("is plain http to another machine, so the password or key could be read: use https")
