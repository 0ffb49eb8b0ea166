"""Whoever has proved a PIN reads his own language; whoever has not, that of the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.login.answers import Challenged, Rejected
from radius_smsotp.model.records import Client
from tests.support.site import add, request

if TYPE_CHECKING:
    from tests.support.site import Gateways, Node, Site

GERMAN = "Bitte geben Sie den 6-stelligen Code ein, der an ***67 gesendet wurde: "
FRENCH = "Saisissez le code à 6 chiffres envoyé à ***67 : "
ENGLISH = "Enter the 6-digit code sent to ***67: "
FAILED = Rejected("Login failed.")

LANGUAGES: dict[str, Any] = {
    "fr": {"message": "{code} ACME"},
    "de-at": {"texts": {"resent": "Nochmal. "}},
}


@pytest.fixture
def node(site: Site) -> Node:
    """A server with accounts of several languages."""
    node = site.node(languages=LANGUAGES)
    for name, language in (("gerda", "de"), ("gabi", "de-at"), ("fred", "fr"), ("eve", "en")):
        add(node, name, language=language)
    return node


def test_prompt_and_sms_are_in_the_language_of_the_account(node: Node, gateways: Gateways) -> None:
    """Text by text: that of the settings, else the one that comes along."""
    for name, prompt in (("gerda", GERMAN), ("fred", FRENCH), ("eve", ENGLISH), ("alice", ENGLISH)):
        assert node.challenge(name).text == prompt
    texts = [message.text.partition(" ")[2] for _, message in gateways.sent]
    assert texts == [
        "ist Ihr Anmeldecode. Er gilt 5 Minuten.",
        "ACME",
        "is your login code. It is valid for 5 minutes.",
        "is your login code. It is valid for 5 minutes.",
    ]


def test_the_whole_login_keeps_to_it(node: Node) -> None:
    """A wrong code, one more SMS, the first step again, and the end."""
    challenged = node.challenge("gabi")
    wrong = node.second(challenged, "000000", "gabi")
    assert isinstance(wrong, Challenged)
    assert wrong.text == "Falscher Code. Verbleibende Versuche: 2. " + GERMAN
    again = node.second(challenged, "r", "gabi")
    assert isinstance(again, Challenged)
    assert again.text == "Nochmal. " + GERMAN
    assert node.challenge("gabi").text == GERMAN
    node.second(challenged, "000000", "gabi")
    ended = node.second(challenged, "000000", "gabi")
    assert isinstance(ended, Rejected)
    assert ended.text.startswith("Dieser Code gilt nicht mehr.")


def test_nothing_tells_an_account_from_none_before_the_pin_is_right(node: Node) -> None:
    """A refusal in somebody's language would say that there is such an account."""
    outcomes = [node.first("gerda", "wrong"), node.first("nobody", "wrong")]
    assert outcomes == [FAILED, FAILED]
    asked = {name: node.service.ask(request(name, None)).text for name in ("gerda", "nobody")}
    assert set(asked.values()) == {"PIN: "}
    unknown = Challenged("0" * 32, "", "challenge")
    assert node.second(unknown, "123456", "gerda") == node.second(unknown, "123456", "nobody")


def test_a_language_from_elsewhere_wins_over_the_account(node: Node) -> None:
    """As `preferredLanguage` of a directory has it; one without texts is none."""
    known = {"user": "gerda", "phones": ("+491701112267",)}
    assert node.challenge(**known, language="fr-CA, de;q=0.5").text == FRENCH
    assert node.challenge("elsewhere", phones=("+491701112267",), language="de").text == GERMAN
    assert node.challenge("fred", language="tlh").text == FRENCH


def test_a_client_has_a_language_too(site: Site) -> None:
    """For whoever has none; and its own texts stand, as long as they are in his language."""
    help_line = {"failed": "Hilfe: 4711."}
    node = site.node(clients={"vpn": {"language": "de", "prompt": "Code: ", "texts": help_line}})
    add(node, "gerda", language="de")
    add(node, "fred", language="fr")
    assert node.first("alice", "wrong") == Rejected("Hilfe: 4711.")
    assert node.challenge("alice").text == "Code: "
    assert node.challenge("gerda").text == "Code: "
    assert node.challenge("fred").text == FRENCH
    other = Client("wifi", "192.0.2.9", "02-00-00-00-00-09")
    assert node.challenge("bob", client=other).text.startswith("Enter the ")


def test_a_login_may_go_on_through_another_client(site: Site) -> None:
    """Clients that take over from each other: the language is that of the login."""
    node = site.node(clients={"wifi": {"language": "fr"}})
    add(node, "gerda", language="de")
    other = Client("wifi", "192.0.2.9", "02-00-00-00-00-09")
    wrong = node.second(node.challenge("gerda"), "000000", "gerda", client=other)
    assert isinstance(wrong, Challenged)
    assert wrong.text == "Falscher Code. Verbleibende Versuche: 2. " + GERMAN


def test_settings_that_differ_stand_before_what_comes_along(site: Site) -> None:
    """`language` says in which language the texts of the settings are."""
    node = site.node(language="de", message="{code} von ACME", texts={"failed": "Login failed."})
    add(node, "gerda", language="de")
    challenged = node.challenge("gerda")
    assert challenged.text == GERMAN
    assert node.message(challenged).template == "{code} von ACME"
    # As it came: that it stands in the file means nothing.
    assert node.first("gerda", "wrong") == Rejected("Anmeldung fehlgeschlagen.")
