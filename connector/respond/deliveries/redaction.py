"""Takes the secrets of a receiver out of words that are kept, printed or logged."""

from __future__ import annotations

import json
from urllib.parse import unquote, urlsplit

from connector.settings.model import Receiver

SHORTEST = 4  # shorter ones are part of many words


def redacted(text: str, receiver: Receiver) -> str:
    """Return the text with every part of the receiver's address and every secret of it as …."""
    for secret in _secrets(receiver):
        for form in (secret, json.dumps(secret)[1:-1]):
            text = text.replace(form, "…")
    return text


def _secrets(receiver: Receiver) -> list[str]:
    """Return what must not be seen, the longest first."""
    try:
        split = urlsplit(receiver.url)
    except ValueError:
        split = urlsplit("")
    signing = receiver.secret or ""
    authorization = receiver.authorization or ""
    found = [receiver.url, split.path, split.query, split.username, split.password, unquote(split.path)]
    found += [part for part in split.path.split("/") if len(part) > 2 * SHORTEST]
    found += [signing, signing.removeprefix("whsec_"), authorization, authorization.partition(" ")[2]]
    found += [receiver.mail.password] if receiver.mail else []
    return sorted({each for each in found if each and len(each) >= SHORTEST}, key=len, reverse=True)
