"""Links from evidence into other tools: the built-in ones by the address of the tool, and templates of one's own.

Promises: every template is an http or https address whose host is fixed, and names only values that evidence has.
Will not: fill one in (`respond/evidence/links.py` does).
"""

from __future__ import annotations

from collections.abc import Iterator
from string import Formatter
from urllib.parse import urlsplit

from connector.errors import Problem
from connector.settings.model import LinkOf, LinkTemplate
from connector.settings.part import Part

OFF = "off"
VIRUSTOTAL = "https://www.virustotal.com"
# what a link can be of, and the values its template may name
VALUES: dict[LinkOf, tuple[str, ...]] = {
    "flow": (
        *("client_ip", "client_port", "server_ip", "server_port", "protocol", "flow_id", "community_id", "query"),
        *("start", "end", "start_seconds", "end_seconds"),
    ),
    "event": ("index", "id"),
    "file": ("sha256", "sha1", "md5"),
    "domain": ("domain",),
    "address": ("address",),
}
_TIMES = "startTime={start_seconds}&stopTime={end_seconds}"
_ENDS = (
    "ip%20%3D%3D%20{client_ip}%20%26%26%20port%20%3D%3D%20{client_port}%20%26%26%20"
    "ip%20%3D%3D%20{server_ip}%20%26%26%20port%20%3D%3D%20{server_port}"
)
_RISON_TIME = "_g=(time:(from:'{start}',to:'{end}'))"
_RISON_QUERY = "(query:(language:kuery,query:'{query}'))"
# by tool, what comes after its address; of two for one thing, the first whose values are known is taken
BUILT_IN: dict[str, tuple[tuple[LinkOf, str], ...]] = {
    "arkime": (
        ("flow", f"/sessions?expression=communityId%20%3D%3D%20%22{{community_id}}%22&{_TIMES}"),
        ("flow", f"/sessions?expression={_ENDS}&{_TIMES}"),
    ),
    "evebox": (("event", "/#/event/{id}"),),
    "kibana": (("flow", f"/app/discover#/?{_RISON_TIME}&_a={_RISON_QUERY}"),),
    "opensearch_dashboards": (("flow", f"/app/data-explorer/discover#?{_RISON_TIME}&_q={_RISON_QUERY}"),),
    "virustotal": (
        ("file", "/gui/file/{sha256}"),
        ("domain", "/gui/domain/{domain}"),
        ("address", "/gui/ip-address/{address}"),
    ),
}


def links_of(part: Part, problems: list[Problem]) -> tuple[LinkTemplate, ...]:
    """Return the templates of links that the settings switch on; what is wrong is added to `problems`."""
    found: list[LinkTemplate] = []
    for tool, templates in BUILT_IN.items():
        base = part.text(tool) or (VIRUSTOTAL if tool == "virustotal" else OFF)
        if base == OFF:
            continue
        if _is_base(base):
            found += [LinkTemplate(tool, of, base.rstrip("/") + rest) for of, rest in templates]
        else:
            words = "is no address of a tool: write it like https://host.example:8005, without user, ? or #"
            problems.append(part.at(tool).problem(words))
    return (*found, *_own(part, problems))


def _own(part: Part, problems: list[Problem]) -> Iterator[LinkTemplate]:
    """Yield the templates of one's own."""
    for item in part.items("more"):
        url = item.text("url") or ""
        of: LinkOf | None = next((each for each in VALUES if each == item.text("of")), None)
        if of is None or not url:
            continue
        if (wrong := _wrong(url, of)) is not None:
            problems.append(item.at("url").problem(wrong))
        else:
            yield LinkTemplate(item.text("name") or item.name, of, url)


def _wrong(url: str, of: LinkOf) -> str | None:
    """Return what is wrong with a template; None if nothing is."""
    try:
        parts = list(Formatter().parse(url))
    except ValueError:
        return "has a brace too much: a value is written like {sha256}, a brace itself like {{"
    names = [name for _, name, _, _ in parts if name is not None]
    plain = [not form and conversion is None for _, name, form, conversion in parts if name is not None]
    if not all(plain) or any(name not in VALUES[of] for name in names):
        return f"names a value that a link of a {of} does not have: it has {', '.join(VALUES[of])}"
    if not names:
        return f"names no value, so it would be the same for each {of}: it has {', '.join(VALUES[of])}"
    fixed = (parts[0][0] or "").partition("?")[0].partition("#")[0]
    whole = fixed if len(parts[0][0] or "") > len(fixed) or fixed.count("/") > 2 else ""
    if not _is_base(whole):
        return "is no http or https address with a host that is always the same"
    return None


def _is_base(url: str) -> bool:
    """Tell whether a text is an http or https address without user, query and fragment."""
    try:
        split = urlsplit(url)
        whole = split.scheme in ("http", "https") and bool(split.hostname) and split.port != 0
    except ValueError:
        return False
    return whole and url.isprintable() and not set(url) & set(" ?#\"'<>\\{}") and "@" not in split.netloc
