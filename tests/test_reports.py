"""Which challenge a delivery report is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radius_smsotp import reports

if TYPE_CHECKING:
    import pytest


def test_a_message_is_found_by_provider_and_id_once() -> None:
    """Ids are the provider's own: two providers may give the same one."""
    awaited = reports.Reports()
    awaited.expect("a", "1", "of a")  # type: ignore[arg-type]  # any value does
    awaited.expect("b", "1", "of b")  # type: ignore[arg-type]
    assert awaited.take("a", "1") == "of a"
    assert awaited.take("a", "1") is None
    assert awaited.take("b", "1") == "of b"
    assert awaited.take("c", "1") is None


def test_the_oldest_is_forgotten_where_reports_never_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded."""
    monkeypatch.setattr(reports, "MOST", 3)
    awaited = reports.Reports()
    for number in range(5):
        awaited.expect("a", str(number), number)  # type: ignore[arg-type]
    assert [awaited.take("a", str(number)) for number in range(5)] == [None, None, 2, 3, 4]
