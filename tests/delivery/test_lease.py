"""Who may take up a message whose lease has run out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from radius_smsotp.delivery.leases import Watched, sort_out
from radius_smsotp.model.records import Message
from tests.login.test_rules import NOW

LENGTH = timedelta(seconds=15)
FIRST = timedelta(hours=3)
"""When a lease was first seen."""

HERE, THERE = (
    Message("0" * 32, 1, "queued", ("a",), "00", "{code}", lease_owner=owner, lease_until=NOW)
    for owner in ("here:1:aa", "there:1:bb")
)


def look(
    seconds: float, watched: dict[str, Watched], one: object = THERE
) -> tuple[bool, dict[str, Watched]]:
    """Whether a message may be taken up so many seconds after the first look, and what is seen."""
    now = FIRST + timedelta(seconds=seconds)
    due, seen = sort_out([one], "here", watched, lambda _: LENGTH, now)  # type: ignore[list-item]
    assert due in ([], [one])
    return due != [], seen


@pytest.mark.parametrize("owner", ["here:1:aa", None])
def test_what_this_host_or_nobody_has_held_is_due_at_once(owner: str | None) -> None:
    """There is but one clock."""
    one = replace(HERE, lease_owner=owner)
    assert look(0, {}, one) == (True, {})


def test_what_another_host_holds_is_due_when_it_was_seen_for_as_long_as_it_lasts() -> None:
    """Its clock may be ahead of ours, or behind."""
    due, seen = look(0, {})
    assert not due
    due, seen = look(14.999, seen)
    assert not due
    assert look(15, seen) == (True, {})


def test_a_lease_that_was_renewed_is_watched_anew() -> None:
    """Whoever holds it is at work."""
    _, seen = look(0, {})
    renewed = replace(THERE, lease_until=NOW + LENGTH)
    due, seen = look(15, seen, renewed)
    assert not due
    assert look(30, seen, renewed) == (True, {})


def test_what_is_seen_no_more_is_forgotten() -> None:
    """It has been sent."""
    _, seen = look(0, {})
    assert sort_out([], "here", seen, lambda _: LENGTH, FIRST) == ([], {})


def test_a_host_whose_name_begins_like_ours_is_another() -> None:
    """Names of hosts end with a colon."""
    one = replace(HERE, lease_owner="here2:1:aa")
    assert not look(0, {}, one)[0]
