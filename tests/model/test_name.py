"""User names: which writings are one account."""

# ruff: noqa: RUF001, RUF002  # characters that look alike are the subject

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius_smsotp.model.identity import SHARES, bare_name, fold_name, share


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
        ("ALİCE", "alice"),  # as OpenLDAP finds it
        ("alice  ", "alice"),  # as a directory finds it, and a database that pads with blanks
        ("\u00a0jane\u3000 \tdoe\n", "jane doe"),
    ],
)
def test_writings_of_one_name_are_one_account(one: str, other: str) -> None:
    """Letter case, composition and width make no other person."""
    assert fold_name(one) == fold_name(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("alice", "alicе"), ("o", "0"), ("alice", "al ice"), ("straße", "strasse"), ("ı", "i")],
)
def test_other_names_stay_other_accounts(one: str, other: str) -> None:
    """What merely looks alike is somebody else: a Cyrillic е, a zero, a blank within a word."""
    assert fold_name(one) != fold_name(other)


@pytest.mark.parametrize("plane", range(17))
def test_folding_twice_changes_nothing(plane: int) -> None:
    """A stored name is found under itself, for every character there is."""
    for point in range(plane << 16, (plane + 1) << 16):
        if point <= sys.maxunicode and not 0xD800 <= point <= 0xDFFF:
            once = fold_name(f"a{chr(point)}")
            assert fold_name(once) == once, hex(point)


@given(st.text())
def test_a_folded_name_is_one_line(name: str) -> None:
    """Other keys of the store have line breaks, and can be no name."""
    assert len(fold_name(name).splitlines()) <= 1


def test_names_fall_into_shares_alike() -> None:
    """Each has one, and none has much more than its part."""
    found = [share(f"user{number}") for number in range(100 * SHARES)]
    assert found[:3] == [share(f"user{number}") for number in range(3)]
    assert min(map(found.count, range(SHARES))) > 60
    assert max(map(found.count, range(SHARES))) < 150


@given(st.text())
def test_folding_a_folded_name_changes_nothing(name: str) -> None:
    """The same for names of any characters together."""
    assert fold_name(fold_name(name)) == fold_name(name)


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("alice@example.org", "alice"),
        ("a@b@example.org", "a@b"),
        ("example\\alice", "alice"),
        ("example.org/alice", "alice"),
        ("alice", ""),
        ("@example.org", ""),
        ("example\\", ""),
        ("", ""),
    ],
)
def test_a_realm_is_told_from_the_name(name: str, bare: str) -> None:
    """As suffix, ntdomain and IPASS of FreeRADIUS take it off."""
    assert bare_name(name) == bare
