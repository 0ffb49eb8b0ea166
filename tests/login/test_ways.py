"""Another way to the user: by mail, by a call, to a second number."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import Busy, Refused, Unavailable, Unknown
from radius_smsotp.login.answers import Accepted, Challenged
from tests.support.site import PHONE, kind

if TYPE_CHECKING:
    from radius_smsotp.providers import Message
    from tests.support.site import Gateways, Node, Site

MAIL = "alice.b@example.org"
SECOND = "+491709876543"
WAYS: dict[str, Any] = {
    "mail": {"address": "email", "order": ["office", "spare"]},
    "call": {"order": ["voice"]},
    "second": {},
}
PROVIDERS = {
    **{name: {"type": "scripted"} for name in ("first", "second", "voice")},
    **{name: {"type": "scripted", "to": "{email}"} for name in ("office", "spare")},
}
SMS = "Enter the 6-digit code sent to ***67: "
BY_MAIL = "Enter the 6-digit code sent to a…@e….org: "


@pytest.fixture
def node(site: Site) -> Node:
    node = site.node(ways=WAYS, providers=PROVIDERS)
    ways = (f"mail={MAIL}", "call", f"second={SECOND}")
    site.add("carol", PHONE, ways=ways)
    return node


def asked(node: Node, challenged: Challenged, answer: str, user: str = "carol") -> str:
    """What is said to an answer that asks for one more message."""
    outcome = node.second(challenged, answer, user=user)
    assert isinstance(outcome, Challenged)
    node.settle(challenged.transaction_id)
    return outcome.text


def last(gateways: Gateways) -> tuple[str, Message]:
    return gateways.sent[-1]


def test_without_a_word_of_it_codes_go_by_sms_alone(site: Site, gateways: Gateways) -> None:
    node = site.node()
    challenged = node.challenge()
    assert asked(node, challenged, "r", "alice") == f"Sent again. {SMS}"
    assert gateways.names() == ["first", "second"]
    assert node.message(challenged).ways == ()
    outcome = node.second(challenged, "r mail")
    assert isinstance(outcome, Challenged)
    assert outcome.text.startswith("Wrong code, 2 left.")


def test_whoever_asks_again_gets_it_by_the_next_provider_then_the_next_way(
    node: Node, gateways: Gateways
) -> None:
    challenged = node.challenge("carol")
    assert challenged.text == SMS
    texts = [asked(node, challenged, "r") for _ in range(5)]
    assert gateways.names() == ["first", "second", "office", "spare", "voice", "first"]
    assert texts[0] == f"Sent again. {SMS}"
    assert texts[1] == texts[2] == f"Sent again. {BY_MAIL}"
    assert texts[3] == f"Sent again. {SMS}"
    assert texts[4] == "Sent again. Enter the 6-digit code sent to ***43: "
    to = [message.email or message.phone for _, message in gateways.sent]
    assert to == [PHONE, PHONE, MAIL, MAIL, PHONE, SECOND]
    assert {message.code for _, message in gateways.sent} == {node.code(challenged)}
    assert node.second(challenged, node.code(challenged), user="carol") == Accepted()


@pytest.mark.parametrize("answer", ["r mail", "R  MAIL ", " r Mail"])
def test_a_way_is_chosen_by_its_word(node: Node, gateways: Gateways, answer: str) -> None:
    challenged = node.challenge("carol")
    assert asked(node, challenged, answer) == f"Sent again. {BY_MAIL}"
    name, message = last(gateways)
    assert (name, message.email, message.phone) == ("office", MAIL, "")
    # From then on it is the one that is told.
    again = node.second(challenged, "000000", user="carol")
    assert isinstance(again, Challenged)
    assert again.text == f"Wrong code, 2 left. {BY_MAIL}"
    assert asked(node, challenged, "r mail") == f"Sent again. {BY_MAIL}"
    assert asked(node, challenged, "r sms") == f"Sent again. {SMS}"
    assert gateways.names() == ["first", "office", "spare", "first"]


def test_a_word_that_is_no_way_of_theirs_costs_no_guess(node: Node, gateways: Gateways) -> None:
    challenged = node.challenge("carol")
    for answer in ("r pigeon", "r ?"):
        told = asked(node, challenged, answer)
        assert told == f"Your ways: sms, mail, call, second. {SMS}"
    assert node.stored(challenged.transaction_id).guesses_left == 3
    assert len(gateways.sent) == 1
    assert node.events("carol")[-1].detail == {"reason": "no-way"}
    alice = node.challenge()
    assert asked(node, alice, "r mail", "alice") == f"Your ways: sms. {SMS}"


def test_a_message_that_no_provider_takes_goes_the_next_way_by_itself(
    node: Node, gateways: Gateways
) -> None:
    for name in ("first", "second"):
        gateways.will(name, Refused("no"))
    challenged = node.challenge("carol")
    assert challenged.by_way["mail"] == BY_MAIL
    assert node.courier.way(challenged.transaction_id) == "mail"
    assert gateways.names() == ["first", "second", "office"]
    assert node.stored(challenged.transaction_id).phone_hint == "a…@e….org"
    kinds = node.kinds("carol")
    assert kinds[1:] == ["sms-refused", "sms-refused", "sms-next-way", "sms-accepted"]
    assert node.events("carol")[-1].detail["way"] == "mail"
    assert node.second(challenged, node.code(challenged), user="carol") == Accepted()


def test_nobody_waits_for_a_gateway_who_can_be_reached_another_way(
    node: Node, gateways: Gateways
) -> None:
    for name in ("first", "second"):
        gateways.will(name, Unavailable("down"))
    node.challenge("carol")
    assert gateways.names() == ["first", "second", "office"]


def test_a_gateway_that_is_busy_has_room_a_moment_later(node: Node, gateways: Gateways) -> None:
    for name in ("first", "second"):
        gateways.will(name, Busy("full"))
    challenged = node.challenge("carol")
    assert gateways.names() == ["first", "second"]
    assert (node.message(challenged).state, node.message(challenged).way) == ("queued", "sms")


def test_a_challenge_is_closed_when_no_way_is_left(node: Node, gateways: Gateways) -> None:
    for name in PROVIDERS:
        gateways.will(name, Refused("no"))
    challenged = node.challenge("carol")
    assert gateways.names() == ["first", "second", "office", "spare", "voice", "first", "second"]
    assert node.stored(challenged.transaction_id).state == "undelivered"
    assert node.kinds("carol")[-1] == "sms-undelivered"
    assert kind(node.second(challenged, node.code(challenged), user="carol")) == "rejected"


def test_a_way_that_fails_closes_nothing_while_a_code_is_under_way(
    node: Node, gateways: Gateways
) -> None:
    challenged = node.challenge("carol")
    gateways.will("first", Unknown("silence"))
    gateways.will("second", Refused("no"))
    assert asked(node, challenged, "r second") == (
        "Sent again. Enter the 6-digit code sent to ***43: "
    )
    assert node.second(challenged, node.code(challenged), user="carol") == Accepted()


def test_limits_hold_for_each_address(site: Site, gateways: Gateways) -> None:
    limits = {"per_account_hour": 0, "per_number_hour": 2, "cooldown": 0}
    node = site.node(ways=WAYS, providers=PROVIDERS, limits=limits)
    for name in ("carol", "dora"):
        site.add(name, PHONE if name == "carol" else SECOND, ways=(f"mail={MAIL}",))
    challenged = node.challenge("carol")
    asked(node, challenged, "r mail")
    asked(node, challenged, "r mail")
    denied = asked(node, challenged, "r mail")
    assert denied == f"No more SMS can be sent now. {BY_MAIL}"
    assert node.events("carol")[-1].detail == {"reason": "per_number_hour"}
    # Nor does it by itself, for another account with that address.
    for name in ("first", "second"):
        gateways.will(name, Refused("no"))
    other = node.challenge("dora")
    assert node.stored(other.transaction_id).state == "undelivered"
    assert [name for name, one in gateways.sent if one.email] == ["office", "spare"]


def test_an_address_stands_nowhere_but_sealed(node: Node, site: Site) -> None:
    challenged = node.challenge("carol")
    asked(node, challenged, "r mail")
    message = node.message(challenged)
    assert len({*message.sealed.values()}) == 4
    with closing(sqlite3.connect(site.store_path)) as db:
        tables = ("message", "challenge", "event", "attempt", "tally")
        written = str([db.execute(f"SELECT * FROM {one}").fetchall() for one in tables])
    assert challenged.transaction_id in written
    for secret in (MAIL, "example.org", SECOND, PHONE):
        assert secret not in written


def test_ways_of_a_directory_win_over_those_of_the_account(node: Node, gateways: Gateways) -> None:
    told = ("nobody@", "pigeon=x", "0171 2345678", "dave@EXAMPLE.org", "voice", "call")
    challenged = node.challenge("carol", phones=(PHONE,), ways=told)
    words = [*node.message(challenged).sealed]
    assert words == ["sms", "mail", "call"]
    asked(node, challenged, "r mail")
    assert last(gateways)[1].email == "dave@example.org"


def test_numbers_that_messages_may_not_go_to_are_no_ways(site: Site) -> None:
    node = site.node(ways=WAYS, providers=PROVIDERS, limits={"countries": ["DE"]})
    site.add("carol", PHONE, ways=("second=+436641234567", f"mail={MAIL}"))
    assert [*node.message(node.challenge("carol")).sealed] == ["sms", "mail"]


def test_everyone_with_a_number_may_have_a_call(site: Site, gateways: Gateways) -> None:
    ways = WAYS | {"call": {"order": ["voice"], "everyone": True}}
    node = site.node(ways=ways, providers=PROVIDERS)
    challenged = node.challenge()
    assert asked(node, challenged, "r call", "alice") == f"Sent again. {SMS}"
    assert last(gateways)[0] == "voice"


def test_a_call_is_spoken_in_the_language_of_the_user(node: Node, gateways: Gateways) -> None:
    with node.store.write() as tx:
        found = tx.account("carol")
        assert found is not None
        tx.put_account(replace(found, language="de-at"), node.clock())
    challenged = node.challenge("carol")
    asked(node, challenged, "r call")
    _, message = last(gateways)
    words = ["null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"]
    spoken = ", ".join(words[int(digit)] for digit in node.code(challenged))
    assert message.code_spoken == spoken
    assert message.message_spoken == f"Ihr Anmeldecode lautet: {spoken}. Noch einmal: {spoken}."
    assert message.language == "de"


def test_a_device_is_remembered_whichever_way_the_code_came(site: Site) -> None:
    node = site.node(ways=WAYS, providers=PROVIDERS, remember=8)
    site.add("carol", PHONE, ways=(f"mail={MAIL}",))
    challenged = node.challenge("carol")
    asked(node, challenged, "r mail")
    assert node.second(challenged, node.code(challenged), user="carol") == Accepted()
    assert node.first("carol") == Accepted()


def test_a_crash_between_two_ways_loses_nothing(site: Site, gateways: Gateways) -> None:
    """The message of the next way is written with the failure of the one before."""
    node = site.node(ways=WAYS, providers=PROVIDERS)
    site.add("carol", PHONE, ways=(f"mail={MAIL}",))
    for name in ("first", "second"):
        gateways.will(name, Refused("no"))
    node.courier._goes_on = lambda _: False  # type: ignore[method-assign]
    challenged = node.challenge("carol")
    assert gateways.names() == ["first", "second"]
    assert node.message(challenged).state == "queued"
    other = site.node(ways=WAYS, providers=PROVIDERS)
    site.clock.advance(60)
    assert other.courier.sweep() == 1
    other.settle(challenged.transaction_id)
    assert gateways.names()[2:] == ["office"]
    assert other.second(challenged, other.code(challenged), user="carol") == Accepted()
