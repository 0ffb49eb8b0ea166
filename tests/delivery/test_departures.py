"""What has left is not sent once more, whatever a fail-over has lost."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from radius_smsotp.delivery.departures import SPARE, Departures
from radius_smsotp.delivery.leases import MARGIN
from radius_smsotp.model.records import Attempt
from tests.store.samples import NOW, challenge, message
from tests.support.site import eventually

if TYPE_CHECKING:
    from radius_smsotp.login.answers import Challenged
    from tests.store.postgres_server import PostgresServer
    from tests.support.site import Gateways, Node, Site

LEASE = 10 + MARGIN
"""Seconds that a message is held for: the longest attempt, and a margin."""


def forget(node: Node, challenged: Challenged) -> None:
    """A fail-over: what was committed last has never been, that the message was taken among it."""
    before = node.courier.lease(node.clock(), ("first", "second"))
    with node.store.write() as tx:
        sql = (
            "UPDATE message SET state = 'queued', provider = NULL, route = 'first second', "
            "lease_owner = ?, lease_until = ? WHERE transaction_id = ?"
        )
        tx._db.execute(sql, (before[0], before[1].timestamp(), challenged.transaction_id))
        tx._db.execute("DELETE FROM attempt", ())


def test_what_a_failover_has_forgotten_is_recorded_again(
    site: Site, gateways: Gateways, postgres_server: PostgresServer
) -> None:
    """And not sent; a receipt finds its message, and has it go to the next provider."""
    gateways.call("first", "id-1")
    node = site.node(store=postgres_server.make_url())
    challenged = node.challenge()
    forget(node, challenged)
    assert node.courier.sweep() == 0
    node.clock.advance(LEASE)
    assert node.courier.sweep() == 0
    assert gateways.names() == ["first"]
    found = node.message(challenged)
    assert (found.state, found.provider, found.route) == ("accepted", "first", ("second",))
    assert node.kinds().count("sms-accepted") == 2  # in truth one of them is lost with the rest
    gateways.report("first", "id-1", False)
    eventually(lambda: gateways.names() == ["first", "second"])
    eventually(lambda: node.message(challenged).provider == "second")


def test_they_are_not_kept_for_ever() -> None:
    """As long as their codes live."""
    kept, attempt = Departures(), Attempt("first", "accepted")
    for number in range(3 * SPARE):
        kept.add(challenge(number), message(number), attempt, NOW + timedelta(days=1))
    assert len(kept._attempts) <= SPARE + 1
