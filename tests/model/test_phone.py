"""Phone numbers: writings, masks, countries."""

# ruff: noqa: RUF001  # characters that look alike are the subject

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius_smsotp.model import identity


@pytest.mark.parametrize(
    "written",
    [
        "+491701234567",
        "+49 170 1234567",
        "+49 (0) 170 / 123-4567",
        "0170 1234567",
        "0049 170 1234567",
        "tel:+49-170-1234567",
        "\u202a+49 170 1234567\u202c",  # as copied from a contact on Windows
        "＋４９１７０１２３４５６７",
    ],
)
def test_every_writing_of_a_number_becomes_one(written: str) -> None:
    """National writings belong to the country that is given."""
    assert identity.normalise_number(written, "DE") == "+491701234567"


def test_without_a_country_only_international_writings_are_taken() -> None:
    """A national one is refused with what to do about it."""
    assert identity.normalise_number("+49 170 1234567") == "+491701234567"
    with pytest.raises(ValueError, match="no country code; write it with one"):
        identity.normalise_number("0170 1234567")


@pytest.mark.parametrize(
    "written",
    [
        "",
        "alice",
        "+",
        "+4917",
        "+49170123456789012345678901",
        "110",
        "1" * 300,
        "+1 253 0000",  # a number of seven digits that only dials within its town
        "000000",  # a prefix for abroad or within the country, and nothing behind it
        "+49 00170 1234567",
        "+999 1234567",
    ],
)
def test_what_no_network_would_take_is_refused(written: str) -> None:
    """Nonsense, lengths that the country does not have, numbers without their area."""
    with pytest.raises(ValueError, match=r"phone number|country code|wrong length"):
        identity.normalise_number(written, "DE")


REFUSALS = {
    "is not a phone number; write it as +491701234567",
    "has no country code; write it with one, as +491701234567, or set 'country'",
    "has the wrong length for a phone number of its country",
}

WRITINGS = st.text() | st.from_regex(r"(\+|00)?[0-9]{1,3}0*[0-9 ]{4,12}", fullmatch=True)


@given(WRITINGS, st.sampled_from([None, "DE", "BR", "CN", "IT", "US"]))
def test_a_normal_form_is_its_own_and_a_refusal_never_shows_what_was_written(
    written: str, country: str | None
) -> None:
    """The sentence goes into logs; the number does not."""
    try:
        result = identity.normalise_number(written, country)
    except ValueError as error:
        shown = str(error)
    else:
        shown = ""
        assert re.fullmatch(r"\+[0-9]{4,17}", result)
        assert identity.normalise_number(result) == result
        assert identity.normalise_number(result, country) == result
    assert shown in {"", *REFUSALS}


def test_a_mask_shows_two_digits() -> None:
    """The hint is short, and tells nobody the number."""
    assert identity.mask_number("+491701234567") == "***67"


@pytest.mark.parametrize(
    ("number", "countries", "allowed"),
    [
        ("+491701234567", [], True),
        ("+491701234567", ["+49"], True),
        ("+491701234567", ["+43", "+49"], True),
        ("+491701234567", ["+4"], True),
        ("+491701234567", ["+43", "+1"], False),
        ("+12025550100", ["+1202"], True),
    ],
)
def test_messages_go_to_allowed_prefixes_only(
    number: str, countries: list[str], allowed: bool
) -> None:
    """An empty list allows any country."""
    assert identity.is_number_allowed(number, countries) is allowed


def test_a_country_is_one_that_has_a_numbering_plan() -> None:
    """ "UK" is what people write and no such country: the code is "GB"."""
    assert identity.is_country("DE")
    assert identity.is_country("GB")
    assert not identity.is_country("UK")
    assert not identity.is_country("de")
