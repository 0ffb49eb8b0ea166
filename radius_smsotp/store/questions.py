"""
What a step of a login asks of the store first: all that its rules begin with, in one statement.

Between a RADIUS server and its database each answer takes a way there and back, under
FreeRADIUS's lock.  A store that is that far away is asked along with the start of the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from radius_smsotp.model.records import LATELY, UNANSWERED, Asker, Known, Lockout
from radius_smsotp.store.rows import (
    ACCOUNT,
    CHALLENGE,
    DEVICE,
    EMERGENCY,
    LOCKOUT,
    STATION,
    Row,
    selected,
)

NEWEST = 40
"""Challenges of an account that a first step looks at: more than it has messages in six hours."""


class Question(NamedTuple):
    """A statement that changes nothing, and the values for its marks."""

    sql: str
    values: tuple[Any, ...] = ()


# Constants only: no value ever gets into a statement but by its mark.
KNOWN = (
    f"SELECT {selected(ACCOUNT, LOCKOUT, STATION, DEVICE, EMERGENCY, CHALLENGE)}, "
    "(SELECT pin_hash FROM account AS other WHERE other.name >= asker.account "
    "ORDER BY other.name LIMIT 1) AS neighbour_pin_hash FROM "
    "(SELECT CAST(? AS TEXT) AS account, CAST(? AS TEXT) AS client, CAST(? AS TEXT) AS ssid, "
    "CAST(? AS TEXT) AS station) AS asker "
    "LEFT JOIN account ON account.name = asker.account "
    "LEFT JOIN emergency ON emergency.account = asker.account "
    "LEFT JOIN lockout ON lockout.account = asker.account "
    "LEFT JOIN station ON station.account = asker.account AND station.client = asker.client "
    "AND station.station = asker.station "
    "LEFT JOIN device ON device.account = asker.account AND device.client = asker.client "
    "AND device.ssid = asker.ssid AND device.station = asker.station "
    "LEFT JOIN challenge ON ({which}) ORDER BY challenge.created_at DESC"
)
# Each side of an OR finds its rows in an index of its own.
OPEN = "challenge.account = ? AND challenge.state = 'open' AND challenge.expires_at > ?"
SPENT = (
    "challenge.account = ? AND challenge.state = 'spent' AND challenge.answered = '' "
    "AND challenge.created_at > ?"
)
ANSWERED = KNOWN.replace("{which}", f"challenge.transaction_id = ? OR {OPEN}")
FIRST = KNOWN.replace("{which}", f"{OPEN} OR {SPENT}") + f" LIMIT {NEWEST}"


def known(asker: Asker, now: datetime) -> Question:
    """See `Transaction.known`."""
    client = asker.client
    place = (asker.account, client.name, client.ssid, client.station)
    if asker.transaction_id is None:
        since = (asker.account, (now - UNANSWERED).timestamp())
        return Question(FIRST, (*place, *since, asker.account, (now - LATELY).timestamp()))
    return Question(ANSWERED, (*place, asker.transaction_id, asker.account, now.timestamp()))


def answered(found: Sequence[Row]) -> Known:
    """The rows of `known`: one at least, and one for each challenge."""
    first = found[0]
    return Known(
        account=ACCOUNT.find(first),
        neighbour=first["neighbour_pin_hash"],
        lockout=LOCKOUT.find(first) or Lockout(),
        station=STATION.find(first),
        device=DEVICE.find(first),
        challenges=tuple(one for row in found if (one := CHALLENGE.find(row)) is not None),
        emergency=EMERGENCY.find(first),
    )
