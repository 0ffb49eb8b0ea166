"""The provider ``sipgate``: real HTTPS, with an XML-RPC parser at the other end."""

from __future__ import annotations

import base64
import select
import socket
import tracemalloc
import xmlrpc.client
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from pydantic import ValidationError

from radius_smsotp.errors import Busy, DeliveryError, Refused, Unavailable, Unknown
from radius_smsotp.providers.contract import CODE, PHONE, ProviderContract, message, soon
from radius_smsotp.providers.sipgate import Provider, Settings
from tests.providers.peers import (
    Certificate,
    Peer,
    closed_port,
    drip,
    make_certificate,
    starting,
)
from tests.providers.sipgate_server import BASIC, PASSWORD, USER, Sipgate, struct

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def stand_in(certificate: Certificate) -> Iterator[Sipgate]:
    sipgate = Sipgate(certificate)
    yield sipgate
    sipgate.stop()


@pytest.fixture
def peer() -> Iterator[Any]:
    """Starts servers that speak as a test says."""
    with starting(Peer) as start:
        yield start


class TestContract(ProviderContract):
    pass


def fails(kind: type[DeliveryError], provider: Provider, seconds: float = 20.0) -> Any:
    """The error that a message ends with, after a look at what it tells."""
    with pytest.raises(kind) as caught:
        provider.send(message(), soon(seconds))
    provider.close()
    assert type(caught.value) is kind
    assert caught.value.__cause__ is None
    for secret in (CODE, PHONE[1:], PASSWORD, BASIC.removeprefix("Basic ")):
        assert secret not in str(caught.value)
    return caught.value


