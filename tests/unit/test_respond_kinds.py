"""The body of each kind of receiver: what its product's documentation requires is there, and events cannot break it."""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.respond.deliveries.body import BODIES
from connector.respond.deliveries.decision import Answer, Delivered, GivenUp, NoAnswer, next_step
from connector.respond.deliveries.delivering import World, attempt
from connector.respond.deliveries.grouping import Member, digest
from connector.respond.deliveries.redaction import redacted
from connector.settings.model import Kind, Receiver

NOW = datetime(2026, 11, 3, 10, tzinfo=UTC)
EVIL = (
    '"}]} </script><!channel> <http://evil.example|x> [x](http://evil.example) `@here` {noformat} {{ 7*7 }}\n\x1b[31m'
)
KEY = "0123456789abcdef0123456789abcdef"
WEB = [kind for kind in get_args(Kind) if kind != "mail"]


def declaration(threat: str = "DNS tunnel", asset: str = "10.0.0.7", **more: Any) -> dict[str, Any]:
    told = {
        "id": "decl1",
        "threat": threat,
        "kind": "compromise",
        "phase": "command_and_control",
        "status": "new",
        "asset": {"field": "hunt.client.ip", "value": asset, "department": ["Sales"]},
        "explanation": threat,
        "offender": {"field": ["hunt.server.ip"], "value": [threat, "192.0.2.1"]},
        "reputation": [{"value": threat, "verdict": "malicious", "words": threat}],
        "by": "ana",
        "made": "2026-11-03T10:00:00.000Z",
        "updated": "2026-11-03T10:00:00.000Z",
        "revision": 1,
        "count": 12_345,
        "first": "2026-11-02T10:00:00.000Z",
        "last": "2026-11-03T09:00:00.000Z",
        "evidence": [{"hunt": {"id": "h", "name": "dns-tunnel", "title": "Hunt: DNS tunnel"}, "count": 12_345}],
    }
    return {"type": "declaration.new", "timestamp": "2026-11-03T10:00:00.000Z", "declaration": told | more}


def finding(value: str = "10.0.0.7") -> dict[str, Any]:
    hunt = {"id": "h", "name": "n", "title": "Hunt: long labels", "family": "dns", "severity": "high", "kind": "policy"}
    told = {"id": "find1", "hunt": hunt, "group": {"hunt.client.ip": value, "hunt.dns.name": value, "none": None}}
    told |= {"department": ["Sales"], "network": [], "count": 3, "first": None, "last": None, "made": "x", "values": {}}
    return {"type": "finding.new", "timestamp": "2026-11-03T10:00:00.000Z", "finding": told}


def many(title: str = "a finding") -> dict[str, Any]:
    made = "2026-11-03T10:00:00.000Z"
    return digest("msg_many", [Member(f"m{n}", f"f{n}", "finding.new", made, title, "medium") for n in range(500)])


MESSAGES = {"declaration": declaration, "finding": finding, "digest": many}


@dataclass
class Kept:
    """A network that keeps what is sent and gives one answer."""

    answer: Any = field(default_factory=lambda: Answer(202))
    sent: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def post(self, receiver: Receiver, headers: Any, body: bytes) -> Any:
        self.sent.append((dict(headers), body))
        return self.answer


def sent(kind: str, message: dict[str, Any], **more: Any) -> tuple[dict[str, str], Any]:
    """Return the headers and the body of a message to a receiver of a kind."""
    web = Kept()
    outcome = attempt("msg_1", message, receiver(kind, **more), World(web, lambda: NOW))
    assert outcome == Answer(202), outcome
    (headers, body), *_ = web.sent
    return headers, json.loads(body)


def receiver(kind: str, **more: Any) -> Receiver:
    secret = {"pagerduty": KEY, "generic": "whsec_a2tr"}.get(kind)
    return Receiver("r", "https://r.example/hook", secret, kind=kind, project="SEC", **more)  # type: ignore[arg-type]


def texts(value: Any) -> list[str]:
    """Return every text in a JSON value."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    return [text for item in value for text in texts(item)] if isinstance(value, list) else [str(value)]


def check_slack(body: Any) -> None:
    """https://docs.slack.dev/reference/block-kit/blocks: what each block must have, and its limits."""
    assert body["text"]
    header, section, *more = body["blocks"]
    assert header["type"] == "header" and header["text"]["type"] == "plain_text"
    assert 0 < len(header["text"]["text"]) <= 150
    assert section["type"] == "section" and 1 <= len(section["fields"]) <= 10
    assert all(each["type"] == "plain_text" and 0 < len(each["text"]) <= 2000 for each in section["fields"])
    for each in more:
        assert each["type"] == "section" and 0 < len(each["text"]["text"]) <= 3000
    assert "<" not in body["text"]


