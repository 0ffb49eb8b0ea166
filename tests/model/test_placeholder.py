"""Texts with placeholders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius_smsotp.model.text import fill


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
