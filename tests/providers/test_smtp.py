"""The provider ``smtp``: a real mail server, with TLS, STARTTLS and AUTH."""

from __future__ import annotations

import base64
import re
import ssl
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from radius_smsotp.errors import DeliveryError, Refused, Unavailable, Unknown
from radius_smsotp.providers import Surroundings
from radius_smsotp.providers.smtp import Provider, Settings, validate_servers
from tests.providers.contract import CODE, PHONE, ProviderContract, message, soon
from tests.providers.mail_server import PASSWORD, USER, MailServer
from tests.providers.peers import Certificate, Peer, closed_port, drip, make_certificate

if TYPE_CHECKING:
    import socket
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from radius_smsotp.providers import Receipt

# aiosmtpd warns that AUTH without TLS is unsafe, which is what some tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH")

MAILTO = "{phone_digits}@sms.example.org"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Valid, but for another host."""
    return make_certificate(tmp_path_factory.mktemp("foreign"), "DNS:mail.example.org")


class MailStandIn:
    """A gateway that is a mail server."""

    def __init__(self, server: MailServer, certificate: Certificate) -> None:
        self.server = server
        self.certificate = certificate
        self.secrets = (server.password,) if server.password else ()

    def provider(self, **settings: Any) -> Provider:
        entry: dict[str, Any] = {
            "server": f"127.0.0.1:{self.server.port}",
            "tls": self.server.tls,
            "ca_file": str(self.certificate.cert),
        }
        if self.server.password:
            entry |= {"username": USER, "password": PASSWORD}
        given = {"type": "smtp", "identifier": "office", "mailto": MAILTO, **settings}
        return provider(given, self.certificate, office=entry)

    def refuse(self) -> None:
        self.server.refusals["DATA"] = f"554 5.7.1 spam: {PHONE} {{mail}} {PASSWORD}"

    def go_away(self) -> None:
        self.server.leave()

    def fall_silent(self) -> None:
        self.server.silent = True

    def received(self) -> list[tuple[str, str]]:
        mails = self.server.mails
        return [(mail.recipients[0].partition("@")[0], mail.text) for mail in mails]


def provider(given: dict[str, Any], certificate: Certificate, **servers: Any) -> Provider:
    folder = certificate.cert.parent
    surroundings = Surroundings(folder=folder, smtp_servers=servers, lock_folder=folder)
    return Provider("mail", Settings.model_validate(given), surroundings)


@pytest.fixture
def start(certificate: Certificate) -> Iterator[Any]:
    """Starts mail servers that end with the test."""
    with ExitStack() as stack:

        def start_one(*arguments: Any, **named: Any) -> MailServer:
            server = MailServer(named.pop("certificate", certificate), *arguments, **named)
            stack.callback(server.stop)
            return server

        yield start_one


@pytest.fixture
def peer() -> Iterator[Any]:
    """Starts servers that speak as a test says."""
    with ExitStack() as stack:

        def start_one(talk: Any) -> Peer:
            started = Peer(talk)
            stack.callback(started.stop)
            return started

        yield start_one


@pytest.fixture
def stand_in(start: Any, certificate: Certificate) -> MailStandIn:
    return MailStandIn(start(), certificate)


class TestContractInTheClear(ProviderContract):
    pass


class TestContractWithStartTls(ProviderContract):
    @pytest.fixture
    def stand_in(self, start: Any, certificate: Certificate) -> MailStandIn:
        return MailStandIn(start("starttls", PASSWORD), certificate)


class TestContractWithTls(ProviderContract):
    @pytest.fixture
    def stand_in(self, start: Any, certificate: Certificate) -> MailStandIn:
        return MailStandIn(start("tls", PASSWORD), certificate)


def old_form(port: int, **settings: Any) -> dict[str, Any]:
    return {
        "type": "smtp",
        "MAILSERVER": f"127.0.0.1:{port}",
        "MAILTO": "sms@example.org",
        "MAILSENDER": "otp@example.org",
        **settings,
    }


def fails(kind: type[DeliveryError], one: Provider, seconds: float = 20.0) -> Any:
    """The error that a message ends with; no library's exception, which may quote, causes it."""
    with pytest.raises(kind) as caught:
        one.send(message(), soon(seconds))
    assert type(caught.value) is kind
    assert caught.value.__cause__ is None
    for secret in (CODE, PHONE, PHONE[1:], PASSWORD, base64.b64encode(PASSWORD.encode()).decode()):
        assert secret not in str(caught.value)
    return caught.value


