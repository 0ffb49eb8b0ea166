"""Which type of provider an entry of the settings is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp import providers
from radius_smsotp.settings import file

if TYPE_CHECKING:
    from pathlib import Path

# The examples of privacyIDEA's documentation and source, as they would be pasted.
PASTED = {
    "http": {
        "URL": "http://api.clickatell.com/http/sendmsg",
        "PARAMETER": {"user": "YOU", "password": "YOUR PASSWORD", "api_id": "YOUR API ID"},
        "SMS_TEXT_KEY": "text",
        "SMS_PHONENUMBER_KEY": "to",
        "HTTP_Method": "GET",
        "PROXY": "http://localhost:8080",
        "RETURN_SUCCESS": "ID",
    },
    "smtp": {
        "MAILSERVER": "mail.example.org",
        "MAILTO": "sms@example.org",
        "MAILSENDER": "otp@example.org",
        "SUBJECT": "<phone>",
        "BODY": "<otp>",
    },
    "smpp": {
        "SMSC_HOST": "localhost",
        "SMSC_PORT": "2775",
        "SYSTEM_ID": "radius",
        "PASSWORD": "secret",
        "S_ADDR": "Example",
        "S_ADDR_TON": "0x05",
        "S_ADDR_NPI": "0x01",
    },
    "script": {"SCRIPT": "send-sms"},
    "sipgate": {"USERNAME": "you", "PASSWORD": "secret"},
}


@pytest.mark.parametrize("kind", sorted(PASTED))
def test_what_privacyidea_has_pastes_unchanged_and_without_a_type(
    kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "smsotp.yaml"
    path.write_text(json.dumps({"providers": {"pasted": PASTED[kind]}}))
    assert file.load(path).providers["pasted"].type == kind


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"type": "folder", "url": "x"}, "folder"),
        ({"Type": "gsm"}, "gsm"),
        ({"x": 1}, None),
        ({}, None),
    ],
)
def test_a_type_that_is_given_counts(entry: dict[str, Any], kind: str | None) -> None:
    assert providers.kind(entry) == kind
