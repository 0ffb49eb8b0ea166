"""``smsotp check``: how gateways were understood, and what would let a message be lost."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.installation import Installation

PHONE = "+491701234567"
KEYS = {"sms_phonenumber_key": "to", "sms_text_key": "text"}


def told(here: Installation, **provider: Any) -> list[dict[str, Any]]:
    """What is said of one provider, without whether it is there."""
    # A port that is always closed.
    url = {} if "URL" in provider else {"url": "http://127.0.0.1:1/"}
    here.write(providers={"gw": {"type": "http", **url, **provider}})
    user = ("--user", "root") if os.geteuid() == 0 else ()
    found = json.loads(here.run("check", "--json", *user, "--raddb", "/no/such/raddb").output)
    ours = [one for one in found if "providers.gw" in one["path"]]
    return [one for one in ours if "cannot connect" not in one["fault"]]


@pytest.mark.parametrize(
    ("success", "refusal"),
    [
        ("ID", "INVALID"),
        ("OK", "NOT OK"),
        ("ok", "not ok"),
        ("success", "unsuccessful"),
        ("SUCCESS", "UNSUCCESSFUL"),
        ("sent", "not sent"),
        ("0", "any longer number"),
        ("status", '"status": "error"'),
        ("ID:", None),
        ("<MessageId>", None),
        ("queued_for_delivery", None),
    ],
)
def test_a_success_that_refusals_hold_too(
    here: Installation, success: str, refusal: str | None
) -> None:
    """`RETURN_SUCCESS: ID`, and Clickatell answers "ERR: 105, INVALID DESTINATION ADDRESS"."""
    found = told(here, **KEYS, return_success=success)
    if refusal is None:
        assert found == []
        return
    [one] = found
    assert one["level"] == "warning"
    assert one["path"].endswith("providers.gw.return_success")
    assert (
        one["fault"]
        == f"'{success}' stands in {refusal} too, and such an answer counts as accepted"
    )
    assert f"return_success_regex: '^{success}\\b'" in one["remedy"]


@pytest.mark.parametrize(
    "more", [{"return_fail": "ERR"}, {"return_success_regex": "^ID"}, {"return_fail_json": "error"}]
)
def test_another_test_beside_it_decides(here: Installation, more: dict[str, str]) -> None:
    assert told(here, **KEYS, return_success="ID", **more) == []


KANNEL = {"to": "{phone}", "text": "{message}", "charset": "UTF-8"}


@pytest.mark.parametrize(
    ("provider", "language", "remedy"),
    [
        ({"parameter": KANNEL}, "ru", "add parameter_ucs2: {coding: 2}"),
        ({"parameter": KANNEL}, "en", None),
        ({"parameter": KANNEL | {"coding": 2}}, "ru", None),
        ({"parameter": KANNEL, "parameter_ucs2": {"coding": 2}}, "ru", None),
        (
            {"parameter": KANNEL, "url": "http://127.0.0.1:1/cgi-bin/sendsms?coding=2"},
            "ru",
            None,
        ),
        ({"parameter": KANNEL, "url": "http://127.0.0.1:1/other"}, "ru", None),
        # The gateway gets the code alone.
        ({"parameter": KANNEL | {"text": "Code: {otp}"}}, "ru", None),
    ],
)
def test_a_gateway_that_has_to_be_told_of_other_letters(
    here: Installation, provider: dict[str, Any], language: str, remedy: str | None
) -> None:
    """Kannel sends question marks, and says that it has sent them."""
    here.write(language=language)
    found = told(here, **{"url": "http://127.0.0.1:1/cgi-bin/sendsms", **provider})
    if remedy is None:
        assert found == []
        return
    [one] = found
    assert one["level"] == "warning"
    assert one["fault"].startswith(
        "is not told of letters outside of the GSM alphabet, and texts have"
    )
    assert one["remedy"] == remedy
    assert "preset kannel" in one["why"]


def test_an_interface_that_ends(here: Installation) -> None:
    """Who pasted it earlier does not read what the preset says today."""
    # Nothing is asked of MessageBird: the proxy is not there.
    proxy = {"https_proxy": "http://127.0.0.1:1"}
    [one] = told(here, **KEYS, url="https://rest.messagebird.com/messages", **proxy)
    assert one["fault"] == "this interface ends on 31 December 2026"
    assert "preset bird" in one["remedy"]


def test_how_a_paste_was_understood_is_said(here: Installation) -> None:
    url = {"URL": "http://127.0.0.1:1/", "PROXY": "https://user:pw@127.0.0.1:1"}
    found = told(here, **url, PARAMETER={"user": "me"})
    assert [one["level"] for one in found] == ["note"] * 3
    shown = " ".join(one["fault"] for one in found)
    assert "the number is sent as phone, as privacyIDEA does" in shown
    assert "the proxy itself is spoken to without TLS" in shown


RECEIPT = {"receipt": {"id": "id", "state": "state"}}
URL = "https://sms.example.org/9f3c5b1e77a04d2c"


@pytest.mark.parametrize(
    ("provider", "address", "fault"),
    [
        ({}, None, None),
        (RECEIPT, None, "receipt is set, and receiver.url is not"),
        (RECEIPT, URL, None),
        (RECEIPT, "https://sms.example.org/short", "has less than 16 characters"),
        (RECEIPT, "http://sms.example.org/9f3c5b1e77a04d2c", "in the clear"),
        (RECEIPT, "http://127.0.0.1:9813/9f3c5b1e77a04d2c", None),
        ({"headers": {"X": "{receipt_url}"}}, URL, "receipt does not say how to read it"),
        ({"headers": {"X": "{receipt_url}"}, **RECEIPT}, URL, None),
    ],
)
def test_what_keeps_receipts_from_coming_in(
    here: Installation, provider: dict[str, Any], address: str | None, fault: str | None
) -> None:
    """Or lets others send some; nothing that is said holds the secret."""
    gateway = {"type": "http", "url": "http://127.0.0.1:1/", **KEYS, **provider}
    here.write(providers={"gw": gateway}, receiver={"url": address})
    user = ("--user", "root") if os.geteuid() == 0 else ()
    found = here.run("check", "--json", *user, "--raddb", "/no/such/raddb").output
    told = [one["fault"] for one in json.loads(found) if "recei" in one["path"] + one["fault"]]
    assert "9f3c5b1e77a04d2c" not in found
    assert (told == []) if fault is None else (fault in told[0])


def test_an_address_that_is_asked_for_has_to_be_there(here: Installation) -> None:
    """Without it the gateway would be told nothing."""
    gateway = {"type": "http", "url": "http://127.0.0.1:1/?r={receipt_url}", **KEYS, **RECEIPT}
    here.write(providers={"gw": gateway})
    done = here.run("provider", "list")
    assert done.exit_code == 3
    assert "providers.gw: {receipt_url} stands for what receiver.url says" in done.output


@pytest.mark.parametrize(
    "url",
    ["sms.example.org", "https://sms.example.org", "ftp://a/b", "https://a/b?c", "https://a/é"],
)
def test_an_address_without_a_secret_is_none(here: Installation, url: str) -> None:
    here.write(receiver={"url": url})
    done = here.run("provider", "list")
    assert done.exit_code == 3
    assert "receiver.url: " in done.output
