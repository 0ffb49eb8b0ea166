"""
What a login asks of the store first: known before its transaction begins, and told to it.

Between a RADIUS server and its database each answer takes a way there and back, under
FreeRADIUS's lock.  A store that is that far away answers what it is told beforehand all at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from radius_smsotp.store import rows

if TYPE_CHECKING:
    from datetime import datetime

# Constants only: no value ever gets into a statement but by its mark.
ACCOUNT = f"SELECT {rows.ACCOUNT} FROM account WHERE name = ?"  # noqa: S608
LOCKOUT = "SELECT failures, last_failure_at, locked_until FROM lockout WHERE account = ?"
CHALLENGE = f"SELECT {rows.CHALLENGE} FROM challenge WHERE transaction_id = ?"  # noqa: S608
OPEN = "state = 'open' AND expires_at > ? ORDER BY created_at DESC"
ALL_OPEN = f"SELECT {rows.CHALLENGE} FROM challenge WHERE {OPEN}"  # noqa: S608
OPEN_OF = f"SELECT {rows.CHALLENGE} FROM challenge WHERE account = ? AND {OPEN}"  # noqa: S608


class Question(NamedTuple):
    """A statement that changes nothing, and the values for its marks."""

    sql: str
    values: tuple[Any, ...] = ()


def account(name: str) -> Question:
    """See `Transaction.account`."""
    return Question(ACCOUNT, (name,))


def lockout(account: str) -> Question:
    """See `Transaction.lockout`."""
    return Question(LOCKOUT, (account,))


def challenge(transaction_id: str) -> Question:
    """See `Transaction.challenge`."""
    return Question(CHALLENGE, (transaction_id,))


def open_of(account: str, now: datetime) -> Question:
    """See `Transaction.open_challenges`, of one account."""
    return Question(OPEN_OF, (account, now.timestamp()))


def all_open(now: datetime) -> Question:
    """The same, of all."""
    return Question(ALL_OPEN, (now.timestamp(),))
