"""Remembered devices inside PEAP and TTLS: the supplicant is asked for the PIN, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.freeradius.supplicant import PEAP_GTC, TTLS_GTC, Supplicant
from tests.support.eap import TtlsClient, avp
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.freeradius import Radiusd

USER_NAME, USER_PASSWORD, CALLED, CALLING = 1, 2, 30, 31
"""RFC 2865 section 5."""

SETTINGS = {
    "clients": {"local": {"ssids": {"Office": {"remember": 8}}}},
    "limits": {"cooldown": 0},
}

CUT = """server smsotp {
	authorize {
		if (&Called-Station-Id =~ /^([^:]+):(.*)$/) {
			update request {
				&Called-Station-Id := "%{1}"
				&Called-Station-SSID := "%{2}"
			}
		}
"""
"""What the policy rewrite_called_station_id does."""


def cut_ssid(raddb: Path) -> None:
    """Let the outer site do so."""
    site = raddb / "sites-available" / "smsotp"
    text = site.read_text()
    assert "server smsotp {\n\tauthorize {\n" in text
    site.write_text(text.replace("server smsotp {\n\tauthorize {\n", CUT))


@pytest.mark.once
@pytest.mark.parametrize("edit", [None, cut_ssid], ids=["as it comes", "SSID cut off"])
@pytest.mark.parametrize("method", [PEAP_GTC, TTLS_GTC], ids=["PEAP", "TTLS"])
def test_the_second_login_needs_the_pin_alone(
    share: Callable[..., Radiusd], method: str, edit: Callable[[Path], None] | None
) -> None:
    radiusd = share(edit, **SETTINGS)
    site = radiusd.site
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


@pytest.mark.parametrize("named", [True, False], ids=["named", "nameless"])
def test_a_device_cannot_say_inside_its_tunnel_that_it_is_another(
    share: Callable[..., Radiusd], named: bool
) -> None:
    """Station and SSID are what the access point says, if it says anything."""
    radiusd = share(**SETTINGS)
    site = radiusd.site
    here = ((CALLING, b"02-00-00-00-00-EE"), (CALLED, b"02-00-00-00-00-FF:Guests"))
    claimed = (avp(CALLING, b"02-00-00-00-00-01"), avp(CALLED, b"02-00-00-00-00-FF:Office"))
    login = (avp(USER_NAME, b"alice"), avp(USER_PASSWORD, PIN.encode()))
    for attributes in ((*login, *claimed), (*claimed, *login), (*login, *claimed, *claimed)):
        attacker = TtlsClient(radiusd, here if named else ())
        assert attacker.ask(*attributes).kind == "Access-Reject"
    opened = [event for event in site.events("alice") if event.kind == "challenge-opened"]
    stations = {event.station for event in opened}
    assert stations == ({"02-00-00-00-00-EE"} if named else {""})
    code = site.code(opened[-1].transaction_id.encode())
    whole = avp(USER_PASSWORD, f"{PIN}{code}".encode())
    attacker = TtlsClient(radiusd, here if named else ())
    assert attacker.ask(login[0], whole, *claimed).kind == "Access-Accept"
    # It would be in the SSID "Office" only.
    assert "device-remembered" not in site.kinds("alice")
