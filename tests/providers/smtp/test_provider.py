"""The provider ``smtp``: what a real mail server gets, and what its replies mean."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import Busy, DeliveryError, Refused, Unavailable
from radius_smsotp.providers.contract import CODE, PHONE, ProviderContract, message, soon
from tests.providers.peers import Certificate, Peer, closed_port, make_certificate, starting
from tests.providers.smtp.mail_gateway import MAILTO, MailStandIn, fails, old_form, provider
from tests.providers.smtp.mail_server import PASSWORD, USER, MailServer

if TYPE_CHECKING:
    import socket
    import threading
    from collections.abc import Iterator

    from radius_smsotp.providers import Receipt

# aiosmtpd warns that AUTH without TLS is unsafe, which is what some tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def start() -> Iterator[Any]:
    """Starts mail servers that end with the test."""
    with starting(MailServer) as start:
        yield start


@pytest.fixture
def peer() -> Iterator[Any]:
    """Starts servers that speak as a test says."""
    with starting(Peer) as start:
        yield start


@pytest.fixture
def stand_in(start: Any, certificate: Certificate) -> MailStandIn:
    return MailStandIn(start(certificate), certificate)


class TestContractInTheClear(ProviderContract):
    pass


class TestContractWithStartTls(ProviderContract):
    @pytest.fixture
    def stand_in(self, start: Any, certificate: Certificate) -> MailStandIn:
        return MailStandIn(start(certificate, "starttls", PASSWORD), certificate)


class TestContractWithTls(ProviderContract):
    @pytest.fixture
    def stand_in(self, start: Any, certificate: Certificate) -> MailStandIn:
        return MailStandIn(start(certificate, "tls", PASSWORD), certificate)


class TestTheMail:
    def test_the_old_form_of_privacyidea(self, start: Any, certificate: Certificate) -> None:
        server = start(certificate, password=PASSWORD)
        given = old_form(
            server.port,
            MAILUSER=USER,
            MAILPASSWORD=PASSWORD,
            SUBJECT="SMS to <phone>",
            BODY="To: <phone>\n\n<message> <otp>",
        )
        receipt = provider(given, certificate).send(message(), soon())
        [mail] = server.mails
        assert (mail.sender, mail.recipients, mail.user) == (
            "otp@example.org",
            ["sms@example.org"],
            USER,
        )
        assert mail.parsed["Subject"] == f"SMS to {PHONE}"
        assert mail.text == f"To: {PHONE}\n\n{message().text} {CODE}"
        assert mail.parsed["Message-ID"] == receipt.message_id

    @pytest.mark.parametrize("name", ["IDENTIFIER", "SMTPIDENTIFIER", "identifier"])
    def test_the_new_form_of_privacyidea(
        self, start: Any, certificate: Certificate, name: str
    ) -> None:
        server = start(certificate)
        entry = {"SERVER": "127.0.0.1", "PORT": server.port, "TLS": False, "sender": USER}
        given = {
            "type": "smtp",
            name: "office",
            "MAILTO": "{phone}@sms.example.org",
            "SUBJECT": "{message}",
            "BODY": "{phone}",
        }
        provider(given, certificate, office=entry).send(message(), soon())
        [mail] = server.mails
        assert mail.recipients == [f"{PHONE}@sms.example.org"]
        assert mail.sender == USER
        assert mail.parsed["Subject"] == message().text
        assert mail.text == PHONE

    def test_every_placeholder(self, stand_in: MailStandIn) -> None:
        body = "{phone} <phone_digits> {message} <message> {code} <code> <b>{otp}</b> <otp>"
        stand_in.provider(body=body, regexp=r"/\+49/0/").send(message(), soon())
        text, national = message().text, "01701234567"
        assert stand_in.server.mails[0].text == (
            f"{national} {national} {text} {text} {CODE} {CODE} <b>{CODE}</b> {CODE}"
        )

    def test_what_is_filled_in_is_not_filled_in_again(self, stand_in: MailStandIn) -> None:
        stand_in.provider().send(message(text="{code} <phone>"), soon())
        assert stand_in.received()[0][1] == "{code} <phone>"

    def test_a_mail_without_umlauts_is_plain_ascii(self, stand_in: MailStandIn) -> None:
        stand_in.provider().send(message(text="739154 is your code"), soon())
        assert b"\r\n\r\n739154 is your code\r\n" in stand_in.server.mails[0].raw

    def test_a_mail_is_seven_bits_whatever_the_text(self, stand_in: MailStandIn) -> None:
        stand_in.provider(subject="Grüße {message}").send(message(text="é" * 2000), soon())
        assert stand_in.server.mails[0].raw.isascii()
        assert stand_in.received()[0][1] == "é" * 2000
        assert stand_in.server.mails[0].parsed["Subject"] == "Grüße " + "é" * 2000

    def test_dots_at_the_start_of_a_line_arrive(self, stand_in: MailStandIn) -> None:
        stand_in.provider().send(message(text=".\n..x\n.\nend"), soon())
        assert stand_in.received()[0][1] == ".\n..x\n.\nend"

    def test_a_text_cannot_add_headers_or_recipients(self, stand_in: MailStandIn) -> None:
        evil = "x\r\nBcc: evil@example.org\r\n\r\nbody\u2028Y: z\0"
        stand_in.provider(subject="{message}").send(message(text=evil), soon())
        [mail] = stand_in.server.mails
        assert mail.parsed["Subject"] == "x Bcc: evil@example.org body Y: z"
        assert mail.parsed["Bcc"] is None
        assert mail.recipients == ["491701234567@sms.example.org"]

    @pytest.mark.parametrize("text", ["a@b,evil", "x> NOTIFY=", "x\r\nRCPT TO:<evil", "é", ""])
    def test_a_text_cannot_spoil_the_address(self, stand_in: MailStandIn, text: str) -> None:
        with pytest.raises(Refused, match="mailto is no mail address"):
            stand_in.provider(mailto="{message}@sms.example.org").send(message(text=text), soon())
        assert stand_in.server.mails == []

    def test_its_id_holds_no_secret(self, stand_in: MailStandIn) -> None:
        receipt: Receipt = stand_in.provider(mailsender="A <a@b.example>").send(message(), soon())
        assert re.fullmatch(r"<[0-9a-f]{32}@b\.example>", receipt.message_id or "")

    @pytest.mark.parametrize(
        ("settings", "sender"),
        [
            ({"mailsender": "Login <a@example.org>"}, "a@example.org"),
            ({"mailuser": USER, "mailpassword": PASSWORD}, USER),
            ({}, r"smsotp@[\w.-]+"),
        ],
    )
    def test_the_sender_has_a_default(
        self, start: Any, certificate: Certificate, settings: dict[str, str], sender: str
    ) -> None:
        server = start(certificate, password=settings.get("mailpassword"))
        given = old_form(server.port, MAILSENDER="", **settings)
        given.pop("MAILSENDER" if "mailsender" in settings else "none", None)
        provider(given, certificate).send(message(), soon())
        assert re.fullmatch(sender, server.mails[0].sender)

    def test_several_recipients_all_get_it(self, stand_in: MailStandIn) -> None:
        stand_in.provider(mailto="a@example.org, b@[127.0.0.1]").send(message(), soon())
        assert stand_in.server.mails[0].recipients == ["a@example.org", "b@[127.0.0.1]"]

    def test_if_one_recipient_is_refused_nobody_gets_it(self, stand_in: MailStandIn) -> None:
        stand_in.server.refusals["b@example.org"] = f"550 no such mailbox for {PHONE}"
        error = fails(Refused, stand_in.provider(mailto="a@example.org,b@example.org"))
        assert str(error) == "RCPT: the mail server answered 550 no such mailbox for ***"
        assert stand_in.server.mails == []


class TestVerdicts:
    @pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
    @pytest.mark.parametrize(
        ("reply", "kind"), [("451 4.3.0 later", Busy), ("550 5.7.1 never", Refused)]
    )
    def test_replies(
        self, stand_in: MailStandIn, step: str, reply: str, kind: type[DeliveryError]
    ) -> None:
        stand_in.server.refusals[step] = reply
        assert reply in str(fails(kind, stand_in.provider()))

    def test_a_refused_sender_stops_every_message(self, stand_in: MailStandIn) -> None:
        stand_in.server.refusals["MAIL"] = "550 not from you"
        assert fails(Refused, stand_in.provider()).out_of_order

    def test_a_refused_recipient_stops_only_this_one(self, stand_in: MailStandIn) -> None:
        stand_in.server.refusals["RCPT"] = "550 no such number"
        assert not fails(Refused, stand_in.provider()).out_of_order

    def test_a_wrong_password_puts_it_out_of_order(
        self, start: Any, certificate: Certificate
    ) -> None:
        one = MailStandIn(start(certificate, "tls", "another"), certificate).provider()
        error = fails(Refused, one)
        assert error.out_of_order
        assert "AUTH PLAIN: the mail server answered 535" in str(error)
        [problem] = one.check()
        assert problem.path == "providers.mail.identifier"
        assert problem.fault.startswith("smtp_servers.office.username: AUTH PLAIN: ")
        assert problem.remedy.endswith("they went out in UTF-8, try ASCII ones")

    def test_a_server_with_no_way_that_is_known_names_its_own(
        self, start: Any, certificate: Certificate
    ) -> None:
        server = start(certificate, "tls", PASSWORD, ("LOGIN", "PLAIN"))
        one = MailStandIn(server, certificate).provider()
        assert "offers no way to log in that is known here, but none" in str(fails(Refused, one))

    def test_a_server_that_knows_login_only_takes_any_password(
        self, start: Any, certificate: Certificate
    ) -> None:
        server = start(certificate, "tls", PASSWORD, ("PLAIN",))
        one = MailStandIn(server, certificate).provider()
        assert one.check() == []
        one.send(message(), soon())
        assert server.mails[0].user == USER

    def test_a_server_without_auth_puts_it_out_of_order(
        self, start: Any, certificate: Certificate
    ) -> None:
        given = old_form(start(certificate).port, mailuser=USER, mailpassword="ascii")
        assert fails(Refused, provider(given, certificate)).out_of_order

    def test_a_server_that_wants_a_login_puts_it_out_of_order(
        self, start: Any, certificate: Certificate
    ) -> None:
        one = provider(old_form(start(certificate, password=PASSWORD).port), certificate)
        assert fails(Refused, one).out_of_order

    def test_an_ascii_password_works_too(self, start: Any, certificate: Certificate) -> None:
        server = start(certificate, "tls", "ascii")
        given = old_form(server.port, mailuser=USER, mailpassword="ascii", tls="tls")
        given["ca_file"] = str(certificate.cert)
        provider(given, certificate).send(message(), soon())
        assert server.mails[0].user == USER

    def test_nobody_listening_is_unavailable(self, certificate: Certificate) -> None:
        port = closed_port()
        error = fails(Unavailable, provider(old_form(port), certificate))
        assert str(error) == f"connecting to 127.0.0.1:{port}: connection refused"

    def test_a_name_that_is_none_is_unavailable(self, certificate: Certificate) -> None:
        given = old_form(0, MAILSERVER=f"{'a' * 64}.invalid")
        fails(Unavailable, provider(given, certificate))

    def test_an_unknown_entry_is_named_with_the_known_ones(self, certificate: Certificate) -> None:
        given = {"type": "smtp", "identifier": "ofice", "mailto": MAILTO}
        one = provider(given, certificate, office={"server": "a"}, lab={"server": "b"})
        [problem] = one.check()
        assert problem.path == "providers.mail.identifier"
        assert problem.fault == "'ofice' is not an entry of smtp_servers (office, lab)"
        assert fails(Refused, one).out_of_order

    def test_an_entry_that_cannot_be_used_is_named(self, certificate: Certificate) -> None:
        given = {"type": "smtp", "identifier": "office", "mailto": MAILTO}
        one = provider(given, certificate, office={"server": "ftp://a", "pasword": PASSWORD})
        [problem] = one.check()
        assert problem.fault == "smtp_servers.office cannot be used (server, pasword)"
        assert fails(Refused, one).out_of_order


class TestCheck:
    def test_a_server_without_tls_is_a_weakness_and_no_problem(
        self, start: Any, certificate: Certificate
    ) -> None:
        # 0.0.0.0 leads to this host too, but does not look like it.
        server = f"0.0.0.0:{start(certificate, password='ascii').port}"
        given = old_form(0, MAILSERVER=server, mailuser=USER, mailpassword="ascii")
        one = provider(given, certificate)
        assert one.check() == []
        [weakness] = one.weaknesses()
        assert str(weakness) == (
            "providers.mail.mailserver: numbers, codes and the password go to 0.0.0.0 in the "
            "clear; set tls: starttls or tls: tls, or go through a tunnel (VPN, ssh)"
        )
        [weakness] = provider({**given, "tls": "none"}, certificate).weaknesses()
        assert weakness.path == "providers.mail.tls"

    def test_nobody_listening(self, certificate: Certificate) -> None:
        [problem] = provider(old_form(closed_port()), certificate).check()
        assert problem.path == "providers.mail.mailserver"
        assert "connection refused" in problem.fault

    def test_a_server_that_is_none(self, peer: Any, certificate: Certificate) -> None:
        def talk(connection: socket.socket, _over: threading.Event) -> None:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        [problem] = provider(old_form(peer(talk).port), certificate).check()
        assert "greeting: the mail server answered -1" in problem.fault

    @pytest.mark.parametrize(
        ("step", "reply", "path", "remedy"),
        [
            ("MAIL", "530 Must issue a STARTTLS command first", "tls", "set tls: starttls"),
            ("MAIL", "530 5.7.0 Authentication required", "mailuser", "set user name"),
            ("MAIL", "550 5.7.1 Client was not authenticated", "mailuser", "set user name"),
            ("MAIL", "553 5.7.1 not your address", "mailsender", "name a sender"),
            ("MAIL", "452 4.3.1 Insufficient system storage", "mailsender", "name a sender"),
            ("RCPT", "550 5.7.1 Unable to relay", "mailuser", "from this host"),
            ("RCPT", "454 4.7.1 <x>: Relay access denied", "mailuser", "from this host"),
            ("RCPT", "554 5.5.1 no such mailbox", "mailto", "name an address"),
        ],
    )
    def test_a_server_that_would_take_no_mail_is_named(
        self, stand_in: MailStandIn, step: str, reply: str, path: str, remedy: str
    ) -> None:
        stand_in.server.refusals[step] = reply
        one = provider(old_form(stand_in.server.port), stand_in.certificate)
        [problem] = one.check()
        assert problem.path == f"providers.mail.{path}"
        assert reply in problem.fault
        assert remedy in problem.remedy
        assert stand_in.server.mails == []

    @pytest.mark.parametrize(
        ("mailto", "reply"),
        [
            (MAILTO, "550 5.1.1 no such number"),  # it is a made-up one
            (MAILTO, "450 4.2.0 Greylisted, try again later"),
            ("sms@example.org", "451 4.7.1 Greylisting in action"),
        ],
    )
    def test_what_a_server_says_of_one_recipient_or_for_now_is_no_problem(
        self, stand_in: MailStandIn, mailto: str, reply: str
    ) -> None:
        stand_in.server.refusals["RCPT"] = reply
        assert stand_in.provider(mailto=mailto).check() == []

    def test_a_server_that_wants_a_login_from_who_is_logged_in_is_named(
        self, start: Any, certificate: Certificate
    ) -> None:
        server = start(certificate, "tls", PASSWORD)
        server.refusals["RCPT"] = "550 relaying denied"
        one = MailStandIn(server, certificate).provider()
        [problem] = one.check()
        assert problem.remedy.startswith("let the server take mails of this user")
        assert fails(Refused, one).out_of_order


class TestToTheUser:
    """By mail instead of an SMS: see `model.ways`."""

    def test_a_mail_goes_to_the_address_of_the_user(self, stand_in: MailStandIn) -> None:
        one = stand_in.provider(mailto="{email}", subject="Login", body="{code}")
        assert one.check() == []
        one.send(replace(message(), phone="", email="alice.b@example.org"), soon())
        [mail] = stand_in.server.mails
        assert (mail.recipients, mail.text) == (["alice.b@example.org"], CODE)

    def test_what_a_server_says_of_it_is_told_without_it(self, stand_in: MailStandIn) -> None:
        stand_in.server.refusals["RCPT"] = "550 no mailbox alice.b@example.org, nor 4711"
        one = stand_in.provider(mailto="{email}", subject="Login")
        with pytest.raises(Refused) as caught:
            one.send(replace(message(), phone="", email="alice.b@example.org"), soon())
        assert str(caught.value) == "RCPT: the mail server answered 550 no mailbox ***, nor 4711"
        assert not caught.value.out_of_order

    def test_without_an_address_there_is_none(self, stand_in: MailStandIn) -> None:
        with pytest.raises(Refused, match="mailto is no mail address"):
            stand_in.provider(mailto="{email}").send(message(), soon())