class TestTheMail:
    def test_the_old_form_of_privacyidea(self, start: Any, certificate: Certificate) -> None:
        server = start(password=PASSWORD)
        given = old_form(
            server.port,
            MAILUSER=USER,
            MAILPASSWORD=PASSWORD,
            SUBJECT="SMS to <phone>",
            BODY="To: <phone>\n\n<otp>",
        )
        receipt = provider(given, certificate).send(message(), soon())
        [mail] = server.mails
        assert (mail.sender, mail.recipients, mail.user) == (
            "otp@example.org",
            ["sms@example.org"],
            USER,
        )
        assert mail.parsed["Subject"] == f"SMS to {PHONE}"
        assert mail.text == f"To: {PHONE}\n\n{message().text}"
        assert mail.parsed["Message-ID"] == receipt.message_id

    @pytest.mark.parametrize("name", ["IDENTIFIER", "SMTPIDENTIFIER", "identifier"])
    def test_the_new_form_of_privacyidea(
        self, start: Any, certificate: Certificate, name: str
    ) -> None:
        server = start()
        entry = {"SERVER": "127.0.0.1", "PORT": server.port, "TLS": False, "sender": USER}
        given = {
            "type": "smtp",
            name: "office",
            "MAILTO": "{phone}@sms.example.org",
            "SUBJECT": "{otp}",
            "BODY": "{phone}",
        }
        provider(given, certificate, office=entry).send(message(), soon())
        [mail] = server.mails
        assert mail.recipients == [f"{PHONE}@sms.example.org"]
        assert mail.sender == USER
        assert mail.parsed["Subject"] == message().text
        assert mail.text == PHONE

    def test_every_placeholder(self, stand_in: MailStandIn) -> None:
        body = "{phone} <phone_digits> {message} <message> {code} <code> <b>{otp}</b>"
        stand_in.provider(body=body, regexp=r"/\+49/0/").send(message(), soon())
        text, national = message().text, "01701234567"
        assert stand_in.server.mails[0].text == (
            f"{national} {national} {text} {text} {CODE} {CODE} <b>{text}</b>"
        )

    def test_what_is_filled_in_is_not_filled_in_again(self, stand_in: MailStandIn) -> None:
        stand_in.provider().send(message(text="{code} <phone>"), soon())
        assert stand_in.received()[0][1] == "{code} <phone>"

    def test_a_mail_without_umlauts_is_plain_ascii(self, stand_in: MailStandIn) -> None:
        stand_in.provider().send(message(text="739154 is your code"), soon())
        assert b"\r\n\r\n739154 is your code\r\n" in stand_in.server.mails[0].raw

    def test_a_mail_is_seven_bits_whatever_the_text(self, stand_in: MailStandIn) -> None:
        stand_in.provider(subject="Grüße {otp}").send(message(text="é" * 2000), soon())
        assert stand_in.server.mails[0].raw.isascii()
        assert stand_in.received()[0][1] == "é" * 2000
        assert stand_in.server.mails[0].parsed["Subject"] == "Grüße " + "é" * 2000

    def test_dots_at_the_start_of_a_line_arrive(self, stand_in: MailStandIn) -> None:
        stand_in.provider().send(message(text=".\n..x\n.\nend"), soon())
        assert stand_in.received()[0][1] == ".\n..x\n.\nend"

    def test_a_text_cannot_add_headers_or_recipients(self, stand_in: MailStandIn) -> None:
        evil = "x\r\nBcc: evil@example.org\r\n\r\nbody\u2028Y: z\0"
        stand_in.provider(subject="{otp}").send(message(text=evil), soon())
        [mail] = stand_in.server.mails
        assert mail.parsed["Subject"] == "x Bcc: evil@example.org body Y: z"
        assert mail.parsed["Bcc"] is None
        assert mail.recipients == ["491701234567@sms.example.org"]

    @pytest.mark.parametrize("text", ["a@b,evil", "x> NOTIFY=", "x\r\nRCPT TO:<evil", "é", ""])
    def test_a_text_cannot_spoil_the_address(self, stand_in: MailStandIn, text: str) -> None:
        with pytest.raises(Refused, match="mailto is no mail address"):
            stand_in.provider(mailto="{otp}@sms.example.org").send(message(text=text), soon())
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
        server = start(password=settings.get("mailpassword"))
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
        ("reply", "kind"), [("451 4.3.0 later", Unavailable), ("550 5.7.1 never", Refused)]
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
        one = MailStandIn(start("tls", "another"), certificate).provider()
        error = fails(Refused, one)
        assert error.out_of_order
        assert "AUTH: the mail server answered 535" in str(error)
        [problem] = one.check()
        assert problem.path == "providers.mail.identifier"
        assert problem.fault.startswith("smtp_servers.office.username: AUTH: ")

    def test_a_server_without_auth_puts_it_out_of_order(
        self, start: Any, certificate: Certificate
    ) -> None:
        given = old_form(start().port, mailuser=USER, mailpassword="ascii")
        assert fails(Refused, provider(given, certificate)).out_of_order

    def test_a_server_that_wants_a_login_puts_it_out_of_order(
        self, start: Any, certificate: Certificate
    ) -> None:
        one = provider(old_form(start(password=PASSWORD).port), certificate)
        assert fails(Refused, one).out_of_order

    def test_an_ascii_password_works_too(self, start: Any, certificate: Certificate) -> None:
        server = start("tls", "ascii")
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