class TestRequest:
    def test_it_is_the_call_that_sipgate_describes(self, stand_in: Sipgate) -> None:
        receipt = stand_in.provider().send(message(), soon())
        assert stand_in.calls == [
            (
                "samurai.SessionInitiate",
                {
                    "RemoteUri": "sip:491701234567@sipgate.net",
                    "TOS": "text",
                    "Content": message().text,
                },
            )
        ]
        assert stand_in.headers[0]["Content-Type"] == "text/xml"
        assert receipt.message_id == "4F00BA"

    def test_the_domain_of_privacyidea_can_be_had(self, stand_in: Sipgate) -> None:
        stand_in.provider(domain="sipgate.de").send(message(), soon())
        assert stand_in.calls[0][1]["RemoteUri"] == "sip:491701234567@sipgate.de"

    @pytest.mark.parametrize(
        "text",
        ["</string></value> & <b> ]]> &amp;", "Grüße, 5 €, 日本, 😀", "a\nb", "'\"", ""],
    )
    def test_any_text_arrives_as_it_is(self, stand_in: Sipgate, text: str) -> None:
        stand_in.provider().send(message(text=text), soon())
        assert stand_in.received()[0][1] == text

    def test_characters_that_xml_cannot_hold_are_left_out(self, stand_in: Sipgate) -> None:
        stand_in.provider().send(message(text="a\0b\x1bc\ud800d\ufffee"), soon())
        assert stand_in.received()[0][1] == "abc?de"

    def test_credentials_of_the_environment_are_not_used(
        self, stand_in: Sipgate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
        stand_in.provider().send(message(), soon())
        assert stand_in.headers[0]["Authorization"] == BASIC

    def test_a_proxy_is_used_with_its_password(self, stand_in: Sipgate, peer: Any) -> None:
        asked: list[bytes] = []
        proxy = peer(lambda client, over: tunnel(client, over, asked))
        provider = stand_in.provider(PROXY=f"http://me:open-sesame@127.0.0.1:{proxy.port}")
        provider.send(message(), soon())
        provider.close()
        [request] = asked
        assert request.startswith(b"CONNECT localhost:%d HTTP/1." % stand_in.port)
        assert b"Basic " + base64.b64encode(b"me:open-sesame") in request
        assert len(stand_in.received()) == 1

    def test_a_proxy_that_refuses_is_unavailable(self, stand_in: Sipgate, peer: Any) -> None:
        def talk(client: socket.socket, _over: threading.Event) -> None:
            client.recv(4096)
            client.sendall(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")

        provider = stand_in.provider(proxy=f"http://me:open-sesame@127.0.0.1:{peer(talk).port}")
        error = fails(Unavailable, provider)
        assert "the proxy answered 407" in str(error)
        assert "open-sesame" not in str(error)
        [problem] = provider.check()
        assert problem.path == "providers.sms.proxy"


def tunnel(client: socket.socket, over: threading.Event, asked: list[bytes]) -> None:
    """A proxy that lets one client through, to where it wants to go."""
    request = client.recv(4096)
    asked.append(request)
    host, _, port = request.split()[1].decode().partition(":")
    with socket.create_connection((host, int(port))) as server:
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        ways = {client: server, server: client}
        while not over.is_set():
            for readable in select.select([*ways], [], [], 0.05)[0]:
                chunk = readable.recv(65536)
                if not chunk:
                    return
                ways[readable].sendall(chunk)


class TestVerdicts:
    def test_a_fault_is_named(self, stand_in: Sipgate) -> None:
        fault = xmlrpc.client.Fault(508, f"{PHONE} is not valid E.164")
        stand_in.answer = lambda _: (200, {}, xmlrpc.client.dumps(fault).encode())
        error = fails(Refused, stand_in.provider())
        assert str(error) == "sipgate refused with fault 508: *** is not valid E.164"

    @pytest.mark.parametrize("code", [407, "407"])
    def test_a_status_code_is_named(self, stand_in: Sipgate, code: int | str) -> None:
        answer = struct(StatusCode=code, StatusString=f"Invalid value: {PHONE[1:]}")
        stand_in.answer = lambda _: (200, {}, answer)
        error = fails(Refused, stand_in.provider())
        assert str(error) == "sipgate refused with status 407: Invalid value: ***"
        assert not error.out_of_order

    @pytest.mark.parametrize(("code", "kind"), [(402, Unavailable), (404, Busy), (412, Busy)])
    def test_what_passes_is_no_refusal(
        self, stand_in: Sipgate, code: int, kind: type[DeliveryError]
    ) -> None:
        """Internal error, resources exceeded, too many requests; as status or as fault."""
        fault = xmlrpc.client.dumps(xmlrpc.client.Fault(code, "later")).encode()
        for body in (struct(StatusCode=code, StatusString="later"), fault):
            stand_in.answer = lambda _, body=body: (200, {}, body)
            assert f"{code}: later" in str(fails(kind, stand_in.provider()))

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_wrong_password_puts_it_out_of_order(self, stand_in: Sipgate, status: int) -> None:
        stand_in.answer = lambda _: (status, {}, BASIC.encode())
        provider = stand_in.provider()
        assert fails(Refused, provider).out_of_order
        [problem] = provider.check()
        assert problem.path == "providers.sms.username"
        assert str(status) in problem.fault

    def test_the_real_answer_to_a_wrong_password_tells_nothing(self, stand_in: Sipgate) -> None:
        error = fails(Refused, stand_in.provider(password=PASSWORD + "x"))
        assert error.out_of_order
        assert str(error) == "the gateway answered 401: no Basic ***"

    @pytest.mark.parametrize("status", [400, 404, 410])
    def test_other_objections_are_refused(self, stand_in: Sipgate, status: int) -> None:
        stand_in.answer = lambda _: (status, {}, b"no")
        assert not fails(Refused, stand_in.provider()).out_of_order

    @pytest.mark.parametrize("status", [500, 502, 503])
    def test_out_of_service_for_a_known_time_is_busy(self, stand_in: Sipgate, status: int) -> None:
        stand_in.answer = lambda _: (status, {"Retry-After": "7"}, b"")
        assert fails(Busy, stand_in.provider()).retry_after == 7

    def test_a_redirect_is_not_followed(self, stand_in: Sipgate, peer: Any) -> None:
        elsewhere = peer(lambda *_: None)
        there = {"Location": f"http://127.0.0.1:{elsewhere.port}/"}
        stand_in.answer = lambda _: (307, there, b"")
        assert "redirects" in str(fails(Refused, stand_in.provider()))
        assert elsewhere.seen == 0

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"<html>Welcome</html>",
            b"<methodResponse><params><param><value>",
            struct(SessionID="1"),
            xmlrpc.client.dumps((5,), methodresponse=True).encode(),
            xmlrpc.client.dumps(("x",), methodresponse=True).encode(),
            struct(StatusCode="<int>"),
            b"<methodResponse><params><param><value><int>%s</int></value>" % (b"9" * 60_000),
            b"<value>" * 9_000,
            f"<x>{PHONE} {CODE}".encode(),
        ],
    )
    def test_what_cannot_be_understood_is_unknown(self, stand_in: Sipgate, answer: bytes) -> None:
        stand_in.answer = lambda _: (200, {}, answer)
        fails(Unknown, stand_in.provider())

    def test_entities_are_not_expanded(self, stand_in: Sipgate) -> None:
        levels = [f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 7)]
        bomb = '<!DOCTYPE x [<!ENTITY e0 "0123456789">' + "".join(levels) + "]><x>&e6;</x>"
        stand_in.answer = lambda _: (200, {}, bomb.encode())
        provider = stand_in.provider()
        tracemalloc.start()
        try:
            assert "cannot be understood" in str(fails(Unknown, provider))
            assert tracemalloc.get_traced_memory()[1] < 5_000_000
        finally:
            tracemalloc.stop()

    def test_an_answer_without_end_is_not_read_to_the_end(self, stand_in: Sipgate) -> None:
        stand_in.answer = lambda _: (200, {}, b"<x>" + b" " * 50_000_000)
        fails(Unknown, stand_in.provider())

    def test_nobody_listening_is_unavailable(self, stand_in: Sipgate) -> None:
        provider = stand_in.provider(url=f"https://localhost:{closed_port()}/")
        assert "connection refused" in str(fails(Unavailable, provider))
        [problem] = provider.check()
        assert problem.path == "providers.sms.url"

    def test_a_session_without_an_id_has_no_name(self, stand_in: Sipgate) -> None:
        stand_in.answer = lambda _: (200, {}, struct(StatusCode=200))
        assert stand_in.provider().send(message(), soon()).message_id is None


