"""The provider ``http``: the way to the gateway, through a proxy or not, and its check."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from radius_smsotp import providers
from radius_smsotp.errors import Unavailable
from radius_smsotp.providers.contract import PHONE, message, soon
from radius_smsotp.providers.http.provider import Provider
from tests.providers import gateway as gw
from tests.providers.gateway import Authority, Gateway
from tests.providers.http.http_tests import PASSWORD, HttpTests, failure
from tests.providers.peers import Peer, closed_port

if TYPE_CHECKING:
    from collections.abc import Callable


class TestProxy(HttpTests):
    """Only the proxies of the settings count."""

    def test_http_goes_through_the_proxy_with_its_password(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        proxy = gateway.url.replace("://", f"://me:{PASSWORD}@")
        url = "http://sms.example.org/send"
        provider = build(url=url, proxy=proxy)
        assert provider.check() == []
        provider.send(message(), soon())
        [request] = gateway.requests
        assert request.target.startswith("http://sms.example.org/send?to=")
        assert request.headers["proxy-authorization"].startswith("Basic ")

    def test_a_proxy_that_repeats_its_password_is_not_quoted(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        """As it came, in base64 (RFC 7617 2)."""
        gateway.behave = lambda call: call.answer(407, call.request.headers["proxy-authorization"])
        proxy = gateway.url.replace("://", "://me:p%40ss@")
        told = str(failure(build(url="http://sms.example.org/send", proxy=proxy)))
        assert told == "the gateway answered 407: Basic ***"

    @pytest.mark.parametrize("setting", ["proxy", "https_proxy"])
    def test_https_goes_through_a_tunnel(
        self, build: Callable[..., Provider], authority: Authority, setting: str
    ) -> None:
        with (
            Gateway(gw.proxy) as proxy,
            Gateway(tls=authority.server_context(authority.issue())) as gateway,
        ):
            given = {setting: f"localhost:{proxy.port}", "http_proxy": "http://192.0.2.1:1"}
            provider = build(url=gateway.url, ca_file=authority.cert, **given)
            assert provider.check() == []
            provider.send(message(1), soon())
            provider.send(message(2), soon())
            assert [request.method for request in proxy.requests] == ["CONNECT"]
            assert PHONE[1:].encode() not in proxy.requests[0].raw
            assert len(gateway.requests) == 2
            provider.close()

    @pytest.mark.parametrize(
        ("behaviour", "told"),
        [
            (gw.answers(407, "who?"), "the proxy answered 407"),
            (gw.stall, "timed out"),
            (gw.dripping_headers, "timed out"),
        ],
    )
    def test_a_proxy_that_makes_no_tunnel_is_unavailable(
        self, build: Callable[..., Provider], behaviour: gw.Behaviour, told: str
    ) -> None:
        with Gateway(behaviour) as proxy:
            error = failure(build(url="https://sms.example.org", proxy=proxy.url), 0.5)
        assert type(error) is Unavailable
        assert told in str(error)

    def test_the_time_limit_holds_for_tunnel_and_handshake_together(
        self, build: Callable[..., Provider]
    ) -> None:
        def late(call: gw.Call) -> None:
            call.gateway.over.wait(2.4)
            call.socket.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            call.wait()

        with Gateway(late) as proxy:
            start = time.monotonic()
            error = failure(build(url="https://sms.example.org", proxy=proxy.url), 2.5)
            assert type(error) is Unavailable
            assert time.monotonic() - start < 4.5

    def test_a_proxy_that_is_not_there_is_found_by_check(
        self, build: Callable[..., Provider]
    ) -> None:
        proxy = f"http://me:{PASSWORD}@127.0.0.1:{closed_port()}"
        [problem] = build(url="https://sms.example.org", https_proxy=proxy).check()
        assert problem.path == "providers.sms.https_proxy"
        assert PASSWORD not in str(problem)

    def test_the_environment_does_not_count(
        self,
        gateway: Gateway,
        build: Callable[..., Provider],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, "http://192.0.2.1:1")
            monkeypatch.setenv(name.upper(), "http://192.0.2.1:1")
        monkeypatch.setenv("no_proxy", "")
        build(url=gateway.url).send(message(), soon())
        assert gateway.requests[0].target.startswith("/?to=")


class TestCheck(HttpTests):
    """`check` sends nothing; what it finds says where, what and what to do."""

    @pytest.mark.parametrize("host", ["127.0.0.1:{}", "no-such-host.invalid:{}", "a..b:{}"])
    def test_a_gateway_that_is_not_there_is_a_problem(
        self, build: Callable[..., Provider], host: str
    ) -> None:
        url = f"http://me:{PASSWORD}@{host.format(closed_port())}/"
        [problem] = build(url=url).check()
        assert problem.path == "providers.sms.url"
        assert problem.fault.startswith("cannot connect to ")
        assert problem.remedy
        assert PASSWORD not in str(problem)

    def test_a_gateway_that_does_not_finish_tls_does_not_hold_it_up(
        self, build: Callable[..., Provider], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert providers.CHECK_SECONDS < 5
        monkeypatch.setattr(providers, "CHECK_SECONDS", 0.3)
        peer = Peer(lambda _, over: over.wait())
        try:
            [problem] = build(url=f"https://127.0.0.1:{peer.port}").check()
        finally:
            peer.stop()
        assert "timed out" in problem.fault

    def test_a_gateway_without_tls_is_a_problem_where_tls_is_meant(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        url = gateway.url.replace("http:", "https:")
        gateway.behave = gw.hang_up
        peer = Peer(lambda sock, _: sock.sendall(b"220 not TLS\r\n"))
        try:
            [problem] = build(url=url.replace(str(gateway.port), str(peer.port))).check()
        finally:
            peer.stop()
        assert problem.fault.startswith("no TLS with localhost")
