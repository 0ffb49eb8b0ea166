"""What users of privacyIDEA paste is taken, and how it was understood is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from radius_smsotp.errors import ConfigurationError
from radius_smsotp.providers import Surroundings, build
from radius_smsotp.providers.contract import CODE, PHONE, message, soon
from radius_smsotp.settings import file
from tests.providers.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TEXT = message().text

OPTIONS = {
    "URL": "GATEWAY/send",
    "HTTP_METHOD": "POST",
    "CHECK_SSL": "yes",
    "SEND_DATA_AS_JSON": "no",
    "RETURN_SUCCESS": "ID: ",
    "TIMEOUT": "3",
    "REGEXP": "/^\\+/00/",
    "user": "me",
    "password": "s3cret",
    "token": "tok",
    "type": "0",
    "to": "{phone}",
    "body": "Code: {otp}",
}
SENT = {
    "user": "me",
    "password": "s3cret",
    "token": "tok",
    "type": "0",
    "to": PHONE.replace("+", "00"),
    "body": f"Code: {CODE}",
}
OF_OTP = "{otp} is the code alone; {message} is the whole text, which it may be there"
EXPORT = {
    "providermodule": "privacyidea.lib.smsprovider.HttpSMSProvider.HttpSMSProvider",
    "description": "of the old server",
    "options": OPTIONS,
    "headers": {"X-Key": "abc"},
}


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


@pytest.fixture
def load(tmp_path: Path) -> Callable[[Any], file.Loaded]:
    def loaded(entry: Any) -> file.Loaded:
        path = tmp_path / "smsotp.yaml"
        path.write_text(json.dumps({"providers": {"pasted": entry}}, indent=2))
        return file.load(path)

    return loaded


@pytest.fixture
def paste(
    load: Callable[[Any], file.Loaded], gateway: Gateway, tmp_path: Path
) -> Callable[[Any], list[str]]:
    """Sends a message as an entry says, and returns what was understood."""

    def pasted(entry: Any) -> list[str]:
        loaded = load(json.loads(json.dumps(entry).replace("GATEWAY", gateway.url)))
        provider = build("pasted", loaded.providers["pasted"], Surroundings(tmp_path, {}, tmp_path))
        provider.send(message(), soon())
        provider.close()
        return list(loaded.understood["pasted"])

    return pasted


@pytest.mark.parametrize(
    "entry",
    [OPTIONS, OPTIONS | {"type": "http"}, EXPORT, {"id": 3, "name": "gw"} | EXPORT],
    ids=["options", "with our type", "export", "of its API"],
)
def test_options_and_exports_are_read_as_privacyidea_reads_them(
    paste: Callable[[Any], list[str]], gateway: Gateway, entry: dict[str, Any]
) -> None:
    """In small letters, `token` and `password` are parameters of the gateway."""
    expected = {name: [value] for name, value in SENT.items()}
    if entry.get("type") == "http":
        del expected["type"]
    names = sorted(expected)
    assert paste(entry) == [
        f"{', '.join(names[:-1])} and {names[-1]} are sent as parameters, as privacyIDEA does with "
        "what is no setting",
        OF_OTP,
    ]
    [request] = gateway.requests
    assert request.method == "POST"
    assert request.form == expected
    assert request.headers.get("x-key") == ("abc" if "headers" in entry else None)
    assert "authorization" not in request.headers


def test_a_whole_export_is_each_gateway_in_it(tmp_path: Path) -> None:
    """As ``pi-manage`` writes it: by their names, which `delivery` goes by as well."""
    exported = json.loads(json.dumps(EXPORT).replace("GATEWAY", "https://sms.example.org"))
    settings = {
        "delivery": {"order": ["second", "demo", "first"]},
        "providers": {
            "smsgateway": {"first": exported, "second": exported},
            "demo": {"type": "folder", "path": "outbox"},
        },
    }
    path = tmp_path / "smsotp.yaml"
    path.write_text(json.dumps(settings))
    loaded = file.load(path)
    assert list(loaded.providers) == ["first", "second", "demo"]
    assert loaded.order == ("second", "demo", "first")
    assert loaded.understood["first"] == loaded.understood["second"] != []


def test_number_and_text_have_its_default_names(
    paste: Callable[[Any], list[str]], gateway: Gateway
) -> None:
    """`self.config.get('SMS_PHONENUMBER_KEY', "phone")`, and "sms"."""
    notes = paste({"URL": "GATEWAY", "PARAMETER": {"user": "me"}})
    assert gateway.requests[-1].query == {"user": ["me"], "phone": [PHONE], "sms": [TEXT]}
    assert notes == [
        "the number is sent as phone, as privacyIDEA does; else set sms_phonenumber_key",
        "the text is sent as sms, as privacyIDEA does; else set sms_text_key",
    ]
    notes = paste({"URL": "GATEWAY/{phone}", "SMS_TEXT_KEY": "t", "PARAMETER": {}})
    assert gateway.requests[-1].query == {"t": [TEXT]}
    assert notes == []


def test_a_list_may_be_text_where_json_is_sent(
    paste: Callable[[Any], list[str]], gateway: Gateway
) -> None:
    """Its web interface takes texts only."""
    options = {"URL": "GATEWAY", "HTTP_METHOD": "POST", "SEND_DATA_AS_JSON": "yes"}
    paste(options | {"to": '["{phone}"]', "text": "{otp}", "note": "[1"})
    assert gateway.requests[-1].json == {"to": [PHONE], "text": CODE, "note": "[1"}
    paste(options | {"SEND_DATA_AS_JSON": "no", "to": '["{phone}"]', "text": "{otp}"})
    assert gateway.requests[-1].form["to"] == [f'["{PHONE}"]']


@pytest.mark.parametrize("name", ["PROXY", "HTTPS_PROXY", "proxy"])
def test_https_before_a_proxy_is_what_goes_through_it(
    load: Callable[[Any], file.Loaded], name: str
) -> None:
    classic = {"PARAMETER": {"to": "{phone}", "text": "{message}"}}
    url = "https://user:pw@proxy:8080"
    loaded = load({"type": "http", "URL": "https://sms.example.org", **classic, name: url})
    used = loaded.providers["pasted"].proxy_setting()  # type: ignore[attr-defined]
    assert used == (name.lower(), "http://user:pw@proxy:8080")
    [note] = loaded.understood["pasted"]
    assert note.endswith("the proxy itself is spoken to without TLS")


@pytest.mark.parametrize(
    ("entry", "path", "told"),
    [
        (
            {"URL": "http://localhost", "RETRUN_SUCCESS": "ID", "to": "{phone}"},
            "retrun_success",
            "did you mean 'return_success'?",
        ),
        (
            {"URL": "http://localhost", "PARAMETER": {"to": "{phone}"}, "retrun": "ID"},
            "retrun",
            "there is no such setting",
        ),
        (
            {"url": "http://localhost", "type": "http", "to": "{phone}", "text": "{otp}"},
            "to",
            "there is no such setting",
        ),
        (
            {"providermodule": "privacyidea.lib.smsprovider.FirebaseProvider.FirebaseProvider"}
            | {"options": {"Firebase": "x"}},
            "type",
            "'firebase' is not one of",
        ),
    ],
)
def test_what_is_misspelt_is_not_sent_to_the_gateway(
    load: Callable[[Any], file.Loaded], entry: dict[str, Any], path: str, told: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(entry)
    assert f"providers.pasted.{path}: " in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("module", "options", "kind"),
    [
        ("SmtpSMSProvider.SmtpSMSProvider", {"MAILSERVER": "m.example", "MAILTO": "a@b.c"}, "smtp"),
        ("SipgateSMSProvider.SipgateSMSProvider", {"USERNAME": "a", "PASSWORD": "b"}, "sipgate"),
        ("ScriptSMSProvider.ScriptSMSProvider", {"script": "x", "background": "wait"}, "script"),
        ("SmppSMSProvider.SmppSMSProvider", {"SMSC_HOST": "m.example", "SYSTEM_ID": "x"}, "smpp"),
    ],
)
def test_exports_of_its_other_providers_know_their_type(
    load: Callable[[Any], file.Loaded], module: str, options: dict[str, str], kind: str
) -> None:
    name = f"privacyidea.lib.smsprovider.{module}"
    export = {"providermodule": name, "description": "", "options": options, "headers": {}}
    loaded = load(export)
    assert loaded.providers["pasted"].type == kind
    assert loaded.understood["pasted"] == []
