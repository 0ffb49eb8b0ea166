"""
What of a message goes into the settings of a provider: placeholders, and privacyIDEA's REGEXP.

``phone``           the number, E.164 with its plus sign, after REGEXP
``phone_digits``    its digits alone
``phone_integer``   the same, and a number where a value of JSON is nothing else
``message``         the whole text
``message_hex``     the whole text as UCS-2 in hex digits
``otp``             the code alone, for gateways that build the text; ``code`` is the same
``email``           the mail address, of a way that has one
``code_spoken``     the code for a voice: a word for each digit, in the user's language
``message_spoken``  the text for a voice
``language``        what the user reads, "de"; ``locale`` with a country, "de-DE"
``transaction_id``  32 hex digits
``attempt``         a UUID, another one for each attempt
``receipt_url``     where the gateway may send receipts; of the provider http
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from radius_smsotp.model.text import OF_CODE, check_template
from radius_smsotp.providers import Message

OF_NUMBER = ("phone", "phone_digits", "phone_integer", "email")
OF_TEXT = ("message", "message_hex", "otp", "code", "code_spoken", "message_spoken")
OF_USER = ("language", "locale")
PLACEHOLDERS = (*OF_NUMBER, *OF_TEXT, *OF_USER, "transaction_id", "attempt", "receipt_url")

LOCALES = {"cs": "cs-CZ", "en": "en-US"}
"""Languages that are not spoken in the country of the same letters, of those that come along."""

_REGEXP = re.compile(r"/(.*)/(.*)/")
"""PATTERN and REPLACEMENT, as ISMSProvider._mangle_phone of privacyIDEA takes them apart."""


def values(message: Message, regexp: str | None = None) -> dict[str, str]:
    """What placeholders stand for.  `model.text.fill` puts it in, escaped by whoever knows how."""
    phone = rewrite(regexp, message.phone)
    digits = re.sub(r"\D", "", phone)
    return {
        "phone": phone,
        "phone_digits": digits,
        "phone_integer": digits,
        "message": message.text,
        # UTF-16: letters beyond the BMP as pairs, which is how every phone reads them.
        "message_hex": message.text.encode("utf-16-be").hex().upper(),
        **dict.fromkeys(OF_CODE, message.code),
        "email": message.email,
        "code_spoken": message.code_spoken,
        "message_spoken": message.message_spoken,
        "language": message.language,
        "locale": _locale(message.language),
        "transaction_id": message.transaction_id,
        "attempt": message.attempt,
        "receipt_url": "",
    }


def _locale(language: str) -> str:
    """A language with its country, as voices are called: "de-DE", "de-AT"."""
    name, _, country = language.partition("-")
    return LOCALES.get(language) or f"{name}-{(country or name).upper()}" if name else ""


def rewrite(regexp: str | None, phone: str) -> str:
    """The number as a provider wants it, by a `Regexp`."""
    parts = _REGEXP.fullmatch(regexp or "")
    return re.sub(parts[1], parts[2], phone) if parts else phone


def checked(template: str, where: str = "") -> str:
    """The template, if there are only placeholders in it that are known; see `check_template`."""
    check_template(template, PLACEHOLDERS, where)
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


Template = Annotated[str, AfterValidator(checked)]
"""A setting with placeholders."""

Regexp = Annotated[
    Annotated[str, AfterValidator(_usable)] | None,
    Field(
        description="/PATTERN/REPLACEMENT/, applied to the number; /^\\+/00/ makes +49 into 0049"
    ),
]
"""privacyIDEA's REGEXP, ``/PATTERN/REPLACEMENT/``: rewrites the number for one provider."""
