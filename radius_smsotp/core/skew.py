"""Times that cannot be true: clocks of servers differ, and are put right."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

SKEW = timedelta(minutes=5)
"""So far may the clocks of servers differ that share a store, as in Kerberos (RFC 4120 section 8.2,
"acceptable clock skew")."""


def is_ahead(noted: datetime, now: datetime) -> bool:
    """
    Whether something was noted by a clock that has gone back since, or is of another server.

    How long ago that was is not known, then.

    Args:
        noted: What the time was when it happened.
    """
    return noted - now > SKEW
