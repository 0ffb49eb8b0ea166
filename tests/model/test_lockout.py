"""When guessing ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from radius_smsotp.model.lockout import after_failure, is_locked
from radius_smsotp.model.records import Lockout
from tests.login.test_rules import POLICY

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
THREE = replace(POLICY, lockout_failures=3, lockout_time=timedelta(minutes=15))


def failures(*minutes: float) -> Lockout:
    """Wrong PINs or codes at these minutes."""
    lockout = Lockout()
    for minute in minutes:
        lockout = after_failure(lockout, THREE, NOW + timedelta(minutes=minute))
    return lockout


def locked_at(lockout: Lockout, minute: float) -> bool:
    """Whether it is locked at that minute."""
    return is_locked(lockout, NOW + timedelta(minutes=minute))


def test_the_last_allowed_failure_locks() -> None:
    """Two of three do not, the third does, at once."""
    assert not locked_at(failures(0, 1), 1)
    assert locked_at(failures(0, 1, 2), 2)


def test_a_lockout_ends_by_itself() -> None:
    """After exactly its time, and not a moment earlier."""
    lockout = failures(0, 1, 2)
    assert locked_at(lockout, 16.999)
    assert not locked_at(lockout, 17)


def test_a_lockout_cannot_be_extended() -> None:
    """Whoever goes on guessing while it holds changes nothing."""
    lockout = failures(0, 1, 2)
    assert failures(0, 1, 2, 3, 10, 16.9) == lockout


def test_after_a_lockout_counting_starts_anew() -> None:
    """One more wrong PIN is the first again, not the fourth."""
    assert failures(0, 1, 2, 17).failures == 1
    assert not locked_at(failures(0, 1, 2, 17, 18), 18)
    assert locked_at(failures(0, 1, 2, 17, 18, 19), 19)


def test_a_lockout_that_lies_ahead_is_none() -> None:
    """The clock was set back by more than clocks of servers may differ: no day more of it."""
    lockout = failures(0, 1, 2)
    assert locked_at(lockout, 1)
    assert locked_at(lockout, -3)
    assert not locked_at(lockout, -3.001)
    assert not locked_at(lockout, -24 * 60)


def test_a_failure_before_a_lockout_that_lies_ahead_locks_again() -> None:
    """Whoever guesses gets no more guesses from it: by this clock it lasts its time."""
    assert locked_at(failures(0, 1, 2, -60), -60)
    assert locked_at(failures(0, 1, 2, -60), -45.001)
    assert not locked_at(failures(0, 1, 2, -60), -45)


def test_a_pause_as_long_as_a_lockout_forgets() -> None:
    """Two typing mistakes on Monday and one on Tuesday lock nobody out."""
    assert failures(0, 1, 15.999).failures == 3
    assert failures(0, 1, 16).failures == 1


def test_one_allowed_failure_locks_at_the_first() -> None:
    """The strictest setting."""
    strict = replace(THREE, lockout_failures=1)
    assert is_locked(after_failure(Lockout(), strict, NOW), NOW)


@given(st.lists(st.floats(0, 40), max_size=60))
def test_no_stream_of_guesses_gets_more_than_its_share(gaps: list[float]) -> None:
    """However guesses are timed, between two lock-outs at most three are counted."""
    lockout, minute, counted = Lockout(), 0.0, 0
    for gap in gaps:
        minute += gap
        now = NOW + timedelta(minutes=minute)
        if is_locked(lockout, now):
            assert after_failure(lockout, THREE, now) == lockout
            continue
        lockout = after_failure(lockout, THREE, now)
        counted = 1 if lockout.failures == 1 else counted + 1
        assert counted <= 3
        assert is_locked(lockout, now) == (lockout.failures == 3)
