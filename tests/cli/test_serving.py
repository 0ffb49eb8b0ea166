"""The HTTP server of ``smsotp receiver`` and ``smsotp exporter``, and who is slow or strange."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.cli import serving
from radius_smsotp.cli.serving import Request, Response, Serving
from radius_smsotp.errors import SmsotpError
from tests.providers.peers import make_certificate
from tests.support.site import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


class Ending(threading.Event):
    """The end, when a test says so."""

    def look(self) -> bool:
        return self.wait(0.01)


@contextlib.contextmanager
def running(answer: Callable[[Request], Response], *files: Path) -> Iterator[tuple[str, int]]:
    """A server.  Yields host and port."""
    server, ending = Serving(answer, ("127.0.0.1", 0), *files), Ending()
    thread = threading.Thread(target=server.until, args=(ending,))
    thread.start()
    host, _, port = server.place.rpartition("/")[2].partition(":")
    try:
        yield host, int(port)
    finally:
        ending.set()
        thread.join(30)
    assert not thread.is_alive()


def echo(request: Request) -> Response:
    """Say what came."""
    told = f"{request.method} {request.path}?{request.query} {len(request.body)}"
    return Response(200, f"{told} {request.headers.get('x-one')}".encode())


def ask(place: tuple[str, int], method: str = "GET", path: str = "/", **more: object) -> bytes:
    """Ask, and read the whole answer."""
    connection = http.client.HTTPConnection(*place, timeout=30)
    connection.request(method, path, **more)  # type: ignore[arg-type]
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return f"{answer.status} ".encode() + body


def test_what_comes_is_handed_on_as_it_was_sent() -> None:
    """Nothing is unescaped: a signature may be over it."""
    with running(echo) as place:
        told = ask(place, "POST", "/a%2Fb/c?x=%31&y", body="1234", headers={"X-One": "two"})
        assert told == b"200 POST /a%2Fb/c?x=%31&y 4 two"
        assert ask(place) == b"200 GET /? 0 None"


def test_bodies_have_an_end() -> None:
    """Also those that do not say how long they are."""
    with running(echo) as place:
        longest = b"x" * serving.BODY
        assert ask(place, "POST", body=longest).startswith(b"200")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            assert ask(place, "POST", body=longest + b"x").startswith(b"413")

        def forever() -> Iterator[bytes]:
            while True:
                yield longest

        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            ask(place, "POST", body=forever(), encode_chunked=True)
        assert ask(place) == b"200 GET /? 0 None"


@pytest.mark.parametrize(
    "said", [b"", b"POST /", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab"]
)
def test_who_is_slow_holds_up_nobody_and_is_left(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whichever part of a request it stops."""
    monkeypatch.setattr(serving, "LONGEST", 1.5)
    with running(echo) as place, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(place, 30)) for _ in range(40)]
        for one in slow:
            one.sendall(said)
        assert ask(place) == b"200 GET /? 0 None"
        for one in slow:
            with contextlib.suppress(ConnectionResetError):
                assert one.recv(1) == b""


def test_there_are_not_more_connections_than_can_be_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One more is closed at once; when one has gone, another may come."""
    monkeypatch.setattr(serving, "CONNECTIONS", 3)
    with running(echo) as place:
        held = [socket.create_connection(place, 30) for _ in range(3)]
        for one in held:
            one.sendall(b"G")

        def refused() -> bool:
            with socket.create_connection(place, 30) as more:
                try:
                    more.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    return more.recv(1) == b""
                except ConnectionError:
                    return True

        eventually(refused)
        held.pop().close()
        eventually(lambda: not refused())
        for one in held:
            one.close()


def test_one_that_works_long_does_not_keep_the_others() -> None:
    """As long as there are threads, and then they wait their turn."""
    gate, begun = threading.Event(), threading.Semaphore(0)

    def answer(request: Request) -> Response:
        if request.path == "/slow":
            begun.release()
            gate.wait(30)
        return Response(200)

    with running(answer) as place, ThreadPoolExecutor(serving.THREADS) as pool:
        slow = [pool.submit(ask, place, "GET", "/slow") for _ in range(serving.THREADS - 1)]
        for _ in slow:
            assert begun.acquire(timeout=30)
        assert ask(place) == b"200 "
        gate.set()
        assert [one.result(30) for one in slow] == [b"200 "] * len(slow)


def test_what_is_not_http_and_errors_are_answers(caplog: pytest.LogCaptureFixture) -> None:
    """And nothing of a request gets into the log."""

    def fail(_: Request) -> Response:
        raise ValueError("secret 739154")

    with running(fail) as place:
        assert ask(place, path="/739154") == b"500 "
        with socket.create_connection(place, 30) as other:
            other.sendall(b"\x16\x03\x01 739154\r\n\r\n")
            assert other.recv(100).startswith(b"HTTP/1.1 400")
        assert ask(place) == b"500 "
    assert "ValueError" in caplog.text
    assert "739154" not in caplog.text


def test_tls_with_a_certificate_that_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a new start; and who does not speak TLS holds up nobody."""
    monkeypatch.setattr(serving, "LOOK_SECONDS", 0.05)
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    old, new = (make_certificate(tmp_path / name) for name in ("old", "new"))
    used = [tmp_path / "certificate.pem", tmp_path / "key.pem"]

    def install(files: Iterable[Path]) -> None:
        for file, to in zip(files, used, strict=True):
            to.with_suffix(".new").write_bytes(file.read_bytes())
            to.with_suffix(".new").replace(to)

    def shown() -> str:
        try:
            return ssl.get_server_certificate(place, timeout=30)
        except ssl.SSLError:  # between the two files they do not fit together
            return ""

    install(old)
    with running(echo, *used) as place:
        stuck = socket.create_connection(place, 30)
        assert shown() == old[0].read_text()
        context = ssl.create_default_context(cafile=str(old[0]))
        there = http.client.HTTPSConnection("localhost", place[1], timeout=30, context=context)
        there.request("GET", "/")
        assert there.getresponse().status == 200
        there.close()
        install(new)
        eventually(lambda: shown() == new[0].read_text())
        stuck.close()


def test_faults_are_sentences(tmp_path: Path) -> None:
    """Of the address, and of files that are none."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen: tuple[str, int] = taken.getsockname()
        with pytest.raises(SmsotpError, match="Address already in use"):
            Serving(echo, listen)
    (tmp_path / "no.pem").write_text("no certificate")
    with pytest.raises(SmsotpError, match="no TLS with it and its key"):
        Serving(echo, ("127.0.0.1", 0), tmp_path / "no.pem")


def test_the_end_waits_for_what_has_begun() -> None:
    """A gateway that is cut off would not know whether its receipt was taken."""
    begun = threading.Event()

    def answer(_: Request) -> Response:
        begun.set()
        time.sleep(0.3)
        return Response(200, b"taken")

    with ThreadPoolExecutor() as pool:
        with running(answer) as place:
            asked = pool.submit(ask, place)
            assert begun.wait(30)
        assert asked.result(30) == b"200 taken"
