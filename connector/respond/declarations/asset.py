"""Whom a declaration concerns: an address, a user name or a mail address, and what is on the other side; pure.

Promises: every spelling of one asset is the same asset: addresses as engines print them, mail addresses without the
name around them, everything in one case. Will not: know a network or a directory.
"""

from __future__ import annotations

import re
from typing import Literal

from connector.hunts.conditions.address import address_number, plain_address

AssetKind = Literal["ip", "mail", "username", "other"]
MAIL = re.compile(r"[^@\s<>\"]{1,128}@[^@\s<>\"]{1,253}")
IN_BRACKETS = re.compile(r"<\s*([^@\s<>\"]{1,128}@[^@\s<>\"]{1,253})\s*>\s*\Z")
USER_WORDS = frozenset(("user", "username", "user_name", "cname", "login", "x_authenticated_user"))
# what the field of an asset begins with → the field of the other side
OTHER_SIDES = {
    "hunt.client.": "hunt.server.ip",
    "hunt.server.": "hunt.client.ip",
    "hunt.resolver.": "hunt.client.ip",
    "alert.source.": "alert.target.ip",
    "alert.target.": "alert.source.ip",
    "source.ip": "destination.ip",
    "destination.ip": "source.ip",
    "src_ip": "dest_ip",
    "dest_ip": "src_ip",
}


def asset_of(text: str) -> str:
    """Return an asset as it is shown: an address as engines print it, a mail address alone, other text as it is."""
    found = IN_BRACKETS.search(text)
    return found[1] if found else plain_address(text.strip())


def asset_key(text: str) -> str:
    """Return what makes two spellings of an asset the same."""
    return asset_of(text).casefold()


def asset_kind(field: str, text: str) -> AssetKind:
    """Return what kind of asset a value is, by what it looks like and the field that holds it."""
    asset = asset_of(text)
    if address_number(asset) is not None:
        return "ip"
    if MAIL.fullmatch(asset):
        return "mail"
    words = field.rsplit(".", 2)
    return "username" if words[-1] in USER_WORDS or words[-2:] == ["user", "name"] else "other"


def other_side(field: str) -> str:
    """Return the field of the other side of an asset's field; empty if the field does not say which side it is."""
    return next((other for start, other in OTHER_SIDES.items() if field.startswith(start)), "")
