"""Placeholders and REGEXP, as privacyIDEA has them."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from radius_smsotp.providers import Message
from radius_smsotp.providers.template import Regexp, Template, fill, names, rewrite

SENT = Message("0" * 32, "+491701234567", "739154 is your code", "739154")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{phone} <phone>", "+491701234567 +491701234567"),
        ("{phone_digits}@sms", "491701234567@sms"),
        ("<otp>", SENT.code),
        ("{otp}{message}", SENT.code + SENT.text),
        ("{code}", "739154"),
        ('<sms to="{phone}">{code}</sms> {} {{x}} { phone }', None),
    ],
)
def test_placeholders(template: str, expected: str | None) -> None:
    filled = fill(template, SENT)
    assert filled == (expected or '<sms to="+491701234567">739154</sms> {} {{x}} { phone }')


def test_what_is_filled_in_is_not_filled_in_again() -> None:
    tricky = Message("0" * 32, "+491701234567", "{code}<phone>", "1")
    assert fill("{message}", tricky) == "{code}<phone>"


def test_a_text_that_no_encoding_can_write_becomes_one_that_can() -> None:
    assert fill("{message}", Message("0" * 32, "+491701234567", "a\ud800", "1")) == "a?"


def test_names_are_those_that_are_used() -> None:
    assert names("<phone> {code} <b> {x}") == {"phone", "code"}


def test_a_placeholder_that_is_none_is_named() -> None:
    with pytest.raises(ValidationError, match=r"\{fone\} is no placeholder; known are \{phone\}"):
        TypeAdapter(Template).validate_python("{fone}")


@pytest.mark.parametrize(
    ("regexp", "number"),
    [
        (r"/^\+/00/", "00491701234567"),
        (r"/[\+/]//", "491701234567"),
        (r"/^\+49(.*)/0\1/", "01701234567"),
        (None, "+491701234567"),
    ],
)
def test_a_regexp_rewrites_the_number(regexp: str | None, number: str) -> None:
    assert rewrite(regexp, SENT.phone) == number
    if regexp:
        assert TypeAdapter(Regexp).validate_python(regexp) == regexp
        assert fill("{phone_digits}", SENT, regexp) == number.lstrip("+")


@pytest.mark.parametrize("regexp", ["^0", "/0/49", "/(/x/", r"/^/\2/"])
def test_a_regexp_that_cannot_be_used_is_refused(regexp: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Regexp).validate_python(regexp)
