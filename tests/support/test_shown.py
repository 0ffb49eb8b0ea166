"""A page is held to what it shows, but for what is another at each time."""

from __future__ import annotations

import pytest

from tests.support.shown import agrees


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ("alice: added", "\x1b[1malice: added\x1b[0m\n"),
        ("it was 2026-11-23 12:08:00 CET", "it was 2026-12-01 03:00:59 UTC"),
        ("A  B\n1  2", "A   B\n──  ─\n1   2"),
        ("first\n…", "first"),
        ("first\n…", "first\nsecond"),
        ("…\nlast", "last"),
        ("…\nlast", "first\nlast"),
        ("first\n…\nlast", "first\nlast"),
        ("no blank line", "no blank line\n\n"),
    ],
)
def test_it_may_be_another_in_what_chance_makes(shown: str, told: str) -> None:
    assert agrees(shown, told)


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ("alice: added", "alice: changed"),
        ("alice: added", "alice: added\nalice: more"),
        ("53 of 160 characters", "54 of 160 characters"),
        ("first\n…", "firstly"),
        ("a.c", "abc"),
    ],
)
def test_it_may_be_another_in_nothing_else(shown: str, told: str) -> None:
    assert not agrees(shown, told)


def test_figures_of_a_larger_site_are_told_apart_where_they_count() -> None:
    shown, told = "removed: 400,000 of 12.5", "removed: 0 of 1"
    assert agrees(shown, told, figures=True)
    assert not agrees(shown, told)
