"""Remembered devices on a real FreeRADIUS: a whole login, then the PIN alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.freeradius import Radiusd, Site
from tests.support.radius import ACCESS_POINT
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OFFICE = f"{ACCESS_POINT}:Office"
STATION = "02-00-00-00-00-01"


SETTINGS: dict[str, Any] = {
    "clients": {"local": {"ssids": {"Office": {"remember": 8}}}},
    "limits": {"cooldown": 0, "per_account_hour": 0, "per_number_hour": 0},
    "lockout": {"failures": 3},
}
"""Devices are remembered in the SSID "Office"; every login that needs a code gets a new one."""


@pytest.fixture
def radiusd(share: Callable[..., Radiusd]) -> Radiusd:
    return share(**SETTINGS)


def login(site: Site, radiusd: Radiusd, **more: str) -> None:
    """A whole login from the office."""
    more = {"station": STATION, "called": OFFICE} | more
    first = radiusd.ask(**more)
    assert first.kind == "Access-Challenge"
    code = site.code(first.state)
    assert radiusd.ask(password=code, state=first.state, **more).kind == "Access-Accept"


def test_the_device_needs_only_its_pin_whatever_the_access_point_calls_it(
    site: Site, radiusd: Radiusd
) -> None:
    login(site, radiusd)
    for station in (STATION, "02:00:00:00:00:01", "0200.0000.0001", "020000000001"):
        assert radiusd.ask(station=station, called=OFFICE).kind == "Access-Accept", station
    # Another access point of the same network, of another make.
    assert radiusd.ask(station=STATION, called="0200000000EE:Office").kind == "Access-Accept"
    assert len(site.messages()) == 1
    assert site.kinds("alice").count("device-accepted") == 5


def test_any_other_place_needs_a_code(site: Site, radiusd: Radiusd) -> None:
    login(site, radiusd)
    for station, called in (
        ("02-00-00-00-00-02", OFFICE),
        ("", OFFICE),
        (STATION, f"{ACCESS_POINT}:Guests"),
        (STATION, ""),
    ):
        assert radiusd.ask(station=station, called=called).kind == "Access-Challenge"
    assert radiusd.ask(password="wrong", station=STATION, called=OFFICE).kind == "Access-Reject"


def test_a_login_in_one_password_counts_and_a_lock_out_ends_it(
    site: Site, radiusd: Radiusd
) -> None:
    radiusd.ask(station=STATION, called=OFFICE)
    [message] = site.messages()
    code = site.code(message["transaction_id"].encode())
    assert radiusd.ask(password=PIN + code, station=STATION, called=OFFICE).kind == "Access-Accept"
    assert radiusd.ask(station=STATION, called=OFFICE).kind == "Access-Accept"
    for _ in range(3):
        radiusd.ask(password="wrong", station=STATION, called=OFFICE)
    assert site.kinds("alice")[-2:] == ["account-locked", "device-forgotten"]
    with site.store.write() as tx:
        tx.unlock_stations("alice")
    assert radiusd.ask(station=STATION, called=OFFICE).kind == "Access-Challenge"


def test_an_account_from_elsewhere_has_devices_too(share: Callable[..., Radiusd]) -> None:
    # What a directory would do, in unlang: it knows the number, and lets any password pass.
    def edit(raddb: Path) -> None:
        policy = raddb / "policy.d" / "smsotp_first_factor"
        number = 'update control {\n\t\t&SMSOTP-Phone := "+491701234567"\n\t}\n'
        text = policy.read_text().replace("{\n\tpap\n}", "{\n\tupdated\n}")
        policy.write_text(text.replace("smsotp_account {\n", "smsotp_account {\n\t" + number))

    radiusd = share(edit, **SETTINGS)
    site = radiusd.site
    login(site, radiusd, user="carol")
    answer = radiusd.ask(user="carol", station=STATION, called=OFFICE)
    assert answer.kind == "Access-Accept"
    assert site.kinds("carol")[-1] == "device-accepted"
