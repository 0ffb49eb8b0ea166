"""Phone numbers: any writing to E.164, masking, allowed countries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import phonenumbers

if TYPE_CHECKING:
    from collections.abc import Sequence


def normalise_number(number: str, country: str | None = None) -> str:
    """
    Bring a number to E.164.

    Args:
        number: In any national or international writing.
        country: Where national writings belong, ISO 3166-1 alpha-2 ("DE"), or None if only
            international ones are taken.

    Returns:
        "+491701234567".

    Raises:
        ValueError: With a sentence that names fault and remedy, without the number.
    """
    try:
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException as error:
        if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE:
            raise ValueError(
                "has no country code; write it with one, as +491701234567, or set 'country'"
            ) from None
        raise ValueError("is not a phone number; write it as +491701234567") from None
    # Not `is_possible_number`: that takes numbers too which only dial within their own town.
    possible = phonenumbers.is_possible_number_with_reason(parsed)
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise ValueError("has the wrong length for a phone number of its country")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def is_country(country: str) -> bool:
    """Whether `country` names a numbering plan, as "DE" does."""
    return country in phonenumbers.SUPPORTED_REGIONS


def mask_number(phone: str) -> str:
    """The hint that a user recognises and a stranger cannot use: "***67"."""
    return f"***{phone[-2:]}"


def is_number_allowed(phone: str, countries: Sequence[str]) -> bool:
    """
    Whether messages may go to this number.

    Args:
        phone: E.164.
        countries: Allowed prefixes, each with its plus sign ("+49"); empty allows any.
    """
    return not countries or phone.startswith(tuple(countries))