def check_teams(body: Any) -> None:
    """A message with one Adaptive Card, as the webhook trigger of Workflows takes it, at most 28 KB."""
    assert body["type"] == "message"
    (attachment,) = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    for block in card["body"]:
        assert block["type"] == "RichTextBlock", "a TextBlock would read Markdown"
        assert all(run["type"] == "TextRun" and run["text"] for run in block["inlines"])
    assert len(json.dumps(body)) < 28_000


def check_mattermost(body: Any) -> None:
    """https://developers.mattermost.com/integrate/webhooks/incoming: text, at most 16383 characters."""
    assert 0 < len(body["text"]) <= 16_383
    outside = body["text"].split("`")[::2]
    assert not any("@" in text or "](" in text for text in outside)


def check_pagerduty(body: Any) -> None:
    """https://developer.pagerduty.com/docs/events-api-v2-overview: required fields, their values and limits."""
    assert body["routing_key"] == KEY and len(body["routing_key"]) == 32
    assert body["event_action"] in ("trigger", "acknowledge", "resolve")
    assert 0 < len(body["dedup_key"]) <= 255
    payload = body["payload"]
    assert 0 < len(payload["summary"]) <= 1024 and payload["source"]
    assert payload["severity"] in ("critical", "error", "warning", "info")
    assert isinstance(payload["custom_details"], dict)
    datetime.fromisoformat(payload["timestamp"])


def check_thehive(body: Any) -> None:
    """https://docs.strangebee.com/thehive/api-docs: InputAlert's required fields, and the scale of severity."""
    assert all(isinstance(body[name], str) and body[name] for name in ("type", "source", "sourceRef", "title"))
    assert body["description"] and len(body["sourceRef"]) <= 128 and len(body["title"]) <= 512
    assert body["severity"] in (1, 2, 3, 4)
    seen = [(one["dataType"], one["data"]) for one in body["observables"]]
    assert len(seen) == len(set(seen)), "TheHive refuses an alert that has an observable twice"


def check_jira(body: Any) -> None:
    """https://developer.atlassian.com/server/jira/platform/rest (createIssue, version 2)."""
    fields = body["fields"]
    assert fields["project"] == {"key": "SEC"} and fields["issuetype"] == {"name": "Task"}
    assert 0 < len(fields["summary"]) <= 255 and "\n" not in fields["summary"]
    assert fields["description"].count("{noformat}") == 2 and fields["description"].endswith("{noformat}")
    assert all(" " not in label and len(label) <= 255 for label in fields["labels"])


def check_shuffle(body: Any) -> None:
    """Shuffle's webhook trigger hands any JSON object to the workflow as its argument."""
    assert body["title"] and body["severity"] and isinstance(body["data"], dict)


def check_generic(body: Any) -> None:
    """https://github.com/standard-webhooks/standard-webhooks: the recommended payload."""
    assert list(body) == ["type", "timestamp", "data"]


CHECKS = {kind: globals()[f"check_{kind}"] for kind in WEB}


@pytest.mark.parametrize("kind", WEB)
@pytest.mark.parametrize("about", MESSAGES)
def test_a_body_has_what_the_product_requires(kind, about):
    _, body = sent(kind, MESSAGES[about]())
    CHECKS[kind](body)


@pytest.mark.parametrize("kind", WEB)
@pytest.mark.parametrize("about", MESSAGES)
def test_what_attackers_write_stays_text(kind, about):
    CHECKS[kind](sent(kind, MESSAGES[about]("\U0001f600" * 3000))[1])
    _, body = sent(kind, MESSAGES[about](EVIL * 30))
    CHECKS[kind](body)
    if kind not in ("generic", "shuffle"):  # programs get values as they are
        assert not any("\x1b" in text for text in texts(body))


@settings(deadline=None, max_examples=30)
@given(st.text(max_size=400))
def test_any_text_makes_a_valid_body_in_every_kind(text):
    for kind in WEB:
        for about, message in MESSAGES.items():
            _, body = sent(kind, message(text or "x") if about != "declaration" else declaration(text, text))
            assert isinstance(body, dict)


