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
