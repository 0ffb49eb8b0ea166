"""The provider ``http``: bodies as they are written, numbers, alphabets, and keys of attempts."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius_smsotp.providers import Message
from radius_smsotp.providers.contract import CODE, PHONE, soon
from radius_smsotp.providers.http.request import NO_XML, Template
from radius_smsotp.providers.template import values
from tests.providers import gateway as gw
from tests.providers.http.http_tests import HttpTests

if TYPE_CHECKING:
    from collections.abc import Callable

    from radius_smsotp.providers.http.provider import Provider
    from tests.providers.gateway import Gateway

RUSSIAN = "739154 — ваш код для входа 🔑"
AWKWARD = "Grüße & 5 € <b>\"q\"</b> 'x' ]]> \\ {otp} %+1\n\x08 ваш 🔑"


class BodyTests(HttpTests):
    """With a way to send a text, and see what came of it."""

    @pytest.fixture
    def sent(self, gateway: Gateway, build: Callable[..., Provider]) -> Callable[..., gw.Received]:
        """What a gateway gets, of a text and settings."""

        def send(text: str, **settings: Any) -> gw.Received:
            given = {"url": gateway.url, "http_method": "POST", **settings}
            build(given).send(Message("0f" * 16, PHONE, text, CODE), soon())
            return gateway.requests[-1]

        return send


class TestBody(BodyTests):
    """``body``."""

    @pytest.mark.parametrize("content_type", [None, "application/soap+xml", "text/XML; charset=x"])
    def test_a_value_in_xml_is_a_value_whatever_it_holds(
        self, sent: Callable[..., gw.Received], content_type: str | None
    ) -> None:
        body = """<?xml version="1.0" encoding="ISO-8859-1"?>
            <sms to="{phone}" note="{message}"><text>Größe: {message}</text><phone>{phone}</phone>
            </sms>"""
        headers = {"Content-Type": content_type} if content_type else {}
        request = sent(AWKWARD, body=body, headers=headers)
        found = ElementTree.fromstring(request.body)
        text = AWKWARD.replace("\x08", "")
        assert found.attrib == {"to": PHONE, "note": text}
        assert [one.text for one in found] == [f"Größe: {text}", PHONE]
        assert request.headers["content-type"] == (content_type or "text/xml; charset=utf-8")

    def test_in_json_values_may_be_numbers(self, sent: Callable[..., gw.Received]) -> None:
        request = sent(AWKWARD, body='{{"to": {phone_integer}, "text": "{message}"}}')
        assert request.json == {"to": int(PHONE[1:]), "text": AWKWARD}
        assert request.headers["content-type"] == "application/json"

    def test_in_a_form_values_are_escaped_for_it(self, sent: Callable[..., gw.Received]) -> None:
        kind = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        request = sent(AWKWARD, body="to={phone}&text={message}&flag", headers=kind)
        assert parse_qs(request.body.decode()) == {"to": [PHONE], "text": [AWKWARD]}

    @given(st.text())
    def test_whatever_is_filled_in_comes_out_again(self, text: str) -> None:
        """Of letters that XML does not allow, nothing."""
        filled = values(Message("0f" * 16, PHONE, text, CODE))

        def sent(body: str, kind: str) -> str:
            headers = {"Content-Type": kind}
            template = Template("POST", "http://localhost", {}, headers, as_json=False, body=body)
            return (template.request(filled).body or b"").decode()

        xml = ElementTree.fromstring(sent("<a b='{message}'>{message}</a>", "text/xml"))
        assert [xml.attrib["b"], xml.text or ""] == [NO_XML.sub("", text)] * 2
        assert json.loads(sent('{{"a": "{message}"}}', "application/json")) == {"a": text}
        form = sent("a={message}&b={otp}", "application/x-www-form-urlencoded")
        assert parse_qsl(form, keep_blank_values=True) == [("a", text), ("b", CODE)]

    def test_in_anything_else_they_stand_as_they_are(
        self, sent: Callable[..., gw.Received]
    ) -> None:
        request = sent("Grüße <b>", body="To: {phone}\n\n{message}\n")
        assert request.body.decode() == f"To: {PHONE}\n\nGrüße <b>\n"
        assert request.headers["content-type"] == "text/plain; charset=utf-8"


class TestNumbers(BodyTests):
    """``{phone_integer}``."""

    def test_where_a_value_is_nothing_else_it_is_a_number_in_json(
        self, sent: Callable[..., gw.Received]
    ) -> None:
        parameter = {"to": ["{phone_integer}"], "ref": "x{phone_integer}", "text": "{message}"}
        request = sent("a", send_data_as_json=True, parameter=parameter)
        number = int(PHONE[1:])
        assert request.json == {"to": [number], "ref": f"x{number}", "text": "a"}

    def test_in_a_form_it_is_digits(self, sent: Callable[..., gw.Received]) -> None:
        request = sent("a", parameter={"to": "{phone_integer}", "text": "{message}"})
        assert request.form["to"] == [PHONE[1:]]


class TestAlphabet(BodyTests):
    """``parameter_ucs2`` and ``{message_hex}``."""

    @pytest.mark.parametrize(
        ("text", "coding"),
        [(RUSSIAN, "2"), ("Grüße, 5 €", None), ("ça", "2"), ("“739154”", "2"), ("739154", None)],
    )
    def test_what_tells_of_ucs2_is_sent_when_it_is_needed(
        self, sent: Callable[..., gw.Received], text: str, coding: str | None
    ) -> None:
        """Kannel sends question marks without ``coding=2``, and says that it has sent them."""
        settings = {"parameter": {"text": "{message}", "to": "{phone}"}, "http_method": "GET"}
        query = sent(text, **settings, parameter_ucs2={"coding": 2}).query
        assert query == {"text": [text], "to": [PHONE]} | ({"coding": [coding]} if coding else {})

    def test_it_is_laid_over_the_parameters_however_deep(
        self, sent: Callable[..., gw.Received]
    ) -> None:
        parameter = {"type": "text", "messages": [{"to": "{phone}", "text": "{message}"}, 1]}
        over = {"type": "hex", "messages": [{"text": "{message_hex}", "dcs": 8}]}
        settings = {"parameter": parameter, "parameter_ucs2": over, "send_data_as_json": True}
        hexed = sent(RUSSIAN, **settings).json
        assert bytes.fromhex(hexed["messages"][0].pop("text")).decode("utf-16-be") == RUSSIAN
        assert hexed == {"type": "hex", "messages": [{"to": PHONE, "dcs": 8}, 1]}
        plain = sent("a", **settings).json
        assert plain == {"type": "text", "messages": [{"to": PHONE, "text": "a"}, 1]}

    def test_what_counts_is_what_is_sent(self, sent: Callable[..., gw.Received]) -> None:
        """Not the text of the settings, where the gateway gets the code alone."""
        for words, coding in (("Your code: ", None), ("Ваш код: ", ["2"])):
            parameter = {"text": words + "{otp}", "to": "{phone}"}
            request = sent(RUSSIAN, parameter=parameter, parameter_ucs2={"coding": 2})
            assert request.form.get("coding") == coding

    def test_a_body_of_its_own_goes_out_for_other_letters(
        self, sent: Callable[..., gw.Received]
    ) -> None:
        bodies = {"body": "<a to='{phone}'>{message}</a>", "body_ucs2": "<u>{message_hex}</u>"}
        assert sent("a", **bodies).body.decode() == f"<a to='{PHONE}'>a</a>"
        assert sent("код", **bodies).body == b"<u>043A043E0434</u>"

    def test_hex_digits_are_those_of_the_whole_text(self, sent: Callable[..., gw.Received]) -> None:
        parameter = {"text": "{message_hex}", "to": "{phone}"}
        form = sent("код", parameter=parameter, parameter_ucs2={"u": 1}).form
        assert form == {"text": ["043A043E0434"], "to": [PHONE], "u": ["1"]}


class TestAttempt(HttpTests):
    """``{attempt}``."""

    def test_it_is_another_one_each_time_but_not_when_a_connection_breaks(
        self, gateway: Gateway, build: Callable[..., Provider]
    ) -> None:
        """A gateway that knows keys like this one sends once what comes twice by accident."""
        provider = build(url=gateway.url, headers={"Idempotency-Key": "{attempt}"})
        provider.send(Message("0f" * 16, PHONE, "a", CODE), soon())

        def hang_up_once(call: gw.Call) -> None:
            gateway.behave = gw.answers(200, "ID: 1")
            call.hang_up()

        gateway.behave = hang_up_once
        provider.send(Message("0f" * 16, PHONE, "a", CODE), soon())
        first, second, again = (one.headers["idempotency-key"] for one in gateway.requests)
        assert first != second == again
        assert uuid.UUID(first).version == 4