def test_pagerduty_groups_revisions_by_their_declaration_and_resolves_what_is_closed():
    first, later, closed = (
        sent("pagerduty", {**declaration(status=status), "type": f"declaration.{what}"})[1]
        for what, status in (("new", "new"), ("updated", "assigned"), ("updated", "fixed"))
    )
    assert {one["dedup_key"] for one in (first, later, closed)} == {"guided-hunts-decl1"}
    assert [one["event_action"] for one in (first, later, closed)] == ["trigger", "trigger", "resolve"]
    assert (first["payload"]["severity"], first["payload"]["source"]) == ("critical", "10.0.0.7")


def test_only_webhooks_are_signed_and_the_authorization_is_the_one_of_the_settings():
    headers, _ = sent("generic", declaration())
    assert headers["webhook-signature"].startswith("v1,")
    headers, _ = sent("thehive", declaration(), authorization="Bearer abcdef")
    assert headers["authorization"] == "Bearer abcdef"
    for kind in ("pagerduty", "slack", "thehive"):
        headers, _ = sent(kind, declaration())
        assert set(headers) == {"webhook-id", "webhook-timestamp"}
        assert headers["webhook-id"] == "msg_1"


@pytest.mark.parametrize(
    ("words", "step"),
    [
        ('{"type":"CreateError","message":"Alert already exists"}', Delivered),
        ("[alert][d1]: version conflict, document already exists", Delivered),
        ('{"type":"CreateError","message":"Observable already exists"}', GivenUp),
        ('{"type":"BadRequest"}', GivenUp),
    ],
)
def test_an_alert_that_thehive_has_already_has_arrived(words, step):
    web = Kept(Answer(400, words))
    outcome = attempt("msg_1", declaration(), receiver("thehive"), World(web, lambda: NOW))
    assert isinstance(next_step(outcome, 1, 0.5), step)
    other = attempt("msg_1", declaration(), receiver("jira"), World(web, lambda: NOW))
    assert isinstance(next_step(other, 1, 0.5), GivenUp)


def test_a_template_of_ones_own_is_used_for_what_it_is_made_for(tmp_path: Path):
    own = tmp_path / "own.j2"
    own.write_text('{"mine": "{{ declaration.threat }}"}')
    assert sent("slack", declaration(), template=own)[1] == {"mine": "DNS tunnel"}
    check_slack(sent("slack", many(), template=own)[1])
    check_slack(sent("slack", finding(), template=own)[1])
    own.write_text('{"mine": "{{ title }}"}')
    assert sent("slack", many(), template=own)[1] == {"mine": "500 findings, in one message"}
    own.write_text('{"mine": "{% if digest is defined %}{{ digest.count }}{% else %}{{ declaration.id }}{% endif %}"}')
    assert sent("slack", many(), template=own)[1] == {"mine": "500"}
    assert sent("slack", declaration(), template=own)[1] == {"mine": "decl1"}


def test_a_key_in_a_broken_body_is_not_in_the_words(tmp_path: Path):
    own = tmp_path / "own.j2"
    own.write_text('{"routing_key": {{ routing_key }}')
    outcome = attempt("msg_1", declaration(), receiver("pagerduty", template=own), World(Kept(), lambda: NOW))
    assert isinstance(outcome, NoAnswer)
    assert "is no JSON" in outcome.why
    assert not any(KEY[at : at + 8] in outcome.why for at in range(len(KEY) - 7))


def test_every_secret_is_taken_out_of_words():
    whole = replace(receiver("generic"), secret="whsec_c2VjcmV0", authorization="Bearer tok-en-1234")
    whole = replace(whole, url="https://me:pass-word@h.example/hooks/T0ken-in-path?key=in-the-query")
    text = (
        f"{whole.url} /hooks/T0ken-in-path T0ken-in-path key=in-the-query pass-word Bearer tok-en-1234 tok-en-1234 "
        "whsec_c2VjcmV0 c2VjcmV0 and the rest"
    )
    told = redacted(text, whole)
    for secret in ("T0ken-in-path", "in-the-query", "pass-word", "tok-en-1234", "c2VjcmV0"):
        assert secret not in told
    assert told.endswith("and the rest")


def test_every_kind_has_a_template_and_every_template_a_kind():
    assert {path.name.split(".")[0] for path in BODIES.iterdir()} == set(get_args(Kind))
