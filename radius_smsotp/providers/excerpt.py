"""What a gateway said, on one line, cut short and without secrets: fit for an error or a log."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from radius_smsotp.providers import Message

BLOT = "***"
LIMIT = 200
"""Characters of an excerpt: a sentence, not a page."""

_BETWEEN_DIGITS = r"[\s./()-]{0,2}"
"""How people and gateways group digits: "0170/123 45 67"."""
_START_OF_NUMBER = r"\+?(?:\d[\d\s./()-]{0,24})?"
_TAIL = 7
"""Last digits by which a number is known in any writing, national or international."""


def excerpt(
    said: str | bytes,
    limit: int = LIMIT,
    *,
    secrets: Iterable[str] = (),
    message: Message | None = None,
) -> str:
    """
    Make what a gateway said fit to be shown.

    Args:
        said: In any form; octets are read as UTF-8.  The caller bounds its length.
        limit: Characters at most.
        secrets: Passwords and the like, which are blotted out as they are, and as HTML, URL,
            JSON and base64 write them.
        message: The message that was sent: its text, code and number are blotted out too.

    Returns:
        One line of printable characters, "" if nothing was said.
    """
    line = one_line(said.decode("utf-8", "replace") if isinstance(said, bytes) else said)
    hidden = [*secrets]
    if message:
        hidden += [message.text, message.message_spoken, message.code_spoken, message.email]
    # The longest first, so that no part of a long secret is left over by a short one.
    # In any letter case: %c3 is %C3, and \\u00fc is \\u00FC.
    writings = sorted(_writings(hidden), key=len, reverse=True)
    line = re.sub("|".join(map(re.escape, writings)) or r"(?!)", BLOT, line, flags=re.IGNORECASE)
    if message:
        number = _START_OF_NUMBER + _digits(message.phone[-_TAIL:]) if message.phone else r"(?!)"
        line = re.sub(rf"{number}|{_digits(message.code)}", BLOT, line)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def one_line(text: str) -> str:
    """The text without what is not printable: line breaks above all."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _writings(secrets: Iterable[str]) -> set[str]:
    """Every secret in the writings that an answer may repeat it in."""
    found: set[str] = set()
    for secret in secrets:
        plain = one_line(secret)
        in_json = {json.dumps(each)[1:-1] for each in (plain, secret)}
        found |= {each.replace("/", r"\/") for each in in_json}  # as PHP writes JSON
        found |= {
            *in_json,
            plain,
            html.escape(plain),
            html.escape(plain, quote=False),
            quote(plain, safe="", errors="replace"),
            quote_plus(plain, errors="replace"),
            base64.b64encode(secret.encode(errors="replace")).decode(),
        }
    return found - {""}


def _digits(digits: str) -> str:
    """A pattern for these digits, however they are grouped."""
    return _BETWEEN_DIGITS.join(map(re.escape, digits))
