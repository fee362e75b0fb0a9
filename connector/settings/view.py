"""The settings as something to look at: no secret in it, only whether there is one.

Promises: every view can be serialised. Will not: print.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlsplit

from connector.errors import Problem
from connector.settings.durations import span
from connector.settings.model import DashboardsSettings, Receiver, ReputationSettings, ServiceSettings, Settings
from connector.settings.networks import ROLES
from connector.settings.service import OFF


@dataclass(frozen=True)
class Check:
    """What `hunts settings check` found: problems, or how much was read.

    `other_roles` are words no hunt we ship knows; `ended` counts exceptions whose last day is over.
    """

    file: str | None
    problems: tuple[Problem, ...] = ()
    counts: Mapping[str, int] | None = None
    other_roles: tuple[str, ...] = ()
    ended: int = 0


def checked(settings: Settings, today: date) -> Check:
    """Return the check of settings that were read without a problem."""
    counts = {
        "sources": len(settings.sources),
        "networks and hosts": len(settings.networks),
        "approved resolvers": len(settings.approved),
        "exceptions": len(settings.exceptions),
        "receivers": len(settings.receivers),
    }
    roles = {network.role for network in settings.networks if network.role}
    ended = sum(1 for e in settings.exceptions if e.until and e.until < today)
    return Check(settings.file, (), counts, tuple(sorted(roles - ROLES)), ended)


def shown(settings: Settings) -> dict[str, Any]:
    """Return the settings in force by name, each secret as `set` or `not set`."""
    siem = settings.siem
    return {
        "file": settings.file,
        "siem": {
            "engine": "embedded" if settings.embedded else "yours",
            "urls": [] if settings.embedded else list(siem.urls),
            "username": siem.username,
            "password": _whether(siem.password),
            "api_key": _whether(siem.api_key),
            "ca_file": siem.ca_file,
        },
        "sources": settings.sources,
        "prefix": settings.prefix,
        "organisation": settings.organisation,
        "networks": settings.networks,
        "approved": settings.approved,
        "exceptions": settings.exceptions,
        "receivers": [_receiver(receiver) for receiver in settings.receivers],
        "queries": settings.queries,
        "links": settings.links,
        "evidence": settings.evidence,
        "reputation": _reputation(settings.reputation),
        "dashboards": _dashboards(settings.dashboards),
        "service": _service(settings.service),
    }


def _dashboards(dashboards: DashboardsSettings) -> dict[str, Any]:
    """Return where the dashboards are, each secret only as set or not."""
    found = {field.name: getattr(dashboards, field.name) for field in fields(dashboards)}
    return found | {"password": _whether(dashboards.password), "api_key": _whether(dashboards.api_key)}


def _service(service: ServiceSettings) -> dict[str, Any]:
    """Return how the service works, times and `off` as they are written."""
    found = {field.name: getattr(service, field.name) for field in fields(service)}
    found["listen"] = service.listen or OFF
    return {name: span(value) if isinstance(value, timedelta) else value for name, value in found.items()}


def _reputation(reputation: ReputationSettings) -> dict[str, Any]:
    """Return where reputation is looked up, the key only as set or not, times as they are written."""
    found = {field.name: getattr(reputation, field.name) for field in fields(reputation)}
    found |= {"key": _whether(reputation.key), "keep": span(reputation.keep)}
    return found | {"keep_unknown": span(reputation.keep_unknown)}


def _receiver(receiver: Receiver) -> dict[str, Any]:
    """Return a receiver with no more of its address than the host, as the rest can be a secret."""
    split, mail = urlsplit(receiver.url), receiver.mail
    return {
        "name": receiver.name,
        "kind": receiver.kind,
        "host": f"{split.scheme}://{split.hostname}",
        "events": receiver.events,
        "severity": receiver.severity,
        "messages_per_minute": receiver.messages_per_minute,
        "networks": receiver.networks,
        "secret": _whether(receiver.secret),
        "authorization": _whether(receiver.authorization),
        "ca_file": receiver.ca_file,
        "template": receiver.template,
        "project": receiver.project,
        "issue_type": receiver.issue_type,
        "from": mail.sender if mail else "",
        "to": mail.to if mail else (),
        "username": mail.username if mail else None,
        "password": _whether(mail.password if mail else None),
    }


def _whether(secret: str | None) -> str:
    """Return whether there is a secret."""
    return "set" if secret else "not set"
