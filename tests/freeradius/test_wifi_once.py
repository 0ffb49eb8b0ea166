"""Devices that ask their user once, and what else prompts for a password only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.freeradius.supplicant import PEAP_GTC, TTLS_GTC, TTLS_PAP, Supplicant
from tests.freeradius.test_wifi import code, wrong
from tests.support.freeradius import Radiusd, Site
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable

ONCE = pytest.mark.parametrize(
    "method", [PEAP_GTC, TTLS_GTC, TTLS_PAP], ids=["peap", "ttls", "pap"]
)


def attempt(radiusd: Radiusd, method: str, password: str, user: str = "alice") -> bool:
    """One conversation of a device that has stored a password."""
    with Supplicant(radiusd, method, user, password) as device:
        assert device.question() is None
        return device.accepted()


@ONCE
def test_a_stored_password_sends_the_code_and_pin_and_code_in_one_get_in(
    site: Site, radiusd: Radiusd, method: str
) -> None:
    assert not attempt(radiusd, method, PIN)
    right = code(site)
    # The device has sent the PIN to the question for the code as well: that was no guess.
    opened = site.events("alice")[0]
    with site.store.read() as tx:
        [(challenge, _)] = tx.open_challenges(opened.time, "alice")
        assert (challenge.guesses_left, tx.lockout("alice").failures) == (3, 0)
    assert not attempt(radiusd, method, PIN + wrong(right))
    assert attempt(radiusd, method, PIN + right)
    assert not attempt(radiusd, method, PIN + right)
    assert site.kinds("alice").count("code-accepted") == 1


def test_a_pin_as_long_as_a_code_is_no_guess_either(site: Site, radiusd: Radiusd) -> None:
    site.add("bob", text="864209")
    assert not attempt(radiusd, PEAP_GTC, "864209", "bob")
    assert "password-repeated" in site.kinds("bob")
    assert attempt(radiusd, PEAP_GTC, "864209" + code(site, "bob"), "bob")


@ONCE
def test_where_the_style_is_reject_the_first_attempt_only_sends_the_code(
    make_site: Callable[..., Site], method: str
) -> None:
    site = make_site(clients={"local": {"style": "reject"}})
    radiusd = site.start()
    assert not attempt(radiusd, method, PIN)
    assert site.kinds("alice")[0] == "challenge-opened"
    assert "password-repeated" not in site.kinds("alice")
    assert attempt(radiusd, method, PIN + code(site))
