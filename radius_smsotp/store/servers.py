"""What a store knows of the servers that use it: which they are, their keys and authority."""

from __future__ import annotations

from datetime import datetime, timezone

from radius_smsotp.store.rows import Connection


class ServerStatements:
    """
    The part of a transaction that is about servers.

    Args:
        connection: Takes ``?`` for a value.
    """

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def known_keys(self) -> dict[str, str]:
        """Fingerprint (see `model.code.key_fingerprint`) to id of the keys it was used with."""
        sql = "SELECT fingerprint, key_id FROM known_key ORDER BY since, fingerprint"
        return {row["fingerprint"]: row["key_id"] for row in self._db.execute(sql)}

    def add_key(self, fingerprint: str, key_id: str, now: datetime) -> None:
        """Know a key from now on."""
        sql = "INSERT INTO known_key VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        self._db.execute(sql, (fingerprint, key_id, now.timestamp()))

    def forget_key(self, key_id: str) -> bool:
        """Know a key no more.  Returns whether it was known."""
        done = self._db.execute("DELETE FROM known_key WHERE key_id = ?", (key_id,))
        return int(done.rowcount) > 0

    def put_server(self, place: str, now: datetime) -> None:
        """Note that a radiusd uses this store."""
        sql = (
            "INSERT INTO server (place, seen_at) VALUES (?, ?) "
            "ON CONFLICT (place) DO UPDATE SET seen_at = excluded.seen_at"
        )
        self._db.execute(sql, (place, now.timestamp()))

    def servers(self) -> dict[str, datetime]:
        """Place of each radiusd, and when it was last known to run."""
        sql = "SELECT place, seen_at FROM server ORDER BY place"
        found = self._db.execute(sql)
        return {row["place"]: datetime.fromtimestamp(row["seen_at"], timezone.utc) for row in found}

    def put_authority(self, place: str, fingerprint: str, name: str, now: datetime) -> None:
        """Note which authority, and whose name, Wi-Fi devices have to know at a server."""
        sql = (
            "INSERT INTO authority (place, fingerprint, name, seen_at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (place) DO UPDATE SET fingerprint = excluded.fingerprint, "
            "name = excluded.name, seen_at = excluded.seen_at"
        )
        self._db.execute(sql, (place, fingerprint, name, now.timestamp()))

    def authorities(self) -> dict[str, tuple[str, str, datetime]]:
        """Place to fingerprint, name, and when that was noted."""
        sql = "SELECT place, fingerprint, name, seen_at FROM authority ORDER BY place"
        return {
            row["place"]: (
                row["fingerprint"],
                row["name"],
                datetime.fromtimestamp(row["seen_at"], timezone.utc),
            )
            for row in self._db.execute(sql)
        }
