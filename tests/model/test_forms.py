"""Codes and passwords as people and clients write them: one form, one guess."""

# ruff: noqa: RUF001 -- digits that look like others are what this is about

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius_smsotp.model import forms

OTHERS = ("{code}{pin}", "{pin},{code}", "{pin} {code}", "{code}: {pin}")
ALL = (forms.USUAL, *OTHERS, forms.SCRV1)


@pytest.mark.parametrize(
    "typed",
    [
        "482913",
        " 482913 ",
        "482 913",
        "48 29 13",
        "482-913",
        "482–913",
        "４８２９１３",
        "٤٨٢٩١٣",
        "482\xa0913",
    ],
)
def test_a_code_is_the_same_however_it_is_typed(typed: str) -> None:
    assert forms.typed_code(typed) == "482913"


@pytest.mark.parametrize("typed", ["482913x", "482.913", "4829l3", "²³48291", "482,913"])
def test_what_is_more_than_that_is_another_code(typed: str) -> None:
    assert forms.typed_code(typed) != "482913"


@pytest.mark.parametrize(
    ("password", "read_as", "parts"),
    [
        ("geheim482913", "{pin}{code}", ("geheim", "482913")),
        ("1234482913", "{pin}{code}", ("1234", "482913")),
        ("geheim 482913", "{pin}{code}", ("geheim ", "482913")),
        ("geheim482-913", "{pin}{code}", ("geheim", "482913")),
        ("geheim-482913", "{pin}{code}", ("geheim-", "482913")),
        ("geheim４８２９１３", "{pin}{code}", ("geheim", "482913")),
        ("482913", "{pin}{code}", None),  # no PIN at all
        ("geheim48291", "{pin}{code}", None),
        ("geheim", "{pin}{code}", None),
        ("", "{pin}{code}", None),
        ("geheim²²²²²²", "{pin}{code}", None),
        ("4829131234", "{code}{pin}", ("1234", "482913")),
        ("482-913geheim", "{code}{pin}", ("geheim", "482913")),
        ("geheim482913", "{code}{pin}", None),
        ("1234,482913", "{pin},{code}", ("1234", "482913")),
        ("1234482913", "{pin},{code}", None),
        ("1,2,482913", "{pin},{code}", ("1,2", "482913")),
        ("1234 482 913", "{pin} {code}", ("1234", "482913")),
        ("482913: 1234", "{code}: {pin}", ("1234", "482913")),
        ("SCRV1:MTIzNA==:NDgyOTEz", "SCRV1", ("1234", "482913")),
        ("SCRV1:MTIzNA==:NDgyLTkxMw==", "SCRV1", ("1234", "482913")),
        ("SCRV1:MTIzNA==:", "SCRV1", None),
        ("SCRV1::NDgyOTEz", "SCRV1", None),
        ("SCRV1:MTIzNA==:NDgyOTE=", "SCRV1", None),
        ("SCRV1:MTIzNA:NDgyOTEz", "SCRV1", None),
        ("SCRV1:MTIA:NDgyOTEz", "SCRV1", None),  # a NUL
        ("scrv1:MTIzNA==:NDgyOTEz", "SCRV1", None),
        ("SCRV1:MTIzNA==:NDgyOTEz:", "SCRV1", None),
    ],
)
def test_pin_and_code_are_taken_apart(
    password: str, read_as: str, parts: tuple[str, str] | None
) -> None:
    """Where nothing stands between them, the PIN is what is left beside as many digits."""
    assert forms.split(password, 6, (read_as,)) == parts


def test_the_code_is_as_long_as_it_is_meant_to_be() -> None:
    assert forms.split("geheim01234567", 8, ALL) == ("geheim", "01234567")


def test_what_stands_between_is_looked_for_first_and_else_the_order_counts() -> None:
    """So one password has one meaning: it is a guess at one code at the most."""
    assert forms.split("1234,482913", 6, ALL) == ("1234", "482913")
    both = ("{pin}{code}", "{code}{pin}")
    assert forms.split("1234567482913", 6, both) == ("1234567", "482913")
    assert forms.split("1234567482913", 6, both[::-1]) == ("7482913", "123456")
    assert forms.split("482913geheim", 6, both) == ("geheim", "482913")
    assert forms.split("1234482913", 6, ()) is None


@given(st.text(min_size=1), st.from_regex("[0-9]{6}", fullmatch=True), st.sampled_from(ALL))
def test_what_is_joined_is_taken_apart_again(pin: str, code: str, form: str) -> None:
    """But for a PIN that is no text in UTF-8, in base64."""
    if form == forms.SCRV1 and ("\0" in pin or any(0xD800 <= ord(one) < 0xE000 for one in pin)):
        return
    found = forms.split(forms.join(pin, code, form), 6, (form,))
    assert found is not None
    assert found[1] == code


@given(st.text(), st.lists(st.sampled_from(ALL)))
def test_any_password_has_one_code_or_none(password: str, read_as: list[str]) -> None:
    """Of six digits, and a PIN beside it."""
    found = forms.split(password, 6, read_as)
    if found is not None:
        assert found[0]
        assert len(found[1]) == 6
        assert found[1].isascii()
        assert found[1].isdigit()


def test_openvpn_sends_an_empty_answer_along_with_the_pin() -> None:
    """Who has no code yet leaves the field empty."""
    alone = f"SCRV1:{base64.b64encode('grüße'.encode()).decode()}:"
    assert forms.first_factor(alone, ALL) == "grüße"
    for other in ("SCRV1:MTIzNA==:NDgyOTEz", "SCRV1:", "1234", ""):
        assert forms.first_factor(other, ALL) == other
    assert forms.first_factor(alone, OTHERS) == alone


@pytest.mark.parametrize("form", ALL)
def test_these_are_forms(form: str) -> None:
    assert forms.check(form) == form


@pytest.mark.parametrize(
    ("form", "fault"),
    [
        ("{pin}", "names not one PIN and one code"),
        ("{code}", "names not one PIN and one code"),
        ("{pin}{code}{code}", "names not one PIN and one code"),
        ("scrv1", "names not one PIN and one code"),
        ("", "names not one PIN and one code"),
        ("{pin}{code}!", "has something before or behind both"),
        ("#{pin}{code}", "has something before or behind both"),
        ("{pin}1{code}", "has more than 8 characters, a digit or a brace in between"),
        ("{pin}{x}{code}", "has more than 8 characters, a digit or a brace in between"),
        ("{pin}---------{code}", "has more than 8 characters, a digit or a brace in between"),
    ],
)
def test_these_are_none(form: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        forms.check(form)
