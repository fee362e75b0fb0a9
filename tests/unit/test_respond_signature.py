"""Signatures: the vector of the specification, and what the receiving side refuses."""

import pytest

from connector.errors import DeliveryError
from connector.respond.deliveries.signature import new_secret, objection, signature, signing_key, webhook_headers

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, TIME, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
VECTOR = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_vector_of_the_specification():
    assert signature(SECRET, ID, TIME, BODY) == VECTOR
    assert signature(SECRET.removeprefix("whsec_"), ID, TIME, BODY) == VECTOR


def test_the_headers_are_accepted_by_the_other_side():
    headers = webhook_headers(SECRET, ID, TIME, BODY)
    assert headers == {"webhook-id": ID, "webhook-timestamp": str(TIME), "webhook-signature": VECTOR}
    assert objection(SECRET, headers, BODY, TIME + 299) is None
    rotated = headers | {"webhook-signature": "v1,b2xk " + VECTOR}
    assert objection(SECRET, rotated, BODY, TIME) is None


def test_without_a_secret_nothing_is_signed():
    assert list(webhook_headers(None, ID, TIME, BODY)) == ["webhook-id", "webhook-timestamp"]


@pytest.mark.parametrize(
    ("change", "body", "late", "words"),
    [
        ({}, BODY + b" ", 0, "not that of this body"),
        ({}, BODY, 301, "five minutes"),
        ({}, BODY, -301, "five minutes"),
        ({"webhook-id": "other"}, BODY, 0, "not that of this body"),
        ({"webhook-id": ""}, BODY, 0, "missing"),
        ({"webhook-timestamp": "soon"}, BODY, 0, "missing"),
        ({"webhook-timestamp": str(TIME + 1)}, BODY, 0, "not that of this body"),
        ({"webhook-signature": ""}, BODY, 0, "not that of this body"),
        ({"webhook-signature": "v1,é"}, BODY, 0, "not that of this body"),
    ],
)
def test_what_is_refused(change, body, late, words):
    headers = webhook_headers(SECRET, ID, TIME, BODY) | change
    assert words in objection(SECRET, headers, body, TIME + late)
    assert objection(new_secret(b"x" * 32), webhook_headers(SECRET, ID, TIME, BODY), BODY, TIME)


def test_a_secret_that_is_none_is_not_repeated():
    for secret in ("whsec_not base64!", "whsec_", "pässwörd"):
        with pytest.raises(DeliveryError) as caught:
            signing_key(secret)
        assert str(caught.value).startswith("the signing secret is not whsec_ and base64: copy it")
    assert signing_key(new_secret(b"k" * 24)) == b"k" * 24
