"""``smsotp gateway``: takes what a provider of type ``http`` sends, and shows it."""

from __future__ import annotations

import json
import subprocess
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from radius_smsotp.cli import gateway
from radius_smsotp.cli.gateway import Gateway
from radius_smsotp.providers import Message, Surroundings, build
from radius_smsotp.providers.http.provider import Settings
from tests.cli.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT = "482913 — ваш код, <b>&\n"


@pytest.fixture
def server() -> Iterator[Gateway]:
    """One that wants a key."""
    with Gateway(("127.0.0.1", 0), "the key") as one:
        thread = threading.Thread(target=one.serve_forever, args=(0.01,))
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def ask(server: Gateway, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    """A request: the status, and the JSON that was answered."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"http://127.0.0.1:{server.server_port}{path}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, fields), timeout=20) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_message_of_the_provider_is_shown_as_it_was_sent(server: Gateway, tmp_path: Path) -> None:
    """With the settings that the help gives; the id comes back."""
    provider = build(
        "demo",
        Settings.model_validate(
            {
                "type": "http",
                "url": f"http://127.0.0.1:{server.server_port}/send",
                "http_method": "POST",
                "parameter": {"to": "{phone}", "text": "{message}"},
                "headers": {"Authorization": "Bearer the key"},
                "message_id_json": "id",
            }
        ),
        Surroundings(tmp_path, {}, tmp_path),
    )
    message = Message("0" * 32, "+491701234567", TEXT, "482913")
    assert provider.send(message, gateway.time.monotonic() + 10).message_id == "sms-1"
    provider.close()
    _, [shown] = ask(server, "/messages?after=0")
    assert (shown["number"], shown["to"], shown["text"]) == (1, "+491701234567", TEXT)


def test_who_waits_is_told_of_the_next_message(server: Gateway) -> None:
    """At once; and a page that knows more than a new gateway gets all."""
    server.inbox.add("+1", "one")
    found: list[Any] = []
    waiting = threading.Thread(target=lambda: found.append(ask(server, "/messages?after=1")))
    waiting.start()
    server.inbox.add("+1", "two")
    waiting.join(15)
    assert [one["text"] for one in found[0][1]] == ["two"]
    _, shown = ask(server, "/messages?after=99")
    assert [one["text"] for one in shown] == ["one", "two"]


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/send?to=1&text=x", None, {}, 401),
        ("/send?to=1&text=x&key=wrong", None, {}, 401),
        ("/send?to=1&text=x&key=the+key", None, {}, 200),
        ("/send", urlencode({"to": "1", "text": "x", "key": "the key"}).encode(), {}, 200),
        ("/send", b'{"to": "1", "text": "x"}', {"Authorization": "Bearer the key"}, 400),
        (
            "/send",
            b'{"to": "1", "text": "x"}',
            {"Authorization": "Bearer the key", "Content_Type": "application/json"},
            200,
        ),
        ("/send", b"\xff\xfe", {"Authorization": "Bearer the key"}, 400),
        ("/send", b"[1]", {"Authorization": "Bearer the key"}, 400),
        ("/send?to=1&key=the+key", None, {}, 400),
        ("/messages?after=x", None, {}, 400),
        ("/elsewhere", None, {}, 404),
        ("/elsewhere", b"x", {}, 404),
        ("/send", b"x" * 70_000, {}, 413),
    ],
)
def test_what_is_taken(
    server: Gateway, path: str, body: bytes | None, headers: dict[str, str], status: int
) -> None:
    """Only with the key, and only what is a message."""
    assert ask(server, path, body, **headers)[0] == status
    assert len(server.inbox.after(-1, 0)) == (status == 200)


def test_the_page_needs_nothing_from_elsewhere(server: Gateway) -> None:
    """One file, and the browser is told so; what an SMS says is never markup."""
    page = server.page.decode()
    assert "innerHTML" not in page
    assert "http:" not in page.replace("http://www.w3.org", "")
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/", timeout=20) as reply:
        assert reply.read() == server.page
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]


@pytest.mark.parametrize("listen", ["8025", "localhost", "127.0.0.1:x", "127.0.0.1:99999"])
def test_an_address_that_is_none(here: Installation, listen: str) -> None:
    assert here.run("gateway", "--listen", listen).exit_code == 2


class TestListening:
    def test_it_says_at_which_port(self, here: Installation) -> None:
        process = here.start("gateway", "--listen", "127.0.0.1:0", stdout=subprocess.PIPE)
        assert process.stdout is not None
        address = process.stdout.readline().split()[1]
        with urllib.request.urlopen(address, timeout=10) as page:
            assert page.status == 200

    def test_ipv6_will_do(self) -> None:
        with Gateway(("::1", 0), "") as one:
            thread = threading.Thread(target=one.serve_forever, args=(0.01,))
            thread.start()
            with urllib.request.urlopen(f"http://[::1]:{one.server_port}/", timeout=10) as page:
                assert page.status == 200
            one.shutdown()
            thread.join()

    def test_a_port_that_is_taken_is_named(self, here: Installation, server: Gateway) -> None:
        taken = f"127.0.0.1:{server.server_port}"
        done = here.run("gateway", "--listen", taken)
        assert done.exit_code == 1
        assert f"cannot listen on {taken}: Address already in use" in done.output
