"""What others do to an account from elsewhere does not keep its user out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.login.answers import Accepted
from radius_smsotp.model.records import Client
from tests.support.site import PIN, kind, request

if TYPE_CHECKING:
    from tests.support.site import Node, Site

HOME = Client("vpn", "192.0.2.1", "198.51.100.7")
AWAY = Client("vpn", "192.0.2.1", "203.0.113.9")
DAYS = 86400


@pytest.fixture
def node(site: Site) -> Node:
    """A server at which alice has logged in from home."""
    one = site.node()
    log_in(one, HOME)
    return one


def log_in(node: Node, client: Client) -> None:
    """A whole login."""
    challenged = node.challenge(client=client)
    assert node.second(challenged, node.code(challenged), client=client) == Accepted()


def first(node: Node, client: Client, password: str = PIN, **more: Any) -> str:
    """What a first step comes to."""
    return kind(node.first("alice", password, client=client, **more))


def lock(node: Node, client: Client) -> None:
    """Guess until the account is locked."""
    for _ in range(10):
        assert first(node, client, "wrong") == "rejected"


def test_who_locks_an_account_all_day_from_elsewhere_locks_nobody_out(
    site: Site, node: Node
) -> None:
    """Its user is let in at every moment, from where they have logged in before."""
    for _ in range(24 * 4):
        lock(node, AWAY)
        assert first(node, AWAY) == "rejected"
        site.clock.advance(61)
        log_in(node, HOME)
        assert first(node, AWAY) == "rejected"
        site.clock.advance(15 * 60 - 61)


def test_who_has_messages_sent_from_elsewhere_uses_up_none_of_home(site: Site, node: Node) -> None:
    """Neither those for the account nor those to its number."""
    sent = 0
    while first(node, AWAY) == "challenged":
        sent += 1
        site.clock.advance(61)
    assert sent == 5  # the sixth was that of the login before
    log_in(node, HOME)


def test_from_home_the_same_limits_hold(site: Site, node: Node) -> None:
    site.clock.advance(61)
    lock(node, HOME)
    assert first(node, HOME) == "rejected"
    assert node.events()[-1].detail == {"reason": "locked"}
    log_in(node, AWAY)
    site.clock.advance(3600 * 2)
    sent = 0
    while first(node, HOME) == "challenged":
        sent += 1
        site.clock.advance(61)
    assert sent == 6


def test_a_login_elsewhere_forgets_no_failure_at_home(site: Site, node: Node) -> None:
    """Else a guess from one place would be as good as none after a login from another."""
    for _ in range(9):
        first(node, HOME, "wrong")
    log_in(node, AWAY)
    site.clock.advance(61)
    assert first(node, HOME, "wrong") == "rejected"
    assert node.kinds()[-1] == "account-locked"


def test_a_station_is_known_for_a_time(site: Site, node: Node) -> None:
    site.clock.advance(89 * DAYS)
    lock(node, AWAY)
    log_in(node, HOME)
    site.clock.advance(91 * DAYS)
    lock(node, AWAY)
    assert first(node, HOME) == "rejected"


@pytest.mark.parametrize(
    "other",
    [
        Client("wifi", "192.0.2.2", HOME.station),
        Client("vpn", "192.0.2.1", ""),
        Client("vpn", "192.0.2.1", "198.51.100.8"),
    ],
    ids=["client", "nameless", "station"],
)
def test_it_is_that_station_at_that_client(node: Node, other: Client) -> None:
    lock(node, AWAY)
    assert first(node, other) == "rejected"


def test_a_client_that_names_no_station_has_the_common_counters(site: Site) -> None:
    node = site.node()
    nameless = Client("vpn", "192.0.2.1", "")
    log_in(node, nameless)
    lock(node, AWAY)
    assert first(node, nameless) == "rejected"


@pytest.mark.parametrize(("bind", "spoilt"), [("account", 3), ("station", 0)])
def test_who_guesses_elsewhere_spoils_few_logins_or_none(
    site: Site, bind: str, spoilt: int
) -> None:
    """As documented: a guess at PIN and code is one at every challenge that it could answer."""
    node = site.node(challenge={"bind": bind}, limits={"cooldown": 0, "per_account_hour": 100})
    log_in(node, HOME)
    found = 0
    for _ in range(5):
        challenged = node.challenge(client=HOME)
        for _ in range(3):
            assert first(node, AWAY, "wrong000000") == "rejected"
        found += node.second(challenged, node.code(challenged), client=HOME) != Accepted()
        site.clock.advance(61)
    assert found == spoilt


def test_unlocking_an_account_unlocks_its_stations_and_keeps_them_known(
    site: Site, node: Node
) -> None:
    site.clock.advance(61)
    lock(node, HOME)
    with node.store.write() as tx:
        assert tx.unlock_stations("alice")
        assert not tx.unlock_stations("alice")
    lock(node, AWAY)
    log_in(node, HOME)


def test_a_deleted_account_leaves_no_station_behind(node: Node) -> None:
    log_in(node, HOME)
    asker = request(client=HOME).asker()
    with node.store.write() as tx:
        assert tx.known(asker, node.clock()).station is not None
        assert tx.delete_account("alice")
        assert tx.known(asker, node.clock()).station is None
