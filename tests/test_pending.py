"""What one call leaves open another one finds, once."""

from __future__ import annotations

import time

import pytest

from radius_smsotp.pending import LEFT_SECONDS, Pending


@pytest.fixture
def pending() -> Pending[str]:
    return Pending()


def test_a_ticket_is_good_for_one_login_and_once(pending: Pending[str]) -> None:
    now = time.monotonic()
    one, two = (pending.leave("disk", now, lambda name=name: name) for name in ("one", "two"))
    assert one.startswith("disk ")
    assert one != two
    conclude = pending.take(two)
    assert conclude is not None
    assert conclude() == "two"
    assert pending.take(two) is None
    assert pending.take(one) is not None


def test_a_ticket_that_nobody_has_given_finds_nothing(pending: Pending[str]) -> None:
    pending.leave("disk", time.monotonic(), lambda: "")
    for ticket in ("", "disk", "disk 0", "disk 17"):
        assert pending.take(ticket) is None


def test_a_login_that_nobody_takes_is_not_kept_for_ever(
    pending: Pending[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its password is in it."""
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    left = pending.leave("delivery", now + 1, lambda: "left")
    now += 1 + LEFT_SECONDS - 0.1
    kept = pending.leave("delivery", now, lambda: "kept")
    now += 0.2
    pending.leave("disk", now, lambda: "new")
    assert pending.take(left) is None
    assert pending.take(kept) is not None
