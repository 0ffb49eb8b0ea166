"""User names: which writings are one account."""

# ruff: noqa: RUF001, RUF002  # characters that look alike are the subject

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius_smsotp.core.name import fold


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alice", "alice"),
        ("ALICE@EXAMPLE.ORG", "alice@example.org"),
        ("JÜRGEN", "jürgen"),
        ("ju\u0308rgen", "jürgen"),  # the umlaut as letter and mark
        ("ａｌｉｃｅ", "alice"),  # full width, as input methods of East Asia write it
        ("ﬁona", "fiona"),
        ("ΣΟΦΊΑ", "σοφία"),
    ],
)
def test_writings_of_one_name_are_one_account(one: str, other: str) -> None:
    """Letter case, composition and width make no other person."""
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("alice", "alicе"), ("o", "0"), ("alice", "alice "), ("straße", "strasse"), ("ı", "i")],
)
def test_other_names_stay_other_accounts(one: str, other: str) -> None:
    """What merely looks alike is somebody else: a Cyrillic е, a zero, a blank at the end."""
    assert fold(one) != fold(other)


@pytest.mark.parametrize("plane", range(17))
def test_folding_twice_changes_nothing(plane: int) -> None:
    """A stored name is found under itself, for every character there is."""
    for point in range(plane << 16, (plane + 1) << 16):
        if point <= sys.maxunicode and not 0xD800 <= point <= 0xDFFF:
            once = fold(f"a{chr(point)}")
            assert fold(once) == once, hex(point)


@given(st.text())
def test_folding_a_folded_name_changes_nothing(name: str) -> None:
    """The same for names of any characters together."""
    assert fold(fold(name)) == fold(name)
