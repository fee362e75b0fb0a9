"""Leaves what rules suppress out of what passes look for: the events stay, and findings do not get them.

Promises: works for events of any age, as it is asked of the search; the same rules give the same hunts, object by
object, so that what is kept from pass to pass stays of use. Will not: change findings that are there, or `hunts run`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from connector.hunts.catalogue.hunt import Hunt
from connector.hunts.conditions.condition import All, None_
from connector.respond.tags.rules import TagRule, open_rules
from connector.settings.model import Settings
from connector.siem.client import Siem


class Suppressing:
    """Hunts as passes ask them; keep one from pass to pass."""

    def __init__(self) -> None:
        """Suppress nothing yet."""
        self._of: tuple[Sequence[Hunt], tuple[str, ...]] = ((), ())
        self._hunts: Sequence[Hunt] = ()

    def applied(self, siem: Siem, settings: Settings, hunts: Sequence[Hunt], now: datetime) -> Sequence[Hunt]:
        """Return the hunts without the events that a rule suppresses now; the hunts themselves if there is no rule."""
        rules = suppressing(siem, settings, now)
        asked = (hunts, tuple(rule.id for rule in rules))
        if asked[0] is not self._of[0] or asked[1] != self._of[1]:
            self._of, self._hunts = asked, without(hunts, rules)
        return self._hunts


def suppressing(siem: Siem, settings: Settings, now: datetime) -> list[TagRule]:
    """Return the rules that suppress events now, in the order of their ids."""
    rules = (rule for rule in open_rules(siem, settings) if rule.active and not rule.tags)
    return sorted((rule for rule in rules if not rule.extent.ended(now)), key=lambda rule: rule.id)


def without(hunts: Sequence[Hunt], rules: Sequence[TagRule]) -> Sequence[Hunt]:
    """Return the hunts, each matching none of what the rules do."""
    if not rules:
        return hunts
    left_out = None_(tuple(rule.condition for rule in rules))
    return tuple(replace(hunt, match=All((hunt.match, left_out))) for hunt in hunts)
