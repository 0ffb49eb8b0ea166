"""What providers made of messages, and what the network says of those that they took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from radius_smsotp.model import receipts
from radius_smsotp.model.receipts import Receipt, Sent
from radius_smsotp.model.records import Attempt, Message
from radius_smsotp.store import rows
from radius_smsotp.store.rows import ATTEMPT, CHALLENGE, MESSAGE, Connection, selected

NEWEST = 20
"""Messages with the same id that are looked at; a modem gives each again after 256."""

ADD = (
    f"INSERT INTO attempt ({', '.join(ATTEMPT.columns)}) "
    "SELECT ?, ?, (SELECT count(*) + 1 FROM attempt WHERE transaction_id = ? AND message = ?), "
    f"{', '.join('?' * (ATTEMPT.width - 3))} FROM message WHERE transaction_id = ? AND number = ?"
)


class AttemptStatements:
    """
    The part of a transaction that is about attempts and their receipts.

    Args:
        connection: Takes ``?`` for a value.
    """

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add_attempt(self, message: Message, attempt: Attempt, now: datetime) -> None:
        """
        Add what one provider made of a message.  Its id is normalised.

        Nothing, if the message was erased meanwhile.
        """
        provider_id = attempt.message_id and receipts.normalise(attempt.message_id)
        normalised = replace(attempt, message_id=provider_id or None)
        key = message.key
        values = (*key, *key, *ATTEMPT.values(normalised), now.timestamp(), *key)
        self._db.execute(ADD, values)

    def attempts(self, transaction_id: str) -> list[tuple[int, Attempt]]:
        """What providers made of the messages of a challenge, each with the message's number."""
        sql = (
            f"SELECT {ATTEMPT.selected} FROM attempt WHERE transaction_id = ? "
            "ORDER BY message, number"
        )
        found = self._db.execute(sql, (transaction_id,))
        return [(int(row["attempt_message"]), ATTEMPT.read(row)) for row in found]

    def sent(self, provider: str, provider_ids: Sequence[str], since: datetime) -> list[Sent]:
        """
        The messages that a provider took since then under one of these ids, newest first.

        Args:
            provider_ids: Normalised (see `model.receipts.normalise`).
        """
        marks = ", ".join("?" * len(provider_ids))
        sql = (
            f"SELECT {selected(CHALLENGE, MESSAGE)}, provider_id, time, receipt FROM attempt "
            "JOIN message ON message.transaction_id = attempt.transaction_id "
            "AND message.number = attempt.message "
            "JOIN challenge ON challenge.transaction_id = attempt.transaction_id "
            f"WHERE attempt.provider = ? AND provider_id IN ({marks}) AND time >= ? "
            "ORDER BY time DESC LIMIT ?"
        )
        found = self._db.execute(sql, (provider, *provider_ids, since.timestamp(), NEWEST))
        return [
            Sent(
                CHALLENGE.read(row),
                MESSAGE.read(row, CHALLENGE.width),
                row["provider_id"],
                rows.at(row["time"]),
                row["receipt"],
            )
            for row in found
        ]

    def told_ids(self, provider: str, most: int) -> list[bool]:
        """Of the last telling receipts (see `note_receipt`): whether the id was as it was given."""
        sql = (
            "SELECT receipt_id, provider_id FROM attempt WHERE provider = ? "
            "AND receipt_id IS NOT NULL ORDER BY time DESC LIMIT ?"
        )
        found = self._db.execute(sql, (provider, most))
        return [row["receipt_id"] == row["provider_id"] for row in found]

    def note_receipt(
        self, sent: Sent, provider: str, receipt: str, receipt_id: str | None = None
    ) -> bool:
        """
        Note the network's word on a message, unless there is one.

        Args:
            receipt: The kind of its event.
            receipt_id: The id in the receipt, if that tells how this provider writes ids.

        Returns:
            False if there was one.
        """
        # Others may have the same id: a modem's is an octet.
        sql = (
            "UPDATE attempt SET receipt = ?, receipt_id = ? WHERE transaction_id = ? "
            "AND message = ? AND provider = ? AND provider_id = ? AND receipt IS NULL"
        )
        values = (receipt, receipt_id, *sent.message.key, provider, sent.provider_id)
        return int(self._db.execute(sql, values).rowcount) > 0

    # Receipts of no message that is known yet

    def keep_early(self, provider: str, provider_id: str, receipt: Receipt, now: datetime) -> None:
        """Keep a receipt until its message is known; of two the later one."""
        self._db.execute(
            "INSERT INTO early_receipt (provider, provider_id, delivered, words, time) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT (provider, provider_id) DO UPDATE SET "
            "delivered = excluded.delivered, words = excluded.words, time = excluded.time",
            (provider, provider_id, int(receipt.delivered), receipt.words, now.timestamp()),
        )

    def early(self, provider: str, provider_ids: Sequence[str]) -> dict[str, Receipt]:
        """Those that are kept under these ids of a provider."""
        marks = ", ".join("?" * len(provider_ids))
        sql = (
            "SELECT provider_id, delivered, words FROM early_receipt "
            f"WHERE provider = ? AND provider_id IN ({marks})"
        )
        found = self._db.execute(sql, (provider, *provider_ids))
        return {row["provider_id"]: Receipt(bool(row["delivered"]), row["words"]) for row in found}

    def all_early(
        self, before: datetime, most: int, since: datetime | None = None
    ) -> list[tuple[str, str, Receipt, datetime]]:
        """Those that came in a time: provider, id, and since when; the oldest first."""
        sql = "SELECT * FROM early_receipt WHERE time >= ? AND time < ? ORDER BY time LIMIT ?"
        begin = 0.0 if since is None else since.timestamp()
        found = self._db.execute(sql, (begin, before.timestamp(), most))
        return [
            (
                row["provider"],
                row["provider_id"],
                Receipt(bool(row["delivered"]), row["words"]),
                rows.at(row["time"]),
            )
            for row in found
        ]

    def drop_early(self, provider: str, provider_id: str) -> None:
        """Keep one no longer."""
        sql = "DELETE FROM early_receipt WHERE provider = ? AND provider_id = ?"
        self._db.execute(sql, (provider, provider_id))

    def forget_early(self, before: datetime) -> None:
        """Keep those no longer that came before then."""
        self._db.execute("DELETE FROM early_receipt WHERE time < ?", (before.timestamp(),))
