"""What is checked before money is spent, and how long a hook may wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from radius_smsotp.core.model import LoginPolicy, Tally

Limit = Literal["per_account_hour", "per_number_hour", "per_client_hour", "per_day"]

RATION_WINDOW = 10.0
"""Seconds over which waiting under FreeRADIUS's lock is rationed."""


def reached(tally: Tally, policy: LoginPolicy) -> Limit | None:
    """The first limit that one more message would break, or None.  A limit of 0 is none."""
    counted: Sequence[tuple[Limit, int, int]] = (
        ("per_account_hour", tally.account_hour, policy.per_account_hour),
        ("per_number_hour", tally.number_hour, policy.per_number_hour),
        ("per_client_hour", tally.client_hour, policy.per_client_hour),
        ("per_day", tally.day, policy.per_day),
    )
    return next((name for name, sent, most in counted if most and sent >= most), None)


def wait_allowance(
    waits: Iterable[tuple[float, float]],
    now: float,
    most: float,
    share: float,
    busy: float = 0.0,
) -> float:
    """
    How long the next hook may wait under the lock that all others wait for.

    Over any `RATION_WINDOW` seconds, wherever they begin, at most `share` of the time is
    waited; while there is work, of the time that it leaves.  After a wait, those who queued
    behind it go first: no wait follows until the last one is paid back, so that no login
    stands behind two waits in a row.

    Args:
        waits: Earlier waits as (start, end), monotonic seconds, oldest first.
        now: Monotonic seconds.
        most: The longest single wait, seconds.
        share: The part of the time that may be waited, 0 to 1; at 1, everybody may.
        busy: The part of the time, lately, in which the module was at work.

    Returns:
        Seconds, 0 or more.
    """
    if share >= 1:
        return max(0.0, most)
    share *= 1 - busy
    if most <= 0 or share <= 0:
        return 0.0
    begin, left, allowance = now - RATION_WINDOW, share * RATION_WINDOW, 0.0
    recent = []
    for start, end in waits:
        if now < end + (end - start) * (1 / share - 1):
            return 0.0
        if end > begin:
            recent.append((max(start, begin), end))
    left -= sum(end - start for start, end in recent)
    # While this login waits, the window that ends with it moves on: it costs nothing as long
    # as the window leaves an earlier wait behind at the same pace.
    for start, end in recent:
        if start - begin >= left:
            break
        left -= start - begin
        allowance += end - begin
        begin = end
    return max(0.0, min(most, allowance + left))
