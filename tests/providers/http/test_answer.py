"""The provider ``http``: what the answers mean, and what may be told of them."""

from __future__ import annotations

import json
import logging
import tracemalloc
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest

from radius_smsotp.errors import DeliveryError, Refused, Unavailable, Unknown
from radius_smsotp.providers import Receipt
from radius_smsotp.providers.http.provider import Provider, Settings
from tests.providers import gateway as gw
from tests.providers.contract import CODE, PHONE, message, soon
from tests.providers.gateway import Gateway
from tests.providers.http.http_tests import PASSWORD, HttpTests, failure

if TYPE_CHECKING:
    from collections.abc import Callable


class TestAnswer(HttpTests):
    """What the answers mean."""

    @pytest.mark.parametrize(
        ("status", "kind", "out_of_order"),
        [
            (302, Refused, True),
            (400, Refused, False),
            (401, Refused, True),
            (402, Refused, True),
            (403, Refused, True),
            (404, Refused, False),
            (422, Refused, False),
            (408, Unavailable, None),
            (429, Unavailable, None),
            (500, Unavailable, None),
            (503, Unavailable, None),
            (599, Unavailable, None),
            (504, Unknown, None),  # RFC 9110 15.6.5: passed on, and nobody answered in time
        ],
    )
    def test_the_status_decides_first(
        self,
        gateway: Gateway,
        build: Callable[..., Provider],
        status: int,
        kind: type[DeliveryError],
        out_of_order: bool | None,
    ) -> None:
        gateway.behave = gw.answers(status, "ID: 4711")
        error = failure(build(url=gateway.url, return_success="ID"))
        assert type(error) is kind
        assert str(status) in str(error)
        assert getattr(error, "out_of_order", None) is out_of_order

    @pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "raw deflate"])
    def test_an_answer_that_is_compressed_unasked_is_read(
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
    def test_an_answer_that_only_says_so_is_read_as_it_is(
        self, gateway: Gateway, build: Callable[..., Provider], coding: str
    ) -> None:
        gateway.behave = gw.answers(200, "ID: 1", Content_Encoding=coding)
        assert build(url=gateway.url, return_success="ID: 1").send(message(), soon()) == Receipt()

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

    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    def test_any_2xx_will_do_where_nothing_is_looked_for(
        self, gateway: Gateway, build: Callable[..., Provider], status: int
    ) -> None:
        gateway.behave = gw.answers(status)
        assert build(url=gateway.url).send(message(), soon()) == Receipt(None)

    def test_a_redirect_is_not_followed(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        with Gateway() as elsewhere:
            gateway.behave = gw.answers(307, Location=f"{elsewhere.url}/?{PHONE}")
            error = failure(build(url=gateway.url, username="me", password=PASSWORD))
            assert "redirects are not followed" in str(error)
            assert elsewhere.connections == 0

    @pytest.mark.parametrize(
        ("given", "least", "most"),
        [
            ("30", 30, 30),
            ("999999999", 3600, 3600),
            ("in 20 minutes", 1100, 1200),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
        ],
        ids=["seconds", "far too many", "date", "date in the past"],
    )
    def test_retry_after_is_kept_within_bounds(
        self,
        gateway: Gateway,
        build: Callable[..., Provider],
        given: str,
        least: float,
        most: float,
    ) -> None:
        # RFC 9110 section 10.2.3: seconds, or a date.
        date = format_datetime(datetime.now(UTC) + timedelta(minutes=20), usegmt=True)
        gateway.behave = gw.answers(429, Retry_After=given.replace("in 20 minutes", date))
        error = failure(build(url=gateway.url))
        assert isinstance(error, Unavailable)
        assert error.retry_after is not None
        assert least <= error.retry_after <= most

    @pytest.mark.parametrize("given", ["", "-1", "soon", "1e9", "²", "Thu, 99 Foo 0000 99:99:99 X"])
    def test_a_retry_after_that_says_nothing_is_ignored(
        self, gateway: Gateway, build: Callable[..., Provider], given: str
    ) -> None:
        gateway.behave = gw.answers(503, Retry_After=given)
        error = failure(build(url=gateway.url))
        assert isinstance(error, Unavailable)
        assert error.retry_after is None

    JSON = json.dumps(
        {"messages": [{"status": "0", "id": 17, "to": PHONE}], "errors": [], "ok": True}
    )

    @pytest.mark.parametrize(
        ("body", "settings"),
        [
            ("ID: 1", {"return_success": "ID"}),
            ("ID: 1", {"return_success_regex": r"^ID: \d+$"}),
            ("ID: 1", {"return_fail": "ERR", "return_fail_regex": "^ERR"}),
            ("ID: 1", {"return_fail_json": "errors"}),
            ("ID: 1", {"return_success": "ID", "return_fail": "ERR"}),
            (JSON, {"return_success_json": "messages.0.status = 0"}),
            (JSON, {"return_success_json": 'messages.0.status="0"'}),
            (JSON, {"return_success_json": "messages.0.id = 17"}),
            (JSON, {"return_success_json": "messages.0.id"}),
            (JSON, {"return_success_json": "ok = true", "return_fail_json": "errors"}),
            (JSON, {"return_fail_json": "messages.1.status"}),
            ("\ufeff" + JSON, {"return_success_json": "ok"}),
        ],
    )
    def test_a_message_is_accepted_on_these_signs(
        self,
        gateway: Gateway,
        build: Callable[..., Provider],
        body: str,
        settings: dict[str, str],
    ) -> None:
        gateway.behave = gw.answers(200, body)
        assert build(url=gateway.url, **settings).send(message(), soon()) == Receipt()

    @pytest.mark.parametrize(
        ("body", "settings"),
        [
            ("nothing", {"return_success": "ID"}),
            ("ID ERR", {"return_success": "ID", "return_fail": "ERR"}),
            ("ID ERR 3", {"return_success": "ID", "return_fail_regex": r"ERR \d"}),
            ("ID: x", {"return_success_regex": r"^ID: \d+$"}),
            (JSON, {"return_success_json": "messages.0.status = 1"}),
            (JSON, {"return_success_json": "messages.0.status.x"}),
            (JSON, {"return_success_json": "messages.x"}),
            (JSON, {"return_success_json": "errors"}),
            (JSON, {"return_success": "messages", "return_fail_json": "ok"}),
            (JSON, {"return_success": "messages", "return_success_json": "errors"}),
            ("no JSON", {"return_success_json": "ok"}),
            ("[" * 60000, {"return_success_json": "ok"}),
        ],
    )
    def test_a_message_is_refused_on_these_signs(
        self,
        gateway: Gateway,
        build: Callable[..., Provider],
        body: str,
        settings: dict[str, str],
    ) -> None:
        gateway.behave = gw.answers(200, body)
        error = failure(build(url=gateway.url, **settings))
        assert isinstance(error, Refused)
        assert not error.out_of_order

    @pytest.mark.parametrize(
        ("body", "settings", "message_id"),
        [
            (JSON, {"message_id_json": "messages.0.id"}, "17"),
            (JSON, {"message_id_json": "messages.0.status"}, "0"),
            (JSON, {"message_id_json": "messages.0"}, None),
            (JSON, {"message_id_json": "messages.0.to"}, "***"),
            (JSON, {"message_id_json": "nowhere"}, None),
            ("ID: abc-1\n", {"message_id_regex": r"ID: (\S+)"}, "abc-1"),
            ("nothing", {"message_id_regex": r"ID: (\S+)"}, None),
            ("a\nb\x1b[0m", {"message_id_regex": "((?s:.+))"}, "a b [0m"),
            ("x" * 500, {"message_id_regex": "(x+)"}, "x" * 127 + "…"),
        ],
    )
    def test_the_message_id_is_kept(
        self,
        gateway: Gateway,
        build: Callable[..., Provider],
        body: str,
        settings: dict[str, str],
        message_id: str | None,
    ) -> None:
        gateway.behave = gw.answers(200, body)
        receipt = build(url=gateway.url, **settings).send(message(), soon())
        assert receipt == Receipt(message_id)

    def test_an_error_quotes_the_answer_in_one_short_line(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        gateway.behave = gw.answers(
            400, b"Unknown\r\n\tsender\x00\x1b[1m <ACME> \xff " + b"x" * 999
        )
        told = str(failure(build(url=gateway.url)))
        assert told.startswith("the gateway answered 400: Unknown sender [1m <ACME> ÿ xxx")
        assert told.endswith("x…")
        assert told.isprintable()
        assert len(told) == len("the gateway answered 400: ") + 120

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


class TestSecrets(HttpTests):
    """What must not be seen is not seen."""

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
        shown += repr(settings.template().request(message()))
        for secret in (PASSWORD, CODE, PHONE[1:]):
            assert secret not in shown
