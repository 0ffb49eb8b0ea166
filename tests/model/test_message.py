"""The text of an SMS, from its template."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius_smsotp.model import text
from radius_smsotp.model.text import compose

VALUES = {"code": "482913", "minutes": 5, "name": "alice"}


def test_what_the_template_names_is_filled_in() -> None:
    """Code, minutes and name."""
    composed = compose("{code} for {name}, {minutes} minutes, {other} {{}}", VALUES)
    assert composed == "482913 for alice, 5 minutes, {other} {}"


@pytest.mark.parametrize("template", ["no placeholder", "x" * 200 + "{code}", "é" * 69 + "ś{code}"])
def test_the_code_comes_to_the_front_where_the_first_part_would_lack_it(template: str) -> None:
    """Nobody has to wait for a second part, nor to look for a code that is not there."""
    assert compose(template, VALUES).startswith("482913 ")


@given(
    st.text(max_size=400), st.integers(0, 400), st.booleans(), st.sampled_from([None, "a.example"])
)
def test_the_code_is_always_whole_in_the_first_part(
    words: str, place: int, transliterate: bool, autofill: str | None
) -> None:
    """Whatever the template, the alphabet and the options."""
    template = words[:place].replace("{", "").replace("}", "") + "{code}" + words[place:]
    composed = compose(template, VALUES, transliterate=transliterate, autofill=autofill)
    assert "482913" in text.split(composed)[0]


def test_letters_beyond_the_gsm_alphabet_are_replaced_on_request() -> None:
    """One such letter would halve the room."""
    assert compose("„{code}“ ś", VALUES, transliterate=True) == '"482913" s'
    assert compose("„{code}“ ś", VALUES) == "„482913“ ś"


def test_the_last_line_lets_phones_fill_the_code_in() -> None:
    """In the form of origin-bound one-time codes: a line of its own, the domain, the code."""
    composed = compose("{code} is your code.", VALUES, autofill="vpn.example.org")
    assert composed.splitlines() == ["482913 is your code.", "@vpn.example.org #482913"]
