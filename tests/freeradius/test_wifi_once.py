"""Devices that ask their user once, and what else prompts for a password only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.freeradius import recipe
from tests.freeradius.supplicant import PEAP_GTC, TTLS_GTC, TTLS_PAP, Supplicant
from tests.freeradius.test_wifi import code, wrong
from tests.support.freeradius import Radiusd, Site
from tests.support.site import PHONE, PIN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PEAP_MSCHAPV2 = 'eap=PEAP phase2="auth=MSCHAPV2"'
TTLS_MSCHAPV2 = 'eap=TTLS phase2="autheap=MSCHAPV2"'
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
@pytest.mark.once
def test_where_the_style_is_reject_the_first_attempt_only_sends_the_code(
    share: Callable[..., Radiusd], method: str
) -> None:
    radiusd = share(clients={"local": {"style": "reject"}})
    site = radiusd.site
    assert not attempt(radiusd, method, PIN)
    assert site.kinds("alice")[0] == "challenge-opened"
    assert "password-repeated" not in site.kinds("alice")
    assert attempt(radiusd, method, PIN + code(site))


NAMES = ("bob", "jörg", "łucja")


def from_files(raddb: Path) -> None:
    """Let FreeRADIUS know passwords in the clear."""
    users = (f'"{one}" Cleartext-Password := "{PIN}", SMSOTP-Phone := "{PHONE}"' for one in NAMES)
    (raddb / "users").write_text("\n".join(users) + "\n", encoding="utf-8")
    (raddb / "mods-enabled" / "files").write_text("files {\n\tfilename = ${confdir}/users\n}\n")
    path = raddb / "policy.d" / "smsotp_first_factor"
    recipe.replace_policies(path, "smsotp_account {\n\tfiles\n}\n")


@pytest.mark.parametrize("method", [PEAP_MSCHAPV2, TTLS_MSCHAPV2], ids=["peap", "ttls"])
def test_mschapv2_takes_names_of_any_letters(share: Callable[..., Radiusd], method: str) -> None:
    """FreeRADIUS has only their octets left by then, which must be those that it began with."""
    radiusd = share(from_files)
    for name in NAMES:
        assert not attempt(radiusd, method, PIN, name)
        assert attempt(radiusd, method, PIN + code(radiusd.site, name), name)
