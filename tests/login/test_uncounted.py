"""What was not sent is not counted: limits are about what left, or may have left."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.errors import Busy, Refused, Unavailable, Unknown
from radius_smsotp.login.answers import Challenged, Rejected
from radius_smsotp.model.records import Counter, Tally
from tests.support.site import Node, add, eventually, kind

if TYPE_CHECKING:
    from tests.store.postgres_server import PostgresServer
    from tests.support.site import Gateways, Site

ONE = {"first": {"type": "scripted"}}

NEVER = Busy("503", retry_after=10_000)
"""What comes to an end at once."""


@pytest.fixture
def node(site: Site) -> Node:
    """A server with one provider, and the default limits: six messages an hour."""
    return site.node(providers=ONE)


def tally(node: Node, name: str = "alice") -> Tally:
    """What is counted of an account, at the client that it asks through."""
    with node.store.write() as tx:
        account = tx.account(name)
        assert account is not None
        tag = node.service._issuer.number_tag(account.phone or "")
        return tx.tally(Counter(name, "vpn"), tag, node.clock())


@pytest.mark.parametrize("error", [NEVER, Refused("no"), Busy("503"), Unavailable("away")])
def test_six_logins_at_a_gateway_that_takes_nothing_leave_room_for_a_seventh(
    node: Node, gateways: Gateways, error: Exception
) -> None:
    """No SMS was sent, so the limit is not reached."""
    gateways.will("first", error)
    for _ in range(6):
        node.challenge()
        node.clock.advance(61)
    gateways.will("first", None)
    assert node.message(node.challenge()).state == "accepted"
    assert tally(node) == Tally(1, 1, 1, 1)


@pytest.mark.parametrize("error", [Unknown("silence"), None])
def test_what_may_have_left_is_counted(
    node: Node, gateways: Gateways, error: Exception | None
) -> None:
    """Whoever is silent may have sent it."""
    gateways.will("first", error)
    for _ in range(6):
        node.challenge()
        node.clock.advance(61)
    assert kind(node.first()) == "rejected"
    assert tally(node) == Tally(6, 6, 6, 6)


def test_one_that_waits_is_counted_until_another_takes_its_place(
    site: Site, gateways: Gateways
) -> None:
    """Or all that wait would leave when the gateway is up; and the limit is met to the last one."""
    node = site.node(providers=ONE, limits={"per_account_hour": 1, "cooldown": 0})
    gateways.will("first", Busy("503", retry_after=30))
    challenges = [node.challenge() for _ in range(4)]
    assert tally(node) == Tally(1, 1, 1, 1)
    gateways.will("first", None)
    node.clock.advance(30)
    assert node.courier.sweep() == 1
    node.settle(challenges[-1].transaction_id)
    assert [node.message(one).state for one in challenges] == [*["replaced"] * 3, "accepted"]
    assert kind(node.first()) == "rejected"
    assert tally(node) == Tally(1, 1, 1, 1)


def test_the_cooldown_does_not_keep_back_who_got_nothing(node: Node, gateways: Gateways) -> None:
    """The challenge is closed, and the next first step opens another one at once."""
    gateways.will("first", Refused("no"), None)
    refused = node.challenge()
    again = node.challenge()
    assert again.transaction_id != refused.transaction_id
    assert node.message(again).state == "accepted"


def test_a_resend_that_was_not_sent_is_not_counted(node: Node, gateways: Gateways) -> None:
    """Nor is the message before it, where that has not left either; then the login is over."""
    gateways.will("first", Busy("503", retry_after=60), Refused("no"))
    challenged = node.challenge()
    assert isinstance(node.second(challenged, "r"), Challenged)
    node.settle(challenged.transaction_id)
    assert tally(node) == Tally()
    assert node.stored(challenged.transaction_id).state == "undelivered"


def test_a_message_that_is_replaced_while_it_is_with_a_provider(
    node: Node, gateways: Gateways
) -> None:
    """Is counted until that one has said that it did not take it."""
    gate = gateways.hang("first", Busy("full"))
    challenged = node.begun()
    eventually(gateways.names)
    gateways.will("first", None)
    node.second(challenged, "r")
    eventually(lambda: node.message(challenged).state == "accepted")
    assert tally(node) == Tally(2, 2, 2, 2)
    gate.set()
    eventually(lambda: tally(node) == Tally(1, 1, 1, 1))


def test_what_no_courier_took_up_is_not_counted(site: Site, gateways: Gateways) -> None:
    """The process `smsotp courier` was down: whoever comes up next tidies up."""
    node = site.node(providers=ONE, delivery={"courier": "external"})
    node.begun()
    assert tally(node) == Tally(1, 1, 1, 1)
    node.clock.advance(300)
    courier = site.node().courier
    assert courier.sweep() == 0
    assert tally(node) == Tally()
    assert gateways.sent == []


def test_two_servers_give_back_once(
    site: Site, gateways: Gateways, postgres_server: PostgresServer
) -> None:
    """And never more than was counted."""
    node = site.node(providers=ONE, store=postgres_server.make_url())
    gateways.will("first", None)
    node.challenge("bob")
    gateways.will("first", Busy("503", retry_after=200))
    node.challenge()
    servers, barrier = [node, site.node()], threading.Barrier(2)
    node.clock.advance(301)

    def look(server: Node) -> None:
        server.courier._late_at = 0
        barrier.wait(20)
        server.courier.sweep()

    threads = [threading.Thread(target=look, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert tally(node) == Tally(0, 0, 1, 1)


def test_a_limit_of_the_client_counts_what_left_too(site: Site, gateways: Gateways) -> None:
    """As do all others."""
    limits = {"per_client_hour": 2, "per_day": 3}
    node = site.node(providers=ONE, limits=limits)
    gateways.will("first", Refused("no"))
    for _ in range(4):
        assert isinstance(node.challenge(), Challenged)
    gateways.will("first", None)
    for name in ("carol", "dave"):
        add(site, name, "+491708888888")
        node.challenge(name)
    add(site, "erin", "+491707777777")
    assert isinstance(node.first("erin"), Rejected)
