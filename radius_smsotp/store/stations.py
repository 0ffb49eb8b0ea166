"""Stations: which there are, which are locked, and which are remembered and need no code."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from radius_smsotp.model.records import SKEW, Device, Station
from radius_smsotp.store.rows import DEVICE, STATION, Connection

LOCKED = "locked_until > ? AND last_failure_at <= ?"
"""As `model.lockout.is_locked` says."""


class StationStatements:
    """
    The part of a transaction that is about stations.

    Args:
        connection: Takes ``?`` for a value.
    """

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def put_station(self, station: Station) -> None:
        """Store what is known of a station."""
        self._db.execute(STATION.replace, STATION.values(station))

    def locked_stations(self, now: datetime, account: str | None = None) -> list[Station]:
        """The stations that are locked, of one account or of all, the longest first."""
        whose, value = ("", ()) if account is None else ("AND account = ?", (account,))
        sql = (
            f"SELECT {STATION.selected} FROM station WHERE {LOCKED} {whose} "
            "ORDER BY locked_until DESC"
        )
        return [STATION.read(row) for row in self._db.execute(sql, (*locked_at(now), *value))]

    def unlock_stations(self, account: str) -> bool:
        """Forget the failures of all stations of an account.  Returns whether there were any."""
        sql = (
            "UPDATE station SET failures = 0, locked_until = NULL "
            "WHERE account = ? AND failures > 0"
        )
        return int(self._db.execute(sql, (account,)).rowcount) > 0

    def devices(self, account: str, now: datetime) -> list[Device]:
        """The remembered devices of an account, by client, SSID and station."""
        sql = (
            f"SELECT {DEVICE.selected} FROM device WHERE account = ? AND expires_at > ? "
            "ORDER BY client, ssid, station"
        )
        return [DEVICE.read(row) for row in self._db.execute(sql, (account, now.timestamp()))]

    def remembered(self, accounts: Sequence[str]) -> set[str]:
        """Those of these accounts that have remembered devices, their time over or not."""
        marks = ", ".join("?" * len(accounts))
        sql = f"SELECT DISTINCT account FROM device WHERE account IN ({marks})"
        return {str(row["account"]) for row in self._db.execute(sql, tuple(accounts))}

    def remember_device(self, device: Device) -> None:
        """Let this device log in without a code; what was known of it before is replaced."""
        self._db.execute(DEVICE.replace, DEVICE.values(device))

    def forget_devices(self, account: str, station: str | None = None) -> int:
        """Forget the devices of an account; or only a station, wherever.  Returns how many."""
        if station is None:
            done = self._db.execute("DELETE FROM device WHERE account = ?", (account,))
        else:
            sql = "DELETE FROM device WHERE account = ? AND station = ?"
            done = self._db.execute(sql, (account, station))
        return int(done.rowcount)


def locked_at(now: datetime) -> tuple[float, float]:
    """The values of `LOCKED`."""
    return now.timestamp(), (now + SKEW).timestamp()
