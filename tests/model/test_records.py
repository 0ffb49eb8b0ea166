"""The values that everything else speaks of."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from radius_smsotp.model import records
from radius_smsotp.model.records import Account
from tests.login.test_rules import NOW, challenge

VALUES = [
    one
    for one in vars(records).values()
    if dataclasses.is_dataclass(one) and one.__module__ == records.__name__
]


@pytest.mark.parametrize("value", VALUES, ids=lambda one: one.__name__)
def test_a_value_never_changes(value: type) -> None:
    """Frozen and slotted: what a rule was given is what the store gets."""
    assert value.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(value)


def test_an_account_does_not_show_number_or_pin() -> None:
    """Its repr may come into a log by way of a traceback."""
    shown = repr(Account("alice", "+491701234567", "$pbkdf2-sha512$1$c2FsdA$aGFzaA"))
    assert "1234567" not in shown
    assert "pbkdf2" not in shown


def test_a_challenge_is_open_until_the_moment_it_expires() -> None:
    """At `expires_at` it is over."""
    one = challenge()
    assert one.is_open(one.expires_at - timedelta(microseconds=1))
    assert not one.is_open(one.expires_at)


@pytest.mark.parametrize("state", ["spent", "exhausted", "undelivered", "cancelled"])
def test_a_challenge_in_any_other_state_is_not_open(state: str) -> None:
    """Whatever the time."""
    assert not challenge(state=state).is_open(NOW)


@pytest.mark.parametrize(("seconds", "minutes"), [(30, 1), (60, 1), (90, 1), (119, 1), (300, 5)])
def test_the_minutes_told_are_kept(seconds: int, minutes: int) -> None:
    """Whole minutes, never more than there are, unless that would say "0 minutes"."""
    one = challenge(expires_at=NOW + timedelta(seconds=seconds))
    assert one.minutes == minutes
