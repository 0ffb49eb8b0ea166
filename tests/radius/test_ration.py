"""Waiting under the lock comes out of the time that logins leave."""

from __future__ import annotations

import pytest

from radius_smsotp.radius.waiting import RATION_WINDOW, Ration

SHARE = 0.25


def waited(work: float, gap: float) -> float:
    """The part of a minute that is waited if calls of `work` seconds come every `gap` seconds."""
    ration = Ration()
    now = total = 0.0
    while now < 2 * RATION_WINDOW + 60.0:
        start, now = now, now + work
        allowed = ration.allowance(now, 1.0, SHARE)
        if allowed > 0:
            ration.waited(now, now + allowed)
            now += allowed
            # Before the window is full, what it holds is less than what happens.
            total += allowed if now > 2 * RATION_WINDOW else 0.0
        ration.called(start, now)
        now += gap
    return total / 60.0


def test_with_little_to_do_the_whole_share_is_waited() -> None:
    assert waited(work=0.001, gap=0.05) == pytest.approx(SHARE, rel=0.1)


def test_the_more_there_is_to_do_the_less_is_waited() -> None:
    parts = [waited(0.001, gap) for gap in (0.05, 0.004, 0.0015)]
    assert parts == sorted(parts, reverse=True)
    assert 0 < parts[-1] < 0.7 * SHARE


def test_logins_that_leave_no_time_wait_no_more() -> None:
    """Between two of their calls FreeRADIUS has something to do as well."""
    assert waited(work=0.001, gap=0.0005) < 0.01 * SHARE


def test_work_of_long_ago_counts_no_more() -> None:
    ration = Ration()
    for second in range(100):
        ration.called(float(second), second + 0.999)
    assert ration.allowance(100.0, 1.0, SHARE) < 0.05
    assert ration.allowance(110.0, 1.0, SHARE) == 1.0


def test_calls_side_by_side_are_no_more_than_all_of_the_time() -> None:
    """FreeRADIUS has a lock for each instance of the module, and ends none before the other."""
    ration = Ration()
    for call in range(100):
        ration.called(call / 10, call / 10 + 1)
        ration.called(call / 10, call / 10 + 0.5)
    assert 0 <= ration.allowance(10.9, 1.0, SHARE) < 0.01


def test_a_share_of_one_waits_whatever_there_is_to_do() -> None:
    ration = Ration()
    ration.called(0.0, 0.999)
    assert ration.allowance(1.0, 5.0, 1.0) == 5.0


def test_waiting_itself_is_no_work() -> None:
    ration = Ration()
    ration.waited(0.0, 1.0)
    ration.called(0.0, 1.0)
    # Paid back after three seconds: a quarter of the time, and all of it is left.
    assert ration.allowance(4.0, 1.0, SHARE) == 1.0