class TestTls:
    @pytest.mark.parametrize("kind", ["tls", "starttls"])
    def test_the_mail_travels_under_tls(
        self, start: Any, certificate: Certificate, kind: str
    ) -> None:
        stand_in = MailStandIn(start(kind), certificate)
        stand_in.provider().send(message(), soon())
        assert stand_in.server.mails[0].secure

    @pytest.mark.parametrize("kind", ["tls", "starttls"])
    def test_a_certificate_of_a_stranger_is_not_accepted(
        self, start: Any, certificate: Certificate, foreign: Certificate, kind: str
    ) -> None:
        stand_in = MailStandIn(start(kind, certificate=foreign), certificate)
        error = fails(Unavailable, stand_in.provider())
        assert "certificate is not accepted: self-signed certificate" in str(error)
        assert stand_in.server.mails == []

    @pytest.mark.parametrize("kind", ["tls", "starttls"])
    def test_a_certificate_for_another_host_is_not_accepted(
        self, start: Any, foreign: Certificate, kind: str
    ) -> None:
        stand_in = MailStandIn(start(kind, certificate=foreign), foreign)
        one = stand_in.provider()
        assert "certificate is not valid for '127.0.0.1'" in str(fails(Unavailable, one))
        [problem] = one.check()
        assert "certificate is not valid" in problem.fault
        assert stand_in.server.mails == []

    def test_without_starttls_nothing_is_sent_in_the_clear(
        self, start: Any, certificate: Certificate
    ) -> None:
        server = start()
        error = fails(Refused, provider(old_form(server.port, tls="starttls"), certificate))
        assert error.out_of_order
        assert "does not offer STARTTLS" in str(error)
        assert server.mails == []

    def test_what_was_said_before_tls_does_not_count(
        self, peer: Any, certificate: Certificate
    ) -> None:
        # Someone in between adds a reply behind 220, to be read as if it came under TLS.
        commands: list[bytes] = []

        def talk(connection: socket.socket, _over: threading.Event) -> None:
            file = connection.makefile("rb")
            connection.sendall(b"220 mail\r\n")
            file.readline()
            connection.sendall(b"250-mail\r\n250 STARTTLS\r\n")
            file.readline()
            connection.sendall(b"220 go on\r\n250-injected\r\n250 AUTH PLAIN\r\n")
            with certificate.server_context().wrap_socket(connection, server_side=True) as secure:
                lines = secure.makefile("rb")
                commands.append(lines.readline()[:4])
                secure.sendall(b"250 mail\r\n")
                commands.append(lines.readline()[:4])
                secure.sendall(b"550 no\r\n")

        given = old_form(peer(talk).port, tls="starttls", ca_file=str(certificate.cert))
        given |= {"MAILUSER": USER, "MAILPASSWORD": PASSWORD}
        # AUTH was only offered in the clear, so it was not offered.
        assert "offers no way to log in" in str(fails(Refused, provider(given, certificate)))
        assert commands == [b"ehlo", b"QUIT"]

    def test_a_server_without_tls_on_a_tls_port_is_named(
        self, start: Any, certificate: Certificate
    ) -> None:
        one = provider(old_form(start().port, tls="tls"), certificate)
        assert "TLS failed: wrong version number" in str(fails(Unavailable, one))

    def test_a_file_of_authorities_that_is_not_there(self, certificate: Certificate) -> None:
        one = provider(old_form(closed_port(), tls="tls", ca_file="none.pem"), certificate)
        assert fails(Refused, one).out_of_order
        [problem] = one.check()
        assert str(problem) == (
            "providers.mail.ca_file: cannot read none.pem (No such file or directory); "
            "name a file of certificates (PEM)"
        )

    def test_a_file_of_authorities_that_holds_none(
        self, certificate: Certificate, tmp_path: Path
    ) -> None:
        (tmp_path / "ca.pem").write_text("nothing")
        given = old_form(closed_port(), tls="tls", ca_file=str(tmp_path / "ca.pem"))
        assert fails(Refused, provider(given, certificate)).out_of_order


