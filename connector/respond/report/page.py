"""A report as one HTML file that stands alone: no script, no request, nothing from outside; pure.

Promises: every value, whoever wrote it, becomes one line of visible text and is escaped where it stands, whether the
template asks for that or not; an address is a link only if it is one of http or https. The page's own policy forbids
everything but its style. Will not: compute what the report says.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from connector.respond.report.model import Report
from connector.respond.report.picture import picture
from connector.respond.report.tables import event_tables, evidence_tables, host_tables, names_table, rated_table
from connector.respond.report.texts import shown, told

LONG = 2000
LABELS = {
    "hostname_info.host": "name",
    "tls.sni": "TLS server name",
    "tls.version": "TLS version",
    "tls.subject": "certificate",
    "tls.issuerdn": "certificate issued by",
    "tls.ja4": "JA4",
    "tls.ja3.hash": "JA3",
    "hunt.server.ip": "server",
    "hunt.resolver.ip": "resolver",
    "hunt.resolver.provider": "resolver's provider",
    "hunt.resolver.verdict": "resolver is",
    "hunt.dns.rrtype": "record type",
    "alert.signature": "signature",
    "alert.signature_id": "signature id",
    "alert.category": "category",
    "alert.severity": "priority",
    "alert.action": "action",
    "fileinfo.filename": "file",
    "fileinfo.magic": "kind of file",
    "fileinfo.size": "bytes",
    "fileinfo.sha256": "SHA-256",
    "fileinfo.stored": "kept by the sensor",
    "http.url": "path",
    "http.http_user_agent": "user agent",
    "dest_port": "port",
    "app_proto": "protocol",
}
NUMBERS = ("bytes", "events", "flow", "status", "attempts", "seconds before", "bytes up / down")
WORDS = ("type", "tool", "method", "version", "protocol", "message")
TIMES = ("time", "first", "last", "from", "until", "start", "new since", "asked", "analysed")
TEMPLATE, STYLE = "report.html.j2", "report.css"


def page(report: Report) -> str:
    """Return the report as an HTML page."""
    return _template().render(
        report=report,
        style=Markup(_read(STYLE)),  # noqa: S704 - a file of ours
        picture=Markup(picture(report.timeline)) if report.timeline else "",  # noqa: S704 - made of elements
        evidence_tables=evidence_tables(report.evidence),
        event_tables=event_tables(report.evidence),
        host_tables=host_tables(report.evidence),
        names=names_table(report.evidence),
        rated=rated_table(report),
        classes={"": "mark", "event": "place"}
        | dict.fromkeys(TIMES, "time")
        | dict.fromkeys(NUMBERS, "number")
        | dict.fromkeys(WORDS, "word"),
    )


@cache
def _template() -> Template:
    """Return the template, read once."""
    environment = Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_said,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"time": told, "long": _long, "link": _link, "number": _number, "label": _label}
    return environment.get_template(TEMPLATE)


def _read(name: str) -> str:
    """Return the text of a file beside this one."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _said(value: Any) -> Any:
    """Return what a value becomes where the template names it: markup of ours as it is, the rest as visible text."""
    return value if isinstance(value, Markup) else shown(value)


def _long(value: object) -> Markup:
    """Return a text that may be longer than a value is."""
    return escape(shown(value, LONG))


def _number(value: int) -> str:
    """Return a number with commas."""
    return f"{value:,}"


def _label(field: str) -> str:
    """Return what people call a field."""
    return LABELS.get(field, field)


def _link(url: str) -> Markup:
    """Return an address as a link if it is one of http or https; else as text."""
    try:
        split = urlsplit(url)
        safe = split.scheme in ("http", "https") and bool(split.hostname) and url.isascii() and url.isprintable()
    except ValueError:
        safe = False
    text = escape(shown(url))
    if not safe:
        return text
    return Markup('<a href="{}" rel="noopener noreferrer nofollow" target="_blank">{}</a>').format(url, text)
