"""``smsotp prune``: what goes, and what stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.model.records import Event
from tests.cli.test_courier import queue

if TYPE_CHECKING:
    from tests.cli.installation import Installation


def add_events(here: Installation, number: int, days: float) -> None:
    """Events that are so many days old."""
    with here.store.write() as tx:
        for _ in range(number):
            time = datetime.now(UTC) - timedelta(days=days)
            tx.add_event(Event("pin-wrong", time, "alice"))


def add_challenge(here: Installation, ended: timedelta) -> str:
    """A challenge that ended so long ago."""
    [one] = queue(here, 1)
    with here.store.write() as tx:
        found = tx.challenge(one)
        assert found is not None
        end = datetime.now(UTC) - ended
        again = replace(found, transaction_id=one[::-1], expires_at=end)
        tx.add_challenge(again)
    return again.transaction_id


def is_there(here: Installation, transaction_id: str) -> bool:
    """Whether a challenge is still in the store."""
    with here.store.read() as tx:
        return tx.challenge(transaction_id) is not None


def test_old_events_go_and_young_ones_stay(here: Installation) -> None:
    add_events(here, 3, days=91)
    add_events(here, 2, days=89)
    assert here.done("prune") == "removed: 3\n"
    assert len(here.events("alice")) == 2
    assert here.done("prune") == "removed: 0\n"


def test_the_option_wins_over_the_settings(here: Installation) -> None:
    here.write(audit={"days": 30})
    add_events(here, 1, days=31)
    add_events(here, 1, days=20)
    add_events(here, 1, days=5)
    assert here.done("prune") == "removed: 1\n"
    assert here.done("prune", "--days", "10") == "removed: 1\n"
    assert len(here.events("alice")) == 1


def test_challenges_stay_for_a_day_after_their_end(here: Installation) -> None:
    old = add_challenge(here, timedelta(days=1, minutes=1))
    young = add_challenge(here, timedelta(hours=23))
    assert here.done("prune") == "removed: 1\n"
    assert not is_there(here, old)
    assert is_there(here, young)


def test_more_than_one_slice_goes_in_one_call(here: Installation) -> None:
    add_events(here, 1234, days=91)
    assert here.done("prune") == "removed: 1234\n"


@pytest.mark.parametrize("days", ["0", "99999999999999"])
def test_days_that_no_calendar_has_are_wrong_usage(here: Installation, days: str) -> None:
    assert here.run("prune", "--days", days).exit_code == 2


def test_so_are_those_of_the_settings(here: Installation) -> None:
    here.write(audit={"days": 99999999999999})
    assert here.run("prune").exit_code == 3
