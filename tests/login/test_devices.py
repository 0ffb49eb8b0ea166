"""Remembered devices: who needs no code, for how long, and what ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.login.answers import Accepted
from radius_smsotp.model.records import Client
from tests.support.site import PHONE, PIN, kind

if TYPE_CHECKING:
    from tests.support.site import Node, Site

OFFICE = Client("wifi", "192.0.2.1", "02-00-00-00-00-01", "Office")


@pytest.fixture
def node(site: Site) -> Node:
    """A server that remembers devices in the SSID "Office", and sends whenever it is asked to."""
    office = {"ssids": {"Office": {"remember": 10}}}
    limits = {"cooldown": 0, "per_account_hour": 0, "per_number_hour": 0}
    return site.node(clients={"wifi": office}, limits=limits, lockout={"failures": 3})


def login(node: Node, user: str = "alice", password: str = PIN, **more: Any) -> None:
    """A whole login from the office."""
    more = {"client": OFFICE} | more
    challenged = node.challenge(user, password, **more)
    assert node.second(challenged, node.code(challenged), user, **more) == Accepted()


class TestWhere:
    def test_the_same_station_in_the_same_ssid_needs_no_code(self, node: Node) -> None:
        """And both the first and the second login are told of."""
        login(node)
        assert node.first(client=OFFICE) == Accepted()
        remembered, accepted = node.events()[-2:]
        assert (remembered.kind, remembered.station) == ("device-remembered", OFFICE.station)
        assert remembered.detail == {"hours": 10, "ssid": "Office"}
        assert (accepted.kind, accepted.client) == ("device-accepted", "wifi")

    @pytest.mark.parametrize(
        "other",
        [
            Client("wifi", "", OFFICE.station, "Guests"),
            Client("wifi", "", OFFICE.station),
            Client("wifi", "", "02-00-00-00-00-02", "Office"),
            Client("other", "", OFFICE.station, "Office"),
        ],
    )
    def test_no_other_place_counts(self, site: Site, node: Node, other: Client) -> None:
        """Even if devices are remembered there as well."""
        login(node)
        everywhere = site.node(remember={"hours": 10})
        assert everywhere.first(client=OFFICE) == Accepted()
        assert kind(everywhere.first(client=other)) == "challenged"

    def test_only_where_the_settings_say_so(self, node: Node) -> None:
        """By default none is remembered, and nothing is written of it."""
        elsewhere = Client("wifi", "", OFFICE.station, "Guests")
        login(node, client=elsewhere)
        assert kind(node.first(client=elsewhere)) == "challenged"
        assert "device-remembered" not in node.kinds()

    def test_what_the_settings_say_now_counts(self, site: Site, node: Node) -> None:
        """Turned off, no device is let in that was remembered before."""
        login(node)
        assert kind(site.node(limits={"cooldown": 0}).first(client=OFFICE)) == "challenged"

    def test_it_ends_after_its_hours_whatever_happens(self, site: Site, node: Node) -> None:
        """Logins without a code make it no longer."""
        login(node)
        for _ in range(2):
            site.clock.advance(5 * 3600 - 1)
            assert node.first(client=OFFICE) == Accepted()
        site.clock.advance(2)
        assert kind(node.first(client=OFFICE)) == "challenged"


class TestHow:
    def test_pin_and_code_in_one_password_is_a_whole_login(self, node: Node) -> None:
        """For clients that ask once."""
        challenged = node.challenge(client=OFFICE)
        assert node.first(password=PIN + node.code(challenged), client=OFFICE) == Accepted()
        assert node.kinds()[-1] == "device-remembered"
        assert node.first(client=OFFICE) == Accepted()

    def test_accounts_from_elsewhere_have_devices_too(self, node: Node) -> None:
        """Number from LDAP, say, and no account of ours."""
        login(node, "carol", phones=(PHONE,))
        assert node.first("carol", client=OFFICE, phones=(PHONE,)) == Accepted()

    def test_another_number_from_elsewhere_needs_a_code(self, node: Node) -> None:
        """Nobody tells us of the change: the device is remembered for the number."""
        login(node, "carol", phones=(PHONE,))
        changed = node.first("carol", client=OFFICE, phones=("+491709999999",))
        assert kind(changed) == "challenged"
        assert node.first("carol", client=OFFICE, phones=("+49 (170) 1234567",)) == Accepted()

    def test_an_account_has_its_own_devices(self, node: Node) -> None:
        """A notebook of two users."""
        login(node)
        assert kind(node.first("bob", client=OFFICE)) == "challenged"


class TestForgotten:
    def test_at_a_lock_out_all_are(self, site: Site, node: Node) -> None:
        """Somebody guesses PINs, perhaps with the station of a device; bob's stay."""
        login(node)
        login(node, "bob")
        for _ in range(3):
            node.first(password="wrong", client=OFFICE)
        assert node.kinds()[-2:] == ["account-locked", "device-forgotten"]
        assert node.events()[-1].detail == {"reason": "locked", "devices": 1}
        site.clock.advance(15 * 60)
        assert kind(node.first(client=OFFICE)) == "challenged"
        assert node.first("bob", client=OFFICE) == Accepted()

    def test_wrong_pins_before_that_forget_none(self, node: Node) -> None:
        """A login without a code is a login: it ends the row of failures."""
        login(node)
        for _ in range(2):
            for _ in range(2):
                node.first(password="wrong", client=OFFICE)
            assert node.first(client=OFFICE) == Accepted()

    def test_an_account_without_devices_has_none_to_forget(self, node: Node) -> None:
        """No event says that nothing was forgotten."""
        for _ in range(3):
            node.first(password="wrong", client=OFFICE)
        assert node.kinds()[-1] == "account-locked"
