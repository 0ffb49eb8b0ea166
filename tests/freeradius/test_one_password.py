"""PIN and code in one password, for clients that know no challenge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.freeradius import Radiusd, Site
from tests.support.site import PIN

if TYPE_CHECKING:
    pass

SENT = "A code was sent to ***67. Log in again with your PIN followed by the code."


def test_pin_and_code_in_one_password_are_let_in_once(site: Site, radiusd: Radiusd) -> None:
    code = site.code(radiusd.challenge().state)
    assert radiusd.ask("alice", PIN + code).kind == "Access-Accept"
    assert radiusd.ask("alice", PIN + code).kind == "Access-Reject"


def test_the_code_that_came_with_the_pin_is_spent_for_the_state_too(
    site: Site, radiusd: Radiusd
) -> None:
    challenge = radiusd.challenge()
    code = site.code(challenge.state)
    assert radiusd.ask("alice", PIN + code).kind == "Access-Accept"
    assert radiusd.ask("alice", code, challenge.state).kind == "Access-Reject"


def test_the_right_code_behind_a_wrong_pin_is_not_let_in(site: Site, radiusd: Radiusd) -> None:
    challenge = radiusd.challenge()
    code = site.code(challenge.state)
    reply = radiusd.ask("alice", "4321" + code)
    assert (reply.kind, reply.message) == ("Access-Reject", "Login failed.")
    assert radiusd.ask("alice", code).kind == "Access-Reject"
    assert radiusd.ask("alice", code, challenge.state).kind == "Access-Accept"


def test_wrong_codes_behind_the_pin_use_up_the_guesses(site: Site, radiusd: Radiusd) -> None:
    challenge = radiusd.challenge()
    code = site.code(challenge.state)
    for _ in range(3):
        assert radiusd.ask("alice", PIN + "000000").kind == "Access-Reject"
    assert radiusd.ask("alice", PIN + code).kind == "Access-Reject"
    assert radiusd.ask("alice", code, challenge.state).kind == "Access-Reject"


@pytest.mark.parametrize("pin", ["correct1234567", "864209", "1234567890"])
def test_a_pin_that_ends_in_digits_works(site: Site, radiusd: Radiusd, pin: str) -> None:
    site.add("dora", text=pin)
    challenge = radiusd.challenge("dora", pin)
    # Once more while the challenge is open: it may look like PIN and wrong code, and is none.
    assert radiusd.challenge("dora", pin) == challenge
    assert radiusd.ask("dora", pin + site.code(challenge.state)).kind == "Access-Accept"
