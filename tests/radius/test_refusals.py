"""What stands in the log while the store does not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radius_smsotp.radius.process import Refusals
from tests.radius.stand_ins import Monotonic

if TYPE_CHECKING:
    import pytest


def test_the_first_one_is_told_at_once_and_then_a_line_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """However many logins there are; the last ones with the next tidying up."""
    clock = Monotonic()
    refusals = Refusals(clock)
    for _ in range(121):
        refusals.count("it is gone")
        clock.now += 1
    refusals.tell()
    refusals.tell()
    assert caplog.messages == [
        "it is gone: 1 login refused",
        "it is gone: 60 logins refused",
        "it is gone: 60 logins refused",
    ]
