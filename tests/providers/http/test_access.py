"""The provider ``http``: who the gateway is, and who we are."""

from __future__ import annotations

import fcntl
import os
import ssl
import subprocess
import sys
import termios
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import Refused, Unavailable
from radius_smsotp.providers import connection
from radius_smsotp.providers.contract import message, soon
from radius_smsotp.providers.http.provider import Provider
from tests.providers import gateway as gw
from tests.providers.gateway import Authority, Gateway
from tests.providers.http.http_tests import PASSWORD, HttpTests, failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class TestCredentials(HttpTests):
    """User name and password."""

    def test_basic_is_sent_at_once_and_in_utf8(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        gateway.behave = gw.basic("mé", PASSWORD + "€")
        build(url=gateway.url, username="mé", password=PASSWORD + "€").send(message(), soon())
        assert len(gateway.requests) == 1

    def test_they_may_stand_in_the_url_as_with_privacyidea(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        gateway.behave = gw.basic("me", "a:b@c")
        url = gateway.url.replace("://", "://me:a%3Ab%40c@")
        build(url=url).send(message(), soon())
        [request] = gateway.requests
        assert b"a%3Ab" not in request.raw

    def test_a_user_name_alone_is_sent_with_an_empty_password(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        gateway.behave = gw.basic("api-key", "")
        build(url=gateway.url, username="api-key").send(message(), soon())

    def test_a_wrong_password_puts_the_gateway_out_of_order(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        gateway.behave = gw.basic("me", "right")
        error = failure(build(url=gateway.url, username="me", password=PASSWORD))
        assert isinstance(error, Refused)
        assert error.out_of_order

    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
    def test_digest_answers_the_challenge_once_and_then_ahead_of_it(
        self, gateway: Gateway, build: Callable[..., Provider], method: str, algorithm: str
    ) -> None:
        gateway.behave = gw.digest("me", PASSWORD, algorithm)
        given = {"http_method": method, "username": "me", "password": PASSWORD}
        provider = build(url=f"{gateway.url}/a/b?c=d", auth="digest", **given)
        provider.send(message(1), soon())
        provider.send(message(2), soon())
        assert len(gateway.requests) == 3

    def test_digest_with_a_wrong_password_is_refused_after_two_requests(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        gateway.behave = gw.digest("me", "right")
        error = failure(build(url=gateway.url, username="me", password=PASSWORD, auth="digest"))
        assert isinstance(error, Refused)
        assert error.out_of_order
        assert len(gateway.requests) == 2

    @pytest.mark.parametrize(
        "challenge", ["Digest", 'Digest realm="x", nonce="y", algorithm=ROT13', "Digest \xff=,,"]
    )
    def test_a_challenge_that_cannot_be_answered_is_unavailable(
        self, gateway: Gateway, build: Callable[..., Provider], challenge: str
    ) -> None:
        gateway.behave = gw.answers(401, "no", WWW_Authenticate=challenge)
        error = failure(build(url=gateway.url, username="me", password=PASSWORD, auth="digest"))
        assert type(error) is Unavailable
        assert "digest authentication" in str(error)

    def test_the_body_that_comes_with_a_challenge_is_not_read(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        right = gw.digest("me", PASSWORD)

        def challenge_with_an_endless_body(call: gw.Call) -> None:
            if "authorization" in call.request.headers:
                right(call)
            fields = 'HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm="sms", nonce="n1", '
            fields += 'qop="auth", algorithm=SHA-256\r\nContent-Length: 999\r\n\r\n'
            call.socket.sendall(fields.encode())
            call.wait()

        gateway.behave = challenge_with_an_endless_body
        given = {"username": "me", "password": PASSWORD, "auth": "digest"}
        build(url=gateway.url, **given).send(message(), soon(5))

    def test_netrc_is_not_read(
        self,
        gateway: Gateway,
        build: Callable[..., Provider],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine localhost login me password other\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        build(url=gateway.url).send(message(), soon())
        assert "authorization" not in gateway.requests[0].headers


class TestTls(HttpTests):
    """Who the gateway is, and who we are."""

    @pytest.fixture
    def secure(self, authority: Authority) -> Iterator[Gateway]:
        with Gateway(tls=authority.server_context(authority.issue())) as running:
            yield running

    def test_a_private_ca_is_found_next_to_the_settings(
        self,
        secure: Gateway,
        build: Callable[..., Provider],
        authority: Authority,
        tmp_path: Path,
    ) -> None:
        (tmp_path / "ours.pem").write_bytes(authority.cert.read_bytes())
        provider = build(url=secure.url, ca_file="ours.pem")
        assert provider.check() == []
        provider.send(message(1), soon())
        provider.send(message(2), soon())
        assert secure.connections == 2  # one of them for check()

    def test_an_unknown_ca_is_unavailable_and_found_by_check(
        self, secure: Gateway, build: Callable[..., Provider]
    ) -> None:
        provider = build(url=secure.url)
        error = failure(provider)
        assert type(error) is Unavailable
        assert "certificate" in str(error)
        [problem] = provider.check()
        assert problem.path == "providers.sms.url"
        assert "certificate" in problem.fault
        assert "ca_file" in problem.remedy
        assert secure.requests == []

    def test_a_certificate_for_another_host_is_unavailable(
        self, build: Callable[..., Provider], authority: Authority
    ) -> None:
        other = authority.issue("DNS:sms.example.org")
        with Gateway(tls=authority.server_context(other)) as running:
            provider = build(url=running.url, ca_file=authority.cert)
            assert type(failure(provider)) is Unavailable
            assert len(provider.check()) == 1

    def test_check_ssl_no_takes_any_certificate(
        self, secure: Gateway, build: Callable[..., Provider], recwarn: pytest.WarningsRecorder
    ) -> None:
        provider = build(url=secure.url, check_ssl="no")
        provider.send(message(), soon())
        assert provider.check() == []
        assert not recwarn.list

    @pytest.mark.parametrize("files", [1, 2])
    def test_a_client_certificate_is_shown(
        self, build: Callable[..., Provider], authority: Authority, tmp_path: Path, files: int
    ) -> None:
        ours = authority.issue("DNS:us")
        given: dict[str, Any] = {"client_cert": ours.cert, "client_key": ours.key}
        if files == 1:
            both = tmp_path / "both.pem"
            both.write_bytes(ours.cert.read_bytes() + ours.key.read_bytes())
            given = {"client_cert": "both.pem"}
        context = authority.server_context(authority.issue(), ask=True)
        with Gateway(tls=context) as running:
            provider = build(url=running.url, ca_file=authority.cert, **given)
            assert provider.check() == []
            provider.send(message(), soon())

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_a_client_certificate_that_is_missing_is_unavailable(
        self, build: Callable[..., Provider], authority: Authority, method: str
    ) -> None:
        context = authority.server_context(authority.issue(), ask=True)
        with Gateway(tls=context) as running:
            provider = build(url=running.url, ca_file=authority.cert, http_method=method)
            assert type(failure(provider)) is Unavailable

    def test_a_key_with_a_passphrase_is_a_problem_and_not_a_prompt(
        self, build: Callable[..., Provider], authority: Authority, tmp_path: Path, secure: Gateway
    ) -> None:
        ours = authority.issue("DNS:us")
        locked = tmp_path / "locked.key"
        command = ["openssl", "pkey", "-in", ours.key, "-aes256", "-passout", "pass:x"]
        subprocess.run([*command, "-out", locked], check=True, capture_output=True)
        files = {"client_cert": ours.cert, "client_key": locked}
        provider = build(url=secure.url, ca_file=authority.cert, **files)
        [problem] = provider.check()
        assert problem.path == "providers.sms.client_cert"
        assert type(failure(provider)) is Unavailable

        # Where there is a terminal, OpenSSL would ask there and wait.
        code = f"""
            from pathlib import Path
            from radius_smsotp.providers.connection import tls_context
            try:
                tls_context(None, Path({str(ours.cert)!r}), Path({str(locked)!r}), verify=True)
            except OSError:
                print("refused")
        """
        master, terminal = os.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 -- as login does
        )
        os.close(terminal)
        try:
            assert os.read(master, 1000).strip() == b"refused"
        finally:
            process.kill()
            process.wait()
            os.close(master)

    def test_a_ca_file_that_cannot_be_read_is_a_problem(
        self, build: Callable[..., Provider], secure: Gateway
    ) -> None:
        provider = build(url=secure.url, ca_file="nowhere.pem")
        [problem] = provider.check()
        assert problem.path == "providers.sms.ca_file"
        assert type(failure(provider)) is Unavailable

    def test_the_context_is_safe_by_default(self, authority: Authority) -> None:
        context = connection.tls_context(authority.cert)
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
