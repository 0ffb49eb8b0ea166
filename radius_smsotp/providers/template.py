"""
Placeholders in settings: ``{phone}`` and ``<phone>``, as privacyIDEA writes them, and its REGEXP.

``phone``         the number, E.164 with its plus sign, after REGEXP
``phone_digits``  its digits alone
``message``       the whole text
``otp``           the code alone, for templates that word the text themselves; ``code`` is the same
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

if TYPE_CHECKING:
    from radius_smsotp.providers import Message

OF_NUMBER = ("phone", "phone_digits")
OF_TEXT = ("message", "otp", "code")

_PLACEHOLDER = re.compile(r"\{(\w+)\}|<(\w+)>")
_REGEXP = re.compile(r"/(.*)/(.*)/")
"""PATTERN and REPLACEMENT, as ISMSProvider._mangle_phone of privacyIDEA takes them apart."""


def names(template: str) -> set[str]:
    """The known placeholders that `template` uses."""
    found = {a or b for a, b in _PLACEHOLDER.findall(template)}
    return found & {*OF_NUMBER, *OF_TEXT}


def fill(template: str, message: Message, regexp: str | None = None) -> str:
    """
    Put the message into a template, in one pass: what is put in is not looked at again.

    Args:
        template: Unknown ``<words>`` stay as they are; it may well be HTML or XML.
        message: Where the values come from.
        regexp: A `Regexp` for the number, or None.
    """
    phone = rewrite(regexp, message.phone)
    # A text that no encoding can write would raise errors that quote it.
    text = message.text.encode(errors="replace").decode()
    values = {
        "phone": phone,
        "phone_digits": re.sub(r"\D", "", phone),
        "message": text,
        "otp": message.code,
        "code": message.code,
    }
    return _PLACEHOLDER.sub(lambda tag: values.get(tag[1] or tag[2], tag[0]), template)


def rewrite(regexp: str | None, phone: str) -> str:
    """The number as a provider wants it, by a `Regexp`."""
    parts = _REGEXP.fullmatch(regexp or "")
    return re.sub(parts[1], parts[2], phone) if parts else phone


def _only_known(template: str) -> str:
    for name, _ in _PLACEHOLDER.findall(template):
        if name and name not in {*OF_NUMBER, *OF_TEXT}:
            known = ", ".join(f"{{{known}}}" for known in (*OF_NUMBER, *OF_TEXT))
            raise ValueError(f"{{{name}}} is no placeholder; known are {known}")
    return template


def _usable(regexp: str) -> str:
    parts = _REGEXP.fullmatch(regexp)
    if not parts:
        raise ValueError("is not of the form /PATTERN/REPLACEMENT/")
    try:
        re.sub(parts[1], parts[2], "+491701234567")
    except (re.error, IndexError) as error:
        raise ValueError(f"is not a regular expression that can be used ({error})") from error
    return regexp


Template = Annotated[str, AfterValidator(_only_known)]
"""A setting with placeholders."""

Regexp = Annotated[str, AfterValidator(_usable)]
"""privacyIDEA's REGEXP, ``/PATTERN/REPLACEMENT/``: rewrites the number for one provider."""
