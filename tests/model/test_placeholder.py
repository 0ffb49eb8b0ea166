"""Texts with placeholders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius_smsotp.model.text import fill, fill_within


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{code} is your code", "123456 is your code"),
        ("{code}{code}", "123456123456"),
        ("{{code}}", "{code}"),
        ("{{{code}}}", "{123456}"),
        ("100 % {", "100 % {"),
        ("{unknown} stays", "{unknown} stays"),
        ("{code.__class__} {code!r} {code:>9}", "{code.__class__} {code!r} {code:>9}"),
        ("{name}", "{code}"),  # what is filled in is not looked at again
        ("", ""),
    ],
)
def test_names_are_replaced_and_nothing_else(template: str, text: str) -> None:
    """Doubled braces stand for one; no attribute, index or format of a value is within reach."""
    assert fill(template, {"code": 123456, "name": "{code}"}) == text


@given(st.text())
def test_any_template_can_be_filled(template: str) -> None:
    """A text from FreeRADIUS at the time of a login never ends it."""
    assert isinstance(fill(template, {"code": "1"}), str)


@given(st.text())
def test_without_braces_a_text_stays_as_it_is(template: str) -> None:
    """Signs of other template languages mean nothing here."""
    plain = template.replace("{", "").replace("}", "")
    assert fill(plain, {"code": "1"}) == plain


VALUES = {"phone_hint": "***67", "digits": 6}


@pytest.mark.parametrize(
    ("template", "before", "text"),
    [
        ("Code for {phone_hint}: ", "", "Code for ***67: "),
        ("Code for {phone_hint}: ", "Wrong code. ", "Wrong... Code for ***67: "),
        ("x" * 500 + " {phone_hint}, {digits}", "", "x" * 13 + "... ***67, 6"),
        ("{phone_hint}, {digits}" + "x" * 500, "", "***67, 6" + "x" * 13 + "... "),
        ("ü" * 250 + "{digits}", "", "ü" * 10 + "... 6"),
        ("{phone_hint}{digits}" * 9, "", "***676***676***676***676*"),
    ],
)
def test_what_is_too_long_loses_words_and_nothing_that_is_filled_in(
    template: str, before: str, text: str
) -> None:
    """The longest piece of them first."""
    assert fill_within(template, VALUES, 25, before) == text


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60), st.integers(30, 80))
def test_whatever_is_said_around_them_number_and_length_stay(
    first: str, then: str, before: str, octets: int
) -> None:
    """And it fits."""
    template = f"{first}{{phone_hint}}{then}{{digits}}"
    filled = fill_within(template.replace("<", ""), VALUES, octets, before)
    assert len(filled.encode("utf-8", "replace")) <= octets
    assert "***67" in filled
    assert filled.endswith("6")
