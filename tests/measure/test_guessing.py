"""Who knows name and PIN and guesses codes gets no further than the documents say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from radius_smsotp.settings.schema import Settings
from tests.documents import pages
from tests.measure.guessing import challenges_a_day, chance, computed, simulate

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_chance_in_closed_form() -> None:
    assert chance(3, 1000, 0) == 0
    assert chance(3, 6, 1) == 0.5
    assert chance(3, 6, 2) == 0.75


@pytest.mark.parametrize(
    "shown",
    [
        lambda: f"{computed(Settings(), 10**6):.3%}".replace("%", " %"),
        lambda: f"{computed(Settings(), 10**8):.5%}".replace("%", " %"),
        lambda: f"{chance(3, 10**6, Settings().limits.per_day):.1%}".replace("%", " %"),
    ],
    ids=["6 digits", "8 digits", "all accounts"],
)
def test_the_documents_have_the_chance_of_the_default_settings(shown: Callable[[], str]) -> None:
    assert shown() in pages.section("Guessing")


def test_no_way_to_guess_gets_more_challenges_or_guesses_than_computed() -> None:
    """A day of each on the real rules."""
    settings = Settings()
    most = challenges_a_day(settings)
    for way, lived in simulate(1):
        for day in lived:
            # They are no less either: these are attackers who make the most of it.
            assert most * 0.9 <= day.challenges <= most, way
            assert day.guesses <= day.challenges * settings.code.guesses, way
