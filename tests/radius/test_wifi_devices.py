"""Remembered devices inside PEAP and TTLS: the supplicant is asked for the PIN, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.radius.site import PIN, Site
from tests.radius.supplicant import PEAP_GTC, TTLS_GTC, Supplicant

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("method", [PEAP_GTC, TTLS_GTC], ids=["PEAP", "TTLS"])
def test_the_second_login_needs_the_pin_alone(make_site: Callable[..., Site], method: str) -> None:
    site = make_site(
        clients={"local": {"ssids": {"Office": {"remember": 8}}}}, limits={"cooldown": 0}
    )
    radiusd = site.start()
    with Supplicant(radiusd, method) as device:
        device.question()
        device.answer(PIN)
        [message] = site.messages()
        assert device.answer(site.code(message["transaction_id"].encode())) is None
        assert device.accepted()
    with Supplicant(radiusd, method) as device:
        device.question()
        assert device.answer(PIN) is None
        assert device.accepted()
    assert len(site.messages()) == 1
    for other in ({"ssid": "Guests"}, {"station": "02:00:00:00:00:02"}):
        with Supplicant(radiusd, method, **other) as device:
            device.question()
            assert device.answer(PIN) is not None
