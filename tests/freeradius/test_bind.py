"""`challenge.bind`: from where a code is taken, with State and behind the PIN."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.freeradius import Site
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = "02-00-00-00-00-01"
THERE = "02-00-00-00-00-02"


@pytest.mark.parametrize(("bind", "accepted"), [("client", True), ("station", False)])
def test_another_station_is_let_in_or_not(
    make_site: Callable[..., Site], bind: str, accepted: bool
) -> None:
    site = make_site(challenge={"bind": bind}, limits={"cooldown": 0})
    radiusd = site.start()
    for one_password in (False, True):
        first = radiusd.ask(station=HERE)
        code = site.code(first.state)
        answer = (
            {"password": PIN + code} if one_password else {"password": code, "state": first.state}
        )
        got = radiusd.ask(station=THERE, **answer)
        assert (got.kind == "Access-Accept") == accepted
        if not accepted:
            again = "020000000001"
            assert radiusd.ask(station=again, **answer).kind == "Access-Accept"
    reasons = [event.detail.get("reason") for event in site.events("alice")]
    assert ("foreign-station" in reasons) != accepted
