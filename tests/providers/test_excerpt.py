"""Excerpts of what a gateway said hold nothing that was sent to it."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest

from radius_smsotp.providers import Message
from radius_smsotp.providers.excerpt import LIMIT, excerpt

SENT = Message("0" * 32, "+491701234567", "Grüße: 739154 & <ok>\nBye", "739154")
PASSWORD = "pass & wörd/+"


@pytest.mark.parametrize(
    "number",
    [
        "+491701234567",
        "00491701234567",
        "01701234567",
        "1701234567",
        "+49 170 1234567",
        "(0170) 123-45-67",
        "0170/12 34 56 7",
        "%2B491701234567",
    ],
)
def test_the_number_is_blotted_out_in_any_writing(number: str) -> None:
    said = excerpt(f"no route to {number}, sorry", message=SENT)
    assert said in {
        "no route to ***, sorry",
        "no route to (***, sorry",
        "no route to %2B***, sorry",
    }


@pytest.mark.parametrize("code", ["739154", "739 154", "7-3-9-1-5-4", "x739154x"])
def test_the_code_is_blotted_out(code: str) -> None:
    assert not set("739154") & set(excerpt(f"your code {code}", message=SENT))


@pytest.mark.parametrize(
    "written",
    [
        PASSWORD,
        html.escape(PASSWORD),
        quote(PASSWORD, safe=""),
        quote(PASSWORD, safe="").lower(),
        quote_plus(PASSWORD),
        json.dumps(PASSWORD)[1:-1],
        json.dumps(PASSWORD)[1:-1].upper(),
        json.dumps(PASSWORD)[1:-1].replace("/", "\\/"),  # PHP's json_encode
        base64.b64encode(PASSWORD.encode()).decode(),
    ],
)
def test_a_secret_is_blotted_out_in_the_usual_writings(written: str) -> None:
    assert excerpt(f"wrong: {written}!", secrets=[PASSWORD]) == "wrong: ***!"


def test_the_text_is_blotted_out_as_a_whole() -> None:
    assert excerpt(f"not sent: {SENT.text}.", message=SENT) == "not sent: ***."
    assert excerpt(json.dumps({"text": SENT.text}), message=SENT) == '{"text": "***"}'


def test_other_numbers_stay() -> None:
    said = "error 508 at 2026-01-31 12:00, reference 4498765432"
    assert excerpt(said, message=SENT) == said


def test_it_is_one_line_of_printable_characters() -> None:
    said = excerpt(b"\x1b[31mred\0\r\n\r\n  next\xff\xe2\x80\xa8line\t", message=SENT)
    assert said == "[31mred next\ufffd line"


def test_it_is_cut_after_blotting_out() -> None:
    said = excerpt("x" * (LIMIT - 3) + PASSWORD, secrets=[PASSWORD])
    assert said == "x" * (LIMIT - 3) + "***"
    assert excerpt("y" * 500) == "y" * (LIMIT - 1) + "…"


def test_a_long_secret_leaves_nothing_over_for_a_short_one() -> None:
    assert excerpt("abcdef", secrets=["abc", "abcdef"]) == "***"


def test_empty_secrets_blot_out_nothing() -> None:
    assert excerpt("fine", secrets=["", " "]) == "fine"


def test_a_text_that_no_encoding_can_write_is_no_error() -> None:
    odd = Message("0" * 32, "+491701234567", "a\ud800b", "1")
    assert excerpt("said", secrets=["\ud800"], message=odd) == "said"