class TestCheck:
    def test_a_password_in_the_clear_is_a_problem_unless_it_is_meant(
        self, certificate: Certificate
    ) -> None:
        entry = {"server": "192.0.2.1:25", "username": USER, "password": PASSWORD}
        assert validate_servers({"a": entry})["a"].sends_password_in_the_clear
        assert not validate_servers({"a": {**entry, "tls": "none"}})[
            "a"
        ].sends_password_in_the_clear
        near = {**entry, "server": "localhost"}
        assert not validate_servers({"a": near})["a"].sends_password_in_the_clear

    def test_nobody_listening(self, certificate: Certificate) -> None:
        [problem] = provider(old_form(closed_port()), certificate).check()
        assert problem.path == "providers.mail.mailserver"
        assert "connection refused" in problem.fault

    def test_a_server_that_is_none(self, peer: Any, certificate: Certificate) -> None:
        def talk(connection: socket.socket, _over: threading.Event) -> None:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        [problem] = provider(old_form(peer(talk).port), certificate).check()
        assert "greeting: the mail server answered -1" in problem.fault


class TestTimeLimit:
    """The limit is one for all of it, however slowly the server speaks."""

    STEPS = (b"220 mail\r\n", b"250 mail\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n")

    @pytest.mark.parametrize("steps", range(len(STEPS)))
    def test_a_server_that_drips_before_it_has_the_mail(
        self, peer: Any, certificate: Certificate, steps: int
    ) -> None:
        def talk(connection: socket.socket, over: threading.Event) -> None:
            file = connection.makefile("rb")
            for reply in self.STEPS[:steps]:
                connection.sendall(reply)
                file.readline()
            drip(connection, over)

        one = provider(old_form(peer(talk).port), certificate)
        kind = Unavailable
        assert "timed out" in str(fails(kind, one, seconds=0.4))

    def test_a_server_that_drips_after_it_has_the_mail(
        self, peer: Any, certificate: Certificate
    ) -> None:
        def talk(connection: socket.socket, over: threading.Event) -> None:
            file = connection.makefile("rb")
            for reply in self.STEPS:
                connection.sendall(reply)
                file.readline()
            while file.readline() != b".\r\n":
                pass
            drip(connection, over)

        one = provider(old_form(peer(talk).port, timeout=0.4), certificate)
        assert "no answer after the mail was sent (timed out)" in str(fails(Unknown, one))

    def test_a_server_that_hangs_up_after_it_has_the_mail(
        self, peer: Any, certificate: Certificate
    ) -> None:
        def talk(connection: socket.socket, _over: threading.Event) -> None:
            file = connection.makefile("rb")
            for reply in self.STEPS:
                connection.sendall(reply)
                file.readline()
            while file.readline() != b".\r\n":
                pass

        one = provider(old_form(peer(talk).port), certificate)
        assert "hung up" in str(fails(Unknown, one))

    def test_a_server_that_never_says_goodbye_changes_no_verdict(
        self, peer: Any, certificate: Certificate
    ) -> None:
        def talk(connection: socket.socket, over: threading.Event) -> None:
            file = connection.makefile("rb")
            for reply in self.STEPS:
                connection.sendall(reply)
                file.readline()
            while file.readline() != b".\r\n":
                pass
            connection.sendall(b"250 queued\r\n")
            over.wait(10)

        receipt = provider(old_form(peer(talk).port), certificate).send(message(), soon())
        assert receipt.message_id

    def test_a_server_that_never_stops_talking_is_cut_off(
        self, peer: Any, certificate: Certificate
    ) -> None:
        def talk(connection: socket.socket, _over: threading.Event) -> None:
            while True:
                connection.sendall(b"220-welcome\r\n" * 1000)

        one = provider(old_form(peer(talk).port), certificate)
        fails(Unavailable, one)

    def test_a_server_that_drips_its_part_of_the_handshake(
        self, peer: Any, certificate: Certificate
    ) -> None:
        def talk(connection: socket.socket, over: threading.Event) -> None:
            connection.recv(4096)
            connection.sendall(b"\x16\x03\x03\x40\x00")  # a TLS record of 16 KiB, which never ends
            drip(connection, over, b"\0")

        one = provider(old_form(peer(talk).port, tls="tls"), certificate)
        assert "timed out" in str(fails(Unavailable, one, seconds=0.4))


