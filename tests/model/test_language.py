"""A language is found however people and directories write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius_smsotp.model.identity import TAG, choose_language, language_chain

KNOWN = frozenset(("de", "de-ch", "en", "fr"))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("de", "de"),
        ("DE", "de"),
        ("de-AT", "de"),
        ("de_CH", "de-ch"),
        ("de-CH-1996", "de-ch"),
        ("it, fr", "fr"),
        ("de-AT, de;q=0.8, en;q=0.5", "de"),  # RFC 2798 section 2.7
        ("en;q=0.5, fr;q=0.9", "fr"),
        ("fr;q=0, en;q=0.1", "en"),  # RFC 9110 section 12.4.2: 0 is "not acceptable"
        ("fr;q=mine", "fr"),
        ("it", ""),
        ("den", ""),
        ("", ""),
        (" , ;q=1", ""),
    ],
)
def test_the_first_known_one_that_is_wanted_is_chosen(wanted: str, found: str) -> None:
    assert choose_language(wanted, KNOWN) == found


def test_a_tag_falls_back_part_by_part() -> None:
    assert language_chain("de-at-1996") == ("de-at-1996", "de-at", "de")
    assert language_chain("de") == ("de",)


@given(st.text(max_size=40))
def test_whatever_a_directory_holds_is_a_known_language_or_none(wanted: str) -> None:
    found = choose_language(wanted, KNOWN)
    assert not found or found in KNOWN
    assert choose_language(found, KNOWN) == found


@pytest.mark.parametrize("tag", ["de", "pt-br", "zh-hant-tw", "de-1996"])
def test_what_is_a_tag(tag: str) -> None:
    assert TAG.fullmatch(tag)


@pytest.mark.parametrize("tag", ["d", "", "de-", "-de", "de at", "de.yaml", "../de"])
def test_what_is_none(tag: str) -> None:
    assert not TAG.fullmatch(tag)
