"""Mail servers that want a token of OAuth 2, as Google's and Microsoft's do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from radius_smsotp.errors import Refused, Unavailable
from radius_smsotp.providers.contract import message, soon
from radius_smsotp.providers.smtp.provider import validate_servers
from tests.providers.gateway import Call, Gateway
from tests.providers.peers import Certificate, closed_port, make_certificate, starting
from tests.providers.smtp.mail_gateway import MAILTO, fails, provider
from tests.providers.smtp.mail_server import USER, MailServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from radius_smsotp.providers.smtp.provider import Provider

SECRET = "cl1ent-s3cret"


class Issuer:
    """
    Where tokens come from.

    Attributes:
        made: How many were asked for.
        good: Whether the server takes them.
    """

    def __init__(self, server: MailServer) -> None:
        self.made = 0
        self.good = True
        self.server = server
        self.server.tokens.add("somebody else's")

    def __call__(self, call: Call) -> None:
        assert call.request.form["scope"] == ["https://outlook.office365.com/.default"]
        self.made += 1
        token = f"eyJ0-{self.made}-t0ken"
        if self.good:
            self.server.tokens.add(token)
        call.answer(200, json.dumps({"access_token": token, "expires_in": 3599}))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def server(certificate: Certificate) -> Iterator[MailServer]:
    with starting(MailServer) as start:
        yield start(certificate, "starttls")


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


@pytest.fixture
def issuer(gateway: Gateway, server: MailServer) -> Issuer:
    gateway.behave = issuer = Issuer(server)
    return issuer


def office(server: MailServer, certificate: Certificate, url: str) -> Provider:
    parameter = {
        "grant_type": "client_credentials",
        "client_id": "our-application",
        "client_secret": SECRET,
        "scope": "https://outlook.office365.com/.default",
    }
    entry: dict[str, Any] = {
        "server": f"smtp+tls://127.0.0.1:{server.port}",
        "ca_file": str(certificate.cert),
        "username": USER,
        "token": {"url": url, "parameter": parameter},
    }
    given = {"type": "smtp", "identifier": "office", "mailto": MAILTO}
    return provider(given, certificate, office=entry)


@pytest.fixture
def one(
    gateway: Gateway, server: MailServer, certificate: Certificate, issuer: Issuer
) -> Iterator[Provider]:
    made = office(server, certificate, f"{gateway.url}/token")
    yield made
    made.close()


def test_a_token_is_fetched_and_used_until_it_expires(
    server: MailServer, issuer: Issuer, one: Provider
) -> None:
    assert one.check() == []
    for number in range(2):
        one.send(message(number), soon())
    assert [mail.user for mail in server.mails] == [USER] * 2
    assert issuer.made == 1


def test_a_token_that_was_withdrawn_is_fetched_anew(
    server: MailServer, issuer: Issuer, one: Provider
) -> None:
    one.send(message(1), soon())
    server.tokens -= {"eyJ0-1-t0ken"}
    one.send(message(2), soon())
    assert (len(server.mails), issuer.made) == (2, 2)


def test_what_a_server_says_against_it_is_told_without_it(issuer: Issuer, one: Provider) -> None:
    """And one that is refused again is not tried for ever."""
    issuer.good = False
    error = fails(Refused, one)
    assert error.out_of_order
    assert str(error).startswith("AUTH XOAUTH2: the mail server answered 535 5.7.3")
    assert "t0ken" not in str(error)
    assert issuer.made == 2
    [problem] = one.check()
    assert "smtp_servers.office.token: AUTH XOAUTH2" in problem.fault
    assert "may send as this user" in problem.remedy


def test_nobody_who_gives_one_is_unavailable_and_named(
    server: MailServer, certificate: Certificate
) -> None:
    one = office(server, certificate, f"http://127.0.0.1:{closed_port()}/token")
    assert "no token" in str(fails(Unavailable, one))
    [problem] = one.check()
    assert problem.fault.startswith("smtp_servers.office.token: no token")


def test_a_server_that_takes_no_tokens_is_named(
    issuer: Issuer, one: Provider, server: MailServer
) -> None:
    server.tokens.clear()
    issuer.good = False
    assert "offers no way to log in that is known here, but" in str(fails(Refused, one))


@pytest.mark.parametrize(
    "entry", [{"username": "u", "password": "p"}, {"password": "p"}, {}], ids=str
)
def test_a_token_stands_for_a_password_and_not_for_a_name(entry: dict[str, str]) -> None:
    token = {"url": "https://login.example.org/token"}
    with pytest.raises(ValidationError, match="give the user name, and either password or token"):
        validate_servers({"office": {"server": "a", **entry, "token": token}})


def test_a_token_that_is_fetched_in_the_clear_is_a_weakness(
    server: MailServer, certificate: Certificate
) -> None:
    one = office(server, certificate, "http://login.example.org/token")
    [weakness] = one.weaknesses()
    assert weakness.path == "smtp_servers.office.token.url"
