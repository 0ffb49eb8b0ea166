"""
What a step of a login asks of the store first: all that its rules begin with, in one statement.

Between a RADIUS server and its database each answer takes a way there and back, under
FreeRADIUS's lock.  A store that is that far away is asked along with the start of the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from radius_smsotp.model.lockout import STATION_KNOWN
from radius_smsotp.model.records import (
    UNANSWERED,
    Asker,
    Counter,
    Known,
    Lockout,
    Tally,
)
from radius_smsotp.store import rows, tallies
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


class Question(NamedTuple):
    """A statement that changes nothing, and the values for its marks."""

    sql: str
    values: tuple[Any, ...] = ()


OF_ASKER = (ACCOUNT, LOCKOUT, STATION, DEVICE, EMERGENCY)
WIDTH = CHALLENGE.width + sum(one.width for one in OF_ASKER)
"""Of what comes first in a row: a challenge, and what is known of an asker."""


# Constants only: no value ever gets into a statement but by its mark.
def _question(which: str, columns: str = "", asker: str = "", beside: str = "") -> str:
    """
    What is known of an asker, and challenges; with more columns, and more of the asker.

    Args:
        beside: More columns of each challenge.
    """
    return (
        f"SELECT {CHALLENGE.selected}, known.*{beside} FROM ("
        f"SELECT {selected(*OF_ASKER)}, "
        "(SELECT pin_hash FROM account AS other WHERE other.name >= asker.account "
        "ORDER BY other.name LIMIT 1) AS neighbour_pin_hash, "
        "(SELECT spent FROM station AS anywhere WHERE anywhere.account = asker.account "
        f"AND anywhere.client = '' AND anywhere.station = '') AS kept{columns} FROM "
        "(SELECT CAST(? AS TEXT) AS account, CAST(? AS TEXT) AS client, CAST(? AS TEXT) AS ssid, "
        f"CAST(? AS TEXT) AS station{asker}) AS asker "
        "LEFT JOIN account ON account.name = asker.account "
        "LEFT JOIN emergency ON emergency.account = asker.account "
        "LEFT JOIN lockout ON lockout.account = asker.account "
        "LEFT JOIN station ON station.account = asker.account AND station.client = asker.client "
        "AND station.station = asker.station "
        "LEFT JOIN device ON device.account = asker.account AND device.client = asker.client "
        "AND device.ssid = asker.ssid AND device.station = asker.station "
        # It is one row anyway; but so it is made once, and not again for each challenge.
        "LIMIT 1) AS known "
        f"LEFT JOIN challenge ON ({which}) ORDER BY challenge.created_at DESC"
    )


_TAG = "coalesce(asker.number_tag, account.number_tag, '')"
_KNOWN = "CASE WHEN station.seen_at > asker.known_since THEN"
"""As `login.stations.counter_of` says, and below as `tallies.scopes` does."""

_TALLY = tallies.selected(
    (
        f"'account ' || {_KNOWN} asker.own ELSE asker.account END",
        f"'number ' || {_TAG} || {_KNOWN} ' ' || asker.own ELSE '' END",
        "'client ' || asker.client",
        "'all'",
    ),
    "asker.hour_since AND asker.hour_until",
    "asker.day_since AND asker.day_until",
)
TALLY = "SELECT " + tallies.selected("????", "? AND ?", "? AND ?")

# Each side of an OR finds its rows in an index of its own.
OPEN = "challenge.account = ? AND challenge.state = 'open' AND challenge.expires_at > ?"
# What ended is of interest to who asked for it: from elsewhere it does not even show in the time.
HERE = "challenge.client = ? AND challenge.station = ?"
ANSWERED = _question(f"challenge.transaction_id = ? OR {OPEN}")
FIRST = _question(
    f"{OPEN} AND (challenge.expires_at > ? OR {HERE})",
    f", {_TAG} AS number_tag, {_TALLY}",
    ", CAST(? AS TEXT) AS number_tag, CAST(? AS TEXT) AS own, "
    "CAST(? AS DOUBLE PRECISION) AS known_since, "
    "CAST(? AS BIGINT) AS hour_since, CAST(? AS BIGINT) AS hour_until, "
    "CAST(? AS BIGINT) AS day_since, CAST(? AS BIGINT) AS day_until",
    # Of a challenge one message at most is queued: who asks for one more replaces it.
    ", (SELECT counted FROM message WHERE message.transaction_id = challenge.transaction_id "
    "AND message.state = 'queued' AND lease_owner IS NULL LIMIT 1) AS waiting",
)


def known(asker: Asker, now: datetime) -> Question:
    """See `Transaction.known`."""
    client, account = asker.client, asker.account
    place = (account, client.name, client.ssid, client.station)
    if asker.transaction_id is not None:
        return Question(ANSWERED, (*place, asker.transaction_id, account, now.timestamp()))
    own = tallies.own(Counter(account, client.name, client.station))
    since = (now - STATION_KNOWN).timestamp()
    counted = (asker.number_tag, own, since, *tallies.hours(now), *tallies.days(now))
    unanswered = (now - UNANSWERED).timestamp()
    here = (client.name, client.station)
    return Question(FIRST, (*place, *counted, account, unanswered, now.timestamp(), *here))


def tally(counter: Counter, number_tag: str, now: datetime) -> Question:
    """See `Transaction.tally`."""
    hours = tallies.hours(now)
    spans = (hours, hours, hours, tallies.days(now))
    named = zip(tallies.scopes(counter, number_tag), spans, strict=True)
    return Question(TALLY, tuple(value for name, span in named for value in (name, *span)))


def answered(found: Sequence[Row]) -> Known:
    """The rows of `known`: one at least, and one for each challenge."""
    first = found[0]
    of_asker = rows.found(first[CHALLENGE.width :], *OF_ASKER)
    account, lockout, station, device, emergency = of_asker
    challenges = [one for row in found if (one := CHALLENGE.find(row)) is not None]
    neighbour, kept, *counted = first[WIDTH:]
    tag, tally, waiting = "", Tally(), {}
    if counted:
        tag, *sent, _ = counted
        tally = tallies.read(sent)
        waiting = {
            one.transaction_id: rows.counted(row[-1])
            for one, row in zip(challenges, found, strict=False)
            if row[-1] is not None
        }
    return Known(
        account=account,
        neighbour=neighbour,
        lockout=lockout or Lockout(),
        station=station,
        kept=rows.spent(kept or ""),
        device=device,
        challenges=tuple(challenges),
        emergency=emergency,
        number_tag=tag,
        tally=tally,
        waiting=waiting,
    )
