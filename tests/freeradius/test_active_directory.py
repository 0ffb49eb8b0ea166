"""Accounts of Active Directory by the recipe of freeradius/README.rst, with Samba as the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.freeradius import recipe
from tests.freeradius.domain import PASSWORD, Domain
from tests.freeradius.test_elsewhere import command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.freeradius import Radiusd

SETTINGS = {"country": "DE", "lockout": {"failures": 3, "minutes": 15}}


@pytest.fixture(scope="module")
def asks_domain(domain: Domain) -> Callable[[Path], None]:
    """Makes a FreeRADIUS ask it by the recipe; one function, so that `share` knows it again."""
    return lambda raddb: recipe.install(
        raddb,
        "Active Directory",
        {
            "ldaps://dc1.ad.example.org": domain.url,
            "/etc/radius-smsotp/domain.pem": str(domain.certificate),
        },
    )


@pytest.fixture
def radiusd(share: Callable[..., Radiusd], asks_domain: Callable[[Path], None]) -> Radiusd:
    """A FreeRADIUS that asks the domain."""
    return share(asks_domain, **SETTINGS)


def test_password_and_number_are_the_domains(radiusd: Radiusd) -> None:
    site = radiusd.site
    for name, hint in (("alice", "***01"), ("Jürgen", "***04"), ("other-mobile", "***05")):
        challenge = radiusd.challenge(name, PASSWORD)
        assert challenge.message == f"Enter the 6-digit code sent to {hint}: "
        assert radiusd.ask(name, "wrong").kind == "Access-Reject"
        code = site.code(challenge.state)
        assert radiusd.ask(name, code, challenge.state).kind == "Access-Accept"
    assert site.kinds("alice") == ["challenge-opened", "sms-accepted", "pin-wrong", "code-accepted"]


@pytest.mark.parametrize(
    ("name", "told", "remedy"),
    [
        (
            "numberless",
            "refused: the directory (LDAP, SQL or a users file) has no number for the account",
            "=> add it there (mobile, otherMobile), or for a time here: ",
        ),
        (
            "extension",
            "refused: no value of SMSOTP-Phone is a phone number (SMSOTP-Phone holds letters, ",
            "=> mend the number where it comes from (mobile, otherMobile)",
        ),
    ],
)
def test_no_number_is_told_with_where_it_was_looked_for(
    radiusd: Radiusd, name: str, told: str, remedy: str
) -> None:
    reply = radiusd.ask(name, PASSWORD)
    assert (reply.kind, reply.message) == ("Access-Reject", "Login failed.")
    shown = command(radiusd.site, "trace", name)
    assert told in shown
    assert remedy in shown
    assert radiusd.site.messages() == []


@pytest.mark.parametrize(
    "name", ["disabled", "expired", "must-change", "outside-hours", "elsewhere"]
)
def test_whom_the_domain_refuses_gets_no_message(radiusd: Radiusd, name: str) -> None:
    reply = radiusd.ask(name, PASSWORD)
    assert (reply.kind, reply.message) == ("Access-Reject", "Login failed.")
    assert radiusd.site.messages() == []
