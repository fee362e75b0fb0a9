"""Signs and verifies webhooks as the Standard Webhooks specification 1.0.0 says (https://www.standardwebhooks.com).

The signed text is `id.timestamp.body`, the signature `v1,` and the base64 of its HMAC-SHA256; the secret is `whsec_`
and the base64 of the key. Promises: no secret is in a message; signatures are compared in constant time.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from hashlib import sha256

from connector.errors import DeliveryError

PREFIX = "whsec_"
TOLERANCE_SECONDS = 300


def new_secret(key: bytes) -> str:
    """Return the secret of a key (24 to 64 bytes) in the form that receivers are given."""
    return PREFIX + base64.b64encode(key).decode()


def signing_key(secret: str) -> bytes:
    """Return the key of a secret, with or without its prefix; DeliveryError if it is no base64."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise DeliveryError(f"the signing secret is not {PREFIX} and base64: copy it from the receiver once more")
    return key


def signature(secret: str, id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a body that is sent under an id at a Unix time in seconds."""
    signed = b"%b.%d.%b" % (id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.new(signing_key(secret), signed, sha256).digest()).decode()


def webhook_headers(secret: str | None, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of the specification; without a secret there is no signature."""
    headers = {"webhook-id": id, "webhook-timestamp": str(timestamp)}
    return headers | ({"webhook-signature": signature(secret, id, timestamp, body)} if secret else {})


def objection(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> str | None:
    """Return why a delivery cannot be trusted, None if it can.

    `headers` by lower-case name; `now` is a Unix time, from which the delivery's own may differ by five minutes.
    """
    id, timestamp, given = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not id or not (timestamp.isascii() and timestamp.isdigit()):
        return "webhook-id or webhook-timestamp is missing"
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return "webhook-timestamp is more than five minutes off"
    wanted = signature(secret, id, int(timestamp), body).encode()
    if not any(hmac.compare_digest(one.encode(), wanted) for one in given.split(" ")):
        return "webhook-signature is not that of this body"
    return None
