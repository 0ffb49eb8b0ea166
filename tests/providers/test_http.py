"""The provider ``http``: what goes out over a real connection, and what the answers mean."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import socket
import ssl
import subprocess
import sys
import termios
import textwrap
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from radius_smsotp.errors import DeliveryError, Refused, Unavailable, Unknown
from radius_smsotp.providers import Message, Receipt, Surroundings, http_pool
from radius_smsotp.providers.http import Provider, Settings
from tests.providers import gateway as gw
from tests.providers.contract import CODE, PHONE, ProviderContract, message, soon
from tests.providers.gateway import Authority, Gateway
from tests.providers.peers import Peer, closed_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PASSWORD = "s3cret-wörd"
KEYS = {"sms_phonenumber_key": "to", "sms_text_key": "text"}
EVERYTHING = 'Grüße & 5 € = 100 %+1 "q" <b>\\ {otp} ?#/'


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., Provider]]:
    """Builds providers, and closes them afterwards."""
    with ExitStack() as stack:

        def built(given: dict[str, Any] | None = None, **settings: Any) -> Provider:
            settings = {"type": "http", **(given or KEYS), **settings}
            surroundings = Surroundings(tmp_path, {}, tmp_path)
            made = Provider("sms", Settings.model_validate(settings), surroundings)
            stack.callback(made.close)
            return made

        yield built


def failure(provider: Provider, seconds: float = 20, **changes: Any) -> DeliveryError:
    """The error that a message ends with, after a look at what it tells."""
    with pytest.raises(DeliveryError) as caught:
        provider.send(message(**changes), soon(seconds))
    told = str(caught.value)
    assert caught.value.__context__ is None
    for secret in (CODE, PHONE[1:], PASSWORD):
        assert secret not in told
    return caught.value


class HttpStandIn:
    """A gateway for the contract suite."""

    secrets = (PASSWORD,)

    def __init__(self, gateway: Gateway, build: Callable[..., Provider], **settings: Any) -> None:
        self.gateway = gateway
        self.build = build
        self.settings = {"url": f"{gateway.url}/send", "username": "me", "password": PASSWORD}
        self.settings |= settings

    def provider(self) -> Provider:
        return self.build(**self.settings)

    def refuse(self) -> None:
        told = f"{PHONE} does not want\n{message().text!r} of {PASSWORD}, nor {CODE}"
        self.gateway.behave = gw.answers(400, told)

    def go_away(self) -> None:
        self.gateway.behave = gw.answers(503, f"try {PHONE} later")

    def fall_silent(self) -> None:
        self.gateway.behave = gw.stall

    def received(self) -> list[tuple[str, str]]:
        return [
            (fields["to"][0], fields["text"][0])
            for fields in (request.query for request in self.gateway.requests)
        ]


class TestContractWithQuery(ProviderContract):
    @pytest.fixture
    def stand_in(self, gateway: Gateway, build: Callable[..., Provider]) -> HttpStandIn:
        return HttpStandIn(gateway, build, return_success="ID")


class TestContractWithJsonOverTls(ProviderContract):
    @pytest.fixture
    def stand_in(
        self, authority: Authority, build: Callable[..., Provider]
    ) -> Iterator[HttpStandIn]:
        class JsonStandIn(HttpStandIn):
            def received(self) -> list[tuple[str, str]]:
                bodies = [request.json["messages"][0] for request in self.gateway.requests]
                return [(body["to"], body["text"]) for body in bodies]

            def go_away(self) -> None:
                self.gateway.stop()

        with Gateway(tls=authority.server_context(authority.issue())) as running:
            yield JsonStandIn(
                running,
                build,
                http_method="POST",
                send_data_as_json=True,
                parameter={"messages": [{"to": "{phone_digits}", "text": "{message}"}]},
                ca_file=authority.cert,
            )


class TestRequest:
    """What goes out."""

    def sent(
        self, gateway: Gateway, provider: Provider, text: str = EVERYTHING, **changes: str
    ) -> gw.Received:
        values = {"transaction_id": "0f" * 16, "phone": PHONE, "text": text, "code": CODE}
        provider.send(Message(**(values | changes)), soon())
        return gateway.requests[-1]

    def test_the_json_of_privacyidea_pastes_unchanged(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        # privacyIDEA 2.16, doc/configuration/tokenconfig/sms.rst, with another address
        pasted = """
           { "URL" : "http://api.clickatell.com/http/sendmsg",
             "PARAMETER" : {
                             "user":"YOU",
                             "password":"YOUR PASSWORD",
                             "api_id":"YOUR API ID"
                           },
             "SMS_TEXT_KEY":"text",
             "SMS_PHONENUMBER_KEY":"to",
             "HTTP_Method":"GET",
             "RETURN_SUCCESS" : "ID"
           }
        """.replace("http://api.clickatell.com", gateway.url)
        request = self.sent(gateway, build(yaml.safe_load(pasted)))
        assert request.method == "GET"
        assert request.path == "/http/sendmsg"
        assert request.query == {
            "user": ["YOU"],
            "password": ["YOUR PASSWORD"],
            "api_id": ["YOUR API ID"],
            "text": [EVERYTHING],
            "to": [PHONE],
        }

    def test_every_parameter_of_privacyidea_is_taken_in_its_spelling(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        given = {
            "URL": gateway.url,
            "HTTP_METHOD": "POST",
            "CHECK_SSL": "yes",
            "SEND_DATA_AS_JSON": "yes",
            "RETURN_SUCCESS": "ID",
            "RETURN_FAIL": "",
            "USERNAME": "me",
            "PASSWORD": PASSWORD,
            "PROXY": "",
            "HTTP_PROXY": "",
            "HTTPS_PROXY": "",
            "TIMEOUT": "3",
            "REGEXP": "/[+-/. ]//",
            "HEADERS": {"access-token": "abc"},
            "PARAMETER": {"to": ["{phone}"], "text": "Your OTP: {otp}"},
        }
        request = self.sent(gateway, build(given))
        assert request.json == {"to": [PHONE[1:]], "text": f"Your OTP: {CODE}"}
        assert request.headers["access-token"] == "abc"
        assert request.headers["content-type"] == "application/json"

    @pytest.mark.parametrize("method", ["POST", "put"])
    def test_a_form_is_sent_in_the_body(
        self, gateway: Gateway, build: Callable[..., Provider], method: str
    ) -> None:
        request = self.sent(gateway, build(url=f"{gateway.url}/x?a=1", http_method=method))
        assert request.method == method.upper()
        assert request.query == {"a": ["1"]}
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert request.form == {"to": [PHONE], "text": [EVERYTHING]}

    def test_a_query_joins_the_query_of_the_url_in_percent_signs_alone(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        request = self.sent(gateway, build(url=f"{gateway.url}/x?a=1"), text="a b+c")
        assert request.target == f"/x?a=1&to=%2B{PHONE[1:]}&text=a%20b%2Bc"

    def test_placeholders_in_the_url_are_escaped_for_it(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        url = gateway.url + "/{phone_digits}/{transaction_id}/send?t={message}&n={phone}"
        request = self.sent(gateway, build({"url": url}), text="../a/b?c#d&n=1")
        assert request.path == f"/{PHONE[1:]}/{'0f' * 16}/send"
        assert request.query == {"t": ["../a/b?c#d&n=1"], "n": [PHONE]}

    def test_types_are_kept_in_json_and_a_number_to_call_stays_text(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        tree = {"a": 1, "b": 1.5, "c": True, "d": None, "e": ["{phone_digits}", {"f": 0}], "g": "1"}
        settings = {"parameter": tree | {"code": "{otp}{code}"}, "send_data_as_json": "true"}
        provider = build(settings, url=gateway.url, http_method="POST")
        assert self.sent(gateway, provider).json == {
            **tree,
            "e": [PHONE[1:], {"f": 0}],
            "code": CODE + CODE,
        }

    def test_a_json_body_may_be_a_list(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        settings = {"parameter": [{"to": "{phone}", "text": "{message}"}], "http_method": "POST"}
        provider = build(settings, url=gateway.url, send_data_as_json=1)
        assert self.sent(gateway, provider).json == [{"to": PHONE, "text": EVERYTHING}]

    def test_nested_parameters_become_form_fields(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        tree = {"n": 1, "yes": True, "none": None, "l": [1, 2], "m": {"a": {"b": "{phone}"}}}
        tree["list"] = [{"x": "{message}"}, {"x": "2"}]
        provider = build({"parameter": tree}, url=gateway.url, http_method="POST")
        assert self.sent(gateway, provider).form == {
            "n": ["1"],
            "yes": ["true"],
            "l": ["1", "2"],
            "m[a][b]": [PHONE],
            "list[0][x]": [EVERYTHING],
            "list[1][x]": ["2"],
        }

    def test_other_braces_are_left_alone(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        texts = [
            "{}",
            "{0}",
            "{ phone }",
            "{{phone}}",
            '{"a": {"b": 1}}',
            "{id}",
            "}{",
            "{not-ours}",
        ]
        provider = build(url=gateway.url, parameter={"l": texts, "n": '{"n":{phone_digits}}'})
        query = self.sent(gateway, provider).query
        assert query["l"] == texts
        assert query["n"] == [f'{{"n":{PHONE[1:]}}}']

    def test_what_is_filled_in_is_not_looked_at_again(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        request = self.sent(gateway, build(url=gateway.url), text="{phone} {otp}")
        assert request.query["text"] == ["{phone} {otp}"]

    def test_headers_take_placeholders_but_no_further_line(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        headers = {"X-To": "{phone}", "X-Text": "<{message}>", "X-Version": 2}
        provider = build(url=gateway.url, headers=headers)
        request = self.sent(gateway, provider, text="a\r\nX-Evil: 1\r\n\r\nGET / ü\0\n")
        assert request.headers["x-to"] == PHONE
        assert request.headers["x-text"] == "<a X-Evil: 1 GET / ü >"
        assert request.headers["x-version"] == "2"
        assert "x-evil" not in request.headers
        assert len(gateway.requests) == 1

    def test_headers_of_the_settings_win(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        headers = {"content-type": "application/vnd.sms+json", "User-Agent": "me"}
        provider = build(url=gateway.url, http_method="PUT", headers=headers)
        raw = self.sent(gateway, provider).raw.lower()
        assert raw.count(b"content-type:") == raw.count(b"user-agent:") == 1
        assert b"application/vnd.sms+json" in raw

    def test_a_parameter_that_is_written_out_wins_over_the_key(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        provider = build(url=gateway.url, parameter={"text": "Code {otp}"})
        assert self.sent(gateway, provider).query["text"] == [f"Code {CODE}"]

    @pytest.mark.parametrize(
        ("regexp", "number"),
        [(r"/^\+/00/", "0049170"), (r"/^\+(\d\d)/0-\1-/", "0-49-170"), ("/x/y/", "+49170")],
    )
    def test_regexp_rewrites_the_number(
        self, gateway: Gateway, build: Callable[..., Provider], regexp: str, number: str
    ) -> None:
        parameter = {"digits": "{phone_digits}"}
        provider = build(url=gateway.url, regexp=regexp, parameter=parameter)
        query = self.sent(gateway, provider, phone="+49170").query
        assert query["to"] == [number]
        assert query["digits"] == [re.sub(r"\D", "", number)]

    def test_a_text_that_has_no_utf8_is_sent_all_the_same(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        headers = {"X-Text": "{message}"}
        request = self.sent(gateway, build(url=gateway.url, headers=headers), text="a\udcffb")
        assert request.query["text"] == ["a?b"]
        assert request.headers["x-text"] == "a?b"

    def test_no_cookie_comes_back(self, gateway: Gateway, build: Callable[..., Provider]) -> None:
        gateway.behave = gw.answers(200, "ID", Set_Cookie="session=1")
        provider = build(url=gateway.url)
        self.sent(gateway, provider)
        assert "cookie" not in self.sent(gateway, provider).headers


class TestAnswer:
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
            (format_datetime(datetime.now(UTC) + timedelta(minutes=20), usegmt=True), 1100, 1200),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
        ],
    )
    def test_retry_after_is_kept_within_bounds(
        self,
        gateway: Gateway,
        build: Callable[..., Provider],
        given: str,
        least: float,
        most: float,
    ) -> None:
        gateway.behave = gw.answers(429, Retry_After=given)
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
            "parameter": {"api_key": "k3y-1", "pin": {"password": 8642}},
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
        for secret in ("k3y", "8642", "t0ken", "bot12345", "qu%C3", "quéry", "170", "login"):
            assert secret not in told


class TestTimeLimit:
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
        assert 0.4 <= time.monotonic() - start < 5

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


class TestConnections:
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
        monkeypatch.setattr(http_pool, "IDLE", 0.0)
        provider.send(message(2), soon())
        assert [request.connection for request in gateway.requests] == [1, 2]


class TestCredentials:
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


class TestTls:
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
            from radius_smsotp.providers.http_pool import tls_context
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


class TestProxy:
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
            call.gateway.over.wait(1.4)
            call.socket.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            call.wait()

        with Gateway(late) as proxy:
            start = time.monotonic()
            error = failure(build(url="https://sms.example.org", proxy=proxy.url), 1.5)
            assert type(error) is Unavailable
            assert time.monotonic() - start < 2.5

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


class TestSecrets:
    """What must not be seen is not seen."""

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


class TestCheck:
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


def test_the_context_is_safe_by_default(authority: Authority) -> None:
    context = http_pool.tls_context(authority.cert, None, None, verify=True)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
