"""Logins through clients that differ: texts, country, and where a challenge may be answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import Refused
from radius_smsotp.login.answers import Accepted, Challenged, Rejected
from radius_smsotp.model.records import Client
from tests.support.site import PIN, kind, request

if TYPE_CHECKING:
    from tests.support.site import Gateways, Node, Site

GUESTS = Client("wifi", "192.0.2.1", "02-00-00-00-00-01", "Guests")
STAFF = Client("wifi", "192.0.2.1", "02-00-00-00-00-01", "Staff")
TEXTS = {
    "failed": "f",
    "start_again": "s",
    "undelivered": "u",
    "wrong_code": "w{guesses}",
    "resent": "r",
    "resend_denied": "d",
    "code_sent": "c{digits}",
    "unavailable": "n",
}


def start(site: Site, **sections: Any) -> Node:
    """A server whose guests read other texts than its staff."""
    guests = {"prompt": "p", "texts": TEXTS}
    return site.node(clients={"wifi": {"ssids": {"Guests": guests}}}, **sections)


class TestTexts:
    def test_every_text_is_the_one_of_the_ssid(self, site: Site, gateways: Gateways) -> None:
        """Whatever comes of the login."""
        node = start(site, limits={"per_account_hour": 2, "cooldown": 0})
        guests: dict[str, Any] = {"client": GUESTS}
        assert node.first(password="wrong", **guests) == Rejected("f")
        assert node.first("nobody", **guests) == Rejected("f")
        asked = node.challenge(**guests)
        assert (asked.text, asked.undelivered) == ("p", "u")
        assert node.second(asked, "000000", **guests).text == "w2p"  # type: ignore[union-attr]
        assert node.second(asked, "r", **guests).text == "rp"  # type: ignore[union-attr]
        node.settle(asked.transaction_id)
        assert node.second(asked, "r", **guests).text == "dp"  # type: ignore[union-attr]
        assert node.first(**guests) == Rejected("f")  # the limit
        assert node.second(asked, node.code(asked), **guests) == Accepted()
        assert node.second(asked, node.code(asked), **guests) == Rejected("s")
        for outcome in (node.service.unavailable, node.service.first_factor_down):
            assert outcome(request(**guests)) == Rejected("n")
        assert node.service.malformed(request(**guests)) == Rejected("f")

    def test_a_message_that_nobody_takes(self, site: Site, gateways: Gateways) -> None:
        """The answer comes too late to the first step, and in time for the second."""
        node = start(site)
        for name in ("first", "second"):
            gateways.will(name, Refused("no"))
        asked = node.challenge(client=GUESTS)
        assert node.second(asked, "000000", client=GUESTS) == Rejected("u")

    def test_style_reject_says_where_the_code_went(self, site: Site) -> None:
        """In the words of the SSID."""
        guests = {"style": "reject", "texts": TEXTS}
        node = site.node(clients={"wifi": {"ssids": {"Guests": guests}}})
        asked = node.first(client=GUESTS)
        assert isinstance(asked, Challenged)
        assert (asked.style, asked.text) == ("reject", "c6")
        assert isinstance(staff := node.first("bob", client=STAFF), Challenged)
        assert staff.style == "challenge"

    def test_others_read_what_all_read(self, site: Site) -> None:
        """Another SSID, another client, or nobody knows whose request it was."""
        node = start(site, texts={"failed": "all", "unavailable": "gone"})
        for client in (STAFF, Client("vpn", ssid="Guests")):
            assert node.first(password="wrong", client=client) == Rejected("all")
        assert node.service.unavailable() == Rejected("gone")
        assert node.service.malformed() == Rejected("all")


class TestCountry:
    def test_a_national_number_belongs_to_the_country_of_its_client(
        self, site: Site, gateways: Gateways
    ) -> None:
        """From FreeRADIUS, in whatever writing; one with a country code stays what it is."""
        wifi = {"country": "AT", "ssids": {"Guests": {"country": "CH"}}}
        node = site.node(
            country="DE",
            clients={"wifi": wifi},
            limits={"cooldown": 0, "per_account_hour": 0},
        )
        for client, number in (
            (Client("vpn"), "0170 / 12 34 567"),
            (STAFF, "0664 1234567"),
            (GUESTS, "078-123 45 67"),
            (GUESTS, "+49 (170) 1234567"),
        ):
            node.challenge("carol", client=client, phones=(number,))
        assert [message.phone for _, message in gateways.sent] == [
            "+491701234567",
            "+436641234567",
            "+41781234567",
            "+491701234567",
        ]

    def test_without_one_it_is_no_number(self, site: Site) -> None:
        """Nothing is guessed."""
        node = site.node(clients={"wifi": {"country": "AT"}})
        assert kind(node.first("carol", client=STAFF, phones=("0664 1234567",))) == "challenged"
        assert (
            kind(node.first("carol", client=Client("vpn"), phones=("0664 1234567",))) == "rejected"
        )


class TestBind:
    VPN = Client("vpn", "192.0.2.1", "02-00-00-00-00-01")
    MOVED = Client("vpn", "192.0.2.1", "02-00-00-00-00-02")
    OTHER = Client("vpn2", "192.0.2.2", "02-00-00-00-00-01")

    @pytest.mark.parametrize("one_password", [False, True])
    @pytest.mark.parametrize(
        ("bind", "client", "reason"),
        [
            ("account", OTHER, None),
            ("account", MOVED, None),
            ("client", OTHER, "foreign-client"),
            ("client", MOVED, None),
            ("station", OTHER, "foreign-client"),
            ("station", MOVED, "foreign-station"),
            ("station", VPN, None),
        ],
    )
    def test_the_code_counts_from_where_the_challenge_is_bound_to(
        self, site: Site, bind: str, client: Client, reason: str | None, one_password: bool
    ) -> None:
        """With State, and behind the PIN; elsewhere it costs no guess, and stays good."""
        node = site.node(challenge={"bind": bind})
        asked = node.challenge(client=self.VPN)
        code = node.code(asked)

        def answer(where: Client) -> str:
            if one_password:
                return kind(node.first(password=PIN + code, client=where))
            return kind(node.second(asked, code, client=where))

        assert answer(client) == ("accepted" if reason is None else "rejected")
        if reason is None:
            return
        assert node.stored(asked.transaction_id).guesses_left == 3
        told = node.events()[-1]
        expected = {} if one_password else {"reason": reason}
        assert (told.kind, told.detail) == (
            "pin-wrong" if one_password else "code-rejected",
            expected,
        )
        assert answer(self.VPN) == "accepted"

    def test_guesses_behind_the_pin_burn_only_what_may_be_answered(self, site: Site) -> None:
        """A challenge that is bound elsewhere cannot be guessed at from here."""
        node = site.node(challenge={"bind": "client"})
        there = node.challenge(client=self.OTHER)
        here = node.challenge(client=self.VPN)
        node.first(password=PIN + "000000", client=self.VPN)
        assert node.stored(there.transaction_id).guesses_left == 3
        assert node.stored(here.transaction_id).guesses_left == 2

    def test_one_client_may_bind_and_another_not(self, site: Site) -> None:
        """The client that brings the answer decides."""
        node = site.node(clients={"vpn2": {"bind": "client"}})
        first = node.challenge(client=self.VPN)
        assert kind(node.second(first, node.code(first), client=self.OTHER)) == "rejected"
        second = node.challenge("bob", client=self.OTHER)
        accepted = node.second(second, node.code(second), "bob", client=self.VPN)
        assert accepted == Accepted()
