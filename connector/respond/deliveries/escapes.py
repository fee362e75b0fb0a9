"""Text as the markup of a product has it: nothing in a value is a link, a mention, or the end of where it stands.

Each is a filter in the templates of bodies.
"""

from __future__ import annotations

import re

NOFORMAT = re.compile(r"\{(?=\s*(noformat|code))", re.IGNORECASE)


def slack(value: object) -> str:
    """Return text for Slack's mrkdwn, whose three control characters are these (docs.slack.dev, formatting)."""
    return str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(value: object) -> str:
    """Return text as a span of code in Markdown (CommonMark 6.1), where no link, mention or markup is looked for."""
    text = " ".join(str(value).split()).replace("`", "'")
    return f"`{text}`" if text else ""


def wiki(value: object) -> str:
    """Return text that cannot end a {noformat} of Jira's wiki markup."""
    return NOFORMAT.sub("{ ", str(value))
