"""PIN and code in one password, for clients that know no challenge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.freeradius import Radiusd, Site
from tests.support.site import PIN

if TYPE_CHECKING:
    from collections.abc import Callable

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


def test_style_reject_sends_the_code_and_rejects(make_site: Callable[..., Site]) -> None:
    site = make_site(challenge={"style": "reject"})
    radiusd = site.start()
    reply = radiusd.ask("alice", PIN)
    assert (reply.kind, reply.message, reply.state) == ("Access-Reject", SENT, None)
    [message] = site.messages()
    code = site.code(message["transaction_id"].encode())
    assert radiusd.ask("alice", PIN + code).kind == "Access-Accept"
    assert "pin-wrong" not in site.kinds("alice")


def test_style_reject_for_one_client_by_its_short_name(make_site: Callable[..., Site]) -> None:
    site = make_site(clients={"local": {"style": "reject"}, "10.0.0.0/8": {"wait": 3}})
    reply = site.start().ask("alice", PIN)
    assert (reply.kind, reply.message) == ("Access-Reject", SENT)


def test_style_reject_for_one_client_by_its_address(make_site: Callable[..., Site]) -> None:
    site = make_site(clients={"127.0.0.0/8": {"style": "reject"}, "127.0.0.1": {"wait": 0}})
    assert site.start().ask("alice", PIN).kind == "Access-Challenge"
    site = make_site(clients={"127.0.0.0/8": {"style": "reject"}})
    assert site.start().ask("alice", PIN).kind == "Access-Reject"
