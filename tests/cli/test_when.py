"""Spans and times as an administrator writes them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli import when

if TYPE_CHECKING:
    from collections.abc import Iterator

MONDAY = datetime(2026, 3, 23, 22, 30, tzinfo=UTC)
"""Half past eleven in the evening in Berlin; summer time begins on Sunday."""


@pytest.fixture
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("30m", 30), ("90 min", 90), ("12h", 720), ("1d", 1440), ("2W", 20160), ("1d 12h", 2160)],
)
def test_spans(text: str, minutes: int) -> None:
    assert when.span(text) == timedelta(minutes=minutes)


@pytest.mark.usefixtures("_berlin")
@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("now", "2026-03-23T22:30:00"),
        ("36h", "2026-03-25T10:30:00"),
        ("today", "2026-03-23T22:59:59"),
        ("tomorrow", "2026-03-24T22:59:59"),
        ("monday", "2026-03-23T22:59:59"),
        ("Fri", "2026-03-27T22:59:59"),
        ("sunday", "2026-03-29T21:59:59"),
        ("2026-03-29", "2026-03-29T21:59:59"),
        ("2026-03-29 18:00", "2026-03-29T16:00:00"),
        ("2026-03-29t18:00:30+00:00", "2026-03-29T18:00:30"),
        ("2026-03-29T18:00:30Z", "2026-03-29T18:00:30"),
        ("2026-03-29T20:00+0200", "2026-03-29T18:00:00"),
    ],
)
def test_ends(text: str, end: str) -> None:
    """Days end where this machine is, in summer time if it is that then."""
    assert when.until(text, MONDAY) == datetime.fromisoformat(f"{end}+00:00")


@pytest.mark.parametrize("text", ["", "fr", "someday", "2026-02-30", "18:00", "1y", "-1d", "1.5h"])
def test_what_is_none_is_refused_with_what_may_be_written(text: str) -> None:
    with pytest.raises(ValueError, match="is no time; write it as"):
        when.until(text, MONDAY)
