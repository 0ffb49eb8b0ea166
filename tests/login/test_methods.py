"""Methods in turn: what failed by one is not counted again by another, within bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.login.methods import FEW, KEPT, TOGETHER, Methods
from tests.support.site import request

if TYPE_CHECKING:
    from radius_smsotp.login.request import Request

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
IN_TURN = ("MS-CHAPv2", "CHAP", "MS-CHAP", "")


def by(method: str, user: str = "alice", **more: Any) -> Request:
    return request(user, None if method else "x", method=method, **more)


def test_each_method_may_fail_once() -> None:
    """With the same one, whatever was typed is new."""
    methods = Methods()
    assert [methods.is_counted(by(one), 1, NOW) for one in IN_TURN] == [False, True, True, True]
    assert [methods.is_counted(by(one), 1, NOW) for one in IN_TURN] == [False, True, True, True]
    assert not methods.is_counted(by(""), 1, NOW)


@pytest.mark.parametrize(
    ("more", "failures", "later"),
    [
        ({"user": "bob"}, 1, timedelta()),
        ({"tunnelled": True}, 1, timedelta()),
        ({}, FEW + 1, timedelta()),
        ({}, 1, TOGETHER),
        ({}, 1, -timedelta(seconds=1)),
    ],
    ids=["another name", "a device", "many failures", "later", "a clock that went back"],
)
def test_beyond_its_bounds_each_counts(
    more: dict[str, Any], failures: int, later: timedelta
) -> None:
    """Who can choose the method shall have no more guesses by that for long."""
    methods = Methods()
    methods.is_counted(by("CHAP"), 0, NOW)
    assert not methods.is_counted(by("", **more), failures, NOW + later)


def test_the_first_of_several_begins_the_time() -> None:
    """Who spreads them out does not lengthen it."""
    methods = Methods()
    moments = (0, 6, 12)
    found = [
        methods.is_counted(by(one), 1, NOW + timedelta(seconds=second))
        for one, second in zip(IN_TURN[:3], moments, strict=True)
    ]
    assert found == [False, True, False]


def test_only_the_last_places_are_kept() -> None:
    """Made-up names take no memory."""
    methods = Methods()
    for number in range(KEPT + 1):
        methods.is_counted(by("CHAP", f"user{number}"), 0, NOW)
    assert not methods.is_counted(by("", "user0"), 1, NOW)
    assert methods.is_counted(by("", f"user{KEPT}"), 1, NOW)
