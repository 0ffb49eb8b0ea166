"""Receipts that were faster than the record of their attempt, or are nobody's."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.delivery import receipts
from radius_smsotp.delivery.receipts import Receipts
from radius_smsotp.model.receipts import LIVES, Receipt
from radius_smsotp.model.records import Attempt
from radius_smsotp.store import open_store
from tests.store.samples import NOW, SECOND, add, challenge, message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from radius_smsotp.store import Store

LOST, DELIVERED = Receipt(delivered=False, words="REJECTD"), Receipt(delivered=True, words="ok")


class Clock:
    """Both clocks, until a test moves them."""

    def __init__(self) -> None:
        self.now, self.run = NOW, 0.0

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds * SECOND
        self.run += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time, for all."""
    one = Clock()
    monkeypatch.setattr(receipts.time, "monotonic", lambda: one.run)
    return one


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Where attempts are."""
    one = open_store(f"sqlite:///{tmp_path}/smsotp.db", patience=10)
    one.migrate()
    yield one
    one.close()


def take(store: Store, number: int, message_id: str, provider: str = "a") -> None:
    """A provider takes a message, and gives it an id."""
    with store.write() as tx:
        add(tx, challenge(number))
        attempt = Attempt(provider, "accepted", message_id=message_id)
        tx.add_attempt(message(number), attempt, NOW)


def told(store: Store) -> list[tuple[str, int, str]]:
    """The receipts that were noted: kind, number of the message, and the network's words."""
    with store.read() as tx:
        found = tx.events("alice", 100)
    return [(one.kind, int(one.transaction_id, 16), str(one.detail["text"])) for one in found]


def test_a_receipt_is_noted_with_how_long_it_took(store: Store, clock: Clock) -> None:
    """By another process than the one that sent."""
    take(store, 1, "1A2B")
    clock.advance(4)
    Receipts(store, clock).hear("a", "0001a2b", DELIVERED)
    with store.read() as tx:
        [event] = tx.events("alice", 10)
    assert event.kind == "sms-delivered"
    assert event.detail == {"provider": "a", "text": "ok", "seconds": 4.0}


def test_a_receipt_that_comes_first_survives_its_process(store: Store, clock: Clock) -> None:
    """Whoever records the attempt finds it; ids are the provider's own."""
    here = Receipts(store, clock)
    here.hear("a", "1", LOST)
    Receipts(store, clock).hear("b", "1", DELIVERED)
    take(store, 1, "1")
    here.recorded("a", "1")
    assert told(store) == [("sms-lost", 1, "REJECTD")]
    take(store, 2, "1", provider="b")
    here.recorded("b", "1")
    assert len(told(store)) == 1
    # Also if that one has ended in between.
    Receipts(store, clock).look_again()
    assert told(store)[1:] == [("sms-delivered", 2, "ok")]


def test_it_may_come_first_in_another_writing(store: Store, clock: Clock) -> None:
    """Decimal, where the answer to the message is hex."""
    one = Receipts(store, clock)
    one.hear("a", "6699", LOST)
    take(store, 1, "1A2B")
    one.recorded("a", "1A2B")
    assert told(store) == [("sms-lost", 1, "REJECTD")]


def test_what_matches_nothing_is_told_once_and_forgotten(
    store: Store, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be of somebody else who shares our account; it is not the number that is told."""
    caplog.set_level(logging.INFO)
    one = Receipts(store, clock)
    one.hear("a", "1", LOST)
    for _ in range(100):
        clock.advance(10)
        one.look_again()
    expected = "a receipt of a matches no message of ours (message id 1): REJECTD"
    assert [record.message for record in caplog.records] == [expected]
    take(store, 1, "1")
    one.recorded("a", "1")
    assert told(store) == []


def test_a_receipt_days_later_is_of_no_message(store: Store, clock: Clock) -> None:
    """Ids come again some day, for other messages."""
    take(store, 1, "1")
    clock.advance(LIVES.total_seconds() + 1)
    Receipts(store, clock).hear("a", "1", LOST)
    assert told(store) == []


def test_a_provider_that_translates_ids_is_learnt(store: Store, clock: Clock) -> None:
    """It answers in hex and reports in decimal, and both are names of messages of ours."""
    one = Receipts(store, clock)
    take(store, 1, "a")
    one.hear("a", "10", DELIVERED)
    take(store, 2, "b")
    take(store, 3, "11")
    one.hear("a", "11", LOST)
    assert told(store) == [("sms-delivered", 1, "ok"), ("sms-lost", 2, "REJECTD")]


def test_a_provider_that_keeps_to_its_ids_is_learnt(store: Store, clock: Clock) -> None:
    """The receipt of somebody else's message 4096 is not of ours, 1000 in hex."""
    one = Receipts(store, clock)
    for number, id_ in enumerate(("3e6", "3e7", "3e8"), 1):
        take(store, number, id_)
        one.hear("a", id_, DELIVERED)
    take(store, 4, "1000")
    one.hear("a", "4096", LOST)
    assert len(told(store)) == 3
    one.hear("a", "1000", LOST)
    assert told(store)[-1] == ("sms-lost", 4, "REJECTD")


def test_receipts_of_others_take_little_room(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In memory there are the last ones, in the store those of some minutes."""
    monkeypatch.setattr(receipts, "KEPT_MOST", 3)
    one = Receipts(store, clock)
    for number in range(5):
        one.hear("a", str(number), LOST)
    clock.advance(20)
    one.look_again()
    assert len(caplog.records) == 3
    clock.advance(receipts.KEPT.total_seconds())
    one.look_again()
    with store.read() as tx:
        assert tx.all_early(clock(), 10) == []