class TestTls:
    def test_a_certificate_of_a_stranger_is_not_accepted(self, stand_in: Sipgate) -> None:
        provider = stand_in.provider(ca_file=None)
        assert "certificate" in str(fails(Unavailable, provider))
        assert stand_in.calls == []

    def test_a_certificate_for_another_host_is_not_accepted(
        self, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        other = make_certificate(tmp_path_factory.mktemp("other"), "DNS:samurai.sipgate.net")
        sipgate = Sipgate(other)
        try:
            assert "not valid for 'localhost'" in str(fails(Unavailable, sipgate.provider()))
        finally:
            sipgate.stop()

    def test_a_file_of_authorities_that_is_not_there_is_named(self, stand_in: Sipgate) -> None:
        provider = stand_in.provider(ca_file="none.pem")
        fails(Unavailable, provider)
        [problem] = provider.check()
        assert problem.path == "providers.sms.ca_file"


class TestTimeLimit:
    def test_an_answer_that_drips_ends_at_the_time_limit(
        self, peer: Any, certificate: Certificate, stand_in: Sipgate
    ) -> None:
        def talk(client: socket.socket, over: threading.Event) -> None:
            with certificate.server_context().wrap_socket(client, server_side=True) as secure:
                secure.settimeout(10)
                secure.recv(65536)
                secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
                drip(secure, over, b"<")

        provider = stand_in.provider(url=f"https://localhost:{peer(talk).port}/", timeout=1)
        fails(Unknown, provider)

    def test_a_handshake_that_drips_ends_at_the_time_limit(
        self, peer: Any, stand_in: Sipgate
    ) -> None:
        def talk(client: socket.socket, over: threading.Event) -> None:
            client.recv(4096)
            client.sendall(b"\x16\x03\x03\x40\x00")  # a TLS record of 16 KiB, which never ends
            drip(client, over, b"\0")

        provider = stand_in.provider(url=f"https://localhost:{peer(talk).port}/")
        fails(Unavailable, provider, seconds=0.5)


class TestCheck:
    def test_it_logs_in_and_sends_nothing(self, stand_in: Sipgate) -> None:
        assert stand_in.provider().check() == []
        assert stand_in.calls == [("samurai.BalanceGet", None)]

    def test_an_account_that_may_not_ask_for_its_balance_is_no_problem(
        self, stand_in: Sipgate
    ) -> None:
        fault = xmlrpc.client.Fault(400, "Method not supported")
        stand_in.answer = lambda _: (200, {}, xmlrpc.client.dumps(fault).encode())
        assert stand_in.provider().check() == []

    def test_something_else_at_this_address_is_a_problem(self, stand_in: Sipgate) -> None:
        stand_in.answer = lambda _: (200, {}, b"<html>Welcome</html>")
        [problem] = stand_in.provider().check()
        assert problem.path == "providers.sms.url"
        assert "cannot be understood: <html>Welcome</html>" in problem.fault


class TestSettings:
    GIVEN: ClassVar = {"type": "sipgate", "username": USER, "password": PASSWORD}

    def test_a_gateway_of_privacyidea_pastes_unchanged(self) -> None:
        settings = Settings.model_validate(
            {"type": "sipgate", "USERNAME": USER, "PASSWORD": PASSWORD, "PROXY": ""}
        )
        assert settings.url == "https://samurai.sipgate.net/RPC2"
        assert settings.proxy is None

    @pytest.mark.parametrize(
        ("setting", "value", "fault"),
        [
            ("url", "samurai.sipgate.net", "does not begin with http:// or https://"),
            ("url", "ftp://samurai.sipgate.net", "does not begin with http:// or https://"),
            ("url", f"https://me:{PASSWORD[:4]}@sipgate.net/", "settings of their own"),
            ("proxy", "http://proxy:port", "has no usable host and port"),
            ("domain", "sipgate.net/x", "should match pattern"),
            ("username", "", "Field required"),
            ("password", "", "Field required"),
        ],
    )
    def test_faults_name_their_setting(self, setting: str, value: str, fault: str) -> None:
        with pytest.raises(ValidationError) as caught:
            Settings.model_validate({**self.GIVEN, setting: value})
        [error] = caught.value.errors()
        assert error["loc"] == (setting,)
        assert fault in error["msg"]
        assert not value or value not in str(caught.value)

    def test_passwords_do_not_show_in_repr(self) -> None:
        proxy = "http://me:open-sesame@proxy:3128"
        settings = Settings.model_validate({**self.GIVEN, "proxy": proxy})
        assert PASSWORD not in repr(settings)
        assert "open-sesame" not in repr(settings)
