"""The provider ``http``: the contract, and what goes out over a real connection."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
import yaml

from radius_smsotp.providers import Message
from radius_smsotp.providers.contract import CODE, PHONE, ProviderContract, message, soon
from radius_smsotp.providers.http.provider import Provider
from tests.providers import gateway as gw
from tests.providers.gateway import Authority, Gateway
from tests.providers.http.http_tests import PASSWORD, HttpTests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EVERYTHING = 'Grüße & 5 € = 100 %+1 "q" <b>\\ {otp} ?#/'


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

    def be_busy(self) -> None:
        self.gateway.behave = gw.answers(503, f"try {PHONE} later")

    def go_away(self) -> None:
        self.gateway.behave = gw.answers(500, f"{PHONE} is too much")

    def fall_silent(self) -> None:
        self.gateway.behave = gw.stall

    def received(self) -> list[tuple[str, str]]:
        return [
            (fields["to"][0], fields["text"][0])
            for fields in (request.query for request in self.gateway.requests)
        ]


class TestContractWithQuery(HttpTests, ProviderContract):
    @pytest.fixture
    def stand_in(self, gateway: Gateway, build: Callable[..., Provider]) -> HttpStandIn:
        return HttpStandIn(gateway, build, return_success="ID")


class TestContractWithJsonOverTls(HttpTests, ProviderContract):
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


class TestContractWithXmlAndToken(HttpTests, ProviderContract):
    @pytest.fixture
    def stand_in(self, gateway: Gateway, build: Callable[..., Provider]) -> HttpStandIn:
        """Whatever the gateway does with messages, it gives tokens."""

        class XmlStandIn(HttpStandIn):
            secrets = (PASSWORD, "tok-4711")

            def received(self) -> list[tuple[str, str]]:
                sent = [one for one in self.gateway.requests if one.path != "/token"]
                assert {one.headers["authorization"] for one in sent} <= {"Bearer tok-4711"}
                found = [ElementTree.fromstring(one.body) for one in sent]
                return [(one.attrib["to"], one.text or "") for one in found]

        give = gw.answers(200, '{"access_token": "tok-4711"}')
        stand_in = XmlStandIn(
            gateway,
            build,
            http_method="POST",
            body='<sms to="{phone}">{message}</sms>',
            username=None,
            password=None,
            token={"url": f"{gateway.url}/token", "username": "me", "password": PASSWORD},
            sms_phonenumber_key=None,
            sms_text_key=None,
        )
        gateway.instead = {"/token": give}
        return stand_in


class TestRequest(HttpTests):
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
