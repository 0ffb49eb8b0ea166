"""When wrong PINs and wrong codes lock an account, and for how long."""

from __future__ import annotations

from datetime import datetime, timedelta

from radius_smsotp.model import records
from radius_smsotp.model.records import Lockout, LoginPolicy

LONGEST = timedelta(days=1)
"""The longest lock-out that the settings allow."""

STATION_KNOWN = timedelta(days=90)
"""For so long after its last login or failure a station has counters of its own.  No lock-out is
longer: what is older than this means nothing."""


def is_locked(lockout: Lockout, now: datetime) -> bool:
    """
    Whether the account is locked.

    A lock-out that lies ahead is none: after a clock went back by a day it would last a day more.
    """
    if lockout.locked_until is None or now >= lockout.locked_until:
        return False
    return lockout.last_failure_at is None or not records.is_ahead(lockout.last_failure_at, now)


def after_failure(lockout: Lockout, policy: LoginPolicy, now: datetime) -> Lockout:
    """
    Count one wrong PIN or code.

    While an account is locked nothing is counted: whoever keeps trying cannot hold the
    lock beyond its time.  A pause as long as a lock-out forgets earlier failures.  Those of a
    clock that has gone back since count: whether there was a pause is not known.
    """
    if is_locked(lockout, now):
        return lockout
    forgotten = (
        lockout.last_failure_at is None
        or (lockout.locked_until is not None and now >= lockout.locked_until)
        or now - lockout.last_failure_at >= policy.lockout_time
    )
    failures = 1 if forgotten else lockout.failures + 1
    locked = failures >= policy.lockout_failures
    return Lockout(failures, now, now + policy.lockout_time if locked else None)
