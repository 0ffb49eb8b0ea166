"""Devices that keep a password, and people whose device has no patience."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from radius_smsotp.cli import smsotp
from tests.freeradius.supplicant import PEAP_GTC, TTLS_GTC, TTLS_PAP, Supplicant
from tests.freeradius.test_handshakes import in_the_clear
from tests.freeradius.test_wifi import CODE_PROMPT, code, wrong
from tests.freeradius.test_wifi_once import PEAP_MSCHAPV2
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.freeradius import Radiusd, Site

SETTINGS: dict[str, Any] = {"clients": {"local": {"ssids": {"Office": {"remember": 12}}}}}
ANOTHER = "02:00:00:00:00:02"


@pytest.fixture
def radiusd(share: Callable[..., Radiusd]) -> Radiusd:
    """It knows alice's PIN in the clear, so that all methods work, and remembers in the office."""
    return share(in_the_clear, **SETTINGS)


def attempt(radiusd: Radiusd, method: str, password: str, **more: str) -> bool:
    """One conversation of a device that has stored a password."""
    with Supplicant(radiusd, method, "alice", password, **more) as device:
        assert device.question() is None
        return device.accepted()


def pass_time(site: Site, seconds: float) -> None:
    """Let everything have happened earlier."""
    columns = {"challenge": ("created_at", "expires_at"), "station": ("seen_at",)}
    with contextlib.closing(sqlite3.connect(site.store_path, timeout=20)) as db, db:
        for table, names in columns.items():
            changes = ", ".join(f"{one} = {one} - {seconds}" for one in names)
            db.execute(f"UPDATE {table} SET {changes}")


def failures(site: Site) -> int:
    """Of alice and of her stations."""
    with contextlib.closing(sqlite3.connect(site.store_path, timeout=20)) as db:
        sums = "SELECT (SELECT total(failures) FROM {}) + (SELECT total(failures) FROM {})"
        [found] = db.execute(sums.format("station", "lockout")).fetchone()
        return int(found)


def opened(site: Site) -> int:
    """How often a code was sent."""
    return site.kinds("alice").count("challenge-opened")


def told(site: Site) -> str:
    """What `smsotp trace` says in the end."""
    command = ["--config", str(site.settings_path), "trace", "alice"]
    return CliRunner().invoke(smsotp, command).output


@pytest.mark.parametrize(
    "method",
    [PEAP_GTC, TTLS_GTC, TTLS_PAP, PEAP_MSCHAPV2],
    ids=["peap", "ttls", "pap", "mschapv2"],
)
def test_pin_and_the_code_of_before_are_the_pin_on_a_remembered_device_only(
    site: Site, radiusd: Radiusd, method: str
) -> None:
    """Elsewhere they are refused, not counted, and `smsotp trace` says what to change."""
    assert not attempt(radiusd, method, PIN)
    kept = PIN + code(site)
    for _ in range(3):
        assert attempt(radiusd, method, kept)
    assert site.kinds("alice").count("device-accepted") == 2
    for more in ({"ssid": "Guests"}, {"station": ANOTHER}, {"station": ANOTHER}):
        assert not attempt(radiusd, method, kept, **more)
    assert (failures(site), opened(site)) == (0, 1)
    assert "an old code was sent again" in told(site)
    assert "=> let the device keep the PIN alone" in told(site)
    # The PIN is right as well, or it counts; and another code than that one is none.
    assert not attempt(radiusd, method, "9999" + kept[len(PIN) :])
    assert not attempt(radiusd, method, PIN + wrong(kept[len(PIN) :]))
    assert failures(site) == 2
    assert attempt(radiusd, method, kept)


@pytest.mark.parametrize("method", [PEAP_GTC, TTLS_PAP], ids=["peap", "pap"])
def test_a_device_with_the_pin_alone_gets_two_messages_an_hour(
    site: Site, radiusd: Radiusd, method: str
) -> None:
    """Tried once a minute; its owner gets in elsewhere, and at once when it is over."""
    for _ in range(8):
        assert not attempt(radiusd, method, PIN)
        pass_time(site, 60)
    assert opened(site) == 2
    pass_time(site, 300)
    for _ in range(2):
        assert not attempt(radiusd, method, PIN)
    assert (opened(site), failures(site)) == (2, 0)
    assert "a device sends its stored password" in told(site)
    assert "=> take the password off the device" in told(site)
    with Supplicant(radiusd, PEAP_GTC, station=ANOTHER) as device:
        device.question()
        assert device.answer(PIN) == CODE_PROMPT
        assert device.answer(code(site)) is None
        assert device.accepted()
    pass_time(site, 3600)
    assert not attempt(radiusd, method, PIN)
    assert opened(site) == 4
    assert attempt(radiusd, method, PIN + code(site))


def test_who_types_the_code_after_the_device_has_given_up_gets_in_with_it(
    site: Site, radiusd: Radiusd
) -> None:
    """It ends a conversation 60 s after a question; the next one is about the same code."""
    with Supplicant(radiusd, PEAP_GTC) as device:
        device.question()
        assert device.answer(PIN) == CODE_PROMPT
        pass_time(site, 65)
    with Supplicant(radiusd, PEAP_GTC) as device:
        device.question()
        assert device.answer(PIN) == CODE_PROMPT
        assert device.answer(code(site)) is None
        assert device.accepted()
    assert opened(site) == 1


def test_the_first_code_is_right_where_a_second_one_is_asked_for(
    site: Site, radiusd: Radiusd
) -> None:
    """Whoever waits for a slow SMS asks for one more; at a VPN a wrong one is a guess at both."""
    first = site.code(radiusd.challenge().state)
    pass_time(site, 65)
    second = radiusd.challenge()
    assert opened(site) == 2
    assert radiusd.ask("alice", wrong(first), second.state).kind == "Access-Challenge"
    with site.store.read() as tx:
        found = tx.open_challenges(site.clock(), "alice")
    assert [one.guesses_left for one, _ in found] == [2, 2]
    assert radiusd.ask("alice", first, second.state).kind == "Access-Accept"
    for answer in (first, site.code(second.state)):
        assert radiusd.ask("alice", answer, second.state).kind == "Access-Reject"
        assert radiusd.ask("alice", PIN + answer).kind == "Access-Reject"
    assert site.kinds("alice").count("code-accepted") == 1