class TestSettings:
    def faults(self, **settings: Any) -> str:
        given = {"type": "smtp", "identifier": "office", "mailto": "a@example.org", **settings}
        with pytest.raises(ValidationError) as caught:
            Settings.model_validate(given)
        return str(caught.value)

    @pytest.mark.parametrize(
        ("entry", "expected"),
        [
            ({"server": "smtps://mail.example.org"}, ("mail.example.org", 465, "tls")),
            ({"server": "smtps://mail.example.org:1465"}, ("mail.example.org", 1465, "tls")),
            ({"server": "smtp+tls://mail.example.org/"}, ("mail.example.org", 587, "starttls")),
            ({"server": "smtp://mail.example.org"}, ("mail.example.org", 25, "none")),
            ({"server": "mail.example.org"}, ("mail.example.org", 25, "none")),
            ({"server": "mail.example.org:465"}, ("mail.example.org", 465, "tls")),
            ({"server": "mail", "starttls": True}, ("mail", 587, "starttls")),
            ({"server": "mail", "tls": True, "port": 25}, ("mail", 25, "starttls")),
            ({"server": "mail", "tls": "tls"}, ("mail", 465, "tls")),
            ({"server": "[::1]:2525", "tls": False}, ("::1", 2525, "none")),
        ],
    )
    def test_ways_to_write_a_server(self, entry: dict[str, Any], expected: tuple[Any, ...]) -> None:
        assert tuple(validate_servers({"a": entry})["a"].endpoint) == expected

    @pytest.mark.parametrize(
        ("entry", "where", "fault"),
        [
            ({"server": "http://a"}, "server", "is no address of a server"),
            ({"server": "a:b"}, "server", "is no address of a server"),
            ({"server": "smtp://a?x=1"}, "server", "is no address of a server"),
            ({"server": f"smtp://u:{PASSWORD}@a"}, "server", "settings of their own"),
            ({"server": "smtps://a", "tls": "none"}, "", "contradict"),
            ({"server": "a:25", "port": 26}, "", "contradict"),
            ({"server": "a", "username": "u"}, "", "or neither"),
            ({"server": "a", "sender": "nobody"}, "sender", "is no mail address"),
            ({"server": "a", "sender": "A\r\nB <a@b.c>"}, "sender", "is no mail address"),
            ({"server": "a", "pasword": PASSWORD}, "pasword", "not permitted"),
            ({}, "server", "Field required"),
        ],
    )
    def test_faults_of_an_entry_carry_their_path(
        self, entry: dict[str, Any], where: str, fault: str
    ) -> None:
        with pytest.raises(ValidationError) as caught:
            validate_servers({"good": {"server": "a"}, "office": entry})
        [error] = caught.value.errors()
        assert error["loc"] == (("office", where) if where else ("office",))
        assert fault in error["msg"]
        assert PASSWORD not in str(caught.value)

    def test_an_entry_of_privacyidea_pastes_unchanged(self) -> None:
        entry = {
            "description": "",
            "enqueue_job": False,
            "password": "",
            "port": 25,
            "sender": "",
            "server": "localhost",
            "timeout": 10,
            "tls": False,
            "username": "",
        }
        [server] = validate_servers({"office": entry}).values()
        assert tuple(server.endpoint) == ("localhost", 25, "none")
        assert server.username is None

    def test_passwords_do_not_show_in_repr(self) -> None:
        settings = Settings.model_validate(old_form(25, mailuser="u", mailpassword=PASSWORD))
        assert PASSWORD not in repr(settings)
        entry = {"server": "a", "username": "u", "password": PASSWORD}
        assert PASSWORD not in repr(validate_servers({"a": entry}))

    def test_one_server_has_to_be_named(self) -> None:
        assert "name the mail server" in self.faults(identifier=None)
        assert "name the mail server" in self.faults(mailserver="mail")

    def test_what_belongs_to_the_server_stands_there(self) -> None:
        faults = self.faults(mailuser="u", mailpassword="p")
        assert "mailuser, mailpassword: belongs into smtp_servers.office" in faults

    def test_contradictions_of_an_own_server_are_named(self) -> None:
        faults = self.faults(identifier="", mailserver="smtps://a", tls="starttls")
        assert "contradict each other" in faults

    @pytest.mark.parametrize("mailto", ["nobody", "a@b,", "a b@c", "<phone>", "{phone}@"])
    def test_an_address_that_cannot_be_one_is_refused(self, mailto: str) -> None:
        assert "is no mail address" in self.faults(mailto=mailto)

    def test_a_placeholder_that_is_none_is_refused(self) -> None:
        assert "{phon} is no placeholder" in self.faults(body="{phon}")

    @pytest.mark.parametrize("regexp", ["x", "/(/x/", r"/a/\1/"])
    def test_a_regexp_that_is_none_is_refused(self, regexp: str) -> None:
        assert "regexp" in self.faults(regexp=regexp)


def test_tls_contexts_verify(certificate: Certificate) -> None:
    from radius_smsotp.providers.connection import tls_context

    context = tls_context(certificate.cert)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
