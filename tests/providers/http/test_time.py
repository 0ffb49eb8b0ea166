"""The provider ``http``: time, memory and connections, whatever the gateway does."""

from __future__ import annotations

import socket
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import Refused, Unavailable, Unknown
from radius_smsotp.providers import Receipt
from radius_smsotp.providers.contract import message, soon
from radius_smsotp.providers.http import transport
from radius_smsotp.providers.http.provider import Provider
from tests.providers import gateway as gw
from tests.providers.gateway import Gateway
from tests.providers.http.http_tests import HttpTests, failure
from tests.providers.peers import Peer, closed_port

if TYPE_CHECKING:
    from collections.abc import Callable


class TestTimeLimit(HttpTests):
    """Whatever a gateway does, it costs a bounded time and a bounded amount of memory."""

    @pytest.mark.parametrize(
        "behaviour", [gw.stall, gw.dripping_headers, gw.dripping_body], ids=lambda b: b.__name__
    )
    @pytest.mark.parametrize("by", ["deadline", "timeout"])
    def test_an_answer_that_does_not_come_is_unknown(
        self,
        gateway: Gateway,
        build: Callable[..., Provider],
        behaviour: gw.Behaviour,
        by: str,
    ) -> None:
        gateway.behave = behaviour
        timeout, seconds = (0.4, 20.0) if by == "timeout" else (10.0, 0.4)
        provider = build(url=gateway.url, timeout=timeout)
        start = time.monotonic()
        error = failure(provider, seconds)
        assert type(error) is Unknown
        assert 0.4 <= time.monotonic() - start < 9  # the other one is longer

    @pytest.mark.parametrize(
        "behaviour",
        [gw.endless_headers, gw.endless_line, gw.endless_trailers],
        ids=lambda b: b.__name__,
    )
    def test_an_answer_without_end_is_unknown_and_takes_little_memory(
        self, gateway: Gateway, build: Callable[..., Provider], behaviour: gw.Behaviour
    ) -> None:
        gateway.behave = behaviour
        error, peak = self.peak(lambda: failure(build(url=gateway.url)))
        assert type(error) is Unknown
        assert "in time" not in str(error)
        assert peak < 8_000_000

    def test_a_huge_answer_is_judged_by_its_beginning_and_takes_little_memory(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        gateway.behave = gw.huge_body
        provider = build(url=gateway.url, return_success="ID")
        receipt, peak = self.peak(lambda: provider.send(message(), soon()))
        assert receipt == Receipt()
        assert peak < 8_000_000
        gateway.behave = gw.answers(200, "ID")
        assert provider.send(message(), soon()) == Receipt()

    def peak(self, action: Callable[[], Any]) -> tuple[Any, int]:
        tracemalloc.start()
        try:
            return action(), tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize(
        "behaviour",
        [
            gw.broken_body,
            gw.hang_up,
            lambda call: call.answer(200, "ID", Content_Length="junk"),
            lambda call: call.socket.sendall(b"what?\r\n\r\n") or call.hang_up(),
            lambda call: call.socket.sendall(b"HTTP/1.1 200 OK\r\n" + b"X" * 70000) or call.wait(),
        ],
        ids=["middle", "no answer", "length", "no HTTP", "long line"],
    )
    def test_an_answer_that_breaks_off_is_unknown(
        self, gateway: Gateway, build: Callable[..., Provider], behaviour: gw.Behaviour
    ) -> None:
        gateway.behave = behaviour
        assert type(failure(build(url=gateway.url, return_success="ID: "), 1)) is Unknown
        assert len(gateway.requests) == 1

    def test_a_length_too_long_is_unknown_when_the_time_is_over(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        gateway.behave = gw.answers(200, "ID: 1", Content_Length="500")
        assert type(failure(build(url=gateway.url), 0.4)) is Unknown

    def test_a_length_too_short_does_not_spoil_the_next_answer(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        provider = build(url=gateway.url, message_id_regex="ID: (.+)")
        gateway.behave = gw.answers(200, "ID: 1 and more" + "x" * 100_000, Content_Length="5")
        assert provider.send(message(1), soon()) == Receipt("1")
        gateway.behave = gw.answers(200, "ID: 2")
        assert provider.send(message(2), soon()) == Receipt("2")

    @pytest.mark.parametrize("status", [100, 102, 103])
    def test_an_answer_in_between_is_not_taken_for_the_answer(
        self, gateway: Gateway, build: Callable[..., Provider], status: int
    ) -> None:
        """RFC 9110 15.2; nor is the answer itself taken for that to the next message."""

        def hint(call: gw.Call) -> None:
            call.socket.sendall(b"HTTP/1.1 %d So Far\r\nLink: x\r\n\r\n" % status)
            call.gateway.over.wait(0.1)
            call.answer(200, f"ID: {len(gateway.requests)}")

        gateway.behave = hint
        provider = build(url=gateway.url, return_success="ID", message_id_regex="ID: (.+)")
        assert provider.send(message(1), soon()) == Receipt("1")
        assert provider.send(message(2), soon()) == Receipt("2")

    def test_a_refusal_that_breaks_off_is_still_a_refusal(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        gateway.behave = gw.answers(400, "no", Content_Length="500")
        assert isinstance(failure(build(url=gateway.url), 0.4), Refused)

    def test_a_port_that_does_not_take_connections_is_unavailable(
        self, build: Callable[..., Provider]
    ) -> None:
        with ExitStack() as stack:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            address = listener.getsockname()
            for _ in range(3):  # what does not fit into the backlog is not answered at all
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(address)
            error = failure(build(url=f"http://127.0.0.1:{address[1]}"), 0.4)
        assert type(error) is Unavailable

    def test_a_tls_handshake_that_does_not_end_is_unavailable(
        self, build: Callable[..., Provider]
    ) -> None:
        peer = Peer(lambda _, over: over.wait())
        try:
            error = failure(build(url=f"https://127.0.0.1:{peer.port}"), 0.4)
        finally:
            peer.stop()
        assert type(error) is Unavailable

    @pytest.mark.parametrize("host", ["127.0.0.1:{}", "no-such-host.invalid:{}", "a..b:{}"])
    def test_a_gateway_that_is_not_there_is_unavailable(
        self, build: Callable[..., Provider], host: str
    ) -> None:
        error = failure(build(url=f"http://{host.format(closed_port())}/"), 5)
        assert type(error) is Unavailable
        assert "the message was not sent" in str(error)


class TestConnections(HttpTests):
    """Connections are kept, and a kept one that went stale loses no message."""

    def test_one_connection_serves_many_messages(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        provider = build(url=gateway.url, http_method="POST")
        for number in range(3):
            provider.send(message(number), soon())
        assert gateway.connections == 1

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_a_connection_closed_meanwhile_is_replaced(
        self, gateway: Gateway, build: Callable[..., Provider], method: str
    ) -> None:
        provider = build(url=gateway.url, http_method=method)
        provider.send(message(1), soon())
        gateway.hang_up()
        provider.send(message(2), soon())
        assert len(gateway.requests) == 2
        assert gateway.connections == 2

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_a_kept_connection_closed_without_an_answer_is_replaced_once(
        self, gateway: Gateway, build: Callable[..., Provider], method: str
    ) -> None:
        def once_for_each_connection(call: gw.Call) -> None:
            numbers = [request.connection for request in gateway.requests]
            if numbers.count(call.request.connection) > 1:
                call.hang_up()
            call.answer(200, "ID")

        gateway.behave = once_for_each_connection
        provider = build(url=gateway.url, http_method=method)
        provider.send(message(1), soon())
        provider.send(message(2), soon())
        assert [request.connection for request in gateway.requests] == [1, 1, 2]

        gateway.behave = gw.hang_up
        assert type(failure(provider)) is Unknown
        assert [request.connection for request in gateway.requests] == [1, 1, 2, 2, 3]

    def test_after_one_stale_connection_no_other_kept_one_is_tried(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        both = threading.Barrier(2)

        def answer_two_at_once(call: gw.Call) -> None:
            both.wait(10)
            call.answer(200, "ID")

        gateway.behave = answer_two_at_once
        provider = build(url=gateway.url)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda n: provider.send(message(n), soon()), range(2)))
        assert gateway.connections == 2

        def only_on_a_fresh_one(call: gw.Call) -> None:
            if call.request.connection < 3:
                call.hang_up()
            call.answer(200, "ID")

        gateway.behave = only_on_a_fresh_one
        provider.send(message(2), soon())
        assert gateway.connections == 3
        assert len(gateway.requests) == 4

    def test_a_gateway_that_goes_when_it_has_read_the_message_is_unknown(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        provider = build(url=gateway.url)
        provider.send(message(1), soon())

        def go(call: gw.Call) -> None:
            gateway.refuse_connections()
            call.hang_up()

        gateway.behave = go
        assert type(failure(provider)) is Unknown

    def test_silence_on_a_kept_connection_is_not_sent_again(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        provider = build(url=gateway.url)
        provider.send(message(1), soon())
        gateway.behave = gw.stall
        assert type(failure(provider, 0.4)) is Unknown
        assert len(gateway.requests) == 2

    def test_a_connection_that_was_silent_for_long_is_not_used(
        self,
        gateway: Gateway,
        build: Callable[..., Provider],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        provider = build(url=gateway.url)
        provider.send(message(1), soon())
        monkeypatch.setattr(transport, "IDLE", 0.0)
        provider.send(message(2), soon())
        assert [request.connection for request in gateway.requests] == [1, 2]
