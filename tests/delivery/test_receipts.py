"""Which challenge a delivery report is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radius_smsotp.delivery import receipts

if TYPE_CHECKING:
    import pytest


def test_a_message_is_found_by_provider_and_id_once() -> None:
    """Ids are the provider's own: two providers may give the same one."""
    awaited = receipts.Reports()
    awaited.expect("a", "1", "of a")  # type: ignore[arg-type]  # any value does
    awaited.expect("b", "1", "of b")  # type: ignore[arg-type]
    assert awaited.take("a", "1", True, "") == "of a"
    assert awaited.take("a", "1", True, "") is None
    assert awaited.take("b", "1", True, "") == "of b"
    assert awaited.take("c", "1", True, "") is None


def test_the_oldest_is_forgotten_where_reports_never_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded."""
    monkeypatch.setattr(receipts, "MOST", 3)
    awaited = receipts.Reports()
    for number in range(5):
        awaited.expect("a", str(number), number)  # type: ignore[arg-type]
    assert [awaited.take("a", str(number), True, "") for number in range(5)] == [
        None,
        None,
        2,
        3,
        4,
    ]


def test_a_report_that_nobody_expects_yet_is_kept_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For as long as a send may take: an id may come again some day, for another message."""
    now = 100.0
    monkeypatch.setattr(receipts.time, "monotonic", lambda: now)
    awaited = receipts.Reports()
    for message_id in ("1", "2"):
        assert awaited.take("a", message_id, False, "REJECTD") is None
    assert awaited.expect("a", "1", "of 1") == [(False, "REJECTD")]  # type: ignore[arg-type]
    assert awaited.take("a", "1", False, "REJECTD") == "of 1"
    now += receipts.EARLY
    assert awaited.expect("a", "2", "of 2") == []  # type: ignore[arg-type]
    assert awaited.take("a", "2", True, "") == "of 2"


def test_reports_of_others_take_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """An SMSC may send us those of another process with the same account."""
    monkeypatch.setattr(receipts, "MOST", 3)
    awaited = receipts.Reports()
    for number in range(5):
        awaited.take("a", str(number), True, "")
    kept = [awaited.expect("a", str(number), number) for number in range(5)]  # type: ignore[arg-type]
    assert [len(early) for early in kept] == [0, 0, 1, 1, 1]
