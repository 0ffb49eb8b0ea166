"""Receipts that were faster than the record of their attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radius_smsotp.delivery import receipts
from radius_smsotp.delivery.receipts import EarlyReceipts, Receipt

if TYPE_CHECKING:
    import pytest

LOST = Receipt(False, "REJECTD")


def test_a_receipt_is_found_by_provider_and_id_once() -> None:
    """Ids are the provider's own: two providers may give the same one."""
    early = EarlyReceipts()
    early.keep("a", "1", Receipt(True, "of a"))
    early.keep("b", "1", Receipt(True, "of b"))
    assert ("a", "1") in early
    assert early.take("a", "1") == Receipt(True, "of a")
    assert ("a", "1") not in early
    assert early.take("a", "1") is None
    assert early.take("b", "1") == Receipt(True, "of b")


def test_receipts_of_others_take_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """An SMSC may send us those of somebody else with the same account."""
    monkeypatch.setattr(receipts, "MOST", 3)
    early = EarlyReceipts()
    for number in range(5):
        early.keep("a", str(number), LOST)
    assert [early.take("a", str(number)) for number in range(5)] == [None, None, *[LOST] * 3]


def test_a_receipt_is_kept_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """For as long as a send may take: an id may come again some day, for another message."""
    now = 100.0
    monkeypatch.setattr(receipts.time, "monotonic", lambda: now)
    early = EarlyReceipts()
    for provider_id in ("1", "2"):
        early.keep("a", provider_id, LOST)
    assert early.take("a", "1") == LOST
    now += receipts.KEPT_SECONDS
    assert early.take("a", "2") is None


def test_a_receipt_without_an_attempt_is_due_again_ever_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After one second, two, four, … for as long as it is kept."""
    now = 100.0
    monkeypatch.setattr(receipts.time, "monotonic", lambda: now)
    early = EarlyReceipts()
    early.keep("a", "1", LOST)
    due = []
    for _ in range(200):
        due += [now - 100] if early.due() == [("a", "1")] else []
        now += 1.0
    assert due == [1, 2, 4, 8, 16, 32, 64]
    assert ("a", "1") not in early
