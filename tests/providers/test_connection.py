"""Connections that end at a deadline, whatever the other side does."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.providers import connection
from radius_smsotp.providers.contract import soon
from tests.providers.peers import Certificate, Peer, closed_port, drip, make_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def dripping() -> Iterator[Peer]:
    peer = Peer(drip)
    yield peer
    peer.stop()


def test_a_file_read_from_it_ends_at_the_deadline(dripping: Peer) -> None:
    one = connection.connect("127.0.0.1", dripping.port, soon(0.3))
    with one, pytest.raises(TimeoutError), one.makefile("rb") as file:
        file.readline()


def test_writing_ends_at_the_deadline_too() -> None:
    def talk(_client: socket.socket, over: threading.Event) -> None:
        over.wait(10)

    peer = Peer(talk)
    try:
        one = connection.connect("127.0.0.1", peer.port, soon(0.3))
        with one, pytest.raises(TimeoutError):
            one.sendall(b"x" * 50_000_000)
    finally:
        peer.stop()


def test_no_more_is_read_than_is_allowed() -> None:
    def talk(client: socket.socket, _over: threading.Event) -> None:
        client.sendall(b"x" * (connection.MOST + 1))

    peer = Peer(talk)
    try:
        one = connection.connect("127.0.0.1", peer.port, soon())
        with one, pytest.raises(ConnectionError, match="too long"), one.makefile("rb") as file:
            file.read()
    finally:
        peer.stop()


def test_under_tls_both_limits_hold_as_well(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)

    def talk(client: socket.socket, over: threading.Event) -> None:
        with certificate.server_context().wrap_socket(client, server_side=True) as secure:
            drip(secure, over)

    peer = Peer(talk)
    context = connection.tls_context(certificate.cert)
    try:
        plain = connection.connect("localhost", peer.port, soon(1))
        with connection.secure(plain, "localhost", context) as one:
            assert one.allowance == connection.MOST
            with pytest.raises(TimeoutError), one.makefile("rb") as file:
                file.readline()
    finally:
        peer.stop()


def test_certificate_and_host_name_are_checked(tmp_path: Path) -> None:
    certificate: Certificate = make_certificate(tmp_path)
    context = connection.tls_context(certificate.cert)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_the_same_certificates_are_read_once_and_again_when_they_change(tmp_path: Path) -> None:
    path = make_certificate(tmp_path).cert
    context = connection.tls_context(path)
    assert connection.tls_context(path) is context
    other = tmp_path / "other"
    other.mkdir()
    path.write_bytes(make_certificate(other).cert.read_bytes())
    renewed = connection.tls_context(path)
    assert renewed is not context
    assert renewed.get_ca_certs() != context.get_ca_certs()
    path.unlink()
    with pytest.raises(FileNotFoundError):
        connection.tls_context(path)


def test_an_address_that_refuses_leaves_the_turn_to_the_next(
    monkeypatch: pytest.MonkeyPatch, dripping: Peer
) -> None:
    addresses = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", closed_port())),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", dripping.port)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    connection.connect("two.example", 0, soon()).close()
    del addresses[1]
    with pytest.raises(ConnectionRefusedError):
        connection.connect("one.example", 0, soon())


@pytest.fixture
def mute() -> Iterator[int]:
    """A port that answers nobody, as an address does to which there is no way."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # what does not fit into the backlog is not answered at all
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_an_address_that_is_mute_holds_up_the_next_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch, dripping: Peer, mute: int
) -> None:
    """IPv6 without a way out is common, and its addresses come first (RFC 8305 5)."""
    addresses = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        for port in (mute, mute, dripping.port)
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    began = time.monotonic()
    with connection.connect("three.example", 0, soon(20)) as one:
        assert one.getpeername()[1] == dripping.port
    assert time.monotonic() - began < 10
    del addresses[2]
    with pytest.raises(TimeoutError):
        connection.connect("two.example", 0, soon(0.5))


def test_an_address_that_answers_late_is_taken_all_the_same(
    monkeypatch: pytest.MonkeyPatch, dripping: Peer
) -> None:
    """Those that have not answered yet go on while the next ones get their chance."""
    monkeypatch.setattr(connection, "NEXT_AFTER", 0.0)
    addresses = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        for port in (dripping.port, closed_port(), closed_port())
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    with connection.connect("three.example", 0, soon(20)) as one:
        assert one.getpeername()[1] == dripping.port


def test_an_address_that_this_host_knows_no_sockets_for_leaves_the_turn_to_the_next(
    monkeypatch: pytest.MonkeyPatch, dripping: Peer
) -> None:
    """IPv6, where the kernel has none (ipv6.disable=1) or a sandbox forbids it."""
    addresses = [
        (socket.AF_APPLETALK, socket.SOCK_STREAM, 6, "", ("::1", dripping.port, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", dripping.port)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    connection.connect("both.example", 0, soon()).close()


def test_a_name_server_that_does_not_answer_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = threading.Event()

    def wait(*_: object, **__: object) -> list[object]:
        answer.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    try:
        with pytest.raises(TimeoutError, match="no name server answered"):
            connection.connect("slow.example", 25, soon(0.2))
    finally:
        answer.set()


def test_a_deadline_that_has_passed_connects_to_nobody(dripping: Peer) -> None:
    with pytest.raises(TimeoutError):
        connection.connect("127.0.0.1", dripping.port, time.monotonic() - 1)
    assert dripping.seen == 0


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".example", "nowhere.invalid"])
def test_a_name_that_is_none_is_an_oserror(name: str) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011  # its text is the resolver's
        connection.connect(name, 25, soon())
    assert connection.reason(caught.value)
