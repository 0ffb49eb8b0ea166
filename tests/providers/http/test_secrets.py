"""The provider ``http``: what must not be seen is not seen, and what an answer may cost."""

from __future__ import annotations

import logging
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.providers import Receipt
from radius_smsotp.providers.contract import CODE, PHONE, message, soon
from radius_smsotp.providers.http import transport
from radius_smsotp.providers.http.provider import Provider, Settings
from radius_smsotp.providers.template import values
from tests.providers import gateway as gw
from tests.providers.gateway import Gateway
from tests.providers.http.http_tests import PASSWORD, HttpTests, failure

if TYPE_CHECKING:
    from collections.abc import Callable


class TestAnswer(HttpTests):
    """On its way to `judge`."""

    @pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "raw deflate"])
    def test_one_that_is_compressed_unasked_is_read(
        self, gateway: Gateway, build: Callable[..., Provider], coding: str
    ) -> None:
        """We accept "identity" alone, and some servers do not mind (RFC 9110 12.5.3)."""
        kind = {"gzip": 31, "x-gzip": 31, "deflate": 15, "raw deflate": -15}[coding]
        packer = zlib.compressobj(wbits=kind)
        body = packer.compress(b'{"ok": true, "id": "ab7"}') + packer.flush()
        gateway.behave = gw.answers(200, body, Content_Encoding=coding.rsplit(maxsplit=1)[-1])
        provider = build(url=gateway.url, return_success_json="ok", message_id_json="id")
        assert provider.send(message(), soon()) == Receipt("ab7")

    @pytest.mark.parametrize("coding", ["gzip", "deflate", "UTF-8", "identity", ""])
    def test_one_that_only_says_so_is_read_as_it_is(self, coding: str) -> None:
        assert transport.decompressed(b"ID: 1", coding) == b"ID: 1"

    def test_a_compressed_answer_takes_little_memory(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        bomb = zlib.compress(b"ID: 1" + bytes(50_000_000))
        gateway.behave = gw.answers(200, bomb, Content_Encoding="deflate")
        provider = build(url=gateway.url, return_success="ID: 1")
        tracemalloc.start()
        try:
            assert provider.send(message(), soon()) == Receipt()
            assert tracemalloc.get_traced_memory()[1] < 2_000_000
        finally:
            tracemalloc.stop()

    def test_a_redirect_is_not_followed(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        with Gateway() as elsewhere:
            gateway.behave = gw.answers(307, Location=f"{elsewhere.url}/?{PHONE}")
            error = failure(build(url=gateway.url, username="me", password=PASSWORD))
            assert "redirects are not followed" in str(error)
            assert elsewhere.connections == 0


class TestSecrets(HttpTests):
    """What must not be seen is not seen."""

    def test_an_error_tells_no_secret_in_any_writing(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        secrets = {
            "parameter": {"api_key": "k3y-1", "pin": {"password": 8642}, "sign": 1, "key": True},
            "headers": {"Authorization": "Bearer t0ken"},
            "url": f"{gateway.url}/bot12345:abc/send?apikey=qu%C3%A9ry&text={{message}}",
            "regexp": r"/^\+49/0/",
            "http_method": "POST",
        }
        provider = build(**secrets)

        def parrot(call: gw.Call) -> None:
            request = call.request
            echo = f"{request.target} {request.headers['authorization']} t0ken {request.body!r}"
            call.answer(404, f"{echo} 01701234567 0170/1234567 +49 170 123 45 67 k3y-1 8642 quéry")

        gateway.behave = parrot
        told = str(failure(provider))
        assert "sign=1&key=true" in told
        for secret in ("k3y", "8642", "t0ken", "bot12345", "qu%C3", "quéry", "170", "login"):
            assert secret not in told

    @pytest.mark.parametrize(
        "body",
        [
            '<sms user="me" password="s3 cr&amp;t" to="{phone}">{message}</sms>',
            "<a><Pass-Word> s3 cr&amp;t</Pass-Word><to>{phone}</to><text>{message}</text></a>",
            '{{"api_key": "s3 cr&t", "to": "{phone}", "text": "{message}"}}',
            "user: me\nsecret = s3 cr\n\n{phone} {message}",
        ],
    )
    def test_a_password_in_a_body_is_not_told(
        self, gateway: Gateway, build: Callable[..., Provider], body: str
    ) -> None:
        def parrot(call: gw.Call) -> None:
            call.answer(400, f"{call.request.body.decode()[:60]} s3 cr&t s3 cr&amp;t")

        gateway.behave = parrot
        told = str(failure(build({"body": body, "http_method": "POST"}, url=gateway.url)))
        assert "s3" not in told
        assert "cr" not in told
        assert told.count("***") >= 2

    @pytest.mark.parametrize(
        "said",
        [
            '{"message": "The route v1/t0ken/send could not be found."}',
            r'{"message": "The route v1\/t0ken\/send could not be found."}',
            r'{"path": "\/v1\/t0ken\/send"}',
        ],
    )
    def test_a_path_is_not_told_as_frameworks_write_it(
        self, gateway: Gateway, build: Callable[..., Provider], said: str
    ) -> None:
        """Without its first slash, and PHP escapes slashes in JSON."""
        gateway.behave = gw.answers(404, said)
        told = str(failure(build(url=f"{gateway.url}/v1/t0ken/send")))
        assert "t0ken" not in told
        assert "***" in told

    def test_a_token_that_stands_for_user_and_password_is_not_told(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        gateway.behave = gw.answers(401, "the key t0ken-1 is unknown")
        told = str(failure(build(url=gateway.url, username="t0ken-1")))
        assert told == "the gateway answered 401: the key *** is unknown"

    def test_no_log_record_holds_number_or_code(
        self,
        gateway: Gateway,
        build: Callable[..., Provider],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.DEBUG)
        provider = build(url=gateway.url)
        provider.send(message(), soon())
        # urllib3 warns of headers that it cannot parse, and names the URL.
        odd = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nno header\r\nX: 1\r\n\r\nID"
        gateway.behave = lambda call: call.socket.sendall(odd)
        provider.send(message(), soon())
        gateway.stop()
        failure(provider)
        assert CODE not in caplog.text
        assert PHONE[1:] not in caplog.text

    def test_the_log_of_other_users_of_urllib3_is_left_alone(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        logging.getLogger("urllib3.connectionpool").debug("theirs")
        assert "theirs" in caplog.text

    def test_no_repr_holds_a_password(self) -> None:
        given = {
            "type": "http",
            "url": f"http://me:{PASSWORD}@localhost/?key={PASSWORD}",
            "username": "me",
            "password": PASSWORD,
            "proxy": f"http://me:{PASSWORD}@localhost",
            "parameter": {"password": PASSWORD, "p": "{phone}{otp}"},
            "headers": {"Authorization": PASSWORD},
        }
        settings = Settings.model_validate(given)
        shown = f"{settings!r} {settings} {settings.template()!r}"
        shown += repr(settings.template().request(values(message())))
        for secret in (PASSWORD, CODE, PHONE[1:]):
            assert secret not in shown
