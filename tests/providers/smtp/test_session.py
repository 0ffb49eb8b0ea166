"""The provider ``smtp`` on the wire: TLS, and servers that speak slowly or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import Refused, Unavailable, Unknown
from radius_smsotp.providers.contract import message, soon
from tests.providers.peers import Certificate, Peer, closed_port, drip, make_certificate, starting
from tests.providers.smtp.mail_gateway import MailStandIn, fails, old_form, provider
from tests.providers.smtp.mail_server import PASSWORD, USER, MailServer

if TYPE_CHECKING:
    import socket
    import threading
    from collections.abc import Iterator, Sequence
    from pathlib import Path


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


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Valid, but for another host."""
    return make_certificate(tmp_path_factory.mktemp("foreign"), "DNS:mail.example.org")


def converse(connection: socket.socket, _over: threading.Event, steps: Sequence[bytes]) -> None:
    """Say one thing after the other: a line, or all of the mail, comes in between."""
    file = connection.makefile("rb")
    for reply in steps:
        connection.sendall(reply)
        if reply.startswith(b"354"):
            while file.readline() not in (b".\r\n", b""):
                pass
        else:
            file.readline()


class TestTls:
    @pytest.mark.parametrize("kind", ["tls", "starttls"])
    def test_the_mail_travels_under_tls(
        self, start: Any, certificate: Certificate, kind: str
    ) -> None:
        stand_in = MailStandIn(start(certificate, kind), certificate)
        stand_in.provider().send(message(), soon())
        assert stand_in.server.mails[0].secure

    @pytest.mark.parametrize("kind", ["tls", "starttls"])
    def test_a_certificate_of_a_stranger_is_not_accepted(
        self, start: Any, certificate: Certificate, foreign: Certificate, kind: str
    ) -> None:
        stand_in = MailStandIn(start(foreign, kind), certificate)
        error = fails(Unavailable, stand_in.provider())
        assert "certificate is not accepted: self-signed certificate" in str(error)
        assert stand_in.server.mails == []

    @pytest.mark.parametrize("kind", ["tls", "starttls"])
    def test_a_certificate_for_another_host_is_not_accepted(
        self, start: Any, foreign: Certificate, kind: str
    ) -> None:
        stand_in = MailStandIn(start(foreign, kind), foreign)
        one = stand_in.provider()
        assert "certificate is not valid for '127.0.0.1'" in str(fails(Unavailable, one))
        [problem] = one.check()
        assert "certificate is not valid" in problem.fault
        assert stand_in.server.mails == []

    def test_without_starttls_nothing_is_sent_in_the_clear(
        self, start: Any, certificate: Certificate
    ) -> None:
        server = start(certificate)
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
        one = provider(old_form(start(certificate).port, tls="tls"), certificate)
        assert "TLS failed: wrong version number" in str(fails(Unavailable, one))

    def test_a_file_of_authorities_that_is_not_there(self, certificate: Certificate) -> None:
        one = provider(old_form(closed_port(), tls="tls", ca_file="none.pem"), certificate)
        assert fails(Refused, one).out_of_order
        [problem] = one.check()
        none = certificate.cert.parent / "none.pem"
        assert problem.path == "providers.mail.ca_file"
        assert problem.fault == f"{none} cannot be used (no such file or directory)"

    def test_a_file_of_authorities_that_holds_none(
        self, certificate: Certificate, tmp_path: Path
    ) -> None:
        (tmp_path / "ca.pem").write_text("nothing")
        given = old_form(closed_port(), tls="tls", ca_file=str(tmp_path / "ca.pem"))
        assert fails(Refused, provider(given, certificate)).out_of_order


class TestLogin:
    def log(self, peer: Any, certificate: Certificate, offered: str, *replies: bytes) -> list[str]:
        """What is said to a server that answers like this, until we are logged in or hang up."""
        said: list[str] = []

        def talk(connection: socket.socket, _over: threading.Event) -> None:
            file = connection.makefile("rb")
            connection.sendall(b"220 mail\r\n")
            file.readline()
            connection.sendall(f"250-mail\r\n250 AUTH {offered}\r\n".encode())
            for reply in replies:
                said.append(file.readline().decode().strip())
                connection.sendall(reply + b"\r\n")
            said.append(file.readline().decode().strip())

        given = old_form(peer(talk).port, MAILUSER=USER, MAILPASSWORD=PASSWORD)
        fails(Unavailable if replies[-1][:1] == b"2" else Refused, provider(given, certificate))
        return said

    def test_a_server_that_has_only_hashes_is_told_the_password(
        self, peer: Any, certificate: Certificate
    ) -> None:
        replies = (b"334 PDE4OTYuNjk3MTcwOTUyQG1haWw+", b"535 no", b"235 yes")
        said = self.log(peer, certificate, "CRAM-MD5 PLAIN LOGIN", *replies)
        assert [line.partition(" ")[0] for line in said] == ["AUTH", said[1], "AUTH", "mail"]
        assert (said[0], said[2].split()[1]) == ("AUTH CRAM-MD5", "PLAIN")

    def test_a_wrong_password_is_tried_once(self, peer: Any, certificate: Certificate) -> None:
        said = self.log(peer, certificate, "LOGIN PLAIN", b"535 no")
        assert [line.split()[0] for line in said] == ["AUTH", "QUIT"]

    @pytest.mark.parametrize("challenges", [[b"334 e"], [b"334 dXNlcg=="] * 3])
    def test_a_conversation_that_leads_nowhere_is_ended(
        self, peer: Any, certificate: Certificate, challenges: list[bytes]
    ) -> None:
        """RFC 4954 4: with an asterisk."""
        said = self.log(peer, certificate, "LOGIN", *challenges, b"501 bye")
        assert said[len(challenges)] == "*"


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

        one = provider(old_form(peer(talk).port, timeout=1), certificate)
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

    @pytest.mark.parametrize("reply", [b"200 queued", b"251 will forward", b"299"])
    def test_a_reply_is_good_by_its_first_digit(
        self, peer: Any, certificate: Certificate, reply: bytes
    ) -> None:
        """RFC 5321 4.2: at every step.  A mail that was taken must not be sent twice."""
        said = reply + b"\r\n"
        steps = [b"220 mail\r\n", b"250 mail\r\n", said, said, b"354 go on\r\n", said]
        one = provider(old_form(peer(lambda *ends: converse(*ends, steps)).port), certificate)
        assert one.send(message(), soon()).message_id

    @pytest.mark.parametrize("reply", [b"queued as 4711", b"OK", b"\xff\xfe", b"354 more", b"42"])
    def test_a_reply_to_the_mail_that_is_none_is_unknown(
        self, peer: Any, certificate: Certificate, reply: bytes
    ) -> None:
        steps = [*self.STEPS, reply + b"\r\n"]
        one = provider(old_form(peer(lambda *ends: converse(*ends, steps)).port), certificate)
        fails(Unknown, one)

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
